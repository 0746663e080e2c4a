"""A built folder appears whole or not at all, once."""

import multiprocessing
import os
import time

import pytest
from filelock import FileLock

from civilly.errors import CacheError
from civilly.model import cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))


def test_builds_once():
    calls = []

    def build(folder):
        calls.append(folder)
        (folder / "x").write_text("1")

    first = cache.built_once("thing-1", 1, build)
    second = cache.built_once("thing-1", 1, build)
    assert first == second
    assert (first / "x").read_text() == "1"
    assert len(calls) == 1


def test_a_failed_build_leaves_nothing():
    def build(folder):
        (folder / "half").write_text("1")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        cache.built_once("thing-2", 1, build)
    assert not list(cache.cache_folder().glob("thing-2*/"))
    assert (cache.built_once("thing-2", 1, lambda f: None)).is_dir()


def test_too_little_disk_space_is_said():
    with pytest.raises(CacheError, match="MiB left"):
        cache.built_once("thing-3", 1 << 60, lambda f: None)


def test_full_disk_during_the_build_is_said():
    def build(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(CacheError, match="is full"):
        cache.built_once("thing-4", 1, build)


def test_unwritable_cache_is_said(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(blocked / "below"))
    with pytest.raises(CacheError, match="cannot be written"):
        cache.built_once("thing-5", 1, lambda f: None)


def _slow_build(folder):
    with (folder / "made-by").open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.3)


def _worker(_):
    return str(cache.built_once("thing-6", 1, _slow_build))


def test_two_processes_at_once_build_one_folder():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        folders = pool.map(_worker, range(2))
    assert len(set(folders)) == 1
    made_by = cache.cache_folder() / "thing-6" / "made-by"
    assert len(made_by.read_text().splitlines()) == 1


def builds(**days):
    """Builds, each last used so many days ago."""
    made = {
        name: cache.built_once(name.replace("_", "-"), 1, lambda f: (f / "x").write_text("1"))
        for name in days
    }
    for name, folder in made.items():
        os.utime(folder, (time.time() - days[name] * 86_400,) * 2)


def folders():
    return {path.name for path in cache.cache_folder().iterdir() if path.is_dir()}


def test_stale_builds_make_room_for_new_ones():
    builds(other_1=30, thing_a=9, thing_b=8, thing_c=7, thing_used=0.5, thing_also=0.6)
    cache.built_once("thing-new", 1, lambda f: None)
    assert folders() == {"other-1", "thing-used", "thing-also", "thing-new"}
    assert (cache.cache_folder() / "thing-used" / "x").exists()


def test_two_builds_of_a_kind_stay_however_old():
    builds(thing_a=90, thing_b=80, thing_c=70)
    cache.built_once("thing-new", 1, lambda f: None)
    assert folders() == {"thing-c", "thing-new"}


def test_using_a_build_keeps_it():
    builds(thing_a=9, thing_b=8, thing_c=7)
    assert cache.built("thing-a") == cache.cache_folder() / "thing-a"
    cache.built_once("thing-new", 1, lambda f: None)
    assert folders() == {"thing-a", "thing-new"}
    assert cache.built("thing-b") is None


def test_what_a_killed_build_left_is_removed_but_not_one_at_work():
    root = cache.cache_folder()
    for name in ("thing-killed", "thing-working"):
        (root / f"{name}.building").mkdir(parents=True)
        (root / f"{name}.building" / "packaged.gguf").write_text("half")
    with FileLock(root / "thing-working.lock"):
        cache.built_once("thing-new", 1, lambda f: None)
    assert folders() == {"thing-working.building", "thing-new"}


def test_fingerprint_depends_on_every_part_and_their_borders():
    assert cache.fingerprint("a", "bc") != cache.fingerprint("ab", "c")
    assert cache.fingerprint("a", b"x") != cache.fingerprint("a", b"y")
    assert cache.fingerprint("a", "b") == cache.fingerprint("a", "b")
