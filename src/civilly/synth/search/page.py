"""What a search found as one page that needs no network: rankings, measures, examples."""

from __future__ import annotations

from importlib.resources import files

from civilly import __version__
from civilly.data.values import short
from civilly.errors import MissingExtraError
from civilly.languages import LANGUAGES
from civilly.leaderboard.page import content_hash, language_data, page_style
from civilly.synth.search.ranking import LEAST, MEASURES
from civilly.synth.search.run import Found

FILES = ("index.html", "search.json")
"""What a search writes."""
HEADS = {
    "words": ("words", "Jaccard of the vocabularies"),
    "letters": ("letters", "Jensen-Shannon divergence of character 3-grams, in bits"),
    "centre": ("centre", "cosine of the centroids of sentence embeddings, rescaled"),
    "spread": ("spread", "maximum mean discrepancy of sentence embeddings, RBF kernel"),
    "told": ("told apart", "AUC of a classifier that tells the sets apart; .5: it cannot"),
    "labels": ("labels", "AUC of our detector's p(toxic) against the set's own labels"),
    "edits": ("edits", "Kolmogorov-Smirnov distance of how alike both sides of pairs are"),
}
"""Of each measure what its column is called, and what its raw number is."""


def check_page_can_be_made() -> None:
    """Finds out before any comparison whether the page can be made.

    Raises:
        MissingExtraError: If Jinja is not installed.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("The page of a search", "train", str(error.name)) from error


def render(found: Found) -> str:
    """The page; a content security policy forbids all but our own style and script.

    Raises:
        MissingExtraError: If Jinja is not installed.
    """
    check_page_can_be_made()
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = page_style() + _asset("page.css"), _asset("page.js")
    return environment.from_string(_asset("page.html.jinja")).render(
        found=found,
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src '{content_hash(style)}'; "
        f"script-src '{content_hash(script)}'; img-src data:; base-uri 'none'; form-action 'none'",
        measures={name: HEADS[name] for name in MEASURES},
        languages=LANGUAGES,
        browser=language_data(),
        least=LEAST,
        short=short,
        version=__version__,
    )


def _asset(name: str) -> str:
    return (files("civilly.synth.search") / name).read_text(encoding="utf-8")
