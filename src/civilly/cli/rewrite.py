"""``civilly rewrite``: a text, stdin or a file goes in, its civil version comes out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._options import parse_options
from civilly.cli._source import (
    FormatOption,
    LangColumnOption,
    LangOption,
    Source,
    TextArgument,
    TextColumnOption,
    complete_entry,
    open_source,
)
from civilly.errors import CivillyError, DataError

if TYPE_CHECKING:
    from civilly.data.journal import Record
    from civilly.pipeline import Detoxifier
    from civilly.types import Rewrite

EXAMPLES = """Examples:

civilly rewrite "What the hell is wrong with you?"

civilly rewrite comments.tsv -o civil.tsv --resume

civilly rewrite comments.tsv --method tuned+infill --page review.html

civilly rewrite comments.tsv --strength 0.2 --option decoding=sample -n 8 --select consensus

cat comments.txt | civilly rewrite - --lang en --json"""


def complete_method(incomplete: str) -> list[tuple[str, str]]:
    """Rewriting methods for shell completion, with their summaries."""
    return complete_entry("methods", incomplete)


def complete_selector(incomplete: str) -> list[tuple[str, str]]:
    """Selectors for shell completion, with their summaries."""
    return complete_entry("select", incomplete)


def complete_engine(incomplete: str) -> list[tuple[str, str]]:
    """Engines for shell completion, with their summaries."""
    return complete_entry("engines", incomplete)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES)(rewrite)


def rewrite(
    text: TextArgument = None,
    lang: LangOption = "auto",
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            autocompletion=complete_method,
            help="Rewriting method: see civilly ls methods. Several: tuned+infill.",
        ),
    ] = "tuned",
    engine: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_engine,
            help="Engine that generates: see civilly ls engines. Default: the embedded one.",
        ),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="Folder of a LoRA adapter instead of the shipped one.")
    ] = None,
    n_candidates: Annotated[
        int | None, typer.Option("--n-candidates", "-n", min=1, help="Candidates per text.")
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="From touching as little as possible (0) to paraphrasing freely (1).",
        ),
    ] = 0.5,
    select: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_selector,
            help="What chooses among candidates: see civilly ls selectors. "
            "Default: the method's own.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="Option of the method; repeatable."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; its suffix says the format."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with -o FILE after an interruption.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace -o FILE and unfinished work on it.")
    ] = False,
    json_lines: Annotated[
        bool,
        typer.Option("--json", help="One JSON object per text: spans, edits, candidates, why."),
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(help="Also a page on which a person decides row by row (HTML)."),
    ] = None,
    format_name: FormatOption = None,
    text_column: TextColumnOption = None,
    lang_column: LangColumnOption = None,
    debug: _console.DebugOption = False,
) -> None:
    """Rewrite toxic text so that it says the same thing civilly.

    A text that is civil already, or that nothing better was found for, stays as it is. A file
    keeps its rows, their order and its other columns.
    """
    if page is not None:
        _check_page(page, text, output, json_lines=json_lines, overwrite=overwrite)
    _check_output(output, page, json_lines=json_lines, resume=resume, overwrite=overwrite)
    source = open_source(text, lang, format_name, text_column, lang_column)
    _console.warn(source.warnings)
    from civilly.pipeline import Detoxifier

    options = parse_options(option or [])
    detoxifier = Detoxifier(
        method=method,
        engine=engine,
        adapter=adapter,
        n_candidates=n_candidates,
        options=options,
        select=select,
        strength=strength,
    )
    if output is not None:
        identity = _identity(detoxifier, source, options)
        _to_file(
            detoxifier, source, output, identity, page,
            json_lines=json_lines, resume=resume, overwrite=overwrite,
        )  # fmt: skip
    elif page is not None:
        _to_page(detoxifier, source, page)
    elif source.single and not json_lines:
        _to_person(detoxifier, source)
    else:
        _to_stdout(detoxifier, source, json_lines)


def _check_page(
    page: Path, text: str | None, output: Path | None, *, json_lines: bool, overwrite: bool
) -> None:
    """Finds out before the work whether the page can be written, and over nothing else."""
    if json_lines and output is None:
        raise CivillyError("--page and --json would both be the output.", mend="-o FILE.jsonl")
    others = [os.path.abspath(path) for path in (text, output) if path]
    if os.path.abspath(page) in others:
        raise DataError(f"The page {str(page)!r} is the input or -o.", mend="another name")
    if page.exists() and not overwrite:
        raise DataError(f"{str(page)!r} exists.", mend="--overwrite, or another name")
    if not page.parent.is_dir():
        raise DataError(f"There is no folder {str(page.parent)!r}.", mend="make it")


def _check_output(
    output: Path | None, page: Path | None, *, json_lines: bool, resume: bool, overwrite: bool
) -> None:
    """Finds out before the work whether its result can be written."""
    from civilly.data.io import format_of

    if output is None:
        if resume or (overwrite and page is None):
            raise CivillyError(
                "--resume and --overwrite are about a file.", mend="name it with -o FILE"
            )
        return
    if resume and overwrite:
        raise CivillyError("--resume and --overwrite exclude each other.", mend="give one of them")
    if format_of(output) == "parquet":
        import civilly.data.parquet as parquet

        parquet.require()
    if json_lines and format_of(output) != "jsonl":
        raise DataError(
            f"--json writes JSON lines, but {str(output)!r} is another format.",
            mend="-o FILE.jsonl",
        )


def _rewrite_rows(detoxifier: Detoxifier, source: Source, rows: range) -> list[Record]:
    texts = source.texts[rows.start : rows.stop]
    rewrites = detoxifier.rewrite(texts, source.langs[rows.start : rows.stop])
    filler = _filler(detoxifier)
    return [_record(text, result, filler) for text, result in zip(texts, rewrites, strict=True)]


def _filler(detoxifier: Detoxifier) -> str:
    """Who fills the holes, if the method ``infill`` is asked."""
    from civilly.methods.fillers import DEFAULT

    options = detoxifier.describe()["options"]
    return str(options.get("infill.filler") or options.get("filler") or DEFAULT)


def _chunks(
    detoxifier: Detoxifier, source: Source, done: int = 0, quiet: bool = False
) -> Iterator[list[Record]]:
    """Rewrites chunk by chunk, with progress; ``done`` rows were rewritten before."""
    from civilly.data.journal import chunk_bounds

    total = len(source.texts)
    with _console.progress("rewriting", total, done, quiet=quiet) as advance:
        for rows in chunk_bounds(total):
            if rows.start >= done:
                records = _rewrite_rows(detoxifier, source, rows)
                yield records
                advance(len(records))


def _record(text: str, result: Rewrite, filler: str) -> Record:
    """A result as a JSON object."""
    from dataclasses import asdict

    return {
        **({"filler": filler} if result.method == "infill" else {}),
        "text": text,
        "rewritten": result.rewritten,
        "lang": result.lang,
        "changed": result.changed,
        "method": result.method,
        "reason": result.reason,
        "before": asdict(result.before),
        "after": asdict(result.after),
        "candidates": [
            {**asdict(candidate), "scores": asdict(scores)}
            for candidate, scores in result.candidates
        ],
    }


def _render(
    source: Source, records: Sequence[Record], rows: range, format_name: str, json_lines: bool
) -> bytes:
    """The content of the output for some rows: with a header if they are the first."""
    from civilly.cli._review import with_edits
    from civilly.data.columns import with_rewrites
    from civilly.data.io import format_table
    from civilly.data.table import Table

    part = source.table.rows[rows.start : rows.stop]
    if json_lines:
        used = (source.roles.text, source.roles.lang)
        objects = []
        for row, record in zip(part, with_edits(records), strict=True):
            others = {name: value for name, value in row.items() if name not in used}
            objects.append({**record, "columns": others} if others else record)
        names = dict.fromkeys(name for item in objects for name in item)
        return format_table(Table(list(names), objects, "jsonl"), "jsonl")
    table = with_rewrites(
        source.table,
        source.roles,
        [record["rewritten"] for record in records],
        [record["lang"] for record in records],
        start=rows.start,
    )
    return format_table(table, format_name, source.roles.rewrite, header=rows.start == 0)


def _to_file(
    detoxifier: Detoxifier,
    source: Source,
    output: Path,
    identity: Mapping[str, Any],
    page: Path | None,
    *,
    json_lines: bool,
    resume: bool,
    overwrite: bool,
) -> None:
    """Rewrites into a file, by way of a journal, so that it can be killed and resumed."""
    from civilly.data.files import write_bytes
    from civilly.data.io import format_of
    from civilly.data.journal import open_journal

    total = len(source.texts)
    with open_journal(
        output, identity, len(source.texts), resume=resume, overwrite=overwrite
    ) as journal:
        done = len(journal.records)
        if done:
            _console.note(f"going on after {done} of {total} rows")
        try:
            for records in _chunks(detoxifier, source, done):
                journal.append(records)
        except KeyboardInterrupt:
            _console.note(
                f"stopped after {len(journal.records)} of {total} rows; go on with --resume"
            )
            raise typer.Exit(130) from None
        content = _render(source, journal.records, range(total), format_of(output), json_lines)
        write_bytes(output, content)
        if page is not None:
            _write_page(journal.records, source, page)
        journal.remove()
    _console.note(_summary(journal.records, str(output)))


def _to_page(detoxifier: Detoxifier, source: Source, page: Path) -> None:
    """Rewrites for a page alone."""
    records = [record for chunk in _chunks(detoxifier, source) for record in chunk]
    _write_page(records, source, page)
    _console.note(_summary(records, str(page)))


def _write_page(records: Sequence[Record], source: Source, page: Path) -> None:
    from civilly.cli._review import review_page
    from civilly.data.files import write_bytes

    write_bytes(page, review_page(records, source).encode())


def _identity(
    detoxifier: Detoxifier, source: Source, options: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Everything that the result depends on, for the journal."""
    from civilly import __version__

    return {
        "civilly version": __version__,
        "input": source.digest,
        "text column": source.roles.text,
        "languages": _digest(source.langs),
        "pipeline": detoxifier.describe(),
        "options": dict(options),
    }


