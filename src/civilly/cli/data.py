"""``civilly data``: looks after data sets: builds a corpus, finds leaks and sets like ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console, _data_search
from civilly.cli._options import DataOption
from civilly.cli._source import EncodingOption, a_file
from civilly.cli._verbs import Shell

if TYPE_CHECKING:
    from civilly.data.pair_leaks import PairLeak
    from civilly.data.table import Table

BUILD_EXAMPLE = "Example: civilly data build recipes/corpus.toml -o runs/corpus"

PREFERENCES_EXAMPLE = (
    "Example: civilly data preferences recipes/preferences.toml -o runs/preferences"
)

EXAMPLES = """Examples:

civilly data leaks train.jsonl test.tsv

civilly data leaks train.jsonl.gz test.tsv -o clean.jsonl.gz"""

sets = Shell(help="Look after data sets.", epilog=BUILD_EXAMPLE)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.add_typer(sets, name="data")


@sets.command(epilog=BUILD_EXAMPLE)
def build(
    recipe: Annotated[Path, typer.Argument(help="Recipe file with a corpus table.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=a_file, help="Folder for the corpus.")
    ],
    data: DataOption = None,
    take_out_leaks: Annotated[
        bool,
        typer.Option(
            "--take-out-leaks",
            help="Leave pairs that repeat held-out or official texts out, instead of refusing.",
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace -o FOLDER.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Build the corpus of a recipe: licensed, harmonised, without duplicates and leaks, balanced.

    Writes train.jsonl, dev.jsonl (kept apart), corpus.json and a card, README.md; the recipe of
    another training can name the folder as a source of the kind built. Prints what each source gave
    and what was left out.
    """
    from civilly.data.corpus.build import build_corpus
    from civilly.data.corpus.folder_reader import REPORT_FILE
    from civilly.data.corpus.folder_writer import write_corpus
    from civilly.data.files import check_folder
    from civilly.data.pairs import data_folder
    from civilly.data.recipe_table import read_recipe
    from civilly.data.values import as_json as to_json
    from civilly.errors import DataError
    from civilly.methods.tuned_prompt import tuned_prompt

    if (output / REPORT_FILE).exists() and not overwrite:
        raise DataError(f"{str(output)!r} holds a corpus.", mend="--overwrite to replace it")
    check_folder(output)
    corpus = build_corpus(
        read_recipe(recipe), data_folder(data), take_out_leaks=take_out_leaks, tell=_console.note
    )
    report = write_corpus(corpus, output, lambda text, lang: tuned_prompt(text, lang).text)
    _console.write_out(to_json(report) + "\n" if as_json else _overview(report))
    _console.done(
        output, 'name it in a recipe as a source of the kind "built", then civilly train sft RECIPE'
    )


def _overview(report: Mapping[str, Any]) -> str:
    """Two tables: by source, with what was left out, and by language."""
    from civilly.cli._table import aligned

    sources = [
        (
            source["name"],
            source["licence"] or "",
            str(sum(source["train"].values())),
            str(sum(source["dev"].values())),
            ", ".join(f"{reason} {texts}" for reason, texts in source["dropped"].items()),
        )
        for source in report["sources"]
    ]
    sources += [
        (name, "", "0", "0", f"left out for its licence: {licence}")
        for name, licence in report["left_out"].items()
    ]
    sources.append(("all", "", str(report["train"]), str(report["dev"]), ""))
    languages = [
        (lang, str(counts["train"]), str(counts["dev"]))
        for lang, counts in report["languages"].items()
    ]
    by_source = aligned(("source", "licence", "train", "dev", "left out"), sources)
    return by_source + "\n" + aligned(("lang", "train", "dev"), languages)


