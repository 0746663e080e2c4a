"""The user cache: where built models lie, and how one is built exactly once."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from civilly.errors import CacheError

CACHE_VARIABLE = "CIVILLY_CACHE"
"""Environment variable that moves the cache."""
KEPT_BUILDS = 2
"""So many builds of a kind, those used last, are never stale."""
STALE_AFTER = 24 * 3600
"""Seconds without use after which another build of the same kind is removed."""
_UNFINISHED = ".building"


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


def built(name: str) -> Path | None:
    """The folder ``name`` of the cache if it is there; it counts as used now."""
    target = cache_folder() / name
    try:
        os.utime(target)
    except FileNotFoundError:
        return None
    except OSError:  # a cache that may only be read
        return target if target.is_dir() else None
    return target


def built_once(name: str, needed_bytes: int, build: Callable[[Path], None]) -> Path:
    """The folder ``name`` of the cache, built by ``build`` if it is not there yet.

    The folder appears whole or not at all: it is built beside its place and then renamed. A second
    process that wants the same folder waits for the first. After a build, stale ones of the same
    kind are removed: all but the `KEPT_BUILDS` used last and those used within `STALE_AFTER`.

    Args:
        name: Folder name, ``KIND-FINGERPRINT``, with a `fingerprint` of the inputs.
        needed_bytes: Disk space that building needs at most.
        build: Writes the content into the folder it is given.

    Raises:
        CacheError: If the cache cannot be written or the disk is full.
    """
    root = cache_folder()
    target = root / name
    if built(name):
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
            unfinished = root / f"{name}{_UNFINISHED}"
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                unfinished.mkdir()
                build(unfinished)
                unfinished.rename(target)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
            with suppress(OSError):
                _remove_stale(root, name.rpartition("-")[0])
    except OSError as error:
        reason = "is full" if error.errno == errno.ENOSPC else f"cannot be written ({error})"
        raise CacheError(f"The cache {root} {reason}.", mend=move) from error
    return target


def _remove_stale(root: Path, kind: str) -> None:
    """Removes old builds of a kind, and what was left of builds that were killed."""
    now = time.time()
    finished: list[tuple[float, Path]] = []
    for folder in root.glob(f"{kind}-*"):
        if folder.name.endswith(_UNFINISHED):
            _remove(folder, folder.name.removesuffix(_UNFINISHED))
        elif folder.is_dir():
            finished.append((folder.stat().st_mtime, folder))
    finished.sort(reverse=True)
    for used, folder in finished[KEPT_BUILDS:]:
        if now - used > STALE_AFTER:
            _remove(folder, folder.name)


def _remove(folder: Path, name: str) -> None:
    """Removes a folder of the build ``name`` unless another process is at work on that build.

    A process that has loaded the model already keeps what it has read.
    """
    from filelock import FileLock, Timeout

    with suppress(OSError, Timeout), FileLock(folder.with_name(f"{name}.lock"), timeout=0):
        # Renamed first: nobody may find it half removed, and a killed removal is finished later.
        unfinished = folder.rename(folder.with_name(f"{name}{_UNFINISHED}"))
        shutil.rmtree(unfinished, ignore_errors=True)
