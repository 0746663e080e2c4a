"""Everything that a server is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Addresses that only this machine can reach."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is started with; it is handed to each worker process.

    Attributes:
        host: Address to listen on.
        port: Port, 0 for any free one.
        workers: Processes that serve, each with models of its own in memory.
        method: Rewriting method where a request names none.
        model: Size of the product; see `civilly.pipeline.Detoxifier`.
        engine: Engine instead of a size.
        adapter: Folder of another adapter.
        options: Options of the method.
        keys: API keys; none: anybody may ask.
        cors: Origins whose pages may ask; none by default, ``"*"`` for any.
        max_queue: The most texts that wait in each lane, at least 1.
        max_batch: The most texts that are worked on together, at least 1.
        window_ms: How long the first text of a batch waits for others, in milliseconds.
        max_text_chars: The most characters (code points) of one text.
        max_texts: The most texts of one request.
        max_body_bytes: The most bytes of one request.
        head_seconds: How long a client may take to send the head of its request, in seconds.
        body_seconds: How long a client may take to send the rest of it, in seconds.
        stop_seconds: How long work that was accepted may go on after a signal to stop, in seconds.
        feedback: JSONL file that decisions of people are appended to; None: they are refused.
        perspective_attributes: Which of Perspective's attributes are served: ``strict``, those that
            the detector tells apart, or ``proxy``; see `civilly.serve.perspective_attributes`.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    method: str = "tuned"
    model: str | None = None
    engine: str | None = None
    adapter: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = field(default=(), repr=False)
    cors: tuple[str, ...] = ()
    max_queue: int = 1024
    max_batch: int = 32
    window_ms: float = 5.0
    max_text_chars: int = 20_480
    max_texts: int = 256
    max_body_bytes: int = 4 * 1024 * 1024
    head_seconds: float = 30.0
    body_seconds: float = 30.0
    stop_seconds: float = 60.0
    feedback: Path | None = None
    perspective_attributes: Literal["strict", "proxy"] = "strict"
