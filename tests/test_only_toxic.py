"""Texts below a least p(toxic) pass by: unchanged, said so, and nobody writes for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import civilly
import fake_pipeline
from civilly import Detoxifier
from civilly.batch.rows import rewritten
from civilly.batch.source import Reading, read_source
from civilly.errors import CivillyError

TEXTS = [
    "You are a fucking idiot, read the article first.",
    "The bus was late again this morning.",
    "",
    "Das ist ein schöner Tag. Halt die Fresse, du Arschloch!",
    "Ein Hund läuft über die Wiese.",
    "…",
]
TOXIC = [0, 3]
NOBODY = "openai:http://127.0.0.1:9#nobody"
"""An engine that cannot answer."""


def test_toxic_texts_become_what_they_become_anyway() -> None:
    plain = Detoxifier("delete").rewrite(TEXTS)
    made = Detoxifier("delete", only_toxic=0.5).rewrite(TEXTS)
    assert [row for row, each in enumerate(made) if each.before.p_toxic >= 0.5] == TOXIC
    assert [made[row] for row in TOXIC] == [plain[row] for row in TOXIC]
    assert all(made[row].changed for row in TOXIC)


def test_the_others_pass_unchanged_and_say_why() -> None:
    made = Detoxifier("delete", only_toxic=0.5).rewrite(TEXTS)
    for row, each in enumerate(made):
        if row not in TOXIC:
            assert each.rewritten == each.text == TEXTS[row]
            assert "below 0.5" in each.reason
            assert not each.candidates


def test_nobody_writes_for_civil_texts() -> None:
    civil = [text for row, text in enumerate(TEXTS) if row not in TOXIC]
    detoxifier = Detoxifier("prompt", engine=NOBODY, only_toxic=0.5)
    assert [each.rewritten for each in detoxifier.rewrite(civil)] == civil
    with pytest.raises(CivillyError):
        detoxifier.rewrite(TEXTS[:1])


def test_a_least_of_one_passes_everything_and_of_zero_nothing() -> None:
    assert [each.rewritten for each in Detoxifier(only_toxic=1.0).rewrite(TEXTS)] == TEXTS
    assert Detoxifier("delete", only_toxic=0.0).pass_by(TEXTS) == [None] * len(TEXTS)


def test_the_short_form_takes_it_too() -> None:
    assert civilly.rewrite(TEXTS[0], method="delete", only_toxic=1.0) == TEXTS[0]
    assert civilly.rewrite(TEXTS[0], method="delete", only_toxic=0.5) != TEXTS[0]


@pytest.mark.parametrize("least", [-0.1, 1.1, "much", True, float("nan")])
def test_what_is_no_probability_is_refused(least: Any) -> None:
    with pytest.raises(CivillyError, match="only_toxic"):
        Detoxifier(only_toxic=least)


@pytest.mark.parametrize("done", [(), (0, 1, 2), (3, 5, 6, 11)])
def test_every_row_of_a_file_is_done_once_whatever_was_done_before(
    tmp_path: Path, done: tuple[int, ...]
) -> None:
    path = tmp_path / "some.jsonl"
    texts = [f"a damn row {i}" if i % 5 == 0 else f"row {i}" for i in range(23)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    source = read_source(path, Reading(lang="en"))
    detoxifier: Any = fake_pipeline.Detoxifier(only_toxic=0.5)
    records = {}
    for rows, made in rewritten(detoxifier, source, window=7, done=done):
        assert not records.keys() & set(rows)
        records.update(zip(rows, made, strict=True))
    assert sorted(records) == [row for row in range(23) if row not in done]
    assert {row: each["rewritten"] for row, each in records.items()} == {
        row: texts[row].replace("damn ", "") for row in records
    }
