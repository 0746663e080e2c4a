"""What a study of toxic latents says: JSON for programs, and a page that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from civilly import __version__
from civilly.data.files import write_bytes
from civilly.errors import MissingExtraError
from civilly.interpret.latents.run import Study
from civilly.languages import LANGUAGES
from civilly.leaderboard.page import content_hash, language_data, page_style
from civilly.train.run_folder import write_json

JSON_FILE, PAGE_FILE = "latents.json", "index.html"
MEANINGS = {
    "latents": "the chosen latents, by their mass",
    "random": "latents drawn at random, of like firing rate and contribution",
    "wrong_layer": "the chosen latents, read at the wrong layer",
    "difference": "difference of means of the raw stream",
    "probe": "logistic regression on the raw stream",
    "wrong_layer_probe": "logistic regression on the stream of the wrong layer",
    "best_latent": "the single latent of the best area",
    "sparse_probe": "L1 logistic regression on latents, of either sign",
    "reader": "the shipped detector in context",
}
"""What each line of the table is."""


def check_page_can_be_made() -> None:
    """Finds out before the work whether the page can be made.

    Raises:
        MissingExtraError: If Jinja is not installed.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("The report's page", "report", str(error.name)) from error


def as_json(study: Study) -> dict[str, Any]:
    """For programs."""
    settings = asdict(study.settings)
    return {
        "civilly": __version__,
        "settings": settings | {"sae": str(settings["sae"]), "cases": str(settings["cases"]),
                                "pairs": [str(each) for each in settings["pairs"]]},
        "layer": study.layer,
        "width": study.width,
        "sentences": dict(study.sentences),
        "tokens": dict(study.tokens),
        "sparse_probe_latents": study.probed,
        "table": [asdict(row) for row in study.rows],
        "languages_left_out": [asdict(each) for each in study.transfers],
        "latents": [asdict(each) for each in study.profiles],
    }  # fmt: skip


def write_report(study: Study, output: Path) -> list[Path]:
    """Writes ``latents.json`` and ``index.html`` into a folder.

    Raises:
        MissingExtraError: If Jinja is not installed.
        DataError: If they cannot be written.
    """
    paths = [output / JSON_FILE, output / PAGE_FILE]
    write_json(paths[0], _finite(as_json(study)))
    write_bytes(paths[1], page(study).encode())
    return paths


def page(study: Study) -> str:
    """The page; its policy forbids all but its own style. Texts are escaped by Jinja.

    Raises:
        MissingExtraError: If Jinja is not installed.
    """
    check_page_can_be_made()
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style = page_style() + _asset("page.css")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("page.html.jinja")).render(
        study=study,
        meanings=MEANINGS,
        verdict=verdict(study),
        languages=[lang for lang in LANGUAGES if lang in study.rows[0].by_language],
        known=language_data(),
        number=_number,
        style=Markup(style),
        policy=f"default-src 'none'; style-src '{content_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        version=__version__,
    )


def verdict(study: Study) -> str:
    """One plain sentence: what tells insults best, and whether latents beat their controls."""
    words = {row.name: row.areas["word"] for row in study.rows}
    best = max(words, key=lambda name: words[name].mean)
    own = words["latents"]
    beaten = [name for name in ("random", "difference", "probe") if own.low > words[name].high]
    level = [
        name
        for name in ("random", "difference", "probe")
        if name not in beaten and own.high >= words[name].low
    ]
    parts = [f"Best at telling insulting words is {best} ({words[best]})"]
    parts.append(f"the {len(study.profiles)} latents have {own}")
    if beaten:
        parts.append(f"clearly better than {_listed(beaten)}")
    if level:
        parts.append(f"not clearly better than {_listed(level)}")
    worse = [name for name in ("random", "difference", "probe") if name not in beaten + level]
    if worse:
        parts.append(f"clearly worse than {_listed(worse)}")
    return "; ".join(parts) + "."


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _finite(content: Any) -> Any:
    """JSON knows no NaN: where a language lacks a kind of sentence there is null."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and content != content else content


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _asset(name: str) -> str:
    return (files("civilly.interpret.latents") / name).read_text(encoding="utf-8")
