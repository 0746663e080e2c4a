"""A connection as the server holds it: uvicorn's, but no slow head is waited for; asks the door."""

from __future__ import annotations

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from civilly.serve.door import Door

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """Closes if the head of a request does not come; refuses at once what there is no room for.

    That costs less than behind the application: no task, no scope, no middleware. The lifespan's
    state holds the `Door`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._door: Door = self.app_state["door"]
        self._slow: TimerHandle | None = None
        self._in_head = True
        self._refused = False
        self._refused_at = 0.0
        self._idle: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        self._in_head = False
        self._wait_for_head()
        if self._idle is not None:
            self._idle.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads on."""
        super().data_received(data)
        if self.parser is not None:
            self._wait_for_head()
        if self._refused and not self.transport.is_closing():
            self._wait_for_next()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head = True
        self._refused = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuses the request, or hands it on."""
        self._in_head = False
        free = self.cycle is None or self.cycle.response_complete
        if free and self.parser.get_method() == b"POST":
            refusal = self._door.refusal(self.url, self.headers)
            if refusal is not None:
                self._refused = True
                self.transport.write(refusal)
                if not self.parser.should_keep_alive():
                    self.transport.close()
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """What belongs to a refused request is dropped."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        if not self._refused:
            super().on_message_complete()

    def _wait_for_head(self) -> None:
        """Sets the timer where a head is not complete, and stops it where one is."""
        if self._in_head and self._slow is None:
            self._slow = self.loop.call_later(self._door.head_seconds, self._too_slow)
        elif not self._in_head and self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _wait_for_next(self) -> None:
        """After a refusal, too, the next request has to come in time; one timer for thousands."""
        self._refused_at = self.loop.time()
        if self._idle is None:
            self._idle = self.loop.call_later(self.timeout_keep_alive, self._still_idle)

    def _still_idle(self) -> None:
        self._idle = None
        if not self._refused or self.transport.is_closing():
            return
        left = self._refused_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle = self.loop.call_later(left, self._still_idle)
        else:
            self.transport.close()

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
            self.transport.close()
