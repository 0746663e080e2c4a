"""Rude words in disguise are spelt out for whoever writes, where the detector found them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.pipeline.disguises import undisguised
from civilly.types import Detection, Span, Text


def _asked(text: str, *rude: str, lang: str = "en") -> tuple[str, list[str]]:
    spans = tuple(Span(text.index(word), text.index(word) + len(word), 0.9) for word in rude)
    found, detection = undisguised(Text(text, lang), Detection(0.9, spans))
    return found.text, [found.text[span.start : span.end] for span in detection.spans]


@pytest.mark.parametrize(
    ("lang", "text", "rude", "meant", "spans"),
    [
        ("en", "you are an 1d10t, ok", ("1d10t",), "you are an idiot, ok", ["idiot"]),
        ("en", "f.u.c.k this sh1t", ("f.u.c.k", "sh1t"), "fuck this shit", ["fuck", "shit"]),
        ("es", "eres un p3ndej0 2 veces", ("p3ndej0",), "eres un pendejo 2 veces", ["pendejo"]),
        ("ru", "ты п1дор", ("п1дор",), "ты пидор", ["пидор"]),
        ("en", "you id\u200biot", ("id\u200biot",), "you idiot", ["idiot"]),
    ],
)
def test_disguises_are_spelt_out(lang, text, rude, meant, spans):
    assert _asked(text, *rude, lang=lang) == (meant, spans)


@pytest.mark.parametrize(
    ("lang", "text", "rude"),
    [
        ("en", "f**k that", ("f**k",)),  # nobody knows which letters are masked
        ("en", "you Idiot, meet me at 10t", ("Idiot",)),  # no disguise, and no span
        ("ar", "أحمق", ("أحمق",)),  # folding letters is for the detector alone
    ],
)
def test_what_is_in_no_disguise_that_can_be_undone_stays(lang, text, rude):
    assert _asked(text, *rude, lang=lang) == (text, list(rude))


@given(st.text("ab1 .!é", max_size=12), st.lists(st.integers(0, 12), min_size=4, max_size=4))
def test_civil_stretches_stay_whatever_the_spans(text, places):
    first, second = sorted(place % (len(text) + 1) for place in places[:2])
    spans = (Span(first, second, 0.9),) if first < second else ()
    found, detection = undisguised(Text(text, "en"), Detection(0.9, spans))
    assert len(detection.spans) == len(spans)
    for span in detection.spans:
        assert found.text[: span.start] == text[:first]
        assert found.text[span.end :] == text[second:]
