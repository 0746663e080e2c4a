"""100,000 rows of a mostly civil stream on Ray, with kills of a worker and of the driver.

Usage: python benchmarks/scale.py [--rows 100000] [--workers 2] [--folder FOLDER]

Needs the shared data (CIVILLY_DATA) and the extras `ray` and `parquet`. Writes results/scale.md.
The rows are 5 % official inputs and 95 % clean sentences, in 20 files of three formats. A worker is
killed when a fifth of the rows is done and the driver when half is; then the same command is run
again, and its outputs are compared with those of the local runner, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.batch.job import ASIDE
from civilly.data.io import read_table, write_table
from civilly.data.table import Table
from detection_data import DATA, Measured

RESULTS = Path(__file__).parent / "results"
FILES = 20
FORMATS = ("jsonl", "csv", "parquet")
TOXIC = 0.05
LEAST = 0.5
METHOD = "delete"
OPTIONS = ["--method", METHOD, "--only-toxic", str(LEAST)]


def stream(count: int) -> list[dict[str, Any]]:
    """Rows with their ids: 5 % official inputs, else clean sentences, in the order of chance."""
    clean = [
        row["text"] for path in sorted((DATA / "clean").glob("*.jsonl.gz"))
        for row in read_table(path).rows
    ]  # fmt: skip
    toxic = [text for texts in Measured().official_inputs().values() for text in texts]
    chance = random.Random(0)
    chance.shuffle(clean)
    chance.shuffle(toxic)
    rude = round(count * TOXIC)
    texts = [*(toxic[i % len(toxic)] for i in range(rude))]
    # A civil sentence that comes again gets a number, so that nobody remembers it.
    for i in range(count - rude):
        turn, place = divmod(i, len(clean))
        texts.append(clean[place] if not turn else f"{clean[place]} {turn}")
    chance.shuffle(texts)
    return [{"id": f"r{number}", "text": text} for number, text in enumerate(texts)]


def write_shards(rows: list[dict[str, Any]], folder: Path) -> None:
    """The rows in files that follow each other."""
    folder.mkdir(parents=True)
    size = -(-len(rows) // FILES)
    for number in range(FILES):
        part = rows[number * size : (number + 1) * size]
        if part:
            path = folder / f"part-{number:03}.{FORMATS[number % len(FORMATS)]}"
            write_table(path, Table(["id", "text"], part, "jsonl"))


def command(given: Path, output: Path, *more: str) -> list[str]:
    """The command line that rewrites a folder."""
    program = [sys.executable, "-m", "civilly", "rewrite", str(given), "-o", str(output)]
    return [*program, *OPTIONS, *more]


def rows_done(output: Path) -> int:
    """Rows that are safe on disk: of finished files, and in the journals of the others."""
    finished = sum(
        json.loads(path.read_bytes())["rows"] for path in (output / ASIDE / "done").glob("*.json")
    )
    begun = 0
    for path in output.glob("*.partial"):
        lines = path.read_bytes().split(b"\n")[1:-1]
        begun += sum(len(json.loads(line.partition(b" ")[2])[0]) for line in lines)
    return finished + begun


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    found: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, tasks.read_text().split()):
            found += [child, *descendants(child)]
    return found


def workers_of(pid: int) -> list[int]:
    """Those that rewrite."""
    found = []
    for child in descendants(pid):
        try:
            name = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::Worker"):
            found.append(child)
    return found


@dataclass
class Killed:
    """What was done to a job."""

    worker_at: int = -1
    driver_at: int = -1


def run_and_kill(given: Path, output: Path, total: int, *more: str) -> Killed:
    """Runs a job on Ray, kills a worker and then the driver with SIGKILL."""
    driver = subprocess.Popen(command(given, output, *more), start_new_session=True)
    killed = Killed()
    while driver.poll() is None:
        time.sleep(0.5)
        done = rows_done(output) if output.is_dir() else 0
        if killed.worker_at < 0 and done >= total / 5 and (workers := workers_of(driver.pid)):
            os.kill(workers[0], signal.SIGKILL)
            killed.worker_at = done
        if killed.worker_at >= 0 and done >= total / 2:
            others = descendants(driver.pid)
            os.kill(driver.pid, signal.SIGKILL)
            driver.wait()
            killed.driver_at = done
            wait_for(others)
    return killed


def wait_for(processes: list[int], seconds: float = 60.0) -> None:
    """Waits until Ray's own processes have noticed that their driver is gone."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(Path(f"/proc/{pid}").exists() for pid in processes):
        time.sleep(0.5)


