"""Shares of outputs at fault: from a suite that finds faults to tables, verdicts and the page."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from civilly.cli import app
from civilly.leaderboard.page import render
from civilly.leaderboard.runs import read_runs
from civilly.leaderboard.standings import build
from civilly.leaderboard.tables import json as board_json
from civilly.leaderboard.tables import markdown
from civilly.score.joint import LOWER_IS_BETTER, SHARES, shares
from reading_suite import install

FIRST = ["good", "good", "gap", "kept", "insult", "overcut", "other", "good"]
SECOND = ["good", "gap", "gap", "gap", "gap", "gap", "meaning", "gap"]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: two systems in English and Spanish, four sentences each."""
    (tmp_path / "package").mkdir()
    install(tmp_path / "package")
    monkeypatch.syspath_prepend(str(tmp_path / "package"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    write(work / "first.tsv", FIRST)
    write(work / "second.tsv", SECOND)
    return work


def write(path: Path, outputs: Sequence[str]) -> None:
    lines = [f"text {n}\t{out}\t{'es' if n > 3 else 'en'}" for n, out in enumerate(outputs)]
    head = "toxic_sentence\tneutral_sentence\tlang"
    path.write_text("\n".join([head, *lines]) + "\n", "utf-8")


def test_shares_add_the_faults_up() -> None:
    faults = {"good": [0.4], "gap": [0.1], "insult": [0.2], "kept": [0.05],
              "meaning": [0.03], "overcut": [0.02], "other": [0.2]}  # fmt: skip
    found = shares(faults)
    assert {name: round(values[0], 9) for name, values in found.items()} == {
        "good": 0.4, "gap": 0.1, "insult+kept": 0.25, "meaning+overcut": 0.05,
    }  # fmt: skip
    assert {"gap", "insult+kept", "meaning+overcut"} == LOWER_IS_BETTER


def test_score_tells_the_shares_of_a_system(folder: Path) -> None:
    arguments = ("score", "first.tsv", "-s", "told")
    (system,) = json.loads(run(*arguments, "--json"))["systems"]
    means = {lang: {c: by[c]["mean"] for c in SHARES} for lang, by in system["languages"].items()}
    # By hand: each of the four outputs is what it says by one half.
    assert means["en"] == {"good": 0.25, "gap": 0.125, "insult+kept": 0.125, "meaning+overcut": 0.0}
    assert means["es"] == {"good": 0.125, "gap": 0.0, "insult+kept": 0.125,
                           "meaning+overcut": 0.125}  # fmt: skip
    average = system["averages"]["AvgP"]["good"]
    assert average["mean"] == 0.1875
    assert average["low"] < 0.1875 < average["high"]
    lines = run(*arguments).splitlines()
    assert lines[0].split() == ["lang", "n", "STA", "SIM", "FL", "J"]
    place = lines.index("") + 1
    assert lines[place].split() == ["lang", *SHARES]
    assert lines[place + 1].startswith("en             .250 [")
    assert lines[place + 3].startswith("AvgP (2 of 9)  .188 [")
    run(*arguments, "--per-sentence", "all.csv", "-o", "first.json")
    with (folder / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["insult+kept"]) for row in rows] == [0, 0, 0, 0.5, 0.5, 0, 0, 0]
    assert json.loads(run("score", "first.json", "--json"))["systems"] == [system]


@pytest.mark.usefixtures("folder")
def test_several_systems_have_their_shares_side_by_side() -> None:
    lines = run("score", "first.tsv", "second.tsv", "-s", "told").splitlines()
    place = lines.index("") + 1
    assert lines[place].split() == ["system", "lang", *SHARES]
    assert lines[place + 1].startswith("first   AvgP (2 of 9)  .188 [")
    assert lines[place + 2].startswith("second  AvgP (2 of 9)  .062 [")


def test_a_missing_rewrite_has_lost_everything(folder: Path) -> None:
    write(folder / "short.tsv", FIRST)
    lines = (folder / "short.tsv").read_text("utf-8").splitlines()
    (folder / "short.tsv").write_text("\n".join([lines[0], *lines[2:]]) + "\n", "utf-8")
    run("score", "short.tsv", "-r", "first.tsv", "-s", "told", "--mismatch", "zero",
        "-o", "short.json")  # fmt: skip
    row = json.loads((folder / "short.json").read_text("utf-8"))["rows"][0]
    assert [row[c] for c in ("STA", "SIM", "FL", "J", *SHARES)] == [0, 0, 0, 0, 0, 0, 0, 1]


def test_fewer_gaps_are_better(folder: Path) -> None:
    write(folder / "first.tsv", ["good"] * 8)
    write(folder / "second.tsv", ["gap"] * 8)
    for metric, verdict in (("good", "worse"), ("gap", "worse"), ("J", "no difference shown")):
        found = json.loads(
            run("compare", "first.tsv", "second.tsv", "-s", "told", "-m", metric, "--json")
        )
        average = next(row for row in found["comparisons"] if row["scope"] == "AvgP")
        assert average["verdict"] == verdict, metric
    turned = json.loads(run("compare", "second.tsv", "first.tsv", "-s", "told", "-m", "gap",
                            "--json"))  # fmt: skip
    assert turned["comparisons"][-1]["difference"] == -0.5
    assert turned["comparisons"][-1]["verdict"] == "better"


def test_the_leaderboard_tells_the_shares(folder: Path) -> None:
    run("score", "first.tsv", "second.tsv", "-s", "told", "-o", "scores")
    board = build(read_runs(folder / "scores").systems)
    assert [column.name for column in board.told] == ["en", "es"]  # nobody has all nine
    shown = markdown(board)
    assert "### What a reader would find, en (4 shared sentences)" in shown
    assert "| first | 1.000 [1.000, 1.000] | .250 [" in shown
    cells = {
        (row["system"], row["column"], row["measure"]): row
        for row in json.loads(board_json(board))["cells"]
    }
    assert cells["second", "en", "gap"]["mean"] == 0.375
    assert cells["second", "es", "meaning+overcut"]["mean"] == 0.125
    assert cells["second", "es", "gap"]["rank"] is None
    assert "What a reader would find, Spanish" in render(board)


def test_a_board_of_another_suite_tells_none(folder: Path) -> None:
    scores = json.loads(Path(run_scores(folder)).read_text("utf-8"))
    for row in scores["rows"]:
        for share in SHARES:
            del row[share]
    (folder / "scores" / "first.json").write_text(json.dumps(scores), "utf-8")
    board = build(read_runs(folder / "scores").systems)
    assert not board.told
    assert "What a reader would find" not in markdown(board)
    assert "What a reader would find" not in render(board)


def run_scores(folder: Path) -> Path:
    run("score", "first.tsv", "-s", "told", "-o", "scores/first.json")
    return folder / "scores" / "first.json"


def test_judgements_that_a_metric_was_trained_on_do_not_measure_it(folder: Path) -> None:
    pytest.importorskip("scipy")
    head = "id\tlang\tsystem\ttoxic\toutput\tSTA\tSIM\tFL\n"
    rows = "".join(
        f"{'learnt' if n < 6 else 'apart'}-{n}\ten\ts{n % 2}\ttext {n}\tout {n}\t1\t{n / 12}\t1\n"
        for n in range(12)
    )
    for name in ("textdetox2024.tsv", "another.tsv"):
        (folder / name).write_text(head + rows, "utf-8")
        found = json.loads(
            run("agreement", "told", "--judgements", name, "--json", "--resamples", 0)
        )
        assert set(found["targets"]) == {"STA", "SIM", "FL", "J"}
        (row,) = found["targets"]["J"]["measured"]
        assert row["rows"] == (6 if name == "textdetox2024.tsv" else 12)
