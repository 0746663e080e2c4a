"""Files as people have them, through the command line and the real method ``delete``."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from civilly.cli import app
from civilly.errors import CivillyError, DataError, UnknownNameError

BOM = b"\xef\xbb\xbf"
TOXIC = "You stupid idiot, go home."
CIVIL = "See you on Monday."


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    """Runs the command line; an error of ours is raised, as `main` gets it."""
    result = CliRunner().invoke(app, [*map(str, arguments)], input=stdin)
    if isinstance(result.exception, CivillyError):
        raise result.exception
    assert result.exception is None, result.exception
    return result


def rewrite(path: Path, *arguments: object) -> Result:
    return run("rewrite", path, "-m", "delete", *arguments)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def cut() -> str:
    """What the method makes of `TOXIC`."""
    return run("rewrite", TOXIC, "-l", "en", "-m", "delete").stdout.rstrip("\n")


def test_the_method_changes_the_one_and_keeps_the_other(cut: str) -> None:
    assert cut not in (TOXIC, "")
    assert run("rewrite", CIVIL, "-l", "en", "-m", "delete").stdout == CIVIL + "\n"


# ---- the shape of text files


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", BOM])
@pytest.mark.parametrize("last", [True, False])
def test_submissions_keep_mark_line_ends_and_order(
    tmp_path: Path, cut: str, line_end: str, mark: bytes, last: bool
) -> None:
    def file(*lines: str) -> bytes:
        return mark + (line_end.join(lines) + (line_end if last else "")).encode()

    source = written(
        tmp_path / "x.tsv", file("toxic_sentence\tlang", f"{TOXIC}\ten", f'"{CIVIL}"\tEN')
    )
    rewrite(source, "-o", tmp_path / "y.tsv")
    expected = file(
        "toxic_sentence\tneutral_sentence\tlang",
        f"{TOXIC}\t{cut}\ten",
        f'"{CIVIL}"\t"{CIVIL}"\tEN',
    )
    assert (tmp_path / "y.tsv").read_bytes() == expected
    assert rewrite(source).stdout_bytes == expected
    # What was written is read again, and its rewrites make room for new ones.
    again = rewrite(tmp_path / "y.tsv").stdout.lstrip("\ufeff").replace("\r", "\n").split("\n")[0]
    assert again == "toxic_sentence\tneutral_sentence\tneutral_sentence_before\tlang"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_old_mac_and_other_lines_are_rows(tmp_path: Path, cut: str, line_end: str) -> None:
    source = written(tmp_path / "x.txt", (BOM.decode() + TOXIC + line_end + CIVIL).encode())
    rewrite(source, "-l", "en", "-o", tmp_path / "y.txt")
    assert (tmp_path / "y.txt").read_bytes() == ((BOM.decode() + cut + line_end + CIVIL).encode())
    assert len(run("detect", source, "-l", "en").stdout.splitlines()) == 2


def test_excel_in_europe(tmp_path: Path, cut: str) -> None:
    source = written(
        tmp_path / "x.csv",
        BOM + f'sep=;\r\nid;Text;Lang;Preis\r\n1;"{TOXIC}";en;1,50\r\n"2";{CIVIL};en;\r\n'.encode(),
    )
    rewrite(source, "-o", tmp_path / "y.csv")
    assert (tmp_path / "y.csv").read_bytes() == BOM + (
        f'sep=;\r\nid;Text;rewritten;Lang;Preis\r\n1;"{TOXIC}";{cut};en;1,50\r\n'
        f'"2";{CIVIL};{CIVIL};en;\r\n'
    ).encode()


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_csv_with_another_separator_is_read_and_said(
    tmp_path: Path, cut: str, delimiter: str
) -> None:
    lines = [["id", "comment", "lang"], ["1,5", TOXIC, "en"]]
    content = "".join(delimiter.join(line) + "\n" for line in lines)
    result = rewrite(written(tmp_path / "x.csv", content.encode()))
    assert result.stdout.splitlines()[1] == delimiter.join(["1,5", TOXIC, cut, "en"])
    assert "separated by" in result.stderr


def test_commas_in_a_tsv(tmp_path: Path, cut: str) -> None:
    source = written(tmp_path / "x.tsv", f'text,lang\n"{TOXIC}",en\n'.encode())
    rows = list(csv.reader(io.StringIO(rewrite(source).stdout)))
    assert rows == [["text", "rewritten", "lang"], [TOXIC, cut, "en"]]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.text(st.sampled_from('ab,"\n;é\u2028 '), max_size=6), min_size=2, max_size=5),
    style=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    delimiter=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_other_columns_are_the_same_bytes_again(
    tmp_path: Path, cells: list[str], style: Any, delimiter: str, line_end: str, encoding: str
) -> None:
    def file(columns: list[str], rows: list[list[str]], encoding: str) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter, quoting=style, lineterminator=line_end)
        writer.writerows([columns, *rows])
        return text.getvalue().encode(encoding)

    rows = [[cell, CIVIL, "en"] for cell in cells]
    source = written(tmp_path / "x.csv", file(["note", "text", "lang"], rows, encoding))
    rewrite(source, "-o", tmp_path / "y.csv", "--overwrite")
    expected = [[note, text, text, lang] for note, text, lang in rows]
    assert (tmp_path / "y.csv").read_bytes() == file(
        ["note", "text", "rewritten", "lang"],
        expected,
        "utf-8" if encoding == "utf-8" else "utf-8-sig",
    )


# ---- encodings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_wide_encodings(tmp_path: Path, cut: str, encoding: str) -> None:
    source = written(tmp_path / "x.tsv", f"text\tlang\n{TOXIC}\ten\n".encode(encoding))
    result = rewrite(source)
    assert result.stdout.lstrip("\ufeff").splitlines()[1] == f"{TOXIC}\t{cut}\ten"
    assert encoding.upper()[:6] in result.stderr
    assert run("detect", source).stdout.endswith(TOXIC + "\n")


def test_a_latin1_file_has_its_letters_and_no_split_words(tmp_path: Path) -> None:
    text = "Espèce de débile, tu es un vrai crétin à éviter."
    content = f"id\ttext\tlang\tuser\n1\t{text}\tfr\tZoé Lefèvre\n".encode("latin-1")
    result = rewrite(written(tmp_path / "x.tsv", content))
    assert "windows-1252" in result.stderr
    row = result.stdout.splitlines()[1].split("\t")
    assert (row[1], row[-1]) == (text, "Zoé Lefèvre")
    assert "\ufffd" not in result.stdout
    named = rewrite(tmp_path / "x.tsv", "--encoding", "iso-8859-1")
    assert (named.stdout, "windows" in named.stderr) == (result.stdout, False)


def test_what_cannot_be_told_is_refused_before_the_work(tmp_path: Path) -> None:
    source = written(tmp_path / "x.tsv", b"text\tlang\nbad \xff day\ten\n")
    with pytest.raises(DataError, match=r"iconv.*--encoding"):
        rewrite(source, "-o", tmp_path / "y.tsv")
    assert (
        rewrite(source, "--encoding", "cp1252").stdout.splitlines()[1] == "bad ÿ day\tbad day\ten"
    )
    with pytest.raises(UnknownNameError, match="windows-1252"):
        rewrite(source, "--encoding", "klingon")
    assert not (tmp_path / "y.tsv").exists()


def test_bad_bytes_of_other_columns_are_kept_or_refused(tmp_path: Path) -> None:
    rows = f"text\tuser\tlang\n{CIVIL}\tИван\ten\n{CIVIL}\t".encode() + b"\xd0\xd0\ten\n"
    source = written(tmp_path / "x.tsv", rows)
    rewrite(source, "-o", tmp_path / "y.tsv")
    assert (tmp_path / "y.tsv").read_bytes().endswith(b"\t\xd0\xd0\ten\n")
    for arguments in (["--json"], ["-o", tmp_path / "y.jsonl"]):
        with pytest.raises(DataError, match="Row 2, column 'user'"):
            rewrite(source, *arguments)


# ---- columns


def test_a_stated_language_that_the_user_overrules_is_corrected(tmp_path: Path) -> None:
    source = written(tmp_path / "x.tsv", f"text\tlang\n{CIVIL}\ten\n{CIVIL}\tGerman\n".encode())
    result = rewrite(source, "--lang", "de")
    assert [line.split("\t")[-1] for line in result.stdout.splitlines()] == ["lang", "de", "German"]
    assert "row 1: column 'lang' says another language" in result.stderr


def test_a_language_column_as_text_gives_a_file_that_is_read_again(tmp_path: Path) -> None:
    source = written(tmp_path / "x.tsv", b"text\tlang\nhello\tthe end\n")
    rewrite(source, "--text-column", "lang", "-o", tmp_path / "y.tsv")
    header = (tmp_path / "y.tsv").read_text().splitlines()[0].split("\t")
    assert header == ["text", "lang", "rewritten", "language"]
    assert rewrite(tmp_path / "y.tsv", "--text-column", "text").exit_code == 0
    with pytest.raises(DataError, match="both the text and the language"):
        rewrite(source, "--text-column", "lang", "--lang-column", "lang")


def test_a_rewritten_column_as_text(tmp_path: Path) -> None:
    source = written(tmp_path / "x.csv", f"text,rewritten,lang\na,{CIVIL},en\n".encode())
    result = rewrite(source, "--text-column", "rewritten")
    assert result.stdout.splitlines()[0] == "text,rewritten,rewritten_again,lang"


def test_names_in_other_case_and_blanks(tmp_path: Path) -> None:
    source = written(
        tmp_path / "x.csv", f"ID, Toxic Sentence ,Neutral_Sentence,LANG\n1,{CIVIL},,en\n".encode()
    )
    assert rewrite(source).stdout.splitlines() == [
        "ID, Toxic Sentence ,Neutral_Sentence,LANG",
        f"1,{CIVIL},{CIVIL},en",
    ]
    assert (
        rewrite(source, "--text-column", "toxic_sentence", "--lang-column", "lang").exit_code == 0
    )


def test_content_of_the_rewrites_column_is_kept_whatever_its_case(tmp_path: Path) -> None:
    source = written(tmp_path / "x.csv", f"toxic_sentence,Neutral_sentence\n{CIVIL},0\n".encode())
    assert rewrite(source, "-l", "en").stdout.splitlines() == [
        "toxic_sentence,Neutral_sentence,lang,Neutral_sentence_before",
        f"{CIVIL},{CIVIL},en,0",
    ]


def test_empty_names_and_a_file_without_header(tmp_path: Path) -> None:
    source = written(tmp_path / "x.csv", f",text,lang,,\n0,{CIVIL},en,a,b\n".encode())
    assert rewrite(source).stdout.splitlines() == [
        ",text,rewritten,lang,,",
        f"0,{CIVIL},{CIVIL},en,a,b",
    ]
    for rows in ("You are such an idiot\nAnd you too\n", f"1,{CIVIL}\n2,{CIVIL}\n"):
        with pytest.raises(DataError, match=r"first line is a row, as it seems, add a header line"):
            rewrite(written(tmp_path / "x.csv", rows.encode()))
    survey = "Time,What do you think of us?\n1,You idiots\n"
    with pytest.raises(DataError, match="--text-column NAME, or add a header line if"):
        rewrite(written(tmp_path / "x.csv", survey.encode()))
    with pytest.raises(DataError, match="--format lines"):
        rewrite(written(tmp_path / "x.csv", b"You are such an idiot\nAnd you, too\n"))


# ---- JSON


def test_json_is_kept_as_it_is_spelt(tmp_path: Path, cut: str) -> None:
    line = (
        '{"z": 1.0, "text": %s, "n": ' + "9" * 5000 + ', "e": 1e400, "s": "\\ud800", "d": 0.10}\n'
    )
    source = written(tmp_path / "x.jsonl", (line % json.dumps(TOXIC)).encode())
    expected = line % f'{json.dumps(TOXIC)}, "rewritten": {json.dumps(cut)}, "lang": "en"'
    assert rewrite(source, "-l", "en").stdout == expected
    columns = rewrite(source, "-l", "en", "--json").stdout.split('"columns": ')[1]
    assert columns.startswith('{"z": 1.0, "n": 999')
    assert '"e": 1e400, "s": "\\ud800", "d": 0.10}' in columns


def test_nan_is_no_json_on_any_way_out(tmp_path: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    source = written(tmp_path / "x.jsonl", b'{"text": "fine", "n": NaN, "m": [-Infinity]}\n')
    for arguments in ([], ["--json"], ["-o", tmp_path / "y.jsonl"]):
        result = rewrite(source, "-l", "en", *arguments)
        line = result.stdout or (tmp_path / "y.jsonl").read_text()
        row = json.loads(line, parse_constant=refuse)
        row = row.get("columns", row)
        assert (row["n"], row["m"]) == (None, [None])
        assert "written as null" in result.stderr


def test_an_array_of_objects(tmp_path: Path, cut: str) -> None:
    rows = [{"text": TOXIC, "id": 1}, {"text": CIVIL, "id": 2}]
    for name in ("x.json", "x.jsonl"):
        source = written(tmp_path / name, json.dumps(rows, indent=1).encode())
        read = [json.loads(line) for line in rewrite(source, "-l", "en").stdout.splitlines()]
        assert [row["rewritten"] for row in read] == [cut, CIVIL]
        assert [list(row) for row in read] == [["text", "rewritten", "lang", "id"]] * 2
    with pytest.raises(DataError, match=r"'\.json'.*\.jsonl"):
        rewrite(source, "-o", tmp_path / "y.json")


# ---- Parquet


def test_parquet_keeps_its_columns_and_their_order(tmp_path: Path, cut: str) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    moment = arrow.array([1_577_836_800_123_456_789], arrow.timestamp("ns", "UTC"))
    columns = {
        "when": moment,
        "small": arrow.array([7], arrow.int8()),
        "comment": arrow.array([TOXIC.encode()]),
        "blob": arrow.array([b"\xff\x00"]),
        "n": arrow.array([float("nan")], arrow.float32()),
    }
    parquet.write_table(arrow.table(columns), tmp_path / "x.parquet")
    result = rewrite(tmp_path / "x.parquet", "-l", "en", "-o", tmp_path / "y.parquet")
    assert "warning" not in result.stderr
    after = parquet.read_table(tmp_path / "y.parquet")
    assert after.column_names == ["when", "small", "comment", "rewritten", "lang", "blob", "n"]
    assert [after[name].type for name in columns] == [array.type for array in columns.values()]
    assert after["when"].equals(arrow.chunked_array([moment]))
    assert (after["rewritten"][0].as_py(), after["blob"][0].as_py()) == (cut, b"\xff\x00")
    result = rewrite(tmp_path / "x.parquet", "-l", "en", "-o", tmp_path / "y.tsv")
    assert (tmp_path / "y.tsv").read_text().splitlines()[1] == (
        f"2020-01-01T00:00:00.123456789Z\t7\t{TOXIC}\t{cut}\ten\t/wA=\tNaN"
    )
    assert "base64" in result.stderr
    row = json.loads(rewrite(tmp_path / "x.parquet", "-l", "en").stdout)
    assert (row["when"], row["comment"], row["n"]) == (
        "2020-01-01T00:00:00.123456789Z", TOXIC, None,
    )  # fmt: skip


# ---- what is no table


def test_packed_files_and_documents_are_refused_with_the_way_out(tmp_path: Path) -> None:
    def archive(*names: str) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            for name in names:
                file.writestr(name, "content")
        return packed.getvalue()

    kinds = {
        "bunzip2": bz2.compress(b"text\n"),
        "unxz": lzma.compress(b"text\n"),
        "zstd -d": b"\x28\xb5\x2f\xfd\x04\x00",
        "unzip": archive("x.csv"),
        "CSV UTF-8": archive("[Content_Types].xml", "xl/workbook.xml"),
        "plain text": archive("[Content_Types].xml", "word/document.xml"),
    }
    for mend, content in kinds.items():
        with pytest.raises(DataError, match=mend):
            rewrite(written(tmp_path / "x.tsv", content))
        # Such a file is known inside gzip, too.
        with pytest.raises(DataError, match=mend):
            rewrite(written(tmp_path / "x.csv.gz", gzip.compress(content)))
    suffixes = {
        ".zst": "zstd -d", ".bz2": "bunzip2", ".xz": "unxz", ".zip": "unzip",
        ".xlsx": "CSV UTF-8", ".docx": "plain text", ".ods": "CSV",
    }  # fmt: skip
    for suffix, mend in suffixes.items():
        with pytest.raises(DataError, match=mend):
            rewrite(written(tmp_path / f"x{suffix}", b"whatever"))
        with pytest.raises(DataError, match="choose one of these"):
            rewrite(written(tmp_path / "x.txt", b"a\n"), "-o", tmp_path / f"y{suffix}")


# ---- other verbs go the same way


def test_leaks_are_found_and_taken_out_of_files_of_any_shape(tmp_path: Path) -> None:
    training = written(
        tmp_path / "train.csv",
        BOM + f'"Text";"n"\r\n"{TOXIC}";1,0\r\n"{CIVIL}";2,0\r\n'.encode(),
    )
    held_out = written(tmp_path / "test.tsv", f"text\tlang\r{TOXIC}\ten\r".encode())
    run("data", "leaks", training, held_out, "-o", tmp_path / "clean.csv")
    assert (tmp_path / "clean.csv").read_bytes() == (
        BOM + f'"Text";"n"\r\n"{CIVIL}";2,0\r\n'.encode()
    )


def test_leaks_in_a_named_encoding(tmp_path: Path) -> None:
    training = written(tmp_path / "train.txt", "Ты дурак\n".encode("cp1251"))
    held_out = written(tmp_path / "test.txt", "Ты дурак\n".encode("cp1251"))
    found = run("data", "leaks", training, held_out, "--encoding", "cp1251", "--go-on").stdout
    assert found.split("\t")[-1] == "Ты дурак\n"


def test_a_submission_of_any_shape_is_read_and_what_was_odd_is_said(tmp_path: Path) -> None:
    from civilly.data.submission import read_submission

    rows = "toxic_sentence;neutral_sentence;lang\r\nТы дурак, иди;Иди, пожалуйста;ru\r\n"
    path = written(tmp_path / "x.csv", rows.encode("cp1251"))
    (row,), warnings = read_submission(path)
    assert (row.toxic, row.output, row.lang) == ("Ты дурак, иди", "Иди, пожалуйста", "ru")
    assert "windows-1251" in warnings[0]


def test_as_its_own_process_bytes_are_bytes(tmp_path: Path, cut: str) -> None:
    source = BOM + f"text;lang\r\n{TOXIC};en\r\n".encode()
    done = subprocess.run(
        [sys.executable, "-m", "civilly", "rewrite", "-", "--format", "csv", "-m", "delete"],
        input=source, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == BOM + f"text;rewritten;lang\r\n{TOXIC};{cut};en\r\n".encode()
    done = subprocess.run(
        [sys.executable, "-m", "civilly", "detect", "-"],
        input=b"\x89PNG\r\n\x1a\n\0\xff", capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"zero bytes" in done.stderr
