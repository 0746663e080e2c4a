"""One JSON request over HTTP, with httpx; tried again by tenacity where that can help."""

from __future__ import annotations

import email.utils
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from civilly.errors import EngineError

if TYPE_CHECKING:
    # Only who asks a server pays for importing them: 0.16 s.
    import httpx
    import tenacity

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Statuses that may be gone at the next attempt."""

CONNECTING = 3.0
"""Seconds in which a server must take the first connection."""
_QUIET = 5.0
"""Seconds without the first answer after which the user is told that it is being waited for."""
_LONGEST_ANSWER = 64 * 1024 * 1024
_LONGEST_ERROR = 100_000
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


class _Connections:
    """The connections of a client, opened when first needed and kept between requests."""

    @cached_property
    def client(self) -> httpx.Client:
        """Follows no redirect: the key must not travel to another host."""
        import ssl

        import httpx

        try:
            return httpx.Client(
                # The system's authorities, which a company may have added to.
                verify=ssl.create_default_context(),
                limits=httpx.Limits(max_connections=None),
                follow_redirects=False,
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise EngineError(
                f"A proxy of the environment cannot be used: {error}",
                allowed="http and https proxies",
                mend="correct or unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or set NO_PROXY",
            ) from error


@dataclass(frozen=True, slots=True)
class JsonClient:
    """Posts JSON and reads JSON; may be used by many threads at a time.

    Attributes:
        key: Bearer token, or an empty string. It is never part of a message.
        timeout: Seconds that one attempt may take.
        retries: How often a failed request is tried again, at least 0.
        backoff: Seconds before the first retry; they double each time. Up to as many again are
            added by chance, so that those who failed together do not come back together.
        longest_wait: The most seconds before a retry, also where the server asks for more.
        sleep: Waits; given so that tests need not.
        heard: Set once the server has answered anything. Before, a server that takes no connection
            or stays silent is not tried again: its address is probably wrong.
    """

    key: str = field(default="", repr=False)
    timeout: float = 120.0
    retries: int = 5
    backoff: float = 0.5
    longest_wait: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    heard: threading.Event = field(default_factory=threading.Event, compare=False)
    _connections: _Connections = field(default_factory=_Connections, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.key.isascii() and self.key.isprintable()):
            raise EngineError(
                "The key holds characters that cannot be sent.",
                allowed="printable ASCII characters",
                mend="set the environment variable OPENAI_API_KEY to the key alone",
            )

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
        import tenacity

        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.retries + 1),
            wait=self._pause,
            retry=tenacity.retry_if_exception(self._may_pass),
            sleep=self.sleep,
            reraise=True,
        )
        return attempts(self._post_once, url, body)

    def _may_pass(self, error: BaseException) -> bool:
        strange = isinstance(error, SilenceError) and not self.heard.is_set()
        return isinstance(error, EngineError) and error.retryable and not strange

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """Seconds to wait: what the server asks for, or else exponentially more each time."""
        import tenacity

        error = state.outcome.exception() if state.outcome else None
        asked: float | None = getattr(error, "wait", None)
        if asked is not None:
            return min(asked + random.uniform(0, self.backoff), self.longest_wait)
        return tenacity.wait_exponential_jitter(
            multiplier=self.backoff, jitter=self.backoff, max=self.longest_wait
        )(state)

    def _post_once(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        import httpx

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = self._connections.client.stream(
            "POST",
            url,
            content=json.dumps(body).encode(),
            headers=headers,
            timeout=httpx.Timeout(self.timeout, pool=None),
        )
        begin = time.monotonic()
        try:
            with request as response:
                self.heard.set()
                raw = self._content(response, url, begin)
        except httpx.TimeoutException:
            raise self._too_slow(url) from None
        except httpx.ConnectError as error:
            raise self._unreachable(url, _reason(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(url, _reason(error), EngineError) from error
        if not response.is_success:
            message = self._message(raw, response.reason_phrase)
            wait = _seconds(response.headers.get("Retry-After"))
            raise StatusError(response.status_code, message, url, wait)
        return _json_object(raw, url)

    def _content(self, response: httpx.Response, url: str, begin: float) -> bytes:
        """All of an answer, or the beginning of one that only says what went wrong."""
        longest = _LONGEST_ANSWER if response.is_success else _LONGEST_ERROR
        raw = bytearray()
        for piece in response.iter_bytes():
            raw += piece
            if time.monotonic() - begin > self.timeout:  # one that drips is never silent
                raise self._too_slow(url)
            if len(raw) > longest:
                if not response.is_success:
                    break
                raise EngineError(
                    f"The answer of the server at {url} is longer than 64 MB.",
                    mend="check that the address is a model's server",
                )
        return bytes(raw)

    def _too_slow(self, url: str) -> EngineError:
        return self._unreachable(url, f"no answer within {self.timeout:g} seconds")

    def _unreachable(
        self, url: str, why: str, kind: type[EngineError] = SilenceError
    ) -> EngineError:
        return kind(
            f"The server at {url} cannot be reached: {why}.",
            mend="start the server, check the address, or allow more time (?timeout=300)",
            retryable=True,
        )

    def _message(self, raw: bytes, reason: str) -> str:
        """What the server said, short and without the key."""
        text = raw.decode("utf-8", "replace")
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = text
        while isinstance(said, dict):
            said = next(
                (said[name] for name in ("error", "message", "detail") if name in said), text
            )
        message = " ".join(str(said).split()) or reason
        if self.key:
            message = message.replace(self.key, "***")
        return message[:_LONGEST_MESSAGE]


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _why_no_connection(url: str) -> str | None:
    """Why nobody takes a connection at an address, or at the proxy on the way; None if one does."""
    import urllib.request

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
    except (ValueError, RecursionError):
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
