"""``civilly detect``: language, toxicity and toxic spans of a text, stdin or a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._source import (
    EncodingOption,
    FormatOption,
    LangColumnOption,
    LangOption,
    Source,
    TextArgument,
    TextColumnOption,
    complete_entry,
    open_source,
    settled_languages,
)

if TYPE_CHECKING:
    from civilly.types import Detector

EXAMPLES = """Examples:

civilly detect "What the hell is wrong with you?"

civilly detect comments.tsv -o found.jsonl"""


def complete_detector(incomplete: str) -> list[tuple[str, str]]:
    """Detectors for shell completion, with their summaries."""
    return complete_entry("detect", incomplete)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES)(detect)


def detect(
    text: TextArgument = None,
    lang: LangOption = "auto",
    detector: Annotated[
        str,
        typer.Option(autocompletion=complete_detector, help="Detector: see civilly ls detectors."),
    ] = "toxicity",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, .tsv, .csv, .jsonl or .parquet."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace -o FILE.")] = False,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object per text, with spans.")
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
    from civilly import registry
    from civilly.data.io import write_table
    from civilly.data.table import Table

    if output is not None:
        _check_output(output, overwrite)
    source = open_source(text, lang, format_name, text_column, lang_column, encoding)
    _console.warn(source.warnings)
    found = _detect(registry.create("detect", detector, None), source)
    if output is not None:
        columns = ["text", "lang", "p_toxic", "spans"]
        write_table(output, Table(columns, found, "jsonl"))
        _console.note(f"{len(found)} rows: {output}")
    elif json_lines:
        from civilly.data.values import as_json

        _console.write_out("".join(as_json(row) + "\n" for row in found))
    else:
        _console.write_out("".join(map(_line, found)))


def _check_output(output: Path, overwrite: bool) -> None:
    from civilly.data.io import format_of
    from civilly.errors import DataError

    if format_of(output, writing=True) == "lines":
        raise DataError(
            f"{str(output)!r}: plain lines cannot hold a detection.", mend="-o FILE.jsonl"
        )
    if output.exists() and not overwrite:
        raise DataError(f"{str(output)!r} exists.", mend="--overwrite to replace it")


def _detect(detector: Detector, source: Source) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from civilly.data.journal import chunk_bounds
    from civilly.types import Text

    found: list[dict[str, Any]] = []
    with _console.progress("detecting", len(source.texts), quiet=source.single) as advance:
        for rows in chunk_bounds(len(source.texts)):
            texts = source.texts[rows.start : rows.stop]
            langs = settled_languages(texts, source.langs[rows.start : rows.stop])
            detections = detector.detect([Text(*pair) for pair in zip(texts, langs, strict=True)])
            for text, lang, detection in zip(texts, langs, detections, strict=True):
                spans = [
                    {**asdict(span), "text": text[span.start : span.end]}
                    for span in detection.spans
                ]
                p_toxic = detection.p_toxic
                found.append({"text": text, "lang": lang, "p_toxic": p_toxic, "spans": spans})
            advance(len(rows))
    return found


def _line(row: dict[str, Any]) -> str:
    from civilly.data.lines import one_line

    text = one_line(row["text"]).replace("\t", " ")
    return f"{row['p_toxic']:.3f}\t{row['lang']}\t{text}\n"
