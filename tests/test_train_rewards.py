"""Rewards by name, and what several of them come to."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly import registry
from civilly.detect.toxicity import shipped
from civilly.errors import CivillyError, DataError, UnknownNameError
from civilly.score.reader import load
from civilly.toolbox import Toolbox
from civilly.train.rewards import suites
from civilly.train.rewards.mixture import ROOM, Rewards, RewardSettings
from civilly.types import Text

OURS = {
    "chrf", "civility_ngrams", "copy", "embedded", "judge", "length", "reader", "reading",
    "textdetox2025",
}  # fmt: skip
TEXTS = [Text("You fucking idiot, give me my book back", "en")] * 4
OUTPUTS = [
    "Please give me my book back",
    "You fucking idiot, give me my book back!",
    "",
    "You idiot, give me my book back",
]


def rewards(*tables: dict[str, Any], combine: Any = "product") -> Rewards:
    return Rewards([RewardSettings.model_validate(table) for table in tables], combine)


def test_every_reward_is_found_by_its_file() -> None:
    assert {entry.name for entry in registry.entries(ROOM)} == OURS
    assert all(entry.summary for entry in registry.entries(ROOM))


@pytest.mark.parametrize("name", sorted(OURS - {"judge", "textdetox2025"}))
def test_a_reward_gives_one_number_in_0_1_per_output_in_order(name: str) -> None:
    texts = [*TEXTS, Text("дурак", "ru"), Text("", "ja"), Text("💥", "he")]
    outputs = [*OUTPUTS, "\udc00 " * 2, "\x00", "so " * 400]
    reward = registry.create(ROOM, name, {})
    references = [["Please give me my book back"]] * len(texts)
    values = reward(texts, outputs, references)
    assert len(values) == len(texts)
    assert all(0 <= value <= 1 for value in values)
    backwards = reward(texts[::-1], outputs[::-1], references)
    assert backwards[::-1] == pytest.approx(values, abs=1e-3)
    assert reward([], [], []) == []


def test_the_reader_is_the_judge_of_rewrites() -> None:
    opinions = load().opinions([text.text for text in TEXTS], OUTPUTS)
    for name, expected in (
        ("good", [o.faults["good"] for o in opinions]),
        ("use", [o.use for o in opinions]),
        ("value", [(o.faults["good"] + o.use) / 2 for o in opinions]),
    ):
        found = rewards({"name": "reader", "options": {"opinion": name}})(TEXTS, OUTPUTS)
        assert found[2] == 0  # nothing is said
        kept = [0, 1, 3]
        assert [found[n] for n in kept] == pytest.approx([expected[n] for n in kept], abs=1e-3)


def test_the_n_gram_score_looks_at_nothing_but_the_output() -> None:
    reward = registry.create(ROOM, "civility_ngrams", {})
    expected = [1 - p for p in shipped().p_toxic([Text(output, "en") for output in OUTPUTS])]
    assert reward(TEXTS, OUTPUTS) == expected
    assert reward([Text("Quite another text", "en")] * 4, OUTPUTS) == expected


def test_copy_and_length_by_hand() -> None:
    assert registry.create(ROOM, "copy", {})(TEXTS, OUTPUTS) == [1, 0, 1, 1]
    reward = registry.create(ROOM, "length", {"shortest": 0.5, "longest": 1.25})
    text = Text("x" * 100, "en")
    for length, expected in ((0, 0), (25, 0.5), (50, 1), (100, 1), (125, 1), (250, 0.5)):
        assert reward([text], ["y" * length]) == [pytest.approx(expected)]


def test_a_component_of_a_suite_is_a_reward_and_j_their_product(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite = registry.create("score", "embedded", Toolbox(None, {}))
    monkeypatch.setattr(suites.registry, "create", lambda *_: suite)  # it is slow to load
    found = {
        part: suites.suite_reward("embedded", {"component": part})(TEXTS, OUTPUTS, None)
        for part in ("J", "STA", "SIM", "FL")
    }
    assert len({tuple(values) for values in found.values()}) == 4
    for j, *parts in zip(*found.values(), strict=True):
        assert j == pytest.approx(math.prod(parts))


def test_the_judge_asks_an_engine_in_both_orders(server: Any) -> None:
    server.control(judge="just")
    judge = {"name": "judge", "options": {"engine": server.spec(), "component": "STA"}}
    assert rewards(judge)(TEXTS[:1], ["Give me my book back"]) == [1]
    server.control(judge="first")  # it favours a place, so it says nothing
    assert rewards(judge)(TEXTS[:1], ["Give me my book back"]) == [0.5]


VALUES = {"a": [0.25, 0.81, 0.0], "b": [0.5, 1.0, 0.7]}


def of_constants(combine: Any, tables: list[dict[str, Any]]) -> Rewards:
    """Rewards whose values are known, in place of those that are named."""
    made = rewards(*[{"name": "copy", **table} for table in tables], combine=combine)
    made._rewards = [lambda *_, key=key: VALUES[key] for key in ("a", "b")]
    return made


@pytest.mark.parametrize(
    ("combine", "tables", "expected"),
    [
        ("product", [{}, {}], [0.125, 0.81, 0]),
        ("product", [{"weight": 0.5}, {"weight": 2.0}], [0.5 * 0.25, 0.9, 0]),
        ("product", [{}, {"cap": 0.6}], [0.125, 0.486, 0]),
        ("sum", [{"weight": 2.0}, {"weight": 0.5}], [0.75, 2.12, 0.35]),
        ("sum", [{"cap": 0.3}, {}], [0.75, 1.3, 0.7]),
        ("worst", [{}, {}], [0.25, 0.81, 0]),
        ("worst", [{}, {"cap": 0.6}], [0.25, 0.6, 0]),
    ],
)
def test_several_rewards_as_one(combine: Any, tables: Any, expected: list[float]) -> None:
    made = of_constants(combine, tables)
    outputs = ["x", "y", "z"]
    assert made(TEXTS[:3], outputs) == pytest.approx(expected)
    each = made.each(TEXTS[:3], outputs)
    assert made.names == ["copy", "copy 2"]
    caps = [table.get("cap", math.inf) for table in tables]
    assert each == {
        name: [min(value, cap) for value in VALUES[key]]
        for name, key, cap in zip(made.names, "ab", caps, strict=True)
    }
    assert made.combined(each) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
def test_no_combination_likes_what_every_reward_likes_less(rows: list[tuple[float, float]]) -> None:
    for combine in ("product", "sum", "worst"):
        made = rewards({"name": "copy"}, {"name": "length"}, combine=combine)
        both = made.combined({"copy": [r[0] for r in rows], "length": [r[1] for r in rows]})
        less = made.combined({"copy": [r[0] / 2 for r in rows], "length": [r[1] for r in rows]})
        assert all(a >= b for a, b in zip(both, less, strict=True))
        if combine != "sum":
            assert all(v <= min(row) for v, row in zip(both, rows, strict=True))


def test_an_ensemble_can_be_a_factor_of_a_product() -> None:
    ensemble = {"combine": "worst", "rewards": [{"name": "civility_ngrams"}, {"name": "length"}]}
    made = rewards({**ensemble, "cap": 0.8}, {"name": "copy"})
    assert made.names == ["worst", "copy"]
    civility = rewards({"name": "civility_ngrams"})(TEXTS, OUTPUTS)
    length = rewards({"name": "length"})(TEXTS, OUTPUTS)
    copy = [1, 0, 1, 1]
    expected = [min(c, n, 0.8) * k for c, n, k in zip(civility, length, copy, strict=True)]
    assert made(TEXTS, OUTPUTS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tables", "combine", "kind", "words"),
    [
        ([], "product", DataError, "There are no rewards"),
        ([{"name": "raeder"}], "sum", UnknownNameError, "reward 'raeder'.*did you mean 'reader'"),
        (
            [{"name": "length", "options": {"longst": 2}}],
            "sum",
            UnknownNameError,
            "option of the reward 'length' 'longst'.*did you mean 'longest'",
        ),
        ([{"name": "length", "options": {"longest": 0.5}}], "sum", CivillyError, "longest = 0.5"),
        ([{"name": "length", "options": {"longest": "2"}}], "sum", CivillyError, "numbers with"),
        ([{"name": "reader", "options": {"opinion": "x"}}], "sum", CivillyError, "good, use"),
        ([{"name": "embedded", "options": {"component": "X"}}], "sum", CivillyError, "STA, SIM"),
        ([{"name": "judge"}], "sum", CivillyError, "does not say which model judges"),
        (
            [{"name": "judge", "options": {"engine": "embedded"}}],
            "sum",
            CivillyError,
            "its answers are no verdicts",
        ),
        ([{"name": "copy", "rewards": [{"name": "copy"}]}], "sum", DataError, "a name and parts"),
        ([{}], "sum", DataError, "neither name nor parts"),
        ([{"name": "copy", "weight": 2.0}], "worst", DataError, "knows no weights"),
    ],
)
def test_wrong_rewards_say_what_is_right(
    tables: Any, combine: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        rewards(*tables, combine=combine)


@pytest.mark.parametrize("values", [[1.0], [1.0, math.nan]])
def test_a_reward_that_gives_no_numbers_is_named(values: list[float]) -> None:
    made = rewards({"name": "copy"})
    made._rewards = [lambda *_: values]
    with pytest.raises(CivillyError, match="reward 'copy' gave"):
        made(TEXTS[:2], OUTPUTS[:2])


def test_a_product_has_no_negative_factor_and_chrf_needs_references() -> None:
    with pytest.raises(CivillyError, match=r"'length' of a product is -1.*combine = \"sum\""):
        rewards({"name": "copy"}, {"name": "length"}).combined({"copy": [1], "length": [-1]})
    with pytest.raises(CivillyError, match="chrF needs references"):
        rewards({"name": "chrf"})(TEXTS, OUTPUTS)
