"""``civilly data preferences``: from readings, samples and judgements to the rows of a training."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from civilly.cli import app
from civilly.data.leaks import find_leaks, normalise
from civilly.data.readings import read_readings
from civilly.data.recipe_table import read_recipe
from civilly.data.split import dev_part
from civilly.errors import CivillyError, DataError, LeakError, UnknownNameError
from civilly.train.preference_data.build import Preferences, build_preferences, evaluation_sides
from civilly.train.preference_data.confirm import Question, confirmed, open_judge
from civilly.train.preference_data.folder import write_preferences
from civilly.train.preference_data.from_samples import read_samples
from civilly.train.preference_data.pairing import labelled_of, preferences_of
from civilly.train.preference_data.rated import Rated, RatedText
from civilly.train.preference_data.recipe import Filters, PreferenceRecipe

RECIPES = Path(__file__).parent.parent / "recipes"
NOUNS = ("bicycle", "kitchen", "lawyer", "mountain", "newspaper", "orchestra", "passenger", "river")
VERBS = ("broke", "cooked", "forgot", "hid", "kicked", "painted", "sold", "wrote")


def said(number: int) -> str:
    """A rude sentence that is like none of the others."""
    noun, verb = NOUNS[number % 8], VERBS[number // 8 % 8]
    return f"The stupid {noun} {verb} {hashlib.md5(str(number).encode()).hexdigest()[:12]}, idiot"


def bucket(key: str) -> int:
    return int(hashlib.sha1(key.encode()).hexdigest(), 16) % 100


def reading(number: int, rewrite: str, fault: str = "good", **other: Any) -> dict[str, Any]:
    row = {
        "id": f"id-{number}", "lang": "en", "text": said(number), "source": "authored",
        "rewrite": rewrite, "systems": ["writer"], "fault": fault,
        "use": 2 if fault == "good" else 0, "note": "", "sheet": "en-1",
    }  # fmt: skip
    return {**row, **other}


def civil(number: int) -> str:
    return said(number).replace("stupid ", "").replace(", idiot", ", sorry")


def hole(number: int) -> str:
    return said(number).replace("The stupid ", "The ").replace(" idiot", "")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


HELD_OUT = next(f"dev{n}" for n in range(99) if dev_part(f"dev{n}") == "eval")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A data folder with one held-out pair, and forty texts with a good output and a hole."""
    pair = {
        "id": HELD_OUT, "lang": "en", "toxic": "What a moron that umpire was yesterday",
        "neutral": ["That umpire made poor decisions yesterday"], "source": "dev",
    }  # fmt: skip
    write_rows(tmp_path / "data" / "parallel" / "multiparadetox_dev.jsonl.gz", [pair])
    rows = [
        row
        for number in range(40)
        for row in (reading(number, civil(number)), reading(number, hole(number), "gap"))
    ]
    write_rows(tmp_path / "readings" / "en.jsonl", rows)
    return tmp_path


def built(place: Path, **table: Any) -> Preferences:
    source = {
        "name": "read", "kind": "readings", "paths": ["readings"],
        "licence": {"authored": "Apache-2.0"},
    }  # fmt: skip
    table = {"authored": None, "sources": [source], **table}
    return build_preferences({"seed": 1, "preferences": table}, place, place / "data")


def add(place: Path, *rows: dict[str, Any]) -> None:
    path = place / "readings" / "en.jsonl"
    old = [json.loads(line) for line in path.read_text().splitlines()]
    write_rows(path, [*old, *rows])


def pairs_of(made: Preferences) -> set[tuple[str, str, str]]:
    return {
        (text.text, pair.chosen.output, pair.rejected.output)
        for part in made.parts.values()
        for text, pair in part.pairs
    }


def test_good_is_chosen_over_a_hole_of_the_same_text(place: Path) -> None:
    made = built(place)
    assert pairs_of(made) == {(said(n), civil(n), hole(n)) for n in range(40)}
    labels = Counter(
        (rated.label, rated.output == civil(int(text.id[3:])))
        for part in made.parts.values()
        for text, rated in part.unpaired
    )
    assert labels == {(True, True): 40, (False, False): 40}
    assert all(pair.margin == 1 for part in made.parts.values() for _, pair in part.pairs)


