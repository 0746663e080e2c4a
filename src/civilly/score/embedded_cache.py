"""Keeps the vectors of inputs and references between runs, by content.

A SQLite file in the user cache: two processes may write at once, a key is a hash of the encoder's
signature and the text, the texts themselves are not stored. What cannot be read or written is
computed again, a value that is not what was written too, and a damaged file is begun anew: the
cache never changes a score and never stops a run.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from civilly.model.cache import cache_folder

SWITCH = "CIVILLY_SCORE_CACHE"
"""Environment variable; ``off`` turns the cache off."""
MOST_TEXTS = 20_000
"""The oldest go first; a text takes about 10 kB."""
_WAIT_SECONDS = 30.0
_TABLE = (
    "CREATE TABLE IF NOT EXISTS vectors (number INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB)"
)
_KEYS_PER_QUERY = 500
_CHECKED = b"crc32|"
"""Part of every key: a value without a checksum, of a version before, is another value."""
_CHECKSUM_BYTES = 4

Vectors = NDArray[np.int8]


def default_path() -> Path | None:
    """``scores.sqlite`` in the user cache, or None where `SWITCH` is ``off``."""
    return None if os.environ.get(SWITCH, "").lower() == "off" else cache_folder() / "scores.sqlite"


class VectorCache:
    """Token vectors by text.

    Args:
        path: The file; None: keep nothing.
        signature: What made the vectors; another signature, another key.
        width: Size of one vector.
        most_texts: The most texts to keep.
    """

    def __init__(
        self, path: Path | None, signature: str, width: int, most_texts: int = MOST_TEXTS
    ) -> None:
        self._path = path
        self._signature = _CHECKED + signature.encode()
        self._width = width
        self._most_texts = most_texts

    def read(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those texts that are there."""
        by_key = {self._key(text): text for text in texts}
        keys = list(by_key)
        found: dict[str, Vectors] = {}
        with self._connection() as database:
            for start in range(0, len(keys) if database else 0, _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, value FROM vectors WHERE key IN ({marks})"
                for key, value in database.execute(query, some) if database else ():
                    vectors = self._unpacked(value)
                    if vectors is not None:
                        found[by_key[key]] = vectors
        return found

    def write(self, vectors: Mapping[str, Vectors]) -> None:
        """Adds vectors; drops the oldest beyond the limit."""
        rows = [(self._key(text), _packed(value)) for text, value in vectors.items()]
        with self._connection() as database:
            if database is None or not rows:
                return
            database.executemany("INSERT OR REPLACE INTO vectors (key, value) VALUES (?, ?)", rows)
            database.execute(
                "DELETE FROM vectors WHERE number <= (SELECT max(number) FROM vectors) - ?",
                (self._most_texts,),
            )

    def _key(self, text: str) -> bytes:
        return sha256(self._signature + b"\0" + text.encode("utf-8", "surrogatepass")).digest()[:16]

    def _unpacked(self, value: object) -> Vectors | None:
        """The vectors of a stored value; None if it is not what was written."""
        if not isinstance(value, bytes):
            return None
        content, checksum = value[:-_CHECKSUM_BYTES], value[-_CHECKSUM_BYTES:]
        if _checksum(content) != checksum or len(content) % self._width:
            return None
        return np.frombuffer(content, np.int8).reshape(-1, self._width)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection | None]:
        """An open file that is committed at the end; None where there is none to be had."""
        database = self._opened()
        try:
            yield database
            if database is not None:
                database.commit()
        except sqlite3.Error as error:
            path, self._path = self._path, None  # full or read-only: go on without
            if path is not None and _is_damage(error):
                _begin_anew(path)
        finally:
            if database is not None:
                database.close()

    def _opened(self) -> sqlite3.Connection | None:
        if self._path is None:
            return None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return _open(self._path)
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
                _begin_anew(self._path)
                return _open(self._path)
        except (OSError, sqlite3.Error):
            self._path = None
            return None


def damage(path: Path) -> str | None:
    """What is wrong with a file of vectors; None if nothing is, or there is none."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as database:
            found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else str(found)


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(_TABLE)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _begin_anew(path: Path) -> None:
    """Removes a damaged file; a process that has it open keeps it to itself."""
    from filelock import FileLock

    with contextlib.suppress(OSError), FileLock(path.with_name(f"{path.name}.lock")):
        if damage(path) is not None:  # another process may have begun anew already
            for ending in ("", "-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # without its details
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _packed(vectors: Vectors) -> bytes:
    content = vectors.tobytes()
    return content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    return crc32(content).to_bytes(_CHECKSUM_BYTES, "little")
