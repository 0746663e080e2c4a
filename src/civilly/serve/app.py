"""The application: the service behind all its surfaces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from civilly import __version__
from civilly.errors import CivillyError
from civilly.serve import health, native, openai_surface, page, perspective
from civilly.serve.door import Door
from civilly.serve.metrics import Metrics
from civilly.serve.middleware import Bodies, KeyHolders, Requests
from civilly.serve.refusals import INVALID, METHOD_NOT_ALLOWED, NOT_FOUND, Refused, refusal_of
from civilly.serve.service import Service
from civilly.serve.settings import Settings
from civilly.serve.stopping import Stopping

SURFACES = (native, perspective, openai_surface)
"""Each has ``PREFIXES`` of paths, those ``DETECTING``, ``router(service, settings)``, and says
errors in its own shape: ``refusal(refused, request_id)``."""
DETECTING = frozenset[str]().union(*(surface.DETECTING for surface in SURFACES))
_KINDS = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED}
_MENDS = {404: "/openapi.json lists what there is", 405: "another HTTP method; see Allow"}


def create_app(settings: Settings, service: Service | None = None) -> FastAPI:
    """The application.

    Args:
        settings: What the server is started with.
        service: What does the work; None: one with the models that the settings name.

    Raises:
        CivillyError: If the settings name what does not exist.
    """
    serving = service or Service(settings, Metrics(settings))
    stopping = Stopping(settings.stop_seconds)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        stopping.watch()
        serving.start()
        yield {"door": door}
        await serving.close()

    # The headers of --cors belong to each answer, also to one at the door, which knows none.
    paths = () if settings.cors else DETECTING
    door = Door(paths, serving.check_room_to_detect, serving.metrics, answer, settings.head_seconds)
    app = FastAPI(
        title="Civilly",
        summary="Says the same thing, civilly: finds and rewrites toxic texts in 15 languages.",
        version=__version__,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.include_router(health.router(serving, stopping))
    app.include_router(page.router())
    for surface in SURFACES:
        app.include_router(surface.router(serving, settings))
    for kind in (CivillyError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answered)
    # The last one that is added is the first that a request meets.
    app.add_middleware(Bodies, settings=settings)
    if settings.keys:
        app.add_middleware(KeyHolders, keys=settings.keys)
    app.add_middleware(Requests, metrics=serving.metrics, stopping=stopping, answer=answer)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    return app


def answer(refused: Refused, path: str, request_id: str) -> Response:
    """A refusal in the shape of the surface that a path belongs to."""

    def claims(surface: Any) -> int:
        return max((len(p) for p in surface.PREFIXES if path.startswith(p)), default=-1)

    response: Response = max(SURFACES, key=claims).refusal(refused, request_id)
    return response


async def _answered(request: Request, error: Exception) -> Response:
    refused = _refusal(error)
    response = answer(refused, request.url.path, request.state.request_id)
    for name, value in (getattr(error, "headers", None) or {}).items():
        response.headers.setdefault(name, value)
    return response


def _refusal(error: Exception) -> Refused:
    """What a client is told; of the texts that it sent, nothing comes back."""
    if isinstance(error, RequestValidationError):
        return _not_understood(error)
    if isinstance(error, HTTPException):
        return Refused(
            str(error.detail).rstrip(".") + ".",
            status=error.status_code,
            kind=_KINDS.get(error.status_code, INVALID),
            mend=_MENDS.get(error.status_code, ""),
        )
    return refusal_of(error)


def _not_understood(error: RequestValidationError) -> Refused:
    """The first thing in a request that is not as the description says."""
    first: dict[str, Any] = max(error.errors(), key=lambda each: len(each["loc"]))
    where = ".".join(str(part)[:40] for part in first["loc"][1:]) or "the request"
    what = str(first["msg"]).removeprefix("Value error, ")
    return Refused(f"{where}: {what}.", mend="/openapi.json describes the request")
