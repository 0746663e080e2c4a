"""A real server of Civilly on loopback, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from civilly.serve.app import create_app
from civilly.serve.connection import Connection
from civilly.serve.service import Service
from civilly.serve.settings import Settings


@contextmanager
def served(settings: Settings, service: Service | None = None, **options: Any) -> Iterator[int]:
    """Its port, while it serves; further options are uvicorn's."""
    config = uvicorn.Config(
        create_app(settings, service),
        host="127.0.0.1",
        port=0,
        log_level="error",
        http=Connection,
        **options,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def warm(settings: Settings, **options: Any) -> Iterator[int]:
    """The port of a server that has loaded its models: clients of 5 s do not wait for them."""
    service = Service(settings)
    with served(settings, service, **options) as port:
        while not service.ready:
            assert service.failure is None, service.failure
            time.sleep(0.01)
        yield port
