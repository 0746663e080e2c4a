"""Which encoding a text file is in: by its mark, by its zero bytes, UTF-8, or guessed and said."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from civilly.errors import DataError, UnknownNameError

BOM = "\ufeff"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_GUESSED = {
    "cp1250": "windows-1250",
    "cp1251": "windows-1251",
    "cp1252": "windows-1252",
    "cp1253": "windows-1253",
    "cp1254": "windows-1254",
    "cp1255": "windows-1255",
    "cp1256": "windows-1256",
    "cp932": "cp932",
    "euc_jis_2004": "euc-jisx0213",
    "gb18030": "gb18030",
    "big5hkscs": "big5-hkscs",
    "cp949": "cp949",
    "koi8-r": "koi8-r",
    "cp866": "cp866",
}
"""What is guessed among, by the codec's name, with the name that Python and iconv both know: what
Windows writes in the languages that Civilly knows and their neighbours, and two old Russian ones.
Each contains its ISO sibling (windows-1252: ISO 8859-1; cp932: Shift_JIS; gb18030: GBK)."""

_LATIN = ("cp1250", "cp1252", "cp1254")
_BAD_BYTE = re.compile("[\udc80-\udcff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_SAMPLE = 200_000
_LEAST_CONFIDENCE = 0.02
_LEAST_LEAD = 1.1
_LEAST_LETTERS = 3
"""What is asked of a guess: its own confidence, its lead over the next different reading, and, if
it is not in Latin letters, how many letters (one stray byte is a letter in some encoding). On the
official inputs in eleven languages and thirteen encodings, the first two left no wrong guess in
2,480 files of three lines or more, and 10 in 4,200 files of one or two."""

_ICONV = "iconv -f {} -t UTF-8 OLD > NEW"
_OFTEN_NAMED = ("utf-8", "utf-16", "utf-32", *_GUESSED.values())


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a file.

    Attributes:
        text: Without a byte order mark; a byte that is not UTF-8 is a lone surrogate (PEP 383).
        encoding: The encoding that was found, or named.
        mark: Whether the file begins with a byte order mark.
        note: What to tell the user about it; empty for UTF-8.
    """

    text: str
    encoding: str = "utf-8"
    mark: bool = False
    note: str = ""


def decode_text(data: bytes, name: str, encoding: str | None = None) -> Decoded:
    """Decodes a text file.

    UTF-8 that has a few bad bytes is read with these bytes as lone surrogates, so that they can be
    named by row and written back as they are. Every other encoding is read strictly.

    Args:
        data: The content.
        name: Name of the file, for messages.
        encoding: The encoding that the user named, or None to find it.

    Raises:
        UnknownNameError: If there is no such encoding.
        DataError: If the file is not in that encoding, or in none that can be told.
    """
    marked = next((codec for mark, codec in _MARKS if _is_marked(data, mark, codec)), None)
    found = _codec(encoding) if encoding is not None else marked or _wide(data)
    if found in (None, "utf-8"):
        return _read_utf8(data, name, strictly=encoding is not None)
    assert found is not None
    try:
        text = data.decode(found)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is not {found}: {error.reason} at byte {error.start}.",
            mend="copy the file again" if encoding is None else "leave --encoding out, or another",
        ) from error
    note = "" if encoding is not None else f"it is {found.upper()}; what is written is UTF-8"
    return Decoded(text.removeprefix(BOM), found, marked is not None, note)


def _is_marked(data: bytes, mark: bytes, codec: str) -> bool:
    """Whether a file begins with the mark; that of UTF-32 is also one of UTF-16 and a zero."""
    return data.startswith(mark) and (codec != "utf-32-le" or len(data) % 4 == 0)


def _codec(encoding: str) -> str:
    """The codec's name of an encoding that the user named."""
    try:
        return codecs.lookup(encoding).name if "x".encode(encoding) else ""
    except (LookupError, UnicodeError, ValueError):
        raise UnknownNameError("encoding", encoding, _OFTEN_NAMED) from None


def _read_utf8(data: bytes, name: str, *, strictly: bool) -> Decoded:
    mark = data.startswith(codecs.BOM_UTF8)
    body = data.removeprefix(codecs.BOM_UTF8)
    text = body.decode("utf-8", errors="surrogateescape")
    if strictly or mark or _is_utf8(body) or _is_mostly_utf8(body, text):
        return Decoded(text, mark=mark)
    return _guess(body, name)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_mostly_utf8(data: bytes, text: str) -> bool:
    """Whether what is not ASCII is UTF-8 in most lines, or for most characters.

    In an old encoding nearly every such line is bad UTF-8; only here and there two of its
    characters look like one.
    """
    lines = [line for line in data.splitlines() if not line.isascii()]
    good_lines = sum(map(_is_utf8, lines))
    bad = len(_BAD_BYTE.findall(text))
    good = len(_NOT_ASCII.findall(text)) - bad
    return 2 * good_lines >= len(lines) or good >= 3 * bad


