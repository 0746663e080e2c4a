"""The selector that asks the judge: what it takes is worked out by hand, whatever the weights."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from civilly.data.readings import FAULTS
from civilly.score.reader import HUMAN, Opinion, RewriteJudge
from civilly.select.guards import EMPTIED
from civilly.select.reads import (
    BOLD,
    EARLIER,
    GOOD_ENOUGH,
    LEAST_GAIN,
    TIMID,
    ReadsSelector,
    least_value,
)
from civilly.types import Candidate, Choice, Detection, Text

TEXT = Text("you are a stupid idiot", "en")


class Told(RewriteJudge):
    """Finds a rewrite as good as a table says; what it does not know, not at all."""

    def __init__(self, table: dict[str, float]) -> None:
        self._table = table

    def prepare(self) -> None:
        pass

    def opinions(self, texts: Sequence[str], rewrites: Sequence[str]) -> list[Opinion]:
        return [self._opinion(self._table.get(rewrite, 0.0)) for rewrite in rewrites]

    def _opinion(self, good: float) -> Opinion:
        rest = dict.fromkeys(FAULTS, (1 - good) / (len(FAULTS) - 1))
        return Opinion({**rest, "good": good}, good, dict.fromkeys(HUMAN, good))


class Civil:
    """Finds what it is told toxic, and all else hardly."""

    def __init__(self, toxic: dict[str, float]) -> None:
        self._toxic = toxic

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        return [Detection(self._toxic.get(text.text, 0.19)) for text in texts]


def choice(
    good: dict[str, float], toxic: dict[str, float] | None = None, strength: float = 0.5
) -> Choice:
    """What is chosen of the rewrites of `TEXT` that the judge knows."""
    selector = ReadsSelector(Civil(toxic or {}), Told(good), strength)
    candidates = [Candidate(rewrite, "told") for rewrite in good]
    return selector.select([TEXT], [Detection(0.9)], [candidates])[0]


def test_the_best_product_of_value_and_root_of_civility_wins() -> None:
    made = choice({"you are mistaken": 0.9, "you are not kind": 0.8, "you are wrong": 0.7})
    assert made.candidate == Candidate("you are mistaken", "told")
    assert [scores.joint for _, scores in made.scored] == pytest.approx(
        [0.9 * 0.9, 0.8 * 0.9 * EARLIER, 0.7 * 0.9 * EARLIER**2]  # the root of 1 - .19 is .9
    )
    toxic = {"you are mistaken": 0.64}  # .9 · .6 = .54 < .8 · .9
    made = choice({"you are not kind": 0.8, "you are mistaken": 0.9}, toxic)
    assert made.candidate == Candidate("you are not kind", "told")
    (_, scores), _ = made.scored
    assert scores.faults is not None and scores.faults["good"] == 0.8
    assert scores.similarity == pytest.approx(1 - 2 * 0.2 / 6)
    assert scores.fluency == pytest.approx(1 - 2 * 0.2 / 6)


def test_of_two_that_read_alike_the_earlier_is_taken() -> None:
    first, second = "you are not kind", "you are mistaken"
    assert choice({first: 0.8, second: 0.8 / EARLIER - 0.01}).candidate == Candidate(first, "told")
    assert choice({first: 0.8, second: 0.8 / EARLIER + 0.01}).candidate == Candidate(second, "told")


@pytest.mark.parametrize(("strength", "least"), [(0.0, TIMID), (1.0, BOLD), (0.5, 0.06)])
def test_the_strength_is_how_much_is_dared(strength: float, least: float) -> None:
    assert least_value(strength) == pytest.approx(least)
    for value, taken in ((least / 0.9 + 0.01, True), (least / 0.9 - 0.01, False)):
        made = choice({"you are mistaken": value}, strength=strength)
        assert (made.candidate is not None) == taken
        assert made.reason


def test_what_is_hardly_less_toxic_or_refused_or_the_text_is_not_taken() -> None:
    rewrite = "you are mistaken"
    limit = 0.9 * (1 - LEAST_GAIN)
    assert choice({rewrite: 0.99}, {rewrite: limit + 0.01}, 1.0).candidate is None
    assert choice({rewrite: 0.99}, {rewrite: limit - 0.01}, 1.0).candidate is not None
    assert choice({TEXT.text: 0.99}).candidate is None
    made = choice({"...": 0.99})
    assert made.candidate is None
    assert EMPTIED in made.reason


@pytest.mark.parametrize(
    "same", ["you are a Stupid idiot", "you are a stupid idiot!", "you are a stu-pid  idiot"]
)
def test_other_case_marks_or_blanks_are_no_rewrite(same: str) -> None:
    assert choice({same: 0.9}).candidate is None
    assert choice({same: 0.9, "you are wrong": 0.3}).candidate == Candidate("you are wrong", "told")


def test_a_good_choice_ends_the_search() -> None:
    selector = ReadsSelector(Civil({}), Told({}))
    for value, enough in ((GOOD_ENOUGH / 0.9 + 0.01, True), (GOOD_ENOUGH / 0.9 - 0.01, False)):
        assert selector.satisfied(choice({"you are mistaken": value})) == enough
    assert not selector.satisfied(choice({}))
