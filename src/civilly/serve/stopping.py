"""The way out: a signal to stop lets what was accepted be finished before the server closes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)
MOST_SIGNALS = 2
"""After so many, whoever sends another one does not want to wait, not even for a model to load."""
_log = logging.getLogger("civilly.serve")


class Stopping:
    """Counts requests, and holds a signal back until none is left.

    The server closes its socket when it gets the signal. Until then new requests are answered (503,
    with Retry-After), so that nobody who connected in time is left without an answer. A second
    signal is not held back, and a third ends the process.

    Args:
        seconds: How long to hold it back at most.
    """

    def __init__(self, seconds: float) -> None:
        self.begun = False
        self._seconds = seconds
        self._open = 0
        self._received = 0
        self._none_open = asyncio.Event()
        self._holding: asyncio.Task[None] | None = None

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """A request, from its acceptance to its answer."""
        self._open += 1
        self._none_open.clear()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._none_open.set()

    def watch(self) -> None:
        """Stands between the signals and the server that handles them, where there is one."""
        if threading.current_thread() is not threading.main_thread():
            return  # a server on a thread gets no signals
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                self._hold(number, handler, loop)

    def _hold(self, number: int, handler: Any, loop: asyncio.AbstractEventLoop) -> None:
        def received(number: int, frame: Any) -> None:
            self._received += 1
            if self._received > MOST_SIGNALS:
                os._exit(128 + number)
            if self.begun:
                handler(number, frame)
                return
            self.begun = True
            loop.call_soon_threadsafe(begin)

        def begin() -> None:
            self._holding = loop.create_task(self._until_done(number, handler))

        signal.signal(number, received)

    async def _until_done(self, number: int, handler: Any) -> None:
        _log.info("stopping: %d requests to finish", self._open)
        if self._open:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_open.wait(), self._seconds)
        handler(number, None)
