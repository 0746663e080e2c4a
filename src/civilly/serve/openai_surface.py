"""The surface in OpenAI's shape: ``/v1/moderations``, ``/v1/chat/completions``, ``/v1/models``."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from civilly.serve import chat, model_list, moderations
from civilly.serve.bodies import AnyJSON, from_here
from civilly.serve.openai_shape import error_json
from civilly.serve.refusals import TEXT_TOO_LONG, Refused
from civilly.serve.service import Service
from civilly.serve.settings import Settings

PREFIXES = ("/v1/moderations", "/v1/chat/", "/v1/models")
"""Paths whose errors have this surface's shape."""
DETECTING = frozenset({"/v1/moderations"})
"""Paths of POST requests that are detections and nothing else."""


def refusal(refused: Refused, request_id: str) -> Response:
    """An error in this surface's shape; the request id is in a header.

    OpenAI's clients try 408, 409, 429 and 5xx again by themselves.
    """
    status = 400 if refused.kind == TEXT_TOO_LONG else refused.status
    return AnyJSON(error_json(refused), status, refused.headers)


def router(service: Service, settings: Settings) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["openai"], dependencies=[Depends(from_here(settings))])
    for part in (moderations, chat, model_list):
        routes.include_router(part.router(service, settings))
    return routes
