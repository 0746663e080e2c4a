"""Parquet: what nobody touched keeps type, values and metadata; elsewhere it is said honestly."""

from __future__ import annotations

import decimal
import io
import json
import uuid
from typing import Any

import pytest

from civilly.data.columns import languages_of, recognize, texts_of, with_rewrites
from civilly.data.io import format_table, losses, parse_table
from civilly.data.table import Table
from civilly.errors import DataError

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

MOMENT = 1_577_836_800_123_456_789
COLUMNS = {
    "ts_ns": arrow.array([1, MOMENT, None], arrow.timestamp("ns")),
    "ts_zone": arrow.array([0, MOMENT // 1000, None], arrow.timestamp("us", "Europe/Berlin")),
    "ts_nowhere": arrow.array([0, MOMENT // 1000, None], arrow.timestamp("us", "No/Where")),
    "time_ns": arrow.array([1, 2_000_000_000, None], arrow.time64("ns")),
    "date": arrow.array([1, 18262, None], arrow.date32()),
    "duration": arrow.array([1, -2_500_000_000, None], arrow.duration("ns")),
    "int8": arrow.array([1, -2, None], arrow.int8()),
    "uint8": arrow.array([1, 255, None], arrow.uint8()),
    "uint64": arrow.array([1, 2**64 - 1, None], arrow.uint64()),
    "float": arrow.array([0.1, 0.25, None], arrow.float32()),
    "dictionary": arrow.array(["a", "b", None]).dictionary_encode(),
    "large": arrow.array(["a", "b", None], arrow.large_string()),
    "decimal": arrow.array([decimal.Decimal("1.10"), None, None], arrow.decimal128(10, 2)),
    "list": arrow.array([[1, 2], None, []], arrow.list_(arrow.int16())),
    "fixed": arrow.array([[1, 2], None, [3, 4]], arrow.list_(arrow.int16(), 2)),
    "struct": arrow.array(
        [{"a": 1, "t": 2}, None, {"a": 3, "t": None}],
        arrow.struct([("a", arrow.int8()), ("t", arrow.timestamp("ns"))]),
    ),
    "map": arrow.array([[("k", 1)], None, []], arrow.map_(arrow.string(), arrow.int32())),
    "numbers": arrow.array([[(7, 1)], None, []], arrow.map_(arrow.int8(), arrow.int32())),
    "bytes": arrow.array([b"\xff\x00", b"ok", None]),
    "binary_text": arrow.array(["é".encode(), b"ok", None]),
    "nested": arrow.array(
        [[{"x": [1.5]}], None, []],
        arrow.list_(arrow.struct([("x", arrow.list_(arrow.float32()))])),
    ),
    "nulls": arrow.nulls(3),
    "bool": arrow.array([True, False, None]),
    "text": arrow.array(["You fool", "", None]),
    "lang": arrow.array(["en", "", "de"]),
}
FIRST_ROW = {
    "ts_ns": "1970-01-01T00:00:00.000000001",
    "ts_zone": "1970-01-01T01:00:00+01:00",
    "ts_nowhere": "1970-01-01T00:00:00Z",
    "time_ns": "00:00:00.000000001",
    "date": "1970-01-02",
    "duration": "PT0.000000001S",
    "int8": 1,
    "uint8": 1,
    "uint64": 1,
    "float": 0.1,
    "dictionary": "a",
    "large": "a",
    "decimal": "1.10",
    "list": [1, 2],
    "fixed": [1, 2],
    "struct": {"a": 1, "t": "1970-01-01T00:00:00.000000002"},
    "map": {"k": 1},
    "numbers": [[7, 1]],
    "bytes": "/wA=",
    "binary_text": "é",
    "nested": [{"x": [1.5]}],
    "nulls": None,
    "bool": True,
    "text": "You fool",
    "rewritten": "NEW0",
    "lang": "en",
}


def file_of(table: Any, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, **settings)
    return buffer.getvalue()


def read(content: bytes) -> Any:
    return parquet.read_table(io.BytesIO(content))


def everything() -> Any:
    table = arrow.table(COLUMNS).replace_schema_metadata({"mine": "yes"})
    field = table.schema.field("int8").with_metadata({"unit": "m"}).with_nullable(True)
    return table.cast(table.schema.set(table.schema.get_field_index("int8"), field))


def rewritten(table: Table) -> Table:
    roles = recognize(table, "x")
    texts, _ = texts_of(table, roles)
    codes = ["en" if code == "auto" else code for code in languages_of(table, roles)[0]]
    return with_rewrites(table, roles, [f"NEW{n}" for n in range(len(texts))], codes)


def test_every_type_survives() -> None:
    file = file_of(everything())
    before = read(file)
    after = read(format_table(rewritten(parse_table(file, "parquet", "x")), "parquet"))
    names = [*COLUMNS]
    assert after.column_names == [*names[:-1], "rewritten", "lang"]
    assert after.schema.metadata == {b"mine": b"yes"}
    for name in names[:-1]:
        assert after.schema.field(name).equals(before.schema.field(name), check_metadata=True), name
        assert after[name].equals(before[name]), name
    assert after["rewritten"].to_pylist() == ["NEW0", "NEW1", "NEW2"]
    assert after["lang"].to_pylist() == ["en", "en", "de"]


def test_the_file_is_written_as_the_input_was() -> None:
    content = file_of(everything(), compression="zstd", row_group_size=2)
    written = format_table(rewritten(parse_table(content, "parquet", "x")), "parquet")
    metadata = parquet.ParquetFile(io.BytesIO(written)).metadata
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [2, 1]
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_every_type_has_an_honest_spelling_elsewhere() -> None:
    table = parse_table(file_of(everything()), "parquet", "x")
    lines = format_table(rewritten(table), "jsonl").decode().splitlines()
    assert json.loads(lines[0]) == FIRST_ROW
    assert losses(table, "parquet", "text") == []
    assert losses(table, "jsonl", "text") == [
        "column 'bytes' has bytes that are no text, which are written in base64"
    ]
    header, first, *_ = format_table(table, "tsv").decode().splitlines()
    cells = dict(zip(header.split("\t"), first.split("\t"), strict=True))
    assert cells["ts_ns"] == "1970-01-01T00:00:00.000000001"
    assert (cells["decimal"], cells["date"], cells["bytes"]) == ("1.10", "1970-01-02", "/wA=")


def test_nan_is_kept_in_parquet_and_null_in_json() -> None:
    numbers = arrow.array([float("nan"), float("inf"), 1.0])
    content = file_of(arrow.table({"text": ["a", "b", "c"], "n": numbers}))
    table = parse_table(content, "parquet", "x")
    assert [json.loads(line)["n"] for line in format_table(table, "jsonl").splitlines()] == [
        None, None, 1.0,
    ]  # fmt: skip
    assert losses(table, "jsonl", "text") == [
        "column 'n' has NaN or infinity, which JSON has not: null is written"
    ]
    assert str(read(format_table(table, "parquet"))["n"].to_pylist()) == "[nan, inf, 1.0]"
    assert format_table(table, "csv").decode().splitlines()[1:] == ["a,NaN", "b,Infinity", "c,1.0"]


def test_a_binary_text_column_is_utf8() -> None:
    texts = arrow.array([b"You fool", "плохо".encode(), b"You \xff idiot", None])
    langs = arrow.array([b"en", b"", b"en", b"en"])
    table = parse_table(file_of(arrow.table({"text": texts, "lang": langs})), "parquet", "x")
    roles = recognize(table, "x")
    words, problems = texts_of(table, roles)
    assert words == ["You fool", "плохо", "You \ufffd idiot", ""]
    assert [(p.row, "UTF-8" in p.what) for p in problems] == [(3, True), (4, False)]
    assert languages_of(table, roles)[0] == ["en", "auto", "en", "en"]
    after = read(format_table(rewritten(table), "parquet"))
    assert after["text"].equals(arrow.chunked_array([texts]))
    assert after.schema.field("lang").type == arrow.binary()
    assert json.loads(format_table(rewritten(table), "jsonl").splitlines()[0])["text"] == "You fool"


@pytest.mark.parametrize(
    "kind", [arrow.string(), arrow.large_string(), arrow.dictionary(arrow.int8(), arrow.string())]
)
def test_a_language_column_that_is_filled_in_keeps_its_type(kind: Any) -> None:
    langs = arrow.array(["de", None], arrow.string()).cast(kind)
    table = parse_table(file_of(arrow.table({"text": ["a", "b"], "lang": langs})), "parquet", "x")
    after = read(format_table(rewritten(table), "parquet"))
    assert after.schema.field("lang").type == kind
    assert after["lang"].to_pylist() == ["de", "en"]


def test_a_column_that_makes_room_keeps_its_type() -> None:
    before = arrow.table({"toxic": ["a", "b"], "neutral": [["x"], None], "id": [1, 2]})
    after = read(format_table(rewritten(parse_table(file_of(before), "parquet", "x")), "parquet"))
    assert after.column_names == ["toxic", "neutral", "lang", "neutral_before", "id"]
    assert after["neutral_before"].equals(before["neutral"])
    assert after["neutral"].to_pylist() == ["NEW0", "NEW1"]


def test_some_rows_keep_their_types() -> None:
    file = file_of(everything())
    after = read(format_table(parse_table(file, "parquet", "x").take([2, 0]), "parquet"))
    assert after.equals(read(file).take([2, 0]))


def test_an_extension_type_survives() -> None:
    ids = arrow.array([uuid.UUID(int=7).bytes], arrow.binary(16)).cast(arrow.binary(16))
    array = arrow.ExtensionArray.from_storage(arrow.uuid(), ids)
    before = arrow.table({"text": ["a"], "id": array})
    after = read(format_table(rewritten(parse_table(file_of(before), "parquet", "x")), "parquet"))
    assert after["id"].equals(before["id"])


def test_columns_of_one_name_and_other_files_are_refused() -> None:
    twice = arrow.Table.from_arrays([arrow.array(["a"]), arrow.array(["b"])], ["text", "text"])
    with pytest.raises(DataError, match="'text' more than once"):
        parse_table(file_of(twice), "parquet", "x")
    with pytest.raises(DataError, match="--format parquet"):
        parse_table(file_of(arrow.table({"text": ["a"]})), "tsv", "x")


def test_pandas_reads_its_own_index_and_types_again(tmp_path: Any) -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.Index([5, 7], name="key")
    moments = pandas.to_datetime(["2020-01-01 00:00:00.123456789", None])
    before = pandas.DataFrame({"text": ["a", "b"], "when": moments}, index=index)
    before["kind"] = pandas.Categorical(["x", "y"])
    before.to_parquet(tmp_path / "x.parquet")
    table = parse_table((tmp_path / "x.parquet").read_bytes(), "parquet", "x")
    (tmp_path / "y.parquet").write_bytes(format_table(rewritten(table), "parquet"))
    after = pandas.read_parquet(tmp_path / "y.parquet")
    assert list(after.columns) == ["text", "rewritten", "lang", "when", "kind"]
    pandas.testing.assert_frame_equal(after[list(before.columns)], before)
