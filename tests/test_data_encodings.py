"""A text file is read in its own encoding, or refused with the way to name it: never as U+FFFD."""

from __future__ import annotations

import codecs
import csv
import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from civilly.data.encodings import decode_text
from civilly.data.files import decode
from civilly.data.io import format_table, parse_table, read_utf8
from civilly.errors import DataError, UnknownNameError

SENTENCES = {
    "windows-1252": [
        "Tu es vraiment débile, espèce d’idiot !",
        "Größenwahnsinnige Trottel überall",
    ],
    "windows-1251": ["Ты просто дурак, и всё тут", "Какие же вы все тупые уроды"],
    "windows-1255": ["אתה פשוט טיפש גמור", "איזה אידיוטים כולכם"],
    "windows-1256": ["أنت غبي جدا يا رجل", "ما هذا الكلام الفارغ"],
    "gb18030": ["你真是个大笨蛋，什么都不懂", "这些人都是垃圾"],
    "cp932": ["お前は本当に馬鹿だな、死ね", "クソみたいなゲームだ"],
    "euc-jp": ["お前は本当に馬鹿だな、死ね", "クソみたいなゲームだ"],
    "big5": ["你真是個大笨蛋，什麼都不懂", "這些人都是垃圾"],
    "cp949": ["너는 정말 바보 멍청이야", "이런 쓰레기 같은 게임"],
    "koi8-r": ["Ты просто дурак, и всё тут", "Какие же вы все тупые уроды"],
    "cp866": ["Ты просто дурак, и всё тут", "Какие же вы все тупые уроды"],
}
WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
MARKS = {
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
BAD = "\ufffd"


def file_of(sentences: list[str]) -> str:
    return "id\ttext\n" + "".join(f"{n}\t{text}\n" for n, text in enumerate(sentences))


@pytest.mark.parametrize("encoding", SENTENCES)
def test_old_encodings_are_read_and_said(encoding: str) -> None:
    text = file_of(SENTENCES[encoding])
    table = parse_table(text.encode(encoding), "tsv", "x")
    assert [row["text"] for row in table.rows] == SENTENCES[encoding]
    assert "not UTF-8" in table.notes[0]
    assert "--encoding" in table.notes[0]
    assert format_table(table, "tsv").decode() == text


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("script", ["windows-1252", "windows-1251", "gb18030", "windows-1256"])
def test_utf16_and_utf32_are_read_with_and_without_a_mark(
    encoding: str, mark: bool, script: str
) -> None:
    text = file_of(SENTENCES[script] + ["plain ascii", "一二 😀"]).replace("\n", "\r\n")
    data = (MARKS[encoding] if mark else b"") + text.encode(encoding)
    table = parse_table(data, "tsv", "x")
    assert table.columns == ["id", "text"]
    assert table.rows[-1]["text"] == "一二 😀"
    assert encoding.upper() in table.notes[0]
    expected = text.encode("utf-8-sig") if mark else text.encode()
    assert format_table(table, "tsv") == expected


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("text", ["तुम बेवकूफ हो\nचुप रहो\n", "Ты дурак", "one line", "笨蛋 你\n"])
def test_plain_lines_in_utf16_without_a_mark(encoding: str, text: str) -> None:
    assert decode_text(text.encode(encoding), "x").text == text


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), max_size=40))
@example(text="\t\0\ten\t\x1f\x08\n")
@example(text="\x0000")
def test_whatever_is_utf8_is_read_as_utf8(text: str) -> None:
    # NUL and control characters are rare in real texts, but must not turn a file into Chinese.
    content = "toxic_sentence\tneutral_sentence\tlang\n" + text
    assert decode_text(content.encode(), "x").text == content


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "shift_jis", "windows-1256"])
def test_a_named_encoding_is_used(encoding: str) -> None:
    text = {"shift_jis": "馬鹿", "windows-1256": "غبي"}.get(encoding, "é")
    table = parse_table(f"text\n{text}\n".encode(encoding), "tsv", "x", encoding)
    assert [row["text"] for row in table.rows] == [text]
    assert table.notes == []


@pytest.mark.parametrize(
    ("data", "encoding", "error", "words"),
    [
        (b"a\xff", "ascii", DataError, "byte 1"),
        ("é".encode(), "klingon", UnknownNameError, "windows-1252"),
        (b"abc", "base64", UnknownNameError, "encoding"),
        (b"abc", "windows-1521", UnknownNameError, "did you mean 'windows-125"),
        (b"text\nbad \xff damn\n", None, DataError, "--encoding"),
        (b"5 \x80", None, DataError, "--encoding"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\xff\xd8", None, DataError, "zero bytes"),
        (b"\xff\xfet\0e\0x\0t\0\n", None, DataError, "truncated"),
    ],
)
def test_what_cannot_be_told_is_refused_with_a_mend(
    data: bytes, encoding: str | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        decode_text(data, "x", encoding)


def test_a_refusal_shows_how_the_words_would_read() -> None:
    with pytest.raises(DataError, match=r"windows-1251 reads 'я'.*windows-1252 reads 'ÿ'"):
        decode_text(b"bad \xff damn byte", "x")


def test_what_must_be_utf8_is_refused_with_the_line_that_turns_it_into_utf8(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="iconv -f utf-16-le -t UTF-8"):
        decode("{}".encode("utf-16"), "x.json")
    with pytest.raises(DataError, match="iconv"):
        decode("{'ключ': 'значение'}".encode() + b"\xff", "x.json")
    (tmp_path / "train.tsv").write_bytes(file_of(SENTENCES["windows-1251"]).encode("cp1251"))
    with pytest.raises(DataError, match="iconv"):
        read_utf8(tmp_path / "train.tsv")


@pytest.mark.parametrize(
    ("lang", "encoding"),
    [
        ("es", "cp1252"), ("de", "cp1252"), ("fr", "cp1252"), ("it", "cp1252"), ("ru", "cp1251"),
        ("uk", "cp1251"), ("tt", "cp1251"), ("ar", "cp1256"), ("he", "cp1255"), ("zh", "gb18030"),
        ("ja", "cp932"), ("ru", "koi8-r"), ("ja", "euc_jp"),
    ],
)  # fmt: skip
def test_no_official_text_is_read_in_a_wrong_encoding(
    shared_data: Path, lang: str, encoding: str
) -> None:
    with (shared_data / "inputs" / "textdetox2025_test.tsv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["lang"] == lang]
    rng = random.Random(lang)
    texts = [row["toxic_sentence"] for row in rng.sample(rows, 200)]
    texts = [text for text in texts if _fits(text, encoding) and not text.isascii()]
    read = 0
    for start in range(0, 60, 5):
        content = "".join(text + "\n" for text in texts[start : start + 5])
        try:
            decoded = decode_text(content.encode(encoding), "x").text
        except DataError:
            continue
        assert decoded == content
        read += 1
    assert read >= 10, "five lines should do"


def _fits(text: str, encoding: str) -> bool:
    try:
        return text.encode(encoding).decode(encoding) == text
    except UnicodeEncodeError:
        return False
