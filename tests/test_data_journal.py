"""The journal takes up work where it stopped, and only work of the same kind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.journal import journal_path, open_journal
from civilly.errors import DataError

CHUNKS = [[0, 5, 6, 9], [1, 2, 3], [4, 7], [8, 10, 11]]
ROWS = sum(map(len, CHUNKS))
IDENTITY = {"input": "abc", "pipeline": {"method": "x", "options": {"a": (1, 2)}}}


def write_chunks(output: Path, count: int, **options: Any) -> dict[int, dict[str, Any]]:
    """Does up to ``count`` of the chunks that are not done, in an order of its own."""
    with open_journal(output, IDENTITY, ROWS, **options) as journal:
        left = [chunk for chunk in CHUNKS if chunk[0] not in journal.records]
        for rows in left[:count]:
            journal.append(rows, [{"row": row, "text": "\ud800é\n"} for row in rows])
        return dict(journal.records)


def test_finished_chunks_are_there_again(tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    written = write_chunks(output, 2)
    with open_journal(output, IDENTITY, ROWS, resume=True) as journal:
        assert journal.records == written
        assert sorted(journal.records) == sorted(CHUNKS[0] + CHUNKS[1])
        assert all(record["row"] == row for row, record in journal.records.items())
        journal.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 10, 150, 500])
def test_a_torn_end_is_left_out(tmp_path: Path, cut: int) -> None:
    output = tmp_path / "out.tsv"
    write_chunks(output, 2)
    content = journal_path(output).read_bytes()
    journal_path(output).write_bytes(content[:-cut])
    written = write_chunks(output, 9, resume=True)
    assert sorted(written) == list(range(ROWS))


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


def test_a_journal_of_an_older_version_is_refused_with_the_mend(tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    journal_path(output).write_text(
        '{"civilly_journal": 1, "rows": 12, "chunk_rows": 512}\n[{"text": "x"}]\n'
    )
    with pytest.raises(DataError, match=r"civilly_journal, .*differ.*--overwrite"):
        write_chunks(output, 1, resume=True)


def test_both_ways_out_are_named(tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    write_chunks(output, 1)
    with pytest.raises(DataError, match=r"--resume.*--overwrite"):
        write_chunks(output, 1)
    assert len(write_chunks(output, 1, overwrite=True)) == len(CHUNKS[0])


def test_a_finished_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "out.tsv").write_text("precious")
    with pytest.raises(DataError, match="exists"):
        write_chunks(tmp_path / "out.tsv", 1)


@given(st.data())
def test_any_altered_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Be it a key, a value, a row number or a bracket: no record is taken that was not written."""
    output = tmp_path_factory.mktemp("journal") / "out.tsv"
    write_chunks(output, 3)
    content = bytearray(journal_path(output).read_bytes())
    first = content.index(b"\n") + 1
    place = data.draw(st.integers(first, len(content) - 2))
    content[place] = data.draw(st.sampled_from([b for b in b'x7" ]\n' if b != content[place]]))
    journal_path(output).write_bytes(content)
    with pytest.raises(DataError, match=r"damaged.*--overwrite"):
        write_chunks(output, 9, resume=True)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """Whoever comes second hears of the first, not of what the first has left half done."""
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with (
            open_journal(tmp_path / "out.tsv", IDENTITY, ROWS, overwrite=True),
            pytest.raises(DataError, match="Another process"),
            open_journal(tmp_path / "out.tsv", IDENTITY, ROWS, **options),
        ):
            pass


def test_a_missing_folder_and_a_device(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mkdir -p"):
        write_chunks(tmp_path / "none" / "out.tsv", 1)
    with pytest.raises(DataError, match="not a regular file"):
        write_chunks(Path("/dev/null"), 1, overwrite=True)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_a_folder_that_takes_no_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"/proc/o\.tsv.* cannot be written"):
        write_chunks(Path("/proc/o.tsv"), 1)


@pytest.mark.parametrize("name", ["o" * 251 + ".tsv", "あ" * 82 + ".tsv"])
def test_a_name_as_long_as_can_be(tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    output.touch()  # the file system takes the name
    output.unlink()
    write_chunks(output, 2)
    other = output.with_name("p" + name[1:])
    assert journal_path(other) != journal_path(output)
    assert len(write_chunks(output, 9, resume=True)) == ROWS


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shorter name"):
        write_chunks(tmp_path / ("o" * 300 + ".tsv"), 1)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from civilly.data.journal import open_journal
from civilly.errors import DataError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    with open_journal(Path(sys.argv[1]), {}, 100) as journal:
        for row in range(100):
            journal.append([row], [{"text": "x" * 50}])
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_what_was_written_before_the_disk_was_full_is_taken_up(tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    command = [sys.executable, "-c", FULL_DISK, str(output)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "cannot be written" in result.stdout, result.stderr
    with open_journal(output, {}, 100, resume=True) as journal:
        assert 5 < len(journal.records) < 100
        assert sorted(journal.records) == list(range(len(journal.records)))
