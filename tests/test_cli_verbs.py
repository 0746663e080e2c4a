"""The other verbs: detect, train, ls, doctor, version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from civilly import registry
from civilly.cli import app
from civilly.errors import CivillyError, LeakError
from civilly.languages import CODES
from civilly.types import Detection, Text
from fake_pipeline import detect, modules


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if isinstance(result.exception, CivillyError):
        raise result.exception
    return result


@pytest.fixture
def _fake_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    class Detector:
        def detect(self, texts: list[Text]) -> list[Detection]:
            return [detect(text.text) for text in texts]

    monkeypatch.setattr(registry, "create", lambda room, name, tools: Detector())
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("_fake_detector")
def test_detect_prints_probability_language_and_text() -> None:
    assert run("detect", "the damn\tbus").stdout == "0.900\ten\tthe damn bus\n"
    found = json.loads(run("detect", "привет damn", "--json").stdout)
    assert found["spans"] == [{"start": 7, "end": 11, "score": 1.0, "text": "damn"}]
    assert found["lang"] == "ru"


@pytest.mark.usefixtures("_fake_detector")
def test_detect_writes_a_file(tmp_path: Path) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out.tsv"
    source.write_text("damn\n\nfine\n")
    run("detect", source, "-o", output)
    lines = output.read_text().splitlines()
    assert lines[0] == "text\tlang\tp_toxic\tspans\tflags"
    assert [line.split("\t")[2] for line in lines[1:]] == ["0.9", "0.1", "0.1"]
    with pytest.raises(CivillyError, match="--overwrite"):
        run("detect", source, "-o", output)
    with pytest.raises(CivillyError, match="plain lines"):
        run("detect", source, "-o", tmp_path / "out.txt")


def fake_training(calls: list[Any], name: str) -> Callable[..., None]:
    def training(*arguments: Any, **options: Any) -> None:
        calls.append((name, *arguments, options))

    return training


def test_train_calls_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    for module, name in (
        ("sft", "train_sft"),
        ("fim.run", "train_fim"),
        ("prefer.run", "train_prefer"),
        ("detector", "train_detector"),
        ("language", "train_language"),
        ("vocabulary", "write_vocabulary"),
    ):
        made = ModuleType(f"civilly.train.{module}")
        setattr(made, name, fake_training(calls, name))
        monkeypatch.setitem(sys.modules, made.__name__, made)
    recipe, out = tmp_path / "r.toml", Path("runs/x")
    recipe.write_text("seed = 3\n")
    sft = run("train", "sft", recipe, "-o", out, "--data", tmp_path, "--resume", "--take-out-leaks")
    assert "next: civilly rewrite" in sft.stderr
    assert f"--adapter {out}" in sft.stderr
    fim = run("train", "fim", recipe, "-o", out, "--data", tmp_path)
    assert f"-m infill --adapter {out}" in fim.stderr
    prefer = run("train", "prefer", recipe, "-o", out, "--data", tmp_path, "--resume")
    assert f"--adapter {out}" in prefer.stderr
    run("train", "detector", recipe, "--out", out, "--data", tmp_path)
    run("train", "language", recipe, "-o", out, "--data", tmp_path)
    run("train", "vocabulary", "-o", out, "--data", tmp_path)
    assert calls == [
        ("train_sft", {"seed": 3}, tmp_path, out, {"resume": True, "take_out_leaks": True}),
        ("train_fim", {"seed": 3}, tmp_path, out, {"resume": False, "take_out_leaks": False}),
        ("train_prefer", {"seed": 3}, tmp_path, out, {"resume": True, "take_out_leaks": False}),
        ("train_detector", {"seed": 3}, tmp_path, out, tmp_path, {}),
        ("train_language", {"seed": 3}, tmp_path, out, tmp_path, {}),
        ("write_vocabulary", tmp_path, out, {}),
    ]
    recipe.write_text("seed =\n")
    with pytest.raises(CivillyError, match=r"r\.toml.* is not TOML"):
        run("train", "detector", recipe, "--out", out, "--data", tmp_path)


def test_train_without_torch_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def training(*arguments: Any, **options: Any) -> None:
        import torch  # noqa: F401

    made = ModuleType("civilly.train.sft")
    made.train_sft = training  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "civilly.train.sft", made)
    monkeypatch.setitem(sys.modules, "torch", None)
    recipe = tmp_path / "r.toml"
    recipe.write_text("seed = 3\n")
    with pytest.raises(CivillyError, match=r"civilly\[train\]"):
        run("train", "sft", recipe, "-o", "x", "--data", tmp_path)
    with pytest.raises(CivillyError, match="no data folder"):
        run("train", "sft", recipe, "-o", "x", "--data", tmp_path / "none")


def test_other_errors_of_a_training_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def training(*arguments: Any, **options: Any) -> None:
        raise LeakError("row 3 leaks")

    made = ModuleType("civilly.train.sft")
    made.train_sft = training  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "civilly.train.sft", made)
    recipe = tmp_path / "r.toml"
    recipe.write_text("seed = 3\n")
    with pytest.raises(LeakError, match="row 3"):
        run("train", "sft", recipe, "-o", "x", "--data", tmp_path)


def test_ls_lists_every_language_and_every_method() -> None:
    lines = run("ls", "languages").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(CODES)
    listed = json.loads(run("ls", "--json").stdout)
    for shelf, room in (("methods", "methods"), ("engines", "engines"), ("detectors", "detect")):
        names = [item["name"] for item in listed[shelf]]
        assert names == [entry.name for entry in registry.entries(room)]
    with pytest.raises(CivillyError, match="did you mean 'methods'"):
        run("ls", "method")


def test_doctor_tells_what_is_missing_and_where_the_cache_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVILLY_CACHE", str(tmp_path / "not" / "yet"))
    report = json.loads(run("doctor", "--json").stdout)
    assert report["python"] == ".".join(map(str, sys.version_info[:3]))
    assert report["cache"]["folder"] == str(tmp_path / "not" / "yet")
    assert report["cache"]["writable"] is True
    assert report["cores"] >= 1
    assert "numpy" in report["packages"]
    assert set(report["extras"]) >= {"embedded", "train", "parquet"}
    assert "embedded_model:" in run("doctor").stdout


def test_version() -> None:
    from civilly import __version__

    assert run("version").stdout.startswith(f"civilly {__version__} ")
    assert run("--version").stdout == run("version").stdout


@pytest.mark.parametrize("verb", ["rewrite", "detect", "score", "compare", "leaderboard",
                                  "train sft", "train detector", "train reader", "data build",
                                  "data leaks", "ls", "doctor", "version"])  # fmt: skip
def test_every_help_ends_in_an_example(verb: str) -> None:
    shown = run(*verb.split(), "--help").stdout.rstrip()
    assert f"civilly {verb}" in shown[-400:]


def test_shell_completion_knows_the_languages() -> None:
    """Asks as a shell does; only where the completion of the words comes from is ours."""
    environment = {
        **os.environ,
        "_CIVILLY_COMPLETE": "complete_bash",
        "COMP_WORDS": "civilly rewrite --lang h",
        "COMP_CWORD": "3",
        "_TYPER_COMPLETE_ARGS": "civilly rewrite --lang h",
    }
    program = "import sys; sys.argv = ['civilly']; from civilly.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment, timeout=60
    )
    assert result.stdout.decode().split() == ["hi", "he", "hin"]
