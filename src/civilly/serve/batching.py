"""Puts the texts of many requests into batches, in front of work that blocks a thread."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from civilly.errors import (
    CacheError,
    CivillyError,
    EngineError,
    MissingExtraError,
    ModelError,
)
from civilly.serve.refusals import Overloaded, Refused, refusal_of, stopping

Item = TypeVar("Item")
Result = TypeVar("Result")
Kind = TypeVar("Kind", bound=Hashable)

_OF_ALL = (CacheError, EngineError, MissingExtraError, ModelError)
"""Errors that are no fault of a text: trying the texts one by one would only take longer."""
_SHORTEST, _LONGEST = 1.0, 60.0
"""Seconds that Retry-After says at least and at most."""
_INERTIA = 0.8
"""How much of the estimate of the time per text each batch leaves as it was."""


@dataclass(eq=False)
class _Job(Generic[Item, Result, Kind]):
    """A request: what of it waits, and what came out."""

    kind: Kind
    waiting: deque[tuple[int, Item]]
    results: dict[int, Result | CivillyError]
    count: int
    done: asyncio.Future[None]

    def settle(self, index: int, result: Result | CivillyError) -> None:
        self.results[index] = result
        if len(self.results) == self.count and not self.done.done():
            self.done.set_result(None)


class Batcher(Generic[Item, Result, Kind]):
    """Micro-batches across requests, with a queue that does not grow beyond its bound.

    Requests of one kind are worked on together, and take turns: a batch takes one text of each in
    the order of their arrival, then a second one, so that a short request does not wait behind all
    of a long one. One thread works; while it does, the next batch gathers.

    Args:
        run: Does the work on a thread: one result per item, in order. If it raises, the batch is
            halved until the item at fault is alone with the error.
        max_batch: The most items of a batch, at least 1.
        window: How long the first item of a batch waits for others, in seconds.
        max_queue: The most items that wait. A request of more is taken if nothing else waits.
        max_wait: How long a request may have to wait for those before it, in seconds, as far as can
            be told from the time that items took; None: as long as it takes.
        size: How large an item is.
        max_size: The largest batch by that measure; an item that is larger goes alone.
        observe: Is told the number of items of every batch.
    """

    def __init__(
        self,
        run: Callable[[Kind, list[Item]], Sequence[Result]],
        *,
        max_batch: int,
        window: float,
        max_queue: int,
        max_wait: float | None = None,
        size: Callable[[Item], int] = lambda item: 1,
        max_size: int | None = None,
        observe: Callable[[int], object] = lambda count: None,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._window = window
        self._max_queue = max_queue
        self._max_wait = max_wait
        self._size = size
        self._max_size = max_size
        self._observe = observe
        self._jobs: deque[_Job[Item, Result, Kind]] = deque()
        self._waiting = 0
        self._seconds_per_item: float | None = None
        self._batches = 0
        self._enough = asyncio.Event()
        self._working: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "batch")
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many items wait."""
        return self._waiting

    async def submit(self, items: Sequence[Item], kind: Kind) -> list[Result | CivillyError]:
        """One result per item, or why there is none, in order.

        Whoever is cancelled while waiting gives up the place of what has not begun.

        Raises:
            Overloaded: If there is no room for them.
            Refused: If the batcher was closed.
        """
        if not items:
            return []
        if self._closed:
            raise stopping()
        self.check_room(len(items))
        done = asyncio.get_running_loop().create_future()
        job: _Job[Item, Result, Kind] = _Job(kind, deque(enumerate(items)), {}, len(items), done)
        self._jobs.append(job)
        self._waiting += len(items)
        if self._waiting >= self._max_batch:
            self._enough.set()
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        try:
            await done
        except asyncio.CancelledError:
            self._drop(job)
            raise
        return [job.results[index] for index in range(len(items))]

    def check_room(self, count: int = 1) -> None:
        """Makes sure that a request of so many items is taken.

        Raises:
            Overloaded: If they would be too many, or wait too long.
        """
        if not self._waiting:
            return
        seconds = self._seconds_before(count)
        if self._waiting + count > self._max_queue or (
            self._max_wait is not None and seconds > self._max_wait
        ):
            raise Overloaded(min(max(seconds, _SHORTEST), _LONGEST))

    async def close(self) -> None:
        """Takes nothing new, and finishes what waits."""
        self._closed = True
        self._enough.set()
        if self._working is not None:
            await self._working
        self._thread.shutdown()

    def _seconds_before(self, count: int) -> float:
        """How long a request of so many items waits for others, which take turns with it."""
        if count == 1:
            before = len(self._jobs)
        else:
            before = sum(min(count, len(job.waiting)) for job in self._jobs)
        return before * (self._seconds_per_item or 0.0)

    def _measure(self, seconds: float, count: int) -> None:
        """Adds a batch to what is known of the time; in the first one models are loaded."""
        self._batches += 1
        if self._batches > 1:
            taken = seconds / count
            known = taken if self._seconds_per_item is None else self._seconds_per_item
            self._seconds_per_item = _INERTIA * known + (1 - _INERTIA) * taken

    def _drop(self, job: _Job[Item, Result, Kind]) -> None:
        if job.waiting:
            self._waiting -= len(job.waiting)
            job.waiting.clear()
            self._jobs.remove(job)

    async def _work(self) -> None:
        """Batch after batch until nothing waits."""
        loop = asyncio.get_running_loop()
        while self._jobs:
            if not self._closed and self._waiting < self._max_batch:
                await self._others()
            if not self._jobs:  # those who waited have gone
                break
            kind, batch = self._next_batch()
            self._observe(len(batch))
            begin = time.monotonic()
            items = [item for _, _, item in batch]
            results = await loop.run_in_executor(self._thread, self._results, kind, items)
            self._measure(time.monotonic() - begin, len(batch))
            for (job, index, _), result in zip(batch, results, strict=True):
                job.settle(index, result)
        self._working = None

    async def _others(self) -> None:
        """Waits for more items, for the time of the window at most."""
        self._enough.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), self._window)

    def _next_batch(self) -> tuple[Kind, list[tuple[_Job[Item, Result, Kind], int, Item]]]:
        """Takes items of the first job and others of its kind out of the queue, by turns."""
        kind = self._jobs[0].kind
        batch: list[tuple[_Job[Item, Result, Kind], int, Item]] = []
        others: list[_Job[Item, Result, Kind]] = []
        size = 0
        while self._jobs and len(batch) < self._max_batch:
            job = self._jobs.popleft()
            if job.kind != kind:
                others.append(job)
                continue
            index, item = job.waiting[0]
            size += self._size(item)
            if batch and self._max_size is not None and size > self._max_size:
                self._jobs.appendleft(job)
                break
            batch.append((job, index, item))
            job.waiting.popleft()
            if job.waiting:
                self._jobs.append(job)
        self._jobs.extendleft(reversed(others))
        self._waiting -= len(batch)
        return kind, batch

    def _results(self, kind: Kind, items: list[Item]) -> list[Result | CivillyError]:
        """On the thread: the work, and errors in the place of results."""
        try:
            results = list(self._run(kind, items))
            if len(results) != len(items):
                raise RuntimeError(f"{len(results)} results for {len(items)} items")
            return [*results]
        except Exception as error:
            if len(items) == 1 or isinstance(error, _OF_ALL):
                known: Refused = refusal_of(error)
                return [known for _ in items]
            half = len(items) // 2
            return self._results(kind, items[:half]) + self._results(kind, items[half:])