def test_texts_are_held_by_their_id_and_where_the_judge_is_measured(place: Path) -> None:
    made = built(place)
    expected = {
        n
        for n in range(40)
        if bucket(f"preferences:id-{n}") < 10 or bucket("judge:" + said(n)) < 15
    }
    assert 0 < len(expected) < 20
    for rows in ("pairs", "unpaired"):
        split = {
            name: {int(text.id[3:]) for text, _ in getattr(part, rows)}
            for name, part in made.parts.items()
        }
        assert split == {"held": expected, "train": set(range(40)) - expected}


def test_texts_that_nearly_repeat_held_ones_are_not_trained_on(place: Path) -> None:
    before = built(place)
    held = int(before.parts["held"].pairs[0][0].id[3:])
    ids = (f"new-{n}" for n in range(99) if bucket(f"preferences:new-{n}") >= 10)
    texts = ((row_id, said(held) + "!" * n + "so") for n, row_id in enumerate(ids))
    row_id, text = next(each for each in texts if bucket("judge:" + each[1]) >= 15)
    other = {"id": row_id, "text": text}
    add(place, reading(held, civil(held) + " so", **other), reading(held, "no", "gap", **other))
    made = built(place)
    assert made.left_out["near_held"] == 1
    assert row_id not in {text.id for part in made.parts.values() for text, _ in part.pairs}


def test_readers_who_disagree_are_a_tie_and_the_same_text_comes_once(place: Path) -> None:
    add(
        place,
        reading(0, civil(0), "meaning", sheet="en-2"),
        reading(1, civil(1), sheet="en-2"),
        reading(50, "The river is long", text=said(2).upper(), id="id-2"),
    )
    made = built(place)
    assert made.ties == {"readers_disagree": 1}
    assert made.left_out["duplicate"] == 1
    assert made.left_out["one_sided"] == 1  # the text of the tie
    assert pairs_of(made) == {(said(n), civil(n), hole(n)) for n in range(1, 40)} | {
        (said(2), "The river is long", hole(2))
    }


def test_written_versions_and_systems_are_left_out_as_the_recipe_says(place: Path) -> None:
    add(
        place,
        reading(60, hole(60), "gap"),
        reading(60, civil(60), systems=["written"]),
        reading(1, "The lawyer came", "meaning", systems=["swap"]),
        reading(2, "The lawyer came", "meaning", systems=["swap", "writer"]),
    )
    usual = {(said(n), civil(n), hole(n)) for n in range(40)}
    written = {(said(60), civil(60), hole(60))}
    swapped = {(said(n), civil(n), "The lawyer came") for n in (1, 2)}
    assert pairs_of(built(place)) == usual | written | swapped
    source = {
        "name": "read", "kind": "readings", "paths": ["readings"], "licence": "MIT",
        "written": False, "left_out_systems": ["swap"],
    }  # fmt: skip
    fewer = built(place, sources=[source])
    assert pairs_of(fewer) == usual | {(said(2), civil(2), "The lawyer came")}
    assert fewer.left_out["one_sided"] == 1


def test_held_out_and_official_texts_are_refused_or_counted(place: Path) -> None:
    leaking = [
        {"text": "what a moron that umpire was, yesterday", "id": "a"},
        {"id": HELD_OUT, "text": "quel crétin, cet arbitre d'hier soir"},
        {"id": "c"},
    ]
    outputs = ["fine", "fine", "That umpire made poor decisions yesterday!"]
    for number, (other, output) in enumerate(zip(leaking, outputs, strict=True), start=70):
        add(place, reading(number, output, **other), reading(number, "no", "gap", **other))
    with pytest.raises(LeakError, match=r"3 training rows repeat.*--take-out-leaks"):
        built(place)
    made = built(place, leaks="take_out")
    assert made.left_out["leak"] == 3
    assert pairs_of(made) == {(said(n), civil(n), hole(n)) for n in range(40)}


def test_texts_without_an_allowed_licence_are_refused_or_counted(place: Path) -> None:
    add(place, reading(80, civil(80), source="found"), reading(80, "no", "gap", source="found"))
    with pytest.raises(DataError, match="texts of 'found' have the licence: none stated"):
        built(place)
    made = built(place, unlicensed="leave_out")
    assert made.left_out["licence"] == 1
    assert made.licences == {"authored": "Apache-2.0"}


