"""A journal of finished chunks, so that long work can be killed and taken up again.

Next to the file that is being made, ``OUT``, lies ``OUT.partial``: its first line says what is made
from what, every further line holds a checksum, the numbers of the rows of one finished chunk, and
their records. What is not there is still to do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from civilly.data.files import check_writable, write_error
from civilly.data.values import as_json
from civilly.errors import DataError

Record = dict[str, Any]
"""What is kept of one row; any JSON object."""

VERSION = 2
LONGEST_NAME = 255
"""Bytes that the name of a file may have on the usual file systems."""
_SUFFIX, _LOCK = ".partial", ".lock"


class Journal:
    """The finished chunks of one output file, on disk.

    Made by `open_journal`.

    Attributes:
        records: The records of all finished rows, by row number.
    """

    def __init__(self, path: Path, file: BinaryIO, records: dict[int, Record]) -> None:
        self._path = path
        self._file = file
        self.records = records

    def append(self, rows: Sequence[int], records: Sequence[Record]) -> None:
        """Adds a chunk; on return it is safe on disk.

        Args:
            rows: Numbers of the rows, none of which was there before.
            records: Their records, in that order.

        Raises:
            DataError: If it cannot be written.
        """
        content = as_json([list(rows), list(records)]).encode()
        try:
            self._file.write(_checksum(content) + b" " + content + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise write_error(self._path, error) from error
        self.records.update(zip(rows, records, strict=True))

    def close(self) -> None:
        """Closes the file; what was appended stays."""
        # What could not be written cannot be written now either.
        with contextlib.suppress(OSError):
            self._file.close()

    def remove(self) -> None:
        """Deletes the journal, once the output file is complete."""
        self.close()
        self._path.unlink(missing_ok=True)


def journal_path(output: Path) -> Path:
    """Where the journal of an output file lies; a name that is too long for it is shortened."""
    name = output.name
    if len(os.fsencode(name + _SUFFIX + _LOCK)) > LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        name = f"{os.fsencode(name)[:160].decode(errors='ignore')}.{digest}"
    return output.with_name(name + _SUFFIX)


@contextlib.contextmanager
def open_journal(
    output: Path,
    identity: Mapping[str, Any],
    rows: int,
    *,
    resume: bool = False,
    overwrite: bool = False,
    patience: float = 0.0,
) -> Iterator[Journal]:
    """Opens the journal of an output file for one process at a time.

    Args:
        output: The file that is being made.
        identity: What the result depends on, by name: input, options, versions. JSON values.
        rows: How many rows the whole work has.
        resume: Take up the journal that is there.
        overwrite: Throw away the output file that is there, and the journal unless ``resume``.
        patience: Seconds to wait for another process that is writing the file.

    Raises:
        DataError: If there is a journal or an output file and neither ``resume`` nor
            ``overwrite`` says what to do with it; if the journal is of other work, damaged, or in
            use by another process; if it cannot be written.
    """
    path = journal_path(output)
    check_writable(output)
    if output.exists() and not output.is_file():
        raise DataError(
            f"{str(output)!r} is not a regular file.",
            mend="name a file, or leave -o out to write to standard output",
        )
    lock = FileLock(path.with_name(path.name + _LOCK))
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise DataError(
            f"Another process is writing {str(output)!r}.", mend="wait for it, or choose another -o"
        ) from None
    except OSError as error:
        raise write_error(output, error) from error
    try:
        # Only now: before, what lies there may be the work of a process that is still at it.
        _refuse_to_surprise(output, path, resume=resume, overwrite=overwrite)
        with contextlib.closing(_open(path, identity, rows, resume=resume)) as journal:
            yield journal
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink(missing_ok=True)


def _refuse_to_surprise(output: Path, path: Path, *, resume: bool, overwrite: bool) -> None:
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
    header = {"civilly_journal": VERSION, "rows": rows, **identity}
    records: dict[int, Record] = {}
    try:
        if resume and path.exists():
            records, end = _read(path, json.loads(as_json(header)), rows)
            file = path.open("r+b")
            file.truncate(end)
            file.seek(end)
        else:
            end = 0
            file = path.open("wb")
        if end == 0:
            file.write(as_json(header).encode() + b"\n")
            file.flush()
    except OSError as error:
        raise write_error(path, error) from error
    return Journal(path, file, records)


def _read(path: Path, header: Mapping[str, Any], rows: int) -> tuple[dict[int, Record], int]:
    """The records of the finished chunks, and where in the file they end.

    A last line that was torn by a kill is left out.
    """
    lines = path.read_bytes().split(b"\n")[:-1]
    if not lines:
        return {}, 0
    try:
        found = json.loads(lines[0])
    except ValueError:
        found = None
    if not isinstance(found, dict) or "civilly_journal" not in found:
        raise DataError(f"{str(path)!r} is not a journal.", mend="move it away, or --overwrite")
    different = [name for name in {**found, **header} if found.get(name) != header.get(name)]
    if different:
        raise DataError(
            f"{str(path)!r} is of other work: {', '.join(sorted(different))} differ.",
            mend="use the same input, options and version, or --overwrite to begin again",
        )
    records: dict[int, Record] = {}
    for line in lines[1:]:
        checksum, _, content = line.partition(b" ")
        if checksum != _checksum(content):
            raise DataError(f"{str(path)!r} is damaged.", mend="--overwrite to begin again")
        records.update(zip(*json.loads(content), strict=True))
    return records, sum(len(line) + 1 for line in lines)


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest()[:16].encode()
