"""JSON lines: one object per line; also read: the objects of a JSON array.

Each value of an object remembers how the file spells it, because Python cannot say every number
that JSON can: 1.0 and 1e0 are one float, 1e400 is none, and an integer of 5,000 digits is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from json import JSONDecodeError

from civilly.data.files import mend_surrogates
from civilly.data.spellings import NOT_UTF8, mend_row
from civilly.data.table import Layout, Problem, Row, Table, original_of
from civilly.data.values import as_json
from civilly.errors import DataError

_BLANK = re.compile(r"[ \t\n\r]*")
_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*+"|(-?Infinity|NaN)', re.DOTALL)
_LINE_BREAK = re.compile(r'("(?:[^"\\]|\\.)*+")|[\r\n]+[ \t]*')
_NULL = "NaN and Infinity are no JSON, so they are written as null"
_TWICE = "a key occurs twice in the object, so its last value counts"
_OBJECT = 'write one object per line, for example {"text": "…", "lang": "en"}'
_INTEGER_DIGITS = 4000
"""Longer integers are decimals: by default Python refuses to read 4,300 digits as an integer."""


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < _INTEGER_DIGITS else Decimal(digits)


def _real(digits: str) -> float | Decimal:
    number = float(digits)
    return Decimal(digits) if number in (float("inf"), float("-inf")) else number


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_real)


class JsonText(str):
    """A value that is JSON already and is written as it stands."""


def read_jsonl(text: str, name: str, layout: Layout | None = None) -> Table:
    """Reads one object per line; blank lines are not rows. An array of objects is read, too.

    Args:
        text: The decoded file.
        name: Name of the file, for messages.
        layout: How the file is laid out; becomes `Table.layout`.

    Raises:
        DataError: If a line is not a JSON object.
    """
    layout = layout or Layout()
    columns: dict[str, None] = {}
    rows: list[Row] = []
    spellings: list[Spelt] = []
    problems: list[Problem] = []
    is_array = _begins(text, "[") and not _is_array_of_others(text)
    for row, spelt, kinds in _array(text, name) if is_array else _lines(text, name, layout):
        if mend_row(row, spelt, as_json):
            kinds.add(NOT_UTF8)
        columns.update(dict.fromkeys(row))
        rows.append(row)
        spellings.append(spelt)
        problems += [Problem(len(rows), kind) for kind in sorted(kinds)]
    notes = ["it is a JSON array; what is written is JSON lines"] if is_array else []
    if is_array:
        layout = Layout(bad_bytes=layout.bad_bytes)
    names = list(columns)
    return Table(names, rows, "jsonl", problems, layout, original_of(names, spellings), notes)


Spelt = dict[str, tuple[object, str]]
Object = tuple[Row, Spelt, set[str]]
"""A row, its spellings (`civilly.data.table.Spellings`), and the kinds of problem."""


def _begins(text: str, character: str, at: int = 0) -> bool:
    match = _BLANK.match(text, at)
    return match is not None and text.startswith(character, match.end())


def _is_array_of_others(text: str) -> bool:
    """Whether an array begins with something else than an object: then a line is at fault."""
    at = text.index("[") + 1
    return not _begins(text, "{", at) and not _begins(text, "]", at)


def _lines(text: str, name: str, layout: Layout) -> Iterator[Object]:
    # A string in JSON has no line break, so a lone CR ends a line only where no LF does.
    for number, line in enumerate(text.split(layout.line_end[-1]), start=1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            if not _begins(line, "{"):
                _DECODER.decode(line)
                raise DataError(f"{where}: expected an object, got {line[:60]!r}.", mend=_OBJECT)
            found, end = _object(line, _skip(line, 0))
            if end != len(line):
                raise JSONDecodeError("Extra data", line, end)
        except JSONDecodeError as error:
            raise DataError(f"{where}: this is not JSON: {error}.", mend=_mend_of(text)) from error
        except RecursionError as error:
            raise _too_deep(where) from error
        yield found


def _mend_of(text: str) -> str:
    if re.match(r"\s*\{\s*\n", text):
        return "its objects go over several lines; one a line: jq -c . OLD > NEW"
    return "write one JSON object per line, without line breaks inside it"


def _too_deep(where: str) -> DataError:
    return DataError(
        f"{where}: this JSON is nested too deep to be read.",
        mend="leave the deep value out where the file is made; it is not the text",
    )


def _array(text: str, name: str) -> Iterator[Object]:
    """The objects of an array."""
    place, number = _skip(text, text.index("[") + 1), 0
    try:
        while not (text.startswith("]", place) and number == 0):
            number += 1
            if not text.startswith("{", place):
                raise JSONDecodeError("Expecting an object", text, place)
            found, place = _object(text, place)
            yield found
            if text.startswith("]", place):
                break
            place = _skip(text, _after(text, ",", place))
        if (end := _skip(text, place + 1)) != len(text):
            raise JSONDecodeError("Extra data", text, end)
    except JSONDecodeError as error:
        raise DataError(
            f"{name}: this is not a JSON array of objects: {error}.", mend=_OBJECT
        ) from error
    except RecursionError as error:
        raise _too_deep(f"{name}, object {number}") from error


def _skip(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    assert match is not None
    return match.end()


def _after(text: str, character: str, place: int) -> int:
    if not text.startswith(character, place):
        raise JSONDecodeError(f"Expecting {character!r}", text, place)
    return place + 1


def _object(text: str, place: int) -> tuple[Object, int]:
    """The object that begins at a place, and where what follows it begins."""
    row: Row = {}
    spelt: Spelt = {}
    kinds: set[str] = set()
    place = _skip(text, place + 1)
    while not (text.startswith("}", place) and not row):
        _after(text, '"', place)
        key, place = _DECODER.raw_decode(text, place)
        begin = _skip(text, _after(text, ":", _skip(text, place)))
        value, place = _DECODER.raw_decode(text, begin)
        spelling = text[begin:place]
        if key in row:
            kinds.add(_TWICE)
        row[key] = value
        if "NaN" in spelling or "Infinity" in spelling:
            spelling, times = _without_nan(spelling)
            kinds |= {_NULL} if times else set()
        if "\n" in spelling or "\r" in spelling:
            spelling = _LINE_BREAK.sub(lambda match: match[1] or "", spelling)
        if not _is_plain(value, spelling):
            spelt[key] = (value, spelling)
        place = _skip(text, place)
        if text.startswith("}", place):
            break
        place = _skip(text, _after(text, ",", place))
    return (row, spelt, kinds), _skip(text, place + 1)


def _is_plain(value: object, spelling: str) -> bool:
    """Whether Civilly would spell a value the same: every escape makes a string longer."""
    if isinstance(value, str):
        return len(spelling) == len(value) + 2 and mend_surrogates(value) == value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) == spelling
    return value is None or isinstance(value, bool)


def _without_nan(spelling: str) -> tuple[str, int]:
    """JSON with null where Python's writer has put NaN or an infinity, and how often."""
    found = [match for match in _NO_NUMBER.finditer(spelling) if match[1]]
    for match in reversed(found):
        spelling = spelling[: match.start()] + "null" + spelling[match.end() :]
    return spelling, len(found)


def format_jsonl(table: Table, layout: Layout | None = None, last: bool = True) -> str:
    """One object per line, keys in the order of its row; a column that a row lacks is left out.

    Args:
        table: What to write.
        layout: How to lay it out.
        last: Whether it is the end of the file.
    """
    layout = layout or Layout()
    columns = set(table.columns)
    lines = [
        json_of(table, number, [column for column in row if column in columns])
        for number, row in enumerate(table.rows)
    ]
    text = layout.line_end.join([*lines, ""])
    return text if layout.last_line_end or not last else text.removesuffix(layout.line_end)


def json_of(table: Table, number: int, columns: Iterable[str]) -> JsonText:
    """Some columns of a row as a JSON object, values spelt as in the file if it was JSON."""
    original = table.original if table.format == "jsonl" else None
    pairs = []
    for column in columns:
        value = table.rows[number][column]
        spelt = original.spelling(number, column, value) if original else None
        if spelt is None:
            spelt = value if isinstance(value, JsonText) else as_json(value)
        pairs.append(f"{as_json(column)}: {spelt}")
    return JsonText("{" + ", ".join(pairs) + "}")