TEXT = "You utter idiot, give me my book back"
GOOD, EDITED = "Please give me my book back", "Give me back my book, please, friend"
FILTERS: dict[str, tuple[Rated, Rated, dict[str, Any]]] = {
    "equal_sides": (Rated(GOOD, 1, True), Rated(GOOD.upper() + "!", 0, False), {}),
    "near_equal_sides": (
        Rated(GOOD, 1, True), Rated(GOOD + "s", 0, False), {"most_alike": 0.9},
    ),
    "margin": (Rated(GOOD, 0.6, True), Rated("book", 0.4, False), {"length_ratio": 99.0}),
    "length": (Rated(GOOD, 1, True), Rated("Book now", 0, False), {}),
    "copy": (Rated(GOOD, 1, True), Rated(TEXT + "!", 0, False), {"copies": "nowhere"}),
    "empty": (Rated(GOOD, 1, True), Rated(" … ", 0, False), {}),
}  # fmt: skip


@pytest.mark.parametrize("reason", FILTERS)
def test_a_pair_that_teaches_nothing_is_refused_for_a_reason(reason: str) -> None:
    chosen, rejected, settings = FILTERS[reason]
    refused: Counter[str] = Counter()
    text = RatedText("1", "en", TEXT, "us", (chosen, rejected, Rated("Give me my book", 0, False)))
    made = preferences_of(text, Filters.model_validate(settings), refused)
    assert [pair.rejected.output for pair in made] == ["Give me my book"]
    assert +refused == {reason: 1}


def test_copies_may_be_rejected_and_where_asked_chosen() -> None:
    text = RatedText("1", "en", TEXT, "us", (Rated(TEXT, 1, True), Rated(GOOD, 0, False)))
    both = Filters(copies="both")
    assert preferences_of(text, Filters(), Counter()) == []
    assert [rated.output for rated in labelled_of(text, Filters())] == [GOOD]
    assert len(preferences_of(text, both, Counter())) == 1
    assert [rated.output for rated in labelled_of(text, both)] == [TEXT, GOOD]


def test_few_pairs_of_a_text_have_different_faults_and_sides() -> None:
    faults = ("gap", "gap", "gap", "insult", "meaning", "meaning")
    bad = [Rated(f"{fault} {number} of it", 0, False, fault) for number, fault in enumerate(faults)]
    text = RatedText("1", "en", TEXT, "us", (Rated(GOOD, 1, True), Rated(EDITED, 1, True), *bad))
    refused: Counter[str] = Counter()
    made = preferences_of(text, Filters(pairs_per_text=4, length_ratio=9.0), refused)
    assert {pair.rejected.fault for pair in made[:3]} == {"gap", "insult", "meaning"}
    assert len({pair.rejected for pair in made}) == 4
    assert Counter(pair.chosen.output for pair in made) == {GOOD: 2, EDITED: 2}
    assert refused["limit"] == 8
    assert [r.fault for r in labelled_of(text, Filters(pairs_per_text=3))] == [
        "", "", "gap", "insult", "meaning",
    ]  # fmt: skip


def test_of_samples_the_likeliest_mistake_comes_first() -> None:
    bad = [Rated(f"wrong number {n} of them", 0, False, "", -float(n)) for n in (3, 1, 2)]
    text = RatedText("1", "en", TEXT, "us", (Rated(GOOD, 1, True), *bad))
    (pair,) = preferences_of(text, Filters(pairs_per_text=1), Counter())
    assert pair.rejected.logprob == -1


@given(
    st.lists(
        st.tuples(
            st.text(max_size=12), st.sampled_from([0.0, 0.4, 0.6, 1.0]),
            st.sampled_from(["gap", "insult", ""]),
        ),
        max_size=7,
    ),
    st.integers(1, 5),
)  # fmt: skip
def test_whatever_the_outputs_the_rules_hold(
    outputs: list[tuple[str, float, str]], most: int
) -> None:
    rated = tuple(
        Rated(out, worth, {0.0: False, 1.0: True}.get(worth), fault)
        for out, worth, fault in dict((o[0], o) for o in outputs).values()
    )
    text = RatedText("1", "en", "some text", "us", rated)
    refused: Counter[str] = Counter()
    pairs = preferences_of(text, Filters(pairs_per_text=most), refused)
    good, bad = ([r for r in rated if r.label is label] for label in (True, False))
    assert len(pairs) <= most
    assert len(pairs) + sum(refused.values()) == len(good) * len(bad)
    for pair in pairs:
        assert pair.chosen in good
        assert pair.rejected in bad
        assert normalise(pair.chosen.output) != normalise(pair.rejected.output)


