"""Readings and detection cases: what ships is whole, and what is no label is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from civilly.data.readings import FAULTS, LABELS, as_line, read_cases, read_readings
from civilly.errors import DataError
from civilly.languages import CODES

SHIPPED = Path(__file__).parents[1] / "recipes" / "readings"
CASE = {"lang": "en", "pair": 1, "kind": "animals", "label": "toxic", "text": "You pig!"}


def test_the_shipped_readings_are_whole() -> None:
    readings = read_readings(SHIPPED / "pairs")
    assert {reading.lang for reading in readings} == set(CODES)
    assert {reading.fault for reading in readings} == set(FAULTS)
    once = {(reading.id, reading.rewrite, reading.sheet) for reading in readings}
    assert len(once) == len(readings)
    for lang in CODES:
        faults = Counter(reading.fault for reading in readings if reading.lang == lang)
        assert min(faults["good"], faults["gap"], faults["meaning"]) >= 50, lang


def test_the_shipped_cases_are_whole() -> None:
    cases = read_cases(SHIPPED / "cases")
    assert {case.lang for case in cases} == set(CODES)
    assert {case.label for case in cases} == set(LABELS)
    assert len({(case.lang, case.text) for case in cases}) == len(cases)
    for lang in CODES:  # what people post is as it comes; what was written is half civil
        own = [case for case in cases if case.lang == lang and case.kind not in ("real", "posted")]
        assert 0.4 < sum(case.label == "civil" for case in own) / len(own) < 0.6, lang


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    for folder, read in (("pairs", read_readings), ("cases", read_cases)):
        rows = read(SHIPPED / folder)[::200]
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.jsonl").write_text("".join(map(as_line, rows)), "utf-8")
        assert read(tmp_path / folder) == rows


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "rude"},
        {"spans": []},
        {"label": "civil"},
        {"spans": [[4, 4]]},
        {"spans": [[4, 99]]},
        {"spans": [[6, 7], [0, 3]]},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_no_case_is_refused_with_its_line(tmp_path: Path, wrong: dict[str, object]) -> None:
    rows = [{**CASE, "spans": [[4, 7]]}, {**CASE, "spans": [[4, 7]], **wrong}]
    (tmp_path / "en.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    with pytest.raises(DataError, match=r"en\.jsonl, line 2 is not understood"):
        read_cases(tmp_path)
