"""Sheets for blind readings hide who wrote what, and labels find their way back."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from civilly.data.readings import Reading, as_line, read_readings
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


def readings_of(labels: dict[str, dict[str, list[str]]]) -> list[Reading]:
    """By system and language, the fault of its output for the first, second, … text."""
    return [
        Reading(f"t{n}", lang, f"text {n}", "test", f"{system} {n}", (system,), fault, 0, "", "x-1")
        for system, by_lang in labels.items()
        for lang, faults in by_lang.items()
        for n, fault in enumerate(faults)
    ]


LABELS = {
    "civilly": {"en": ["good", "gap", "kept"], "it": ["meaning"]},
    "mt0": {"en": ["good", "good", "insult"], "it": ["overcut"]},
    "human": {"en": ["good", "good", "other"]},
}


def test_a_reading_that_leads_has_the_shares_of_three_systems(tmp_path: Path) -> None:
    again = [Reading("t0", "en", "text 0", "test", "civilly 0", ("civilly",), "gap", 0, "", "x-2")]
    file = tmp_path / "readings.jsonl"
    file.write_text("".join(map(as_line, readings_of(LABELS) + again)), "utf-8")
    toml = tmp_path / "2026-12-01.toml"
    done = run("report", file, "--toml", toml, "--commit", "abc1234", "--before", "2026-11-29")
    assert done.returncode == 0, done.stderr
    made = tomllib.loads(toml.read_text("utf-8"))
    assert (made["date"], made["commit"], made["before"]) == ("2026-12-01", "abc1234", "2026-11-29")
    assert made["inputs"] == "1 to 3 inputs in each of 2 languages"
    civilly, mt0, human = made["systems"]
    # By hand; the second reader of the first output does not count.
    assert civilly["n"] == {"P": 3, "NP": 1}
    assert civilly["good"] == {"P": 33.3, "NP": 0.0}
    assert civilly["hole"] == {"P": 33.3, "NP": 0.0}
    assert civilly["insult"] == {"P": 33.3, "NP": 0.0}
    assert mt0["changed"] == {"P": 0.0, "NP": 100.0}
    assert human["n"] == {"P": 3}
    assert human["good"] == {"P": 66.7}
    assert set(made["labels"]) == {"good", "hole", "insult", "changed"}


def test_a_reading_that_leads_needs_its_systems_and_a_commit(tmp_path: Path) -> None:
    file, toml = tmp_path / "readings.jsonl", tmp_path / "2026-12-01.toml"
    file.write_text("".join(map(as_line, readings_of({"civilly": LABELS["civilly"]}))), "utf-8")
    assert "--commit" in run("report", file, "--toml", toml).stderr
    assert "'mt0'" in run("report", file, "--toml", toml, "--commit", "abc1234").stderr
    assert not toml.exists()


def test_a_reading_stands_beside_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assemble, blind = benchmark("assemble"), benchmark("blind_reading")
    earlier = (assemble.READINGS / "2026-11-29.toml").read_text("utf-8")
    (tmp_path / "2026-11-29.toml").write_text(earlier, "utf-8")
    monkeypatch.setattr(assemble, "READINGS", tmp_path)
    alone = assemble.readings(assemble.latest_reading(), ["good"]).splitlines()
    assert alone[0].startswith("| | good, nine / six | a hole, nine / six |")
    assert alone[2].startswith("| civilly (`tuned`) | 32 % [24, 40] / 15 % [9, 25] | 33 % / 51 % |")
    about = {"date": "2026-12-01", "commit": "abc1234", "before": "2026-11-29",
             "readers": "some", "inputs": "some"}  # fmt: skip
    (tmp_path / "2026-12-01.toml").write_text(blind.leading(readings_of(LABELS), about), "utf-8")
    table, note = assemble.readings(assemble.latest_reading(), ["good"]).split("\n\n")
    assert note == (
        "In the reading of 2026-11-29 “meaning changed or too much cut” stands for “meaning "
        "changed”."
    )
    lines = table.splitlines()
    assert lines[0].startswith("| | outputs of | good, nine / six / all |")
    cells = [[cell.strip() for cell in line.split("|")[1:4]] for line in lines[2:]]
    # Before: (32 · 126 + 15 · 84) / 210 = 25.2; people wrote nothing for the six.
    assert cells == [
        ["civilly", "2026-12-01", "33 % [6, 79] / 0 % [0, 79] / 25 % [5, 70]"],
        ["civilly", "2026-11-29", "32 % [24, 40] / 15 % [9, 25] / 25 % [20, 32]"],
        ["mT0-xl-detox-orpo (3.7B)", "2026-12-01", "67 % [21, 94] / 0 % [0, 79] / 50 % [15, 85]"],
        ["mT0-xl-detox-orpo (3.7B)", "2026-11-29", "48 % [39, 56] / 21 % [14, 31] / 37 % [31, 44]"],
        ["human reference", "2026-12-01", "67 % [21, 94] / – / –"],
        ["human reference", "2026-11-29", "65 % [56, 73] / – / –"],
    ]
    front = assemble.front()
    assert (
        "**In nine languages 33 % of the default's outputs are good and 33 % have a hole" in front
    )
    assert "In each cell: nine / six / all" in front
