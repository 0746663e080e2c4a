"""A journal of finished chunks, so that long work can be killed and taken up again.

Next to the file that is being made, ``OUT``, lies ``OUT.partial``: its first line says what is made
from what, every further line holds the records of one finished chunk. Chunks have fixed bounds, so
the result does not depend on where the work was interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from civilly.data.files import write_error
from civilly.data.values import as_json
from civilly.errors import DataError

Record = dict[str, Any]
"""What is kept of one row; any JSON object."""

CHUNK_ROWS = 512
"""Rows per chunk: enough for batches of like length, a minute or so of work on two cores."""


def chunk_bounds(rows: int) -> list[range]:
    """The rows of each chunk."""
    return [range(start, min(start + CHUNK_ROWS, rows)) for start in range(0, rows, CHUNK_ROWS)]


class Journal:
    """The finished chunks of one output file, in order, on disk.

    Made by `open_journal`.

    Attributes:
        records: The records of all finished chunks, in the order of the rows.
    """

    def __init__(self, path: Path, file: BinaryIO, records: list[Record]) -> None:
        self._path = path
        self._file = file
        self.records = records

    def append(self, records: Sequence[Record]) -> None:
        """Adds the next chunk; on return it is safe on disk.

        Raises:
            DataError: If it cannot be written.
        """
        try:
            self._file.write(as_json(list(records)).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise write_error(self._path, error) from error
        self.records += records

    def close(self) -> None:
        """Closes the file; what was appended stays."""
        self._file.close()

    def remove(self) -> None:
        """Deletes the journal, once the output file is complete."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def journal_path(output: Path) -> Path:
    """Where the journal of an output file lies."""
    return output.with_name(output.name + ".partial")


@contextlib.contextmanager
def open_journal(
    output: Path,
    identity: Mapping[str, Any],
    rows: int,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Iterator[Journal]:
    """Opens the journal of an output file for one process at a time.

    Args:
        output: The file that is being made.
        identity: What the result depends on, by name: input, options, versions. JSON values.
        rows: How many rows the whole work has.
        resume: Take up the journal that is there.
        overwrite: Throw away the journal, and the output file, that are there.

    Raises:
        DataError: If there is a journal or an output file and neither ``resume`` nor
            ``overwrite`` says what to do with it; if the journal is of other work, damaged, or in
            use by another process; if it cannot be written.
    """
    path = journal_path(output)
    _refuse_to_surprise(output, path, resume=resume, overwrite=overwrite)
    if not path.parent.is_dir():
        raise write_error(output, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(
            f"Another process is writing {str(output)!r}.", mend="wait for it, or choose another -o"
        ) from None
    except OSError as error:
        raise write_error(output, error) from error
    try:
        with contextlib.closing(_open(path, identity, rows, resume=resume)) as journal:
            yield journal
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink(missing_ok=True)


def _refuse_to_surprise(output: Path, path: Path, *, resume: bool, overwrite: bool) -> None:
    if output.exists() and not output.is_file():
        raise DataError(
            f"{str(output)!r} is not a regular file.",
            mend="name a file, or leave -o out to write to standard output",
        )
    if overwrite or (resume and path.exists()):
        return
    if path.exists():
        raise DataError(
            f"{str(path)!r} holds unfinished work.",
            mend="--resume to go on with it, or --overwrite to begin again",
        )
    if output.exists():
        raise DataError(
            f"{str(output)!r} exists.", mend="--overwrite to replace it, or choose another -o"
        )


def _open(path: Path, identity: Mapping[str, Any], rows: int, *, resume: bool) -> Journal:
    file: BinaryIO
    header = {"civilly_journal": 1, "rows": rows, "chunk_rows": CHUNK_ROWS, **identity}
    try:
        if resume and path.exists():
            records, end = _read(path, json.loads(as_json(header)), rows)
            file = path.open("r+b")
            file.truncate(end)
            file.seek(end)
        else:
            records, end = [], 0
            file = path.open("wb")
        if end == 0:
            file.write(as_json(header).encode() + b"\n")
            file.flush()
    except OSError as error:
        raise write_error(path, error) from error
    return Journal(path, file, records)


def _read(path: Path, header: Mapping[str, Any], rows: int) -> tuple[list[Record], int]:
    """The records of the finished chunks, and where in the file they end.

    A last line that was torn by a kill is left out.
    """
    lines = path.read_bytes().split(b"\n")[:-1]
    if not lines:
        return [], 0
    found = _json(path, lines[0])
    if not isinstance(found, dict) or "civilly_journal" not in found:
        raise DataError(f"{str(path)!r} is not a journal.", mend="move it away, or --overwrite")
    different = [name for name in {**found, **header} if found.get(name) != header.get(name)]
    if different:
        raise DataError(
            f"{str(path)!r} is of other work: {', '.join(sorted(different))} differ.",
            mend="use the same input, options and version, or --overwrite to begin again",
        )
    records: list[Record] = []
    for bounds, line in zip(chunk_bounds(rows), lines[1:], strict=False):
        chunk = _json(path, line)
        if not isinstance(chunk, list) or len(chunk) != len(bounds):
            raise _damaged(path)
        records += chunk
    return records, sum(len(line) + 1 for line in lines)


def _json(path: Path, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise _damaged(path) from None


def _damaged(path: Path) -> DataError:
    return DataError(f"{str(path)!r} is damaged.", mend="--overwrite to begin again")
