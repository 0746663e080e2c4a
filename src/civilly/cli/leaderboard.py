"""``civilly leaderboard``: a page that compares systems, from their scores or outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from civilly.cli import _console
from civilly.cli._scoring import (
    EngineOption,
    ReferenceOption,
    SuiteOptionsOption,
    complete_metric,
    refuse_existing,
)
from civilly.score import DEFAULT

if TYPE_CHECKING:
    from civilly.leaderboard.runs import Runs, System
    from civilly.leaderboard.standings import Board

EXAMPLES = """Examples:

civilly leaderboard runs/ -o site/

civilly leaderboard submissions/ -o site/ --suite reading --agreement agreement.json"""


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES)(leaderboard)


def leaderboard(
    runs: Annotated[
        Path,
        typer.Argument(
            metavar="RUNS",
            help="Folder of scores files (civilly score --output) and submissions "
            "(toxic_sentence, neutral_sentence, lang).",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="SITE", help="Folder for the page.")
    ],
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            "-s",
            autocompletion=complete_metric,
            help="Suite to show, and to score submissions with. Default: that of the scores "
            f"files, else {DEFAULT}.",
        ),
    ] = None,
    reference: ReferenceOption = None,
    option: SuiteOptionsOption = None,
    engine: EngineOption = None,
    agreement: Annotated[
        Path | None,
        typer.Option(
            help="How well the suite agrees with people, JSON by language: "
            '{"en": {"spearman_J": 0.31}}.'
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a page that exists.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the board as JSON, too.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Compare systems on one page: scores, ranks, who is significantly better, examples.

    Writes index.html, which needs no network, and leaderboard.md, .csv and .json.
    """
    from civilly.leaderboard.agreement import read_agreement
    from civilly.leaderboard.page import FILES, check_page_can_be_made, write_site
    from civilly.leaderboard.runs import chosen_suite, read_runs
    from civilly.leaderboard.tables import json

    check_page_can_be_made()
    refuse_existing([output / name for name in FILES], overwrite)
    known = read_agreement(agreement) if agreement else {}
    found = read_runs(runs, suite)
    _console.warn(found.warnings)
    name = suite or chosen_suite(found, DEFAULT)
    systems = [*found.systems, *_scored(found, name, reference, option, engine)]
    board = _built(systems, known)
    if len(board.signatures) > 1:
        _console.warn([f"the scores have different signatures: {', '.join(board.signatures)}"])
    for path in write_site(board, output):
        _console.note(str(path))
    if as_json:
        _console.write_out(json(board))


def _scored(
    runs: Runs, name: str, reference: Path | None, option: list[str] | None, engine: str | None
) -> list[System]:
    """The submissions, scored one after the other."""
    if not runs.submissions:
        return []
    from civilly import registry
    from civilly.cli._options import parse_options
    from civilly.data.submission import read_references
    from civilly.leaderboard.runs import system_of
    from civilly.leaderboard.scoring import references_by_sentence, score_submission
    from civilly.toolbox import Toolbox

    references = None
    if reference is not None:
        rows, warnings = read_references(reference)
        _console.warn(warnings)
        references = references_by_sentence(rows)
    metric = registry.create("score", name, Toolbox(engine, parse_options(option or [])))
    systems = []
    for submission in runs.submissions:
        with _console.progress(f"scoring {submission.name}", len(submission.rows)) as advance:
            scores = score_submission(submission, name, metric, references, advance)
        systems.append(system_of(scores))
    return systems


def _built(systems: list[System], agreement: dict[str, dict[str, float]]) -> Board:
    from civilly.leaderboard.standings import COLUMNS, build

    with _console.progress("comparing", len(COLUMNS)) as advance:
        return build(systems, agreement, advance)