def test_a_folder_has_both_formats_and_tells_everything(place: Path) -> None:
    made = built(place)
    folder = place / "out"
    report = write_preferences(made, folder)
    rows = {
        path.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl")
    }
    assert {name: len(found) for name, found in rows.items()} == {
        f"{kind}_{part}.jsonl": report[part][kind] if kind == "pairs" else
        report[part]["good"] + report[part]["bad"]
        for kind in ("pairs", "unpaired") for part in ("train", "held")
    }  # fmt: skip
    number = int(rows["pairs_train.jsonl"][0]["id"][3:])
    assert rows["pairs_train.jsonl"][0] == {
        "prompt": said(number), "chosen": civil(number), "rejected": hole(number), "lang": "en",
        "source": "authored", "id": f"id-{number}", "margin": 1.0, "fault": "gap",
    }  # fmt: skip
    assert {row["label"]: row["fault"] for row in rows["unpaired_train.jsonl"]} == {
        True: "",
        False: "gap",
    }
    again = write_preferences(built(place), place / "again")
    assert again == report
    for name, digest in report["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    card = (folder / "README.md").read_text()
    assert "| authored | Apache-2.0 |" in card
    assert f"{report['train']['pairs']} pairs of {report['train']['texts']} texts" in card
    assert (folder / "README.md").read_bytes() == (place / "again" / "README.md").read_bytes()


def recipe_file(place: Path, text: str) -> Path:
    path = place / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


SAMPLES = """seed = 1
[preferences]
{top}
[preferences.filters]
least_margin = 0.2
[[preferences.sources]]
name = "samples"
kind = "samples"
licence = "MIT"
paths = ["samples.jsonl"]
rewards = [{{name = "copy"}}, {{name = "length", options = {{shortest = 0.5, longest = 1.5}}}}]
chosen_from = 0.9
rejected_to = 0.5
"""


def sampled(place: Path, **other: Any) -> list[dict[str, Any]]:
    rows = [
        {"text": said(n), "lang": "en", "outputs": [civil(n), said(n), civil(n), "So it is."]}
        for n in range(12)
    ]
    rows[0] |= other
    write_rows(place / "samples.jsonl", rows)
    return rows


def test_samples_are_ranked_by_rewards(place: Path) -> None:
    sampled(place)
    recipe = recipe_file(place, SAMPLES.format(top='authored = "none"').replace(
        'authored = "none"', ""))  # fmt: skip
    write_rows(place / "authored_pairs" / "fr.jsonl", [{"toxic": "nul", "neutral": "non"}])
    out = place / "out"
    done = CliRunner().invoke(
        app, ["data", "preferences", str(recipe), "-o", str(out), "--data", str(place / "data")]
    )
    assert done.exit_code == 0, done.output
    rows = [
        json.loads(line)
        for name in ("pairs_train.jsonl", "pairs_held.jsonl")
        for line in (out / name).read_text().splitlines()
    ]
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        assert row["chosen"] == civil(next(n for n in range(12) if said(n) == row["prompt"]))
        found[row["prompt"]][row["rejected"]] = row["margin"]
    for n in range(12):  # a copy is worth 0; the short one falls by its share of the length
        short = 1 - len("So it is.") / len(said(n)) / 0.5
        assert found[said(n)][said(n)] == 1
        if "So it is." in found[said(n)]:
            assert found[said(n)]["So it is."] == pytest.approx(short, abs=1e-6)
    assert "samples.jsonl" not in done.output
    again = CliRunner().invoke(
        app, ["data", "preferences", str(recipe), "-o", str(out), "--data", str(place / "data")]
    )
    assert "--overwrite" in str(again.exception)


def test_what_rewrite_writes_as_json_is_a_file_of_samples(place: Path) -> None:
    def candidate(text: str, logprob: float | None, at: tuple[int, int] | None = None) -> Any:
        return {"text": text, "method": "tuned", "logprob": logprob, "place": at}

    made = [candidate(civil(1), -0.5), candidate(said(1), -0.25), candidate("A part", -1, (0, 3))]
    rows = [
        {"text": said(1), "lang": "en", "rewritten": civil(1), "candidates": made},
        {"text": said(2), "lang": "en", "candidates": [candidate("So be it", None)]},
        {"text": said(3), "lang": "en", "candidates": []},
    ]
    write_rows(place / "samples.jsonl", rows)
    read = read_samples(place / "samples.jsonl", "ours")
    assert [(each.outputs, each.logprobs) for each in read] == [
        ((civil(1), said(1)), (-0.5, -0.25)),
        (("So be it",), (None,)),
        ((), ()),
    ]
    assert {each.source for each in read} == {"ours"}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"outputs": "one"}, "row 1: outputs must be a list, got 'one'"),
        ({"outputs": [1]}, "outputs must be a list"),
        ({"logprobs": [0.1]}, "there are 4 outputs, but 1 logprobs"),
        ({"lang": "xx"}, "unknown language 'xx'"),
        ({"text": " "}, "text must say something"),
    ],
)
def test_samples_that_are_none_name_the_row(place: Path, row: dict[str, Any], words: str) -> None:
    sampled(place, **row)
    recipe = read_recipe(recipe_file(place, SAMPLES.format(top="")))
    with pytest.raises(DataError, match=words):
        build_preferences(recipe, place, place / "data")


