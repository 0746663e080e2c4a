"""benchmarks/leaderboard.py on a small folder of submissions."""

from __future__ import annotations

from pathlib import Path

import pytest

import overlap_suite
from civilly.data.alignment import AlignedRow
from civilly.leaderboard.runs import Submission
from conftest import benchmark

SUITE = '''
from overlap_suite import Overlap

class Bare(Overlap):
    """Without references: fluency is the number of words kept."""

    def components(self, inputs, outputs, references=None):
        return super().components(inputs, outputs, [[text.text] for text in inputs])

def create(tools):
    return Bare(0.5)
'''


def test_only_shared_sentences_are_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    overlap_suite.install(package)
    (package / "bare.py").write_text(SUITE)
    entry_points = package / "overlap-1.0.dist-info" / "entry_points.txt"
    entry_points.write_text(entry_points.read_text() + "bare = bare\n")
    monkeypatch.syspath_prepend(str(package))
    folder = tmp_path / "data" / "submissions" / "year"
    folder.mkdir(parents=True)
    head = "id\tlang\ttoxic\toutput\n"

    def submission(numbers: range, output: str) -> str:
        return head + "".join(f"{n}\ten\tyou idiot {n}\t{output.format(n)}\n" for n in numbers)

    (folder / "copies.tsv").write_text(submission(range(40), "you idiot {}"))
    (folder / "deletes.tsv").write_text(submission(range(5, 60), "you {}"))
    (folder / "elsewhere.tsv").write_text(submission(range(100, 140), "you {}"))
    ours = tmp_path / "out.tsv"
    ours.write_text(
        "toxic_sentence\tneutral_sentence\tlang\n"
        + "".join(f"you idiot {n}\t{n}\ten\n" for n in range(200))
    )
    module = benchmark("leaderboard")
    arguments = ["--data", tmp_path / "data", "--ours", ours, "--suite", "bare", "--runs",
                 tmp_path / "runs", "--results", tmp_path / "results"]  # fmt: skip
    module.main([*map(str, arguments)])
    result = (tmp_path / "results" / "leaderboard.md").read_text("utf-8")
    assert "| *sentences* | 35 |" in result  # 5 to 39
    # By hand: STA 1, SIM 2/3 and 1/3, FL .5; copies are toxic.
    assert "| deletes | **1 · .333 [.333, .333]** |" in result
    assert "| civilly | 2 · .167 [.167, .167] |" in result
    assert "| copies | 3 · .000 [.000, .000] |" in result
    assert "share no sentences: elsewhere." in result
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs" / "scores").iterdir()}
    assert len(stamps) == 3
    module.main([*map(str, arguments)])
    assert stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "runs" / "scores").iterdir()}


def test_sentences_that_a_suite_learnt_from_are_left_out() -> None:
    module = benchmark("leaderboard")
    rows = [AlignedRow("en", f"you idiot {n}", f"you {n}", ()) for n in range(40)]
    systems = [Submission("a", rows), Submission("b", rows[::-1])]
    without = {("en", f"you idiot {n}") for n in range(5)} | {("de", "you idiot 7")}
    for chosen in module.restricted(systems, without):
        assert {row.toxic for row in chosen.rows} == {f"you idiot {n}" for n in range(5, 40)}
