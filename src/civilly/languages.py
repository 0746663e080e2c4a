"""The 15 languages; nobody else in the house knows what a language is like."""

from __future__ import annotations

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


_TABLE = (
    ("en", "English", "Latin", 0, 1, 1, "Rewrite the rude text politely and keep its meaning.", "Rude", "Polite"),
    ("es", "Spanish", "Latin", 0, 1, 1, "Reescribe el texto grosero con educación y conserva su significado.", "Grosero", "Educado"),
    ("de", "German", "Latin", 0, 1, 1, "Formuliere den unhöflichen Text höflich und behalte den Sinn bei.", "Unhöflich", "Höflich"),
    ("zh", "Chinese", "Han", 0, 0, 1, "把粗鲁的句子改写成文明的句子，保留原意。", "粗鲁", "文明"),
    ("ar", "Arabic", "Arabic", 1, 1, 1, "أعد صياغة النص المسيء بأدب مع الحفاظ على المعنى.", "مسيء", "مهذب"),
    ("hi", "Hindi", "Devanagari", 0, 1, 1, "अभद्र वाक्य को शालीन भाषा में लिखें और अर्थ बनाए रखें।", "अभद्र", "शालीन"),
    ("uk", "Ukrainian", "Cyrillic", 0, 1, 1, "Перепиши грубий текст ввічливо, зберігши зміст.", "Грубо", "Ввічливо"),
    ("ru", "Russian", "Cyrillic", 0, 1, 1, "Перепиши грубый текст вежливо, сохранив смысл.", "Грубо", "Вежливо"),
    ("am", "Amharic", "Ethiopic", 0, 1, 1, "ጸያፉን ጽሑፍ ትርጉሙን ሳይቀይር በጨዋ ቋንቋ ጻፍ።", "ጸያፍ", "ጨዋ"),
    ("it", "Italian", "Latin", 0, 1, 0, "Riscrivi il testo volgare in modo educato mantenendo il significato.", "Volgare", "Educato"),
    ("fr", "French", "Latin", 0, 1, 0, "Réécris le texte grossier poliment en gardant le sens.", "Grossier", "Poli"),
    ("he", "Hebrew", "Hebrew", 1, 1, 0, "נסח מחדש את הטקסט הגס בנימוס ושמור על המשמעות.", "גס", "מנומס"),
    ("hin", "Hinglish", "Latin", 0, 1, 0, "Gandi baat ko tameez se likho, matlab wahi rakho.", "Gandi", "Tameez"),
    ("ja", "Japanese", "Japanese", 0, 0, 0, "乱暴な文を、意味を変えずに丁寧に書き換えてください。", "乱暴", "丁寧"),
    ("tt", "Tatar", "Cyrillic", 0, 1, 0, "Тупас текстны мәгънәсен саклап әдәпле итеп яз.", "Тупас", "Әдәпле"),
)  # fmt: skip

LANGUAGES: dict[str, Language] = {
    row[0]: Language(row[0], row[1], row[2], bool(row[3]), bool(row[4]), bool(row[5]), *row[6:])
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


def language(code: str) -> Language:
    """The language of a code.

    Raises:
        UnknownNameError: If the code is not one of the 15.
    """
    try:
        return LANGUAGES[code]
    except KeyError:
        raise UnknownNameError("language", code, LANGUAGES) from None
