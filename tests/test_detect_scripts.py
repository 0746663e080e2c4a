"""A character's script by its name is the one of Unicode's own table."""

import unicodedata

import pytest

from civilly.detect.scripts import script_of, scripts_of_language
from civilly.errors import UnknownNameError
from civilly.languages import CODES

SHARED = {"Common", "Inherited"}


def test_letters_of_our_scripts_are_those_of_unicodes_table():
    regex = pytest.importorskip("regex")
    wanted = ["Latin", "Cyrillic", "Arabic", "Devanagari", "Ethiopic", "Hebrew", "Greek", "Hangul",
              "Thai", "Armenian", "Georgian", "Bengali", "Tamil", "Han", "Hiragana", "Katakana",
              "Common", "Inherited"]  # fmt: skip
    patterns = {name: regex.compile(rf"\p{{Script={name}}}") for name in wanted}
    wrong = []
    for code in range(0x30000):
        character = chr(code)
        if unicodedata.category(character)[0] != "L":
            continue
        plain = unicodedata.normalize("NFKC", character)
        script = next((name for name in wanted if patterns[name].match(plain[0])), None)
        if script is None or script in SHARED:
            continue
        script = "Kana" if script in ("Hiragana", "Katakana") else script
        if script_of(character) != script:
            wrong.append((character, script, script_of(character)))
    assert len(wrong) < 10, wrong  # turned and Roman letters, Vietnamese reading marks


@pytest.mark.parametrize(
    ("character", "script"),
    [("ａ", "Latin"), ("𝓯", "Latin"), ("ﬁ", "Latin"), ("ﾊ", "Kana"), ("ー", "Kana"), ("々", "Han"),
     ("\u064b", "Arabic"), ("\u0301", None), ("\ufe0f", None), ("5", None), ("★", None),
     (" ", None), ("\x00", None), ("\ue000", None)],
)  # fmt: skip
def test_forms_and_what_no_script_owns(character, script):
    assert script_of(character) == script


def test_scripts_of_languages():
    assert scripts_of_language("ja") == {"Han", "Kana"}
    assert scripts_of_language("hin") == {"Latin"}
    assert all(scripts_of_language(code) for code in CODES)
    with pytest.raises(UnknownNameError):
        scripts_of_language("xx")
