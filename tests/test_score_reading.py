"""The suite of what a reader sees: the chain of faults, and the shipped judge behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly import __version__, registry
from civilly.data.readings import FAULTS
from civilly.score import DEFAULT, reading
from civilly.score.human import read_judgements, resolve, unlearnt
from civilly.score.joint import JOINT, FaultFinder, JointSuite
from civilly.score.reader import Opinion, RewriteJudge
from civilly.score.reading import EMPTY, OF_COMPONENT, ReadingSuite, chain, components_of, guarded
from civilly.score.scoring import columns_of, score_texts
from civilly.types import Suite, Text

PAIRS = [
    ("What the hell is this stupid rule about?", "What is this rule about?"),
    ("What the hell is this stupid rule about?", "What the hell is this stupid rule about?"),
    ("Заткнись уже, идиот.", "Помолчи уже."),
    ("这个蠢货又迟到了", "他又迟到了"),
    ("Shut up.", "\ud83d"),
    ("Shut up.", "..."),
    ("Shut up.", ""),
]
# Draws are what a reader's odds are: positive, of any size.
odds = st.lists(st.floats(1e-6, 1e6), min_size=len(FAULTS), max_size=len(FAULTS))


def of(drawn: Sequence[float]) -> dict[str, float]:
    total = math.fsum(drawn)
    return {fault: each / total for fault, each in zip(FAULTS, drawn, strict=True)}


@given(odds)
def test_the_chain_multiplies_to_the_probability_of_good(drawn: Sequence[float]) -> None:
    faults = of(drawn)
    chained = chain(faults)
    assert list(chained) == ["STA", "SIM", "FL"]
    assert all(0.0 <= value <= 1.0 for value in chained.values())
    assert math.prod(chained.values()) == pytest.approx(faults["good"], rel=1e-6, abs=1e-9)


@given(odds)
def test_j_is_the_geometric_mean_of_readers_and_people(drawn: Sequence[float]) -> None:
    faults = of(drawn)
    components = components_of(Opinion(faults, 0.5, {"STA": 0.81, "SIM": 0.64, "FL": 0.49}))
    expected = math.sqrt(faults["good"] * 0.81 * 0.64 * 0.49)
    assert math.prod(components.values()) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_each_component_has_its_faults() -> None:
    faults = {"good": 0.5, "gap": 0.1, "insult": 0.1, "meaning": 0.15, "overcut": 0.05,
              "kept": 0.05, "other": 0.05}  # fmt: skip
    assert chain(faults) == pytest.approx({"STA": 0.85, "SIM": 0.65 / 0.85, "FL": 0.5 / 0.65})
    assert chain({**dict.fromkeys(FAULTS, 0.0), "kept": 1.0}) == {"STA": 0, "SIM": 0, "FL": 0}
    assert sorted(kind for kinds in OF_COMPONENT.values() for kind in kinds) == sorted(
        set(FAULTS) - {"good"}
    )


@given(odds, st.floats(0, 1))
def test_what_has_lost_its_content_says_something_else(
    drawn: Sequence[float], content: float
) -> None:
    before = Opinion(of(drawn), 0.8, {"STA": 0.81, "SIM": 0.64, "FL": 0.49})
    after = guarded(before, content)
    assert math.fsum(after.faults.values()) == pytest.approx(1.0)
    assert all(after.faults[f] <= before.faults[f] for f in FAULTS if f != "meaning")
    assert guarded(before, 0.5 + content / 2) == before
    nothing = guarded(before, 0.0)
    assert nothing.faults == {**dict.fromkeys(FAULTS, 0.0), "meaning": 1.0}
    assert components_of(nothing)["SIM"] == 0.0
    half = guarded(before, 0.25)
    assert half.good == pytest.approx(before.good / 2)
    j = math.prod(components_of(before).values())
    assert math.prod(components_of(half).values()) == pytest.approx(j / 2, rel=1e-6, abs=1e-6)


class Counted(RewriteJudge):
    """Finds everything good, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def opinions(self, texts: Sequence[str], rewrites: Sequence[str]) -> list[Opinion]:
        pairs = list(zip(texts, rewrites, strict=True))
        self.asked += pairs
        human = {"STA": 1.0, "SIM": 1.0, "FL": 1.0}
        return [Opinion(of([1, 0, 0, 0, 0, 0, 0]), 1.0, human) for _ in pairs]


class Content(JointSuite):
    """Finds all of the content there."""

    signature = "content"

    def components(self, inputs, outputs, references=None):  # type: ignore[no-untyped-def]
        return {name: [1.0] * len(outputs) for name in ("STA", "SIM", "FL")}


