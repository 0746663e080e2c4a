"""The judge of rewrites: what it reads, and that it has an opinion of whatever it is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.readings import FAULTS
from civilly.model.token_encoder import BEGIN, END
from civilly.score.reader import HUMAN, MOST_MARKED, RewriteJudge, load, marked, side_by_side

MARKS = (-1, -2, -3)
"""Opened, closed, hole."""
ids = st.lists(st.integers(10, 14), max_size=12)


@pytest.mark.parametrize(
    ("before", "after", "left", "right"),
    [
        ([10, 11, 12], [10, 12], [10, -1, 11, -2, 12], [10, -3, 12]),
        ([10, 11, 12], [10, 13, 12], [10, -1, 11, -2, 12], [10, -1, 13, -2, 12]),
        ([10], [10, 11], [10], [10, -1, 11, -2]),
        ([10, 11], [10, 11], [10, 11], [10, 11]),
        ([10], [], [-1, 10, -2], [-3]),
        ([], [], [], []),
    ],
)
def test_what_changed_is_marked(
    before: list[int], after: list[int], left: list[int], right: list[int]
) -> None:
    assert marked(before, after, MARKS) == (left, right)


@given(ids, ids)
def test_marks_take_nothing_away(before: list[int], after: list[int]) -> None:
    left, right = marked(before, after, MARKS)
    assert [piece for piece in left if piece > 0] == before
    assert [piece for piece in right if piece > 0] == after
    assert left.count(-1) == left.count(-2)
    assert right.count(-1) == right.count(-2)
    assert -3 not in left
    assert (left == before and right == after) == (before == after)


@pytest.fixture(scope="module")
def judge() -> RewriteJudge:
    return load()


ODD = ["", " ", "🤡", "😀😀😀", "\ud83d", "a\ud83d\ude00b", "\x00", "x" * 100_000, "word " * 20_000,
       "傻" * 3_000, "you idiot", "you friend"]  # fmt: skip


def test_whatever_is_read_has_an_opinion_that_neighbours_do_not_change(judge: RewriteJudge) -> None:
    pairs = [(text, rewrite) for text in ODD for rewrite in (*ODD[:5], *ODD[-2:])]
    pairs += [("you idiot", long) for long in ODD]
    found = judge.opinions([text for text, _ in pairs], [rewrite for _, rewrite in pairs])
    for opinion in found:
        assert tuple(opinion.faults) == FAULTS
        assert sum(opinion.faults.values()) == pytest.approx(1.0)
        for p in (*opinion.faults.values(), opinion.use, *opinion.human.values(), opinion.value):
            assert 0.0 <= p <= 1.0
        assert tuple(opinion.human) == HUMAN
    alone = judge.opinions([pairs[-1][0]], [pairs[-1][1]])
    assert alone == found[-1:]
    assert judge.opinions([], []) == []


def test_rows_are_bounded_and_begin_and_end(judge: RewriteJudge) -> None:
    rows, cuts = side_by_side(judge._encoder, ODD, ODD[::-1])
    for row, cut in zip(rows, cuts, strict=True):
        assert row[0] == BEGIN
        assert row[cut : cut + 2] == [END, END]
        assert row[-1] == END
        assert len(row) <= 2 * MOST_MARKED + 4
