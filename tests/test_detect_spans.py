"""A span holds words and what masks them, and nothing that stands between words.

The n-gram model and the detector in context have the same edges, whatever scores their words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.detect.context import ContextDetector, Verdict, Window
from civilly.detect.features import Features, extract
from civilly.detect.protected import blanked
from civilly.detect.spans import Mark, outstanding_spans, toxic_spans
from civilly.languages import CODES
from civilly.types import Text

RUDE = {"fucking", "idiot", "moron", "shit", "crap", "piss", "fuck", "傻", "逼", "バ", "カ", "5h1t"}
RUDE |= {"figlio", "di", "puttana"}


Marked = Callable[..., list[str]]


def by_ngrams(text: str, lang: str = "en", loud: str = "") -> list[str]:
    """What a detector marks that knows these words by heart, and the characters of ``loud``."""
    read = blanked(text)
    features = extract([read], lang)
    scores = np.array(
        [2.0 if is_loud(word, loud) else -1.0 for word in tokens_of(features)], np.float64
    )
    alone = np.where(scores > 0, 0.9, 0.1)
    found = toxic_spans(features, 0, text, read, lang, scores, alone, 1.0)
    return [text[span.start : span.end] for span in found]


def is_loud(word: str, loud: str) -> bool:
    return word in RUDE or "*" in word or word in loud


def tokens_of(features: Features) -> list[str]:
    normal = features.normalised[0].text
    return [normal[a:b] for a, b in zip(features.starts, features.ends, strict=True)]


class InContext(ContextDetector):
    """Finds every text toxic, and of each rude word but the first character."""

    def __init__(self, loud: str) -> None:
        self._loud = loud
        self._calibration = np.tile(np.array([1, 0, 0, 1, 0], np.float32), (len(CODES), 1))

    def verdicts(self, texts: Sequence[Text]) -> list[tuple[Window, Verdict]]:
        return [self._verdict(row, text) for row, text in enumerate(texts)]

    def _verdict(self, row: int, text: Text) -> tuple[Window, Verdict]:
        features = extract([text.text], text.lang)
        words = np.full(len(text.text), -3.0, np.float32)
        for word, start in zip(tokens_of(features), features.starts, strict=True):
            if is_loud(word, self._loud):
                words[features.normalised[0].starts[start]] = 2.0
        places = [(at, at + 1) for at in range(len(words))]
        texts = np.array([9.0, -9.0, -9.0], np.float32)
        return Window(row, [5] * len(words), places, [0.0] * len(words), 0.0), Verdict(words, texts)


def in_context(text: str, lang: str = "en", loud: str = "") -> list[str]:
    (found,) = InContext(loud).detect([Text(text, lang)])
    return [text[span.start : span.end] for span in found.spans]


either = pytest.mark.parametrize("marked", [by_ngrams, in_context])


@either
@pytest.mark.parametrize(
    ("lang", "text", "spans"),
    [
        ("en", "You fucking idiot, see", "fucking idiot"),
        ("en", "\"you idiot\" and 'piss off' (moron) [shit] {crap}", "idiot|piss|moron|shit|crap"),
        ("en", "“fucking” “idiot!” moron", "fucking|idiot|moron"),
        ("en", "fucking, idiot... moron\nshit", "fucking|idiot|moron|shit"),
        ("it", "sto figlio di puttana!” #Bonucci idiot", "figlio di puttana|idiot"),
        ("en", "\u202eyou fucking idiot\u202c \u2067moron\u2069\u200b", "fucking idiot|moron"),
        ("en", "**you fucking idiot** and _moron_", "fucking idiot|moron"),
        ("en", "idiot @bob moron", "idiot|moron"),
        ("en", "idiot https://x.org/idiot moron #shit idiot@x.org", "idiot|moron"),
        ("en", "what the f**k, bull**** and fu**c**k", "f**k|bull****|fu**c**k"),
        ("en", "5_h_1_t, s_h_i_t, you f u c k.", "5_h_1_t|s_h_i_t|f u c k"),
        ("en", "i\u200bd\u200biot, i.d.i.o.t, so", "i\u200bd\u200biot|i.d.i.o.t"),
        ("zh", "你 傻*逼*，滚。傻-逼", "傻*逼*|傻-逼"),
        ("zh", "“傻逼”傻逼", "傻逼|傻逼"),
        ("ja", "「バカ」バカ\u202c", "バカ|バカ"),
    ],
)  # fmt: skip
def test_what_a_span_holds(marked: Marked, lang: str, text: str, spans: str) -> None:
    assert "|".join(marked(text, lang)) == spans


@either
def test_an_emoji_is_a_span_of_its_own_if_it_can_insult(marked: Marked) -> None:
    loud = "🤡🖕😂🐷🏽🎉"
    assert marked("you idiot 🤡🤡🤡 😂", loud=loud) == ["idiot", "🤡🤡🤡"]
    assert marked("🤣moron 🖕🏽, ok 🎉", loud=loud) == ["moron", "🖕🏽"]
    assert marked("a 🐷 moron", loud="") == ["moron"]
    assert marked("a 🐷 moron", loud="🐷") == ["🐷", "moron"]
    assert marked("a 🤡 moron", loud="") == ["🤡", "moron"]
    assert marked("傻逼😂😂 ok", "zh", loud=loud) == ["傻逼"]


PARTS = ["idiot", "moron", "傻逼", "f**k", "ok", " ", " ", '"', "“", "”", "(", ")", "!", ",", "**",
         "@bob", "#x", "`c`", "12", "😀", "🤡", "\n", "\u202c", "http://x.org"]  # fmt: skip


@either
@given(st.lists(st.sampled_from(PARTS), max_size=20).map("".join), st.sampled_from(CODES))
def test_no_span_holds_a_mark_that_may_be_one_of_a_pair(
    marked: Marked, text: str, lang: str
) -> None:
    for span in marked(text, lang):
        assert not set(span) & set('"“”()!,\n\u202c😀')
        assert span == span.strip()


@pytest.mark.parametrize(
    ("scores", "spans"),
    [
        ([0.6, 0.7, 0.3], ["ab cd"]),
        ([0.3, 0.2, 0.4], ["ef"]),  # the worst one carries the verdict
        ([0.2, 0.1, 0.2], []),
        ([0.2, 0.6, 0.6], ["cd", "ef"]),
    ],
)
def test_what_stands_out(scores: list[float], spans: list[str]) -> None:
    text, bounds = "ab cd, ef", [(0, 2), (3, 5), (7, 9)]
    marks = [Mark(*place, p, p) for place, p in zip(bounds, scores, strict=True)]
    found = outstanding_spans(marks, text, text, "en", bounds, 0.5, 0.25)
    assert [text[span.start : span.end] for span in found] == spans
    assert [span.score for span in found] == [
        max(p for (a, _), p in zip(bounds, scores, strict=True) if span.start <= a < span.end)
        for span in found
    ]
