"""Whether it lives, whether it can work, and its numbers."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from civilly.serve.service import Service
from civilly.serve.stopping import Stopping


def router(service: Service, stopping: Stopping) -> APIRouter:
    """``/healthz``, ``/readyz`` and its other name ``/health``, ``/metrics``."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", summary="Whether the process lives.")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/health", summary="The same as /readyz.")
    @routes.get(
        "/readyz",
        summary="Whether the models are loaded and work is taken.",
        responses={503: {"description": "Not yet, no more, or never."}},
    )
    async def readyz() -> Response:
        status = _status(service, stopping)
        return JSONResponse({"status": status}, 200 if status == "ready" else 503)

    @routes.get("/metrics", summary="Numbers for Prometheus.", response_class=Response)
    async def metrics() -> Response:
        page = service.metrics.page()
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes


def _status(service: Service, stopping: Stopping) -> str:
    if stopping.begun:
        return "stopping"
    if service.failure is not None:
        return "failed"
    return "ready" if service.ready else "loading"