@sets.command(epilog=PREFERENCES_EXAMPLE)
def preferences(
    recipe: Annotated[Path, typer.Argument(help="Recipe file with a preferences table.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=a_file, help="Folder for the preferences.")
    ],
    data: DataOption = None,
    take_out_leaks: Annotated[
        bool,
        typer.Option(
            "--take-out-leaks",
            help="Leave texts that repeat held-out or official texts out, instead of refusing.",
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace -o FOLDER.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Build preferences: better and worse outputs of the same texts, for civilly train prefer.

    Writes pairs_train.jsonl and pairs_held.jsonl (prompt, chosen, rejected), unpaired_train.jsonl
    and unpaired_held.jsonl (prompt, completion, label), preferences.json and a card, README.md.
    Prints what each language gave, and what gave no pair and why.
    """
    from civilly.data.files import check_folder
    from civilly.data.pairs import data_folder
    from civilly.data.recipe_table import read_recipe
    from civilly.data.values import as_json as to_json
    from civilly.errors import DataError
    from civilly.train.preference_data.build import build_preferences
    from civilly.train.preference_data.folder import REPORT_FILE, write_preferences

    if (output / REPORT_FILE).exists() and not overwrite:
        raise DataError(f"{str(output)!r} holds preferences.", mend="--overwrite to replace them")
    check_folder(output)
    made = build_preferences(
        read_recipe(recipe),
        recipe.parent,
        data_folder(data),
        take_out_leaks=take_out_leaks,
        tell=_console.note,
    )
    report = write_preferences(made, output)
    _console.write_out(to_json(report) + "\n" if as_json else _what_came(report))
    _console.done(output, "name the folder in a recipe of civilly train prefer")


def _what_came(report: Mapping[str, Any]) -> str:
    """Two tables: what each language gave, and what gave no pair."""
    from civilly.cli._table import aligned
    from civilly.train.preference_data.card import languages_of, reasons_of

    train, held = report["train"], report["held"]
    languages = [
        (lang, str(train["languages"].get(lang, 0)), str(held["languages"].get(lang, 0)))
        for lang in languages_of(report)
    ]
    languages.append(("all", str(train["pairs"]), str(held["pairs"])))
    unpaired = [(label, str(train[label]), str(held[label])) for label in ("good", "bad")]
    reasons = [(str(count), what, why) for count, what, why in reasons_of(report)]
    return "\n".join(
        [
            aligned(("pairs", "train", "held"), languages),
            aligned(("unpaired", "train", "held"), unpaired),
            aligned(("count", "of", "why there is no pair"), reasons),
        ]
    )


@sets.command(epilog=EXAMPLES)
def leaks(
    training: Annotated[Path, typer.Argument(metavar="TRAIN", help="Training rows; - is stdin.")],
    evaluation: Annotated[Path, typer.Argument(metavar="EVAL", help="Evaluation rows.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=a_file,
            help="File to write: TRAIN without the leaking rows.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace -o FILE.")] = False,
    go_on: Annotated[bool, typer.Option("--go-on", help="Only warn: exit with 0.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    encoding: EncodingOption = None,
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
    ours, theirs = _read(training, encoding), _read(evaluation, encoding)
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
    from civilly.data.files import refuse_existing
    from civilly.data.io import format_of
    from civilly.errors import DataError

    if str(training) == str(evaluation) == "-":
        raise DataError("Both TRAIN and EVAL are stdin.", mend="name a file for one of them")
    if output is None:
        return
    if format_of(output, writing=True) == "parquet":
        import civilly.data.parquet as parquet

        parquet.require()
    refuse_existing(output, overwrite)


def _read(path: Path, encoding: str | None) -> Table:
    from civilly.data.io import read_table
    from civilly.data.table import findings

    table = read_table(path, encoding=encoding)
    empty = [] if table.rows else ["it is empty: no rows"]
    _console.warn(f"{path}: {warning}" for warning in [*findings(table), *empty])
    return table


def _write_cleaned(output: Path, training: Table, leaking: Mapping[int, PairLeak]) -> None:
    from civilly.data.io import write_table

    kept = [number for number in range(len(training.rows)) if number not in leaking]
    write_table(output, training.take(kept))
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


sets.command(epilog=_data_search.EXAMPLE)(_data_search.search)
