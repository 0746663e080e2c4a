"""Leaks between pairs, on all sides, and the command that finds them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from civilly.cli import app
from civilly.data.io import read_table
from civilly.data.pair_leaks import Sides, leaks_between, refuse_leaks, sides_of, strictest
from civilly.data.pairs import Pair
from civilly.data.table import Table
from civilly.errors import CivillyError, DataError, LeakError

RUDE = "You are such a stupid idiot, nobody wants to hear this!"
CIVIL = "I do not agree with you at all, please let us stop."
OTHER = "The gardener planted roses behind the old school."

TRAIN = [
    {"id": "a-1", "toxic": OTHER, "neutral": ["A row about gardening."], "n": 1},
    {"id": "a-2", "toxic": RUDE, "neutral": ["That is not helpful, friend."], "n": 2},
    {"id": "a-3", "toxic": "какой-то другой текст", "neutral": ["да", CIVIL.upper()], "n": 3},
    {"id": "a-4", "toxic": "ganz ein anderer Satz hier", "neutral": [RUDE + " Right now."], "n": 4},
    {
        "id": "a-5",
        "toxic": "übersetzter Satz",
        "neutral": ["anders"],
        "source_id": "eval-2",
        "n": 5,
    },
    {"id": "7", "toxic": "", "neutral": [""], "n": 6},
]
EVAL = [
    {"id": "eval-1", "toxic": RUDE, "neutral": CIVIL},
    {"id": "eval-2", "toxic": "another insult entirely, you fool", "neutral": "a kind word"},
    {"id": "7", "toxic": "", "neutral": ""},
]
EXPECTED = [
    ("exact", 2, "toxic", 1, "toxic"),
    ("normalised", 3, "reference", 1, "reference"),
    ("near", 4, "reference", 1, "toxic"),
    ("id", 5, "id", 2, "id"),
]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    train, evaluation = tmp_path / "train.jsonl", tmp_path / "eval.tsv"
    train.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in TRAIN))
    lines = ["id\ttoxic_sentence\tneutral_sentence\tlang"]
    lines += [f"{row['id']}\t{row['toxic']}\t{row['neutral']}\ten" for row in EVAL]
    evaluation.write_text("\n".join(lines) + "\n")
    return train, evaluation


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["data", "leaks", *map(str, arguments)])
    if isinstance(result.exception, CivillyError):
        raise result.exception
    return result


def test_every_side_is_compared_with_every_side(files: tuple[Path, Path]) -> None:
    ours, theirs = (sides_of(read_table(path), str(path)) for path in files)
    found = leaks_between(ours, theirs)
    assert [
        (
            leak.kind,
            leak.training + 1,
            leak.training_side,
            leak.evaluation + 1,
            leak.evaluation_side,
        )
        for leak in found
    ] == EXPECTED
    assert (found[2].training_text, found[2].evaluation_text) == (RUDE + " Right now.", RUDE)
    assert (found[3].training_text, found[3].evaluation_text) == ("eval-2", "eval-2")


def test_pairs_can_be_compared_as_they_are() -> None:
    pair = Pair("x-1", "en", OTHER, (RUDE.lower(), CIVIL))
    (first, second) = leaks_between([pair], [Sides(CIVIL), Sides(RUDE)])
    assert (first.kind, first.evaluation, second.kind) == ("normalised", 1, "exact")
    assert strictest([first, second]) == {0: second}
    assert [leak.kind for leak in leaks_between([pair], [Pair("x-1", "de", "ja", ())])] == ["id"]


@pytest.mark.parametrize(
    ("ours", "theirs", "shared"),
    [("eval-1", "eval-1", True), ("12", "12", False), ("", "", False),
     ("1234567890123", "1234567890123", True), ("eval-1", "EVAL-1", False)],
)  # fmt: skip
def test_ids_that_are_row_numbers_say_nothing(ours: str, theirs: str, shared: bool) -> None:
    found = leaks_between([Sides("a", (), (ours,))], [Sides("b", (), ("none", theirs))])
    assert bool(found) == shared


@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        (["a", "b"], ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("[removed] you", ("[removed] you",)),
        ("[1]", ("[1]",)),
        ("[" * 50_000, ("[" * 50_000,)),
        (None, ("",)),
        (3, ("3",)),
    ],
)
def test_references_are_a_text_or_a_list(cell: object, texts: tuple[str, ...]) -> None:
    table = Table(["toxic", "references"], [{"toxic": "t", "references": cell}], "jsonl")
    assert sides_of(table, "x")[0].references == texts


texts = st.text("abAB ", max_size=14)
rows = st.lists(st.builds(Sides, texts, st.lists(texts, max_size=2).map(tuple)), max_size=5)


@given(rows, rows)
def test_what_is_left_has_no_leak_and_what_goes_has_one(
    training: list[Sides], evaluation: list[Sides]
) -> None:
    leaking = strictest(leaks_between(training, evaluation))
    kept = [row for number, row in enumerate(training) if number not in leaking]
    assert leaks_between(kept, evaluation) == []
    assert all(leaks_between([training[number]], evaluation) for number in leaking)


def test_refusal_names_rows_and_kinds(caplog: pytest.LogCaptureFixture) -> None:
    leaking = {f"row {number}": "near" for number in range(1, 8)} | {"row 9": "exact"}
    with pytest.raises(LeakError) as caught:
        refuse_leaks(leaking, mend="leave them out")
    assert caught.value.problem == (
        "8 training rows repeat evaluation rows (1 exactly, 7 nearly): "
        "row 1, row 2, row 3, row 4, row 5 and 3 more."
    )
    refuse_leaks(leaking, mend="", go_on=True)
    assert "row 1, row 2" in caplog.text
    refuse_leaks({}, mend="")


def test_the_command_lists_leaks_and_refuses(files: tuple[Path, Path]) -> None:
    with pytest.raises(LeakError, match=r"4 training rows .*row 2 \(evaluation row 1\)"):
        run(*files)
    went_on = run(*files, "--go-on")
    cells = [line.split("\t") for line in went_on.stdout.splitlines()]
    assert [(c[0], int(c[1]), c[2], int(c[3]), c[4]) for c in cells] == EXPECTED
    assert cells[0][5:] == ["1.00", RUDE, RUDE]


def test_the_exit_code_in_a_real_process(files: tuple[Path, Path]) -> None:
    program = "import sys; from civilly.cli import main; sys.argv[0] = 'civilly'; main()"

    def leaks(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, "data", "leaks", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    refused = leaks(*files)
    assert refused.returncode == 1
    assert len(refused.stdout.splitlines()) == 4
    assert "row 2 (evaluation row 1)" in refused.stderr
    assert "--go-on" in refused.stderr
    went_on = leaks(*files, "--go-on")
    assert (went_on.returncode, went_on.stdout) == (0, refused.stdout)
    assert "row 2 (evaluation row 1)" in went_on.stderr
    assert leaks(files[0], "no_such_file.tsv").returncode == 2


def test_json_counts_training_rows_by_kind(files: tuple[Path, Path]) -> None:
    report = json.loads(run(*files, "--json", "--go-on").stdout)
    assert report["kinds"] == {"exact": 1, "normalised": 1, "near": 1, "id": 1}
    assert (report["training_rows"], report["evaluation_rows"], report["leaking_rows"]) == (6, 3, 4)
    assert report["leaks"][0] == {
        "training": 2, "evaluation": 1, "kind": "exact", "similarity": 1.0,
        "training_side": "toxic", "evaluation_side": "toxic",
        "training_text": RUDE, "evaluation_text": RUDE,
    }  # fmt: skip


def test_the_cleaned_file_is_the_rest_unchanged(files: tuple[Path, Path], tmp_path: Path) -> None:
    cleaned = tmp_path / "clean.jsonl.gz"
    result = run(*files, "-o", cleaned)
    assert result.exit_code == 0
    assert "2 rows kept, 4 leaking rows left out" in result.stderr
    assert read_table(cleaned).rows == [TRAIN[0], TRAIN[5]]
    assert run(cleaned, files[1]).exit_code == 0
    with pytest.raises(CivillyError, match="--overwrite"):
        run(*files, "-o", cleaned)
    run(*files, "-o", cleaned, "--overwrite")


@pytest.mark.parametrize("suffix", ["csv", "txt", "parquet"])
def test_other_formats(tmp_path: Path, suffix: str) -> None:
    from civilly.data.io import write_table

    train = tmp_path / f"train.{suffix}"
    table = Table(["text"], [{"text": OTHER}, {"text": RUDE}], "jsonl")
    write_table(train, table)
    evaluation = tmp_path / "eval.csv"
    evaluation.write_text(f'text,neutral\nnothing,"[""{RUDE}"", ""b""]"\n')
    report = json.loads(run(train, evaluation, "--json", "--go-on").stdout)
    (leak,) = report["leaks"]
    assert (leak["training"], leak["kind"], leak["evaluation_side"]) == (2, "exact", "reference")


def test_bad_input(tmp_path: Path, files: tuple[Path, Path]) -> None:
    nameless = tmp_path / "x.tsv"
    nameless.write_text("foo\tbar\n1\t2\n")
    with pytest.raises(DataError, match="no column looks like the text"):
        run(nameless, files[1])
    with pytest.raises(DataError, match="There is no file"):
        run(files[0], tmp_path / "none.tsv")
    with pytest.raises(DataError, match=r"'\.doc'"):
        run(*files, "-o", tmp_path / "x.doc")
    with pytest.raises(DataError, match="Both TRAIN and EVAL"):
        run("-", "-")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    result = run(empty, files[1])
    assert result.exit_code == 0
    assert "no rows" in result.stderr
    assert "no leaks: 0 rows against 3" in result.stderr


def test_real_pairs_with_planted_leaks(shared_data: Path, tmp_path: Path) -> None:
    """The published Russian pairs against the official development pairs of nine languages."""
    dev = shared_data / "parallel" / "multiparadetox_dev.jsonl.gz"
    official = read_table(dev).rows
    rows = read_table(shared_data / "parallel" / "rudetoxifier200_ru.jsonl.gz").rows
    planted = {**rows[0], "id": "p", "toxic": "…", "neutral": [official[40]["neutral"][0].upper()]}
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in [*rows, planted]))
    report = json.loads(run(train, dev, "--json", "--go-on").stdout)
    leak = report["leaks"][-1]
    assert (leak["training"], leak["evaluation"]) == (len(rows) + 1, 41)
    assert (leak["kind"], leak["training_side"]) == ("normalised", "reference")
    assert report["leaking_rows"] < 0.05 * len(rows)
