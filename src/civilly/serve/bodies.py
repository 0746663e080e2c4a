"""The bodies of requests in other services' shapes: JSON whatever the Content-Type, and any answer.

Scripts send JSON as a form, or as nothing at all (``requests`` with ``data=``, ``curl -d``), so
these routes read it themselves. What describes them in OpenAPI is said here, too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from fastapi import Request, Response
from pydantic import BaseModel

from civilly.serve.refusals import Refused
from civilly.serve.settings import Settings


class AnyJSON(Response):
    """An answer in JSON of plain ASCII: it holds whatever a client sent, lone surrogates, too."""

    media_type = "application/json; charset=UTF-8"

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return as_bytes(content)


def as_bytes(content: Any) -> bytes:
    """JSON of plain ASCII."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def from_here(settings: Settings) -> Callable[[Request], Awaitable[None]]:
    """A dependency that refuses what pages of elsewhere send, unless they have a key.

    A browser sends such a page's request without being asked if its content is called plain text,
    which is JSON to these routes; only the answer is kept from the page.
    """

    async def check(request: Request) -> None:
        origin = request.headers.get("origin")
        known = origin is None or settings.keys or {"*", origin} & {*settings.cors}
        if not known and str(origin).partition("://")[2] != request.headers.get("host"):
            raise Refused(
                "Pages of this origin may not ask.",
                status=403,
                allowed="requests of programs, and of origins that the server was started with",
                mend="ask whoever runs this server for --cors or a key",
            )

    return check


def parsed(body: bytes) -> Any:
    """The JSON of a body, in UTF-8, 16 or 32.

    Raises:
        Refused: If it is none; NaN, which JSON does not have, is none.
    """
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused("The body is not valid JSON.", allowed="a JSON object in UTF-8") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def described(kind: type[BaseModel]) -> dict[str, Any]:
    """How OpenAPI describes a route that reads this message: for ``openapi_extra``."""
    schema = kind.model_json_schema()
    parts = schema.pop("$defs", {})
    content = {"application/json": {"schema": _inline(schema, parts)}}
    return {"requestBody": {"required": True, "content": content}}


def _inline(schema: Any, parts: dict[str, Any]) -> Any:
    """A schema without references, which would point outside of OpenAPI's components."""
    if isinstance(schema, list):
        return [_inline(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        others = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_inline(parts[name], parts), **others}
    return {key: _inline(value, parts) for key, value in schema.items()}