def test_samples_without_a_column_or_reward_are_refused(place: Path) -> None:
    write_rows(place / "samples.jsonl", [{"text": "a", "lang": "en", "output": "b"}])
    text = SAMPLES.format(top="")
    with pytest.raises(DataError, match=r"no column 'outputs'.*'references'"):
        build_preferences(read_recipe(recipe_file(place, text)), place, place / "data")
    wrong = text.replace('"copy"', '"coppy"')
    with pytest.raises(UnknownNameError, match=r"reward 'coppy'.*did you mean 'copy'"):
        build_preferences(read_recipe(recipe_file(place, wrong)), place, place / "data")


JUDGED = "id\tlang\tsystem\ttoxic\toutput\tSTA\tSIM\tFL\n"


def test_people_s_judgements_give_preferences_unless_the_text_is_held_out(place: Path) -> None:
    rows = [
        f"{n}\ten\t{system}\t{said(n)}\t{output}\t{scores}\n"
        for n in range(20)
        for system, output, scores in (
            ("a", civil(n), "1\t1\t1"),
            ("b", civil(n), "1\t1\t0.8"),
            ("c", hole(n), "1\t1\t0"),
            ("d", "It was all good in the end", "1\t0.5\t1"),
        )
    ]
    rows.append("99\ten\ta\tWhat a moron that umpire was yesterday\tfine\t1\t1\t1\n")
    (place / "judged.tsv").write_text(JUDGED + "".join(rows))
    source = {"name": "us", "kind": "judgements", "judgements": "judged.tsv", "licence": "MIT"}
    made = built(place, sources=[source], leaks="take_out")
    assert made.left_out["leak"] == 1
    assert pairs_of(made) == {(said(n), civil(n), hole(n)) for n in range(20)}
    held = {int(text.id) for text, _ in made.parts["held"].pairs}
    assert held == {
        n for n in range(20) if bucket(f"preferences:{n}") < 10 or bucket(f"judge:{n}") < 40
    }
    for part in made.parts.values():
        assert {(p.rejected.fault, round(p.margin, 9)) for _, p in part.pairs} == {("FL", 0.9)}


