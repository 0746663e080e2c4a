"""Asking a model for synthetic data: nothing twice, nothing lost, no more than the budget."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.journal import journal_path
from civilly.engines import open_engine
from civilly.engines.pacing import Concurrent
from civilly.errors import CivillyError, DataError, EngineError
from civilly.synth import asking as asking_module
from civilly.synth.asking import Asking
from civilly.synth.budget import Budget, Limits, Spent
from civilly.synth.filters import FilterTools, open_filters
from civilly.synth.folder import ANSWERS_FILE, SPENT_FILE, Run
from civilly.synth.prompts import DETOXIFY, prompt_for
from civilly.synth.run import make_answers, write_set
from civilly.synth.texts import SourceText
from civilly.types import Generation, GenerationOptions, Prompt, Usage
from openai_client import FAST, Server

MODELS = ["toxicity", "similarity", "reading", "language", "leak"]
"""Filters that load a model or the data; these tests are about asking."""
FILTERS = open_filters(FilterTools(), without=MODELS)
TEXTS = [
    SourceText(str(number), f"You utter fool number {number}, go away", "en", "set", "CC0-1.0")
    for number in range(12)
]
RUN = Run("detoxify", "test", "m", "v1", 1, 2, 0.5, 7, "", "abc", "1")
UNLIMITED = Limits()
ASKING = Asking(
    lambda text: prompt_for(text.as_text, DETOXIFY, 1),
    GenerationOptions(n=2, temperature=0.5, seed=7),
)


class Deterministic:
    """Answers with a word less; counts what it is asked, and what that costs."""

    requests_at_once = 3

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.usage = Usage()

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        self.asked += [prompt.text for prompt in prompts]
        self.usage = Usage(self.usage.prompt_tokens + 100, self.usage.answer_tokens + 50)
        return [
            [Generation(f"{p.text.splitlines()[-2].replace('fool', '')} {k}") for k in
             range(options.n)]
            for p in prompts
        ]  # fmt: skip


class Local(Deterministic):
    """The same on this machine: batches, and nobody counts tokens."""

    requests_at_once = None  # type: ignore[assignment]
    usage = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.asked = []

    def generate(self, prompts: Any, options: Any) -> Any:
        self.asked += [prompt.text for prompt in prompts]
        return [[Generation(f"civil {p.text.splitlines()[-2][-30:]}")] * options.n for p in prompts]


def make(folder: Path, engine: Any, limits: Limits = UNLIMITED, **settings: Any) -> dict[str, Any]:
    texts, asking = settings.pop("texts", TEXTS), settings.pop("asking", ASKING)
    run = settings.pop("run", RUN)
    rows, complete = make_answers(lambda: engine, texts, run, asking, folder, limits, **settings)
    return write_set(folder, run, rows, FILTERS, complete=complete)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the one that says what was spent, which a kill may raise."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != SPENT_FILE}


def test_what_is_concurrent() -> None:
    assert isinstance(Deterministic(), Concurrent)
    assert isinstance(open_engine("openai:http://localhost/v1?concurrency=3#m"), Concurrent)
    assert not isinstance(open_engine("echo"), Concurrent)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], bytes]:
    """An uninterrupted run, and the journal as it was before the answers were written."""
    folder = tmp_path_factory.mktemp("whole") / "set"
    journals: list[bytes] = []
    path = journal_path(folder / ANSWERS_FILE)
    make(folder, Deterministic(), tell=lambda *_: journals.append(path.read_bytes()))
    assert not path.exists()
    return contents(folder), journals[-1]


@given(data=st.data())
def test_killed_anywhere_the_bytes_are_the_same_and_nothing_is_asked_twice(
    data: Any, whole: tuple[dict[str, bytes], bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    files, journal = whole
    left = journal[: data.draw(st.integers(0, len(journal)))]
    folder = tmp_path_factory.mktemp("killed")
    (folder / "run.json").write_bytes(files["run.json"])
    journal_path(folder / ANSWERS_FILE).write_bytes(left)
    if data.draw(st.booleans()):  # killed while the last files were written
        (folder / "accepted.jsonl").write_bytes(b"")
    engine = Deterministic()
    make(folder, engine, resume=True)
    assert contents(folder) == files
    lines = [json.loads(line.split(b" ", 1)[1]) for line in left.split(b"\n")[1:-1]]
    kept = [row for rows, _ in lines for row in rows]
    assert len(engine.asked) == len(set(engine.asked)) == len(TEXTS) - len(kept)


@pytest.mark.parametrize("kept", [["answers.jsonl"], ["answers.jsonl", "accepted.jsonl"]])
def test_killed_after_the_answers_were_written(
    kept: list[str], whole: tuple[dict[str, bytes], bytes], tmp_path: Path
) -> None:
    files, journal = whole
    for with_journal in (True, False):
        folder = tmp_path / str(with_journal)
        folder.mkdir()
        for name in ["run.json", *kept]:
            (folder / name).write_bytes(files[name])
        if with_journal:
            journal_path(folder / ANSWERS_FILE).write_bytes(journal)
        engine = Deterministic()
        make(folder, engine, resume=True)
        assert contents(folder) == files
        assert engine.asked == []


def test_a_process_is_killed_again_and_again(server: Server, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    lines = [{"id": t.id, "text": t.text, "lang": "en", "licence": "MIT"} for t in TEXTS * 2]
    source.write_text("".join(json.dumps({**line, "text": f"{line['text']} {number}"}) + "\n"
                              for number, line in enumerate(lines)))  # fmt: skip

    def command(folder: Path, *more: str) -> list[Any]:
        engine = server.spec(f"{FAST}&concurrency=2")
        without = [word for name in MODELS for word in ("--without", name)]
        return [sys.executable, "-m", "civilly", "synth", "detoxify", source, "-o", folder,
                "--engine", engine, *without, *more]  # fmt: skip

    environment = {**os.environ, "CIVILLY_DATA": str(tmp_path)}
    server.control(line=-2, usage=True)
    subprocess.run(command(tmp_path / "whole"), env=environment, check=True, capture_output=True)
    server.control(line=-2, usage=True, delay=0.1)
    killed, chance, folder = 0, random.Random(16), tmp_path / "killed"
    for goal in (chance.randint(1, 8), chance.randint(10, 18)):
        child = subprocess.Popen(command(folder, "--resume"), env=environment,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        while len(server.seen()["log"]) < goal and child.poll() is None:
            time.sleep(0.02)
        killed += child.poll() is None
        child.kill()
        child.wait()
    subprocess.run(command(folder, "--resume"), env=environment, check=True, capture_output=True)
    assert killed == 2
    assert contents(folder) == contents(tmp_path / "whole")
    asked = [each["body"]["messages"][0]["content"] for each in server.seen()["log"]]
    assert len(set(asked)) == len(lines)
    assert len(asked) <= len(lines) + 2 * killed  # what was under way, two at a time


def test_an_engine_that_dies_loses_nothing(server: Server, tmp_path: Path) -> None:
    server.control(line=-2, fail=[200] * 5 + [500] * 100)
    engine = server.engine(f"{FAST}&concurrency=2&retries=1")
    with pytest.raises(EngineError, match="500"):
        make(tmp_path / "set", engine)
    answered = len(journal_path(tmp_path / "set" / ANSWERS_FILE).read_bytes().splitlines()) - 1
    assert answered == 5
    server.control(line=-2)
    report = make(tmp_path / "set", server.engine(), resume=True)
    assert report["complete"]
    assert len(server.seen()["log"]) == len(TEXTS) - answered


def test_passing_trouble_is_waited_for(server: Server, tmp_path: Path) -> None:
    server.control(line=-2, fail=[429, 200, 503], garble=2, hang_up=1, retry_after="0")
    report = make(tmp_path / "set", server.engine(f"{FAST}&concurrency=1"))
    assert (report["complete"], report["candidates"]) == (True, 2 * len(TEXTS))
    assert len(server.seen()["log"]) == len(TEXTS) + 5


def test_a_text_that_the_server_refuses_is_set_aside(server: Server, tmp_path: Path) -> None:
    server.control(line=-2, fail=[200, 400])
    make(tmp_path / "set", server.engine(f"{FAST}&concurrency=1"))
    rejected = [json.loads(line) for line in (tmp_path / "set/rejected.jsonl").open()]
    (refused,) = [row for row in rejected if row["rejected_by"] == ["no answer"]]
    assert refused["source_id"] == "1"
    assert "400" in refused["error"]


def test_a_server_that_refuses_everything_is_not_asked_to_the_end(
    server: Server, tmp_path: Path
) -> None:
    server.control(fail=[400] * 100)
    with pytest.raises(EngineError, match="each of the first 5"):
        make(tmp_path / "set", server.engine(f"{FAST}&concurrency=1"))
    assert len(server.seen()["log"]) <= 7


def test_a_server_that_gives_one_answer_is_asked_for_the_others(
    server: Server, tmp_path: Path
) -> None:
    server.control(line=-2, one=True)
    report = make(tmp_path / "set", server.engine(f"{FAST}&concurrency=1"), texts=TEXTS[:3])
    assert report["candidates"] == 6
    assert [each["body"]["seed"] for each in server.seen()["log"]] == [7, 8] * 3


@given(first=st.integers(1, 14), at_once=st.integers(1, 4))
def test_budgets_of_requests_are_kept_and_raised(
    tmp_path_factory: pytest.TempPathFactory, first: int, at_once: int
) -> None:
    folder, engine = tmp_path_factory.mktemp("budget") / "set", Deterministic()
    asking = replace(ASKING, at_once=at_once)
    report = make(folder, engine, Limits(requests=first), asking=asking)
    assert len(engine.asked) == report["texts"] == min(first, len(TEXTS))
    assert report["complete"] is (first >= len(TEXTS))
    if not report["complete"]:
        again = Deterministic()
        report = make(folder, again, Limits(requests=len(TEXTS)), asking=asking, resume=True)
        assert report["complete"]
        assert len(again.asked) == len(TEXTS) - first
    spent = json.loads((folder / SPENT_FILE).read_text())
    assert spent == {"requests": 12, "prompt_tokens": 1200, "answer_tokens": 600, "cost": 0.0}


def test_budgets_of_tokens_and_money_end_the_asking(tmp_path: Path) -> None:
    tokens = make(tmp_path / "tokens", Deterministic(), Limits(tokens=700))
    assert 0 < tokens["texts"] < len(TEXTS)
    priced = Limits(money=0.001, price_read=1.0, price_written=2.0)
    money = make(tmp_path / "money", Deterministic(), priced)
    assert 0 < money["texts"] < len(TEXTS)
    assert json.loads((tmp_path / "money" / SPENT_FILE).read_text())["cost"] == pytest.approx(
        money["texts"] * 200 / 1_000_000
    )
    with pytest.raises(CivillyError, match="--price-read"):
        Limits(money=1.0)


def test_a_budget_counts_what_is_under_way() -> None:
    budget = Budget(Limits(requests=3), Spent(1))
    assert [budget.take(Spent(1)) for _ in range(3)] == [True, True, False]
    budget.settle(Spent(1), Spent())  # it failed, and cost nothing
    assert budget.take(Spent(1))
    assert budget.spent == Spent(1)


def test_an_engine_on_this_machine_is_asked_in_batches_cut_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking_module, "BATCH", 5)
    sizes: list[int] = []

    class Failing(Local):
        def generate(self, prompts: Any, options: Any) -> Any:
            sizes.append(len(prompts))
            if len(sizes) == 2:
                raise EngineError("it broke")
            return super().generate(prompts, options)

    with pytest.raises(EngineError, match="it broke"):
        make(tmp_path / "set", Failing())
    make(tmp_path / "set", Failing(), resume=True)
    make(tmp_path / "whole", Local())
    assert sizes == [5, 5, 5, 2]
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
    assert json.loads((tmp_path / "set" / SPENT_FILE).read_text())["prompt_tokens"] > 0


def test_another_run_is_not_taken_up(tmp_path: Path) -> None:
    make(tmp_path / "set", Deterministic())
    with pytest.raises(DataError, match="another set"):
        make(tmp_path / "set", Deterministic(), resume=True, run=replace(RUN, seed=8))
    with pytest.raises(DataError, match="exists"):
        make(tmp_path / "set", Deterministic())
    make(tmp_path / "set", Deterministic(), overwrite=True, run=replace(RUN, seed=8))
