"""Keeps the vectors of inputs and references between runs, by content.

A SQLite file in the user cache: two processes may write at once, a key is a hash of the encoder's
signature and the text, the texts themselves are not stored. What cannot be read or written is
computed again: the cache never changes a score and never stops a run.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

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
        self._signature = signature.encode()
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
                    found[by_key[key]] = np.frombuffer(value, np.int8).reshape(-1, self._width)
        return found

    def write(self, vectors: Mapping[str, Vectors]) -> None:
        """Adds vectors; drops the oldest beyond the limit."""
        rows = [(self._key(text), value.tobytes()) for text, value in vectors.items()]
        with self._connection() as database:
            if database is None or not rows:
                return
            database.executemany("INSERT OR IGNORE INTO vectors (key, value) VALUES (?, ?)", rows)
            database.execute(
                "DELETE FROM vectors WHERE number <= (SELECT max(number) FROM vectors) - ?",
                (self._most_texts,),
            )

    def _key(self, text: str) -> bytes:
        return sha256(self._signature + b"\0" + text.encode("utf-8", "surrogatepass")).digest()[:16]

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection | None]:
        """An open file that is committed at the end; None where there is none to be had."""
        database = self._opened()
        try:
            yield database
            if database is not None:
                database.commit()
        except sqlite3.Error:
            self._path = None  # damaged, full or read-only: go on without
        finally:
            if database is not None:
                database.close()

    def _opened(self) -> sqlite3.Connection | None:
        if self._path is None:
            return None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(_TABLE)
        except (OSError, sqlite3.Error):
            self._path = None
            return None
        return database
