"""Whoever checks types strictly knows what the public API gives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import civilly

pytest.importorskip("mypy")

PROGRAM = """
from pathlib import Path
import civilly
from civilly import Detoxifier, rewrite
from civilly.errors import CivillyError

detoxifier = Detoxifier(adapter=Path("folder"), options={"decoding": "sample"})
reveal_type(civilly.rewrite("x"))
reveal_type(rewrite("x", lang="en", method="delete"))
reveal_type(civilly.Detoxifier().rewrite(["x"]))
reveal_type([result.rewritten for result in detoxifier.rewrite(("x", "y"), ["en", "auto"])])
reveal_type(detoxifier.rewrite((line for line in "x"), langs=(code for code in ["en"])))
reveal_type(civilly.__version__)
"""
TYPES = [
    "str", "str", "list[civilly.types.Rewrite]", "list[str]", "list[civilly.types.Rewrite]", "str",
]  # fmt: skip
WRONG = """
import civilly

civilly.rewrite(["x"])
civilly.Detoxifier().rewrite([1])
civilly.Detoxifier().rewrite(None)
civilly.Detoxifier(n_candidates="3")
civilly.detoxify("x")
"""


def checked(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(program, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "program.py"],
        cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "MYPYPATH": str(Path(civilly.__file__).parent.parent)},
    )  # fmt: skip


def test_right_use_passes_and_its_types_are_known(tmp_path: Path) -> None:
    done = checked(PROGRAM, tmp_path)
    assert done.returncode == 0, done.stdout
    assert re.findall(r'Revealed type is "(.*)"', done.stdout.replace("builtins.", "")) == TYPES


def test_wrong_use_is_found(tmp_path: Path) -> None:
    done = checked(WRONG, tmp_path)
    assert re.findall(r"program.py:(\d+): error", done.stdout) == ["4", "5", "6", "7", "8"]


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(civilly.__file__).parent / "py.typed").exists()
