"""Invented threads: the grid, what answers hold, kills and troubles, filters, diversity."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.corpus.build import build_corpus
from civilly.data.journal import journal_path
from civilly.errors import DataError, EngineError, UnknownNameError
from civilly.synth.asking import Asking
from civilly.synth.budget import Limits
from civilly.synth.diversity import distinct, diversity_of, self_similarity
from civilly.synth.filters import FilterTools, Sample, open_filters
from civilly.synth.filters.person import names
from civilly.synth.folder import ANSWERS_FILE, SPENT_FILE, Run
from civilly.synth.prompts import THREADS
from civilly.synth.run import make_answers, write_set
from civilly.synth.threads import SCHEMA, Cell, cells, parsed, prompt_head, read_thread_recipe
from civilly.types import Generation, GenerationOptions, Prompt
from openai_client import FAST, Server

RECIPE = Path(__file__).parent.parent / "recipes" / "threads.toml"
MODELS = ["toxicity", "similarity", "reading", "language", "leak"]
FILTERS = open_filters(FilterTools(), without=MODELS)
THREAD = {
    "post": "The bus was late again.",
    "comments": [
        {"toxic": "Walk then, you lazy whining fool.", "civil": "Walk then, it is not so far.",
         "toxicity": 2},
        {"toxic": "Nobody cares, idiot, buy a car.", "civil": "Buy a car, nobody will mend it.",
         "toxicity": 3},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped recipe, of twelve threads."""
    path = tmp_path_factory.mktemp("recipe") / "threads.toml"
    text = RECIPE.read_text("utf-8")
    path.write_text(re.sub(r"(?m)^threads = \d+", "threads = 12", text), "utf-8")
    return path


class Deterministic:
    """Invents by the prompt alone: a thread, half a thread, or none; counts what it is asked."""

    requests_at_once = 3

    def __init__(self) -> None:
        self.asked: list[str] = []

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        self.asked += [prompt.text for prompt in prompts]
        return [[answer_to(p.text, k) for k in range(options.n)] for p in prompts]


def answer_to(prompt: str, number: int) -> Generation:
    chance = random.Random(f"{prompt}{number}")
    whole = json.dumps(THREAD | {"post": f"Post {chance.random()}"})
    kind = chance.choice(["whole", "whole", "fenced", "half", "none"])
    if kind == "half":
        return Generation(whole[: len(whole) // 2], finished=chance.random() < 0.5)
    texts = {"whole": whole, "fenced": f"Here it is:\n```json\n{whole}\n```", "none": "I cannot."}
    return Generation(texts[kind])


def make(folder: Path, engine: Any, recipe: Path, **settings: Any) -> dict[str, Any]:
    read = read_thread_recipe(recipe)
    run = Run("threads", "test", "m", "v1", 1, 2, 0.8, 7, "MIT", "abc", "1", prompt_head(read))
    options = GenerationOptions(2, 64, temperature=0.8, seed=7, schema=SCHEMA)
    asking = Asking(lambda cell: cell.prompt, options)
    rows, complete = make_answers(
        lambda: engine, cells(read), run, asking, folder, Limits(), **settings
    )
    return write_set(folder, run, rows, FILTERS, complete=complete)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != SPENT_FILE}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_few_cells_cover_the_grid_evenly() -> None:
    recipe = read_thread_recipe(RECIPE)
    found = cells(recipe)
    assert found == cells(recipe)
    assert len({cell.id for cell in found}) == len(found) == recipe.threads
    for axis, names_ in (("topic", recipe.grid.topics), ("persona", recipe.grid.personas),
                         ("kind", recipe.grid.kinds), ("lang", recipe.grid.languages)):  # fmt: skip
        counts = Counter(getattr(cell, axis) for cell in found)
        assert counts.keys() == set(names_)
        assert max(counts.values()) - min(counts.values()) <= 0.2 * recipe.threads / len(names_)
    heads = {cell.prompt.head for cell in found}
    assert len(heads) == 1  # so that a server reads it once
    assert all(cell.prompt.text.startswith(cell.prompt.head) for cell in found)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (("threads = 320", "threads = 9000"), DataError, "8000 cells"),
        (('"en", "de"', '"en", "xx"'), UnknownNameError, "xx"),
        (("toxicity = 2", "toxicity = 7"), DataError, "toxicity"),
        (("comments = 2", "comments = 0"), DataError, "comments"),
        (("words = 12", "wrods = 12"), UnknownNameError, "words"),
    ],
)
def test_recipes_are_checked(
    change: tuple[str, str], error: type[Exception], match: str, tmp_path: Path
) -> None:
    path = tmp_path / "threads.toml"
    text = RECIPE.read_text("utf-8")
    assert change[0] in text
    path.write_text(text.replace(*change), "utf-8")
    with pytest.raises(error, match=match):
        cells(read_thread_recipe(path))


