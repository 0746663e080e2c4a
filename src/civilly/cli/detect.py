"""``civilly detect``: language, toxicity and toxic spans of a text, stdin or a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._source import (
    EncodingOption,
    FormatOption,
    LangColumnOption,
    LangOption,
    TextArgument,
    TextColumnOption,
    TextOption,
    complete_entry,
    file_or_stdout,
    open_source,
    settled_languages,
)
from civilly.cli._verbs import TextVerb
from civilly.detect import DEFAULT

if TYPE_CHECKING:
    from civilly.batch.source import Source
    from civilly.types import Detection, Detector

ROWS_AT_ONCE = 512
"""Rows between two signs of life: less than a second's work."""

EXAMPLES = """Examples:

civilly detect "What the hell is wrong with you?"

civilly detect comments.tsv -o found.jsonl"""


def complete_detector(incomplete: str) -> list[tuple[str, str]]:
    """Detectors for shell completion, with their summaries."""
    return complete_entry("detect", incomplete)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES, cls=TextVerb)(detect)


def detect(
    text: TextArgument = None,
    given_text: TextOption = None,
    lang: LangOption = "auto",
    detector: Annotated[
        str,
        typer.Option(autocompletion=complete_detector, help="Detector: see civilly ls detectors."),
    ] = DEFAULT,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=file_or_stdout,
            help="File to write, .tsv, .csv, .jsonl or .parquet. Default, and -: standard output.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace -o FILE.")] = False,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object per text, with spans and flags.")
    ] = False,
    format_name: FormatOption = None,
    text_column: TextColumnOption = None,
    lang_column: LangColumnOption = None,
    encoding: EncodingOption = None,
    debug: _console.DebugOption = False,
) -> None:
    """Tell how toxic a text is, and where.

    Prints the probability that the text is toxic, its language and the text, tab-separated.
    """
    from civilly.data.io import write_table
    from civilly.data.table import Table
    from civilly.detect.by_sentence import open_detector

    _check_output(output, json_lines=json_lines, overwrite=overwrite)
    source = open_source(text, lang, format_name, text_column, lang_column, encoding, given_text)
    _console.warn(source.warnings)
    chunks = _detect(open_detector(detector), source)
    if output is not None:
        found = [row for chunk in chunks for row in chunk]
        columns = ["text", "lang", "p_toxic", "spans", "flags"]
        write_table(output, Table(columns, found, "jsonl"))
        _console.note(f"{len(found)} rows: {output}")
        return
    for chunk in chunks:
        _console.write_out("".join(map(_json_line if json_lines else _line, chunk)))


def _check_output(output: Path | None, *, json_lines: bool, overwrite: bool) -> None:
    from civilly.data.files import refuse_existing
    from civilly.data.io import format_of
    from civilly.errors import CivillyError, DataError

    if output is None:
        if overwrite:
            raise CivillyError("--overwrite is about a file.", mend="name it with -o FILE")
        return
    format_name = format_of(output, writing=True)
    if format_name == "lines":
        raise DataError(
            f"{str(output)!r}: plain lines cannot hold a detection.", mend="-o FILE.jsonl"
        )
    if json_lines and format_name != "jsonl":
        raise DataError(
            f"--json writes JSON lines, but {str(output)!r} is another format.",
            mend="-o FILE.jsonl",
        )
    if format_name == "parquet":
        import civilly.data.parquet as parquet

        parquet.require()
    refuse_existing(output, overwrite)


def _detect(detector: Detector, source: Source) -> Iterator[list[dict[str, Any]]]:
    """What was found, in parts that follow each other as the rows do."""
    from civilly.types import Text

    total = len(source.texts)
    with _console.progress("detecting", total, quiet=source.single) as advance:
        for start in range(0, total, ROWS_AT_ONCE):
            texts = source.texts[start : start + ROWS_AT_ONCE]
            langs = settled_languages(texts, source.langs[start : start + ROWS_AT_ONCE])
            detections = detector.detect([Text(*pair) for pair in zip(texts, langs, strict=True)])
            yield [_row(*each) for each in zip(texts, langs, detections, strict=True)]
            advance(len(texts))


def _row(text: str, lang: str, detection: Detection) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "text": text,
        "lang": lang,
        "p_toxic": detection.p_toxic,
        "spans": [
            {**asdict(span), "text": text[span.start : span.end]} for span in detection.spans
        ],
        "flags": list(detection.flags),
    }


def _json_line(row: dict[str, Any]) -> str:
    from civilly.data.values import as_json

    return as_json(row) + "\n"


def _line(row: dict[str, Any]) -> str:
    from civilly.data.lines import one_line

    text = one_line(row["text"]).replace("\t", " ")
    return f"{row['p_toxic']:.3f}\t{row['lang']}\t{text}\n"
