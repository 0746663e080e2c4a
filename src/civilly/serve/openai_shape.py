"""What the routes in OpenAI's shape have in common: how they read requests, and their errors."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from civilly.errors import CivillyError
from civilly.serve.bodies import parsed
from civilly.serve.refusals import INVALID_KEY, MISSING_KEY, TEXT_TOO_LONG, Refused

Result = TypeVar("Result")
CODES = {
    INVALID_KEY: "invalid_api_key",
    MISSING_KEY: "invalid_api_key",
    TEXT_TOO_LONG: "string_above_max_length",
}
"""OpenAI's codes for what we refuse; others keep our name."""
TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
"""OpenAI's types of errors by status; all others are ``invalid_request_error``."""


class Asking(BaseModel):
    """A request; fields that mean nothing here are ignored."""

    model_config = ConfigDict(extra="ignore")


class ShapeError(Refused):
    """A request that is wrong in one of its parameters.

    Args:
        problem: What is wrong.
        param: The parameter.
        status: HTTP status.
        kind: OpenAI's code.
        allowed: What would have been right.
    """

    def __init__(
        self, problem: str, param: str, *, status: int = 400, kind: str = "", allowed: str = ""
    ) -> None:
        super().__init__(problem, status=status, kind=kind or "invalid_value", allowed=allowed)
        self.param = param


def read(kind: type[Result], body: bytes) -> Result:
    """A request out of the bytes of its body.

    Raises:
        Refused: If it is none; says which parameter, never what stood there.
    """
    content = parsed(body)
    if not isinstance(content, dict):
        raise Refused("The body must be a JSON object.")
    try:
        return kind.model_validate(content)  # type: ignore[attr-defined, no-any-return]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        param = ".".join(str(part) for part in first["loc"] if not str(part)[:1].isupper())
        raise ShapeError(f"Invalid value for '{param}': {first['msg']}.", param) from None


def error_json(refused: Refused) -> dict[str, Any]:
    """An error: ``{"error": {"message", "type", "param", "code"}}``."""
    error = {
        "message": str(refused),
        "type": TYPES.get(refused.status, "invalid_request_error"),
        "param": getattr(refused, "param", None),
        "code": CODES.get(refused.kind, refused.kind),
    }
    return {"error": error}


def good(result: Result | CivillyError) -> Result:
    """A result of the service.

    Raises:
        CivillyError: If the text was refused.
    """
    if isinstance(result, CivillyError):
        raise result
    return result
