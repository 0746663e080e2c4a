"""The reviewed file, prepared: each row as ``-o`` writes it, with a gap where the decision goes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from civilly.data.columns import with_rewrites
from civilly.data.io import format_table

if TYPE_CHECKING:
    from civilly.cli._source import Source
    from civilly.data.journal import Record
    from civilly.data.table import Table

STATUS_COLUMN = "decision"
"""Name of the column that says how a row was decided."""
_LINE_END = re.compile(r"(\r\n|\n|\r)\Z")
_NEXT_LINE_END = re.compile(r"\r\n|\n|\r")
_GAP = "thegap"


def prepared_file(source: Source, records: Sequence[Record]) -> dict[str, Any]:
    """What the page's script needs to write the reviewed file.

    The writer of ``-o`` writes every row, so that columns, their order, quotes and line ends are
    its own; the script only fills gaps. Plain lines have no room for a decision: they become TSV.

    Args:
        source: The input.
        records: Its rewrites.

    Returns:
        ``format``; ``lines`` whether the input is plain lines; ``head`` before the rows; ``end`` of
        a line and whether the last line has it (``closed``); ``delimiter``, and whether every field
        is ``quoted``; ``status``, the name for a column of decisions; and ``rows``: what stands
        before and behind the gap. What stands before is in two if the text is in it, which the page
        has already. A fourth item is how a kept text is spelt, where that is not the usual way.
    """
    given = source.table.format
    format_name = {"parquet": "jsonl", "lines": "tsv"}.get(given, given)
    head = _head(source, format_name, records)
    rows = [_row(source, format_name, head, *item) for item in enumerate(records)]
    first, final = (
        (_line(source, format_name, head, n, records[n]) if records else "") for n in (0, -1)
    )
    end = _LINE_END.search(head or first)
    found: dict[str, Any] = {
        "format": format_name,
        "lines": given == "lines",
        "head": head,
        "end": end[0] if end else "\n",
        "closed": bool(_LINE_END.search(final)),
        "delimiter": "",
        "quoted": False,
        "status": _free_name(STATUS_COLUMN, _written(source, records).columns),
    }
    if format_name != "jsonl" and rows:
        before, behind = rows[0]
        found["quoted"] = before.endswith('"') and behind.startswith('"')
        found["delimiter"] = (behind.lstrip('"') or before.rstrip('"')[-1])[0]
    found["rows"] = [
        _packed(source, found, number, record, *rows[number])
        for number, record in enumerate(records)
    ]
    return found


def _written(source: Source, records: Sequence[Record], rewrite: str = "", start: int = 0) -> Table:
    """Rows as ``-o`` has them, with some text for their rewrites."""
    return with_rewrites(
        source.table,
        source.roles,
        [rewrite] * len(records),
        [record["lang"] for record in records],
        start=start,
    )


def _content(source: Source, format_name: str, table: Table) -> str:
    return format_table(table, format_name, source.roles.rewrite).decode(errors="replace")


def _head(source: Source, format_name: str, records: Sequence[Record]) -> str:
    """What stands before the first row, with its line end."""
    head = _content(source, format_name, _written(source, []))
    if _LINE_END.search(head) or not records:
        return head
    # A file whose last line does not end has a header that does.
    first = _content(source, format_name, _written(source, records[:1]))
    return head + (_NEXT_LINE_END.match(first, len(head)) or [""])[0]


def _line(
    source: Source, format_name: str, head: str, number: int, record: Record, rewrite: str = ""
) -> str:
    number %= len(source.texts)
    content = _content(source, format_name, _written(source, [record], rewrite, number))
    return content.removeprefix(head)


def _row(
    source: Source, format_name: str, head: str, number: int, record: Record
) -> tuple[str, str]:
    """What stands before and behind the rewrite, without the line end."""
    gap = _GAP
    while True:
        line = _LINE_END.sub("", _line(source, format_name, head, number, record, gap))
        if line.count(gap) == 1:
            before, _, behind = line.partition(gap)
            return before, behind
        gap += "p"


def _packed(
    source: Source, file: dict[str, Any], number: int, record: Record, before: str, behind: str
) -> list[Any]:
    text = record["text"]
    whole = _line(source, file["format"], file["head"], number, record, text)
    line = _LINE_END.sub("", whole)
    kept = line[len(before) : len(line) - len(behind)]
    if file["quoted"]:
        before, behind, kept = before[:-1], behind[1:], f'"{kept}"'
    spelt = [] if kept == _spelt(text, file) else [kept]
    start, here, rest = before.partition(text) if text else (before, "", "")
    return [start, rest if here else 0, behind, *spelt]


def _spelt(text: str, file: dict[str, Any]) -> str:
    """A text in the gap, as the page's script writes it."""
    if file["format"] == "jsonl":
        return json.dumps(text, ensure_ascii=False)[1:-1]
    if file["quoted"] or re.search(rf'[{re.escape(file["delimiter"])}"\r\n]', text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _free_name(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
