"""Where words begin and end, and that a stretch grown to whole words cuts none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.detect.toxicity import create
from civilly.detect.words import whole_words, words
from civilly.languages import CODES
from civilly.types import Text

TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from("ab -'*.,\n你好老僵尸ガーッタのはאבن्यـة\u0301\u200d🙂"), st.characters()
    ),
    max_size=60,
)
PARTS = ["老", "你", "白痴", "ガイジ", "メーカー", "の", "f*ck", " ", "shit"]


@pytest.mark.parametrize(
    ("lang", "text", "found"),
    [
        ("en", "f**k you--all, don't @me", "f**k|you|all|don't|@me"),
        ("fr", "l'idiot, porte-parole 'tis", "l'idiot|porte-parole|tis"),
        ("he", 'צה"ל של בן־זונה', 'צה"ל|של|בן־זונה'),
        ("hi", "बेवकूफ़ आदमी, चुप रह", "बेवकूफ़|आदमी|चुप|रह"),
        ("ar", "أَنْتَ غَبِيٌّ جداً", "أَنْتَ|غَبِيٌّ|جداً"),
        ("am", "ደደብ ነህ፣ ዝም በል", "ደደብ|ነህ|ዝም|በል"),
        ("ru", "кто-то тупой…", "кто-то|тупой"),
        # Katakana with its long vowels, Latin letters and digits are never halved.
        ("ja", "KISSってエロゲメーカーのゲームや", "KISS|って|エロゲメーカー|の|ゲーム|や"),
        ("ja", "オレ体重45キロのクソガリ", "オレ|体|重|45|キロ|の|クソガリ"),
        ("ja", "恋愛に", "恋愛|に"),
        ("zh", "你这老僵尸要被举报了", "你|这|老|僵尸|要|被|举报|了"),
        ("zh", "有的gay他还骚扰", "有|的|gay|他|还|骚扰"),
        # Marks of an emoji belong to no word.
        ("en", "ok ❤\ufe0fidiot \ufeffno", "ok|idiot|no"),
        ("en", "👨\u200didiot\u200d", "idiot\u200d"),
        ("en", "", ""),
        ("ja", "  。、 ", ""),
    ],
)
def test_words(lang: str, text: str, found: str) -> None:
    assert "|".join(text[start:end] for start, end in words(text, lang)) == found


@settings(max_examples=200, deadline=None)
@given(TEXT, st.sampled_from(CODES), st.integers(0, 60), st.integers(1, 60))
def test_a_grown_stretch_cuts_no_word(text: str, lang: str, start: int, size: int) -> None:
    bounds = words(text, lang)
    last = 0
    for a, b in bounds:
        assert last <= a < b <= len(text)
        last = b
    end = min(len(text), start + size)
    if start >= end:
        return
    first, past = whole_words(start, end, bounds)
    assert first <= start < end <= past
    for a, b in bounds:
        assert not a < first < b
        assert not a < past < b


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(PARTS)), st.sampled_from(["zh", "ja", "en"]))
def test_spans_of_the_detector_hold_whole_words(parts: list[str], lang: str) -> None:
    text = "".join(parts)
    bounds = words(text, lang)
    for span in create().detect([Text(text, lang)])[0].spans:
        assert whole_words(span.start, span.end, bounds) == (span.start, span.end)
