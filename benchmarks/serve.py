"""Load on `civilly serve` over loopback: closed and open loops, overload, waiting connections.

Usage: taskset -c 0 python benchmarks/serve.py [--seconds 15] [--top 60] [--server-core 1]
       [--only detect|rewrite|cores|connections …]

The server runs on one core, what loads it on another. Each request holds one text. Closed loops
find the best throughput; open loops then send a half to ten times as much. Batches are compared
with the same server at --max-batch 1, and for detection on two cores, too. Writes results/serve.md.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from http_load import (
    Clients,
    Outcome,
    closed_loop,
    idle_connections,
    open_loop,
    percentile,
)

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAIRS = HERE.parent / "recipes" / "distilled_pairs"
CLIENTS = {"detect": (1, 8, 64, 256), "rewrite": (1, 8, 64)}
"""Clients of the closed loops, by what is asked."""
LOADS = (0.5, 0.8, 1, 2, 5, 10)
"""Rates of the open loops, as multiples of the best throughput of the closed ones."""
GOAL_HELD, GOAL_BATCHING, GOAL_GROWTH = 0.8, 2.0, 1.1
SLOW = {"rewrite": 3}
"""How many times longer a loop runs where an answer takes long."""


def texts(kind: str) -> list[str]:
    """Distinct comments of 15 languages in one random order; to detect, civil ones, too."""
    found = []
    for path in sorted(PAIRS.glob("s*/*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            pair = json.loads(line)
            found += [pair["toxic"], *([pair["neutral"]] if kind == "detect" else [])]
    found = list(dict.fromkeys(found))
    random.Random(0).shuffle(found)
    return found


def requests(kind: str) -> Iterator[bytes]:
    """Requests of one text each, without end."""
    for text in itertools.cycle(texts(kind)):
        body = json.dumps({"text": text}).encode()
        yield (
            f"POST /v1/{kind} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body


@dataclass
class Server:
    """A server that runs.

    Attributes:
        port: On loopback.
        pid: Of its process.
    """

    port: int
    pid: int

    @property
    def rss_mb(self) -> float:
        """The memory that it holds now, in MB; read from Linux's ``/proc``."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(core: str, *options: str) -> Iterator[Server]:
    """`civilly serve` on a core of its own, ready; SIGTERM ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *("taskset", "-c", core, sys.executable, "-m", "civilly", "serve", "--port", str(port)),
        *options,
    ]
    environment = {**os.environ, "CIVILLY_THREADS": str(len(core.split(",")))}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(ready(port, process))
        yield Server(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


async def ready(port: int, process: subprocess.Popen[bytes]) -> None:
    """Waits until the models are loaded."""
    clients = Clients(port)
    for _ in range(1_200):
        if await clients.ask(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n") == 200:
            return
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        await asyncio.sleep(0.1)
    raise SystemExit("the server does not get ready")


async def watched(server: Server, load: Any) -> tuple[Outcome, dict[str, float]]:
    """A load, and beside it twice a second the depth of the queues and the memory."""
    depths, memory, clients = [0.0], [server.rss_mb], Clients(server.port)

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.5)
            memory.append(server.rss_mb)
            _, page = await clients.answer(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            depths.extend(
                float(depth) for depth in re.findall(rb"^civilly_queue_depth\S* (\S+)", page, re.M)
            )

    own, used, begin = time.process_time(), server.cpu_seconds, time.perf_counter()
    watcher = asyncio.create_task(watch())
    outcome: Outcome = await load
    watcher.cancel()
    passed = time.perf_counter() - begin
    return outcome, {
        "queue": max(depths),
        "rss_begin": memory[0],
        "rss_end": server.rss_mb,
        "generator": (time.process_time() - own) / passed,
        "server": (server.cpu_seconds - used) / passed,
    }


def row(name: str, outcome: Outcome, seen: dict[str, float], best: float) -> str:
    """A line of the table."""
    total = outcome.statuses.total()
    share = {code: outcome.statuses[code] / total for code in (200, 429, 503)}
    other = 1 - sum(share.values())
    times = [f"{1000 * percentile(outcome.latencies, q):,.0f}" for q in (0.5, 0.95, 0.99)]
    refused = 1000 * percentile(outcome.refusals, 0.95)
    cells = [
        name, f"{total / outcome.seconds:,.1f}", f"{outcome.rate:,.1f}",
        f"{outcome.rate / best:.0%}", *(f"{share[code]:.1%}" for code in (200, 429, 503)),
        f"{other:.1%}", *times, f"{refused:,.0f}" if outcome.refusals else "–",
        f"{seen['queue']:.0f}", f"{seen['rss_begin']:.0f} → {seen['rss_end']:.0f}",
        f"{seen['server']:.0%} / {seen['generator']:.0%}",
    ]  # fmt: skip
    sys.stderr.write(f"  {' | '.join(cells)}\n")
    return f"| {' | '.join(cells)} |"


HEAD = """| load | requests/s | answered/s | of the best | 200 | 429 | 503 | other | p50 (ms) \
| p95 | p99 | refusal p95 (ms) | deepest queue | memory (MB) | processor: server / load |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


