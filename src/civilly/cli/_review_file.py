"""The reviewed file, prepared: each row as ``-o`` writes it, with a gap where the decision goes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from civilly.data.columns import with_rewrites
from civilly.data.io import format_table

if TYPE_CHECKING:
    from civilly.batch.source import Source
    from civilly.data.journal import Record
    from civilly.data.table import Table

STATUS_COLUMN = "decision"
"""Name of the column that says how a row was decided."""
_ENDING = re.compile(r"(\r\n|\n|\r)\Z")
_LINE_END = re.compile(r"\r\n|\n|\r")
_GAP = "thegap"


@dataclass(frozen=True, slots=True)
class Form:
    """How the rows of the reviewed file are written.

    Attributes:
        format: Name of the format; plain lines, which have no room for a decision, become TSV.
        lines: Whether the input is plain lines.
        head: What stands before the rows.
        end: The end of a line.
        closed: Whether the last line has it, too.
        delimiter: What separates fields; empty for JSON.
        quoted: Whether every field is in quotes.
        status: Name for a column of decisions.
    """

    format: str
    lines: bool
    head: str
    end: str
    closed: bool
    delimiter: str
    quoted: bool
    status: str

    def spelt(self, text: str) -> str:
        """A text as the page's script puts it into a gap (file.js)."""
        if self.format == "jsonl":
            return json.dumps(text, ensure_ascii=False)[1:-1]
        if self.quoted or re.search(rf'[{re.escape(self.delimiter)}"\r\n]', text):
            return '"' + text.replace('"', '""') + '"'
        return text


def prepared_file(source: Source, records: Sequence[Record]) -> dict[str, Any]:
    """What the page's script needs to write the reviewed file.

    The writer of ``-o`` writes every row, so that columns, their order, quotes and line ends are
    its own; the script only fills gaps.

    Args:
        source: The input.
        records: Its rewrites.

    Returns:
        The attributes of `Form`, and ``rows``: what stands before and behind each gap. What stands
        before is in two if the text is in it, which the page has already, else the second part is
        0. A fourth item is how a kept text is spelt, where that is not the usual way.
    """
    writer = _Writer(source, records)
    gaps = [writer.gap(number) for number in range(len(records))]
    form = writer.form(gaps)
    rows = [_packed(writer, form, number, *gap) for number, gap in enumerate(gaps)]
    return {**asdict(form), "rows": rows}


class _Writer:
    """Writes single rows as ``-o`` has them."""

    def __init__(self, source: Source, records: Sequence[Record]) -> None:
        self._source = source
        self.records = records
        given = source.table.format
        self._format = {"parquet": "jsonl", "lines": "tsv"}.get(given, given)
        self._head = self._written_head()

    def line(self, number: int, rewrite: str) -> str:
        """A row with some text for its rewrite, with its line end if it has one."""
        return self._content([number], rewrite).removeprefix(self._head)

    def gap(self, number: int) -> tuple[str, str]:
        """What stands before and behind the rewrite of a row, without the line end."""
        gap = _GAP
        while True:
            line = _ENDING.sub("", self.line(number, gap))
            if line.count(gap) == 1:
                before, _, behind = line.partition(gap)
                return before, behind
            gap += gap[-1]

    def form(self, gaps: Sequence[tuple[str, str]]) -> Form:
        """How the rows are written, as their gaps show it."""
        first, last = (self.line(n, _GAP) if gaps else "" for n in (0, len(gaps) - 1))
        # Between two rows there is always a line end; behind the last one there may be none.
        two = self._content([0, 1], _GAP).removeprefix(self._head) if len(gaps) > 1 else first
        end = _LINE_END.match(two, len(_ENDING.sub("", first))) or _ENDING.search(self._head)
        delimiter, quoted = "", False
        if self._format != "jsonl" and gaps:
            before, behind = gaps[0]
            quoted = before.endswith('"') and behind.startswith('"')
            delimiter = (behind.lstrip('"') or before.rstrip('"')[-1])[0]
        return Form(
            format=self._format,
            lines=self._source.table.format == "lines",
            head=self._head,
            end=end[0] if end else "\n",
            closed=_ENDING.search(last) is not None,
            delimiter=delimiter,
            quoted=quoted,
            status=_free_name(STATUS_COLUMN, self._table(range(len(gaps))).columns),
        )

    def _written_head(self) -> str:
        head = self._content([])
        if _ENDING.search(head) or not self.records:
            return head
        # The last line of a file may have no end, also if it is the header; before a row it has.
        end = _LINE_END.match(self._content([0]), len(head))
        return head + (end[0] if end else "")

    def _content(self, numbers: Sequence[int], rewrite: str = "") -> str:
        table = self._table(numbers, rewrite)
        content = format_table(table, self._format, self._source.roles.rewrite)
        return content.decode(errors="replace")

    def _table(self, numbers: Sequence[int], rewrite: str = "") -> Table:
        return with_rewrites(
            self._source.table,
            self._source.roles,
            [rewrite] * len(numbers),
            [self.records[number]["lang"] for number in numbers],
            start=numbers[0] if numbers else 0,
            lang_given=self._source.lang_given,
        )


def _packed(writer: _Writer, form: Form, number: int, before: str, behind: str) -> list[Any]:
    text = writer.records[number]["text"]
    line = _ENDING.sub("", writer.line(number, text))
    kept = line[len(before) : len(line) - len(behind)]
    if form.quoted:
        before, behind, kept = before[:-1], behind[1:], f'"{kept}"'
    start, here, rest = before.partition(text) if text else (before, "", "")
    spelling = [] if kept == form.spelt(text) else [kept]
    return [start, rest if here else 0, behind, *spelling]


def _free_name(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
