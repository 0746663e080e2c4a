"""The example in CONTRIBUTING.md works as it stands: one file is one more rewriting method."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import civilly.methods
from civilly import registry
from civilly.types import Detection, Span, Text
from conftest import REPOSITORY


@pytest.fixture
def method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Adds the example's file to the room of rewriting methods; the name of the method."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"`src/civilly/methods/(\w+)\.py`.*?```python\n(.*?)```", text, re.DOTALL)
    assert found is not None, "CONTRIBUTING.md names a file and shows its content"
    name, source = found.groups()
    assert name not in {entry.name for entry in registry.entries("methods")}
    (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(civilly.methods, "__path__", [*civilly.methods.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"civilly.methods.{name}", raising=False)
    importlib.invalidate_caches()
    return name


def test_the_registry_and_the_command_line_offer_it(method: str) -> None:
    from civilly.cli import app
    from civilly.cli.rewrite import complete_method

    assert method in {entry.name for entry in registry.entries("methods")}
    listed = CliRunner().invoke(app, ["ls", "methods"]).stdout
    assert re.search(rf"^{method} +Masks toxic words", listed, re.MULTILINE)
    assert complete_method(method[:2]) == [
        (method, "Masks toxic words but for their first letter.")
    ]


def test_it_does_what_it_says(method: str) -> None:
    class Tools:
        options = {"character": "#"}  # noqa: RUF012

    rewriter = registry.create("methods", method, Tools())
    texts = [Text("you stupid fool", "en"), Text("good morning", "en")]
    detections = [Detection(0.9, (Span(4, 10), Span(11, 15))), Detection(0.0)]
    masked, untouched = rewriter.rewrite(texts, detections)
    assert [candidate.text for candidate in masked] == ["you s##### f###"]
    assert untouched == []


def test_the_pipeline_runs_it(method: str) -> None:
    pipeline = pytest.importorskip("civilly.pipeline")
    text = "You are a stupid fucking idiot, shut up."
    (result,) = pipeline.Detoxifier(method=method).rewrite([text], "en")
    assert result.text == text
    assert result.after.p_toxic <= result.before.p_toxic
    assert any(candidate.method == method for candidate, _ in result.candidates)