def test_answers_are_read_leniently_and_refused_clearly() -> None:
    whole = json.dumps(THREAD)
    for text in (whole, f"Sure!\n```json\n{whole}\n```\nI hope it helps.", whole + whole):
        read = parsed(text)
        assert (read.post, read.wrong, len(read.comments)) == (THREAD["post"], "", 2)
    spoilt = {"post": "p", "comments": [*THREAD["comments"], {"toxic": "x", "toxicity": "2"}, 3]}
    comments = parsed(json.dumps(spoilt)).comments
    assert [isinstance(each, str) for each in comments] == [False, False, True, True]
    assert "civil" in str(comments[2])
    for text, wrong in (("", "no JSON"), ("I cannot do that.", "no JSON"), (whole[:60], "no valid"),
                        ('{"comments": []}', "no post"), ('{"post": "p"}', "no comments"),
                        ("{" * 9_999, "no valid"), ('{"post": " ", "comments": [1]}', "no post"),
                        ('{"post": "p", "comments": {}}', "no comments")):  # fmt: skip
        assert wrong in parsed(text).wrong, text


@given(st.text())
def test_no_answer_breaks_the_reading(text: str) -> None:
    for answer in (text, "{" + text, json.dumps({"post": text, "comments": [{"toxic": text}]})):
        read = parsed(answer)
        assert read.wrong or read.comments


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, recipe: Path) -> tuple[dict[str, bytes], bytes]:
    """An uninterrupted run, and the journal before the answers were written."""
    folder = tmp_path_factory.mktemp("whole") / "set"
    journals: list[bytes] = []
    path = journal_path(folder / ANSWERS_FILE)
    make(folder, Deterministic(), recipe, tell=lambda *_: journals.append(path.read_bytes()))
    return contents(folder), journals[-1]


