"""Training pairs: harmonised, split, leak-checked, the same each time."""

import gzip
import json
import random
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.corpus.build import build_corpus, evaluation_texts, without_leaks
from civilly.data.corpus.card import REASONS
from civilly.data.corpus.harmonise import detokenise, harmonise, match_writing
from civilly.data.corpus.licences import refused_licences
from civilly.data.corpus.recipe import SHIPPABLE, CorpusRecipe
from civilly.data.io import read_table, write_table
from civilly.data.pairs import Pair
from civilly.data.split import dev_part
from civilly.data.table import Row, Table
from civilly.errors import CivillyError, DataError, LeakError


@pytest.mark.parametrize(
    ("toxic", "neutral", "expected"),
    [
        ("you are a fool", "You are wrong.", "you are wrong"),
        ("You fool!", "you are wrong", "You are wrong!"),
        ("go away 😡😡", "Leave.", "leave 😡😡"),
        ("что за хрень", "Что это такое?", "что это такое?"),
        ("so dumb", "I see", "I see"),
        ("dumb!!!", "NASA is wrong.", "NASA is wrong!!!"),
        ("坏蛋", "不好", "不好"),
    ],
)
def test_a_reference_takes_the_habits_of_its_source(toxic, neutral, expected):
    assert harmonise(toxic, neutral) == expected


def test_penn_treebank_spacing_is_undone():
    text = "i do n't know , that 's ( maybe ) `` odd '' ."
    assert detokenise(text) == "i don't know, that's (maybe) \" odd \"."


@pytest.mark.parametrize(
    ("toxic", "neutral", "expected"),
    [
        ("серёга,с этим стадом бесполезно", "серёга, с ними. Пусть", "серёга, с ними. пусть"),
        (
            "I guess i get fucked here",
            "I guess I get in trouble here",
            "I guess i get in trouble here",
        ),
        ("You are a fool, honestly", "You are wrong, I think", "You are wrong, I think"),
        ("WHAT THE HELL IS THIS", "What is this", "WHAT IS THIS"),
        ("UN shit", "UN stuff", "UN stuff"),
        ("cheap as shit, which is apt", "cheap ,which is apt", "cheap, which is apt"),
        ("so dumb ! really", "so wrong ! really", "so wrong ! really"),
        ("i don't give a shit", "i don 't care", "i don't care"),
        ("Sie Idiot, geh. Sie da", "Gehen Sie. Sie da", "Gehen Sie. Sie da"),
        ("坏蛋 NASA", "不好 NASA", "不好 NASA"),
    ],
)
def test_a_reference_takes_the_writing_of_its_source(toxic, neutral, expected):
    assert match_writing(toxic, neutral) == expected


SENTENCES = st.lists(st.sampled_from(["i", "I", "You", "don", "'t", "fool", ",", ".", "?", "…", "ß",
                                      "ДА", "да", "😡", "坏", " ", "  "]), max_size=12)  # fmt: skip


