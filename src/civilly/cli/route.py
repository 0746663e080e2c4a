"""``civilly route``: which languages something else than the default writes better, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from civilly.cli import _console
from civilly.cli._source import a_file
from civilly.cli._table import aligned, p_value
from civilly.data.values import as_json, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from civilly.select.route import Finding

EXAMPLES = """Examples:

civilly route runs/outputs/choice -o route.json --training runs/languages

civilly rewrite comments.tsv --route route.json -o civil.tsv"""


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES)(route)


def route(
    runs: Annotated[
        Path,
        typer.Argument(
            metavar="RUNS",
            help="Folder with a folder for each system, default among them: files with the "
            "columns lang, text and output, and way.json (method, model, adapter).",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=a_file, help="File for the route.")
    ],
    suite: Annotated[
        str, typer.Option("--suite", "-s", help="What scores the outputs; J decides.")
    ] = "reading",
    training: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder in which a train.jsonl, at any depth, was trained on: refused where it "
            "repeats a text; repeatable."
        ),
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    resamples: Annotated[
        int, typer.Option(min=500, help="Bootstrap samples, and sign flips, of each test.")
    ] = 10_000,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Of intervals and verdicts.")
    ] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the tests.")] = 12_345,
    debug: _console.DebugOption = False,
) -> None:
    """Choose for each language what writes it: the default, or what is shown to be better.

    A system is chosen in a language where paired randomisation, corrected over all languages and
    systems (Holm), and the bootstrap interval of the difference both say that its outputs read
    better than the default's on the same texts. Those must be of no training and of no other
    choice.
    """
    from civilly.data.files import write_bytes
    from civilly.leaderboard.routing import read_systems, refuse_trained, route_of

    systems = read_systems(runs)
    refuse_trained(systems, training or [])
    found, content = route_of(systems, suite, trials=resamples, confidence=confidence, seed=seed)
    write_bytes(output, content.encode())
    if json_lines:
        from dataclasses import asdict

        _console.write_out(as_json({"why": [asdict(each) for each in found]}) + "\n")
    else:
        _console.write_out(_table(found))
    better = [f"{each.lang}: {each.system}" for each in found if each.better]
    _console.note(f"better than the default: {', '.join(better) or 'nothing'}")
    _console.done(output, f"civilly rewrite comments.tsv --route {output}")


def _table(found: Sequence[Finding]) -> str:
    header = ("lang", "system", "n", "default", "mean", "difference", "p", "p, Holm", "verdict")
    rows = [
        (
            each.lang, each.system, str(each.n), short(each.default), short(each.mean),
            f"{short(each.difference)} [{_ends(each)}]", p_value(each.p),
            p_value(each.p_corrected), "better" if each.better else "default",
        )
        for each in found
    ]  # fmt: skip
    return aligned(header, rows)


def _ends(each: Finding) -> str:
    if each.low is None or each.high is None:
        return "–"
    return f"{short(each.low)}, {short(each.high)}"
