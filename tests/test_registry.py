"""Methods of other packages are found by their entry points, and broken ones break nothing else."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from civilly import registry
from civilly.cli import app
from civilly.errors import CivillyError, UnknownNameError
from test_api import run

METHOD = '''"""Says hello instead."""

from civilly.types import Candidate


class Hello:
    def rewrite(self, texts, detections, n=1):
        return [[Candidate("Hello.", "hello")] for _ in texts]


def create(tools):
    return Hello()
'''


def install(folder: Path, package: str, groups: dict[str, dict[str, str]], source: str) -> None:
    """Installs a distribution of one module as an installer would leave it."""
    (folder / f"{package}.py").write_text(source, encoding="utf-8")
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    sections = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in groups.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(sections))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    importlib.invalidate_caches()
    yield tmp_path
    for name in set(sys.modules) - known:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def test_a_package_with_the_old_group_works_with_a_warning(tmp_path: Path) -> None:
    install(tmp_path, "elder", {"civilly.rewrite": {"elder": "elder"}}, METHOD)
    program = """
import civilly
(result,) = civilly.Detoxifier("elder").rewrite(["You fucking idiot, go away."], "en")
print(*(candidate.text for candidate, _ in result.candidates if candidate.method == "hello"))
"""
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout) == (0, "Hello.\n"), done.stderr
    assert "DeprecationWarning" not in done.stderr  # a user can do nothing about it
    listed = run(
        "import sys; sys.argv[1:] = ['ls', 'methods']; import civilly.cli; civilly.cli.main()",
        tmp_path,
    )
    assert re.search("^elder +Says hello instead.", listed.stdout, re.MULTILINE), listed.stderr
    done = run("import warnings; warnings.simplefilter('error')" + program, tmp_path)
    assert "DeprecationWarning" in done.stderr
    assert "'civilly.rewrite' is now called 'civilly.methods'" in done.stderr
    assert "'elder' = 'elder'" in done.stderr


def test_a_package_with_the_new_group_works_without(site: Path) -> None:
    install(site, "newer", {"civilly.methods": {"newer": "newer"}}, METHOD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.load("methods", "newer").create(None)
    listed = CliRunner().invoke(app, ["ls", "methods"]).stdout
    assert "newer" in listed
    assert "Says hello instead." in listed


def test_a_package_may_serve_old_and_new_versions_by_both_groups(site: Path) -> None:
    groups = {"civilly.rewrite": {"both": "both"}, "civilly.methods": {"both": "both"}}
    install(site, "both", groups, METHOD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = [entry.name for entry in registry.entries("methods")]
    assert names.count("both") == 1


def test_the_old_group_may_not_take_a_name_that_is_taken(site: Path) -> None:
    install(site, "thief", {"civilly.rewrite": {"delete": "thief"}}, METHOD)
    with pytest.warns(DeprecationWarning), pytest.raises(CivillyError, match="uninstall 'thief'"):
        registry.entries("methods")


@pytest.mark.parametrize(
    ("source", "value", "words"),
    [
        ("import nowhere_to_be_found\n\n\ndef create(tools): ...\n", "broken", "nowhere_to"),
        ("def create(tools:\n", "broken", "SyntaxError"),
        ("raise RuntimeError('no licence')\n", "broken", "no licence"),
        ("", "broken.sub.module", "ModuleNotFoundError"),
        ("", "gone", "ModuleNotFoundError"),
        ("", "broken", "no function create"),
    ],
)
def test_a_broken_package_is_named_and_breaks_nothing_else(
    site: Path, source: str, value: str, words: str
) -> None:
    install(site, "broken", {"civilly.methods": {"shaky": value}}, source)
    assert {"delete", "shaky", "tuned"} <= {entry.name for entry in registry.entries("methods")}
    with pytest.raises(UnknownNameError, match="did you mean 'delete'"):
        registry.load("methods", "delet")
    with pytest.raises(CivillyError, match=f"'shaky' of 'broken' .*{words}.*uninstall 'broken'"):
        registry.create("methods", "shaky", None)
