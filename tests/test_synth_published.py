"""Pairs that others published: taken up as they are, filtered, trained on; and what is measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from civilly.cli import app
from civilly.data.corpus.synthetic_reader import read_synthetic, synthetic_licence
from civilly.errors import CivillyError, DataError, UnknownNameError
from conftest import benchmark

MODEL_FILTERS = ("toxicity", "similarity", "reading", "language")
ROWS: list[dict[str, Any]] = [
    {"id": "a1", "lang": "en", "source": "theirs", "licence": "MIT",
     "toxic": "You idiot, the bus is late again today",
     "neutral": ["The bus is late again today", "The bus has come late once more"]},
    {"id": "a2", "lang": "en", "source": "theirs",
     "toxic": "Shut up about the garden, fool", "neutral": ["I'm sorry, I can't help with that."]},
    {"id": "a3", "lang": "de", "source": "theirs",
     "toxic": "Der Plan ist Schrott, du Trottel", "neutral": ["Polite: Der Plan\nist schlecht"]},
]  # fmt: skip


def synth(*arguments: object) -> Any:
    result = CliRunner().invoke(
        app, ["synth", "filter", *map(str, arguments)], env={"CIVILLY_DATA": ""}
    )
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[0])


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


def taken_up(pairs: Path, *more: object) -> tuple[Path, dict[str, Any]]:
    folder = pairs.parent / "set"
    without = [each for name in MODEL_FILTERS for each in ("--without", name)]
    report = synth(pairs, "-o", folder, "--model", "their-model", "--licence", "CC0-1.0",
                   "--model-licence", "Llama-3", *without, "--json", *more)  # fmt: skip
    return folder, report


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]


def test_published_pairs_are_filtered_like_answers(pairs: Path) -> None:
    folder, report = taken_up(pairs, "--allow", "Llama-3")
    assert (report["texts"], report["candidates"], report["accepted"]) == (3, 4, 2)
    accepted = rows_of(folder, "accepted.jsonl")
    assert [(row["source_id"], row["neutral"][0]) for row in accepted] == [
        ("a1", "The bus is late again today"),
        ("a3", "Polite: Der Plan\nist schlecht"),  # their civil side, no answer to be parsed
    ]
    for row in accepted:
        assert (row["engine"], row["model"], row["prompt_version"]) == (
            "published",
            "their-model",
            "",
        )
        assert row["source"] == "theirs"
    assert [row["licence"] for row in accepted] == ["MIT AND Llama-3", "CC0-1.0 AND Llama-3"]
    why = {row["source_id"]: row["rejected_by"][0] for row in rows_of(folder, "rejected.jsonl")}
    assert why == {"a1": "not chosen", "a2": "refusal"}
    card = (folder / "README.md").read_text("utf-8")
    assert "Published by others; made by `their-model`" in card
    assert [pair.id for pair in read_synthetic(folder)] == [row["id"] for row in accepted]
    assert synthetic_licence(folder) == "CC0-1.0 AND Llama-3 AND MIT"
    # The set filters again like any other, and gives the same.
    before = (folder / "accepted.jsonl").read_bytes()
    without = [each for name in MODEL_FILTERS for each in ("--without", name)]
    synth(folder, *without, "--allow", "Llama-3", "--json")
    assert (folder / "accepted.jsonl").read_bytes() == before


def test_terms_of_the_model_that_are_not_allowed_take_every_row(pairs: Path) -> None:
    _, report = taken_up(pairs)
    assert report["accepted"] == 0
    assert report["filters"][0]["name"] == "licence"
    assert report["filters"][0]["failed"] == 4


def test_what_is_missing_or_in_the_way_is_said(pairs: Path) -> None:
    with pytest.raises(CivillyError, match="no folder; of a file of pairs"):
        synth(pairs)
    folder, _ = taken_up(pairs)
    with pytest.raises(DataError, match="holds a set already"):
        taken_up(pairs)
    taken_up(pairs, "--overwrite")
    with pytest.raises(CivillyError, match="says itself how it was made"):
        synth(folder, "--model", "other")
    pairs.write_text(json.dumps({**ROWS[0], "lang": "xx"}) + "\n", "utf-8")
    with pytest.raises(UnknownNameError, match="xx"):
        taken_up(pairs, "--overwrite")
    pairs.write_text(json.dumps({"lang": "en", "toxic": "a"}) + "\n", "utf-8")
    with pytest.raises(DataError, match="neutral"):
        taken_up(pairs, "--overwrite")
    assert rows_of(folder, "answers.jsonl")  # what could not be read has thrown nothing away


@pytest.fixture(scope="module")
def filters() -> ModuleType:
    return benchmark("synthetic_filters")


def test_a_curve_counts_what_stays_and_draws_texts_whole(
    filters: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "LEAST_ROWS", 2)
    found = filters.Measured(
        "named", np.array([0, 0, 1, 1, 2, 2]), np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]),
        {name: np.array([0.9, 0.1, 0.8, 0.8, 0.7, 0.2]) for name in filters.SWEPT},
    )  # fmt: skip
    # Every text has the mean .5, so that no draw of texts has another.
    assert found.at("reading", 0.0) == (1.0, 0.5, 0.5, 0.5)
    share, mean, low, high = found.at("reading", 0.5)
    assert share == pytest.approx(4 / 6)
    assert mean == 0.75  # the first row, both of the second text, the first of the third
    assert low == pytest.approx(0.5)  # the second text alone
    assert high == 1.0
    assert np.isnan(found.at("reading", 0.85)[1])
    assert filters.plot([found, found]).count("<polyline") == 6


def test_rewrites_of_a_text_are_drawn_together(filters: ModuleType) -> None:
    rows = [
        filters.Reading(
            f"{n}", "en", f"text {n}", "s", f"rewrite {m}", ("a",), "good", 2, "", "en-1"
        )
        for n in range(6)
        for m in range(4)
    ]
    found = filters.some(rows, 10)
    assert sorted({row.text for row in found}) != [f"text {n}" for n in range(2)]  # not the first
    assert len(found) == 8
    assert {sum(row.text == each.text for each in found) for row in found} == {4}
    assert len(filters.some(rows, None)) == 24


def test_arms_learn_from_as_many_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = benchmark("synthetic_training")
    pool = benchmark("synthetic_pool")
    pair = benchmark("synthetic_pool").Pair
    texts = [
        pool.Both(pair(f"m{n}", "en", f"rude {n}", (f"made {n}", "other")),
                  pair(f"h{n}", "en", f"rude {n}", (f"human {n}",)))
        for n in range(4)
    ]  # fmt: skip
    (tmp_path / "accepted.jsonl").write_text(
        "".join(
            json.dumps({"source_id": f"m{n}", "toxic": f"rude {n}", "neutral": [f"made {n}"]})
            + "\n"
            for n in (1, 3)
        )
    )
    monkeypatch.setattr(training, "PAIRS", 2)
    arms = {arm: training.pairs_of(arm, texts, tmp_path) for arm in training.ARMS}
    assert arms["unfiltered"] == [("m0", "rude 0", "made 0"), ("m1", "rude 1", "made 1")]
    assert arms["human"] == [("h0", "rude 0", "human 0"), ("h1", "rude 1", "human 1")]
    assert [row[0] for row in arms["filtered"]] == ["m1", "m3"]
    monkeypatch.setattr(training, "PAIRS", 3)
    with pytest.raises(ValueError, match="filtered: 2 pairs"):
        training.pairs_of("filtered", texts, tmp_path)


def test_what_readers_said_is_told_with_its_interval(tmp_path: Path) -> None:
    training = benchmark("synthetic_training")
    assert training.read_by_people(tmp_path / "none.json") == "Not read yet."
    path = tmp_path / "said.json"
    path.write_text(json.dumps({"faults": {"human": {"good": 30, "gap": 30}}}))
    # Wilson's interval of 30 of 60: .5 ± .1226.
    assert "| people's | 60 | 50% [38, 62] | 50% |" in training.read_by_people(path)
