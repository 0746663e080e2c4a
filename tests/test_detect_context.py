"""The detector in context on whatever people write; how good it is, benchmarks say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.detect.by_sentence import BySentence
from civilly.detect.context import FLAGGED, WINDOW, ContextDetector, create, stretches
from civilly.detect.protected import protected
from civilly.detect.words import words
from civilly.errors import UnknownNameError
from civilly.languages import CODES
from civilly.types import Detector, Text
from valid_detections import assert_valid

RUDE = "you are a fucking moron"
anything = st.text(
    st.one_of(st.characters(codec=None), st.sampled_from("🤡😀 \n\ud83d@#*_.!傻逼ab1")), max_size=40
)


@pytest.fixture(scope="module")
def detector() -> ContextDetector:
    made = create()
    assert isinstance(made, Detector)
    assert isinstance(made, ContextDetector)
    return made


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.lists(st.tuples(anything, st.sampled_from(CODES)), max_size=6))
def test_any_text_gives_one_valid_detection_each(rows: list[tuple[str, str]]) -> None:
    texts = [Text(text, lang) for text, lang in rows]
    found = create().detect(texts)
    assert_valid(texts, found)
    for text, detection in zip(texts, found, strict=True):
        for span in detection.spans:
            assert not any(p.start < span.end and span.start < p.end for p in protected(text.text))


@pytest.mark.parametrize(
    "blank", ["", " ", "\n\t\u3000", "https://example.org", "…", "?!", "\x00", "\ud83d", "\u200b"]
)
def test_what_holds_nothing_to_read_is_civil(detector: ContextDetector, blank: str) -> None:
    (found,) = detector.detect([Text(blank, "en")])
    assert (found.p_toxic, found.spans, found.flags) == (0.0, (), ())


def test_nothing_gives_nothing(detector: ContextDetector) -> None:
    assert detector.detect([]) == []


def test_a_lone_surrogate_moves_no_span(detector: ContextDetector) -> None:
    text = f"\ud83d {RUDE}"
    (found,) = detector.detect([Text(text, "en")])
    assert found.spans
    assert all(text[span.start : span.end] in RUDE for span in found.spans)


def test_order_and_company_do_not_matter(detector: ContextDetector) -> None:
    texts = [Text(t, lang) for t, lang in ((RUDE, "en"), ("Guten Tag", "de"), ("🤡", "en"))]
    texts += [Text("这个蠢货又迟到了", "zh"), Text("", "ja"), Text(RUDE * 9, "en")]
    together = detector.detect(texts)
    backwards = detector.detect(texts[::-1])[::-1]
    apart = [detector.detect([text])[0] for text in texts]
    for other in (backwards, apart):
        assert [d.p_toxic for d in other] == pytest.approx([d.p_toxic for d in together])
        for one, two in zip(other, together, strict=True):
            assert [(s.start, s.end) for s in one.spans] == [(s.start, s.end) for s in two.spans]


def test_a_long_text_has_several_windows_and_is_its_worst(detector: ContextDetector) -> None:
    calm = "The train leaves at noon from the old station. "
    text = Text(calm * 20 + RUDE, "en")
    windows = detector.windows([text])
    assert len(windows) > 1
    assert max(len(window.ids) for window in windows) == WINDOW
    (found,) = detector.detect([text])
    assert found.p_toxic >= FLAGGED > detector.detect([Text(calm * 20, "en")])[0].p_toxic
    assert any(span.start >= len(calm * 20) for span in found.spans)


def test_a_hundred_thousand_characters_are_read() -> None:
    text = Text(("The train leaves at noon. " * 4_000)[: 100_000 - len(RUDE)] + RUDE, "en")
    (found,) = BySentence(create()).detect([text])
    assert len(text.text) == 100_000
    assert found.spans[-1].start >= 100_000 - len(RUDE)


def test_an_unknown_language_is_an_error(detector: ContextDetector) -> None:
    with pytest.raises(UnknownNameError):
        detector.detect([Text("hei", "fi")])


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "You b!tch, see", "You|b!tch|see"),
        ("en", "so f.u.c.k.i.n.g dumb", "so|f.u.c.k.i.n.g|dumb"),
        ("en", "you 🤡🖕", "you|🤡|🖕"),
        ("en", "a ____ , 100 % sure", "a|100|%|sure"),
        ("de", "der porte-parole", "der|porte-parole"),
        ("ja", "バカ野郎", "バカ|野郎"),
        ("en", "", ""),
    ],
)
def test_what_is_judged_as_one(lang: str, text: str, expected: str) -> None:
    found = stretches(text, lang, words(text, lang))
    assert "|".join(text[start:end] for start, end in found) == expected