def test_each_pair_is_read_once_and_empty_outputs_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK", 2)
    judge = Counted()
    texts = [Text(text, "en") for text in "aabcd"]
    found = score_texts(
        ReadingSuite(judge, Content()), "reading", texts, ["x", "x", "y", "?!", "z"]
    )
    assert judge.asked == [("a", "x"), ("b", "y"), ("d", "z")]
    assert found[JOINT] == [1, 1, 1, 0, 1]
    assert found["good"] == [1, 1, 1, 0, 1]
    assert found["meaning+overcut"] == [0, 0, 0, 1, 0]
    again = ReadingSuite(judge, Content())
    again.components(texts[:1], ["x"])
    again.components(texts[2:3], ["x"])
    assert judge.asked[-2:] == [("a", "x"), ("b", "x")]
    assert list(again._last) == [(texts[2], "x")]  # what is kept does not grow


def suite() -> ReadingSuite:
    made = registry.create("score", "reading")
    assert isinstance(made, ReadingSuite)
    return made


def test_it_is_the_default_and_finds_faults() -> None:
    assert DEFAULT == "reading"
    made = suite()
    assert isinstance(made, Suite)
    assert isinstance(made, FaultFinder)
    assert columns_of(made, "reading")[-4:] == ("good", "gap", "insult+kept", "meaning+overcut")


def test_a_result_does_not_depend_on_its_neighbours() -> None:
    texts = [Text(text, "en") for text, _ in PAIRS]
    outputs = [output for _, output in PAIRS]
    together = suite().components(texts, outputs)
    faults = suite().faults(texts, outputs)
    for place, (text, output) in enumerate(zip(texts, outputs, strict=True)):
        alone = suite().components([text], [output])
        assert {name: values[place] for name, values in together.items()} == {
            name: values[0] for name, values in alone.items()
        }
    backwards = suite().faults(texts[::-1], outputs[::-1])
    assert {name: values[::-1] for name, values in backwards.items()} == faults
    assert np.allclose(np.sum(list(faults.values()), axis=0), 1.0)


def test_empty_outputs_have_lost_everything_and_references_are_not_read() -> None:
    texts, outputs = [Text(text, "en") for text, _ in PAIRS], [output for _, output in PAIRS]
    found = suite().components(texts, outputs)
    assert suite().components(texts, outputs, [["x"]] * len(texts)) == found
    for name in ("SIM", "FL"):
        assert [value > 0 for value in found[name]] == [True] * 4 + [False] * 3
    assert EMPTY.faults["overcut"] == 1.0 == sum(EMPTY.faults.values())
    assert suite().components([], []) == {"STA": [], "SIM": [], "FL": []}


def test_copies_of_rude_texts_are_worse_than_what_people_wrote() -> None:
    rows = ["fucking moron, read the rules", "du verdammter Idiot, lies die Regeln"]
    texts = [Text(rows[0], "en"), Text(rows[1], "de")]
    copied = suite().score(texts, rows)
    civil = suite().score(texts, ["please read the rules", "lies bitte die Regeln"])
    assert all(a < b for a, b in zip(copied, civil, strict=True))


@pytest.mark.parametrize("constant", ["Thank you very much for your message.", "I am sorry."])
def test_a_constant_does_not_pay(constant: str) -> None:
    rows = [
        ("fucking moron, read the rules of the forum", "please read the rules of the forum"),
        ("this stupid bus was late again because of snow", "this bus was late again due to snow"),
    ]
    texts = [Text(text, "en") for text, _ in rows]
    real = suite().score(texts, [civil for _, civil in rows])
    assert all(a < b for a, b in zip(suite().score(texts, [constant] * 2), real, strict=True))


def test_the_signature_names_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = suite().signature
    assert before.startswith("reading|reader:")
    assert before.endswith(f"|civilly:{__version__}")
    (tmp_path / "judge.safetensors").write_bytes(b"other weights")
    monkeypatch.setattr(reading, "shipped_reader", lambda name: tmp_path / f"{name}.safetensors")
    after = suite().signature
    assert after != before
    assert after.split("|")[1] != before.split("|")[1]
    assert after.split("|")[2:] == before.split("|")[2:]


def test_what_the_reader_learnt_from_is_left_out(shared_data: Path) -> None:
    path = resolve("textdetox2024", shared_data)
    rows = read_judgements(path)
    kept = unlearnt(suite(), rows, path)
    ids = {row.row["id"] for row in kept}
    assert [row for row in rows if row.row["id"] in ids] == kept  # whole sentences
    assert 0.35 < len(kept) / len(rows) < 0.45
    assert {row.lang for row in kept} == {row.lang for row in rows}
    # printf judge:td24-test-en-034 | sha1sum, modulo 100, is 25; of 042 it is 85.
    assert "td24-test-en-034" in ids
    assert "td24-test-en-042" not in ids
    assert unlearnt(suite(), rows, Path("russe2022_ru.tsv.gz")) == rows
