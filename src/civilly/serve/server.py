"""Runs the application: one process, or several behind one socket."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from civilly.engines.hardware import default_threads
from civilly.errors import CivillyError
from civilly.serve.connection import Connection
from civilly.serve.settings import LOOPBACK, Settings

BACKLOG = 2048
"""Connections that wait to be accepted."""
THREADS = "CIVILLY_THREADS"
SHARED = "PROMETHEUS_MULTIPROC_DIR"


def run(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serves until a signal says to stop, and what was accepted is done.

    Args:
        settings: What to serve, and where.
        tell: Is told the address, once it can be asked, and what to mind.

    Raises:
        CivillyError: If it cannot listen there.
    """
    _more_files()
    listening = _listening(settings)
    config = uvicorn.Config(
        partial(_application, settings),
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,  # it would hold addresses with what was asked; see `Requests`
        server_header=False,
        proxy_headers=False,
        http=Connection,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=round(settings.stop_seconds) or 1,
        timeout_worker_healthcheck=60,
    )
    tell(_address(settings, listening))
    if settings.host not in LOOPBACK and not settings.keys:
        tell(
            "warning: whoever reaches this machine may ask, as there are no API keys: "
            "--keys FILE, or CIVILLY_API_KEYS"
        )
    with suppress(KeyboardInterrupt):  # a person has stopped it
        if settings.workers == 1:
            uvicorn.Server(config).run(sockets=[listening])
            return
        os.environ.setdefault(THREADS, str(max(1, default_threads() // settings.workers)))
        with tempfile.TemporaryDirectory(prefix="civilly-metrics-") as folder:
            os.environ[SHARED] = folder
            Multiprocess(config, sockets=[listening]).run()


def _application(settings: Settings) -> FastAPI:
    """In each worker process."""
    from civilly.serve.app import create_app

    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    for name in ("civilly.serve", "civilly.access"):
        logging.getLogger(name).setLevel(logging.INFO)
    return create_app(settings)


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named, as asyncio sends small answers at once (TCP_NODELAY) only where it sees that it is TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        listening.close()
        used = getattr(error, "errno", None) == errno.EADDRINUSE
        raise CivillyError(
            f"Cannot listen on {settings.host}, port {settings.port}: "
            f"{getattr(error, 'strerror', None) or error}.",
            mend="another --port, or 0 for any free one" if used else "another --host or --port",
        ) from error
    listening.listen(BACKLOG)
    listening.set_inheritable(True)
    return listening


def _address(settings: Settings, listening: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    port = listening.getsockname()[1]
    return f"Civilly listens on http://{host}:{port} (stop it with Ctrl-C)"


def _more_files() -> None:
    """Raises the limit of open files as far as it goes: each connection is one."""
    with suppress(ImportError, ValueError, OSError):  # not on Windows
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