def contents(folder: Path) -> dict[str, bytes]:
    """The outputs by name."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in named.items() if not name.startswith(ASIDE)}


def ids_in(folder: Path) -> Iterator[str]:
    """The ids of all rows of the outputs, file by file."""
    for path in sorted(folder.glob("part-*")):
        for row in read_table(path).rows:
            yield str(row["id"])


def finished(process: subprocess.Popen[bytes]) -> float:
    """Waits for a command; seconds of processor time that it took on all cores together."""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{process.args} failed")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS / "scale.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        lines = report(Path(name), given.rows, given.workers)
    given.out.write_text("\n".join(lines) + "\n", "utf-8")


def report(folder: Path, count: int, workers: int) -> list[str]:
    """Does all the work in a folder of its own."""
    rows = stream(count)
    inputs, local, on_ray = folder / "in", folder / "local", folder / "ray"
    write_shards(rows, inputs)
    running = subprocess.Popen(command(inputs, local))  # beside the other, to save time
    more = ["--runner", "ray", "--workers", str(workers)]
    killed = run_and_kill(inputs, on_ray, count, *more)
    print(killed, flush=True)
    began = time.monotonic()
    subprocess.run(command(inputs, on_ray, *more), check=True)
    again = time.monotonic() - began
    cores = finished(running)
    print(f"local: {cores:.0f} s of processor time", flush=True)
    left = count - killed.driver_at
    same = contents(local) == contents(on_ray)
    once = list(ids_in(on_ray)) == [row["id"] for row in rows]
    leftovers = list(on_ray.glob("*.partial*"))
    print(f"again: {again:.0f} s for {left} rows; same {same}, once {once}", flush=True)
    changed = sum(
        json.loads(path.read_bytes())["changed"] for path in (local / ASIDE / "done").glob("*.json")
    )
    per_core = count / cores
    shutil.rmtree(folder / "in")
    return [
        "# Scale",
        "",
        "Written by `python benchmarks/scale.py`. Speeds are rows per second of processor time of "
        "one core: the machine had other work, and "
        "the local run went beside the one on Ray.",
        "",
        f"## {count:,} rows on Ray, with kills",
        "",
        f"`civilly rewrite in -o out {' '.join(OPTIONS)} {' '.join(more)}`: {FILES} files "
        f"({', '.join(FORMATS)}), {changed:,} rows rewritten.",
        "",
        "| event | seen |",
        "|---|---|",
        f"| `kill -9` of a worker | when {killed.worker_at:,} rows were safe |",
        f"| `kill -9` of the driver | when {killed.driver_at:,} rows were safe |",
        f"| the same command again | {again:.0f} s for the other {left:,} rows |",
        f"| each row once, in order within its file | {'yes' if once else 'NO'} |",
        f"| same bytes as `--runner local` | {'yes' if same else 'NO'} |",
        f"| journals left over | {len(leftovers)} |",
        "",
        "## Sizing",
        "",
        "| what | rows per core-second | core-hours per million rows | cost per million at $P "
        "per core-hour | at P = 0.04 |",
        "|---|---|---|---|---|",
        f"| the local run (`{METHOD}`, 5 % toxic) | {per_core:.0f} | {1e6 / per_core / 3600:.2f} | "
        f"{1e6 / per_core / 3600:.2f} · P | ${1e6 / per_core / 3600 * 0.04:.3f} |",
        "",
        "Cost per million = 10⁶ ÷ (rows per core-second · 3,600) · P. Cores add up as long as "
        "there are more files than workers: workers share nothing but the folders.",
    ]


if __name__ == "__main__":
    main()