def _digest(values: Iterable[str]) -> str:
    import hashlib

    return hashlib.sha256("\n".join(values).encode()).hexdigest()


def _summary(records: Sequence[Record], name: str) -> str:
    changed = sum(record["changed"] for record in records)
    return f"{len(records)} rows, {changed} rewritten, {len(records) - changed} kept: {name}"


def _to_stdout(detoxifier: Detoxifier, source: Source, json_lines: bool) -> None:
    """Writes each chunk when it is finished, in the format of the input (Parquet: JSON lines)."""
    format_name = "jsonl" if source.table.format == "parquet" else source.table.format
    done = 0
    for records in _chunks(detoxifier, source, quiet=_console.stdout_is_terminal()):
        rows = range(done, done + len(records))
        _console.write_out(_render(source, records, rows, format_name, json_lines))
        done = rows.stop
    if not done:
        _console.write_out(_render(source, [], range(0), format_name, json_lines))


def _to_person(detoxifier: Detoxifier, source: Source) -> None:
    """Prints one rewritten text; at a terminal also what was changed and why, on stderr."""
    record = _rewrite_rows(detoxifier, source, range(1))[0]
    _console.write_out(record["rewritten"] + "\n")
    if _console.stdout_is_terminal():
        from civilly.cli._difference import show_difference

        show_difference(record)