@given(SENTENCES, SENTENCES)
def test_taking_over_the_writing_changes_case_and_spaces_only(toxic, neutral):
    made = match_writing(" ".join(toxic), " ".join(neutral))
    assert "".join(made.casefold().split()) == "".join("".join(neutral).casefold().split())
    assert match_writing(" ".join(toxic), made) == made


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "parallel"
    folder.mkdir()
    letters = random.Random(0)  # sentences that have nothing to do with one another
    plain = ["".join(letters.choices("abcdefghij ", k=30)).strip() for _ in range(60)]
    rows = [
        {"id": f"dev-{i}", "lang": "en", "toxic": f"{t} idiot", "neutral": [t], "split": "dev"}
        for i, t in enumerate(plain)
    ]
    with gzip.open(folder / "multiparadetox_dev.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return tmp_path


def recipe(**source):
    return {
        "seed": 1,
        "corpus": {
            "longest_characters": 200,
            "sources": [{"name": "dev", "kind": "pairs", "dev_split": True, "licence": "MIT",
                         "path": "parallel/multiparadetox_dev.jsonl.gz", **source}],
        },
    }  # fmt: skip


def several(data, *files, **corpus):
    """A recipe with a source for each file of rows, and what it says of the corpus."""
    sources = []
    for number, rows in enumerate(files, start=1):
        name = f"s{number}"
        keys = [key for key in rows[0] if key not in ("toxic", "neutral", "id", "lang")]
        (data / f"{name}.jsonl").write_text(
            "".join(
                json.dumps({"lang": "en", **{k: v for k, v in row.items() if k not in keys}}) + "\n"
                for row in rows
            )
        )
        settings = {key: rows[0][key] for key in keys}
        sources.append(
            {"name": name, "kind": "pairs", "path": f"{name}.jsonl", "licence": "MIT", **settings}
        )
    return {"seed": 5, "corpus": {"sources": sources, **corpus}}


def test_held_out_parts_are_never_trained_on(data):
    corpus = build_corpus(recipe(), data)
    assert {dev_part(pair.id) for pair in corpus.train} == {"train"}
    assert {dev_part(pair.id) for pair in corpus.dev} == {"tune"}
    held_out = 60 - len(corpus.train) - len(corpus.dev)
    assert corpus.dropped == {"dev": {"held_out": held_out}}
    assert held_out > 0
    assert build_corpus(recipe(), data) == corpus


def test_repeat_and_limit(data):
    once = build_corpus(recipe(), data)
    assert len(build_corpus(recipe(repeat=2), data).train) == 2 * len(once.train)
    limited = build_corpus(recipe(limit=5), data)
    assert len(limited.train) == 5
    assert limited.dropped["dev"]["limit"] == len(once.train) - 5


def test_leaks_are_taken_out():
    pairs = [Pair("1", "en", "You are such a fool, honestly!", ("no",), "x"),
             Pair("2", "en", "Quite another sentence here", ("no",), "x")]  # fmt: skip
    evaluation = ["you are such a fool honestly"]
    kept, leaking = without_leaks(pairs, evaluation, take_out=True)
    assert [pair.id for pair in kept] == ["2"]
    assert [pair.id for pair in leaking] == ["1"]
    with pytest.raises(LeakError, match=r"1 training row repeats .* x 1\.") as caught:
        without_leaks(pairs, evaluation, take_out=False)
    assert "--take-out-leaks" in caught.value.mend
    assert without_leaks(kept, evaluation, take_out=False) == (kept, [])


def test_pairs_that_repeat_a_development_pair_of_another_source_are_leaks(data):
    tune = next(f"dev-{i}" for i in range(60) if dev_part(f"dev-{i}") == "tune")
    first = build_corpus(recipe(), data)
    (pair,) = [pair for pair in first.dev if pair.id == tune]
    made = several(data, [{"toxic": f"{pair.toxic}!!", "neutral": pair.neutral[0]}])
    made["corpus"]["sources"] += recipe()["corpus"]["sources"]
    with pytest.raises(LeakError, match="s1 1"):
        build_corpus(made, data)
    assert build_corpus(made, data, take_out_leaks=True).dropped["s1"] == {"leak": 1}


def test_evaluation_texts_hold_the_held_out_rows(data):
    texts = evaluation_texts(data, None)
    trained = {pair.toxic for pair in build_corpus(recipe(), data).train}
    assert texts
    assert not trained & set(texts)
    assert len(trained) + len(texts) == 60


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no file .*multiparadetox_dev\.jsonl\.gz"):
        build_corpus(recipe(), tmp_path)
    made = {"name": "mine", "kind": "authored", "path": str(tmp_path), "licence": "MIT"}
    with pytest.raises(DataError, match=r"no files \*\.jsonl"):
        build_corpus({"seed": 1, "corpus": {"sources": [made]}}, tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "magic"}, "kind 'magic'.*Allowed: pairs, hub, authored"),
        ({"licence": None}, "'dev' has the licence: none stated.*Allowed: CC0-1.0, MIT"),
        ({"licence": "MIT AND CC-BY-NC-4.0"}, "'dev' has the licence: CC-BY-NC-4.0"),
        ({"refs": "all"}, "setting of source 'dev' 'refs'"),
        ({"reference": "all"}, "did you mean 'references'"),
        ({"references": "best"}, "source 'dev', references: .*'closest', 'all' or 'sampled'"),
        ({"least_overlap": 2.0}, "least_overlap: .*less than or equal to 1"),
        ({"path": None}, "source 'dev', path"),
    ],
)
def test_a_wrong_source_is_refused_by_name(data, source, message):
    with pytest.raises(CivillyError, match=message):
        build_corpus(recipe(**source), data)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({"sources": []}, "names no sources"),
        ({"temperature": 0.0}, "temperature: .*greater than 0"),
        ({"unlicensed": "ignore"}, "unlicensed: .*'refuse' or 'leave_out'"),
        ({"dedup": True}, "did you mean 'deduplicate'"),
        ({"sources": recipe()["corpus"]["sources"] * 2}, "2 sources are called 'dev'"),
    ],
)
def test_a_wrong_corpus_is_refused_by_name(data, corpus, message):
    made = recipe()
    made["corpus"].update(corpus)
    with pytest.raises(CivillyError, match=message):
        build_corpus(made, data)


