"""What benchmarks of detectors and of the judge compute, on rows that can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from civilly.data.readings import Case, Reading
from civilly.languages import CODES
from civilly.types import Detection, Span, Text
from conftest import benchmark


@pytest.fixture(scope="module")
def measures() -> ModuleType:
    return benchmark("measures")


def test_area_f1_and_intervals(measures: ModuleType) -> None:
    labels = np.array([1, 1, 0, 0])
    # By hand: of four pairs two are right, one is tied, one is wrong.
    assert measures.auc(np.array([0.9, 0.2, 0.5, 0.2]), labels) == 0.625
    assert measures.auc(np.array([0.9, 0.8, 0.5, 0.2]), labels) == 1.0
    assert np.isnan(measures.auc(np.ones(2), np.ones(2)))
    assert measures.f1(np.array([0.9, 0.2, 0.5, 0.2]), labels) == 0.5
    assert measures.rate(np.array([True] * 8)) == "1.000 [1.000, 1.000]"
    assert measures.rate(np.zeros(0)) == "–"
    assert measures.interval(lambda rows: float("nan"), 3) == "–"
    # Rows of one group are drawn together: each half has the mean 0.5, and so has every draw.
    values = np.array([0.0, 1.0, 0.0, 1.0])
    groups = [np.array([0, 1]), np.array([2, 3])]
    assert measures.interval(lambda i: values[i].mean(), groups) == "0.500 [0.500, 0.500]"
    assert measures.interval(lambda i: values[i].mean(), 4) == "0.500 [0.000, 1.000]"


def reading(text: str, rewrite: str, fault: str, *systems: str) -> Reading:
    return Reading(text, "en", text, "test", rewrite, systems or ("tuned",), fault, 0, "", "en-1")


def test_good_before_not_good_within_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("reader")
    monkeypatch.setattr(module, "LEAST_PAIRS", 1)
    rows = [
        reading("a", "1", "good"), reading("a", "2", "gap", "delete"), reading("a", "3", "insult"),
        reading("b", "1", "good"), reading("b", "2", "good"), reading("b", "3", "gap", "delete"),
        reading("c", "1", "gap"),
    ]  # fmt: skip
    value = np.array([0.5, 0.4, 0.5, 0.9, 0.1, 0.2, 0.99])
    found = module.Judged(rows, value, {}, value)
    assert [list(places) for places in found.texts] == [[0, 1, 2], [3, 4, 5], [6]]
    # a: one won, one tied; b: one won, one lost; c has no pair.
    assert module.pairs_of(found) == 4
    assert module.good_first(found, value).startswith("0.625 [")
    deletions = np.array(["delete" in row.systems for row in rows], dtype=np.int64)
    assert module.pairs_of(found, deletions) == 3
    assert module.good_first(found, value, deletions).startswith("0.667 [")
    part = found.of(lambda row: row.text == "a")
    assert list(part.value) == [0.5, 0.4, 0.5]


def test_each_output_of_a_text_kept_apart_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from civilly.data.readings import as_line

    module = benchmark("reader")
    monkeypatch.setattr(module, "READINGS", tmp_path)
    monkeypatch.setattr(module, "reading_kept_apart", lambda text: text != "learnt")
    rows = [reading("a", "1", "good"), reading("a", "1", "gap"), reading("learnt", "1", "gap")]
    rows += [reading("b", "1", "gap")]
    (tmp_path / "en.jsonl").write_text("".join(map(as_line, rows)), "utf-8")
    assert module.kept_apart(None) == [rows[0], rows[3]]
    assert module.kept_apart(1) == [rows[0]]


class Marks:
    """A detector that finds what stands between the given bounds."""

    def __init__(self, find: Callable[[str], Sequence[tuple[int, int]]]) -> None:
        self._find = find
        self.asked = 0

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        self.asked += len(texts)
        found = [tuple(Span(a, b) for a, b in self._find(text.text)) for text in texts]
        return [Detection(0.9 if spans else 0.1, spans) for spans in found]


def test_tricks_change_the_marked_words_alone() -> None:
    module = benchmark("tricks")
    made = module.tricks(Marks(lambda text: [(4, 9), (14, 15)]))
    text = Text("you idiot and x too", "en")
    assert made["insults masked (f**k)"](text) == "you i***t and * too"
    assert made["insults wholly masked (****)"](text) == "you ***** and * too"
    assert made["insults halved"](text) == "you idi and x too"
    assert made["all insults cut"](text) == "you  and  too"
    assert made["one insult cut"](text) == "you  and x too"
    assert set(module.NEVER) <= set(made)
    assert {*module.POLITE} == {*module.SORRY} == {*CODES[:9]}


def test_how_many_systems_a_trick_beats() -> None:
    module = benchmark("tricks")
    found = {
        "en": {"t": {"J": 0.5}, "a": {"J": 0.4}, "b": {"J": 0.5}},
        "de": {"t": {"J": 0.1}, "a": {"J": 0.2}, "b": {"J": 0.0}, "bad": {"J": 0.0}},
    }
    systems = {"en": ["a", "b"], "de": ["a"]}
    assert module.beaten(found, "t", systems) == [0.5, 0.0]
    module.NEVER = ("t",)
    assert "| t | 1 of 2 | en |" in module.verdicts({"reading": found}, systems)


def test_detectors_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("detection_sections")
    perfect = Marks(lambda text: [(0, 4)] if text.startswith("fool") else [])
    blind = Marks(lambda text: [])
    both = [module.Contestant("old", blind), module.Contestant("new", perfect)]
    cases = [
        Case("en", 1, "names", "toxic", "fool you", ((0, 4),)),
        Case("en", 1, "names", "civil", "the fool", ()),
        Case("en", 2, "food", "selfharm", "me", ()),
    ]

    class Rows:
        def cases(self) -> list[Case]:
            return cases

    shown = module.cases_section(both, Rows())
    # Civil: two of harm or praise; the toxic one is found by the new detector alone, wholly.
    assert "| en | 2 | 1 | 0.000 [0.000, 0.000] | 0.000 [0.000, 0.000] | 0.000 [" in shown
    assert "| food | 1 | 0 | 0.000" in shown
    assert both[1].detect(["fool you"], "en")[0].p_toxic == 0.9
    assert perfect.asked == 3  # each text once


def test_the_rows_of_detection_are_kept_apart(shared_data: Path) -> None:
    from civilly.data.kept_apart import case_calibrates, case_kept_apart

    module = benchmark("detection_data")
    cases = module.Measured().cases()
    assert len(cases) > 300
    assert all(case_kept_apart(case) and not case_calibrates(case) for case in cases)
    few = module.Measured(2)
    assert max(map(len, few.official_inputs().values())) == 2
    assert len(few.cases()) <= 2 * len(CODES)
    assert {lang for lang, _, rows in few.spans() if rows} >= {"en", "ru", "am"}
