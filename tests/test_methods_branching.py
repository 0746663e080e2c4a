from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.methods.branching import MOST_FORKS, forks, rejoin
from civilly.types import Span


def test_a_fork_stands_at_each_span_and_the_other_spans_are_cut():
    text = "you stupid liar, go to hell"
    first, second = forks(text, [Span(4, 10), Span(17, 27)])
    assert (first.before, first.after) == ("you", " liar")
    assert (second.before, second.after) == ("you liar,", "")


def test_there_are_not_more_forks_than_allowed():
    text = "a1 b2 c3 d4 e5 f6"
    spans = [Span(i, i + 2) for i in range(0, len(text), 6)]
    assert len(forks(text, spans)) == MOST_FORKS
    assert forks("no spans here", []) == []


@pytest.mark.parametrize(
    ("continuation", "rest", "whole"),
    [
        (
            " bad ideas from this go",
            " from this government of ours.",
            " bad ideas from this government of ours.",
        ),
        # The last word is cut off in the middle.
        (" people have no sha", " have no shame", " people have no shame"),
        # It comes back to the text, then leaves it again.
        (" man said that nobody", " said something", " man said something"),
        (" man said some", " said something", " man said something"),
        ("网友又来说", "又来说话了", "网友又来说话了"),
        ("友ﾊﾛｰ", "ﾊﾛｰです", "友ﾊﾛｰです"),
        (" something else", " from this government", None),
        ("", " rest", None),
        (" word", "", None),
    ],
)
def test_rejoin(continuation, rest, whole):
    assert rejoin(continuation, rest) == whole


def test_a_finished_continuation_needs_no_rejoining():
    (fork,) = forks("call me on my stupidity ?", [Span(14, 23)])
    assert fork.joined(" mistakes.", finished=True) == "call me on my mistakes."
    assert fork.joined(" mistakes.", finished=False) is None


@given(st.text(), st.text(min_size=1))
def test_what_rejoins_keeps_the_whole_rest(before, rest):
    joined = rejoin(before + rest[: len(rest) // 2], rest)
    assert joined is None or joined.endswith(rest.lstrip()[-1:])
    assert joined is None or len(joined) >= len(rest.lstrip())


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 8))))
def test_forks_never_fail(text, places):
    for fork in forks(text, [Span(start, start + length) for start, length in places]):
        assert set(fork.before) <= set(text) | {c.upper() for c in text} | {" "}
