"""A job on Ray, whose processes are killed: the outputs are those of this machine alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import fake_pipeline
from civilly import Detoxifier
from civilly.batch import local
from civilly.batch import ray as on_ray
from civilly.batch.job import Job, opened, shards_in
from civilly.errors import MissingExtraError
from conftest import benchmark
from test_batch_job import outputs, write_inputs

pytest.importorskip("ray")
FAKE = Path(fake_pipeline.__file__)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray on this machine, for all tests of this module that need not kill its driver."""
    ray = on_ray.require()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(FAKE.parent))  # its workers import what tests make
        on_ray._start(ray, 2, None)
        yield ray
        ray.shutdown()


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    write_inputs(tmp_path / "in", rows=400)
    return tmp_path / "in"


def job_of(folder: Path, output: Path, detoxifier: Any) -> Job:
    folder, names = shards_in(folder, output)
    return Job(folder, names, output, detoxifier)


def run(job: Job, runner: Any, **more: Any) -> list[Any]:
    with opened(job) as identity:
        return list(runner.run(job, identity, lambda rows: None, **more))


def test_ray_and_this_machine_write_the_same(ray: Any, inputs: Path, tmp_path: Path) -> None:
    made = [Detoxifier("delete", only_toxic=0.5) for _ in range(2)]
    run(job_of(inputs, tmp_path / "local", made[0]), local)
    outcomes = run(job_of(inputs, tmp_path / "ray", made[1]), on_ray, workers=2)
    assert {(each.name, each.rows, each.error) for each in outcomes} == {
        ("a.jsonl", 400, ""), ("b.csv", 400, ""), ("deep/c.parquet", 400, ""),
    }  # fmt: skip
    assert outputs(tmp_path / "ray") == outputs(tmp_path / "local")
    assert any(each.changed for each in outcomes)


@pytest.mark.parametrize("seed", range(2))
def test_a_worker_is_killed(ray: Any, inputs: Path, tmp_path: Path, seed: int) -> None:
    job = job_of(inputs, tmp_path / "ray", Slow())
    run(job_of(inputs, tmp_path / "local", fake_pipeline.Detoxifier()), local)
    victim_at = random.Random(seed).randrange(50, 900)
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_a_worker, tmp_path / "ray", victim_at, over)
        outcomes = run(job, on_ray, workers=2)
        over.set()
    assert killed.result()
    assert sorted(each.name for each in outcomes) == list(job.names)
    assert not any(each.error for each in outcomes)
    assert outputs(tmp_path / "ray") == outputs(tmp_path / "local")


def kill_a_worker(output: Path, rows: int, over: threading.Event) -> bool:
    """Kills one once so many rows are done; whether it was before all were."""
    scale = benchmark("scale")
    while not over.wait(0.02):
        if output.is_dir() and scale.rows_done(output) >= rows:
            for worker in scale.workers_of(os.getpid())[:1]:
                os.kill(worker, signal.SIGKILL)
                return True
    return False


class Slow(fake_pipeline.Detoxifier):
    """Slow enough to be killed at work."""

    def rewrite(self, texts: Any, langs: Any = "auto") -> Any:
        time.sleep(0.1)
        return super().rewrite(texts, langs)


class Deadly(fake_pipeline.Detoxifier):
    """Takes its process with it at a certain text."""

    def rewrite(self, texts: Any, langs: Any = "auto") -> Any:
        if "die" in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().rewrite(texts, langs)


def test_a_file_that_kills_its_workers_is_set_aside(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "ATTEMPTS", 2)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("die\n")
    (tmp_path / "in" / "b.txt").write_text("a damn row\n")
    outcomes = run(job_of(tmp_path / "in", tmp_path / "out", Deadly()), on_ray, workers=1)
    by_name = {each.name: each for each in outcomes}
    assert "2 workers died" in by_name["a.txt"].error
    assert by_name["b.txt"].changed == 1


def test_the_driver_is_killed(inputs: Path, tmp_path: Path) -> None:
    scale = benchmark("scale")
    run(job_of(inputs, tmp_path / "local", fake_pipeline.Detoxifier()), local)
    output = tmp_path / "ray"
    command = [
        *(sys.executable, str(FAKE), "rewrite", str(inputs), "-o", str(output)),
        *("--runner", "ray", "--workers", "2"),
    ]
    environment = {**os.environ, "CIVILLY_TEST_DELAY": "0.2"}
    driver = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    stop_at = random.Random(0).randrange(50, 900)
    while driver.poll() is None and (not output.is_dir() or scale.rows_done(output) < stop_at):
        time.sleep(0.1)
    assert driver.poll() is None
    others = scale.descendants(driver.pid)
    driver.kill()
    driver.wait()
    # Not waited for: workers of the killed driver may still be at it.
    environment["CIVILLY_TEST_DELAY"] = "0"
    for _ in range(3):  # Ray gives a busy machine half a minute to start
        again = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=240
        )
        if "Ray did not start" not in again.stderr:
            break
    assert again.returncode == 0, again.stderr
    assert "3 files" in again.stderr
    assert outputs(output) == outputs(tmp_path / "local")
    scale.wait_for(others)
    assert not [pid for pid in others if Path(f"/proc/{pid}").exists()]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"civilly\[ray\]"):
        on_ray.require()


def test_ray_sends_no_statistics() -> None:
    on_ray.require()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