@given(data=st.data())
def test_killed_anywhere_the_bytes_are_the_same_and_nothing_is_asked_twice(
    data: Any, whole: tuple[dict[str, bytes], bytes], recipe: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    files, journal = whole
    left = journal[: data.draw(st.integers(0, len(journal)))]
    folder = tmp_path_factory.mktemp("killed")
    (folder / "run.json").write_bytes(files["run.json"])
    journal_path(folder / ANSWERS_FILE).write_bytes(left)
    engine = Deterministic()
    make(folder, engine, recipe, resume=True)
    assert contents(folder) == files
    kept = sum(len(json.loads(line.split(b" ", 1)[1])[0]) for line in left.split(b"\n")[1:-1])
    assert len(engine.asked) == len(set(engine.asked)) == 12 - kept


def test_every_row_says_where_it_is_from_and_why_it_was_kept(
    whole: tuple[dict[str, bytes], bytes], tmp_path: Path
) -> None:
    for name, content in whole[0].items():
        (tmp_path / name).write_bytes(content)
    accepted, rejected = lines(tmp_path / "accepted.jsonl"), lines(tmp_path / "rejected.jsonl")
    assert accepted
    assert {row["use"] for row in accepted} == {"hard_negatives"}
    row = accepted[0]
    assert set(row["cell"]) == {"topic", "register", "persona", "kind"}
    assert {"post", "toxicity", "engine", "model", "prompt_version", "seed"} <= row.keys()
    assert set(row["filters"]) == {each.name for each in FILTERS}
    first = Counter(row["rejected_by"][0] for row in rejected)
    assert first["not as asked"] > 0
    assert first["unfinished"] > 0
    assert first["duplicate"] > 0  # all threads have the same comments
    for row in rejected:
        assert row["answer"]
        assert row["rejected_by"][0] != "not as asked" or row["wrong"]
    report = json.loads((tmp_path / "synthetic.json").read_text())
    assert report["accepted"] == len(accepted)
    assert report["diversity"].keys() == {row["lang"] for row in [*accepted, *rejected]}
    assert "hard negatives only" in (tmp_path / "README.md").read_text().casefold()


def test_threads_are_no_pairs_to_train_on(
    whole: tuple[dict[str, bytes], bytes], tmp_path: Path, shared_data: Path
) -> None:
    for name, content in whole[0].items():
        (tmp_path / name).write_bytes(content)
    source = {"name": "made", "kind": "synthetic", "path": str(tmp_path)}
    with pytest.raises(DataError, match="hard_negatives"):
        build_corpus({"seed": 1, "corpus": {"sources": [source]}}, shared_data)


def test_passing_trouble_is_waited_for_and_invalid_json_set_aside(
    server: Server, recipe: Path, tmp_path: Path
) -> None:
    server.control(says=json.dumps(THREAD)[:40], fail=[429, 200, 503], garble=1, hang_up=1,
                   retry_after="0")  # fmt: skip
    report = make(tmp_path / "set", server.engine(f"{FAST}&concurrency=1"), recipe)
    assert (report["complete"], report["accepted"]) == (True, 0)
    assert len(server.seen()["log"]) == 12 + 4
    took = {each["name"]: each["took"] for each in report["filters"]}
    assert took["not as asked"] + took["unfinished"] == 24


def test_a_server_that_is_too_slow_loses_nothing(
    server: Server, recipe: Path, tmp_path: Path
) -> None:
    said = json.dumps(THREAD)
    server.control(says=said, delay=0.6)
    with pytest.raises(EngineError, match=r"(?i)answer|time"):
        make(tmp_path / "set", server.engine("backoff=0.01&retries=1&timeout=0.2"), recipe)
    server.control(says=said)
    report = make(tmp_path / "set", server.engine(FAST), recipe, resume=True)
    assert report["complete"]


def test_an_engine_that_dies_loses_nothing(server: Server, recipe: Path, tmp_path: Path) -> None:
    server.control(says=json.dumps(THREAD), fail=[200] * 5 + [500] * 100)
    with pytest.raises(EngineError, match="500"):
        make(tmp_path / "set", server.engine(f"{FAST}&concurrency=2&retries=1"), recipe)
    server.control(says=json.dumps(THREAD))
    report = make(tmp_path / "set", server.engine(), recipe, resume=True)
    assert report["complete"]
    assert len(server.seen()["log"]) == 12 - 5


def test_a_server_is_told_the_schema_unless_it_refuses_it(
    server: Server, recipe: Path, tmp_path: Path
) -> None:
    server.control(says=json.dumps(THREAD))
    make(tmp_path / "set", server.engine(FAST), recipe)
    asked = server.seen()["log"][0]["body"]["response_format"]
    assert asked["json_schema"]["schema"] == json.loads(SCHEMA)
    server.control(says=json.dumps(THREAD), no_schema=True)
    report = make(tmp_path / "other", server.engine(f"{FAST}&concurrency=1"), recipe)
    assert report["complete"]
    assert sum("response_format" in each["body"] for each in server.seen()["log"]) == 1


def test_a_process_is_killed_and_resumed(server: Server, recipe: Path, tmp_path: Path) -> None:
    def command(folder: Path, *more: str) -> list[Any]:
        without = [word for name in MODELS for word in ("--without", name)]
        return [sys.executable, "-m", "civilly", "synth", "threads", recipe, "-o", folder,
                "--engine", server.spec(f"{FAST}&concurrency=2"), "--model-licence", "MIT",
                *without, *more]  # fmt: skip

    environment = {**os.environ, "CIVILLY_DATA": str(tmp_path)}
    server.control(says=json.dumps(THREAD), usage=True)
    subprocess.run(command(tmp_path / "whole"), env=environment, check=True, capture_output=True)
    server.control(says=json.dumps(THREAD), usage=True, delay=0.1)
    goal = random.Random(16).randint(2, 8)
    child = subprocess.Popen(command(tmp_path / "killed"), env=environment,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while len(server.seen()["log"]) < goal and child.poll() is None:
        time.sleep(0.02)
    assert child.poll() is None
    child.kill()
    child.wait()
    subprocess.run(
        command(tmp_path / "killed", "--resume"), env=environment, check=True, capture_output=True
    )
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert len(server.seen()["log"]) <= 12 + 2  # two were under way


def sample(toxic: str, civil: str, post: str = "The bus is late.", prompt: str = "") -> Sample:
    return Sample(civil, toxic, "{}", "en", "MIT", THREADS, prompt, post)


def kept(name: str, one: Sample) -> bool:
    (chosen,) = [each for each in FILTERS if each.name == name]
    return chosen.keeps(chosen.measure([one])[0])


def test_filters_look_at_all_that_was_invented() -> None:
    civil, toxic = "Please walk, it is near.", "Walk, you lazy fool."
    prompt = prompt_head(read_thread_recipe(RECIPE))
    shown = read_thread_recipe(RECIPE).example
    for name in ("echo", "person", "personal", "refusal"):
        assert kept(name, sample(toxic, civil, prompt=prompt))
    assert not kept("echo", sample(toxic, shown.civil, prompt=prompt))
    assert not kept("echo", sample(toxic, civil, shown.post, prompt))
    assert not kept("echo", sample(toxic, toxic.upper(), prompt=prompt))
    assert not kept("personal", sample(toxic, civil, "Write to jane.roe@mail.org"))
    assert not kept("refusal", sample(toxic, "I'm sorry, but I can't help with that."))
    assert not kept("person", sample(toxic, civil, "What did Trump say?"))
    assert not kept("person", sample(toxic, f"{civil} @bob_92 knows"))


@pytest.mark.parametrize(
    ("text", "lang", "there"),
    [
        ("I saw Jane Roe at the bus stop", "en", True),
        ("The New york bus is late, Anna", "en", False),
        ("This IS A DISGRACE for us", "en", False),
        ("Die Große Koalition kommt Morgen Früh", "de", False),
        ("Frag doch Merkel", "de", True),
        ("я видел Ивана Петрова вчера", "ru", True),
        ("при Путине было иначе", "ru", True),
        ("特朗普说得对", "zh", True),
        ("公交车又晚了", "zh", False),
    ],
)
def test_persons_are_found(text: str, lang: str, there: bool) -> None:
    assert names(text, lang) is there


def test_diversity_is_what_its_definition_says() -> None:
    assert distinct(["a b a", "b a"], "en", 1) == pytest.approx(2 / 5)
    assert distinct(["a b a", "b a"], "en", 2) == pytest.approx(2 / 3)
    assert distinct([], "en", 1) is None
    # abcdef and abcdxy share abcd, of abcd bcde cdef bcdx cdxy
    assert self_similarity(["abcdef", "abcd xy"]) == pytest.approx(1 / 5)
    assert self_similarity(["alone"]) is None
    cell = {"topic": "bus", "kind": "insult"}
    asked = [{"lang": "en", "cell": cell}, {"lang": "en", "cell": {**cell, "kind": "threat"}}]
    accepted = [{"lang": "en", "cell": cell, "toxic": "you utter fool"}]
    found = diversity_of(asked, accepted, {"en": ["You utter fool!", "else"]})["en"]
    assert (found["rows"], found["names"], found["pairs"]) == (1, 2 / 3, 1 / 2)
    assert (found["like_real"], found["most_real"]) == (1.0, 1.0)
    nothing = diversity_of(asked, [])["en"]
    assert nothing["rows"] == nothing["names"] == 0
    assert nothing["like_real"] is None


def test_a_cell_is_written_down_with_its_brief() -> None:
    cell = cells(read_thread_recipe(RECIPE))[0]
    assert isinstance(cell, Cell)
    row = cell.row()
    assert row["text"] in cell.prompt.text
    assert row["id"] == "/".join([*row["cell"].values(), row["lang"]])
