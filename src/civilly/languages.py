"""The 15 languages; nobody else in the house knows what a language is like."""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass

from civilly.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Language:
    """What we know of a language.

    Attributes:
        code: Code of TextDetox 2025 (``hin`` is Hinglish: Hindi in Latin script).
        name: English name.
        script: Main script, as Unicode names it.
        right_to_left: Direction of the script.
        spaces: Whether words are separated by spaces.
        parallel: Whether human parallel data exist (one of the nine "P" languages).
        instruction: "Make this polite, keep the meaning", in the language itself.
        toxic_label: Label of the rude side in a few-shot prompt.
        civil_label: Label of the civil side in a few-shot prompt.
        own_name: Name in the language itself.
        aliases: Its other codes: ISO 639-2 and 639-3, those of the standard variety of a group of
            languages (``cmn``, ``arb``), and those that BCP 47 has replaced (``iw``).
    """

    code: str
    name: str
    script: str
    right_to_left: bool
    spaces: bool
    parallel: bool
    instruction: str
    toxic_label: str
    civil_label: str
    own_name: str
    aliases: tuple[str, ...]


AUTO = "auto"
"""Stands for the language that is detected from the text."""

_TABLE = (
    ("en", "English", "Latin", 0, 1, 1, "Rewrite the rude text politely and keep its meaning.", "Rude", "Polite", "English", "eng"),
    ("es", "Spanish", "Latin", 0, 1, 1, "Reescribe el texto grosero con educación y conserva su significado.", "Grosero", "Educado", "español", "spa"),
    ("de", "German", "Latin", 0, 1, 1, "Formuliere den unhöflichen Text höflich und behalte den Sinn bei.", "Unhöflich", "Höflich", "Deutsch", "deu ger"),
    ("zh", "Chinese", "Han", 0, 0, 1, "把粗鲁的句子改写成文明的句子，保留原意。", "粗鲁", "文明", "中文", "zho chi cmn"),
    ("ar", "Arabic", "Arabic", 1, 1, 1, "أعد صياغة النص المسيء بأدب مع الحفاظ على المعنى.", "مسيء", "مهذب", "العربية", "ara arb"),
    ("hi", "Hindi", "Devanagari", 0, 1, 1, "अभद्र वाक्य को शालीन भाषा में लिखें और अर्थ बनाए रखें।", "अभद्र", "शालीन", "हिन्दी", ""),
    ("uk", "Ukrainian", "Cyrillic", 0, 1, 1, "Перепиши грубий текст ввічливо, зберігши зміст.", "Грубо", "Ввічливо", "українська", "ukr"),
    ("ru", "Russian", "Cyrillic", 0, 1, 1, "Перепиши грубый текст вежливо, сохранив смысл.", "Грубо", "Вежливо", "русский", "rus"),
    ("am", "Amharic", "Ethiopic", 0, 1, 1, "ጸያፉን ጽሑፍ ትርጉሙን ሳይቀይር በጨዋ ቋንቋ ጻፍ።", "ጸያፍ", "ጨዋ", "አማርኛ", "amh"),
    ("it", "Italian", "Latin", 0, 1, 0, "Riscrivi il testo volgare in modo educato mantenendo il significato.", "Volgare", "Educato", "italiano", "ita"),
    ("fr", "French", "Latin", 0, 1, 0, "Réécris le texte grossier poliment en gardant le sens.", "Grossier", "Poli", "français", "fra fre"),
    ("he", "Hebrew", "Hebrew", 1, 1, 0, "נסח מחדש את הטקסט הגס בנימוס ושמור על המשמעות.", "גס", "מנומס", "עברית", "heb iw"),
    ("hin", "Hinglish", "Latin", 0, 1, 0, "Gandi baat ko tameez se likho, matlab wahi rakho.", "Gandi", "Tameez", "Hinglish", ""),
    ("ja", "Japanese", "Japanese", 0, 0, 0, "乱暴な文を、意味を変えずに丁寧に書き換えてください。", "乱暴", "丁寧", "日本語", "jpn"),
    ("tt", "Tatar", "Cyrillic", 0, 1, 0, "Тупас текстны мәгънәсен саклап әдәпле итеп яз.", "Тупас", "Әдәпле", "татар", "tat"),
)  # fmt: skip

LANGUAGES: dict[str, Language] = {
    row[0]: Language(
        row[0],
        row[1],
        row[2],
        bool(row[3]),
        bool(row[4]),
        bool(row[5]),
        *row[6:10],
        tuple(row[10].split()),
    )
    for row in _TABLE
}
"""All languages by code, in the order of the shared task."""

CODES: tuple[str, ...] = tuple(LANGUAGES)
PARALLEL_CODES: tuple[str, ...] = tuple(c for c, lang in LANGUAGES.items() if lang.parallel)
NEW_CODES: tuple[str, ...] = tuple(c for c, lang in LANGUAGES.items() if not lang.parallel)

UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff66-\uff9f"
"""Kana, also of half width, and Chinese characters, as inside the brackets of a regular expression:
nothing separates their words."""
UNSPACED_LETTER = re.compile(f"[{UNSPACED}]")
"""One of them."""


