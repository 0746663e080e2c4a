"""A job on this machine: every row once and in order, whatever happened before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fake_pipeline
from civilly.batch import local
from civilly.batch.job import ASIDE, Job, Outcome, opened, shards_in
from civilly.batch.source import Reading
from civilly.data.io import read_table
from civilly.errors import CivillyError, DataError
from civilly.types import Rewrite


def write_inputs(folder: Path, rows: int = 60) -> None:
    """Three formats at two depths."""
    (folder / "deep").mkdir(parents=True)
    texts = [f"a damn row {i}" if i % 3 == 0 else f"row {i}" for i in range(rows)]
    lines = [json.dumps({"id": i, "text": text}) for i, text in enumerate(texts)]
    (folder / "a.jsonl").write_text("\n".join([*lines, ""]))
    (folder / "b.csv").write_text(
        "id,comment\n" + "".join(f"{i},{t}\n" for i, t in enumerate(texts))
    )
    pq.write_table(pa.table({"text": texts, "n": range(rows)}), folder / "deep" / "c.parquet")
    (folder / "notes.pdf").write_bytes(b"%PDF-")
    (folder / ".hidden.jsonl").write_text("not one of them")


def job_of(folder: Path, output: Path, detoxifier: Any = None, **more: Any) -> Job:
    folder, names = shards_in(folder, output)
    return Job(folder, names, output, detoxifier or fake_pipeline.Detoxifier(), **more)


def run(job: Job, *, overwrite: bool = False) -> list[Outcome]:
    with opened(job, overwrite=overwrite) as identity:
        return list(local.run(job, identity, lambda rows: None))


def outputs(folder: Path) -> dict[str, bytes]:
    """Everything but what stands aside."""
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in paths.items() if not name.startswith(ASIDE)}


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    write_inputs(tmp_path / "in")
    return tmp_path / "in"


def test_files_keep_their_names_formats_rows_and_order(inputs: Path, tmp_path: Path) -> None:
    outcomes = run(job_of(inputs, tmp_path / "out"))
    assert [(each.name, each.rows, each.changed, each.error) for each in outcomes] == [
        ("a.jsonl", 60, 20, ""), ("b.csv", 60, 20, ""), ("deep/c.parquet", 60, 20, ""),
    ]  # fmt: skip
    assert sorted(outputs(tmp_path / "out")) == ["a.jsonl", "b.csv", "deep/c.parquet"]
    for name, number in (("a.jsonl", "id"), ("b.csv", "id"), ("deep/c.parquet", "n")):
        table = read_table(tmp_path / "out" / name)
        assert [int(row[number]) for row in table.rows] == list(range(60))
        expected = [f"a row {i}" if i % 3 == 0 else f"row {i}" for i in range(60)]
        assert [row["rewritten"] for row in table.rows] == expected


def test_a_second_run_does_nothing(inputs: Path, tmp_path: Path) -> None:
    run(job_of(inputs, tmp_path / "out"))
    before = outputs(tmp_path / "out")
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in before}
    assert all(each.done_before for each in run(job_of(inputs, tmp_path / "out")))
    assert outputs(tmp_path / "out") == before
    assert times == {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in before}


def test_a_changed_input_and_a_lost_output_are_done_again(inputs: Path, tmp_path: Path) -> None:
    run(job_of(inputs, tmp_path / "out"))
    (inputs / "a.jsonl").write_text('{"text": "a new damn row"}\n')
    (tmp_path / "out" / "b.csv").write_text("torn")
    again = {each.name: each.done_before for each in run(job_of(inputs, tmp_path / "out"))}
    assert again == {"a.jsonl": False, "b.csv": False, "deep/c.parquet": True}
    assert read_table(tmp_path / "out" / "a.jsonl").rows[0]["rewritten"] == "a new row"
    assert len(read_table(tmp_path / "out" / "b.csv").rows) == 60


class Stopping(fake_pipeline.Detoxifier):
    """Stops the process, as it were, when it is asked once too often."""

    calls = 0

    def rewrite(self, texts: Sequence[str], langs: str | Sequence[str] = "auto") -> list[Rewrite]:
        if Stopping.calls == 0:
            raise KeyboardInterrupt
        Stopping.calls -= 1
        return super().rewrite(texts, langs)


@pytest.mark.parametrize("calls", range(6))
def test_a_run_that_was_stopped_goes_on(
    inputs: Path, tmp_path: Path, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(job_of(inputs, tmp_path / "whole"))
    monkeypatch.setattr(Stopping, "calls", calls)
    with pytest.raises(KeyboardInterrupt):
        run(job_of(inputs, tmp_path / "out", Stopping()))
    Stopping.calls = 10**6
    run(job_of(inputs, tmp_path / "out", Stopping()))
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


def test_bad_rows_stand_beside_the_output(inputs: Path, tmp_path: Path) -> None:
    lines = (inputs / "a.jsonl").read_text().splitlines()
    (inputs / "a.jsonl").write_text("\n".join([*lines[:7], "{torn", "[1]", *lines[7:], ""]))
    pq.write_table(pa.table({"text": ["fine", None]}), inputs / "deep" / "c.parquet")
    (inputs / "z.parquet").write_bytes(b"PAR1 no such thing PAR1")
    outcomes = {each.name: each for each in run(job_of(inputs, tmp_path / "out"))}
    bad = tmp_path / "out" / ASIDE / "bad"
    assert [json.loads(line) for line in (bad / "a.jsonl.jsonl").read_text().splitlines()] == [
        {"line": 8, "what": "this is no JSON object", "content": "{torn"},
        {"line": 9, "what": "this is no JSON object", "content": "[1]"},
    ]
    assert len(read_table(tmp_path / "out" / "a.jsonl").rows) == 60
    mended = json.loads((bad / "deep" / "c.parquet.jsonl").read_text())
    assert mended["row"] == 2
    assert "missing" in mended["what"]
    assert len(read_table(tmp_path / "out" / "deep" / "c.parquet").rows) == 2
    assert "not a Parquet file" in outcomes["z.parquet"].error
    assert "not a Parquet file" in (bad / "z.parquet.jsonl").read_text()
    assert not (tmp_path / "out" / "z.parquet").exists()


def test_a_file_that_was_mended_is_bad_no_more(inputs: Path, tmp_path: Path) -> None:
    good = (inputs / "a.jsonl").read_text()
    (inputs / "a.jsonl").write_text("{torn\n" + good)
    run(job_of(inputs, tmp_path / "out"))
    (inputs / "a.jsonl").write_text(good)
    run(job_of(inputs, tmp_path / "out"))
    assert not (tmp_path / "out" / ASIDE / "bad" / "a.jsonl.jsonl").exists()


def test_other_options_are_refused_until_one_says_so(inputs: Path, tmp_path: Path) -> None:
    run(job_of(inputs, tmp_path / "out"))
    other = job_of(inputs, tmp_path / "out", fake_pipeline.Detoxifier(only_toxic=0.95))
    with pytest.raises(DataError, match="pipeline differ"):
        run(other)
    assert not any(each.done_before for each in run(other, overwrite=True))
    assert {each.changed for each in run(other)} == {0}


def test_a_folder_of_something_else_is_left_alone(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="other files"):
        run(job_of(inputs, tmp_path / "out"))
    with pytest.raises(DataError, match="is the input"):
        run(Job(inputs, ["a.jsonl"], inputs, fake_pipeline.Detoxifier()), overwrite=True)  # type: ignore[arg-type]


def test_two_files_never_become_one(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.json", "a.jsonl"):
        (tmp_path / "in" / name).write_text('{"text": "row"}\n')
    with pytest.raises(DataError, match="both become"):
        run(job_of(tmp_path / "in", tmp_path / "out"))


def test_two_jobs_do_not_write_into_one_folder(inputs: Path, tmp_path: Path) -> None:
    job = job_of(inputs, tmp_path / "out")
    with opened(job), pytest.raises(DataError, match="Another job"), opened(job):
        pass


def test_a_folder_without_files_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file that Civilly reads"):
        shards_in(tmp_path, tmp_path / "out")


def test_formats_and_json_that_the_user_names(inputs: Path, tmp_path: Path) -> None:
    run(job_of(inputs, tmp_path / "out", json_lines=True))
    assert sorted(outputs(tmp_path / "out")) == ["a.jsonl", "b.csv.jsonl", "deep/c.parquet.jsonl"]
    record = json.loads((tmp_path / "out" / "b.csv.jsonl").read_text().splitlines()[0])
    assert record["columns"] == {"id": "0"}
    assert record["edits"]
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "part-0").write_text("toxic\tx\na damn row\t1\n")
    folder, names = shards_in(odd, tmp_path / "out2", "tsv")
    how = Reading(format="tsv")
    job = Job(folder, names, tmp_path / "out2", fake_pipeline.Detoxifier(), how)  # type: ignore[arg-type]
    assert [each.error for each in run(job)] == [""]
    assert b"a row" in (tmp_path / "out2" / "part-0").read_bytes()


def test_the_command_line(inputs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    from civilly.cli import app

    def call(*arguments: object) -> Any:
        return CliRunner().invoke(app, ["rewrite", *map(str, arguments)])

    made = call(inputs, "-o", tmp_path / "out", "--method", "duplicate", "--only-toxic", 0.5)
    assert made.exit_code == 0, made.output
    assert sorted(outputs(tmp_path / "out")) == ["a.jsonl", "b.csv", "deep/c.parquet"]
    for wrong in (
        [inputs], [inputs, "-o", inputs / "a.jsonl"], ["hello", "--runner", "ray"],
        [inputs, "-o", tmp_path / "x", "--workers", 2], [inputs, "--runner", "sun"],
        [inputs, "-o", tmp_path / "x", "--page", "p.html"],
    ):  # fmt: skip
        assert isinstance(call(*wrong).exception, CivillyError), wrong
