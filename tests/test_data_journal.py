"""The journal takes up work where it stopped, and only work of the same kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.journal import CHUNK_ROWS, chunk_bounds, journal_path, open_journal
from civilly.errors import DataError

ROWS = 3 * CHUNK_ROWS + 5
IDENTITY = {"input": "abc", "pipeline": {"method": "x", "options": {"a": (1, 2)}}}


def write_chunks(output: Path, count: int, **options: Any) -> list[dict[str, Any]]:
    with open_journal(output, IDENTITY, ROWS, **options) as journal:
        for bounds in chunk_bounds(ROWS)[len(journal.records) // CHUNK_ROWS :][:count]:
            journal.append([{"row": row, "text": "\ud800é\n"} for row in bounds])
        return list(journal.records)


@given(st.integers(0, 1000))
def test_chunks_cover_every_row_once(rows: int) -> None:
    assert [row for bounds in chunk_bounds(rows) for row in bounds] == list(range(rows))


def test_finished_chunks_are_there_again(tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    written = write_chunks(output, 2)
    with open_journal(output, IDENTITY, ROWS, resume=True) as journal:
        assert journal.records == written
        assert [record["row"] for record in journal.records] == list(range(2 * CHUNK_ROWS))
        journal.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 10, 400, 5000])
def test_a_torn_end_is_left_out(tmp_path: Path, cut: int) -> None:
    output = tmp_path / "out.tsv"
    write_chunks(output, 2)
    content = journal_path(output).read_bytes()
    journal_path(output).write_bytes(content[:-cut])
    written = write_chunks(output, 9, resume=True)
    assert [record["row"] for record in written] == list(range(ROWS))


def test_an_empty_journal_is_begun_again(tmp_path: Path) -> None:
    journal_path(tmp_path / "out.tsv").write_bytes(b"")
    assert len(write_chunks(tmp_path / "out.tsv", 9, resume=True)) == ROWS


def test_other_work_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    write_chunks(output, 1)
    other = {**IDENTITY, "input": "another", "version": 2}
    with (
        pytest.raises(DataError, match=r"input, version differ.*--overwrite"),
        open_journal(output, other, ROWS, resume=True),
    ):
        pass
    with (
        pytest.raises(DataError, match="rows differ"),
        open_journal(output, IDENTITY, ROWS + 1, resume=True),
    ):
        pass


def test_both_ways_out_are_named(tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    write_chunks(output, 1)
    with pytest.raises(DataError, match=r"--resume.*--overwrite"):
        write_chunks(output, 1)
    assert len(write_chunks(output, 1, overwrite=True)) == CHUNK_ROWS


def test_a_finished_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "out.tsv").write_text("precious")
    with pytest.raises(DataError, match="exists"):
        write_chunks(tmp_path / "out.tsv", 1)


def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    write_chunks(output, 3)
    lines = journal_path(output).read_bytes().split(b"\n")
    lines[2] = lines[2][:-30]
    journal_path(output).write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match="damaged"):
        write_chunks(output, 1, resume=True)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        open_journal(tmp_path / "out.tsv", IDENTITY, ROWS),
        pytest.raises(DataError, match="Another process"),
        open_journal(tmp_path / "out.tsv", IDENTITY, ROWS, overwrite=True),
    ):
        pass


def test_a_missing_folder_and_a_device(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mkdir -p"):
        write_chunks(tmp_path / "none" / "out.tsv", 1)
    with pytest.raises(DataError, match="not a regular file"):
        write_chunks(Path("/dev/null"), 1, overwrite=True)
