"""The door of the package works whatever was imported before, and so does all documented Python."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import civilly
from conftest import REPOSITORY

PACKAGE = Path(civilly.__file__).parent
IMPORTS = [
    "import civilly.methods.delete",
    "import civilly.pipeline",
    "from civilly import pipeline",
    "import civilly; civilly.Detoxifier('delete').rewrite(['this fucking day'])",
    "from civilly import rewrite; assert rewrite('this fucking day', 'en', 'delete') == 'this day'",
    "from civilly import *; assert rewrite('this fucking day', 'en', 'delete') == 'this day'",
    "import civilly.cli.rewrite, civilly.cli",
    "import importlib, civilly; importlib.reload(civilly)",
    "import importlib, civilly.pipeline; importlib.reload(civilly.pipeline)",
    "import importlib, civilly.methods; importlib.reload(civilly.methods)",
    "from civilly import registry; registry.entries('methods')",
    "try:\n    import civilly.rewrite\nexcept ImportError:\n    pass",
    "try:\n    from civilly.rewrite.delete import create\nexcept ImportError:\n    pass",
]
TWICE = """
import civilly
for _ in range(2):
    assert civilly.rewrite("this fucking day", "en", "delete") == "this day", civilly.rewrite
    from civilly import rewrite
    assert rewrite("this fucking day", lang="en", method="delete") == "this day", rewrite
    assert rewrite is civilly.rewrite is civilly.pipeline.rewrite
"""


def run(program: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program in a fresh process, with folders on its path."""
    known = [str(path) for path in (*paths, *map(Path, sys.path)) if str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(known), "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, encoding="utf-8", timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("before", IMPORTS)
def test_the_function_is_callable_whatever_was_imported_before(before: str) -> None:
    done = run(before + TWICE)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("order", [1, -1])
def test_the_function_is_callable_after_all_of_it(order: int) -> None:
    done = run("".join(f"\n{before}{TWICE}" for before in IMPORTS[::order]))
    assert done.returncode == 0, done.stderr


def test_a_folder_that_an_older_version_left_does_no_harm(tmp_path: Path) -> None:
    stale = tmp_path / "rewrite" / "__pycache__"
    stale.mkdir(parents=True)
    (stale / "delete.cpython-311.pyc").write_bytes(b"old")
    program = f"import civilly; civilly.__path__.append({str(tmp_path)!r})\n"
    done = run(program + "\n".join(IMPORTS) + TWICE)
    assert done.returncode == 0, done.stderr


def test_what_the_package_offers_is_listed() -> None:
    assert set(civilly.__all__) <= set(dir(civilly))
    assert all(getattr(civilly, name) is not None for name in civilly.__all__)
    with pytest.raises(AttributeError, match="no attribute 'detoxify'"):
        _ = civilly.detoxify


def blocks() -> Iterator[tuple[str, str]]:
    """Python in the documents and in docstrings, with where it stands."""
    documents = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]
    texts = [(path, path.read_text(encoding="utf-8")) for path in documents]
    for path in PACKAGE.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        texts += [
            (path, ast.get_docstring(node) or "") for node in nodes if isinstance(node, kinds)
        ]
    for path, text in texts:
        for found in re.findall(r"^```(?:python|py)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            yield path.name, found
        sessions = re.findall(r"(?:^ *(?:>>>|\.\.\.) .*\n?)+", text, re.MULTILINE)
        yield from ((path.name, re.sub(r"^ *(>>>|\.\.\.) ", "", s, flags=re.M)) for s in sessions)


ASKS_A_SERVER = "serve.md"
"""The page whose Python is run beside a server, in `test_docs_serve`."""
BLOCKS = [(name, code) for name, code in blocks() if name != ASKS_A_SERVER]


def test_the_documents_show_python() -> None:
    assert {"README.md", "CONTRIBUTING.md"} <= {name for name, _ in BLOCKS}


def groups(statements: list[ast.stmt]) -> list[list[ast.stmt]]:
    """Statements, those together that need what another one has named."""
    made: list[tuple[set[str], list[ast.stmt]]] = []
    for statement in statements:
        nodes = list(ast.walk(statement))
        names = [each for each in nodes if isinstance(each, ast.Name)]
        bound = {each.id for each in names if isinstance(each.ctx, ast.Store)}
        bound |= {each.name for each in nodes if isinstance(each, ast.ClassDef | ast.FunctionDef)}
        for known, group in made:
            if known & {each.id for each in names}:
                known |= bound
                group.append(statement)
                break
        else:
            made.append((bound, [statement]))
    return [group for _, group in made]


@pytest.mark.parametrize("order", [1, -1], ids=["down", "up"])
@pytest.mark.parametrize(("name", "code"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_documented_python_runs_twice_and_in_any_order(name: str, code: str, order: int) -> None:
    statements = ast.parse(code).body
    imports = [each for each in statements if isinstance(each, ast.Import | ast.ImportFrom)]
    others = groups([each for each in statements if each not in imports])
    lines = [*imports, *(each for group in others[::order] * 2 for each in group)]
    done = run("\n".join(map(ast.unparse, lines)))
    assert done.returncode == 0, done.stderr


def test_statements_stay_together_where_one_needs_the_other() -> None:
    found = groups(ast.parse("a = 1\nprint(2)\nb = a\nprint(b)\nprint(3)").body)
    shown = [[ast.unparse(each) for each in group] for group in found]
    assert shown == [["a = 1", "b = a", "print(b)"], ["print(2)"], ["print(3)"]]
