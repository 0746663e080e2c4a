"""The two baselines: deleting spans and copying."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.methods.delete import delete_spans
from civilly.registry import create
from civilly.types import Detection, Span, Text

DELETE = create("methods", "delete", None)
SEAM = re.compile(r"[\W_]+")  # a seam may change no letter, digit or mark of a script


def marked(text: str) -> tuple[str, list[Span]]:
    """Reads a text whose spans stand between ⟦ and ⟧."""
    plain, spans, start = "", [], 0
    for char in text:
        if char == "⟦":
            start = len(plain)
        elif char == "⟧":
            spans.append(Span(start, len(plain)))
        else:
            plain += char
    return plain, spans


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("In addition, I see no sock puppet, ⟦jackass⟧.", "In addition, I see no sock puppet."),
        ("⟦Idiot⟧, come here", "Come here"),
        ("⟦idiot⟧, come here", "come here"),
        ("⟦Idiot⟧! Come", "Come"),
        ("Come here. ⟦Idiot⟧! Now.", "Come here. Now."),
        ("you ⟦fucking⟧ ⟦idiot⟧, come", "you, come"),
        ("Look, ⟦idiot⟧, here", "Look, here"),
        ("Look, ⟦a⟧, ⟦b⟧, here", "Look, here"),
        ("they ⟦idiots⟧ , stay", "they , stay"),
        ("What is (⟦shit⟧) this?", "What is this?"),
        ('he said "⟦x⟧" ok', "he said ok"),
        ("#⟦f*ck⟧ you", "you"),
        ("⟦Idiot⟧, https://x.org &amp; ⟦moron⟧", "https://x.org &amp;"),
        ("⟦Idiot⟧! --force, ⟦you⟧ @bob: ⟦x⟧", "--force, @bob"),
        ("a⟦ bad ⟧b", "a b"),
        ("shut up ⟦idiot⟧ :)", "shut up :)"),
        ("⟦Idiot⟧ ;) go", ";) go"),
        ("good - ⟦idiot⟧.", "good."),
        ("Line one\n⟦Idiot⟧, go", "Line one\nGo"),
        ("a ⟦x⟧\nb", "a\nb"),
        ("Quel ⟦con⟧ !", "Quel !"),
        ("the ⟦shit⟧hole", "the hole"),
        ("Stop!!! ⟦Moron⟧ 😡 ok", "Stop!!! 😡 ok"),
        ("  ⟦Fuck⟧ it,  he  said", "  It,  he  said"),
        ("你这个⟦傻子⟧，走开。", "你这个，走开。"),
        ("⟦傻子⟧，走开。", "走开。"),
        ("走开，⟦傻子⟧。", "走开。"),
        ("このクソ⟦ゲーム⟧また落ちた", "このクソまた落ちた"),
        ("「⟦バカ⟧」と言った", "と言った"),
        ("أنت شخص ⟦غبي⟧، اذهب", "أنت شخص، اذهب"),
        ("لماذا لا تنزل، ⟦ياحمار⟧؟", "لماذا لا تنزل؟"),
        ("⟦Дебил⟧, почитай статью", "Почитай статью"),
        ("अब तो ⟦भेनचोद⟧ बेइज्जती हो गई।", "अब तो बेइज्जती हो गई।"),
        ("यही⟦ मूर्ख ⟧है", "यही है"),
        ("አንቺ ⟦ደደብ⟧፣ ስሚ", "አንቺ፣ ስሚ"),
        ("no spans at , all", "no spans at , all"),
        ("“you ⟦fucking idiot⟧!”", "“you!”"),
        ("“⟦idiot⟧!” he said", "he said"),
        ("“⟦Fucking⟧ idiot.”", "“Idiot.”"),
        ('"⟦Idiot⟧, come here"', '"Come here"'),
        ("(⟦idiot⟧, go)", "(go)"),
        ("he said \"you ⟦idiot⟧\" and '⟦piss⟧ off'", "he said \"you\" and 'off'"),
        ('{"user": "you ⟦fucking idiot⟧", "n": 5}', '{"user": "you", "n": 5}'),
        ("(you ⟦moron⟧) [⟦shit⟧] {⟦crap⟧} «idiot»", "(you) «idiot»"),
        ('the dogs\' ⟦shitty⟧ "home"', 'the dogs\' "home"'),
        ("« quel ⟦con⟧ », dit-il", "« quel », dit-il"),
        ("**you ⟦idiot⟧** ok", "**you** ok"),
        ("a _⟦fucking⟧_ [fool](http://x.org/y)", "a [fool](http://x.org/y)"),
        ("$you ⟦idiot⟧$ for $5", "$you$ for $5"),
        ("\u202eyou ⟦idiot⟧\u202c ok", "\u202eyou\u202c ok"),
        ("⟦idiot⟧ 'tis you", "'tis you"),
    ],
)
def test_seams(text, wanted):
    assert delete_spans(*marked(text)) == wanted


@pytest.mark.parametrize("text", ["", "⟦idiot⟧", "⟦idiot⟧!!! 😡", "«⟦傻子⟧»。", "nothing marked"])
def test_nothing_to_say_is_no_candidate(text):
    plain, spans = marked(text)
    assert DELETE.rewrite([Text(plain, "en")], [Detection(0.9, tuple(spans))], 3) == [[]]


def test_rows_keep_their_order():
    rows = [marked(text) for text in ("a ⟦b⟧", "", "c", "⟦d⟧ e")]
    made = DELETE.rewrite(
        [Text(plain, "ru") for plain, _ in rows], [Detection(1, tuple(s)) for _, s in rows], 2
    )
    assert [[each.text for each in row] for row in made] == [["a"], [], [], ["e"]]


def test_spans_out_of_order_overlapping_or_beyond_the_end():
    spans = [Span(8, 99), Span(0, 3), Span(2, 5)]
    assert delete_spans("abcde hi jk", spans) == "hi"


LETTERS = st.sampled_from("aBé ßΩшФ傻ガغ𐐨ष़ा9")
MARKS = st.sampled_from(" .,!?;:()«»\"'#@-…。，」\n\t😡\u200f\x00\ud800İŉ")


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(LETTERS, MARKS), max_size=30).map("".join),
    st.lists(st.tuples(st.integers(-2, 32), st.integers(1, 8)), max_size=4),
)
def test_only_the_seams_change(text, places):
    spans = [Span(start, start + length) for start, length in places]
    cut = {index for span in spans for index in range(span.start, span.end)}
    rest = delete_spans(text, spans)
    kept = [char for index, char in enumerate(text) if index not in cut]
    letters = "".join(SEAM.sub("", "".join(kept)))
    assert len(SEAM.sub("", rest)) == len(letters)
    assert SEAM.sub("", rest).casefold() == letters.casefold()
    inside = sorted(index for index in cut if 0 <= index < len(text))
    if not inside:
        assert rest == text
        return
    before = re.sub(r"[\W_]+$", "", text[: inside[0]])
    assert rest.startswith(before)
    after = re.sub(r"^[\W_]+", "", text[inside[-1] + 1 :])
    assert rest.endswith(after[1:])
    assert len(rest) <= len(text)


def test_duplicate_copies_exactly():
    texts = [Text(each, "ja") for each in ("", " x \n", "\x00", "😡", "\ud800")]
    made = create("methods", "duplicate", None).rewrite(texts, [Detection(0.5)] * 5, 4)
    assert [[candidate.text for candidate in row] for row in made] == [[t.text] for t in texts]
