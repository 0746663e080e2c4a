"""Tags of pages and forums: a model does not see them, and they come back around their words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.detect.protected import unmarked
from civilly.pipeline.tags import untagged
from civilly.types import Detection, Span, Text

_PAGE = "<p>You are a <b>stupid</b> person &amp; I &lt;3 you</p>"


def _bare(text: str) -> str:
    return untagged(Text(text, "en"), Detection(0.9)).text.text


def test_a_model_sees_the_words_alone() -> None:
    start = _PAGE.index("stupid")
    found = untagged(Text(_PAGE, "en"), Detection(0.9, (Span(start, start + 6, 0.9),)))
    (span,) = found.detection.spans
    assert found.text.text == "You are a stupid person &amp; I &lt;3 you"
    assert found.text.text[span.start : span.end] == "stupid"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            "You are an unkind person &amp; I &lt;3 you",
            "<p>You are an <b>unkind</b> person &amp; I &lt;3 you</p>",
        ),
        ("You are not wise", "<p>You are not <b>wise</b></p>"),
        ("", "<p><b></b></p>"),
        (_bare(_PAGE), _PAGE),
    ],
)
def test_tags_come_back_around_what_became_of_their_words(answer: str, told: str) -> None:
    assert untagged(Text(_PAGE, "en"), Detection(0.9)).told(answer) == told


def test_scripts_without_spaces_and_forum_tags() -> None:
    found = untagged(Text("お前は[b]バカ[/b]だな。", "ja"), Detection(0.9))
    assert found.told("お前は未熟だな。") == "お前は[b]未熟[/b]だな。"


def test_a_tag_that_parts_two_words_stays() -> None:
    assert _bare("one<br>two <i>x</i>") == "one<br>two x"


def test_what_saw_the_tags_is_given_as_the_model_would_write_it() -> None:
    found = untagged(Text(_PAGE, "en"), Detection(0.9))
    assert found.given("<p>You are a <b></b> person &amp; I &lt;3 you</p>") == (
        "You are a  person &amp; I &lt;3 you"
    )


def test_a_span_across_a_tag_is_one_stretch_of_words() -> None:
    text = "so <i>very</i> dumb"
    span = Span(text.index("very"), len(text), 0.9)
    found = untagged(Text(text, "en"), Detection(0.9, (span,)))
    (moved,) = found.detection.spans
    assert found.text.text[moved.start : moved.end] == "very dumb"


def test_a_judge_reads_what_a_page_shows() -> None:
    assert unmarked("<b>a</b> &lt;3 &amp; b") == "a <3 & b"
    assert unmarked("x < y and a&b") == "x < y and a&b"


_WORDS = st.lists(st.sampled_from(["idiot", "you", "are", "バカ", "é", ",", " "]), max_size=8)


@given(_WORDS, _WORDS, st.lists(st.integers(0, 8), max_size=4))
def test_all_tags_come_back_whatever_the_answer(
    words: list[str], answer: list[str], places: list[int]
) -> None:
    pieces = [*words]
    for number, place in enumerate(sorted(places, reverse=True)):
        pieces.insert(min(place, len(pieces)), ["<b>", "</b>", "<br/>", "[/i]"][number])
    text = " ".join(pieces)
    found = untagged(Text(text, "en"), Detection(0.9))
    told = found.told(" ".join(answer))
    tag = re.compile(r"<[^>]*>|\[/i\]")
    assert tag.findall(told) == tag.findall(text)
    assert found.told(found.text.text) == text
