"""Rewrites the rows of a file, chunk by chunk, and puts them where they belong in the output."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from civilly import __version__
from civilly.batch.source import Source
from civilly.data.chunks import AT_ONCE
from civilly.data.columns import with_rewrites
from civilly.data.io import format_table
from civilly.data.journal import Record
from civilly.data.jsonl import json_of
from civilly.data.table import Table
from civilly.detect.by_sentence import open_detector
from civilly.methods.edits import Edit, explained
from civilly.methods.records import filler_of, record_of
from civilly.pipeline import Detoxifier
from civilly.types import Detection, Span, Text


def rewritten(
    detoxifier: Detoxifier, source: Source, window: int = AT_ONCE, done: Container[int] = ()
) -> Iterator[tuple[list[int], list[Record]]]:
    """Rewrites chunk by chunk; gives the rows of each and their records.

    Args:
        detoxifier: Says how to cut the work, and does it.
        source: The texts.
        window: See `civilly.data.chunks`.
        done: Rows that were rewritten before.
    """
    if detoxifier.only_toxic is None:
        yield from _in_chunks(detoxifier, source, range(len(source.texts)), window, done)
        return
    filler = _filler(detoxifier)
    for start in range(0, len(source.texts), window):
        rows = range(start, min(start + window, len(source.texts)))
        if all(row in done for row in rows):
            continue
        found = dict(zip(rows, detoxifier.pass_by(*_texts(source, rows)), strict=True))
        passed = {row: each for row, each in found.items() if each and row not in done}
        if passed:
            yield list(passed), [record_of(each, each.text, filler) for each in passed.values()]
        others = [row for row in rows if not found[row]]
        yield from _in_chunks(detoxifier, source, others, window, done)


def _in_chunks(
    detoxifier: Detoxifier,
    source: Source,
    rows: Sequence[int],
    window: int,
    done: Container[int],
) -> Iterator[tuple[list[int], list[Record]]]:
    """Cuts all rows, so that a resumed run cuts alike, and does what is not done."""
    for chunk in detoxifier.chunks([source.texts[row] for row in rows], window):
        todo = [rows[place] for place in chunk if rows[place] not in done]
        if todo:
            yield todo, records_of(detoxifier, source, todo)


def _texts(source: Source, rows: Sequence[int]) -> tuple[list[str], list[str]]:
    return [source.texts[row] for row in rows], [source.langs[row] for row in rows]


def records_of(detoxifier: Detoxifier, source: Source, rows: Sequence[int]) -> list[Record]:
    """The records of some rows."""
    texts, langs = _texts(source, rows)
    rewrites = detoxifier.rewrite(texts, langs)
    filler = _filler(detoxifier)
    return [record_of(result, text, filler) for text, result in zip(texts, rewrites, strict=True)]


def _filler(detoxifier: Detoxifier) -> str:
    """Who fills the holes, if the method ``infill`` is asked."""
    return filler_of(detoxifier.describe()["options"])


def render(
    source: Source, records: Sequence[Record], rows: range, format_name: str, json_lines: bool
) -> bytes:
    """The content of the output for some rows: with a header if they are the first."""
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


def with_edits(records: Sequence[Record]) -> list[Record]:
    """The records of ``--json``, each with its edits (`civilly.methods.edits.Edit`)."""
    return [
        {**record, "edits": [asdict(edit) for edit in row]}
        for record, row in zip(records, _edits(records), strict=True)
    ]


def _edits(records: Sequence[Record]) -> list[list[Edit]]:
    return explained(
        [Text(record["text"], record["lang"]) for record in records],
        [record["rewritten"] for record in records],
        [
            Detection(
                record["before"]["p_toxic"],
                tuple(Span(**span) for span in record["before"]["spans"]),
            )
            for record in records
        ],
        open_detector(),
    )


def identity_of(
    detoxifier: Detoxifier, source: Source, options: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Everything that the result depends on, for the journal."""
    return {
        "civilly version": __version__,
        "input": source.digest,
        "text column": source.roles.text,
        "languages": _digest(source.langs),
        "pipeline": detoxifier.describe(),
        "options": dict(options),
    }


def _digest(values: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(values).encode()).hexdigest()


def summary(records: Sequence[Record], name: str) -> str:
    """How many rows there are, and how many were changed, in one line."""
    changed = sum(record["changed"] for record in records)
    return f"{len(records)} rows, {changed} rewritten, {len(records) - changed} kept: {name}"
