"""A service without models: it finds and cuts the word "damn", and can be held up.

Texts that it has begun to rewrite are told in `Gate.begun`, batch by batch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import fake_pipeline
from civilly.errors import EngineError
from civilly.serve.service import Choices, Service
from civilly.serve.settings import Settings
from civilly.types import Detection, Rewrite, Text


class Detector:
    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        return [fake_pipeline.detect(text.text) for text in texts]


class Gate:
    """What rewrites waits here while it is shut."""

    def __init__(self, shut: bool = False) -> None:
        self.begun: list[list[str]] = []
        self.choices: list[Choices] = []
        self._open = threading.Event()
        self._came = threading.Semaphore(0)
        if not shut:
            self.open()

    def open(self) -> None:
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def wait_for_batch(self) -> None:
        assert self._came.acquire(timeout=20), "nothing was begun"

    def passed(self, texts: Sequence[str]) -> None:
        self.begun.append(list(texts))
        self._came.release()
        assert self._open.wait(30), "nobody opened the gate"


class Detoxifier(fake_pipeline.Detoxifier):
    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def rewrite(self, texts: Sequence[str], langs: str | Sequence[str] = "auto") -> list[Rewrite]:
        self._gate.passed(texts)
        if "poison" in texts:  # the log shows the next line
            raise ValueError(f"cannot do {texts}")
        if "explode" in texts:
            raise EngineError("/secret/path exploded.")
        return [
            self._rewrite(text, "en" if lang == "auto" else lang, len(texts))
            for text, lang in zip(texts, langs, strict=True)
        ]


def fake_service(settings: Settings, gate: Gate | None = None) -> Service:
    gate = gate or Gate()

    def detoxifier_for(choices: Choices) -> Detoxifier:
        gate.choices.append(choices)
        return Detoxifier(gate)

    return Service(settings, detector=Detector(), detoxifier_for=detoxifier_for)
