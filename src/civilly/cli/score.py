"""``civilly score``: the scores of submissions, per language, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._scoring import (
    SCORES_SUFFIX,
    ConfidenceOption,
    EngineOption,
    LangsOption,
    MismatchOption,
    ReferenceOption,
    Scoring,
    SeedOption,
    SuiteOption,
    SuiteOptionsOption,
    check_confidence,
    named,
    open_scoring,
    refuse_existing,
    require_distinct_names,
    run_signature,
)
from civilly.cli._table import aligned
from civilly.data.values import short
from civilly.errors import DataError
from civilly.score import DEFAULT
from civilly.score.joint import SHARES

if TYPE_CHECKING:
    from civilly.data.pair_leaks import PairKind
    from civilly.data.table import Table
    from civilly.score.intervals import Interval
    from civilly.score.scores_file import SystemScores
    from civilly.score.scoring import Summary

EXAMPLES = """Examples:

civilly score civil.tsv --reference dev.tsv -o civil.json

civilly score first.tsv second.tsv --reference dev.tsv --suite embedded"""


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES)(score)


def score(
    submissions: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]FILE…",
            help="Submissions (toxic_sentence, neutral_sentence, lang), or scores files (.json).",
        ),
    ],
    reference: ReferenceOption = None,
    suite: SuiteOption = DEFAULT,
    option: SuiteOptionsOption = None,
    engine: EngineOption = None,
    lang: LangsOption = None,
    mismatch: MismatchOption = "refuse",
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(
            "--trained-on",
            help="File that the system was trained on: refuse to score if it holds the sentences "
            "or references that are scored; repeatable.",
        ),
    ] = None,
    go_on: Annotated[
        bool, typer.Option("--go-on", help="Score in spite of leaks, with a warning.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Scores file to write, .json; with several submissions a folder for them.",
        ),
    ] = None,
    per_sentence: Annotated[
        Path | None,
        typer.Option(help="Table of all sentences with their scores: .tsv, .csv, .jsonl, …"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap samples.")] = 1_000,
    confidence: ConfidenceOption = 0.95,
    seed: SeedOption = 12_345,
    debug: _console.DebugOption = False,
) -> None:
    """Score rewrites: STA, SIM, FL and their product J per language, AvgP and AvgNP.

    Several submissions give a table of systems. Numbers in brackets are bootstrap intervals. The
    suite reading also gives the shares of outputs that a careful reader would find good, with a
    gap, still rude (insult+kept) or saying something else (meaning+overcut).
    """
    from civilly.score.comparison import require_same_signature
    from civilly.score.scoring import summarize_scores

    check_confidence(confidence)
    files = _files_to_write(output, submissions, overwrite)
    _check_per_sentence(per_sentence, overwrite)
    scoring = open_scoring(submissions, suite, option, engine, reference, lang, mismatch)
    leaks = _leaks(scoring, submissions, trained_on or [], go_on)
    systems = [scoring.scores_of(submission) for submission in submissions]
    require_distinct_names(systems)
    require_same_signature(systems)
    _write(systems, files, per_sentence)
    summaries = [
        summarize_scores([r.lang for r in s.rows], s.scores, resamples, confidence, seed)
        for s in systems
    ]
    drawing = (f"bs:{resamples}", f"seed:{seed}", f"conf:{confidence}")
    signature = run_signature(systems[0], *drawing)
    if as_json:
        _print_json(systems, summaries, signature, leaks)
        return
    if len(systems) == 1:
        columns = [column for column in systems[0].columns if column not in SHARES]
        _console.write_out(_table_of_languages(summaries[0], columns))
    else:
        _console.write_out(_table_of_systems(systems, summaries))
    if shares := [column for column in systems[0].columns if column in SHARES]:
        _console.write_out("\n" + _table_of_shares(systems, summaries, shares) + "\n")
    _console.write_out(f"signature: {signature}\n")


def _files_to_write(output: Path | None, submissions: Sequence[str], overwrite: bool) -> list[Path]:
    """The scores file of each submission; finds out before the work whether it can be written."""
    from civilly.data.io import knows_suffix

    if output is None:
        return []
    if knows_suffix(output) and not output.is_dir():
        raise DataError(
            f"{str(output)!r} is no scores file.",
            allowed=f"a name in {SCORES_SUFFIX}, or a folder",
            mend=f"-o SCORES{SCORES_SUFFIX}, or --per-sentence for a table",
        )
    if output.suffix.lower() == SCORES_SUFFIX and not output.is_dir():
        if len(submissions) > 1:
            raise DataError(
                f"{str(output)!r} is one file, but there are {len(submissions)} submissions.",
                mend="-o FOLDER for one scores file each",
            )
        files = [output]
    else:
        files = [output / f"{named(argument)[0]}{SCORES_SUFFIX}" for argument in submissions]
    refuse_existing(files, overwrite)
    return files


def _check_per_sentence(file: Path | None, overwrite: bool) -> None:
    from civilly.data.io import format_of

    if file is None:
        return
    if format_of(file, writing=True) == "lines":
        raise DataError(
            f"{str(file)!r}: plain lines cannot hold scores.", mend="--per-sentence FILE.tsv"
        )
    refuse_existing([file], overwrite)


def _leaks(
    scoring: Scoring, submissions: Sequence[str], trained_on: Sequence[Path], go_on: bool
) -> list[str]:
    """Checks the training files against the sentences that will be scored."""
    from civilly.data.io import read_table
    from civilly.data.pair_leaks import leaking_rows, refuse_leaks

    if not trained_on:
        return []
    toxic, references = scoring.evaluation(submissions)
    leaking: dict[str, PairKind] = {}
    for path in trained_on:
        _console.note(f"looking for leaks: {path}")
        leaking |= leaking_rows(read_table(path), str(path), toxic, references)
    refuse_leaks(
        leaking,
        mend="train without these rows, or quote the numbers as leaked with --go-on",
        go_on=go_on,
    )
    return [f"{row} ({kind})" for row, kind in leaking.items()]


def _write(systems: Sequence[SystemScores], files: Sequence[Path], sentences: Path | None) -> None:
    from civilly.data.io import write_table
    from civilly.score.scores_file import write_scores

    for scores, file in zip(systems, files, strict=bool(files)):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_scores(file, scores)
        _console.note(f"{len(scores.rows)} rows: {file}")
    if sentences is not None:
        table = _sentences(systems)
        write_table(sentences, table)
        _console.note(f"{len(table.rows)} rows: {sentences}")


def _sentences(systems: Sequence[SystemScores]) -> Table:
    """Every sentence with its scores; several references as a JSON list."""
    from civilly.data.table import Table

    texts = ["system", "lang", "toxic_sentence", "neutral_sentence", "reference"]
    rows: list[dict[str, Any]] = [
        {
            "system": system.system,
            "lang": row.lang,
            "toxic_sentence": row.toxic,
            "neutral_sentence": row.output,
            "reference": row.references[0] if len(row.references) == 1 else [*row.references],
            **values,
        }
        for system in systems
        for row, values in zip(system.rows, system.scores, strict=True)
    ]
    for row in rows:
        row["reference"] = row["reference"] or None
    return Table([*texts, *systems[0].columns], rows, "tsv")


def _average_label(name: str, summary: Summary) -> str:
    """``AvgP``, or ``AvgP (7 of 9)`` if languages are missing."""
    from civilly.score.scoring import AVERAGES

    scored, all_of_them = len(summary.averaged[name]), len(AVERAGES[name])
    return name if scored == all_of_them else f"{name} ({scored} of {all_of_them})"


def _table_of_languages(summary: Summary, columns: Sequence[str]) -> str:
    labels = {name: _average_label(name, summary) for name in summary.averages}
    scopes = [*summary.languages.items()]
    scopes += [(labels[name], intervals) for name, intervals in summary.averages.items()]
    rows = [
        [label, str(intervals[columns[0]].n), *(str(intervals[c]) for c in columns)]
        for label, intervals in scopes
    ]
    return aligned(["lang", "n", *columns], rows)


def _table_of_systems(systems: Sequence[SystemScores], summaries: Sequence[Summary]) -> str:
    """Systems by languages: J (or the metric), averages with their intervals."""
    column = systems[0].main_column
    langs = _present_in(summaries)
    names = list(dict.fromkeys(name for summary in summaries for name in summary.averages))
    rows = []
    for system, summary in zip(systems, summaries, strict=True):
        means = [
            short(summary.languages[code][column].mean) if code in summary.languages else "-"
            for code in langs
        ]
        averages = [
            f"{summary.averages[name][column]}{_average_label(name, summary)[len(name) :]}"
            if name in summary.averages
            else "-"
            for name in names
        ]
        rows.append([system.system, str(len(system.rows)), *means, *averages])
    return f"{column}\n" + aligned(["system", "n", *langs, *names], rows)


def _table_of_shares(
    systems: Sequence[SystemScores], summaries: Sequence[Summary], columns: Sequence[str]
) -> str:
    """What a suite finds at fault: of one system by language, of several on average."""
    rows = []
    for system, summary in zip(systems, summaries, strict=True):
        labels = {name: _average_label(name, summary) for name in summary.averages}
        scopes = [(labels[name], intervals) for name, intervals in summary.averages.items()]
        if len(systems) == 1 or not scopes:
            scopes = [*summary.languages.items(), *scopes]
        name = [system.system] if len(systems) > 1 else []
        rows += [
            [*name, label, *(str(intervals[column]) for column in columns)]
            for label, intervals in scopes
        ]
    title = ["system"] if len(systems) > 1 else []
    return aligned([*title, "lang", *columns], rows)


def _present_in(summaries: Sequence[Summary]) -> list[str]:
    """The languages that any system was scored in."""
    from civilly.score.scoring import present_languages

    return present_languages(code for summary in summaries for code in summary.languages)


def _print_json(
    systems: Sequence[SystemScores],
    summaries: Sequence[Summary],
    signature: str,
    leaks: Sequence[str],
) -> None:
    from civilly.data.values import as_json

    content = {
        "suite": systems[0].suite,
        "signature": signature,
        "leaks": list(leaks),
        "systems": [
            {
                "system": scores.system,
                "n": len(scores.rows),
                "config": dict(scores.config),
                "languages": {code: _plain(by) for code, by in summary.languages.items()},
                "averages": {
                    name: {"langs": list(summary.averaged[name]), **_plain(by)}
                    for name, by in summary.averages.items()
                },
            }
            for scores, summary in zip(systems, summaries, strict=True)
        ],
    }
    _console.write_out(as_json(content) + "\n")


def _plain(intervals: Mapping[str, Interval]) -> dict[str, Any]:
    from dataclasses import asdict

    return {column: asdict(interval) for column, interval in intervals.items()}
