"""Rewrites one shard of a job: whole or not at all, and not again once it is done."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from civilly.batch.job import Job, Outcome, read_entry
from civilly.batch.rows import render, rewritten
from civilly.batch.source import Source, digest_of, source_of
from civilly.data.files import read_bytes, write_bytes
from civilly.data.io import format_of, parse_table
from civilly.data.journal import Journal, Record, open_journal
from civilly.data.table import Table
from civilly.data.values import as_json
from civilly.errors import CivillyError, DataError

PATIENCE = 60.0
"""Seconds to wait for the worker of a killed run, which may be at the shard for some more."""

Bad = list[dict[str, Any]]


def rewrite_shard(
    job: Job, name: str, identity: Mapping[str, Any], advance: Callable[[int], None]
) -> Outcome:
    """Rewrites a shard, unless its entry in the manifest says that it is done.

    Args:
        job: Which it is of.
        name: Which one.
        identity: Of the job; what else the output depends on.
        advance: Is told of rows that are done.

    Returns:
        What became of it; an error stands in it and beside the output, and is not raised.
    """
    try:
        data = read_bytes(job.folder / name)
        digest = digest_of(data, job.reading.encoding)
        output = job.output_of(name)
        output.parent.mkdir(parents=True, exist_ok=True)
        if done := _done(job, name, digest):
            return done
        source, bad = _source(job, name, data, digest)
        own = {**identity, "input": digest}
        with _journal(job, name, own, len(source.texts)) as journal:
            done = _done(job, name, digest)  # by the worker that was waited for
            if not done:
                records = _finished(job, source, journal, advance)
                done = _put(job, name, source, records, bad)
            journal.remove()
        return done
    except (CivillyError, OSError) as error:
        return failed(job, name, str(error))


def failed(job: Job, name: str, why: str) -> Outcome:
    """Sets a whole shard aside; a later run tries it again."""
    with contextlib.suppress(CivillyError, OSError):
        _write_bad(job, name, [{"what": why}])
    return Outcome(name, error=why)


def _done(job: Job, name: str, digest: str) -> Outcome | None:
    entry = read_entry(job.aside("done", name))
    if entry.get("input") != digest:
        return None
    try:
        written = job.output_of(name).read_bytes()
    except OSError:
        return None
    if entry.get("output") != hashlib.sha256(written).hexdigest():
        return None
    return Outcome(name, entry["rows"], entry["changed"], entry["bad"], done_before=True)


@contextlib.contextmanager
def _journal(job: Job, name: str, identity: Mapping[str, Any], rows: int) -> Iterator[Journal]:
    """The journal of a shard: taken up where it is of the same work, else begun anew."""
    with contextlib.ExitStack() as stack:
        output = job.output_of(name)

        def entered(resume: bool) -> Journal:
            return stack.enter_context(
                open_journal(
                    output, identity, rows, resume=resume, overwrite=True, patience=PATIENCE
                )
            )

        try:
            journal = entered(resume=True)
        except DataError:  # of an older input, or damaged: nothing in it is needed
            journal = entered(resume=False)
        yield journal


def _finished(
    job: Job, source: Source, journal: Journal, advance: Callable[[int], None]
) -> list[Record]:
    done = frozenset(journal.records)
    advance(len(done))
    for rows, records in rewritten(job.detoxifier, source, done=done):
        journal.append(rows, records)
        advance(len(rows))
    return [journal.records[row] for row in range(len(source.texts))]


def _put(job: Job, name: str, source: Source, records: list[Record], bad: Bad) -> Outcome:
    """Puts the output in its place, then what was bad, and at last the entry that it is done."""
    output = job.output_of(name)
    rows, format_name = range(len(records)), "jsonl" if job.json_lines else _format(job, name)
    write_bytes(output, render(source, records, rows, format_name, job.json_lines))
    _write_bad(job, name, bad)
    outcome = Outcome(name, len(records), sum(r["changed"] for r in records), len(bad))
    entry = {
        "input": source.digest,
        "output": hashlib.sha256(output.read_bytes()).hexdigest(),
        "rows": outcome.rows,
        "changed": outcome.changed,
        "bad": outcome.bad,
    }
    path = job.aside("done", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (as_json(entry) + "\n").encode())
    return outcome


def _write_bad(job: Job, name: str, bad: Bad) -> None:
    path = job.aside("bad", name)
    if not bad:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, "".join(as_json(each) + "\n" for each in bad).encode())


def _format(job: Job, name: str) -> str:
    return job.reading.format or format_of(Path(name))


def _source(job: Job, name: str, data: bytes, digest: str) -> tuple[Source, Bad]:
    """The texts of a shard, and its rows that were mended or cannot be read."""
    how, path = job.reading, str(job.folder / name)
    table, bad = _table(data, _format(job, name), path, how.encoding)
    source = source_of(table, path, digest, how.lang, how.text_column, how.lang_column)
    problems = sorted(source.problems, key=lambda each: each.row)
    return source, [*bad, *({"row": each.row, "what": each.what} for each in problems)]


def _table(data: bytes, format_name: str, path: str, encoding: str | None) -> tuple[Table, Bad]:
    try:
        return parse_table(data, format_name, path, encoding), []
    except DataError:
        if format_name != "jsonl":
            raise
        good, bad = _sorted_lines(data)
        if not good:
            raise
    return parse_table(b"\n".join([*good, b""]), format_name, path, encoding), bad


def _sorted_lines(data: bytes) -> tuple[list[bytes], Bad]:
    """The lines that hold an object, and those that hold none."""
    good: list[bytes] = []
    bad: Bad = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            is_object = isinstance(json.loads(line), dict)
        except (ValueError, RecursionError):
            is_object = False
        if is_object:
            good.append(line)
        else:
            shown = line.decode(errors="replace")
            bad.append({"line": number, "what": "this is no JSON object", "content": shown})
    return good, bad
