"""The work of ``civilly rewrite``: chunk by chunk into a file, a page, or to standard output."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from civilly.cli import _console
from civilly.cli._source import Source
from civilly.errors import CivillyError

if TYPE_CHECKING:
    from civilly.data.journal import Record
    from civilly.pipeline import Detoxifier


def _rewrite_rows(detoxifier: Detoxifier, source: Source, rows: Sequence[int]) -> list[Record]:
    from civilly.methods.records import filler_of, record_of

    texts = [source.texts[row] for row in rows]
    rewrites = detoxifier.rewrite(texts, [source.langs[row] for row in rows])
    filler = filler_of(detoxifier.describe()["options"])
    return [record_of(result, text, filler) for text, result in zip(texts, rewrites, strict=True)]


def _chunks(
    detoxifier: Detoxifier, source: Source, window: int, done: Container[int] = ()
) -> Iterator[tuple[list[int], list[Record]]]:
    """Rewrites chunk by chunk, with progress; gives the rows of each and their records.

    Args:
        detoxifier: Says how to cut the work, and does it.
        source: The texts.
        window: See `civilly.data.chunks`.
        done: Rows that were rewritten before.
    """
    chunks = detoxifier.chunks(source.texts, window)
    todo = [[row for row in chunk if row not in done] for chunk in chunks]
    total = len(source.texts)
    done_before = total - sum(map(len, todo))
    with _console.progress("rewriting", total, done_before, quiet=source.single) as advance:
        for rows in filter(None, todo):
            yield rows, _rewrite_rows(detoxifier, source, rows)
            advance(len(rows))


def _render(
    source: Source, records: Sequence[Record], rows: range, format_name: str, json_lines: bool
) -> bytes:
    """The content of the output for some rows: with a header if they are the first."""
    from civilly.cli._review import with_edits
    from civilly.data.columns import with_rewrites
    from civilly.data.io import format_table
    from civilly.data.jsonl import json_of
    from civilly.data.table import Table

    last = rows.stop == len(source.table.rows)
    if json_lines:
        used = (source.roles.text, source.roles.lang)
        objects = []
        for number, record in zip(rows, with_edits(records), strict=True):
            others = [name for name in source.table.rows[number] if name not in used]
            columns = {"columns": json_of(source.table, number, others)} if others else {}
            objects.append({**record, **columns})
        names = dict.fromkeys(name for item in objects for name in item)
        return format_table(Table(list(names), objects, "jsonl"), "jsonl")
    table = with_rewrites(
        source.table,
        source.roles,
        [record["rewritten"] for record in records],
        [record["lang"] for record in records],
        start=rows.start,
        lang_given=source.lang_given,
    )
    return format_table(table, format_name, source.roles.rewrite, rows.start == 0, last)


def to_files(
    detoxifier: Detoxifier,
    source: Source,
    output: Path | None,
    page: Path | None,
    identity: Mapping[str, Any],
    *,
    json_lines: bool,
    resume: bool,
    overwrite: bool,
) -> None:
    """Rewrites into a file, a page or both, by way of a journal: it can be killed and resumed."""
    from civilly.data.chunks import AT_ONCE
    from civilly.data.journal import open_journal

    total = len(source.texts)
    target = output or page
    assert target is not None
    with open_journal(target, identity, total, resume=resume, overwrite=overwrite) as journal:
        if journal.records:
            _console.note(f"going on after {len(journal.records)} of {total} rows")
        try:
            for rows, records in _chunks(detoxifier, source, AT_ONCE, frozenset(journal.records)):
                journal.append(rows, records)
            records = [journal.records[row] for row in range(total)]
            _write_files(source, records, output, page, json_lines=json_lines)
        except KeyboardInterrupt:
            _console.note(
                f"stopped after {len(journal.records)} of {total} rows; go on with --resume"
            )
            raise typer.Exit(130) from None
        except CivillyError as error:
            if journal.records:
                error.mend = "; then ".join(filter(None, [error.mend, "go on with --resume"]))
            raise
        journal.remove()
    _console.note(_summary(records, str(target)))


def _write_files(
    source: Source,
    records: Sequence[Record],
    output: Path | None,
    page: Path | None,
    *,
    json_lines: bool,
) -> None:
    from civilly.data.files import write_bytes
    from civilly.data.io import format_of

    if output is not None:
        rows, format_name = range(len(records)), format_of(output, writing=True)
        write_bytes(output, _render(source, records, rows, format_name, json_lines))
    if page is not None:
        _write_page(records, source, page)


def _write_page(records: Sequence[Record], source: Source, page: Path) -> None:
    from civilly.cli._review import review_page
    from civilly.data.files import write_bytes

    write_bytes(page, review_page(records, source).encode())


def identity_of(
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


def to_stdout(detoxifier: Detoxifier, source: Source, json_lines: bool) -> None:
    """Writes rows as soon as all before them are done, as the input's format (Parquet: JSONL)."""
    from civilly.data.chunks import IN_ORDER

    format_name = "jsonl" if source.table.format == "parquet" else source.table.format
    ready: dict[int, Record] = {}
    written = 0
    for rows, records in _chunks(detoxifier, source, IN_ORDER):
        ready.update(zip(rows, records, strict=True))
        until = next(row for row in itertools.count(written) if row not in ready)
        if until > written:
            part = range(written, until)
            finished = [ready.pop(row) for row in part]
            _console.write_out(_render(source, finished, part, format_name, json_lines))
            written = until
    if not written:
        _console.write_out(_render(source, [], range(0), format_name, json_lines))


def to_person(detoxifier: Detoxifier, source: Source) -> None:
    """Prints one rewritten text; at a terminal also what was changed and why, on stderr."""
    record = _rewrite_rows(detoxifier, source, [0])[0]
    _console.write_out(record["rewritten"] + "\n")
    if _console.stdout_is_terminal():
        from civilly.cli._difference import show_difference

        show_difference(record)
