"""The work of ``civilly rewrite``: chunk by chunk into a file, a page, or to standard output."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from civilly.batch.rows import records_of, render, rewritten, summary
from civilly.batch.source import Source
from civilly.cli import _console
from civilly.errors import CivillyError

if TYPE_CHECKING:
    from civilly.data.journal import Record
    from civilly.pipeline import Detoxifier


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
    from civilly.data.journal import open_journal

    total = len(source.texts)
    target = output or page
    assert target is not None
    with open_journal(target, identity, total, resume=resume, overwrite=overwrite) as journal:
        if journal.records:
            _console.note(f"going on after {len(journal.records)} of {total} rows")
        try:
            done = frozenset(journal.records)
            with _console.progress("rewriting", total, len(done), quiet=source.single) as advance:
                for rows, records in rewritten(detoxifier, source, done=done):
                    journal.append(rows, records)
                    advance(len(rows))
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
    _console.note(summary(records, str(target)))


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
        write_bytes(output, render(source, records, rows, format_name, json_lines))
    if page is not None:
        _write_page(records, source, page)


def _write_page(records: Sequence[Record], source: Source, page: Path) -> None:
    from civilly.cli._review import review_page
    from civilly.data.files import write_bytes

    write_bytes(page, review_page(records, source).encode())


def to_stdout(detoxifier: Detoxifier, source: Source, json_lines: bool) -> None:
    """Writes rows as soon as all before them are done, as the input's format (Parquet: JSONL)."""
    from civilly.data.chunks import IN_ORDER

    format_name = "jsonl" if source.table.format == "parquet" else source.table.format
    ready: dict[int, Record] = {}
    written = 0
    with _console.progress("rewriting", len(source.texts), quiet=source.single) as advance:
        for rows, records in rewritten(detoxifier, source, IN_ORDER):
            ready.update(zip(rows, records, strict=True))
            until = next(row for row in itertools.count(written) if row not in ready)
            if until > written:
                part = range(written, until)
                finished = [ready.pop(row) for row in part]
                _console.write_out(render(source, finished, part, format_name, json_lines))
                written = until
            advance(len(rows))
    if not written:
        _console.write_out(render(source, [], range(0), format_name, json_lines))


def to_person(detoxifier: Detoxifier, source: Source) -> None:
    """Prints one rewritten text; at a terminal also what was changed and why, on stderr."""
    record = records_of(detoxifier, source, [0])[0]
    _console.write_out(record["rewritten"] + "\n")
    if _console.stdout_is_terminal():
        from civilly.cli._difference import show_difference

        show_difference(record)