async def closed(
    server: Server, kind: str, arguments: argparse.Namespace
) -> dict[int, tuple[Outcome, dict[str, float]]]:
    """The closed loops, by number of clients."""
    asked, found = requests(kind), {}
    seconds = arguments.seconds * SLOW.get(kind, 1)
    await closed_loop(server.port, asked, 8, seconds / 5)  # what is loaded late is loaded now
    for clients in CLIENTS[kind]:
        found[clients] = await watched(server, closed_loop(server.port, asked, clients, seconds))
    return found


async def loaded(
    server: Server, kind: str, arguments: argparse.Namespace
) -> tuple[list[str], dict[str, Any]]:
    """The table of one kind of request, and what its goals are judged by."""
    loops = await closed(server, kind, arguments)
    best = max(outcome.rate for outcome, _ in loops.values())
    lines = [HEAD]
    for clients, (outcome, seen) in loops.items():
        lines.append(row(f"{clients} client{'s' * (clients > 1)}", outcome, seen, best))
    asked, facts = requests(kind), {"best": best, "queue": 0.0, "other": 0, "growth": 0.0}
    for times in LOADS:
        longest = times == max(LOADS)
        seconds = arguments.top if longest else arguments.seconds * SLOW.get(kind, 1)
        outcome, seen = await watched(server, open_loop(server.port, asked, times * best, seconds))
        lines.append(row(f"{times:g} × the best, {seconds:.0f} s", outcome, seen, best))
        facts["queue"] = max(facts["queue"], seen["queue"])
        facts["other"] += sum(
            n for code, n in outcome.statuses.items() if code not in (200, 429, 503)
        )
        if times > 1:
            facts["held"] = min(facts.get("held", 1.0), outcome.rate / best)
        if longest:
            facts["growth"] = seen["rss_end"] / seen["rss_begin"]
    return lines, facts


def on_cores(cores: str, seconds: float) -> list[str]:
    """Detection in batches and one text at a time on several cores, 64 clients."""
    rates = []
    for options in ((), ("--max-batch", "1")):
        with served(cores, *options) as server:
            asked = requests("detect")
            asyncio.run(closed_loop(server.port, asked, 64, seconds / 5))
            rates.append(asyncio.run(closed_loop(server.port, asked, 64, seconds)).rate)
            sys.stderr.write(f"  {options}: {rates[-1]:.1f}\n")
    together, alone = rates
    ratio = verdict("Batches against one text at a time", together / alone, GOAL_BATCHING,
                    f"{together / alone:.1f} ×, goal {GOAL_BATCHING:g} ×")  # fmt: skip
    return [f"64 clients, answered/s: {together:.1f} in batches, {alone:.1f} one at a time.", "",
            ratio, ""]  # fmt: skip


