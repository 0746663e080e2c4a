"""In which script a character is written, told by its name in Unicode."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

from civilly.languages import language

_KANA = "Kana"
_BY_WORD = {
    **{"CJK": "Han", "IDEOGRAPHIC": "Han"},
    **{"HIRAGANA": _KANA, "KATAKANA": _KANA, "KATAKANA-HIRAGANA": _KANA, "HENTAIGANA": _KANA},
}
_OF_NO_SCRIPT = frozenset(
    {"CARON", "COMBINING", "HALFWIDTH", "MASU", "MODIFIER", "MUSICAL", "VARIATION", "VERTICAL"}
)


@lru_cache(maxsize=100_000)
def script_of(character: str) -> str | None:
    """The script of a letter or mark under its name in Unicode; both kana are ``"Kana"``.

    A name's first word is the script in every script that is in use (a test compares with
    Unicode's own table). Full-width, mathematical and other shapes count as the letters that they
    stand for.

    Args:
        character: One code point.

    Returns:
        None for what belongs to no script: all but letters and marks, and those marks and modifiers
        that several scripts use.
    """
    kind = unicodedata.category(character)[0]
    if kind not in "LM":
        return None
    if kind == "L":
        plain = unicodedata.normalize("NFKC", character)
        character = next((c for c in plain if unicodedata.category(c)[0] == "L"), character)
    word = unicodedata.name(character, "UNKNOWN").split()[0]
    if word in _OF_NO_SCRIPT:
        return None
    return _BY_WORD.get(word, word.title())


@cache
def scripts_of_language(lang: str) -> frozenset[str]:
    """The scripts in which a language is written.

    Args:
        lang: One of the 15 codes.

    Raises:
        UnknownNameError: If it is none of them.
    """
    script = language(lang).script
    return frozenset(("Han", _KANA) if script == "Japanese" else (script,))
