"""Filters of synthetic data: what each takes, what it leaves, and what is written about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from civilly.cli import app
from civilly.data.corpus.build import build_corpus
from civilly.errors import CivillyError, DataError, UnknownNameError
from civilly.languages import CODES
from civilly.synth.filters import FilterTools, Sample, open_filters
from civilly.synth.filters.personal import holds
from civilly.synth.folder import Run
from civilly.synth.labelled_refusals import measure, read_labelled_answers
from civilly.synth.prompts import DETOXIFY, DIRECTIONS, TOXIFY, made_text, prompt_for
from civilly.synth.run import write_set
from civilly.synth.sifting import NO_ANSWER, NOT_CHOSEN, UNFINISHED
from civilly.types import Text

LABELLED = Path(__file__).parent.parent / "recipes" / "refusals"
GIVEN = "You stupid idiot, this fucking plan will never work out for us."
MADE = "This plan will never work out for us."
PROMPT = 'Rewrite the rude text politely. Rude: "Get lost, moron." Polite: "Please leave me alone."'
HELD_OUT = "Nobody wants to read your worthless opinion about our garden"
TOOLS = FilterTools(known=[HELD_OUT])


def sample(given: str = GIVEN, made: str = MADE, lang: str = "en", **more: Any) -> Sample:
    settings = {"licence": "MIT", "direction": DETOXIFY, "prompt": PROMPT, **more}
    return Sample(given, made, made, lang, **settings)


def value(name: str, *samples: Sample) -> Any:
    (chosen,) = [each for each in open_filters(TOOLS) if each.name == name]
    found = chosen.measure(samples)
    assert len(found) == len(samples)
    return found if len(samples) > 1 else (found[0], chosen.keeps(found[0]))


TAKEN = {
    "length": [sample(made=""), sample(made="!!"), sample(made="No."), sample(made=MADE * 9)],
    "licence": [
        sample(licence=""), sample(licence="none stated"), sample(licence="MIT AND CC-BY-NC-4.0"),
    ],
    "echo": [
        sample(made=GIVEN), sample(made=GIVEN.upper() + "!"),
        sample(made="Please leave me alone."), sample(made="Rewrite the rude text politely."),
    ],
    "refusal": [
        sample(made="I'm sorry, but I can't help with rewriting this."),
        sample("ты идиот", "Извините, я не могу переписать этот текст.", "ru"),
        sample("ты идиот", "As an AI language model, I cannot do that.", "ru"),
    ],
    "protected": [
        sample("@bob you idiot, see https://x.org/1", "you, see https://x.org/1"),
        sample("You idiot, 5 of 7 are wrong", "4 of 7 are wrong"),
        sample("You idiot, look", "Look at https://invented.example"),
    ],
    "personal": [
        sample("write to bob.smith@mail.com, idiot"), sample(made="call +49 170 1234567"),
        sample(made="pay to DE89 3704 0044 0532 0130 00"), sample(made="card 4111 1111 1111 1111"),
        sample("his router is 8.8.8.8"),
    ],
    "language": [
        sample("Du bist ein dummer Idiot und dein Plan taugt nichts", "Your plan is not any good"),
        sample("ты тупой идиот, план плохой", "Your plan is not any good", "ru"),
        sample("お前は馬鹿だ、計画は最悪だ", "你的计划不好", "ja"),
    ],
    "leak": [
        sample(given=HELD_OUT), sample(given=HELD_OUT + "!!"),
        sample(made="nobody wants to read your worthless opinion about our gardens"),
    ],
}  # fmt: skip
TAKEN["language"][0] = sample(TAKEN["language"][0].given, TAKEN["language"][0].made, "de")

LEFT = {
    "length": [sample(), sample("Fuck off", "Go"), sample(made=GIVEN + " Really, it will not.")],
    "licence": [sample(), sample(licence="mit AND CC0-1.0")],
    "echo": [sample(), sample("Please leave me alone, idiot.", "Please leave me alone.")],
    "refusal": [
        sample(), sample(made="I can't help you move on Saturday."),
        sample("Sorry, I can't help with rewriting this crap.", "Sorry, I can't help with "
               "rewriting this."),
    ],
    "protected": [sample(), sample("@bob you idiot, 5 of 7", "@bob 5 of 7"), sample("", "")],
    "personal": [
        sample(), sample("@user you idiot"), sample(made="in 2024 there were 1,000,000 of them"),
        sample(made="me@example.com"), sample(made="at 10:30 on 01.02.2024"),
        sample(made="card 4111 1111 1111 1112"), sample(made="127.0.0.1 and 1.2.3.4.5"),
    ],
    "language": [
        sample(), sample("ты тупой идиот, план плохой", "план плохой", "ru"),
        sample("tu pagal hai kya yaar", "tum samajhte nahi ho yaar", "hin"),
    ],
    "leak": [sample(), sample("You idiot", "Nobody wants that")],
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_filter_takes(name: str) -> None:
    for each in TAKEN[name]:
        found, kept = value(name, each)
        assert 0 <= found <= 1
        assert not kept, (each, found)


@pytest.mark.parametrize("name", LEFT)
def test_what_a_filter_leaves(name: str) -> None:
    for each in LEFT[name]:
        found, kept = value(name, each)
        assert 0 <= found <= 1
        assert kept, (each, found)


def test_models_prefer_the_better_rewrite() -> None:
    """Toxicity, similarity and the reader rank as people would; nothing is asked of one number."""
    unrelated = "The weather in Lisbon was lovely."
    for name, worse in {
        "toxicity": "You idiot, this plan will never work out for us.",
        "similarity": unrelated,
        "reading": unrelated,
    }.items():
        good, bad = value(name, sample(), sample(made=worse))
        assert good > bad, name
    for name in ("toxicity", "reading", "similarity"):
        one, other = value(name, sample(), sample(given=MADE, made=GIVEN, direction=TOXIFY))
        assert one == pytest.approx(other, abs=1e-6), name  # the same two sides


def test_near_duplicates_of_what_stays_are_found_on_both_sides() -> None:
    other = sample("Shut up, you moron, the garden is fine.", "The garden is fine as it is.")
    values = value(
        "duplicate", sample(), sample(made=MADE.upper()), other,
        sample("What a moronic question about that lovely garden!", other.civil),
        sample(lang="de"),
    )  # fmt: skip
    assert values[0] == values[2] == values[4] == 1.0
    assert values[1] == values[3] == 0.0


def test_without_texts_to_compare_leaks_are_unknown() -> None:
    (leak,) = [each for each in open_filters(FilterTools()) if each.name == "leak"]
    assert leak.measure([sample()]) == [None]
    assert leak.keeps(None)


def test_held_out_sides_and_references_are_leaks(shared_data: Path) -> None:
    from civilly.data.corpus.build import DEV_FILE
    from civilly.data.pairs import read_pairs
    from civilly.data.split import dev_part

    (leak,) = [each for each in open_filters(FilterTools(shared_data)) if each.name == "leak"]
    pairs = [pair for pair in read_pairs(shared_data / DEV_FILE) if len(pair.neutral[0]) > 40]
    held = next(pair for pair in pairs if dev_part(pair.id) == "eval" and pair.lang == "ru")
    free = "Совсем другая фраза о погоде в Казани, которой нигде нет"
    found = leak.measure([sample(held.toxic, free), sample(free, held.neutral[0]), sample(free)])
    assert found[:2] == [0.0, 0.0]
    assert found[2] is not None
    assert leak.keeps(found[2])


@pytest.mark.parametrize("text", ["", "\x00", "😀", "\ufffd", "٠١٢٣", "x" * 10_000, "+" * 5_000])
def test_odd_texts_pass_through_every_cheap_filter(text: str) -> None:
    for each in open_filters(TOOLS, without=["reading", "toxicity", "similarity"]):
        assert len(each.measure([sample(text, text), sample(GIVEN, text)])) == 2
    assert not holds(text)


def test_thresholds_and_names_are_checked() -> None:
    names = [each.name for each in open_filters(TOOLS, {"length": 0.9}, ["licence"])]
    assert names[0] == "personal"
    assert names[-1] == "duplicate"
    assert "licence" not in names
    with pytest.raises(UnknownNameError, match="did you mean 'length'"):
        open_filters(TOOLS, {"lenght": 0.9})
    with pytest.raises(CivillyError, match="a number"):
        open_filters(TOOLS, {"length": "much"})  # type: ignore[dict-item]


def test_refusals_are_found_in_every_language_on_answers_that_no_phrase_was_written_for() -> None:
    answers = read_labelled_answers(LABELLED)
    assert {each.lang for each in answers} == set(CODES)
    assert len(answers) >= 30 * len(CODES)
    found = {(each["lang"], each["part"]): each for each in measure(answers, 0.5)}
    held = found["all", "held"]
    assert held["rows"] >= 14 * len(CODES)
    assert held["precision"] >= 0.9
    assert held["recall"] >= 0.9
    assert min(found[lang, "held"]["recall"] for lang in CODES) >= 0.7
    assert min(found[lang, "held"]["precision"] for lang in CODES) >= 0.8
    everything = {each["recall"] for each in measure(answers, 1.0001)}
    assert everything == {1.0}  # a threshold above all values takes everything


@pytest.mark.parametrize("direction", ["detoxify", "toxify"])
def test_prompts_are_in_the_language_of_the_text_and_show_its_examples(direction: str) -> None:
    way = DIRECTIONS[direction]
    heads = set()
    for code in CODES:
        prompt = prompt_for(Text("Überraschung", code), way, 2)
        assert prompt.text.startswith(prompt.head)
        assert prompt.text.count("Überraschung") == 1
        heads.add(prompt.head)
    assert len(heads) == len(CODES)
    text = Text("You idiot", "en")
    assert made_text('Sure, here it is:\n\nPolite: "Hello there"', text) == "Hello there"
    assert made_text("I cannot help with that.", text) == "I cannot help with that."
    assert made_text("\n \n", text) == ""


RUN = Run("detoxify", "openai", "m", "v1", 1, 2, 0.5, 7, "Apache-2.0", "abc", "1")
CHEAP = open_filters(
    FilterTools(), without=["toxicity", "similarity", "reading", "language", "leak"]
)


def answered(number: int, text: str, *answers: str, **more: Any) -> dict[str, Any]:
    told = [{"text": each, "finished": True} for each in answers]
    return {"id": str(number), "lang": "en", "source": "real", "licence": "MIT", "text": text,
            "answers": told, "error": "", **more}  # fmt: skip


ROWS = [
    answered(1, GIVEN, MADE, "Our plan is never going to work out."),
    answered(2, "You moron, the garden is fine.", "I'm sorry, I can't assist with that request."),
    answered(3, "Shut up about the | garden, fool", "Enough about the | garden", licence=""),
    answered(4, "Go to hell with the bus", error="The server refused it."),
    answered(5, "Stupid bus is late again",
             answers=[{"text": "The bus is late a", "finished": False}]),
    answered(6, "The bloody bus is late again today", "The bus is late again today",
             licence="CC0-1.0"),
]  # fmt: skip


def test_a_set_says_of_every_row_where_it_is_from_and_why_it_was_kept(tmp_path: Path) -> None:
    report = write_set(tmp_path, RUN, ROWS, CHEAP, complete=True)
    accepted = [json.loads(line) for line in (tmp_path / "accepted.jsonl").open()]
    rejected = [json.loads(line) for line in (tmp_path / "rejected.jsonl").open()]
    assert [row["source_id"] for row in accepted] == ["1", "6"]
    assert accepted[0]["toxic"] == GIVEN
    assert accepted[0]["neutral"] == [MADE]
    for row in accepted:
        assert (row["engine"], row["model"], row["prompt_version"]) == ("openai", "m", "v1")
        assert (row["seed"], row["temperature"], row["source"]) == (7, 0.5, "real")
        assert set(row["filters"]) == {each.name for each in CHEAP}
    assert accepted[1]["licence"] == "CC0-1.0 AND Apache-2.0"
    why = {(row["source_id"], row["candidate"]): row["rejected_by"][0] for row in rejected}
    assert why == {("1", 1): NOT_CHOSEN, ("2", 0): "refusal", ("3", 0): "licence",
                   ("4", 0): NO_ANSWER, ("5", 0): UNFINISHED}  # fmt: skip
    took = {each["name"]: each["took"] for each in report["filters"]}
    assert sum(took.values()) == report["rejected"] == 5
    assert (took["refusal"], took["licence"]) == (1, 1)
    assert report["licences"] == ["CC0-1.0 AND Apache-2.0", "MIT AND Apache-2.0"]
    shown = (tmp_path / "README.md").read_text()
    assert "Enough about the \\| garden" in shown
    assert "The server refused" not in shown.split("## Taken out")[0]
    assert "## Taken out by: refusal" in shown


def corpus_of(folder: Path, data: Path, **source: Any) -> Any:
    table = {"name": "made", "kind": "synthetic", "path": str(folder), **source}
    return build_corpus({"seed": 1, "corpus": {"sources": [table]}}, data)


def test_a_set_is_a_source_of_a_corpus(tmp_path: Path, shared_data: Path) -> None:
    write_set(tmp_path, RUN, ROWS, CHEAP, complete=True)
    corpus = corpus_of(tmp_path, shared_data)
    assert {(pair.toxic, pair.neutral, pair.source) for pair in corpus.train} == {
        (ROWS[0]["text"], (MADE,), "made"),
        (ROWS[5]["text"], ("The bus is late again today",), "made"),
    }
    assert corpus.licences == {"made": "CC0-1.0 AND Apache-2.0 AND MIT"}
    with pytest.raises(DataError, match="states a licence"):
        corpus_of(tmp_path, shared_data, licence="MIT")
    unstated = [{**ROWS[0], "licence": ""}]
    keep_all = [each for each in CHEAP if each.name != "licence"]
    write_set(tmp_path, RUN, unstated, keep_all, complete=True)
    with pytest.raises(DataError, match="none stated"):
        corpus_of(tmp_path, shared_data)


def test_hard_negatives_are_no_pairs_to_train_on(tmp_path: Path, shared_data: Path) -> None:
    run = Run("toxify", "openai", "m", "v1", 1, 1, 0.5, 7, "MIT", "abc", "1")
    rows = [answered(1, MADE, "This shitty plan will never work out for us.")]
    write_set(tmp_path, run, rows, CHEAP, complete=True)
    (row,) = map(json.loads, (tmp_path / "accepted.jsonl").open())
    assert (row["use"], row["neutral"], row["toxic"][:11]) == (
        "hard_negatives",
        [MADE],
        "This shitty",
    )
    with pytest.raises(DataError, match="hard_negatives"):
        corpus_of(tmp_path, shared_data)


def test_thresholds_are_swept_and_set_without_asking_again(tmp_path: Path) -> None:
    from dataclasses import asdict

    from civilly.synth.folder import json_file, json_lines

    (tmp_path / "run.json").write_bytes(json_file(asdict(RUN)))
    (tmp_path / "answers.jsonl").write_bytes(json_lines(ROWS))
    without = [
        w for n in ("toxicity", "similarity", "reading", "language") for w in ("--without", n)
    ]
    environment = {"CIVILLY_DATA": str(tmp_path)}

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(app, ["synth", *arguments, "--json"], env=environment)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout.splitlines()[0])

    report = run("filter", str(tmp_path), *without)
    assert report["accepted"] == 2
    curve = [each["texts"] for each in run("sweep", str(tmp_path), "length", "--steps", "5")]
    assert curve[0] == 2
    assert curve == sorted(curve, reverse=True)
    assert curve[-1] == 0
    stricter = run("filter", str(tmp_path), *without, "--set", "length=0.75")
    assert stricter["accepted"] == curve[3]
    with pytest.raises(CivillyError, match="compares rows"):
        CliRunner().invoke(app, ["synth", "sweep", str(tmp_path), "duplicate"],
                           catch_exceptions=False)  # fmt: skip
