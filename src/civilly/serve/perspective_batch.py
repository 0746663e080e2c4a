"""Google's HTTP batches: several calls as the parts of one ``multipart/mixed`` body.

Each part is a request of its own, as bytes (``application/http``); the answer has one part per
part, in order, that names it by its ``Content-ID`` with ``response-`` before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from civilly.serve.perspective_errors import PerspectiveError

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(r"\r?\n(?![ \t])")
_FOLD = re.compile(r"\r?\n[ \t]+")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a batch.

    Attributes:
        content_id: What its part is named by, as it stands in its header; or nothing.
        method: ``POST``, …
        path: Without the query, percent signs resolved.
        body: Its body.
        scope: Its headers and query as ASGI has them, for whoever looks for a key.
    """

    content_id: str
    method: str
    path: str
    body: bytes
    scope: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one call: status, headers, JSON."""

    code: int
    headers: Mapping[str, str]
    body: bytes


def calls(content_type: str, body: bytes, most: int) -> list[Call]:
    """Reads a batch.

    Args:
        content_type: The header of the request.
        body: Its body.
        most: The most calls that are allowed.

    Raises:
        PerspectiveError: If it is no batch, or one of too many calls.
    """
    boundary = _parameter(content_type, "boundary")
    if not boundary:
        raise PerspectiveError("A batch must be multipart/mixed, with a boundary.")
    parts = re.split(
        rb"(?:^|\r?\n)--" + re.escape(boundary.encode()) + rb"[ \t]*(?=\r?\n|--)", body
    )
    if len(parts) - 1 > most + 1:  # one of them is the end
        raise PerspectiveError(f"A batch may hold at most {most} calls.")
    found = [_call(part) for part in parts[1:] if not part.startswith(b"--")]
    if not found:
        raise PerspectiveError("Failed to parse batch request: it holds no calls.")
    return found


def multipart(asked: list[Call], answers: list[Answer]) -> tuple[str, bytes]:
    """The content type and the body of the answer to a batch."""
    boundary = f"batch_{uuid4().hex}"
    parts = [
        b"--%s\r\nContent-Type: application/http\r\n%s\r\n%s\r\n"
        % (boundary.encode(), _named(call.content_id), _http(answer))
        for call, answer in zip(asked, answers, strict=True)
    ]
    end = b"--%s--\r\n" % boundary.encode()
    return f"multipart/mixed; boundary={boundary}", b"".join(parts) + end


def _call(part: bytes) -> Call:
    """Reads one part; what cannot be read is a call of nothing, which gets an error."""
    head, request = _cut(part.lstrip(b"\r\n"))
    start, _, headers = request.partition(b"\n")
    header, body = _cut(headers) if headers.strip() else (b"", b"")
    words = start.decode("latin-1").split()
    path, _, query = (words[1] if len(words) > 1 else "").partition("?")
    return Call(
        content_id=_headers(head).get("content-id", ""),
        method=words[0].upper() if words else "",
        path=unquote(path),
        body=body,
        scope={
            "type": "http",
            "query_string": query.encode("latin-1"),
            "headers": [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in _headers(header).items()
            ],
        },
    )


def _cut(block: bytes) -> tuple[bytes, bytes]:
    """Headers and what follows the blank line after them."""
    if block.startswith((b"\n", b"\r\n")):
        return b"", block.lstrip(b"\r\n")
    found = _BLANK_LINE.split(block, maxsplit=1)
    return found[0], found[1] if len(found) > 1 else b""


def _headers(block: bytes) -> dict[str, str]:
    """Headers by their name in small letters."""
    fields = (line.partition(":") for line in _LINE.split(block.decode("latin-1")))
    return {name.strip().lower(): _FOLD.sub(" ", value).strip() for name, _, value in fields}


def _parameter(content_type: str, name: str) -> str:
    message = Message()
    message["content-type"] = content_type
    is_batch = message.get_content_maintype() == "multipart"
    value = message.get_param(name) if is_batch else None
    return value if isinstance(value, str) else ""


def _named(content_id: str) -> bytes:
    """The header that names the part an answer is to; of what was sent, only plain characters."""
    if not content_id:
        return b""
    plain = "".join(character for character in content_id if " " <= character <= "~")
    inner = plain[1:-1] if plain[:1] == "<" and plain[-1:] == ">" else plain
    return f"Content-ID: <response-{inner}>\r\n".encode("ascii")


def _http(answer: Answer) -> bytes:
    return b"".join(_lines(answer)) + b"\r\n" + answer.body


def _lines(answer: Answer) -> Iterator[bytes]:
    yield f"HTTP/1.1 {answer.code} {HTTPStatus(answer.code).phrase}\r\n".encode("ascii")
    yield b"Content-Type: application/json; charset=UTF-8\r\n"
    yield f"Content-Length: {len(answer.body)}\r\n".encode("ascii")
    for name, value in answer.headers.items():
        yield f"{name}: {value}\r\n".encode("ascii")
