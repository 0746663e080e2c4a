"""Load over HTTP on one core: closed loops, open loops, connections that only wait.

An open loop sends at its rate whatever the server does, as the public does; a latency runs from the
moment at which a request was due, so that a server that stalls cannot hide it.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
MOST_CONNECTIONS = 8_000
PATIENCE = 120.0
"""Seconds after which an answer counts as none."""
NONE = 0
"""Stands for the status of a request that got no answer."""


class Connection(asyncio.Protocol):
    """One connection, one request at a time.

    Attributes:
        closed: Whether the other side, or an answer, has closed it.
    """

    def __init__(self) -> None:
        self.closed = False
        self._received = bytearray()
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hands the answer over once it is whole."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._answered is None:
            return
        head = bytes(self._received[:end])
        length = LENGTH.search(head)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < whole:
            return
        body = bytes(self._received[end + 4 : whole])
        self._received.clear()
        if CLOSE.search(head):
            self.closed = True
            self.transport.close()
        if not self._answered.done():
            self._answered.set_result((int(head[9:12]), body))

    def connection_lost(self, error: Exception | None) -> None:
        """Tells who waits."""
        self.closed = True
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError("closed before the answer"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Sends a request and waits for status and body."""
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await asyncio.wait_for(self._answered, PATIENCE)


async def connect(port: int) -> Connection:
    """A fresh connection to loopback."""
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", port
    )
    return connection


@dataclass
class Outcome:
    """What a load came to.

    Attributes:
        seconds: How long requests were sent.
        statuses: Answers by status, with `NONE`.
        done: When each 200 came, in seconds from the start.
        latencies: Seconds of each 200.
        refusals: Seconds of each other answer.
    """

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    done: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers with 200 per second, until the last one of what was accepted came."""
        return len(self.done) / max(self.seconds, *self.done[-1:])

    def note(self, status: int, due: float, now: float) -> None:
        """Adds one answer; times in seconds from the start."""
        self.statuses[status] += 1
        if status == 200:
            self.done.append(now)
            self.latencies.append(now - due)
        elif status != NONE:
            self.refusals.append(now - due)


class Clients:
    """Connections to one server, taken when idle and opened when none is.

    Args:
        port: The server's port on loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    async def ask(self, request: bytes) -> int:
        """The status of the answer; `NONE` where the connection broke or nothing came in time."""
        status, _ = await self.answer(request)
        return status

    async def answer(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        async with self._free:
            kept = True
            while kept:
                connection = self._usable()
                kept = connection is not None
                try:
                    connection = connection or await connect(self._port)
                    status, body = await connection.ask(request)
                except TimeoutError:
                    break
                except OSError:  # a kept connection may have been closed just now: once more
                    continue
                if not connection.closed:
                    self._idle.append(connection)
                return status, body
            return NONE, b""

    def _usable(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def close(self) -> None:
        """Closes what is idle."""
        for connection in self._idle:
            connection.transport.close()


async def closed_loop(
    port: int, requests: Iterator[bytes], clients: int, seconds: float
) -> Outcome:
    """So many clients, each sends its next request when it has its answer."""
    outcome, pool, start = Outcome(seconds), Clients(port), time.perf_counter()

    async def client() -> None:
        while (due := time.perf_counter() - start) < seconds:
            status = await pool.ask(next(requests))
            outcome.note(status, due, time.perf_counter() - start)

    await asyncio.gather(*(client() for _ in range(clients)))
    pool.close()
    return outcome


def arrivals(rate: float, seconds: float, seed: int = 0) -> list[float]:
    """When requests are due: a Poisson process, in seconds from the start."""
    drawn, now, due = random.Random(seed), 0.0, []
    while (now := now + drawn.expovariate(rate)) < seconds:
        due.append(now)
    return due


async def open_loop(port: int, requests: Iterator[bytes], rate: float, seconds: float) -> Outcome:
    """Requests at a rate, whatever comes back."""
    outcome, pool, start = Outcome(seconds), Clients(port), time.perf_counter()

    async def one(due: float) -> None:
        status = await pool.ask(next(requests))
        outcome.note(status, due, time.perf_counter() - start)

    async with asyncio.TaskGroup() as tasks:
        for due in arrivals(rate, seconds):
            if (early := due - (time.perf_counter() - start)) > 0:
                await asyncio.sleep(early)
            tasks.create_task(one(due))
    pool.close()
    return outcome


async def idle_connections(port: int, n: int, begun: bytes = b"") -> list[Connection]:
    """So many connections that send a beginning, or nothing, and then wait.

    Args:
        port: The server's port.
        n: How many.
        begun: The half request that each sends.
    """
    opened: list[Connection] = []
    while len(opened) < n:
        opened += await asyncio.gather(*(connect(port) for _ in range(min(200, n - len(opened)))))
    for connection in opened:
        connection.transport.write(begun)
    return opened


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
