"""Every format gives back the rows that were written; bad files are reported or refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from civilly.data.delimited import read_delimited
from civilly.data.files import write_bytes
from civilly.data.io import format_of, format_table, parse_table, read_table, write_table
from civilly.data.table import Problem, Table, summarize
from civilly.errors import CivillyError, DataError

SHARED_TASK = ["toxic_sentence", "neutral_sentence", "lang"]
# Characters that break naive readers are drawn far more often than chance would.
texts = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from('\t\n\r",;\x00\x0b\x1c\x85\u2028\ufeff\u200f😀 '),
    ),
    max_size=30,
)
rows_of_three = st.lists(st.tuples(texts, texts, texts), max_size=6)


def table(rows: list[tuple[str, ...]], columns: list[str] | None = None) -> Table:
    columns = columns or SHARED_TASK
    return Table(columns, [dict(zip(columns, row, strict=True)) for row in rows], "jsonl")


@pytest.mark.parametrize("format_name", ["tsv", "csv", "jsonl", "parquet"])
@given(rows=rows_of_three)
@example(rows=[("", "", "")])
@example(rows=[('"', "a\rb", "\r")])
@example(rows=[("\ufeff", "\r\n", 'say ""')])
def test_any_rows_survive(format_name: str, rows: list[tuple[str, ...]]) -> None:
    written = table(rows)
    read = parse_table(format_table(written, format_name), format_name, "memory")
    assert read.rows == written.rows
    if rows or format_name != "jsonl":
        assert read.columns == SHARED_TASK


@pytest.mark.parametrize("format_name", ["tsv", "csv"])
@given(rows=st.lists(st.tuples(texts), max_size=6))
@example(rows=[("",), ("",)])
def test_any_rows_of_one_column_survive(format_name: str, rows: list[tuple[str]]) -> None:
    written = table(rows, ["text"])
    assert parse_table(format_table(written, format_name), format_name, "m").rows == written.rows


@given(rows=st.lists(texts.filter(lambda text: not set(text) & set("\r\n")), max_size=6))
@example(rows=["\ufeffmarked", ""])
@example(rows=["", ""])
def test_any_lines_survive(rows: list[str]) -> None:
    written = table([(row,) for row in rows], ["toxic_sentence"])
    assert parse_table(format_table(written, "lines"), "lines", "m").rows == written.rows


@given(rows=rows_of_three)
def test_standard_csv_reads_what_we_write(rows: list[tuple[str, ...]]) -> None:
    content = format_table(table(rows), "tsv").decode()
    read = list(csv.reader(io.StringIO(content, newline=""), delimiter="\t", strict=True))
    assert read == [SHARED_TASK, *map(list, rows)]


@given(rows=rows_of_three, end=st.sampled_from(["\n", "\r\n"]))
def test_we_read_what_standard_csv_writes(rows: list[tuple[str, ...]], end: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerows([SHARED_TASK, *rows])
    read = read_delimited(file.getvalue(), "\t", "memory", "tsv")
    assert [tuple(row.values()) for row in read.rows] == rows


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl", ".parquet", ".tsv.gz", ".jsonl.gz"])
def test_files_by_suffix(tmp_path: Path, suffix: str) -> None:
    written = table([("you\nfool", "you", "en"), ("дурак\t!", "человек", "ru")])
    path = tmp_path / f"rows{suffix}"
    write_table(path, written)
    first = path.read_bytes()
    assert first.startswith(b"\x1f\x8b") == suffix.endswith(".gz")
    assert read_table(path).rows == written.rows
    write_table(path, written)
    assert path.read_bytes() == first, "writing twice must give the same bytes"
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no temporary file may stay"


def test_gzip_is_known_by_content(tmp_path: Path) -> None:
    path = tmp_path / "packed.txt"
    path.write_bytes(gzip.compress(b"one\ntwo\n"))
    assert [row["toxic_sentence"] for row in read_table(path).rows] == ["one", "two"]


def test_mark_and_windows_line_ends() -> None:
    content = b'\xef\xbb\xbftoxic_sentence\tlang\r\nfool\ten\r\n"two\r\nlines"\ten\r\n'
    read = parse_table(content, "tsv", "m")
    assert read.columns == ["toxic_sentence", "lang"]
    assert [row["toxic_sentence"] for row in read.rows] == ["fool", "two\r\nlines"]
    assert [r["toxic_sentence"] for r in parse_table(b"a\r\n\r\nb", "lines", "m").rows] == [
        "a", "", "b",
    ]  # fmt: skip


def test_bytes_that_are_not_utf8_are_kept_and_reported() -> None:
    content = "text\nхорошо\nплохо\n".encode().replace("п".encode(), b"\xee")
    read = parse_table(content, "tsv", "m")
    assert [row["text"] for row in read.rows] == ["хорошо", "\ufffdлохо"]
    assert [problem.row for problem in read.problems] == [2]
    assert format_table(read, "tsv") == content


def test_lone_surrogates_of_json_become_replacement_characters() -> None:
    read = parse_table(b'{"text": "a\\ud800b"}\n', "jsonl", "m")
    assert read.rows == [{"text": "a\ufffdb"}]
    assert [problem.row for problem in read.problems] == [1]


def test_control_characters_survive(tmp_path: Path) -> None:
    text = "".join(map(chr, range(32))) + "\x7f\u200e\u200f\u202e"
    for suffix in (".tsv", ".csv", ".jsonl", ".parquet"):
        write_table(tmp_path / f"c{suffix}", table([(text, "", "en")]))
        assert read_table(tmp_path / f"c{suffix}").rows[0]["toxic_sentence"] == text


def test_an_unclosed_quote_swallows_no_row() -> None:
    content = 'text\tlang\n"he said\ten\nand left\ten\n"quoted" word\ten\nlast\ten\n'
    read = read_delimited(content, "\t", "m", "tsv")
    assert [r["text"] for r in read.rows] == ['"he said', "and left", '"quoted" word', "last"]
    assert [problem.row for problem in read.problems] == [1, 3]


def test_short_rows_are_filled_and_long_rows_refused() -> None:
    read = read_delimited("text\tlang\nalone\n\nfull\ten\n", "\t", "m", "tsv")
    assert read.rows == [
        {"text": "alone", "lang": ""},
        {"text": "", "lang": ""},
        {"text": "full", "lang": "en"},
    ]
    assert [problem.row for problem in read.problems] == [1, 2]
    with pytest.raises(DataError, match=r"x\.tsv: more fields .* in row 2\."):
        read_delimited("text\tlang\nok\ten\na\tb\ten\n", "\t", "x.tsv", "tsv")


def test_a_very_long_field_and_a_very_long_line() -> None:
    long = "fool " * 40_000
    assert read_delimited(f'text\n"{long}"\n', "\t", "m", "tsv").rows == [{"text": long}]
    assert read_delimited(f"text\n{long}\n", "\t", "m", "tsv").rows == [{"text": long}]


@pytest.mark.parametrize("format_name", ["tsv", "csv", "jsonl", "lines"])
def test_an_empty_file_is_a_table_without_rows(format_name: str) -> None:
    assert parse_table(b"", format_name, "m").rows == []


def test_values_that_are_not_strings_are_kept() -> None:
    content = b'{"text": "a", "n": 1, "list": [1, "x"], "none": null}\n{"text": "b"}\n'
    read = parse_table(content, "jsonl", "m")
    assert format_table(read, "jsonl") == content
    lines = format_table(read, "csv").decode().splitlines()
    assert lines == ["text,n,list,none", 'a,1,"[1, ""x""]",', "b,,,"]


@pytest.mark.parametrize(
    ("content", "format_name", "words"),
    [
        (b'{"text": "a"}\n{"text": \n', "jsonl", ["bad", "line 2", "JSON"]),
        (b'["a"]\n', "jsonl", ["bad", "line 1", "object"]),
        ("text\n".encode("utf-16") + b"x", "tsv", ["bad", "utf-16", "truncated"]),
        (b"text\ttext\n", "tsv", ["bad", "'text'", "more than once"]),
        (b"PAR1 no", "parquet", ["bad", "Parquet"]),
    ],
)
def test_unreadable_content_is_refused_with_a_mend(
    content: bytes, format_name: str, words: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        parse_table(content, format_name, "bad")
    assert caught.value.mend
    assert all(word in str(caught.value) for word in words)


def test_missing_damaged_and_unknown_files(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tsv.gz"
    damaged.write_bytes(gzip.compress(b"text\n" * 50)[:20])
    (tmp_path / "folder.tsv").mkdir()
    for path, word in [
        (tmp_path / "none.tsv", "no file"),
        (damaged, "damaged"),
        (tmp_path / "folder.tsv", "folder"),
        (tmp_path / "sheet.xlsx", ".xlsx"),
    ]:
        with pytest.raises(DataError, match=word):
            read_table(path)
    with pytest.raises(CivillyError, match="did you mean 'jsonl'"):
        parse_table(b"", "json", "m")


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_bytes(path, "\ud800".encode())
    assert path.read_text() == "old"
    with pytest.raises(DataError, match="mkdir -p"):
        write_bytes(tmp_path / "none" / "x.txt", b"")


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_bytes(tmp_path / "link.txt", b"new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    write_bytes(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()


def test_suffixes() -> None:
    names = {"a.TSV": "tsv", "a.csv.gz": "csv", "a.ndjson": "jsonl", "a": "lines", "a.gz": "lines"}
    assert {name: format_of(Path(name)) for name in names} == names


def test_problems_are_summed_up() -> None:
    found = summarize([Problem(row, "odd") for row in range(1, 9)] + [Problem(3, "strange")])
    assert found == ["rows 1, 2, 3, 4, 5 and 3 more: odd", "row 3: strange"]


def test_official_inputs_are_read_as_csv_reads_them(shared_data: Path) -> None:
    path = shared_data / "inputs" / "textdetox2025_test.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file, delimiter="\t"))
    read = read_table(path)
    assert len(read.rows) == 9000
    assert read.rows == expected


def test_json_is_read_by_others(tmp_path: Path) -> None:
    write_table(tmp_path / "x.jsonl", table([("a\u2028b", "", "en")]))
    assert json.loads((tmp_path / "x.jsonl").read_text())["toxic_sentence"] == "a\u2028b"
