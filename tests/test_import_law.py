"""The house keeps its order: who may import whom, how long a module may be, what stays outside."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import civilly

PACKAGE = Path(civilly.__file__).parent
LINE = [
    {"types"},
    {"errors", "registry", "languages"},
    {"data"},
    {"model", "detect", "engines"},
    {"methods"},
    {"score"},
    {"select"},
    {"arguments", "toolbox", "pipeline"},
    {"leaderboard", "serve", "batch"},
    {"cli"},
    {"__main__"},
]
SIDE_ROOMS = {"train", "synth", "interpret"}
RANK = {room: rank for rank, rooms in enumerate(LINE) for room in rooms}
FORBIDDEN = ("torch", "transformers", "peft", "accelerate", "sklearn", "scipy", "datasets")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(path: Path) -> Iterator[str]:
    """The rooms of `civilly` that a module imports anywhere in its text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "civilly" and len(parts) > 1 and not parts[1].startswith("__"):
                yield parts[1]


def breaches() -> list[str]:
    found = []
    for path in modules():
        room = room_of(path)
        for imported in imported_rooms(path):
            if room == "__init__":  # the door: it shows the pipeline and knows nothing else
                allowed = imported == "pipeline"
            elif room in SIDE_ROOMS:
                allowed = imported == room or RANK.get(imported, 99) < RANK["cli"]
            elif imported in SIDE_ROOMS:
                allowed = room == "cli"
            else:
                allowed = RANK[imported] <= RANK[room]
            if not allowed:
                found.append(f"{path.relative_to(PACKAGE)} imports {imported}")
    return found


def test_every_module_is_in_a_known_room() -> None:
    assert {room_of(path) for path in modules()} <= {*RANK, *SIDE_ROOMS, "__init__"}


def test_the_import_law() -> None:
    assert breaches() == []


def test_no_module_is_too_long() -> None:
    lengths = {str(p.relative_to(PACKAGE)): len(p.read_text().splitlines()) for p in modules()}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_every_module_says_in_one_line_what_it_is_for() -> None:
    silent = []
    for path in modules():
        documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = documentation.split("\n")[0]
        if not first.endswith(".") or len(first.split()) < 3:
            silent.append(f"{path.relative_to(PACKAGE)}: {first!r}")
    assert silent == []


def test_the_folder_listing_shows_the_way() -> None:
    assert not [path for path in modules() if path.stem in {"utils", "helpers", "common", "misc"}]
    for folder in {path.parent for path in modules()}:
        assert (folder / "__init__.py").exists()


def test_the_core_imports_without_torch() -> None:
    """Imports every module of the line in a process where torch cannot even be looked for."""
    names = [
        ".".join(["civilly", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(
            ".__init__"
        )
        for path in modules()
        if room_of(path) not in SIDE_ROOMS
    ]
    program = f"""
import importlib, json, sys
asked = []
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FORBIDDEN!r}:
            asked.append(name)
            raise ImportError(name)
sys.meta_path.insert(0, Guard())
import civilly
for name in {names!r}:
    importlib.import_module(name)
    if asked:
        print(json.dumps([name, asked]))
        break
else:
    print(json.dumps(None))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr.decode()
    assert json.loads(result.stdout) is None
