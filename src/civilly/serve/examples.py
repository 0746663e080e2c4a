"""What the OpenAPI description of the native surface shows; a test runs every example."""

from __future__ import annotations

from typing import Any

DETECT: dict[str, dict[str, Any]] = {
    "one": {"text": "What the hell is wrong with you?"},
    "several": {
        "texts": ["Have a nice day.", {"text": "Eres un idiota.", "lang": "es", "id": "c-17"}],
        "offsets": "utf16",
    },
}
REWRITE: dict[str, dict[str, Any]] = {
    "one": {"text": "What the hell is wrong with you?", "lang": "en"},
    "several": {
        "texts": ["Have a nice day.", {"text": "Eres un idiota.", "lang": "es", "id": "c-17"}],
        "method": "delete",
        "strength": 0.5,
        "alternatives": 2,
        "only_toxic": 0.5,
    },
}
FEEDBACK: dict[str, dict[str, Any]] = {
    "accepted": {
        "text": "What the hell is wrong with you?",
        "rewritten": "What is wrong with you?",
        "lang": "en",
        "decision": "accepted",
        "method": "tuned",
    },
    "edited": {
        "text": "What the hell is wrong with you?",
        "rewritten": "What is wrong with you?",
        "lang": "en",
        "decision": "edited",
        "final": "What is the matter?",
        "id": "c-18",
    },
}


def body(of: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The part of an operation's description that shows requests."""
    named = {name: {"value": value} for name, value in of.items()}
    return {"requestBody": {"content": {"application/json": {"examples": named}}}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties]}


_STRING, _BOOLEAN = {"type": "string"}, {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_STRINGS = {"type": "array", "items": _STRING}
_SPANS = {
    "type": "array",
    "items": _object(start=_COUNT, end=_COUNT, score=_SHARE, text=_STRING),
}
_DETECTION = _object(p_toxic=_SHARE, spans=_SPANS, flags=_STRINGS)
_ERROR = _object(error=_object(type=_STRING, message=_STRING, allowed=_STRING, mend=_STRING))
_NULL_OR_SHARE = {"anyOf": [_SHARE, {"type": "null"}]}
_EDIT = _object(
    start=_COUNT, end=_COUNT, cut=_STRING, put=_STRING, score=_NULL_OR_SHARE, p_toxic=_NULL_OR_SHARE
)
_CANDIDATE = _object(text=_STRING, method=_STRING, scores={"type": "object"})
_FOUND = _object(
    text=_STRING, lang=_STRING, language_sure=_BOOLEAN, p_toxic=_SHARE, toxic=_BOOLEAN,
    threshold=_SHARE, spans=_SPANS, flags=_STRINGS,
)  # fmt: skip
_REWRITE = _object(
    text=_STRING, rewritten=_STRING, lang=_STRING, changed=_BOOLEAN, method=_STRING, reason=_STRING,
    before=_DETECTION, after=_DETECTION, candidates={"type": "array", "items": _CANDIDATE},
    edits={"type": "array", "items": _EDIT},
)  # fmt: skip


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _results(schema: dict[str, Any]) -> dict[str, Any]:
    return _object(results={"type": "array", "items": {"anyOf": [schema, _ERROR]}})


DETECTED: dict[int | str, dict[str, Any]] = {
    200: _answer("One result per text, in order: what was found, or an error.", _results(_FOUND))
}
REWRITTEN: dict[int | str, dict[str, Any]] = {
    200: _answer("One result per text, in order: a rewrite, or an error.", _results(_REWRITE))
}
_WHY: dict[int | str, str] = {
    "default": "Anything else that went wrong.",
    400: "The request is not understood.",
    401: "There is no key, or another one.",
    404: "There is no such thing here.",
    413: "The request, or its only text, is too large, or has too many texts.",
    415: "The content is no JSON.",
    429: "The queue is full; Retry-After says for how long.",
    503: "The server is stopping, or has no model; Retry-After says when to ask again.",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: _answer(description, _ERROR) for status, description in _WHY.items()
}