def _wide(data: bytes) -> str | None:
    """UTF-32 or UTF-16 without a mark, told by where its zero bytes are."""
    if b"\0" not in data:
        return None
    beginning, is_utf8 = data[:_SAMPLE], _is_utf8(data)
    for codec in _WIDE:
        width, high = (4, 3) if "32" in codec else (2, 1)
        high = high if codec.endswith("le") else 0
        zeros = beginning[high::width].count(0)
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        sample = text[:_SAMPLE]
        # Every text has blanks or line ends. Few characters end in a zero byte (the Chinese "one"
        # does), very many begin with it.
        is_text = any(map(str.isascii, sample)) and _odd(sample) * 50 <= len(sample)
        is_this = width == 4 or zeros > 2 * beginning[1 - high :: width].count(0)
        if is_this and is_utf8 and width == 2:
            is_this = 16 * zeros >= len(sample) and _is_wide_rather(beginning, sample)
        if is_text and is_this and "\0" not in text:
            return codec
    return None


def _is_wide_rather(data: bytes, text: str) -> bool:
    """Whether what could be UTF-8 with control characters is rather UTF-16.

    Russian, Arabic and English in UTF-16 are all bytes below 128, but every line feed is two.
    """
    line_feeds = data.count(b"\n")
    if line_feeds:
        return 2 * text.count("\n") >= line_feeds
    return 4 * _odd(data.decode(errors="ignore")) >= len(data)


def _odd(text: str) -> int:
    """How many characters have no place in a text: controls, unassigned, private use."""
    return sum(
        unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs") and character not in "\t\n\r"
        for character in text
    )


def _guess(data: bytes, name: str) -> Decoded:
    """Reads a file in an old encoding, if its bytes say clearly enough which one it is."""
    if b"\0" in data:
        raise DataError(
            f"{name} is no text: it has zero bytes and is neither UTF-8, UTF-16 nor UTF-32.",
            mend="check that it is the file that you mean; --encoding NAME if it is text",
        )
    readings = list(_readings(data))
    if not readings:
        raise DataError(
            f"{name} is not UTF-8, and in no encoding that Civilly can tell.",
            mend=f"{_ICONV.format('NAME')}, or --encoding NAME where the verb has it",
        )
    (codec, confidence, text), *others = readings
    label = _GUESSED[codec]
    rival = max((other for _, other, reads in others if reads != text), default=0.0)
    if (
        confidence < _LEAST_CONFIDENCE
        or confidence < _LEAST_LEAD * rival
        or (codec not in _LATIN and _letters(text) < _LEAST_LETTERS)
    ):
        raise DataError(
            f"{name} is not UTF-8, and has too few such characters to tell what it is: "
            f"{_samples(readings)}.",
            mend=f"{_ICONV.format(label)}, or --encoding NAME where the verb has it",
        )
    return Decoded(
        text,
        codec,
        note=f"it is not UTF-8, so it was read as {label} (guessed; if it is another: "
        f"{_ICONV.format('NAME')}, or --encoding NAME); what is written is UTF-8",
    )


def _letters(text: str) -> int:
    return sum(character > "\x7f" and character.isalpha() for character in text)


def _readings(data: bytes) -> Iterator[tuple[str, float, str]]:
    """What the file may be, the likeliest first: codec, confidence, text."""
    import chardet

    lines = b"\n".join(line for line in data.splitlines() if not line.isascii())[:_SAMPLE]
    found = chardet.detect_all(
        lines,
        ignore_threshold=True,
        include_encodings=_GUESSED,
        prefer_superset=True,
        compat_names=False,
    )
    for guess in found:
        codec = guess["encoding"]
        try:
            if codec in _GUESSED:
                yield codec, guess["confidence"], data.decode(codec)
        except UnicodeDecodeError:
            continue


def _samples(readings: list[tuple[str, float, str]]) -> str:
    """How the first such words read in the likeliest encodings."""
    shown: dict[str, str] = {}
    for codec, _, text in readings:
        word = next((word for word in text.split() if not word.isascii()), "")[:20]
        shown.setdefault(word, _GUESSED[codec])
    return ", ".join(f"{label} reads {word!r}" for word, label in list(shown.items())[:3])
