"""Values of Arrow columns for rows: nothing is rounded or cut, what Python cannot say is text.

`pyarrow.Array.to_pylist` cuts nanoseconds off, or refuses them, and shows a float32 with the digits
of a float64. Here times are ISO 8601, a float32 is its shortest decimal, bytes that are UTF-8 are
text, and a map is an object.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

_NO_FRACTION = re.compile(r"\.0+(?=$|Z|[+-])")
_OFFSET = re.compile(r"(?<=[+-]\d\d)(?=\d\d$)")
_UNITS = {"s": 0, "ms": -3, "us": -6, "ns": -9}


def values_of(column: Any) -> list[Any]:
    """The values of a chunked array, None where they are null."""
    arrow = importlib.import_module("pyarrow")
    values = [value for chunk in column.chunks for value in _values(arrow, chunk)]
    return _texts_if_all(values)


def _texts_if_all(values: list[Any]) -> list[Any]:
    """Bytes as text if all of them are UTF-8: one column is not text here and base64 there."""
    if not any(isinstance(value, bytes) for value in values):
        return values
    try:
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    except UnicodeDecodeError:
        return values


def _values(arrow: Any, array: Any) -> list[Any]:
    kind, types = array.type, arrow.types
    if isinstance(array, arrow.ExtensionArray):
        return _values(arrow, array.storage)
    if types.is_dictionary(kind):
        return _values(arrow, array.dictionary_decode())
    if types.is_run_end_encoded(kind):
        return _values(arrow, importlib.import_module("pyarrow.compute").run_end_decode(array))
    if types.is_timestamp(kind) or types.is_time(kind) or types.is_date(kind):
        return [None if text is None else _iso(text) for text in _as_strings(arrow, array)]
    if types.is_duration(kind):
        counts = array.cast(arrow.int64()).to_pylist()
        return [None if n is None else f"PT{_seconds(n, kind.unit)}S" for n in counts]
    if types.is_float32(kind):
        return [None if n is None else float(n) for n in array.cast(arrow.string()).to_pylist()]
    if types.is_map(kind):
        pair = arrow.struct([("key", kind.key_type), ("value", kind.item_type)])
        pairs = _values(arrow, array.cast(arrow.list_(pair)))
        return [None if one is None else _mapping(one) for one in pairs]
    if types.is_struct(kind):
        parts = [_values(arrow, child) for child in array.flatten()]
        names = [kind.field(number).name for number in range(kind.num_fields)]
        rows = zip(*parts, strict=True) if parts else [()] * len(array)
        objects = [dict(zip(names, row, strict=True)) for row in rows]
        there = array.is_valid().to_pylist()
        return [one if is_there else None for one, is_there in zip(objects, there, strict=True)]
    if hasattr(array, "value_lengths") and hasattr(array, "flatten"):
        items: Iterator[Any] = iter(_texts_if_all(_values(arrow, array.flatten())))
        lengths = array.value_lengths().to_pylist()
        return [None if n is None else list(islice(items, n)) for n in lengths]
    return list(array.to_pylist())


def _as_strings(arrow: Any, array: Any) -> list[str | None]:
    try:
        return list(array.cast(arrow.string()).to_pylist())
    except arrow.ArrowInvalid:  # a time zone that this system does not know: the same in UTC
        in_utc = array.cast(arrow.timestamp(array.type.unit, "UTC"))
        return list(in_utc.cast(arrow.string()).to_pylist())


def _iso(text: str) -> str:
    return _NO_FRACTION.sub("", _OFFSET.sub(":", text.replace(" ", "T", 1)))


def _seconds(count: int, unit: str) -> str:
    return f"{Decimal(count).scaleb(_UNITS[unit]):f}"


def _mapping(pairs: list[dict[str, Any]]) -> dict[str, Any] | list[list[Any]]:
    """An object, or pairs if the keys are no texts or not different."""
    keys = [pair["key"] for pair in pairs]
    if all(isinstance(key, str) for key in keys) and len(set(keys)) == len(keys):
        return {pair["key"]: pair["value"] for pair in pairs}
    return [[pair["key"], pair["value"]] for pair in pairs]
