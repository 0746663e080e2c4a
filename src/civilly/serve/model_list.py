"""The shape of OpenAI's ``/v1/models``: Civilly, and Civilly in one language each."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from civilly.languages import CODES, language_code
from civilly.serve.bodies import AnyJSON
from civilly.serve.openai_shape import ShapeError
from civilly.serve.service import Service
from civilly.serve.settings import Settings

MODEL = "civilly"
"""The rewriter, which detects the language; ``civilly:es`` is told it."""
CREATED = 1_764_460_800
"""The day that it was made, in seconds since 1970: the shape wants one."""


def router(service: Service, settings: Settings) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/v1/models", summary="The models, in OpenAI's shape.")
    async def models(request: Request) -> Response:
        names = [MODEL, *(f"{MODEL}:{code}" for code in CODES)]
        return AnyJSON({"object": "list", "data": [_model(name) for name in names]})

    @routes.get("/v1/models/{model}", summary="One model, in OpenAI's shape.")
    async def model(request: Request) -> Response:
        name = request.path_params["model"]
        language_of(name)
        return AnyJSON(_model(name))

    return routes


def language_of(model: str) -> str | None:
    """The language that the name of a model tells; None if the text does.

    Raises:
        ShapeError: If there is no such model.
    """
    name, _, tag = model.partition(":")
    code = language_code(tag)
    if name != MODEL or (":" in model and code is None):
        raise ShapeError(
            f"The model {model[:80]!r} does not exist.",
            "model",
            status=404,
            kind="model_not_found",
            allowed=f"'{MODEL}', or '{MODEL}:' and one of {', '.join(CODES)}",
        )
    return code


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "civilly"}
