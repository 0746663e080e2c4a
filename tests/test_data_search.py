"""``civilly data search``: columns, measures, ranking, the hub, the command."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.table import Table
from civilly.errors import DataError
from civilly.synth.search.candidates import SetRow, read_licences, read_set, read_sets
from civilly.synth.search.columns import Chosen, civil_sides, guess_columns, labels_of
from civilly.synth.search.measures import (
    GramNumbers,
    area,
    divergence,
    furthest,
    jaccard,
    kernel,
    mmd,
    sample_of,
)
from civilly.synth.search.ranking import DRAWS, compare, ranks
from civilly.synth.search.run import evaluation_of, without_leaks
from hub_server import HubServer, served

RUDE = ["idiot", "fool", "moron", "jerk", "liar", "clown", "pig", "rat", "troll", "loser"]
CIVIL = ["person", "friend", "neighbour", "man", "reader", "author", "guy", "one", "user", "human"]
ENDS = (
    "about the match", "every single day", "in this thread", "and you know it", "on the bus",
    "at work again", "with that haircut", "after the update", "like your brother", "of this town",
)  # fmt: skip


def pairs(n: int, seed: int) -> list[dict[str, Any]]:
    """Sentences in which one word is an insult, and their civil sides."""
    rng = random.Random(seed)
    made: dict[str, dict[str, Any]] = {}
    while len(made) < n:
        number, end, start = rng.randrange(len(RUDE)), rng.choice(ENDS), rng.choice(ENDS)
        text = f"you {{}} {end}, talking {start} number {rng.randrange(1000)}"
        toxic = text.format(RUDE[number])
        made[toxic] = {"toxic": toxic, "neutral": [text.format(CIVIL[number])], "lang": "en"}
    return list(made.values())


def recipes(n: int, seed: int) -> list[dict[str, Any]]:
    """Texts about something else, with labels that mean nothing."""
    rng = random.Random(seed)
    goods = ["flour", "sugar", "butter", "basil", "garlic", "onion", "paprika", "vinegar"]
    return [
        {
            "comment": f"Stir {rng.randrange(900)} g of {rng.choice(goods)} into the "
            f"{rng.choice(goods)} and simmer for {rng.randrange(60)} minutes.",
            "class": rng.choice(["offensive", "not offensive"]),
        }
        for _ in range(n)
    ]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def guessed(rows: list[dict[str, Any]], **chosen: Any) -> tuple[Any, ...]:
    table = Table(list(rows[0]), rows, "jsonl")
    found = guess_columns(table, "a set", Chosen(**chosen))
    return found.text, found.civil, found.label, found.lang


# ---- columns


def test_columns_are_known_by_name_and_content() -> None:
    texts = [f"some sentence number {i}" for i in range(20)]
    assert guessed([{"toxic": t, "neutral": [t], "lang": "en"} for t in texts]) == (
        "toxic", "neutral", None, "lang",
    )  # fmt: skip
    # A label called toxic, beside the text.
    assert guessed([{"id": i, "comment_text": t, "toxic": i % 2} for i, t in enumerate(texts)]) == (
        "comment_text", None, "toxic", None,
    )  # fmt: skip
    assert guessed([{"en_toxic_comment": t, "en_neutral_comment": f"a {t}"} for t in texts])[
        :2
    ] == (
        "en_toxic_comment",
        "en_neutral_comment",
    )
    # Names that say nothing: the longest text, and no number.
    assert guessed([{"a": i, "b": t, "c": f"{t} and more of it"} for i, t in enumerate(texts)]) == (
        "c", None, None, None,
    )  # fmt: skip


def test_a_named_column_counts_and_what_holds_no_text_is_refused() -> None:
    rows = [{"x": f"one sentence {i}", "y": f"another, longer sentence {i}"} for i in range(9)]
    assert guessed(rows)[0] == "y"
    assert guessed(rows, text="x", civil="y")[:2] == ("x", "y")
    assert guessed(rows, text="elsewhere")[0] == "y"
    with pytest.raises(DataError, match=r"no column holds texts.*n, k"):
        guessed([{"n": 1, "k": 2.5}])


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1, True, None], [0, 1, 1, None]),
        (["0.2", "0.5", ""], [0, 1, None]),
        (["toxic", "non-toxic", "Not Hate", "NEUTRAL"], [1, 0, 0, 0]),
        (["OFF", "NOT", "HOF", "NONE"], [1, 0, 1, 0]),
        (["hateful", "non-hateful", "something"], [1, 0, None]),
        ([0, 1, 2], [None, None, None]),
    ],
)
def test_labels_are_understood_or_unknown(values: list[Any], labels: list[int | None]) -> None:
    assert labels_of(values) == labels


def test_the_user_says_which_labels_are_toxic() -> None:
    assert labels_of([0, 1, 2, None], ["0", "1"]) == [1, 1, 0, None]


@given(st.lists(st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.booleans())))
def test_any_labels_and_sides_are_read(values: list[Any]) -> None:
    assert len(labels_of(values)) == len(values)
    assert set(labels_of(values)) <= {0, 1, None}
    for value in values:
        assert all(isinstance(side, str) and side for side in civil_sides(value))


# ---- measures


def test_measures_against_values_by_hand() -> None:
    assert jaccard(frozenset("abc"), frozenset("bcd")) == pytest.approx(2 / 4)
    half = np.array([0.5, 0.5, 0.0])
    assert divergence(half, half) == 0.0
    assert divergence(half, np.array([0.0, 0.0, 1.0])) == pytest.approx(1.0)
    # Of (1/2, 1/2, 0) and (1/2, 0, 1/2): 1/2.
    assert divergence(half, np.array([0.5, 0.0, 0.5])) == pytest.approx(0.5)
    assert area(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == pytest.approx(3.5 / 4)
    assert furthest(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == pytest.approx(0.5)


def test_measures_against_scipy_and_scikit_learn() -> None:
    stats = pytest.importorskip("scipy.stats")
    distance = pytest.importorskip("scipy.spatial.distance")
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    one, other = rng.random(30), rng.random(50) + 0.2
    truth = np.repeat([0, 1], [30, 50])
    assert area(one, other) == pytest.approx(
        metrics.roc_auc_score(truth, np.concatenate([one, other]))
    )
    assert furthest(one, other) == pytest.approx(stats.ks_2samp(one, other).statistic)
    p, q = rng.dirichlet(np.ones(20)), rng.dirichlet(np.ones(20))
    assert divergence(p, q) == pytest.approx(distance.jensenshannon(p, q, base=2) ** 2)


def test_mmd_is_the_sum_over_pairs() -> None:
    """Equation (3) of Gretton et al. 2012, term by term."""
    rng = np.random.default_rng(1)
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 7, 4)))
    gram = kernel(x, y)
    width = np.median([np.sum((a - b) ** 2) for i, a in enumerate(x) for b in x[i + 1 :]])

    def k(a: Any, b: Any) -> float:
        return float(np.exp(-np.sum((a - b) ** 2) / width))

    within = sum(k(s[i], s[j]) for s in (x, y) for i in range(7) for j in range(7) if i != j) / 42
    between = sum(k(a, b) for a in x for b in y) / 49
    expected = max(0.0, within - 2 * between) ** 0.5
    assert mmd(gram, np.arange(7), np.arange(7, 14)) == pytest.approx(expected)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_any_texts_make_a_sample(texts: list[str]) -> None:
    numbers = GramNumbers()
    sample = sample_of(texts, "en", np.ones((len(texts), 2)), numbers, [(t,) for t in texts])
    assert len(sample) == len(texts)
    assert all(len(grams) and grams.max() < len(numbers) for grams in sample.grams)
    assert np.all((sample.edits >= 0) & (sample.edits <= 1))


# ---- ranking


def made_sample(texts: list[str], shift: float, numbers: GramNumbers, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(len(texts), 8)) * 0.3 + np.array([2.0, shift] + [0.0] * 6)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return sample_of(texts, "en", vectors, numbers)


def test_the_same_distribution_is_near_one_and_another_below() -> None:
    texts = [row["toxic"] for row in pairs(300, 5)]
    others = [row["comment"] for row in recipes(150, 5)]
    numbers = GramNumbers()
    ours = made_sample(texts[:150], 0.0, numbers, 1)
    same, other = (
        made_sample(texts[150:], 0.0, numbers, 2),
        made_sample(others, 2.0, numbers, 3),
    )
    toxic, civil = np.linspace(0.5, 1, 60), np.linspace(0, 0.6, 60)
    nothing = np.zeros(0)
    alike = compare("same", ours, same, (toxic, civil), len(numbers), 0)
    apart = compare("other", ours, other, (nothing, nothing), len(numbers), 0)
    assert set(alike.similarities) == {"words", "letters", "centre", "spread", "told", "labels"}
    assert "labels" not in apart.similarities
    for measure in ("words", "letters", "told"):
        assert alike.similarity(measure).mean > 0.8
        assert apart.similarity(measure).mean < 0.5
    assert all(0 <= value <= 1 for made in (alike, apart) for value in made.scores)
    assert len(alike.scores) == DRAWS
    assert alike.score.low <= alike.score.mean <= alike.score.high
    assert ranks([apart, alike]) == [(2, 2), (1, 1)]
    again = compare("same", ours, same, (toxic, civil), len(numbers), 0)
    assert np.array_equal(again.scores, alike.scores)


def test_leaks_are_taken_out_by_every_side() -> None:
    ours = [SetRow("you are a complete fool, really", "en", None, ("you are quite wrong, really",))]
    theirs = [
        SetRow("You are a COMPLETE fool; really!", "en"),
        SetRow("something else entirely here", "en", None, ("you are quite wrong, really",)),
        SetRow("nothing of the kind was said", "en"),
    ]
    made = without_leaks([theirs[:2], theirs], evaluation_of(ours))
    assert [[row.text for row in kept] for kept, _ in made] == [[], [theirs[2].text]]
    assert [kinds for _, kinds in made] == [{"normalised": 1, "exact": 1}] * 2


# ---- sets


def test_a_set_says_its_languages_duplicates_and_licence(tmp_path: Path) -> None:
    rows = [{"text": f"the weather is fine today, number {i}"} for i in range(8)]
    rows += [{"text": "THE weather is fine today, number 0!"}]
    rows += [{"text": "das Wetter ist heute leider wieder schlecht"}]
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    made = read_set(jsonl(tmp_path / "mine.jsonl", rows), Chosen(), 400, 0, {})
    assert made.name == "mine"
    assert made.languages["en"] == pytest.approx(0.9)
    assert made.languages["de"] == pytest.approx(0.1)
    assert made.duplicates == pytest.approx(0.1)
    assert made.licence == "mit"
    other = read_set(tmp_path / "mine.jsonl", Chosen(), 400, 0, {"mine": "CC0-1.0"})
    assert other.licence == "CC0-1.0"


def test_what_cannot_be_read_does_not_end_the_search(tmp_path: Path) -> None:
    good = jsonl(tmp_path / "good.jsonl", pairs(3, 1))
    empty = jsonl(tmp_path / "empty.jsonl", [])
    numbers = jsonl(tmp_path / "numbers.jsonl", [{"a": 1}])
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"\x00\x01")
    sets, failed = read_sets([good, empty, numbers, broken], Chosen(), 400, 0, {})
    assert [each.name for each in sets] == ["good"]
    assert list(failed) == [str(empty), str(numbers), str(broken)]


def test_licences_come_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "licences.tsv"
    path.write_text("name\tlicence\ngood\tMIT\n")
    assert read_licences(path) == {"good": "MIT"}
    path.write_text("set\tlicence\ngood\tMIT\n")
    with pytest.raises(DataError, match="no column 'name'"):
        read_licences(path)


# ---- the command, and the hub


def civilly(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "civilly", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "no_proxy": "127.0.0.1", **environment},
        timeout=300,
    )


class Texts(HTMLParser):
    """The text of a page, and whether anything is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.policies: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [str(value) for name, value in attrs if name == "src"]
        self.policies += [str(value) for name, value in attrs if name == "content"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_search_in_a_folder_and_on_the_hub(tmp_path: Path) -> None:
    ours = jsonl(tmp_path / "ours.jsonl", pairs(120, 1))
    near = pairs(130, 2)
    leak = pairs(120, 1)[:5]
    jsonl(tmp_path / "sets" / "near.jsonl", near + leak)
    jsonl(tmp_path / "sets" / "recipes.jsonl", recipes(130, 3))
    jsonl(tmp_path / "sets" / "tiny.jsonl", pairs(5, 4))
    texts = [{"text": row["toxic"], "label": 1} for row in pairs(60, 6)]
    texts += [{"text": row["neutral"][0], "label": 0} for row in pairs(60, 6)]
    names = {"name": "label", "type": {"_type": "ClassLabel", "names": ["neutral", "toxic"]}}
    sets: dict[str, dict[str, Any]] = {
        "lab/labelled": {"license": "mit", "splits": {("default", "train"): texts}},
        "lab/by-language": {
            "splits": {
                ("default", "en"): pairs(120, 8),
                ("default", "ja"): [{"toxic": "x"}] * 300,
            },
        },
        "lab/without-rows": {"no_rows": True, "splits": {}},
    }
    for row in sets["lab/by-language"]["splits"]["default", "en"]:
        del row["lang"]
    page = tmp_path / "found"
    with served(HubServer(sets, {"lab/labelled": [names]})) as hub:
        hub.fail = [503]  # asked again
        command = ["data", "search", ours, tmp_path / "sets", "-o", page, "--rows", 120]
        asked = ["--hub", "lab/labelled", "--hub-query", "lab/", "--hub", "lab/missing"]
        refused = civilly(*command, *asked, HF_ENDPOINT=hub.url)
        assert refused.returncode == 2
        assert "--download" in refused.stderr
        assert not hub.asked, "nothing is fetched unasked"
        result = civilly(*command, *asked, "--download", "--json", HF_ENDPOINT=hub.url)
        assert result.returncode == 0, result.stderr
        assert not any("split=ja" in path for path in hub.asked), "no language of ours"
        check_report(json.loads(result.stdout), page)
        check_page((page / "index.html").read_text("utf-8"))
        before = len(hub.asked)
        command = [*command[:3], "-o", page, "--rows", 100, "--hub", "lab/labelled"]
        again = civilly(*command, "--download", "--overwrite", HF_ENDPOINT=hub.url)
        assert again.returncode == 0, again.stderr
        fresh = [path for path in hub.asked[before:] if "/rows" in path or "/api" in path]
        assert not fresh, "samples are kept"
    table = re.search(r"^en: rank.*\n(?:.+\n)+", again.stdout, re.MULTILINE)
    assert table is not None
    assert "lab/labelled" in table[0]


def check_report(found: dict[str, Any], page: Path) -> None:
    ranking = {each["name"]: each for each in found["ranking"]["en"]}
    assert set(ranking) == {"near", "recipes", "lab/labelled", "lab/by-language"}
    order = [each["name"] for each in found["ranking"]["en"]]
    assert order[-1] == "recipes"
    assert ranking["near"]["kind"] == "pairs"
    assert ranking["lab/labelled"]["kind"] == "labels"
    assert ranking["lab/labelled"]["measures"]["labels"]["value"] > 0.9
    assert ranking["near"]["rank"][0] < ranking["recipes"]["rank"][0]
    sets = {each["name"]: each for each in found["sets"]}
    assert sets["near"]["leaks"]["exact"] >= 5
    assert sets["lab/labelled"]["licence"] == "mit"
    assert sets["lab/labelled"]["licence_allows"]
    assert not sets["recipes"]["licence_allows"]
    assert sets["lab/labelled"]["columns"] == {"text": "text", "label": "label"}
    assert sets["lab/by-language"]["columns"]["lang"] == "lang"
    left = found["left_out"]
    assert left["tiny (en)"].endswith("texts, 40 needed")
    assert "lab/missing" in left
    assert "404" in left["lab/without-rows"]
    assert json.loads((page / "search.json").read_text("utf-8")).keys() == found.keys()


def check_page(html: str) -> None:
    parser = Texts()
    parser.feed(html)
    said = " ".join(parser.texts)
    assert not parser.loads
    assert any("default-src 'none'" in policy for policy in parser.policies)
    assert "These texts are toxic." in said
    assert "recipes" in said
    assert "Stir" in said


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    """Markup, control characters, right-to-left and huge rows reach the page as text."""
    odd = ["<script>alert(1)</script> you fool", "\x00\x1b[31m idiot", "أنت غبي جدا", "🤡" * 30]
    rows = pairs(90, 2)
    rows += [{"toxic": text, "neutral": ["fine"], "lang": "en"} for text in odd]
    rows += [{"toxic": "word " * 20_000, "neutral": [""], "lang": None}]
    sets = jsonl(tmp_path / "<b>odd.jsonl", rows)
    ours = jsonl(tmp_path / "ours.jsonl", pairs(90, 1))
    result = civilly("data", "search", ours, sets, "-o", tmp_path / "found", "--rows", 100)
    assert result.returncode == 0, result.stderr
    html = (tmp_path / "found" / "index.html").read_text("utf-8")
    assert html.count("<script") == 1
    assert "<b>odd" not in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no candidates"),
        (["nowhere.jsonl"], "No candidate could be read"),
        (["few.jsonl", "--lang", "xx"], "xx"),
        (["few.jsonl"], "fewer than 40 texts"),
    ],
)
def test_errors_teach(tmp_path: Path, arguments: list[str], message: str) -> None:
    jsonl(tmp_path / "few.jsonl", pairs(5, 1))
    ours = jsonl(tmp_path / "ours.jsonl", pairs(6, 2))
    given = [tmp_path / a if a.endswith("jsonl") else a for a in arguments]
    result = civilly("data", "search", ours, *given, "-o", tmp_path / "found")
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr
