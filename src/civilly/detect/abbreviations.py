"""Abbreviations whose full stop ends no sentence, language by language."""

from __future__ import annotations

import re
from functools import cache

from civilly.languages import AUTO, UNSPACED_LETTER, in_word

_BEFORE_WORDS = {
    "en": "mr mrs ms dr prof st rep gov gen lt sgt capt rev hon jr sr vs approx dept e.g i.e cf",
    "es": "sr sra srta dr dra prof ud uds vd avda gral ing p.ej",
    "de": "dr prof hr bzw ca ggf evtl vgl inkl zzgl z.b d.h u.a i.d.r sog bspw geb str o.g s.o",
    "uk": "вул просп стор рис див напр акад проф доц т.зв тис млн млрд п.п",
    "ru": "ул просп стр рис см ср гр акад проф доц т.е т.к т.н т.о напр им св руб тыс млн млрд",
    "it": "sig sigg dott prof avv ing sig.ra p.es",
    "fr": "mme mlle mgr dr prof ste bd cf p.ex c.-à-d c.à.d",
    "tt": "ур проф акад мәс",
    "hi": "डॉ श्री प्रो पं कु",
    "hin": "dr mr mrs shri smt prof",
    "he": "פרופ",
    "am": "ዶ/ር ፕ/ር",
}  # fmt: skip
"""What a word follows, so that the sentence goes on."""
_AT_ENDS = {
    "en": "etc inc ltd co corp a.m p.m",
    "es": "etc",
    "de": "etc usw u.s.w u.v.m",
    "fr": "etc",
    "it": "ecc etc",
    "ru": "т.д т.п др",
    "uk": "т.д т.п ін",
    "tt": "һ.б",
}
"""What may also end a sentence: it does before a capital letter."""
_BEFORE_NUMBERS = frozenset(
    ("no", "nr", "nos", "pp", "vol", "fig", "art", "ch", "sec", "núm", "pág", "стр", "рис", "гл")
)
"""Words of their own, or other abbreviations, where no number follows."""
_LETTERS_AS_WORDS = {"en": "u", "hin": "u", "ru": "я", "uk": "яї", AUTO: "я"}
"""Single letters that are whole words, in writing or in chats, and may end a sentence."""
ORDINALS = frozenset(("de",))
"""Languages in which a full stop behind a number makes it an ordinal."""


def has_ended(before: str, lang: str) -> bool:
    """Whether a text ends with an abbreviation that may also end a sentence."""
    return _ending(_AT_ENDS, lang).search(before) is not None


def stays_open(before: str, word: str, following: str, lang: str) -> bool:
    """Whether a full stop ends an abbreviation or an initial, and no sentence.

    Args:
        before: What stands before it.
        word: The last word of that, or its part behind an earlier full stop.
        following: The next character.
        lang: A code, or ``"auto"``.
    """
    folded = word.casefold()
    letters = [letter for letter in folded if letter.isalpha()]
    if len(letters) == 1 and all(map(in_word, folded)) and not UNSPACED_LETTER.match(folded):
        return folded not in _LETTERS_AS_WORDS.get(lang, "")
    if folded in _BEFORE_NUMBERS and following.isdigit():
        return True
    return _ending(_BEFORE_WORDS, lang).search(before) is not None


@cache
def _pattern(words: str) -> re.Pattern[str]:
    """One of these words at the end; a blank may stand behind a full stop inside."""
    spelt = "|".join(re.escape(word).replace(r"\.", r"\.\s?") for word in words.split())
    return re.compile(rf"(?<![\w.])(?:{spelt or '(?!)'})$", re.IGNORECASE)


def _ending(words: dict[str, str], lang: str) -> re.Pattern[str]:
    return _pattern(" ".join(words.values()) if lang == AUTO else words.get(lang, ""))
