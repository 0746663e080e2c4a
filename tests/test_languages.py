"""Languages are read as people write them, in the Python API and on the command line alike."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from civilly.cli import app
from civilly.errors import UnknownNameError
from civilly.languages import AUTO, CODES, LANGUAGES, chosen_language, language_code
from civilly.pipeline import Detoxifier

WRITTEN = {
    "en": "EN en-US en_GB eng en-us-x-private en_US.UTF-8 English ENGLISH",
    "de": "de_DE@euro deu ger de-1996 de-Latn-AT German deutsch",
    "zh": "zh-Hant zh_Hant zh_CN zh-Hans-SG cmn cmn_Hans_CN zh-cmn zho chi 中文",
    "he": "iw iw-IL he_IL heb עברית",
    "hi": "hi-Deva hin_Deva hi_IN हिन्दी",
    "hin": "hin hi-Latn hi_Latn_IN hin-Latn Hinglish",
    "ar": "arb ar-EG ara_Arab العربية",
    "ja": "jpn ja-JP ja_Jpan",
    "tt": "tt-RU tat tat_Cyrl",
    "uk": "uk-UA ukr Українська",
    "ru": "rus_Cyrl русский",
}
NONE_OF_OURS = "", " ", "pt", "xx", "in", "ru-Latn", "zh-yue", "yue", "tt_Latn", "en-", "-en", "C"


@pytest.mark.parametrize(
    ("given", "code"), [(word, code) for code, words in WRITTEN.items() for word in words.split()]
)
def test_what_people_write_is_understood(given: str, code: str) -> None:
    assert language_code(given) == code
    assert language_code(f" {given.lower()}\n") == code
    assert chosen_language(given) == code


@pytest.mark.parametrize("given", NONE_OF_OURS)
def test_other_languages_are_none_of_ours(given: str) -> None:
    assert language_code(given) is None
    with pytest.raises(UnknownNameError, match="Allowed: am, ar"):
        chosen_language(given)


def test_no_name_means_two_languages() -> None:
    names = [
        name.casefold()
        for lang in LANGUAGES.values()
        for name in {lang.code, *lang.aliases, lang.name.casefold(), lang.own_name.casefold()}
    ]
    assert len(names) == len(set(names))
    assert all(language_code(name) in CODES for name in names)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("jp", "did you mean 'ja'"), ("ua", "did you mean 'uk'"), ("cn", "did you mean 'zh'"),
        ("Germann", "did you mean 'de'"), ("spanisch", "did you mean 'es'"),
        ("ru-Latn", "Russian in Cyrillic"), ("", "detects"), ("aut0", "'auto'"),
    ],
)  # fmt: skip
def test_well_known_mistakes_get_the_right_hint(given: str, hint: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        chosen_language(given, auto=True)
    assert hint in caught.value.mend


@pytest.mark.parametrize("given", ["pt", "nl", "ko", "xx", "is", "iu"])
def test_the_code_of_another_language_gets_no_hint(given: str) -> None:
    """Two letters are too few to guess by: ``pt`` is no misspelt ``tt``."""
    with pytest.raises(UnknownNameError) as caught:
        chosen_language(given, auto=True)
    assert caught.value.mend == ""


def test_auto_is_a_choice_only_where_it_is_allowed() -> None:
    assert chosen_language(" Auto ", auto=True) == AUTO
    with pytest.raises(UnknownNameError):
        chosen_language("auto")


@given(st.text(max_size=12))
def test_anything_else_is_one_of_ours_or_none(given: str) -> None:
    assert language_code(given) in {None, *CODES}


@pytest.mark.parametrize("given", ["EN", "zh_Hant", "iw", "hi-Latn", "German"])
def test_the_command_line_and_the_api_read_alike(given: str) -> None:
    shown = CliRunner().invoke(app, ["detect", "--json", "-l", given, "You idiot"]).stdout
    (result,) = Detoxifier("duplicate").rewrite(["You idiot"], given)
    assert json.loads(shown)["lang"] == result.lang == language_code(given)


def test_the_command_line_and_the_api_refuse_alike() -> None:
    shown = CliRunner().invoke(app, ["detect", "-l", "jp", "You idiot"])
    with pytest.raises(UnknownNameError) as caught:
        Detoxifier("duplicate").rewrite(["You idiot"], "jp")
    assert str(shown.exception) == str(caught.value)
