"""Requests that are not served: why, with which status; every surface says it in its own shape."""

from __future__ import annotations

import logging
import traceback

from civilly.errors import CivillyError, UnknownNameError

INVALID = "invalid_request"
TEXT_TOO_LONG = "text_too_long"
TOO_MANY_TEXTS = "too_many_texts"
BODY_TOO_LARGE = "body_too_large"
MISSING_KEY, INVALID_KEY = "missing_api_key", "invalid_api_key"
NOT_FOUND, METHOD_NOT_ALLOWED = "not_found", "method_not_allowed"
MEDIA_TYPE = "unsupported_media_type"
TIMEOUT = "request_timeout"
OVERLOADED, STOPPING = "overloaded", "stopping"
UNAVAILABLE, INTERNAL = "unavailable", "internal_error"

_log = logging.getLogger("civilly.serve")


class Refused(CivillyError):
    """A request, or one text of it, that is not served.

    Args:
        problem: What was wrong. It may reach whoever asked, so it tells nothing of this machine.
        status: HTTP status.
        kind: One of the constants of this module.
        allowed: What would have been right.
        mend: What the client can do.
        retry_after: Seconds after which the same request may succeed, or None.
    """

    def __init__(
        self,
        problem: str,
        *,
        status: int = 400,
        kind: str = INVALID,
        allowed: str = "",
        mend: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(problem, allowed=allowed, mend=mend)
        self.status = status
        self.kind = kind
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        if self.retry_after is None:
            return {}
        return {"Retry-After": str(max(1, round(self.retry_after)))}


class Overloaded(Refused):
    """The queue is full.

    Args:
        retry_after: Seconds after which there is probably room.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "The queue is full.",
            status=429,
            kind=OVERLOADED,
            mend="the same again after the time that Retry-After says",
            retry_after=retry_after,
        )


def stopping() -> Refused:
    """The server was told to stop and takes nothing new."""
    return Refused(
        "The server is stopping.",
        status=503,
        kind=STOPPING,
        mend="the same again after the time that Retry-After says",
        retry_after=5,
    )


def refusal_of(error: Exception) -> Refused:
    """What a client is told of an error.

    What went wrong on this side is logged, with where but without what was being worked on, and
    the client is not told of it: messages of libraries name files, and may quote texts.
    """
    if isinstance(error, Refused):
        return error
    if isinstance(error, UnknownNameError) or type(error) is CivillyError:
        return Refused(error.problem, allowed=error.allowed, mend=error.mend)
    if isinstance(error, CivillyError):  # of an engine, a model, a file or the cache
        _log.error("%s: %s", type(error).__name__, error)
        retry = 5 if getattr(error, "retryable", False) else 60
        return Refused(
            "This server cannot do it at the moment.",
            status=503,
            kind=UNAVAILABLE,
            mend="ask whoever runs this server: its log says why",
            retry_after=retry,
        )
    where = "".join(traceback.format_tb(error.__traceback__))
    _log.error("unexpected %s:\n%s", type(error).__name__, where)
    return Refused(
        "Something went wrong on this side.",
        status=500,
        kind=INTERNAL,
        mend="report it to whoever runs this server, with the request id",
    )
