"""Sheets for blind readings hide who wrote what, and labels find their way back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from civilly.data.readings import read_readings
from conftest import benchmark

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "blind_reading.py"
SYSTEMS = ("first", "second", "third")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        {
            "id": f"t{n}",
            "lang": "en",
            "text": f"You fool number {n}",
            "source": "test",
            "outputs": {"first": f"You {n}", "second": f"You {n} ", "third": f"Hello {n}"},
        }
        for n in range(40)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    assert run("sheets", tmp_path / "rows.jsonl", tmp_path, "--outputs", 30).returncode == 0
    return tmp_path


def label(folder: Path) -> None:
    """A reader who finds greetings good, and everything else a gap."""
    for sheet in (folder / "sheets").iterdir():
        item, lines = "", []
        for line in sheet.read_text("utf-8").splitlines():
            if line.startswith("#"):
                item = line[1:]
            elif line.startswith("  "):
                letter, _, output = line.strip().partition(": ")
                good = output.startswith("Hello")
                lines.append(f"{item}\t{letter}\t{'good' if good else 'gap'}\t{2 * good}\t")
        (folder / "labels" / f"{sheet.stem}.tsv").write_text("\n".join(lines) + "\n", "utf-8")


def test_sheets_hide_the_systems_and_repeat_a_tenth_elsewhere(folder: Path) -> None:
    sheets = {path.stem: path.read_text("utf-8") for path in (folder / "sheets").iterdir()}
    assert len(sheets) > 2
    assert not any(name in text for text in sheets.values() for name in SYSTEMS)
    where = {n: [s for s, text in sheets.items() if f"number {n}\n" in text] for n in range(40)}
    assert sorted(map(len, where.values())) == [1] * 36 + [2] * 4
    first = {text.split("\n")[2].split(": ")[1].split()[0] for text in sheets.values()}
    assert first <= {"You", "Hello"}


def test_labels_are_joined_with_who_wrote_what(folder: Path) -> None:
    label(folder)
    (folder / "out").mkdir()
    done = run("join", folder, "-o", folder / "out" / "en.jsonl")
    assert done.returncode == 0, done.stderr
    readings = read_readings(folder / "out")
    assert len(readings) == 2 * 44
    for reading in readings:
        greeting = reading.rewrite.startswith("Hello")
        assert set(reading.systems) == ({"third"} if greeting else {"first", "second"})
        assert reading.fault == ("good" if greeting else "gap")
    told = benchmark("blind_reading").report(readings)
    parities: dict[tuple[str, str], set[bool]] = {}
    for reading in readings:
        odd = reading.sheet[-1] in "13579"
        parities.setdefault((reading.id, reading.rewrite), set()).add(odd)
    twice = sum(len(each) == 2 for each in parities.values())
    assert 0 < twice <= 8
    assert f"Read by two readers: {twice} outputs; the same fault 100%" in told
    assert "| third | 44 | 100% [92, 100] | 0% [0, 8] | 0% | 0% | 0% | 0% | 0% |" in told


def test_a_missing_or_wrong_label_is_named(folder: Path) -> None:
    label(folder)
    path = folder / "labels" / "en-1.tsv"
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(lines[1:]) + "\n", "utf-8")
    assert "nothing is said of" in run("check", "en-1", folder).stderr
    path.write_text("\n".join([*lines, lines[0]]) + "\n", "utf-8")
    assert "one too many" in run("check", "en-1", folder).stderr
    path.write_text("\n".join([*lines[1:], lines[0].replace("\t", " ")]) + "\n", "utf-8")
    assert run("check", "en-1", folder).returncode == 1