def test_a_source_without_an_allowed_licence_is_left_out_if_told(data):
    rows = [{"toxic": "my shitty pasta", "neutral": "my bad pasta", "licence": "CC-BY-NC-4.0"}]
    made = several(data, rows, unlicensed="leave_out")
    made["corpus"]["sources"] += recipe()["corpus"]["sources"]
    corpus = build_corpus(made, data)
    assert corpus.left_out == {"s1": "CC-BY-NC-4.0"}
    assert {pair.source for pair in corpus.train} == {"dev"}
    assert corpus.licences == {"dev": "MIT"}
    made["corpus"]["licences"] = ["mit", "cc-by-nc-4.0"]
    assert {pair.source for pair in build_corpus(made, data).train} == {"s1", "dev"}


def test_the_writing_is_taken_over_if_asked(data):
    row = {"toxic": "да пиздец это", "neutral": "да это плохо .Очень"}
    ends, whole = (
        build_corpus(several(data, [{**row, "writing": how}]), data).train[0].neutral[0]
        for how in ("ends", "all")
    )
    assert (ends, whole) == ("да это плохо .Очень", "да это плохо. очень")


def test_what_is_left_out_is_counted_by_reason(data):
    rows = [
        {"id": "kept", "toxic": "what a stupid plan", "neutral": "what a plan"},
        {"id": "noise", "toxic": "what a stupid plan it is", "neutral": "qqq zzz"},
        {"id": "same", "toxic": "nice weather", "neutral": "Nice weather."},
        {"id": "long", "toxic": "a damn " + "long " * 20, "neutral": "a " + "long " * 20},
        {"id": "nl", "lang": "nl", "toxic": "wat een stom plan", "neutral": "wat een plan"},
        {"id": "EN", "lang": "English", "toxic": "an idiotic plan", "neutral": "an odd plan"},
    ]
    corpus = build_corpus(several(data, rows, longest_characters=50), data)
    assert {(pair.id, pair.lang) for pair in corpus.train} == {("kept", "en"), ("EN", "en")}
    expected = {"noise": 1, "unchanged": 1, "too_long": 1, "other_language": 1}
    assert corpus.dropped == {"s1": expected}
    assert set(expected) <= set(REASONS)


def test_duplicates_go_to_the_first_source(data):
    one = [
        {"toxic": "You fool, stop it", "neutral": "You there, stop it"},
        {"toxic": "you FOOL stop it!!", "neutral": "you stop it"},
        {"toxic": "🤬🤬 hm", "neutral": "🤬 hm, well"},
        {"lang": "de", "toxic": "You fool, stop it", "neutral": "You, stop it"},
    ]
    two = [
        {
            "toxic": "@user you fool stop it https://x.org/1",
            "neutral": "stop it you https://x.org/1",
        },
        {"toxic": "a damn new one", "neutral": "a new one", "repeat": 2},
    ]
    two[0]["repeat"] = 2
    every = build_corpus(several(data, one, two), data)
    assert len(every.train) == 8
    corpus = build_corpus(several(data, one, two, deduplicate=True), data)
    assert sorted((p.source, p.id, p.lang) for p in corpus.train) == [
        ("s1", "1", "en"), ("s1", "3", "en"), ("s1", "4", "de"),
        ("s2", "2", "en"), ("s2", "2", "en"),
    ]  # fmt: skip
    assert corpus.dropped == {"s1": {"duplicate": 1}, "s2": {"duplicate": 1}}


def test_several_references(data):
    row = {
        "toxic": "Shut up you idiot",
        "neutral": ["please stop.", "Shut up you", "Please be quiet you", "qqq", "SHUT up you"],
    }
    closest = build_corpus(several(data, [{**row, "references": "closest"}]), data)
    assert [pair.neutral for pair in closest.train] == [("Shut up you",)]
    every = build_corpus(several(data, [{**row, "references": "all"}]), data)
    written = {"Please be quiet you", "Shut up you", "SHUT up you"}
    assert {pair.neutral for pair in every.train} == {(text,) for text in written}
    assert {pair.id for pair in every.train} == {"1"}
    sampled = build_corpus(several(data, [{**row, "references": "sampled", "repeat": 60}]), data)
    drawn = Counter(pair.neutral[0] for pair in sampled.train)
    assert drawn.keys() == written  # each copy draws anew: 1 of 3, 60 times
    assert sum(drawn.values()) == 60


