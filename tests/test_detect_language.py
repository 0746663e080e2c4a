"""Language identification over the 15 languages."""

import py3langid.langid as shared_module
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.detect.language import identify, probabilities
from civilly.languages import CODES

SENTENCES = {
    "en": "The neighbours have been complaining about the noise all week.",
    "es": "Los vecinos llevan toda la semana quejándose del ruido.",
    "de": "Die Nachbarn beschweren sich schon die ganze Woche über den Lärm.",
    "zh": "邻居们整个星期都在抱怨噪音。",
    "ar": "الجيران يشتكون من الضوضاء طوال الأسبوع.",
    "hi": "पड़ोसी पूरे हफ्ते शोर की शिकायत कर रहे हैं।",
    "uk": "Сусіди цілий тиждень скаржаться на шум.",
    "ru": "Соседи всю неделю жалуются на шум.",
    "am": "ጎረቤቶቹ ሳምንቱን ሙሉ ስለ ጫጫታ ያማርራሉ።",
    "it": "I vicini si lamentano del rumore da tutta la settimana.",
    "fr": "Les voisins se plaignent du bruit depuis une semaine.",
    "he": "השכנים מתלוננים על הרעש כל השבוע.",
    "hin": "Padosi pure hafte shor ki shikayat kar rahe hain yaar.",
    "ja": "隣の人たちは一週間ずっと騒音に文句を言っている。",
    "tt": "Күршеләр атна буе шау-шудан зарлана.",
}


def test_tells_all_fifteen_apart():
    assert identify(list(SENTENCES.values())) == list(SENTENCES)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("kuch bhi bolta hai ye banda, dimag kharab hai iska", "hin"),
        ("мин бугэн эшкэ бармыйм, башым авырта", "tt"),  # Tatar on a Russian keyboard
        ("@user https://example.org/the-best-of-the-web Das ist doch Unsinn", "de"),
    ],
)
def test_chat_language(text, lang):
    assert identify([text]) == [lang]


@pytest.mark.parametrize("text", ["", "   ", "12345 !!!", "😀😀", "\ud800", "\x00\u200f"])
def test_texts_without_letters_are_even(text):
    row = probabilities([text])[0]
    assert set(row) == set(CODES)
    assert max(row.values()) == pytest.approx(1 / 15)
    assert identify([text]) == ["en"]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=40), max_size=5))
def test_one_distribution_per_text(texts):
    rows = probabilities(texts)
    assert len(rows) == len(texts)
    for row in rows:
        assert sum(row.values()) == pytest.approx(1, abs=1e-6)
        assert all(0 <= p <= 1 for p in row.values())


def test_batches_do_not_matter():
    texts = list(SENTENCES.values())
    assert [identify([text])[0] for text in texts] == identify(texts)


def test_leaves_the_shared_identifier_alone():
    identify(["ein Satz"])
    known = shared_module.IDENTIFIER
    assert known is None or len(known.labels) > 15
