"""Parquet, by pyarrow (extra ``parquet``)."""

from __future__ import annotations

import importlib
import io
from types import ModuleType

from civilly.data.files import mend_surrogates
from civilly.data.table import Table
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
        DataError: If the bytes are not a Parquet file.
        MissingExtraError: If pyarrow is not installed.
    """
    arrow = _import("pyarrow")
    parquet = _import("pyarrow.parquet")
    try:
        table = parquet.read_table(io.BytesIO(data))
        rows = table.to_pylist()
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{name} is not a Parquet file that can be read: {error}.",
            mend="check the file, or rename it to the suffix of its real format",
        ) from error
    return Table(list(table.column_names), rows, "parquet")


def format_parquet(table: Table) -> bytes:
    """The bytes of a Parquet file, columns typed by their values (no rows: strings).

    Raises:
        DataError: If a column holds values of several types.
        MissingExtraError: If pyarrow is not installed.
    """
    arrow = _import("pyarrow")
    parquet = _import("pyarrow.parquet")
    arrays = []
    for column in table.columns:
        values = [_mended(row.get(column)) for row in table.rows]
        try:
            array = arrow.array(values, type=None if any(v is not None for v in values) else "str")
        except arrow.ArrowException as error:
            raise DataError(
                f"Column {column!r} cannot become a Parquet column: {error}.",
                mend="write JSON lines instead (-o FILE.jsonl)",
            ) from error
        arrays.append(array)
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(arrays, names=table.columns), buffer)
    return buffer.getvalue()


def _mended(value: object) -> object:
    return mend_surrogates(value) if isinstance(value, str) else value
