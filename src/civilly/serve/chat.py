"""The shape of OpenAI's ``/v1/chat/completions``: the last message of the user, civilly.

Earlier messages are not read, nor what concerns sampling. A text that needs no other words, or for
which no good ones were found, comes back as it is; the block ``civilly`` says why.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from civilly.detect.sentences import sentences
from civilly.detect.words import words
from civilly.errors import CivillyError
from civilly.select.strength import USUAL, checked_strength
from civilly.serve.bodies import AnyJSON, described
from civilly.serve.model_list import MODEL, language_of
from civilly.serve.openai_shape import Asking, ShapeError, good, read
from civilly.serve.service import Asked, Choices, Service
from civilly.serve.settings import Settings
from civilly.types import Rewrite


class Part(Asking):
    """A part of a message."""

    type: str
    text: str = ""


class Message(Asking):
    """A message of a conversation."""

    role: str
    content: str | list[Part] | None = None


class StreamOptions(Asking):
    """What a stream tells beside the text."""

    include_usage: bool = False


class Metadata(Asking):
    """What concerns rewriting; the values of OpenAI's metadata are strings."""

    lang: str | None = None
    strength: str | float | None = None


class ChatRequest(Asking):
    """The body."""

    model: str = MODEL
    messages: list[Message] = Field(min_length=1)
    n: Literal[1] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: Metadata | None = None


def router(service: Service, settings: Settings) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.post(
        "/v1/chat/completions",
        summary="Rewrite the last message, in OpenAI's shape.",
        openapi_extra=described(ChatRequest),
    )
    async def chat(request: Request) -> Response:
        asked = read(ChatRequest, await request.body())
        metadata = asked.metadata or Metadata()
        lang = language_of(asked.model) or metadata.lang
        text = _last(asked.messages)
        (result,) = await service.rewrite([Asked(text, lang)], _choices(metadata))
        rewrite = good(result).rewrite
        if not asked.stream:
            return AnyJSON(_completion(asked.model, rewrite))
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        chunks = _chunks(asked.model, rewrite, include_usage=usage)
        return StreamingResponse(chunks, media_type="text/event-stream")

    return routes


def _choices(metadata: Metadata) -> Choices:
    if metadata.strength is None:
        return Choices(strength=USUAL)
    try:
        return Choices(strength=checked_strength(metadata.strength))
    except CivillyError as error:
        raise ShapeError(error.problem, "metadata.strength", allowed=error.allowed) from None


def _last(messages: list[Message]) -> str:
    """The text of the last message of the user."""
    asked = [message for message in messages if message.role == "user"]
    if not asked:
        raise ShapeError(
            "There is no message of the user.", "messages", allowed="one of the role 'user'"
        )
    content = asked[-1].content
    if content is None or isinstance(content, str):
        return content or ""
    if any(part.type != "text" for part in content):
        raise ShapeError(
            "The message holds more than text.", "messages", allowed="parts of type 'text'"
        )
    return "".join(part.text for part in content)


def _completion(model: str, rewrite: Rewrite) -> dict[str, Any]:
    message = {"role": "assistant", "content": rewrite.rewritten, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {
        **_head("chat.completion", model),
        "choices": [choice],
        "usage": _usage(rewrite),
        "civilly": _why(rewrite),
    }


async def _chunks(model: str, rewrite: Rewrite, *, include_usage: bool) -> AsyncIterator[str]:
    """The events of a stream: a chunk per sentence. What could fail has been done before."""
    head = _head("chat.completion.chunk", model)
    usage: dict[str, Any] = {"usage": None} if include_usage else {}

    def event(delta: dict[str, Any], finish_reason: str | None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _event({**head, "choices": [choice], **usage, **more})

    yield event({"role": "assistant", "content": ""}, None)
    for start, end in sentences(rewrite.rewritten, rewrite.lang):
        yield event({"content": rewrite.rewritten[start:end]}, None)
    yield event({}, "stop", civilly=_why(rewrite))
    if include_usage:
        yield _event({**head, "choices": [], "usage": _usage(rewrite)})
    yield "data: [DONE]\n\n"


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n"


def _head(kind: str, model: str) -> dict[str, Any]:
    made = {"id": f"chatcmpl-{uuid4().hex}", "object": kind, "created": int(time.time())}
    return {**made, "model": model}


def _usage(rewrite: Rewrite) -> dict[str, int]:
    """Words, not tokens: nothing is paid here, but clients read these fields."""
    read = len(words(rewrite.text, rewrite.lang))
    wrote = len(words(rewrite.rewritten, rewrite.lang))
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


def _why(rewrite: Rewrite) -> dict[str, Any]:
    return {
        "lang": rewrite.lang,
        "changed": rewrite.changed,
        "method": rewrite.method,
        "reason": rewrite.reason,
        "p_toxic": {"before": rewrite.before.p_toxic, "after": rewrite.after.p_toxic},
    }
