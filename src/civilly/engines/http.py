"""One JSON request over HTTP, tried again where that can help; on the standard library alone."""

from __future__ import annotations

import email.utils
import http.client
import json
import random
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from civilly.errors import EngineError

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Statuses that may be gone at the next attempt."""

CONNECTING = 3.0
"""Seconds in which a server must take the first connection."""
_QUIET = 5.0
"""Seconds without the first answer after which the user is told that it is being waited for."""
_LONGEST_MESSAGE = 300


class StatusError(EngineError):
    """The server answered with an error.

    Args:
        status: HTTP status.
        message: What the server said.
        url: Where.
        wait: Seconds that the server asks to wait, or None.
    """

    def __init__(self, status: int, message: str, url: str, wait: float | None = None) -> None:
        self.status = status
        self.message = message
        self.wait = wait
        super().__init__(
            f"The server at {url} answered {status}: {message}",
            mend=_MENDS.get(status, ""),
            retryable=status in RETRIED,
        )


class SilenceError(EngineError):
    """Nobody takes connections at an address, or there was no answer in time."""


_MENDS = {
    401: "set the environment variable OPENAI_API_KEY to a valid key",
    403: "ask the server's owner for access, or set OPENAI_API_KEY",
    404: "check the address, which usually ends in /v1, and the model's name",
    429: "fewer requests at a time (?concurrency=1), or later",
}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the key must not travel to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class JsonClient:
    """Posts JSON and reads JSON.

    Attributes:
        key: Bearer token, or an empty string. It is never part of a message.
        timeout: Seconds that one attempt may stay silent.
        retries: How often a failed request is tried again, at least 0.
        backoff: Seconds before the first retry; they double each time, with some jitter.
        longest_wait: The most seconds before a retry, also where the server asks for more.
        sleep: Waits; given so that tests need not.
        heard: Set once the server has answered anything. Before, a server that takes no connection
            or stays silent is not tried again: its address is probably wrong.
    """

    key: str = ""
    timeout: float = 120.0
    retries: int = 5
    backoff: float = 0.5
    longest_wait: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    heard: threading.Event = field(default_factory=threading.Event, compare=False)

    @contextmanager
    def first_contact(self, url: str) -> Iterator[None]:
        """Around the first requests to a server: nobody waits long, or without a word.

        Raises:
            EngineError: If nobody takes connections there within `CONNECTING` seconds.
        """
        if self.heard.is_set():
            yield
            return
        why = _why_no_connection(url)
        if why is not None:
            raise self._unreachable(url, why)
        waiting = threading.Timer(_QUIET, self._tell_of_silence, [url])
        waiting.daemon = True
        waiting.start()
        try:
            yield
        finally:
            waiting.cancel()

    def _tell_of_silence(self, url: str) -> None:
        if not self.heard.is_set():
            message = (
                f"civilly: the server at {url} takes connections but has not answered for "
                f"{_QUIET:g} seconds; waiting up to {self.timeout:g} (?timeout=); if it should be "
                "faster, check the address"
            )
            print(message, file=sys.stderr)  # noqa: T201 - the user waits for it

    def post(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The server's answer, a JSON object.

        Raises:
            EngineError: If the server refuses, or still fails after all retries; it is retryable
                where the failure may pass.
        """
        attempt = 0
        while True:
            try:
                return self._post_once(url, body)
            except EngineError as error:
                strange = isinstance(error, SilenceError) and not self.heard.is_set()
                if not error.retryable or strange or attempt >= self.retries:
                    raise
                self.sleep(self._pause(attempt, getattr(error, "wait", None)))
                attempt += 1

    def _pause(self, attempt: int, asked: float | None) -> float:
        """Seconds to wait: what the server asks for, or else exponentially more each time."""
        if asked is None:
            asked = self.backoff * 2**attempt * random.uniform(0.75, 1.25)
        return min(asked, self.longest_wait)

    def _post_once(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=self.timeout) as response:
                self.heard.set()
                raw = response.read()
        except urllib.error.HTTPError as error:
            self.heard.set()
            with error:
                message = self._message(error)
                wait = _seconds(error.headers.get("Retry-After"))
            raise StatusError(error.code, message, url, wait) from None
        except TimeoutError:
            raise self._unreachable(url, f"no answer within {self.timeout:g} seconds") from None
        except urllib.error.URLError as error:
            raise self._unreachable(url, str(error.reason)) from error
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            raise self._unreachable(url, why, EngineError) from error
        return _json_object(raw, url)

    def _unreachable(
        self, url: str, why: str, kind: type[EngineError] = SilenceError
    ) -> EngineError:
        return kind(
            f"The server at {url} cannot be reached: {why}.",
            mend="start the server, check the address, or allow more time (?timeout=300)",
            retryable=True,
        )

    def _message(self, error: urllib.error.HTTPError) -> str:
        """What the server said, short and without the key."""
        try:
            text = error.read(100_000).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            text = ""
        try:
            said = json.loads(text)
        except ValueError:
            said = text
        while isinstance(said, dict):
            said = next(
                (said[name] for name in ("error", "message", "detail") if name in said), text
            )
        message = " ".join(str(said).split()) or str(error.reason)
        if self.key:
            message = message.replace(self.key, "***")
        return message[:_LONGEST_MESSAGE]


def _why_no_connection(url: str) -> str | None:
    """Why nobody takes a connection at an address, or at the proxy on the way; None if one does."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.netloc):
        parts = urlsplit(proxy if "://" in proxy else f"//{proxy}")
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    found: list[str | None] = []

    def connect() -> None:
        try:
            socket.create_connection(address, CONNECTING).close()
            found.append(None)
        except OSError as error:
            found.append(str(error))

    # Looking a name up knows no time limit: only a thread can be left behind.
    connecting = threading.Thread(target=connect, daemon=True)
    connecting.start()
    connecting.join(CONNECTING)
    return found[0] if found else f"no connection within {CONNECTING:g} seconds"


def _json_object(raw: bytes, url: str) -> dict[str, Any]:
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        start = " ".join(raw[:80].decode("utf-8", "replace").split())
        raise EngineError(
            f"The server at {url} did not answer in JSON but with {start!r}.",
            allowed="a JSON object",
            mend="check that the address is an OpenAI-compatible server",
            retryable=True,
        )
    return answer


def _seconds(header: str | None) -> float | None:
    """Seconds of a ``Retry-After`` header, which is a number or a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
