"""The user cache: where built models lie, and how one is built exactly once."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

from civilly.errors import CacheError

CACHE_VARIABLE = "CIVILLY_CACHE"
"""Environment variable that moves the cache."""


def cache_folder() -> Path:
    """The folder that holds built models: ``$CIVILLY_CACHE`` or the user's cache folder."""
    override = os.environ.get(CACHE_VARIABLE)
    return Path(override) if override else user_cache_path("civilly")


def fingerprint(*parts: str | bytes) -> str:
    """A short hash of what a built thing depends on (16 hexadecimal digits)."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


def built_once(name: str, needed_bytes: int, build: Callable[[Path], None]) -> Path:
    """The folder ``name`` of the cache, built by ``build`` if it is not there yet.

    The folder appears whole or not at all: it is built beside its place and then renamed. A second
    process that wants the same folder waits for the first.

    Args:
        name: Folder name; put a `fingerprint` of the inputs into it.
        needed_bytes: Disk space that building needs at most.
        build: Writes the content into the folder it is given.

    Raises:
        CacheError: If the cache cannot be written or the disk is full.
    """
    root = cache_folder()
    target = root / name
    if target.is_dir():
        return target
    from filelock import FileLock  # not needed once everything is built

    move = f"set {CACHE_VARIABLE} to a folder on another disk"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{name}.lock"):
            if target.is_dir():
                return target
            free = shutil.disk_usage(root).free
            if free < needed_bytes:
                raise CacheError(
                    f"The cache {root} has {free >> 20} MiB left; building the embedded model "
                    f"needs {needed_bytes >> 20} MiB.",
                    mend=move,
                )
            unfinished = root / f"{name}.building"
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                unfinished.mkdir()
                build(unfinished)
                unfinished.rename(target)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        reason = "is full" if error.errno == errno.ENOSPC else f"cannot be written ({error})"
        raise CacheError(f"The cache {root} {reason}.", mend=move) from error
    return target
