"""Undoes disguises, and remembers where every character came from.

`normalise` maps a text to the form that the toxicity model reads: compatibility forms, case,
zero-width characters, homoglyphs, digits for letters, stretched, spaced, dotted and masked letters.
The result is only ever scored, never shown, so that an over-eager repair ("mp3" → "mpe") costs
nothing; the offsets lead from each normalised character back to the original text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from civilly.languages import UNSPACED, language

MASK = "*"
"""What every masking character inside a word becomes: ``f**k``, ``f_ck``, ``f#ck`` → ``f*k``."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """A normalised text with the way back.

    Attributes:
        text: The normalised text.
        starts: For each normalised character, where its source begins in the original text.
        ends: For each normalised character, one past the end of its source.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the original text behind ``text[start:end]``.

        Args:
            start: First normalised character, ``0 <= start < end``.
            end: One past the last normalised character, ``end <= len(text)``.
        """
        return self.starts[start], max(self.ends[start:end])


# --- letters that are one letter to a reader -------------------------------------------------

_FOLDS = {
    "ru": {"ё": "е", "і": "и"},
    "uk": {"ґ": "г"},
    "tt": {"ё": "е", "і": "и", "ә": "э", "ө": "о", "ү": "у", "җ": "ж", "ң": "н", "һ": "х"},
    "ar": {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي"}
    | {"گ": "ك", "ک": "ك", "ی": "ي", "پ": "ب", "چ": "ج", "ڤ": "ف"},
    "hi": {"ँ": "ं", "\u0929": "न", "\u0931": "र", "\u0934": "ळ"},
    "he": {"ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ"},
}
"""Spelling variants that writers mix freely; Tatar is often typed without its own letters."""

_AMHARIC_ROWS = (("ሐ", "ሀ"), ("ኀ", "ሀ"), ("ሠ", "ሰ"), ("ዐ", "አ"), ("ፀ", "ጸ"))
_FOLDS["am"] = {
    chr(ord(variant) + order): chr(ord(base) + order)
    for variant, base in _AMHARIC_ROWS
    for order in range(7)
} | {"ሃ": "ሀ", "ሓ": "ሀ", "ኃ": "ሀ", "ኻ": "ሀ", "ዓ": "አ", "ኣ": "አ"}
"""Ethiopic rows that sound alike in Amharic (h, s, glottal a, ts)."""

_FOLD_TABLES = {code: str.maketrans(table) for code, table in _FOLDS.items()}

_CYRILLIC_TO_LATIN = dict(
    zip("авсԁегһіјкмнорԛѕтихузьпѵԝяёлз", "abcderhijkmhopqstuxy3bnvwrele", strict=True)
)
_LATIN_TO_CYRILLIC = dict(zip("abcdefghijklmnoprstuvxyz", "авсдефгніјклмпоргѕтивхуз", strict=True))
_GREEK_TO_LATIN = dict(zip("αβεικνορτυχωγηςσ", "abeiknoptyxwyncs", strict=True))
_LEET_LATIN = dict(zip("0134578@$!|€£+", "oieastbasilelt", strict=True)) | {"6": "g", "9": "g"}
_LEET_CYRILLIC = dict(zip("0134567@$!|", "оізчсбтасії", strict=True)) | {"8": "в"}
_ARABIZI = dict(zip("bptjdrzsfqklmnhwyg", "ببتجدرزسفقكلمنهويج", strict=True)) | {
    "2": "ا", "3": "ع", "5": "خ", "6": "ط", "7": "ح", "8": "ق", "9": "ص", "x": "كس", "v": "ف",
}  # fmt: skip
_ARABIZI_LONG = {"aa": "ا", "oo": "و", "ou": "و", "ee": "ي", "ii": "ي", "sh": "ش", "kh": "خ"} | {
    "gh": "غ",
    "th": "ث",
}

# --- what is dropped, and what asks for a closer look ----------------------------------------

_DROPPED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef"  # invisible
    "\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u093c\u0300-\u036f\x00-\x08\x0e-\x1f]"  # tatweel, harakat, niqqud, nukta, stray accents
)
_LATIN = "a-zß-öø-ɏ"
_CYRILLIC = "\u0400-\u052f"
_SEPARATORS = r".\-_*/\\|,·•~+=:;'\"^`"

_TRIGGER = re.compile(
    r"([^\d\s])\1\1"  # stretched
    rf"|[{_LATIN}][{_CYRILLIC}\u0370-\u03ff]|[{_CYRILLIC}\u0370-\u03ff][{_LATIN}]"  # mixed
    r"|[^\W\d_](?:[\d@$€£+*_#%]|[!|]\w)|[\d$*][^\W\d_]"  # digits and symbols inside words
    rf"|(?<!\w)\w[\s{_SEPARATORS}]+\w(?!\w)"  # single letters apart
    rf"|[{UNSPACED}][\s{_SEPARATORS}]+[{UNSPACED}]"
    r"|[\u0370-\u03ff]"
)
_WORD = re.compile(r"[^\s]+")
_SPACED_LETTERS = re.compile(
    rf"(?<![\w*@#$])[^\W_](?:(?P<gap>[\s{_SEPARATORS}]{{1,3}})[^\W\d_])"
    rf"(?:[\s{_SEPARATORS}]{{1,3}}[^\W\d_])+(?![\w*])"
)
_CJK_GAP = re.compile(rf"(?<=[{UNSPACED}])[\s{_SEPARATORS}]{{1,2}}(?=[{UNSPACED}])")
_STRETCH = re.compile(r"([^\d\s])\1\1+")

_Chars = list[tuple[str, int, int]]


def normalise(text: str, lang: str) -> Normalised:
    """Normalises one text.

    Args:
        text: Any string, also with lone surrogates or control characters.
        lang: A code of `civilly.languages`; it decides the folds and the reading of digits.

    Returns:
        The normalised text, lower case, and the offsets back into ``text``. Never longer than the
        compatibility decomposition of ``text``; may be empty.

    Raises:
        UnknownNameError: If the language is not one of the 15.
    """
    spaces = language(lang).spaces
    table = _FOLD_TABLES.get(lang, {})
    lowered = text.lower()
    plain = (
        len(lowered) == len(text)
        and unicodedata.is_normalized("NFKC", lowered)
        and not _DROPPED.search(lowered)
    )
    if plain:
        folded = lowered.translate(table)
        if not _TRIGGER.search(folded):
            return Normalised(folded, range(len(text)), range(1, len(text) + 1))
        chars = [(char, i, i + 1) for i, char in enumerate(folded)]
    else:
        chars = _canonical(text, table)
    chars = _joined_letters(chars) if spaces else _without(_CJK_GAP, chars)
    chars = _stretches(chars, spaces)
    chars = [part for word in _words(chars) for part in _repaired(word, lang)]
    return Normalised(
        "".join(char for char, _, _ in chars),
        [start for _, start, _ in chars],
        [end for _, _, end in chars],
    )


def _canonical(text: str, table: dict[int, str]) -> _Chars:
    """NFKC, lower case, folds, and nothing invisible; one cluster (base + marks) at a time."""
    chars: _Chars = []
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        cluster = unicodedata.normalize("NFKC", text[start:end]).lower().translate(table)
        if end - start > 1 or not text[start].isascii():
            cluster = _DROPPED.sub("", cluster)
        chars += [(char, start, end) for char in cluster]
        start = end
    return [c for c in chars if not _DROPPED.match(c[0])]


def _string(chars: _Chars) -> str:
    return "".join(char for char, _, _ in chars)


def _without(pattern: re.Pattern[str], chars: _Chars) -> _Chars:
    """The characters outside the matches of ``pattern``."""
    kept: _Chars = []
    position = 0
    for match in pattern.finditer(_string(chars)):
        kept += chars[position : match.start()]
        position = match.end()
    return kept + chars[position:]


def _joined_letters(chars: _Chars) -> _Chars:
    """``f u c k`` and ``f.u.c.k`` → ``fuck``: three or more letters, each on its own."""
    kept: _Chars = []
    position = 0
    for match in _SPACED_LETTERS.finditer(_string(chars)):
        kept += chars[position : match.start()]
        kept += [c for c in chars[match.start() : match.end()] if c[0].isalnum()]
        position = match.end()
    return kept + chars[position:]


def _stretches(chars: _Chars, spaces: bool) -> _Chars:
    """Shortens runs of three or more: to one inside a word, to two where a word ends.

    The end keeps two because that is where languages double ("ass"); writing systems without
    spaces keep two everywhere.
    """
    text = _string(chars)
    kept: _Chars = []
    position = 0
    for match in _STRETCH.finditer(text):
        first, last = match.span()
        at_end = last == len(text) or not text[last].isalpha()
        keep = 2 if at_end or not spaces or not text[first].isalpha() else 1
        kept += chars[position : first + keep - 1]
        kept.append((text[first], chars[first + keep - 1][1], chars[last - 1][2]))
        position = last
    return kept + chars[position:]


def _words(chars: _Chars) -> Iterator[_Chars]:
    """The stretches between spaces and the spaces, in turn."""
    cuts = [0]
    for match in _WORD.finditer(_string(chars)):
        cuts += match.span()
    cuts.append(len(chars))
    return (chars[a:b] for a, b in pairwise(cuts) if b > a)


def _repaired(word: _Chars, lang: str) -> _Chars:
    """Homoglyphs, digits and masks of one word (or a run of spaces, which passes)."""
    text = _string(word)
    if text.isalpha() and text.isascii():
        return word
    latin = sum("a" <= c <= "z" or "ß" <= c <= "ɏ" for c in text)
    cyrillic = sum("\u0400" <= c <= "\u052f" for c in text)
    greek = sum("\u0370" <= c <= "\u03ff" for c in text)
    if not any(c.isalpha() for c in text):
        return word
    if lang == "ar" and latin and any(c in "235679" for c in text):
        return _from_arabizi(word)
    home_is_cyrillic = language(lang).script == "Cyrillic"
    to_cyrillic = cyrillic > latin or (cyrillic == latin and home_is_cyrillic and cyrillic > 0)
    if latin and cyrillic:
        word = _mapped(word, _LATIN_TO_CYRILLIC if to_cyrillic else _CYRILLIC_TO_LATIN)
    if latin and greek:
        word = _mapped(word, _GREEK_TO_LATIN)
    word = _unmasked(word)
    if latin or cyrillic:
        word = _letters_for_digits(word, _LEET_CYRILLIC if to_cyrillic else _LEET_LATIN)
    return _mapped(word, _FOLDS.get(lang, {})) if to_cyrillic else word


def _mapped(word: _Chars, table: dict[str, str]) -> _Chars:
    return [(table.get(char, char), start, end) for char, start, end in word]


def _unmasked(word: _Chars) -> _Chars:
    """Each run of masking characters after a letter becomes one `MASK`; leading ones go."""
    result: _Chars = []
    led = False
    for char, start, end in word:
        if char not in "*_#%":
            result.append((char, start, end))
        elif not result or not (result[-1][0].isalnum() or result[-1][0] == MASK):
            led = led or char == MASK
        elif result[-1][0] == MASK:
            result[-1] = (MASK, result[-1][1], end)
        else:
            result.append((MASK, start, end))
    if result and result[-1][0] == MASK and (led or result[-1][2] - result[-1][1] < 2):
        result.pop()  # *emphasis*, a footnote's star, a trailing underscore
    return result


def _letters_for_digits(word: _Chars, table: dict[str, str]) -> _Chars:
    """Digits and symbols that stand for letters; a symbol at the edge must be ``$``, ``@``."""
    text = _string(word)
    if text.isalpha():
        return word
    result: _Chars = []
    for i, (char, start, end) in enumerate(word):
        inside = 0 < i < len(text) - 1 and text[i + 1].isalnum() and text[i - 1].isalnum()
        edge = char.isdigit() or (char == "$" and i > 0) or (char == "@" and i == len(text) - 1)
        result.append((table.get(char, char) if inside or edge else char, start, end))
    return result


def _from_arabizi(word: _Chars) -> _Chars:
    """Arabic in Latin letters with digits ("7mar"): consonants and long vowels."""
    result: _Chars = []
    text = _string(word)
    i = 0
    while i < len(text):
        two = _ARABIZI_LONG.get(text[i : i + 2])
        if two:
            result.append((two, word[i][1], word[i + 1][2]))
            i += 2
            continue
        char = text[i]
        if char not in "aeiou":
            result += [(c, word[i][1], word[i][2]) for c in _ARABIZI.get(char, char)]
        i += 1
    return result
