"""The native surface: /v1/rewrite, /v1/detect, /v1/feedback, /v1/methods, /v1/languages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from civilly.errors import CivillyError
from civilly.languages import LANGUAGES, chosen_language
from civilly.select.reads import TOXIC
from civilly.serve import examples
from civilly.serve.feedback import append, lines_of
from civilly.serve.refusals import MEDIA_TYPE, NOT_FOUND, TOO_MANY_TEXTS, Refused
from civilly.serve.service import Choices, Service
from civilly.serve.settings import Settings
from civilly.serve.shapes import (
    DetectRequest,
    FeedbackRequest,
    RewriteRequest,
    TextRequest,
    found_json,
    place_of,
    refusal_json,
    rewritten_json,
)

PREFIXES = ("/",)
"""Paths whose errors have this surface's shape: all that no other surface claims."""
DETECTING = frozenset({"/v1/detect"})
"""Paths of POST requests that are detections and nothing else."""


def refusal(refused: Refused, request_id: str) -> Response:
    """An error in this surface's shape."""
    return JSONResponse(refusal_json(refused, request_id), refused.status, refused.headers)


async def _is_json(request: Request) -> None:
    """Refuses other kinds of content: pages of elsewhere may send those without being asked."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Refused(
            "The content is not declared as JSON.",
            status=415,
            kind=MEDIA_TYPE,
            allowed="application/json",
            mend="Content-Type: application/json",
        )


def router(service: Service, settings: Settings) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["native"], responses=examples.REFUSALS)
    known = [
        {"name": entry.name, "summary": entry.summary, "provider": entry.provider}
        for entry in service.methods
    ]
    takes_json = [Depends(_is_json)]

    @routes.post(
        "/detect",
        summary="How toxic texts are, and where.",
        dependencies=takes_json,
        responses=examples.DETECTED,
        openapi_extra=examples.body(examples.DETECT),
    )
    async def detect(asked: DetectRequest) -> Response:
        _check_count(asked, settings)
        found = await service.detect(asked.asked())
        _raise_single(asked, found)
        place = place_of(asked.offsets)
        pairs = zip(asked.items, found, strict=True)
        return JSONResponse({"results": [found_json(*pair, place) for pair in pairs]})

    @routes.post(
        "/rewrite",
        summary="Texts that say the same civilly, or stay as they are.",
        dependencies=takes_json,
        responses=examples.REWRITTEN,
        openapi_extra=examples.body(examples.REWRITE),
    )
    async def rewrite(asked: RewriteRequest) -> Response:
        _check_count(asked, settings)
        choices = Choices(
            asked.method, round(asked.strength, 2), asked.alternatives, asked.only_toxic
        )
        made = await service.rewrite(asked.asked(), choices)
        _raise_single(asked, made)
        place = place_of(asked.offsets)
        pairs = zip(asked.items, made, strict=True)
        return JSONResponse({"results": [rewritten_json(*pair, place) for pair in pairs]})

    @routes.post(
        "/feedback",
        summary="What a person decided about a rewrite.",
        dependencies=takes_json,
        openapi_extra=examples.body(examples.FEEDBACK),
    )
    async def feedback(given: FeedbackRequest) -> dict[str, int]:
        if settings.feedback is None:
            raise Refused(
                "This server keeps no feedback.",
                status=404,
                kind=NOT_FOUND,
                mend="start it with --feedback FILE.jsonl",
            )
        for text in (given.text, given.rewritten, given.final or ""):
            if len(text) > settings.max_text_chars:
                raise Refused("A text is too long.", allowed=f"{settings.max_text_chars:,}")
        lines = lines_of(given, chosen_language(given.lang))
        await asyncio.to_thread(append, settings.feedback, lines)
        return {"written": len(lines)}

    @routes.get("/methods", summary="Rewriting methods, and the one that is used.")
    async def methods() -> dict[str, Any]:
        return {"default": settings.method, "methods": known}

    @routes.get("/languages", summary="The languages, and from which p(toxic) on texts are toxic.")
    async def languages() -> dict[str, Any]:
        return {"languages": _languages()}

    return routes


def _check_count(asked: TextRequest, settings: Settings) -> None:
    if len(asked.items) > settings.max_texts:
        raise Refused(
            f"There are {len(asked.items):,} texts.",
            status=413,
            kind=TOO_MANY_TEXTS,
            allowed=f"{settings.max_texts:,} at most",
            mend="send them in several requests",
        )


def _raise_single(asked: TextRequest, results: Sequence[Any]) -> None:
    """The error of a single text is that of the request; one of several stands in its place."""
    if asked.single and isinstance(results[0], CivillyError):
        raise results[0]


def _languages() -> list[dict[str, Any]]:
    return [
        {
            "code": lang.code,
            "name": lang.name,
            "own_name": lang.own_name,
            "script": lang.script,
            "right_to_left": lang.right_to_left,
            "aliases": list(lang.aliases),
            "threshold": TOXIC,
        }
        for lang in LANGUAGES.values()
    ]
