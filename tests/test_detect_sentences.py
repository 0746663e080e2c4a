"""Where sentences end, and that the rest of a text is cut as it would be alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from civilly.detect.sentences import sentences
from civilly.errors import UnknownNameError
from civilly.languages import CODES

CIVIL = {
    "en": "The library opens at nine. ",
    "es": "La biblioteca abre a las nueve. ",
    "de": "Die Bibliothek öffnet um neun. ",
    "zh": "图书馆九点开门。",
    "ar": "هل تفتح المكتبة في التاسعة؟ ",
    "hi": "पुस्तकालय नौ बजे खुलता है। ",
    "uk": "Бібліотека відчиняється о дев'ятій. ",
    "ru": "Библиотека открывается в девять! ",
    "am": "ቤተ መጻሕፍቱ በሦስት ሰዓት ይከፈታል። ",
    "it": "La biblioteca apre alle nove. ",
    "fr": "La bibliothèque ouvre à neuf heures ! ",
    "he": "הספרייה נפתחת בתשע. ",
    "hin": "Library nau baje khulti hai. ",
    "ja": "図書館は九時に開きます。",
    "tt": "Китапханә тугызда ачыла. ",
}


def pieces(text: str, lang: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text, lang)]


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "Mr. Smith met Dr. No. |He left! |Really?!! |Yes... but no. |Etc. |He paid 3.5."),
        ("en", "J. R. R. Tolkien and C. S. Lewis met. |Run v1.2.3. |See a.txt! |Go to x.com. |Ok"),
        ("en", "You i. d. i. o. t. of a man. |Go"),
        ("en", "f\nu\nc\nk you\n|now go\r\n\r\n  |third  "),
        ("en", 'He said "Go. Now!" and left. |"You idiot!" |The end. |(Stop. It.) |Then "no."'),
        ("en", 'Not "closed. |Here. |And\n|more" here. |End'),
        ("en", "sh!t b!tch, f.u.c.k! |1. It is slow\n|2. No. |No. 5 is ok. |Sad :( too. |Ok :)"),
        ("en", "No. |It's `a. b! c? d` here. |The U.S. army came."),
        ("de", "Am 3. Mai, z. B. dort, u. a. hier usw. |Es war 2019. |„Geh weg! Los.“ |Er ging."),
        ("ru", "т. е. он и т. д. и т. п. |Потом ушёл. |А. С. Пушкин. |Это я. |Иди… |Нет… да."),
        ("uk", "Читай див. вище. |«Геть! Іди.» |Ні."),
        ("fr", "Idiot ! |Va-t'en ! |« Quel con. », dit-il. |M. Dupont est là. |Oui."),
        ("es", "¡Cállate! |¿Qué quieres? |El Sr. López vino."),
        ("zh", "你好。|傻逼！！|走开吧「你好。再见」他说。|版本1.2好"),
        ("ja", "「バカ。帰れ」と言った。|え？|はい"),
        ("hi", "चुप रह। |जा। |डॉ. राम आए।"),
        ("ar", "اسكت؟ |نعم. |أ. د. محمد؛ حضر۔ |لا"),
        ("am", "ሂድ። |ደደብ ነህ፡፡ |ና።"),
        ("he", "לך. |א. ב. יהושע כתב. |כן"),
    ],
)  # fmt: skip
def test_sentences(lang: str, text: str) -> None:
    assert pieces(text.replace("|", ""), lang) == text.split("|")


def test_odd_texts_and_an_unknown_language() -> None:
    assert sentences("", "en") == []
    assert pieces(" \n ", "en") == [" \n "]
    assert pieces("... ! you", "en") == ["... ", "! ", "you"]
    assert pieces("\n\nHi. You", "auto") == ["\n\nHi. ", "You"]
    long = "(" + "a. " * 200 + ")"
    assert len(pieces(long, "de")) == 1
    assert len(pieces(long.replace("a", "ab"), "en")) == 201  # the bracket is too far away
    with pytest.raises(UnknownNameError):
        sentences("hei", "fi")


PARTS = [
    "you", "Idiot", "傻逼", "مرحبا", "चुप", "ደደብ", ".", ".", "!", "?", "...", "…", "。", "।",
    "؟", "።", " ", " ", " ", " ", "\n", "\r\n", "(", ")", "\"", "'", "“", "”", "«", "»",
    "„", "「", "」", "`", "*", "z. B.", "т. д.", "J.", "a", "b", "3.", "10.5", "@bob",
    "x.com", ":)", "e.g.", "😀", "f.u.c.k"
]  # fmt: skip
ANYTHING = st.lists(st.sampled_from(PARTS), max_size=30).map("".join) | st.text(max_size=60)


@settings(max_examples=500)
@given(ANYTHING, st.sampled_from([*CODES, "auto"]))
def test_they_tile_the_text_and_none_is_cut_further(text: str, lang: str) -> None:
    found = pieces(text, lang)
    assert "".join(found) == text
    assert all(found)
    for piece in found:
        assert pieces(piece, lang) == [piece]


@settings(max_examples=500)
@given(ANYTHING, st.sampled_from(CODES))
def test_a_civil_sentence_before_or_behind_changes_no_cut(text: str, lang: str) -> None:
    text = text.strip()
    assume(
        text and (text[0].isalnum() or text[0] in "(“„«「@")
    )  # a mark would go to what is before
    civil = CIVIL[lang]
    alone = pieces(text, lang)
    assert pieces(civil + text, lang) == [civil, *alone]
    if text[-1] in "!?。！？।؟።":
        behind = pieces(f"{text} {civil}", lang)
        assert behind == [*alone[:-1], alone[-1] + " ", civil]


@pytest.mark.parametrize(
    "unit", ["a. ", ". ", "(", '"a ', "a b ", "i. ", "((a) ", "「", "...", "Mr. ", "1. "]
)
def test_ten_times_the_text_takes_about_ten_times_as_long(unit: str) -> None:
    """Not a hundred times, as with a quadratic step; seconds would tell of the machine."""

    def spent(characters: int) -> float:
        text = unit * (characters // len(unit))
        start = time.process_time()
        sentences(text, "en")
        return time.process_time() - start

    assert spent(100_000) < 40 * max(min(spent(10_000) for _ in range(3)), 1e-3)
