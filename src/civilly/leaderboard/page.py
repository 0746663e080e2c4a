"""The leaderboard as one page that needs no network, and as Markdown, CSV and JSON beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from civilly import __version__
from civilly.data.files import write_bytes
from civilly.data.values import as_json, short
from civilly.errors import DataError, MissingExtraError
from civilly.languages import LANGUAGES
from civilly.leaderboard import plots, scatter, tables
from civilly.leaderboard.comparisons import LEVEL
from civilly.leaderboard.examples import FAILURES, LOW, example_data, failure_shares
from civilly.leaderboard.runs import MEASURES
from civilly.leaderboard.standings import COLUMNS, LEAST_SHARED, Board, Cell
from civilly.score.intervals import Interval
from civilly.score.joint import JOINT
from civilly.score.scoring import AVERAGES

FILES = ("index.html", "leaderboard.md", "leaderboard.csv", "leaderboard.json")
"""What `write_site` writes."""
SHADES = 6
"""Shades of the rank map, the first for rank 1."""
ROWS_PER_PAGE = 10
_MEANINGS = {
    "J": "J: all three together, sentence by sentence",
    "STA": "STA: no longer toxic",
    "SIM": "SIM: same content",
    "FL": "FL: well formed",
}
_SCRIPTS = ("page.js", "difference.js", "examples.js")
# Hinglish is Hindi in Latin script; the rest are codes that browsers know.
_BROWSER_LANGUAGES = {"hin": "hi-Latn"}


def check_page_can_be_made() -> None:
    """Finds out before any scoring whether the page can be made.

    Raises:
        MissingExtraError: If Jinja is not installed.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("The leaderboard's page", "report", str(error.name)) from error


def write_site(board: Board, folder: Path) -> list[Path]:
    """Writes `FILES` into a folder, which is made; the same board gives the same bytes.

    Returns:
        The files.

    Raises:
        MissingExtraError: If Jinja is not installed.
        DataError: If the folder cannot be written.
    """
    contents = (
        render(board).encode(),
        tables.markdown(board).encode(),
        tables.csv(board),
        tables.json(board).encode(),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{str(folder)!r} cannot be made: {error.strerror}.", mend="choose another with -o"
        ) from error
    paths = [folder / name for name in FILES]
    for path, content in zip(paths, contents, strict=True):
        write_bytes(path, content)
    return paths


def render(board: Board) -> str:
    """The page.

    Every text from outside is escaped by Jinja, or reaches the page as data that its script writes
    as text. A content security policy with the hashes of our own script and style forbids all else,
    the network too.

    Raises:
        MissingExtraError: If Jinja is not installed.
    """
    check_page_can_be_made()
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_asset("page.html.jinja"))
    style = page_style()
    script = '"use strict";\n' + "\n".join(map(_asset, _SCRIPTS))
    return template.render(
        board=board,
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src '{content_hash(style)}'; "
        f"script-src '{content_hash(script)}'; img-src data:; base-uri 'none'; form-action 'none'",
        measures={name: _MEANINGS[name] for name in MEASURES},
        columns=COLUMNS,
        averages=AVERAGES,
        languages=LANGUAGES,
        least_shared=LEAST_SHARED,
        level=LEVEL,
        joint=JOINT,
        failures=FAILURES,
        low=LOW,
        shares=[failure_shares(system) for system in board.systems],
        sentences=_sentences(board),
        short=short,
        agreement=tables.agreement_of,
        shade=_shade,
        intervals=_safe(plots.all_interval_plots(board)),
        scatters=_safe({n: scatter.scatter_plot(board, c) for n, c in board.columns.items()}),
        data=Markup(script_json(_page_data(board))),
        examples=base64.b64encode(example_data(board.systems)).decode(),
        version=__version__,
    )


def page_style() -> str:
    """The style sheet of our pages."""
    return _asset("plots.css") + _asset("page.css")


def plot_style() -> str:
    """The part of it that plots need, where they stand alone."""
    return _asset("plots.css")


def _asset(name: str) -> str:
    return (files("civilly.leaderboard") / name).read_text(encoding="utf-8")


def content_hash(source: str) -> str:
    """How a content security policy names a style or script that may stand in the page."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _safe(plots_by_name: Mapping[str, Any]) -> dict[str, Any]:
    """Marks plots as markup, at any depth: their texts were escaped when they were drawn."""
    from markupsafe import Markup

    return {
        name: Markup(plot) if isinstance(plot, str) else _safe(plot)
        for name, plot in plots_by_name.items()
    }


def script_json(content: object) -> str:
    """JSON that cannot end its ``<script>`` element, whatever the strings in it."""
    return as_json(content).replace("<", "\\u003c").replace("\u2028", "\\u2028")


def language_data() -> dict[str, Any]:
    """What the scripts of our pages know of the languages."""
    return {
        code: {
            "name": lang.name,
            "code": _BROWSER_LANGUAGES.get(code, code),
            "direction": "rtl" if lang.right_to_left else "ltr",
            "spaces": lang.spaces,
        }
        for code, lang in LANGUAGES.items()
    }


def _sentences(board: Board) -> int:
    return len({sentence for system in board.systems for sentence in system.rows})


def _shade(cell: Cell, ranked: int) -> int:
    """The shade of a rank: 1 for the best group, up to `SHADES` for the last place."""
    if cell.rank is None or cell.rank == 1 or ranked < 2:
        return 1
    return 2 + round((SHADES - 2) * (cell.rank - 2) / max(1, ranked - 2))


def _page_data(board: Board) -> dict[str, Any]:
    """What the page's script works with."""
    return {
        "systems": [system.name for system in board.systems],
        "measures": MEASURES,
        "languages": language_data(),
        "failures": [{"name": f.name, "label": f.label, "measure": f.measure} for f in FAILURES],
        "level": LEVEL,
        "rowsPerPage": ROWS_PER_PAGE,
        "comparisons": {
            measure: {
                name: [
                    [
                        c.first,
                        c.second,
                        *_numbers(c.difference),
                        round(c.p, 5),
                    ]
                    for c in column.comparisons[measure]
                ]
                for name, column in board.columns.items()
            }
            for measure in MEASURES
        },
        "means": {
            measure: {
                name: {str(i): round(column.cells[measure][i].mean.mean, 5) for i in column.ranked}
                for name, column in board.columns.items()
            }
            for measure in MEASURES
        },
    }


def _numbers(interval: Interval) -> list[float | None]:
    """Mean and ends; no ends where there is no interval."""
    ends = (interval.mean, interval.low, interval.high)
    return [None if end is None else round(end, 4) for end in ends]
