"""Parquet, by pyarrow (extra ``parquet``): columns that nobody touches keep type and values."""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from civilly.data.files import mend_surrogates
from civilly.data.table import Original, Table
from civilly.errors import DataError, MissingExtraError


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise MissingExtraError("Reading and writing Parquet", "parquet", "pyarrow") from None


def require() -> None:
    """Makes sure that Parquet can be read and written.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """
    _import("pyarrow")


def read_parquet(data: bytes, name: str) -> Table:
    """Reads a Parquet file.

    Raises:
        DataError: If the bytes are not a Parquet file, or two of its columns have one name.
        MissingExtraError: If pyarrow is not installed.
    """
    arrow = _import("pyarrow")
    parquet = _import("pyarrow.parquet")
    from civilly.data.arrow_values import values_of

    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        content = file.read()
        values = {n: values_of(content.column(k)) for k, n in enumerate(content.column_names)}
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{name} is not a Parquet file that can be read: {error}.",
            mend="check the file, or rename it to the suffix of its real format",
        ) from error
    if len(values) < content.num_columns:
        twice = sorted(n for n in values if content.column_names.count(n) > 1)
        raise DataError(
            f"{name} has the column {', '.join(map(repr, twice))} more than once.",
            mend="give every column its own name",
        )
    return Table(
        list(content.column_names),
        [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)],
        "parquet",
        original=Original(
            content,
            range(content.num_rows),
            {column: column for column in values},
            settings=_settings(file.metadata),
        ),
    )


def _settings(metadata: Any) -> Mapping[str, Any]:
    """How a file is compressed and cut into row groups; the items of lists keep their names."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if not groups or not metadata.num_columns:
        return {}
    used = [groups[0].column(number).compression for number in range(metadata.num_columns)]
    most_used = max(sorted(used), key=used.count)
    return {
        "row_group_size": max(1, *(group.num_rows for group in groups)),
        "use_compliant_nested_type": False,
        "compression": "none" if most_used == "UNCOMPRESSED" else most_used.lower(),
    }


def format_parquet(table: Table) -> bytes:
    """The bytes of a Parquet file.

    A column that was read from Parquet and not touched is written as it was: type, values,
    metadata. Other columns are typed by their values (no rows: strings).

    Raises:
        DataError: If a column holds values of several types.
        MissingExtraError: If pyarrow is not installed.
    """
    arrow = _import("pyarrow")
    parquet = _import("pyarrow.parquet")
    original = table.original if table.format == "parquet" else None
    known = original.columns if original else {}
    source: Any = original.content if original else None
    if original and list(original.rows) != list(range(source.num_rows)):
        source = source.take(original.rows)
    arrays, fields = [], []
    for column in table.columns:
        if column in known:
            array = source.column(known[column])
            field = source.schema.field(known[column]).with_name(column)
        else:
            array = _new_column(arrow, table, column)
            field = arrow.field(column, array.type)
        arrays.append(array)
        fields.append(field)
    schema = arrow.schema(fields, metadata=source.schema.metadata if original else None)
    buffer = io.BytesIO()
    settings = original.settings if original else {}
    parquet.write_table(arrow.table(arrays, schema=schema), buffer, **settings)
    return buffer.getvalue()


def _new_column(arrow: ModuleType, table: Table, column: str) -> Any:
    """A column from its values, of the type that it had if it was read from Parquet."""
    values = [_mended(row.get(column)) for row in table.rows]
    kind = _former_type(table, column)
    if kind is None and all(value is None for value in values):
        kind = arrow.string()
    try:
        return arrow.array(values, type=kind)
    except (arrow.ArrowException, OverflowError) as error:
        raise DataError(
            f"Column {column!r} cannot become a Parquet column: {error}.",
            mend="write JSON lines instead (-o FILE.jsonl)",
        ) from error


def _former_type(table: Table, column: str) -> Any:
    """The type of a column of texts that was read from Parquet and has got others, else None."""
    if table.original is None or table.format != "parquet":
        return None
    types, schema = _import("pyarrow").types, table.original.content.schema
    if column not in schema.names:
        return None
    kind = schema.field(column).type
    inner = kind.value_type if types.is_dictionary(kind) else kind
    texts = (
        types.is_string, types.is_large_string, types.is_string_view,
        types.is_binary, types.is_large_binary, types.is_binary_view,
    )  # fmt: skip
    return kind if any(is_kind(inner) for is_kind in texts) else None


def _mended(value: object) -> object:
    return mend_surrogates(value) if isinstance(value, str) else value
