"""The seal of a build: size, time and SHA-256 of each file, so that later damage is noticed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

SEAL = "seal.json"
"""The file with the sizes, times and hashes of the others; written last."""


def put_seal(folder: Path) -> None:
    """Notes what the files of a finished build are like."""
    _write(
        folder,
        {
            path.relative_to(folder).as_posix(): _Facts(
                path.stat().st_size, path.stat().st_mtime_ns, _digest(path)
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    )


def is_sealed(folder: Path) -> bool:
    """Whether a build has a seal; those of earlier versions have none."""
    return (folder / SEAL).exists()


def break_seal(folder: Path) -> None:
    """Makes a build count as damaged from now on; does nothing where nothing may be written."""
    with suppress(OSError):
        (folder / SEAL).unlink(missing_ok=True)


def damage(folder: Path, thorough: bool = False) -> str | None:
    """What of a build is not as it was written; None if it is sound.

    Sizes and times are always compared. The hash is computed of a file whose time has changed, as
    it does when somebody writes to it or copies it, and of every file if ``thorough``.

    Args:
        folder: The build.
        thorough: Whether to hash every file, which takes a second for 300 MB.
    """
    known = _read(folder)
    if known is None:
        return f"{SEAL} is missing or damaged"
    seen = dict(known)
    for name, facts in known.items():
        path = folder / name
        try:
            found = path.stat()
            if found.st_size != facts.size:
                return f"{name} has {found.st_size:,} bytes in place of {facts.size:,}"
            unlike = thorough or found.st_mtime_ns != facts.time
            if unlike and _digest(path) != facts.sha256:
                return f"{name} has other content than was written"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror or error})"
        seen[name] = replace(facts, time=found.st_mtime_ns)
    if seen != known:  # copied, not damaged: next time it need not be hashed
        with suppress(OSError):
            _write(folder, seen)
    return None


@dataclass(frozen=True, slots=True)
class _Facts:
    size: int
    time: int
    sha256: str


def _read(folder: Path) -> dict[str, _Facts] | None:
    """The facts by file name; None where there is no readable seal."""
    try:
        files = json.loads((folder / SEAL).read_bytes())
        return {
            str(name): _Facts(int(of["size"]), int(of["time"]), str(of["sha256"]))
            for name, of in files.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(folder: Path, files: Mapping[str, _Facts]) -> None:
    """Writes the seal whole or not at all: another process may be reading it."""
    written = folder / f"{SEAL}.{os.getpid()}"
    content = json.dumps({name: asdict(facts) for name, facts in files.items()}, indent=1)
    try:
        written.write_text(content, "utf-8")
        written.replace(folder / SEAL)
    finally:
        written.unlink(missing_ok=True)