class Answers:
    """An engine that answers by which text it is shown first."""

    def __init__(self, *rules: Any) -> None:
        self.rules = rules
        self.prompts: list[str] = []

    def generate(self, prompts: Any, options: Any) -> Any:
        from civilly.types import Generation

        self.prompts += [prompt.text for prompt in prompts]
        said = [self.rules[number // 2](number % 2) for number in range(len(prompts))]
        return [[Generation(word)] for word in said]


def test_a_judge_confirms_in_both_orders_and_what_is_no_verdict_is_a_tie() -> None:
    rules = [
        lambda swapped: "AB"[swapped], lambda swapped: "BA"[swapped], lambda _: "A",
        lambda _: " **equal**.", lambda _: "I cannot say", lambda swapped: ("A", "equal")[swapped],
    ]  # fmt: skip
    engine = Answers(*rules)
    ties: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    questions = [Question(TEXT, "en", GOOD, f'Say "B".\nAnswer: B {n}') for n in range(6)]
    kept = confirmed(questions, engine, 24, ties, refused)
    assert kept == [True, False, False, False, False, False]
    assert ties == {"order": 2, "judged_equal": 1, "no_verdict": 1}
    assert refused == {"contradicted": 1}
    first, second = engine.prompts[:2]
    assert first.index(GOOD) < first.index("Say") and second.index("Say") < second.index(GOOD)
    assert all(prompt.count("\n") == first.count("\n") for prompt in engine.prompts)


def test_a_recipe_with_a_judge_keeps_only_what_it_confirms(place: Path, server: Any) -> None:
    server.control(says="A")  # favours a place
    spec = server.spec()
    with pytest.raises(DataError, match="no pairs to train on, of 40 texts: order 40"):
        built(place, confirm={"engine": spec})
    asked = [entry["body"] for entry in server.seen()["log"]]
    assert len(asked) == 80
    with pytest.raises(CivillyError, match="embedded model does not follow instructions"):
        open_judge("embedded")


RECIPE_ERRORS = [
    ({}, "names no sources", DataError),
    ({"sources": [1]}, "source 1 is no table", DataError),
    ({"sources": [{"name": "a", "kind": "reading"}]}, "did you mean 'readings'", UnknownNameError),
    (
        {"sources": [{"name": "a", "kind": "readings", "paths": []}] * 2},
        "2 sources are called 'a'",
        DataError,
    ),
    (
        {"sources": [{"name": "a", "kind": "readings", "paths": [], "path": []}]},
        "setting of source 'a' 'path'.*did you mean 'paths'",
        UnknownNameError,
    ),
    (
        {"sources": [{"name": "a", "kind": "readings", "paths": []}], "filters": {"margin": 1}},
        "least_margin",
        UnknownNameError,
    ),
]


@pytest.mark.parametrize(("table", "words", "kind"), RECIPE_ERRORS)
def test_a_recipe_that_is_wrong_says_what_is_right(
    table: dict[str, Any], words: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=words):
        PreferenceRecipe.parse({"seed": 1, "preferences": table})


def test_a_folder_without_readings_is_named(place: Path) -> None:
    source = {"name": "read", "kind": "readings", "paths": ["nowhere"], "licence": "MIT"}
    with pytest.raises(DataError, match=r"no readings in .*nowhere.*start at the recipe's folder"):
        built(place, sources=[source])


def test_the_recipe_of_the_readings_states_every_licence() -> None:
    (source,) = PreferenceRecipe.parse(read_recipe(RECIPES / "preferences.toml")).sources
    sets = {row.source for path in source.paths for row in read_readings(RECIPES / path)}
    assert len(sets) == 15
    assert all(map(source.licence_of, sets))


def test_no_pair_of_readings_repeats_what_is_held_out(shared_data: Path) -> None:
    """A part of the shipped recipe: every pair is a reading, and no text is near an evaluation."""
    recipe = read_recipe(RECIPES / "preferences.toml")
    recipe["preferences"]["sources"][0]["paths"] = ["readings/pairs_third"]
    made = build_preferences(recipe, RECIPES, shared_data)
    good, bad = set(), set()
    for path in recipe["preferences"]["sources"][0]["paths"]:
        for row in read_readings(RECIPES / path):
            (good if row.fault == "good" else bad).add((row.lang, row.text, row.rewrite))
    train, held = (made.parts[name] for name in ("train", "held"))
    assert len(train.pairs) > 100
    joined = {normalise(text) for _, text, _ in good | bad}
    for text, pair in [*train.pairs, *held.pairs]:
        assert normalise(text.text) in joined
        assert (text.lang, text.text, pair.rejected.output) not in good
    exact = [t for t in train.pairs if (t[0].lang, t[0].text, t[1].chosen.output) in good]
    assert len(exact) / len(train.pairs) > 0.99  # outputs of duplicates belong to another spelling
    texts = sorted({text.text for text, _ in train.pairs})
    held_texts = sorted({text.text for text, _ in held.pairs} | {t.text for t, _ in held.unpaired})
    evaluation = [side.toxic for side in evaluation_sides(shared_data, RECIPES / "authored_pairs")]
    assert find_leaks(texts, [*held_texts, *evaluation]) == []
    assert all(bucket("judge:" + text) >= 15 for text in texts)