@pytest.mark.parametrize("suffix", ["tsv", "csv", "jsonl", "jsonl.gz", "parquet"])
def test_pairs_from_any_file(data, suffix):
    rows = [
        {"Insult": "you dumb fool", "one": "you", "two": "you fellow", "three": ""},
        {"Insult": "this damn bus", "one": "this bus", "two": "", "three": ""},
    ]
    write_table(data / f"mine.{suffix}", Table(list(rows[0]), rows, "jsonl"))
    source = {
        "path": f"mine.{suffix}",
        "dev_split": False,
        "columns": {"toxic": "Insult", "neutral": ["one", "two", "three"]},
        "lang": "en",
        "references": "all",
    }
    pairs = build_corpus(recipe(**source), data).train
    assert {(pair.toxic, pair.neutral[0]) for pair in pairs} == {
        ("you dumb fool", "you fellow"), ("you dumb fool", "you"), ("this damn bus", "this bus"),
    }  # fmt: skip
    with pytest.raises(DataError, match=r"no column 'nope'"):
        build_corpus(recipe(**{**source, "columns": {"neutral": ["one", "nope"]}}), data)


def test_temperature_makes_languages_more_equal(data):
    made = [
        {
            "lang": lang,
            "toxic": f"{lang} idiot {i:03d} {i * 7919}",
            "neutral": f"{lang} {i:03d} {i * 7919}",
        }
        for lang, count in (("en", 80), ("de", 10))
        for i in range(count)
    ]
    by_lang = lambda corpus: Counter(pair.lang for pair in corpus.train)  # noqa: E731
    assert by_lang(build_corpus(several(data, made), data)) == {"en": 80, "de": 10}
    warm = build_corpus(several(data, made, temperature=3.0, size=30), data)
    assert by_lang(warm) == {"en": 20, "de": 10}  # 80 ** (1/3) : 10 ** (1/3) = 2 : 1
    assert warm.dropped == {"s1": {"sampling": 60}}
    assert build_corpus(several(data, made, size=45), data).dropped == {"s1": {"sampling": 45}}
    assert by_lang(build_corpus(several(data, made, temperature=1e9), data)) == {"en": 45, "de": 45}


def test_the_recipes_of_the_package_are_valid():
    """Every recipe with a corpus is checked, and states licences under which it may be shipped."""
    folder = Path(__file__).parent.parent / "recipes"
    found = [path for path in folder.glob("*.toml") if "[corpus]" in path.read_text()]
    assert len(found) >= 2
    for path in found:
        settings = CorpusRecipe.parse(tomllib.loads(path.read_text()))
        for source in settings.sources:
            assert refused_licences(source.licence, SHIPPABLE) == [], f"{path.name}: {source.name}"


def test_the_pairs_of_the_package_have_the_licences_that_its_recipes_state(shared_data):
    """The sources in the rows, looked up in the list of the data's licences."""
    folder = Path(__file__).parent.parent / "recipes" / "distilled_pairs"
    sources = {row["source"] for path in folder.rglob("*.jsonl") for row in read_table(path).rows}
    listed = {}
    for line in (shared_data / "SOURCES.md").read_text().splitlines():
        if match := re.match(r"- \*\*(\w+)\.jsonl\.gz\*\* .*? Licence: (.+?)(?: \(|\. )", line):
            listed[match[1]] = match[2].replace(" ", "-")
    stated = {listed[source] if source != "authored" else "Apache-2.0" for source in sources}
    assert stated == {"Apache-2.0", "CC-BY-4.0", "CC0-1.0", "MIT"}


def test_the_card_of_the_distilled_pairs_counts_them_right():
    folder = Path(__file__).parent.parent / "recipes" / "distilled_pairs"
    card = (folder / "README.md").read_text()
    rows: dict[str, list[Row]] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        rows.setdefault(path.stem, []).extend(read_table(path).rows)
    assert f"{sum(map(len, rows.values())):,} pairs in {len(rows)} languages" in card
    for lang, pairs in rows.items():
        sources = Counter(row["source"] for row in pairs)
        real = ", ".join(f"{s} {n}" for s, n in sorted(sources.items()) if s != "authored")
        assert f"| {lang} | {len(pairs)} | {sources['authored']} | {real} |\n" in card
    every = Counter(row["source"] for pairs in rows.values() for row in pairs)
    for source, pairs in every.items():
        assert f"| `{source}` | {pairs:,} |" in card
