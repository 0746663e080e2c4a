"""Errors in Google's shape, as Perspective's clients read them.

The body of ``google.rpc.Status``, with a detail of ``google.commentanalyzer.v1alpha1.Error`` per
thing that was wrong: clients take the attribute out of it and ask again without that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly.serve.refusals import (
    BODY_TOO_LARGE,
    INVALID_KEY,
    MISSING_KEY,
    OVERLOADED,
    TEXT_TOO_LONG,
    Refused,
)

ERROR = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
INFO = "type.googleapis.com/google.rpc.ErrorInfo"
SERVICE = "commentanalyzer.googleapis.com"
STATUSES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
"""Google's name of each HTTP status that is answered with."""

Detail = dict[str, Any]


class PerspectiveError(Refused):
    """A request that gets an error of Perspective's own.

    Args:
        message: What was wrong, in Perspective's words where it had some.
        code: The HTTP status, one of `STATUSES`.
        details: The details of the status.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int = 400,
        details: Sequence[Detail] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, status=code)
        self.details = list(details)
        self.more_headers = dict(headers or {})

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return self.more_headers

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        error = {
            "code": self.status,
            "message": self.problem,
            "status": STATUSES.get(self.status, "UNKNOWN"),
        }
        return {"error": {**error, **({"details": self.details} if self.details else {})}}


def refused_as(error_type: str, message: str) -> PerspectiveError:
    """An error of one of Perspective's types, such as ``COMMENT_EMPTY``."""
    return PerspectiveError(message, details=[{"@type": ERROR, "errorType": error_type}])


def invalid(messages: Sequence[str]) -> PerspectiveError:
    """What has no type of its own: ``INVALID_REQUEST``, one detail per message."""
    detail = {"@type": ERROR, "errorType": "INVALID_REQUEST"}
    return PerspectiveError(messages[0], details=[dict(detail) for _ in messages])


def unsupported(
    attributes: Sequence[str], unknown: Sequence[str], requested: Sequence[str]
) -> PerspectiveError:
    """Languages that no attribute is served in, one detail per attribute.

    Args:
        attributes: All that were asked for.
        unknown: The languages that are not served.
        requested: All languages that were asked for.
    """
    details = [
        {
            "@type": ERROR,
            "errorType": "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
            "languageNotSupportedByAttributeError": {
                "detectedLanguages": [],
                "requestedLanguages": list(requested),
                "attribute": attribute,
            },
        }
        for attribute in attributes
    ]
    languages = ", ".join(unknown)
    message = f"Attribute {attributes[0]} does not support request languages: {languages}"
    return PerspectiveError(message, details=details)


def said(refused: Refused) -> PerspectiveError:
    """What the rest of the service refuses, as Perspective would have said it.

    A wrong key has status 400 there, not 401, and a text that is too long not 413.
    """
    if isinstance(refused, PerspectiveError):
        return refused
    if refused.kind == INVALID_KEY:
        message = "API key not valid. Please pass a valid API key."
        return PerspectiveError(message, details=[_info("API_KEY_INVALID")])
    if refused.kind == MISSING_KEY:
        message = "The request is missing a valid API key."
        return PerspectiveError(message, code=403, details=[_info("API_KEY_MISSING")])
    if refused.kind == TEXT_TOO_LONG:
        return refused_as("COMMENT_TOO_LONG", "Comment text too long.")
    if refused.kind == OVERLOADED:
        message = (
            "Quota exceeded for quota metric 'Analysis requests (AnalyzeComment)': "
            "the server is busy; try again after the time that Retry-After says."
        )
        details = [_info("RATE_LIMIT_EXCEEDED")]
        return PerspectiveError(message, code=429, details=details, headers=refused.headers)
    code = 400 if refused.kind == BODY_TOO_LARGE else refused.status
    return PerspectiveError(str(refused), code=code, headers=refused.headers)


def _info(reason: str) -> Detail:
    return {
        "@type": INFO,
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": SERVICE},
    }
