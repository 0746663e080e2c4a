"""Starts `openai_server` in another process and talks to it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from civilly.engines import open_engine

FAST = "backoff=0.01&timeout=5"
SECRET = "sk-very-secret"


class Server:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def control(self, **orders: object) -> None:
        request = urllib.request.Request(f"{self.url}/control", json.dumps(orders).encode())
        urllib.request.urlopen(request, timeout=5).read()

    def seen(self) -> dict:
        return json.load(urllib.request.urlopen(f"{self.url}/log", timeout=5))

    def spec(self, options: str = FAST, model: str = "parrot") -> str:
        return f"openai:{self.url}/v1/?{options}#{model}"

    def engine(self, options: str = FAST, model: str = "parrot"):
        return open_engine(self.spec(options, model))


@contextmanager
def started() -> Iterator[Server]:
    script = Path(__file__).with_name("openai_server.py")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as child:
        yield Server(int(child.stdout.readline()))
        child.terminate()
