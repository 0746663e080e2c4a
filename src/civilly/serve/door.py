"""Refusals at the door: what there is no room for is answered before anything is done about it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import Response

from civilly.serve.metrics import Metrics
from civilly.serve.middleware import Answer, request_id
from civilly.serve.refusals import Refused

_NO_ID = "0" * 32
"""Stands for the id in an answer that is kept."""


class Door:
    """Knows whether there is room, and has the bytes of a refusal ready.

    To read, route and check a request takes a good part of the time that its detection takes: under
    ten times the load that can be borne nothing else would be done. So this comes before all of
    that, does not look for a key, and keeps the answers that it gives.

    Args:
        paths: Paths whose POST requests are checked.
        check: Raises `Refused` if there is no room.
        metrics: Is told of refusals; they come by the thousand, so that they are not logged.
        answer: Says refusals.
        head_seconds: How long a client may take to send the head of its request.
    """

    def __init__(
        self,
        paths: Collection[str],
        check: Callable[[], None],
        metrics: Metrics,
        answer: Answer,
        head_seconds: float,
    ) -> None:
        self.head_seconds = head_seconds
        self._paths = {path.encode(): path for path in paths}
        self._check = check
        self._metrics = metrics
        self._answer = answer
        self._kept: dict[tuple[str, int], _Kept] = {}

    def refusal(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes | None:
        """The whole answer to a POST request that there is no room for, else None.

        Args:
            target: The address as it was sent.
            headers: Names in lower case, and values.
        """
        path = self._paths.get(target)
        if path is None:
            return None
        try:
            self._check()
        except Refused as refused:
            given = dict(headers).get(b"x-request-id", b"").decode("latin-1")
            return self._said(path, refused, given)
        return None

    def _said(self, path: str, refused: Refused, given: str) -> bytes:
        key = path, round(refused.retry_after or 0)
        if key not in self._kept:
            response = self._answer(refused, path, _NO_ID)
            self._kept[key] = _Kept(response, _message(response, _NO_ID))
        kept, identity = self._kept[key], request_id(given)
        self._metrics.refused(path, kept.code)
        if len(identity) == len(_NO_ID):
            return kept.message.replace(_NO_ID.encode(), identity.encode())
        return _message(kept.response, identity)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A refusal, with `_NO_ID` for its id.

    Attributes:
        response: It.
        message: As it goes over the wire.
    """

    response: Response
    message: bytes

    @property
    def code(self) -> str:
        return str(self.response.status_code)


def _message(response: Response, identity: str) -> bytes:
    """What goes over the wire, with another id."""
    body = bytes(response.body).replace(_NO_ID.encode(), identity.encode())
    status = HTTPStatus(response.status_code)
    headers = [header for header in response.raw_headers if header[0] != b"content-length"]
    headers += [
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", identity.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
    return b"\r\n".join([*lines, *(b"%s: %s" % header for header in headers), b"", body])
