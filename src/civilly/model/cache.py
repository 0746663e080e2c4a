"""The user cache: where built models lie, how one is built exactly once, and anew if damaged."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from platformdirs import user_cache_path

from civilly.errors import CacheError, CivillyError, ModelError
from civilly.model.seal import SEAL, break_seal, damage, put_seal

CACHE_VARIABLE = "CIVILLY_CACHE"
"""Environment variable that moves the cache."""
KEPT_BUILDS = 2
"""So many builds of a kind, those used last, are never stale."""
STALE_AFTER = 24 * 3600
"""Seconds without use after which another build of the same kind is removed."""
_UNFINISHED = ".building"
_DAMAGED = ".damaged"
_Loaded = TypeVar("_Loaded")


def cache_folder() -> Path:
    """The folder that holds built models: ``$CIVILLY_CACHE`` or the user's cache folder."""
    override = os.environ.get(CACHE_VARIABLE)
    return Path(override) if override else user_cache_path("civilly")


def builds() -> list[Path]:
    """The folders of all builds in the cache, sound or not, by name; not those under way."""
    root = cache_folder()
    found = root.iterdir() if root.is_dir() else ()
    return sorted(p for p in found if p.is_dir() and p.suffix not in (_UNFINISHED, _DAMAGED))


def leftovers() -> list[Path]:
    """What killed builds have left in the cache, and what builds under way write now."""
    root = cache_folder()
    return sorted(p for p in (root.iterdir() if root.is_dir() else ())
                  if p.suffix in (_UNFINISHED, _DAMAGED))  # fmt: skip


def fingerprint(*parts: str | bytes) -> str:
    """A short hash of what a built thing depends on (16 hexadecimal digits)."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


def built(name: str) -> Path | None:
    """The folder ``name`` of the cache if it is there and sound; it counts as used now."""
    target = cache_folder() / name
    if not target.is_dir() or damage(target) is not None:
        return None
    with suppress(OSError):  # a cache that may only be read
        os.utime(target)
    return target


def built_once(name: str, needed_bytes: int, build: Callable[[Path], None]) -> Path:
    """The folder ``name`` of the cache, built by ``build`` if it is not there yet, or damaged.

    The folder appears whole or not at all: it is built beside its place and then renamed. A second
    process that wants the same folder waits for the first. A damaged one stays until the new one is
    finished; a process that has its files open keeps them. After a build, stale ones of the same
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

    harm = None
    move = f"set {CACHE_VARIABLE} to a folder on another disk"
    try:
        harm = damage(target) if target.exists() else None
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{name}.lock"):
            if built(name):
                return target
            free = shutil.disk_usage(root).free
            if free < needed_bytes:
                raise CacheError(
                    f"The cache {root} has {free >> 20} MiB left; building its part "
                    f"{name.rpartition('-')[0]!r} needs {needed_bytes >> 20} MiB.",
                    mend=move,
                )
            if harm:
                _tell(f"{name} in the cache is damaged ({harm}): it is built anew")
            unfinished = root / f"{name}{_UNFINISHED}"
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                unfinished.mkdir()
                build(unfinished)
                put_seal(unfinished)
                _put(unfinished, target)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
            with suppress(OSError):
                _remove_stale(root, name.rpartition("-")[0])
    except OSError as error:
        reason = "is full" if error.errno == errno.ENOSPC else f"cannot be written ({error})"
        if harm:
            raise CacheError(
                f"{target} is damaged ({harm}), and the cache {reason}.",
                mend=f"let {root} be written, or set {CACHE_VARIABLE} to a folder that can be: "
                "it is built anew there",
            ) from error
        raise CacheError(f"The cache {root} {reason}.", mend=move) from error
    return target


def loaded(obtain: Callable[[], Path], load: Callable[[Path], _Loaded]) -> _Loaded:
    """What ``load`` makes of a build.

    Where that fails, the files are checked in full: damage that left sizes and times as they were
    makes the build count as damaged, and ``obtain`` builds it anew.

    Args:
        obtain: Gives the folder; best a function that builds it where it must.
        load: Reads it.

    Raises:
        ModelError: If it cannot be loaded; it says how to have it built anew.
    """
    folder = obtain()
    try:
        return load(folder)
    except CivillyError:
        raise
    except Exception:  # the libraries raise everything from OSError to their own kinds
        if (folder / SEAL).exists() and damage(folder, thorough=True):
            break_seal(folder)
    folder = obtain()  # another process may have put it in place anew meanwhile
    try:
        return load(folder)
    except CivillyError:
        raise
    except Exception as error:
        harm = damage(folder)
        raise ModelError(
            f"{folder} cannot be loaded{f': {harm}' if harm else ''} ({error}).",
            mend="the same command again, which builds it anew"
            if harm
            else f"delete {folder}, which is built again when it is needed; or civilly doctor",
        ) from error


def _tell(message: str) -> None:
    print(f"civilly: {message}", file=sys.stderr)  # noqa: T201 - the user waits for it


def _put(finished: Path, target: Path) -> None:
    """Puts a finished build in its place, and removes the damaged one that is there.

    Whoever has opened files of the damaged one can go on reading them.
    """
    damaged = target.with_name(f"{target.name}{_DAMAGED}")
    if target.is_symlink() or target.exists():
        _delete(damaged)
        target.rename(damaged)
    finished.rename(target)
    _delete(damaged)


def _delete(path: Path) -> None:
    """Removes a folder, or whatever stands in its place, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _remove_stale(root: Path, kind: str) -> None:
    """Removes old builds of a kind, and what was left of builds that were killed."""
    now = time.time()
    finished: list[tuple[float, Path]] = []
    for folder in root.glob(f"{kind}-*"):
        ending = folder.suffix if folder.suffix in (_UNFINISHED, _DAMAGED) else ""
        if ending:
            _remove(folder, folder.name.removesuffix(ending))
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
        _delete(folder.rename(folder.with_name(f"{name}{_UNFINISHED}")))
