"""``civilly data``: looks after data sets: leaks of evaluation rows into training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console

if TYPE_CHECKING:
    from civilly.data.pair_leaks import PairLeak
    from civilly.data.table import Table

EXAMPLES = """Examples:

civilly data leaks train.jsonl test.tsv

civilly data leaks train.jsonl.gz test.tsv -o clean.jsonl.gz"""

sets = typer.Typer(help="Look after data sets.", no_args_is_help=True, epilog=EXAMPLES)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.add_typer(sets, name="data")


@sets.callback()
def _data() -> None:
    """Keeps ``leaks`` a command of its own while it is the only one."""


@sets.command(epilog=EXAMPLES)
def leaks(
    training: Annotated[Path, typer.Argument(metavar="TRAIN", help="Training rows; - is stdin.")],
    evaluation: Annotated[Path, typer.Argument(metavar="EVAL", help="Evaluation rows.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write: TRAIN without the leaking rows."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace -o FILE.")] = False,
    go_on: Annotated[bool, typer.Option("--go-on", help="Only warn: exit with 0.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Find rows of EVAL in TRAIN: exact, normalised, nearly the same, or by a shared id.

    Every text of a row is compared: the toxic sentence and the references. Prints one line per
    leaking text, tab-separated: kind, row of TRAIN and its side, row of EVAL and its side,
    similarity, both texts; rows count from 1. Exits with 1 if there are leaks, unless -o took them
    out or --go-on was given.
    """
    from civilly.data.pair_leaks import leaks_between, refuse_leaks, sides_of, strictest

    _check_files(training, evaluation, output, overwrite)
    ours, theirs = _read(training), _read(evaluation)
    found = leaks_between(sides_of(ours, str(training)), sides_of(theirs, str(evaluation)))
    rows = strictest(found)
    _console.write_out(
        _report(ours, theirs, found, rows) if as_json else "".join(map(_line, found))
    )
    if output is not None:
        _write_cleaned(output, ours, rows)
        return
    if not rows:
        _console.note(f"no leaks: {len(ours.rows)} rows against {len(theirs.rows)}")
    refuse_leaks(
        {
            f"row {row + 1} (evaluation row {leak.evaluation + 1})": leak.kind
            for row, leak in rows.items()
        },
        mend="-o FILE writes TRAIN without them; --go-on goes on knowingly",
        go_on=go_on,
    )


def _check_files(training: Path, evaluation: Path, output: Path | None, overwrite: bool) -> None:
    from civilly.data.io import format_of
    from civilly.errors import DataError

    if str(training) == str(evaluation) == "-":
        raise DataError("Both TRAIN and EVAL are stdin.", mend="name a file for one of them")
    if output is None:
        return
    format_of(output)
    if output.exists() and not overwrite:
        raise DataError(f"{str(output)!r} exists.", mend="--overwrite to replace it")


def _read(path: Path) -> Table:
    from civilly.data.io import read_table
    from civilly.data.table import summarize

    table = read_table(path)
    empty = [] if table.rows else ["it is empty: no rows"]
    _console.warn(f"{path}: {warning}" for warning in [*summarize(table.problems), *empty])
    return table


def _write_cleaned(output: Path, training: Table, leaking: Mapping[int, PairLeak]) -> None:
    from civilly.data.io import write_table
    from civilly.data.table import Table

    kept = [row for number, row in enumerate(training.rows) if number not in leaking]
    write_table(output, Table(training.columns, kept, training.format))
    _console.note(f"{len(kept)} rows kept, {len(leaking)} leaking rows left out: {output}")


def _line(leak: PairLeak) -> str:
    cells = (
        leak.kind,
        str(leak.training + 1),
        leak.training_side,
        str(leak.evaluation + 1),
        leak.evaluation_side,
        f"{leak.similarity:.2f}",
        " ".join(leak.training_text.split()),
        " ".join(leak.evaluation_text.split()),
    )
    return "\t".join(cells) + "\n"


def _report(
    training: Table,
    evaluation: Table,
    found: Sequence[PairLeak],
    rows: Mapping[int, PairLeak],
) -> str:
    """Everything as one JSON object; rows count from 1 and ``kinds`` counts training rows."""
    from dataclasses import asdict

    from civilly.data.pair_leaks import KINDS
    from civilly.data.values import as_json

    report: dict[str, Any] = {
        "training_rows": len(training.rows),
        "evaluation_rows": len(evaluation.rows),
        "leaking_rows": len(rows),
        "kinds": {kind: sum(leak.kind == kind for leak in rows.values()) for kind in KINDS},
        "leaks": [
            {
                **asdict(leak),
                "training": leak.training + 1,
                "evaluation": leak.evaluation + 1,
                "similarity": round(leak.similarity, 4),
            }
            for leak in found
        ],
    }
    return as_json(report) + "\n"
