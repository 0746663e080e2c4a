"""Every error of these rooms says what is allowed or what to do: read off the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import civilly

ROOT = Path(civilly.__file__).parent
ERRORS = {"CivillyError", "DataError", "ModelError", "CacheError", "EngineError", "LeakError"}
ROOMS = ("score", "leaderboard", "engines", "model")
VERBS = ("score", "compare", "agreement", "leaderboard", "doctor", "_scoring", "_checkup")


def raised(path: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8")))
             if isinstance(node, ast.Call)]  # fmt: skip
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ERRORS]


@pytest.mark.parametrize("room", [*ROOMS, "cli"])
def test_every_error_has_a_mend_or_says_what_is_allowed(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    if room == "cli":
        files = [file for file in files if file.stem in VERBS]
    found = [(file, call) for file in files for call in raised(file)]
    assert found
    silent = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file, call in found
        if not {"mend", "allowed"} & {str(keyword.arg) for keyword in call.keywords}
    ]
    assert silent == []
