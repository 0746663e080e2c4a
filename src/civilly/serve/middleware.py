"""Around every request: its id, its place in the log and the metrics, key, size and patience."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from civilly.serve.keys import check_key, needs_key
from civilly.serve.metrics import Metrics
from civilly.serve.refusals import BODY_TOO_LARGE, TIMEOUT, Refused, refusal_of, stopping
from civilly.serve.settings import Settings
from civilly.serve.stopping import Stopping

ALWAYS = frozenset({"/healthz", "/readyz", "/health", "/metrics"})
"""Paths that are answered also while the server stops."""
GONE = "499"
"""Code in log and metrics of a request whose client did not wait for the answer."""

Answer = Callable[[Refused, str, str], Response]
"""Says a refusal in the shape of the surface of a path, with the request id."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_log = logging.getLogger("civilly.access")


def request_id(given: str) -> str:
    """The id of a request: its header ``X-Request-ID`` where that is harmless, else a new one."""
    return given if _ID.fullmatch(given) else os.urandom(16).hex()


class Requests:
    """Gives a request its id, counts and logs it, and answers what nobody else did.

    The log gets the route, not the address that was asked for: that may hold anything.

    Args:
        app: What is inside.
        metrics: Is told of each request.
        stopping: Whether to take new ones.
        answer: Says refusals.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, stopping: Stopping, answer: Answer) -> None:
        self._app = app
        self._metrics = metrics
        self._stopping = stopping
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.monotonic()
        identity = request_id(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = identity
        code = GONE

        async def with_id(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = str(message["status"])
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = identity
                headers["X-Content-Type-Options"] = "nosniff"
                if self._stopping.begun:
                    headers["Connection"] = "close"
            await send(message)

        self._metrics.accepted()
        try:
            await self._served(scope, receive, with_id, lambda: code == GONE)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.monotonic() - begin
            self._metrics.answered(route, code, seconds)
            _log.info("%s %s %s %.0f ms %s", scope["method"], route, code, seconds * 1000, identity)

    async def _served(
        self, scope: Scope, receive: Receive, send: Send, silent: Callable[[], bool]
    ) -> None:
        with self._stopping.one_more():
            try:
                if self._stopping.begun and scope["path"] not in ALWAYS:
                    raise stopping()
                await self._app(scope, receive, send)
            except Exception as error:
                refused = refusal_of(error)
                if silent():  # else half of the answer is there already
                    identity = scope["state"]["request_id"]
                    response = self._answer(refused, scope["path"], identity)
                    await response(scope, receive, send)


class KeyHolders:
    """Lets only those in who have a key.

    Args:
        app: What is inside.
        keys: All keys.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http" and needs_key(scope["path"]):
            check_key(scope, self._keys)
        await self._app(scope, receive, send)


class Bodies:
    """Reads a request whole before it is worked on, and gives up the work if the client goes.

    Args:
        app: What is inside.
        settings: How large a request may be, and how long it may take to come.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._most = settings.max_body_bytes
        self._seconds = settings.body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._body(scope, receive), self._seconds)
        except TimeoutError:
            raise Refused(
                f"The request was not complete after {self._seconds:g} s.",
                status=408,
                kind=TIMEOUT,
                mend="the same again, over a faster connection",
            ) from None
        if body is not None:
            await self._watched(body, scope, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body; None if the client went before it was complete."""
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._most:
            raise self._too_large()
        pieces: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._most:
                raise self._too_large()
            more = message.get("more_body", False)
        return b"".join(pieces)

    def _too_large(self) -> Refused:
        return Refused(
            "The request is too large.",
            status=413,
            kind=BODY_TOO_LARGE,
            allowed=f"{self._most:,} bytes at most",
            mend="send the texts in several requests",
        )

    async def _watched(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Works on a request until it is answered, or nobody waits for the answer any more."""
        gone = asyncio.ensure_future(receive())
        handed, answered = False, False

        async def again() -> Message:
            nonlocal handed
            if handed:
                return await asyncio.shield(gone)
            handed = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def sending(message: Message) -> None:
            nonlocal answered
            await send(message)
            answered = message["type"] == "http.response.body" and not message.get("more_body")

        working = asyncio.ensure_future(self._app(scope, again, sending))
        try:
            await asyncio.wait((gone, working), return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and not answered:
                working.cancel()
            with suppress(asyncio.CancelledError):
                await working
        finally:
            working.cancel()
            gone.cancel()