def in_word(character: str) -> bool:
    """Whether it is a letter, a digit, or a mark that belongs to one.

    To regular expressions and `str.isalnum` vowel signs and viramas are none, so that they take
    a word of Devanagari for several.
    """
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def says_something(text: str) -> bool:
    """Whether a text holds a letter or a digit: of an output that holds none, all was cut."""
    return any(map(str.isalnum, text))


def language(code: str) -> Language:
    """The language of a code, as it stands in `LANGUAGES`.

    Raises:
        UnknownNameError: If the code is not one of the 15.
    """
    try:
        return LANGUAGES[code]
    except KeyError:
        raise UnknownNameError("language", code, LANGUAGES) from None


_TAG = re.compile(
    r"([a-z]{2,3})(?:-([a-z]{3}))?(?:-([a-z]{4}))?(?:-(?:[a-z]{2}|\d{3}))?(?:-[a-z0-9]{2,8})*"
    r"(?:-[a-z](?:-[a-z0-9]{1,8})+)*"
)
"""A language tag of BCP 47: language, extended language, script; region and the rest say nothing
about which of our languages it is."""
_SCRIPTS = {
    "Latin": ("latn",),
    "Han": ("hans", "hant", "hani"),
    "Arabic": ("arab",),
    "Devanagari": ("deva",),
    "Cyrillic": ("cyrl",),
    "Ethiopic": ("ethi",),
    "Hebrew": ("hebr",),
    "Japanese": ("jpan", "hrkt", "hira", "kana", "hani"),
}
"""Codes of ISO 15924 for the scripts of our languages."""
_OTHER_SCRIPT = {("hi", "latn"): "hin", ("hin", "deva"): "hi"}
"""Where another script makes another one of our languages."""
_COUNTRIES = {
    "cn": "zh", "tw": "zh", "jp": "ja", "ua": "uk", "il": "he", "us": "en", "gb": "en", "in": "hi",
    "mx": "es", "eg": "ar",
}  # fmt: skip
"""Country codes that people write for a language; none of them is the code of one of ours."""

_BY_CODE = {name: lang.code for lang in LANGUAGES.values() for name in (lang.code, *lang.aliases)}
_BY_NAME = {
    name.casefold(): lang.code for lang in LANGUAGES.values() for name in (lang.name, lang.own_name)
}


def language_code(given: str) -> str | None:
    """The code that somebody means; None if it is none of our languages.

    Understood are, in any case, codes of ISO 639 and tags of BCP 47 with hyphens or underscores
    (``EN``, ``en-GB``, ``zh_Hant``, ``eng``, ``iw``, ``de_DE.UTF-8``), and names in English or in
    the language itself. Our own code comes first: ``hin``, which is Hindi to ISO 639-3, is Hinglish
    as in the shared task, and so is ``hi-Latn``. A script that a language is not written in makes
    it none of ours: ``ru-Latn``.
    """
    wanted = " ".join(given.split()).casefold()
    if wanted in _BY_NAME:
        return _BY_NAME[wanted]
    tag = _TAG.fullmatch(re.split("[.@]", wanted, maxsplit=1)[0].replace("_", "-"))
    code = _BY_CODE.get(tag[1]) if tag else None
    if tag is None or code is None or (tag[2] and _BY_CODE.get(tag[2]) != code):
        return None
    if tag[3] is None or tag[3] in _SCRIPTS[LANGUAGES[code].script]:
        return code
    return _OTHER_SCRIPT.get((code, tag[3]))


def chosen_language(given: str, *, auto: bool = False, where: str = "") -> str:
    """The code that somebody means; see `language_code`.

    Args:
        given: A code, a tag or a name.
        auto: Whether ``"auto"`` is allowed, too; it is given back as `AUTO`.
        where: For the message: which of several it is, as in ``" at position 3"``.

    Raises:
        UnknownNameError: If it is none of our languages.
    """
    if auto and given.strip().casefold() == AUTO:
        return AUTO
    code = language_code(given)
    if code is None:
        allowed = [*LANGUAGES, AUTO] if auto else [*LANGUAGES]
        raise UnknownNameError("language", given, allowed, where=where, mend=_mend(given, auto))
    return code


def _mend(given: str, auto: bool) -> str:
    """What somebody may have meant who names none of our languages.

    Codes are too short to guess by their letters: ``pt`` is nearer to ``tt`` than to anything.
    """
    wanted = given.strip().casefold()
    if not wanted:
        return f"{AUTO!r}, which detects it" if auto else ""
    first = re.split("[-_.@]", wanted, maxsplit=1)[0]
    if wanted in _COUNTRIES:
        code = _COUNTRIES[wanted]
        return f"{wanted!r} is a country; did you mean {code!r} ({LANGUAGES[code].name})?"
    if first in _BY_CODE and first != wanted:
        lang = LANGUAGES[_BY_CODE[first]]
        return f"{lang.code!r} means {lang.name} in {lang.script} script; did you mean that?"
    close = difflib.get_close_matches(wanted, [*_BY_NAME, AUTO], n=1, cutoff=0.7)
    if close and (close[0] != AUTO or auto):
        code = _BY_NAME.get(close[0], AUTO)
        return f"did you mean {code!r}?"
    return ""
