"""What nobody touched is written byte for byte: cells, quotes, numbers, line ends, marks."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from civilly.data.columns import languages_of, recognize, texts_of, with_rewrites
from civilly.data.delimited import find_delimiter
from civilly.data.io import format_table, losses, parse_table, read_table, write_table
from civilly.data.table import Table, findings
from civilly.errors import DataError

BOM = b"\xef\xbb\xbf"
LINE_ENDS = ["\n", "\r\n", "\r"]


def rewritten(table: Table, rewrites: list[str] | None = None) -> Table:
    """The table as the verb writes it, with texts that are always changed."""
    roles = recognize(table, "x")
    texts, _ = texts_of(table, roles)
    new = rewrites if rewrites is not None else [f"NEW{number}" for number in range(len(texts))]
    return with_rewrites(table, roles, new, ["en"] * len(texts))


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


plain_cells = st.text(
    st.one_of(st.characters(exclude_categories=["Cs", "Cc"]), st.sampled_from("é\u2028\x85🙂")),
    max_size=8,
)
cells = st.text(
    st.one_of(st.sampled_from('ab,;\t|"\n\r '), st.characters(codec="utf-8")), max_size=8
)


@st.composite
def files(draw: st.DrawFn) -> tuple[list[list[str]], str, str, bool, bool]:
    """Spelt cells, the header first, delimiter, line end, mark, whether the last line ends."""
    delimiter = draw(st.sampled_from("\t,;|"))
    line_end = draw(st.sampled_from(LINE_ENDS))
    always = draw(st.booleans())
    special = {delimiter, '"', "\n", "\r"}

    def spelt(cell: str) -> str:
        needed = bool(special & set(cell)) or always
        return quoted(cell) if needed or draw(st.booleans()) else cell

    header = [quoted(name) if always else name for name in ("id", "text", "lang", "other")]
    rows = draw(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=5))
    lines = [[spelt(first), spelt(text), spelt("en"), spelt(other)] for first, text, other in rows]
    return [header, *lines], delimiter, line_end, draw(st.booleans()), draw(st.booleans())


def content(lines: list[list[str]], file: tuple[object, str, str, bool, bool]) -> bytes:
    _, delimiter, line_end, mark, last = file
    text = line_end.join(delimiter.join(line) for line in lines) + (line_end if last else "")
    return (BOM if mark else b"") + text.encode()


@pytest.mark.parametrize("format_name", ["csv", "tsv"])
@given(file=files())
def test_a_table_of_text_is_written_back_but_for_the_new_column(
    format_name: str,
    file: tuple[list[list[str]], str, str, bool, bool],
) -> None:
    lines = file[0]
    table = parse_table(content(lines, file), format_name, "x")
    assert [row["other"] for row in table.rows] == [
        cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for *_, cell in lines[1:]
    ]
    every = lines[0][0].startswith('"')
    new = [quoted(name) if every else name for name in ["rewritten", *_new(lines)]]
    expected = [[*line[:2], word, *line[2:]] for line, word in zip(lines, new, strict=True)]
    assert format_table(rewritten(table), format_name) == content(expected, file)
    assert format_table(table, format_name) == content(lines, file)


def _new(lines: list[list[str]]) -> list[str]:
    return [f"NEW{number}" for number in range(len(lines) - 1)]


@given(
    lines=st.lists(plain_cells, min_size=1, max_size=6),
    line_end=st.sampled_from(LINE_ENDS),
    mark=st.booleans(),
    last=st.booleans(),
)
@example(lines=["", ""], line_end="\r\n", mark=True, last=True)
def test_lines_keep_mark_line_ends_and_a_missing_last_one(
    lines: list[str], line_end: str, mark: bool, last: bool
) -> None:
    if not last:
        lines = [*lines, "x"]
    if line_end == "\r":
        lines = ["first", *lines]

    def file(texts: list[str]) -> bytes:
        return (BOM if mark else b"") + (line_end.join(texts) + (line_end if last else "")).encode()

    if not mark and lines[0].startswith("\ufeff"):
        return  # that is a mark
    table = parse_table(file(lines), "lines", "x")
    assert [row["toxic_sentence"] for row in table.rows] == lines
    new = [f"NEW{number}" for number in range(len(lines))]
    assert format_table(rewritten(table), "lines", "neutral_sentence") == file(new)
    assert format_table(table, "lines") == file(lines)


numbers = st.sampled_from(
    [
        "1.0",
        "1",
        "-0",
        "-0.0",
        "1e5",
        "1E+5",
        "1e400",
        "0.10",
        "3.141592653589793238462643",
        "9" * 5000,
    ]
)
strings = st.sampled_from(['"\\u00e9"', '"é"', '"\\/"', '"\\ud800"', '"\\ud83d\\ude00"', '"a\\tb"'])
scalars = st.one_of(numbers, strings, st.sampled_from(["null", "true"]))
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3).map(lambda items: "[" + ",".join(items) + "]"),
    scalars.map(lambda value: '{"b":' + value + ',  "a":[],"b":1.50}'),
)


@given(
    rows=st.lists(st.tuples(values, strings, values), min_size=1, max_size=4),
    line_end=st.sampled_from(LINE_ENDS),
    mark=st.booleans(),
)
def test_json_values_keep_their_spelling_and_order(
    rows: list[tuple[str, str, str]], line_end: str, mark: bool
) -> None:
    def file(line: str) -> bytes:
        lines = [line % {"z": z, "t": t, "n": n, "a": a} for n, (z, t, a) in enumerate(rows)]
        return (BOM if mark else b"") + "".join(text + line_end for text in lines).encode()

    table = parse_table(file('{"z": %(z)s, "text": %(t)s, "a": %(a)s}'), "jsonl", "x")
    assert format_table(rewritten(table), "jsonl") == file(
        '{"z": %(z)s, "text": %(t)s, "rewritten": "NEW%(n)d", "lang": "en", "a": %(a)s}'
    )


def test_each_object_keeps_its_own_order_of_keys() -> None:
    table = parse_table(
        b'{"b": 1, "text": "x", "a": 2}\n{"a": 3, "text": "y", "c": 4}\n', "jsonl", "x"
    )
    assert format_table(rewritten(table), "jsonl") == (
        b'{"b": 1, "text": "x", "rewritten": "NEW0", "lang": "en", "a": 2}\n'
        b'{"a": 3, "text": "y", "rewritten": "NEW1", "lang": "en", "c": 4}\n'
    )


def test_numbers_go_from_json_to_tsv_as_they_are_spelt() -> None:
    big = "7" * 5000
    table = parse_table(
        f'{{"text": "x", "n": {big}, "m": 1e400, "l": [1.0]}}\n'.encode(), "jsonl", "x"
    )
    assert format_table(table, "tsv").decode() == f"text\tn\tm\tl\nx\t{big}\t1e400\t[1.0]\n"


def test_nan_is_null_and_said() -> None:
    table = parse_table(b'{"text": "NaN", "n": NaN, "l": [1.0, -Infinity, "NaN"]}\n', "jsonl", "x")
    assert format_table(table, "jsonl") == b'{"text": "NaN", "n": null, "l": [1.0, null, "NaN"]}\n'
    assert "row 1: NaN" in findings(table)[0]


def test_values_of_several_lines_come_on_one() -> None:
    text = '[\n {"text": "a",\n  "l": [\n    1.0,\n    "x\\n [ y"\n  ],\r\n  "o": {"k":\n 2}}\n]'
    lines = format_table(parse_table(text.encode(), "jsonl", "x"), "jsonl").decode()
    assert lines == '{"text": "a", "l": [1.0,"x\\n [ y"], "o": {"k":2}}\n'


def test_a_key_that_occurs_twice_is_said() -> None:
    table = parse_table(b'{"text": "a", "text": "b"}\n', "jsonl", "x")
    assert table.rows == [{"text": "b"}]
    assert "row 1: a key occurs twice" in findings(table)[0]


def test_json_of_any_depth_is_read_or_refused_with_a_mend_that_helps() -> None:
    for depth in (50, 100_000):
        line = '{"text": "x", "deep": ' + "[" * depth + "]" * depth + "}\n"
        if depth == 50:
            assert format_table(parse_table(line.encode(), "jsonl", "x"), "jsonl").decode() == line
        else:
            with pytest.raises(
                DataError, match=r"x, line 1.*nested too deep.*leave the deep value out"
            ):
                parse_table(line.encode(), "jsonl", "x")


@pytest.mark.parametrize(
    "text",
    [
        '[{"text": "a"}, {"text": "b", "n": 1.0}]',
        '[\n  {"text": "a"},\n  {\n"text": "b", "n": 1.0}\n]\n',
    ],
)
def test_a_json_array_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    table = read_table(tmp_path / "x.json")
    assert format_table(table, "jsonl") == b'{"text": "a"}\n{"text": "b", "n": 1.0}\n'
    assert "JSON array" in findings(table)[0]
    assert parse_table(b"[]", "jsonl", "x").rows == []
    with pytest.raises(DataError, match=r"\.jsonl"):
        write_table(tmp_path / "y.json", table)


@pytest.mark.parametrize(
    "text",
    [
        '[{"text": "a"}, 5]',
        '[{"text": "a"}',
        '[{"text": "a"} {"text": "b"}]',
        '[{"a": 1}] x',
        "[1]",
        "[,]",
    ],
)
def test_another_array_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        parse_table(text.encode(), "jsonl", "x")


def test_pretty_printed_objects_are_refused_with_the_way_to_lines() -> None:
    with pytest.raises(DataError, match="jq -c"):
        parse_table(b'{\n  "text": "a"\n}\n', "jsonl", "x")


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("format_name", ["csv", "tsv", "jsonl", "lines"])
def test_no_row_is_lost_whatever_ends_a_line(format_name: str, line_end: str) -> None:
    lines = {
        "csv": ["text,n", "a,1", "b,2"],
        "tsv": ["text\tn", "a\t1", "b\t2"],
        "jsonl": ['{"text": "a"}', '{"text": "b"}'],
        "lines": ["a", "b"],
    }[format_name]
    content = "".join(line + line_end for line in lines).encode()
    table = parse_table(content, format_name, "x")
    assert [row.get("text") or row.get("toxic_sentence") for row in table.rows] == ["a", "b"]
    assert format_table(table, format_name) == content


@pytest.mark.parametrize(
    ("text", "usual", "found"),
    [
        ("comment;lang;score\nYou, fool;en;1,5\nNo, you;en;2,5\n", ",", ";"),
        ("comment;score, in %\nYou, fool, you;1,5\nfine;2,5\n", ",", ";"),
        ("text\tlang\na, b\ten\n", ",", "\t"),
        ("text,lang\na,en\n", "\t", ","),
        ("text|lang\na|en\n", ",", "|"),
        ("text;lang\n", ",", ";"),
        ('id,text\n1,"a;b"\n2,c;d\n', ",", ","),
        ("text\na;b\nc;d\n", ",", ","),
        ("text\na, b\n", "\t", "\t"),
        ("a;b,c\n1;2,3\n", ",", ","),
        ("You fool; idiot\nwhat a day\nbad; worse; worst\n", ",", ","),
        ("", ",", ","),
        ('"te\nxt";lang\n"a\n;b";en\n', ",", ";"),
    ],
)
def test_the_separator_is_told_from_header_and_rows(text: str, usual: str, found: str) -> None:
    assert find_delimiter(text, usual) == found


def test_doubled_carriage_returns_are_no_rows() -> None:
    content = b"text,lang\r\r\na,en\r\r\n"
    table = parse_table(content, "csv", "x")
    assert len(table.rows) == 1
    assert format_table(table, "csv") == content
    assert recognize(table, "x").lang == "lang\r"
    assert languages_of(table, recognize(table, "x"))[0] == ["en"]


def test_the_line_with_which_excel_names_the_separator_stays() -> None:
    content = BOM + b'sep=;\r\ntext;n\r\n"a;b";1,5\r\n'
    table = parse_table(content, "csv", "x")
    assert table.rows == [{"text": "a;b", "n": "1,5"}]
    assert format_table(table, "csv") == content
    assert format_table(rewritten(table), "csv") == (
        BOM + b'sep=;\r\ntext;rewritten;lang;n\r\n"a;b";NEW0;en;1,5\r\n'
    )
    # Another format has its own separator, and keeps what Excel needs.
    assert format_table(table, "tsv") == BOM + b"text\tn\r\na;b\t1,5\r\n"


def test_columns_without_a_name_are_told_apart_and_written_without_one() -> None:
    content = b",text,,\n1,a,x,y\n"
    table = parse_table(content, "csv", "x")
    assert table.columns == ["column 1", "text", "column 3", "column 4"]
    assert format_table(table, "csv") == content
    assert parse_table(b",text\n1,a\n", "csv", "x").columns == ["", "text"]


def test_a_quote_that_nothing_closes_does_not_swallow_the_new_column() -> None:
    table = parse_table(b'text\tlang\n"he said\ten\n', "tsv", "x")
    written = format_table(rewritten(table, ['"he said']), "tsv")
    read = list(csv.reader(io.StringIO(written.decode()), delimiter="\t", strict=True))
    assert read[1] == ['"he said', '"he said', "en"]


def test_bad_bytes_stay_in_their_format_and_are_refused_in_others() -> None:
    content = "text\tuser\nплохо\tИван\nок\tИв".encode() + b"\xd0\ten\n".replace(b"\ten", b"")
    table = parse_table(content, "tsv", "x")
    assert [problem.row for problem in table.problems] == [2]
    assert format_table(table, "tsv") == content
    assert losses(table, "tsv", "text") == []
    with pytest.raises(DataError, match=r"Row 2, column 'user'.*iconv"):
        losses(table, "jsonl", "text")
    line = b'{"text": "\xd0\xb0\xd0\xb1\xd0\xb2", "a": "\xd0\xb0\xd0"}\n'
    assert format_table(parse_table(line, "jsonl", "x"), "jsonl") == line
    assert format_table(parse_table("ёжик\n".encode() + b"a\xd0\n", "lines", "x"), "lines") == (
        "ёжик\n".encode() + b"a\xd0\n"
    )


def test_what_parquet_cannot_hold_is_found_before_the_work() -> None:
    pytest.importorskip("pyarrow")
    table = parse_table(b'{"text": "a", "n": 1}\n{"text": "b", "n": "x"}\n', "jsonl", "x")
    with pytest.raises(DataError, match=r"Column 'n'.*jsonl"):
        losses(table, "parquet", "text")


def test_some_rows_of_a_file_are_its_rows(tmp_path: Path) -> None:
    table = parse_table(b'\xef\xbb\xbftext;n\r\n"a";1,0\r\nb;2\r\n"c";3\r\n', "csv", "x")
    assert format_table(table.take([2, 0]), "csv") == b'\xef\xbb\xbftext;n\r\n"c";3\r\n"a";1,0\r\n'


def test_gzip_is_unpacked_and_packed(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(BOM + b"text;n\r\na;1\r\n"))
    table = read_table(path)
    write_table(path, table)
    assert gzip.decompress(path.read_bytes()) == BOM + b"text;n\r\na;1\r\n"


def test_a_stated_language_is_corrected_only_by_the_user() -> None:
    table = Table(
        ["text", "lang"],
        [{"text": "a", "lang": lang} for lang in ("en", "DE", "", "pl")],
        "csv",
    )
    roles = recognize(table, "x")
    assert languages_of(table, roles)[0] == ["en", "de", "auto", "auto"]
    kept = with_rewrites(table, roles, ["A"] * 4, ["en", "de", "fr", "it"])
    assert [row["lang"] for row in kept.rows] == ["en", "DE", "fr", "pl"]
    forced = with_rewrites(table, roles, ["A"] * 4, ["de"] * 4, lang_given=True)
    assert [row["lang"] for row in forced.rows] == ["de", "DE", "de", "de"]


def test_every_line_of_json_is_json_for_strict_readers() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    table = Table(["text", "n"], [{"text": "a", "n": [float("nan"), {"x": float("inf")}]}], "jsonl")
    written = format_table(table, "jsonl")
    assert json.loads(written, parse_constant=refuse)["n"] == [None, {"x": None}]


ODD = [
    "\0",
    "\r",
    "\n",
    "\t",
    '"',
    ",",
    ";",
    "{",
    "}",
    "[",
    "]",
    ":",
    '"text"',
    "1e999",
    "NaN",
    "а",
]
odd_bytes = st.lists(
    st.sampled_from(
        [*(text.encode() for text in ODD), b"\xff\xfe", b"\x80", b"sep=", b"\\ud800", b"\x1a"]
    ),
    max_size=14,
).map(b"".join)


@pytest.mark.parametrize("format_name", ["csv", "tsv", "jsonl", "lines", "parquet"])
@given(data=st.one_of(odd_bytes, st.binary(max_size=30)))
def test_any_bytes_are_a_table_or_an_error_of_ours(format_name: str, data: bytes) -> None:
    try:
        table = parse_table(data, format_name, "x")
    except DataError as error:
        assert error.mend
        return
    for written in ("csv", "jsonl", "lines", format_name):
        format_table(table, written)