async def with_waiting(server: Server, n: int) -> list[str]:
    """What others notice of so many connections that send nothing, or half a request."""
    lines = ["| connections that wait | 200 | p50 (ms) | p99 (ms) | memory (MB) |",
             "|---|---|---|---|---|"]  # fmt: skip
    half = b"POST /v1/detect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 99\r\n\r\n{"
    for name, count, begun in (
        ("none", 0, b""),
        (f"{n:,} that send nothing", n, b""),
        (f"{n // 10:,} that sent half a request", n // 10, half),
    ):
        waiting = await idle_connections(server.port, count, begun)
        await asyncio.sleep(1)
        outcome = await closed_loop(server.port, requests("detect"), 4, 10)
        share = outcome.statuses[200] / outcome.statuses.total()
        p50, p99 = (1000 * percentile(outcome.latencies, q) for q in (0.5, 0.99))
        lines.append(f"| {name} | {share:.1%} | {p50:.0f} | {p99:.0f} | {server.rss_mb:.0f} |")
        sys.stderr.write(f"  {lines[-1]}\n")
        for connection in waiting:
            connection.transport.close()
        await asyncio.sleep(1)
    return lines


def verdict(what: str, value: float, goal: float, shown: str, *, most: bool = False) -> str:
    """A goal and whether it is reached."""
    reached = value <= goal if most else value >= goal
    return f"- {what}: {shown} ({'reached' if reached else 'missed'})."


def section(kind: str, arguments: argparse.Namespace) -> list[str]:
    """All about one kind of request."""
    core = arguments.server_core
    with served(core) as server:
        lines, facts = asyncio.run(loaded(server, kind, arguments))
    with served(core, "--max-batch", "1") as server:
        alone = asyncio.run(closed(server, kind, arguments))
    rates = {clients: outcome.rate for clients, (outcome, _) in alone.items()}
    ratio = facts["best"] / max(rates.values())
    bound = arguments.max_queue
    return [
        f"## `POST /v1/{kind}`", "", *lines, "",
        "One text at a time (`--max-batch 1`), closed loops, answered/s: "
        + ", ".join(f"{rate:.1f} with {clients}" for clients, rate in rates.items()) + ".", "",
        verdict("Throughput at overload, the least of 2 ×, 5 × and 10 ×", facts["held"], GOAL_HELD,
                f"{facts['held']:.0%} of the best, goal {GOAL_HELD:.0%}"),
        verdict("Deepest queue seen", facts["queue"], bound,
                f"{facts['queue']:.0f} texts, bound {bound}", most=True),
        verdict("Answers other than 200, 429 and 503, or none", facts["other"], 0,
                f"{facts['other']}", most=True),
        verdict("Memory after the minute at 10 ×", facts["growth"], GOAL_GROWTH,
                f"{facts['growth']:.2f} × what it was before, goal {GOAL_GROWTH:g} ×", most=True),
        f"- Batches against one text at a time: {ratio:.1f} ×, goal {GOAL_BATCHING:g} × of "
        "detection or rewriting.", "",
    ]  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--top", type=float, default=60)
    parser.add_argument("--server-core", default="1")
    parser.add_argument("--max-queue", type=int, default=1024, help="the server's default")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", default=["detect", "rewrite", "cores", "connections"])
    parser.add_argument("--cores", default="0,1", help="of the part cores")
    arguments = parser.parse_args()
    lines = [
        "One server process on one core, its default settings; the load comes from another core, "
        "and other work on the machine had to wait. Open loops are Poisson processes, latencies "
        "count from the moment at which a request was due. “other”: other statuses, or no answer.",
        "",
    ]
    for kind in arguments.only:
        sys.stderr.write(f"{kind}\n")
        if kind == "cores":
            lines += [f"## Detection on cores {arguments.cores}", ""]
            lines += on_cores(arguments.cores, arguments.seconds)
            continue
        if kind == "connections":
            with served(arguments.server_core) as server:
                waiting = asyncio.run(with_waiting(server, arguments.connections))
            lines += ["## Connections that wait", "", *waiting, ""]
        else:
            lines += section(kind, arguments)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "serve.md").write_text("\n".join(lines).rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    main()
