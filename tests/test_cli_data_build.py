"""``civilly data build``: from a recipe to a folder that a training, and other tools, read."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from civilly.cli import app
from civilly.data.corpus.build import build_corpus
from civilly.data.pairs import read_pairs
from civilly.data.split import dev_part
from civilly.errors import CivillyError, DataError, LeakError

LETTERS = {"en": "abcdefghij ", "ru": "абвгдежзик ", "ja": "あいうえおかきくけこ"}


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sixty official pairs in two languages, an official input, and lower-case tokenised pairs."""
    letters = random.Random(0)
    folder = tmp_path / "data"
    rows = []
    for number in range(60):
        lang = ("en", "ru")[number % 2]
        text = "".join(letters.choices(LETTERS[lang], k=30)).strip()
        references = [text, f"{text.capitalize()}."]
        toxic = f"{text} {'idiot' if lang == 'en' else 'идиот'} 😡"
        rows.append({"id": f"dev-{number}", "lang": lang, "toxic": toxic, "neutral": references})
    write_rows(folder / "parallel" / "multiparadetox_dev.jsonl.gz", rows)
    tokenised = [
        {"lang": "en", "toxic": "i do n't want this shitty pasta , man !",
         "neutral": ["I do n't want this pasta , man ."]},
        {"lang": "en", "toxic": "the official damn sentence is here .",
         "neutral": ["the official sentence is here ."]},
        {"lang": "en", "toxic": "the stupid plan", "neutral": ["rain tomorrow"]},
    ]  # fmt: skip
    write_rows(folder / "parallel" / "paradetox_en.jsonl", tokenised)
    (folder / "inputs").mkdir()
    (folder / "inputs" / "textdetox2025_test.tsv").write_text(
        "toxic_sentence\tlang\nThe official damn sentence is here\ten\n"
    )
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text("""seed = 4
[corpus]
longest_characters = 100
leaks = "take_out"
unlicensed = "leave_out"

[[corpus.sources]]
name = "dev"
kind = "pairs"
licence = "OpenRAIL++"
path = "parallel/multiparadetox_dev.jsonl.gz"
dev_split = true

[[corpus.sources]]
name = "paradetox"
kind = "pairs"
licence = "CC0-1.0"
path = "parallel/paradetox_en.jsonl"
detokenise = true
repeat = 2

[[corpus.sources]]
name = "secret"
kind = "pairs"
licence = "CC-BY-NC-4.0"
path = "parallel/none.jsonl"
""")
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_folder(recipe: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    result = run("data", "build", recipe, "--data", data, "-o", out)
    parts = {f"dev-{number}": dev_part(f"dev-{number}") for number in range(60)}
    train, dev = rows_of(out / "train.jsonl"), rows_of(out / "dev.jsonl")
    ids = [row["id"] for row in train if row["source"] == "dev"]
    assert sorted(ids) == sorted(name for name, part in parts.items() if part == "train")
    assert {row["id"] for row in dev} == {name for name, part in parts.items() if part == "tune"}
    for row in train[:5]:
        if row["source"] == "dev":  # the writing of the toxic side, emoji and no full stop
            assert row["neutral"][0].endswith(" 😡")
            assert row["neutral"][0].replace(" 😡", "") in row["toxic"]
    assert all(len(row["neutral"]) == 2 for row in dev)  # as people wrote them
    assert dev[0]["neutral"][1] == dev[0]["neutral"][0].capitalize() + "."

    (pasta,) = {(r["toxic"], *r["neutral"]) for r in train if r["source"] == "paradetox"}
    assert pasta[0].lower() == "i don't want this shitty pasta, man!"
    assert pasta[1] == pasta[0].replace(" shitty", "")

    table = result.stdout.splitlines()
    assert table[0].split() == ["source", "licence", "train", "dev", "left", "out"]
    line = next(line.split() for line in table if line.startswith("paradetox"))
    assert line == ["paradetox", "CC0-1.0", "2", "0", "leak", "1,", "noise", "1"]
    assert any("secret" in line and "CC-BY-NC-4.0" in line for line in table)
    counts = dict(line.split()[:2] for line in table if line.split()[:1] in (["en"], ["ru"]))
    assert sum(map(int, counts.values())) == len(train)


def test_the_card_says_where_it_comes_from(recipe: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    report = json.loads(run("data", "build", recipe, "--data", data, "-o", out, "--json").stdout)
    assert json.loads((out / "corpus.json").read_text()) == report
    for name, digest in report["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    card = (out / "README.md").read_text()
    assert "Contains toxic language" in card
    assert '- "cc0-1.0"\n- "openrail++"\n' in card
    assert "| paradetox | CC0-1.0 | 2: en 2 | 0 |" in card
    assert "| 1 | repeats an evaluation text, exactly or nearly | paradetox 1 |" in card
    assert "| 1 | the two sides have too little in common | paradetox 1 |" in card
    assert "CC-BY-NC-4.0" in card
    assert "Seed 4" in card
    assert report["fingerprint"] in card
    held_out = sum(dev_part(f"dev-{number}") == "eval" for number in range(60))
    assert f"| {held_out} | held out for evaluation" in card


def test_the_same_bytes_each_time(recipe: Path, data: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    run("data", "build", recipe, "--data", data, "-o", one)
    program = [sys.executable, "-m", "civilly", "data", "build", recipe, "--data", data, "-o", two]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}  # no set's order may show
    subprocess.run(list(map(str, program)), check=True, capture_output=True, env=environment)
    names = ["README.md", "corpus.json", "dev.jsonl", "train.jsonl"]
    assert sorted(path.name for path in one.iterdir()) == names
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes()
    with pytest.raises(CivillyError, match="--overwrite"):
        run("data", "build", recipe, "--data", data, "-o", one)
    recipe.write_text(recipe.read_text().replace("seed = 4", "seed = 5"))
    run("data", "build", recipe, "--data", data, "-o", one, "--overwrite")
    before, after = (rows_of(folder / "train.jsonl") for folder in (two, one))
    assert before != after
    assert {row["id"] for row in before} == {row["id"] for row in after}


def test_leaks_and_licences_stop_it(recipe: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    strict = recipe.read_text()
    recipe.write_text(strict.replace('leaks = "take_out"\n', ""))
    with pytest.raises(LeakError, match="paradetox 2"):
        run("data", "build", recipe, "--data", data, "-o", out)
    recipe.write_text(strict.replace('unlicensed = "leave_out"\n', ""))
    with pytest.raises(DataError, match=r"'secret' has the licence: CC-BY-NC-4\.0"):
        run("data", "build", recipe, "--data", data, "-o", out)
    assert not out.exists()


def test_a_built_corpus_is_a_source(recipe: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    run("data", "build", recipe, "--data", data, "-o", out)
    made = {"seed": 1, "corpus": {"sources": [{"name": "b", "kind": "built", "path": str(out)}]}}
    corpus = build_corpus(made, data)
    written = read_pairs(out / "train.jsonl")
    assert sorted(corpus.train, key=repr) == sorted(written, key=repr)
    assert corpus.dev == read_pairs(out / "dev.jsonl")
    assert corpus.licences == {"dev": "OpenRAIL++", "paradetox": "CC0-1.0"}
    made["corpus"]["licences"] = ["CC0-1.0"]
    with pytest.raises(DataError, match=r"'b' has the licence: OpenRAIL\+\+"):
        build_corpus(made, data)
    made["corpus"]["sources"][0]["licence"] = "MIT"
    with pytest.raises(DataError, match="'b' states a licence, but is built"):
        build_corpus(made, data)
    del made["corpus"]["sources"][0]["licence"]
    (out / "corpus.json").write_text("[]")
    with pytest.raises(DataError, match=r"corpus\.json' is no report"):
        build_corpus(made, data)


def test_other_tools_read_the_folder(
    recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library ``datasets`` finds the splits by the card, with TRL's columns in them."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    out = tmp_path / "corpus"
    run("data", "build", recipe, "--data", data, "-o", out)
    loaded = datasets.load_dataset(str(out))
    assert {name: len(rows) for name, rows in loaded.items()} == {
        "train": len(rows_of(out / "train.jsonl")),
        "validation": len(rows_of(out / "dev.jsonl")),
    }
    row = next(row for row in loaded["train"] if row["lang"] == "ru")
    assert row["prompt"] == f"Russian\n{row['toxic']}\nPolite\n"
    assert row["completion"] == row["neutral"][0]
    assert "no leaks" in run("data", "leaks", out / "train.jsonl", out / "dev.jsonl").stderr


def test_real_pairs_keep_the_habits_of_people(shared_data: Path, tmp_path: Path) -> None:
    """RUSSE re-capitalises and adds full stops: what was built does neither."""
    path = tmp_path / "recipe.toml"
    path.write_text("""seed = 1
[corpus]
leaks = "take_out"
deduplicate = true
[[corpus.sources]]
name = "rudetoxifier"
kind = "pairs"
licence = "MIT"
path = "parallel/rudetoxifier200_ru.jsonl.gz"
""")
    out = tmp_path / "corpus"
    run("data", "build", path, "--data", shared_data, "-o", out)
    raw = read_pairs(shared_data / "parallel" / "rudetoxifier200_ru.jsonl.gz")
    rows = rows_of(out / "train.jsonl")

    def ends(toxic: str, neutral: str) -> bool:
        return toxic.endswith(".") == neutral.endswith(".")

    assert len(rows) > 150
    changed = sum(not ends(pair.toxic, pair.neutral[0]) for pair in raw)
    kept = sum(not ends(row["toxic"], row["completion"]) for row in rows)
    assert kept < 0.05 * len(rows)
    assert kept <= changed
