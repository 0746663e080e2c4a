"""A stand-in for the pipeline, so that the command line is tested without a model.

It takes the word "damn" out. The log probability that it reports is the size of the batch: a
resumed run that cut its batches elsewhere would show. Run as a script it is the command line with
this pipeline; ``CIVILLY_TEST_DELAY`` is the time that one batch takes, in seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from civilly.data.chunks import LEAST_LENGTH, chunks_of
from civilly.errors import EngineError
from civilly.types import Candidate, Detection, Rewrite, Scores, Span

CHUNK_ROWS = 40
"""Short texts in one chunk."""


def detect(text: str) -> Detection:
    start = text.find("damn")
    return Detection(0.9, (Span(start, start + 4),)) if start >= 0 else Detection(0.1)


class Detoxifier:
    def __init__(
        self,
        method: str = "tuned",
        engine: str | None = None,
        adapter: str | None = None,
        n_candidates: int | None = None,
        options: Mapping[str, Any] | None = None,
        select: str | None = None,
        strength: float = 0.5,
        model: str | None = None,
        only_toxic: float | None = None,
        detector: str | None = None,
        route: str | None = None,
    ) -> None:
        self.only_toxic = only_toxic
        self.asked = {
            "method": method,
            "engine": engine,
            "model": model,
            "adapter": adapter,
            "n_candidates": n_candidates,
            "options": dict(options or {}),
            "select": select,
            "strength": strength,
            "only_toxic": only_toxic,
            "detector": detector,
            "route": route,
        }

    def describe(self) -> dict[str, Any]:
        return self.asked

    def chunks(self, texts: Sequence[str], window: int) -> list[list[int]]:
        return chunks_of([len(text) for text in texts], CHUNK_ROWS * LEAST_LENGTH, window)

    def pass_by(self, texts: Sequence[str], langs: str | Sequence[str]) -> list[Rewrite | None]:
        assert self.only_toxic is not None
        return [
            replace(made, rewritten=made.text, after=made.before)
            if made.before.p_toxic < self.only_toxic
            else None
            for made in self.rewrite(texts, langs)
        ]

    def rewrite(self, texts: Sequence[str], langs: str | Sequence[str] = "auto") -> list[Rewrite]:
        time.sleep(float(os.environ.get("CIVILLY_TEST_DELAY", "0")))
        if "explode" in texts:
            raise EngineError("The engine exploded.", mend="another engine")
        return [
            self._rewrite(text, identify([text])[0] if lang == "auto" else lang, len(texts))
            for text, lang in zip(texts, langs, strict=True)
        ]

    def _rewrite(self, text: str, lang: str, batch: int) -> Rewrite:
        new = text.replace("damn ", "")
        found = ((Candidate(new, "fake", float(batch)), Scores(0.9, 0.8, 0.7, 0.504)),)
        return Rewrite(text, new, lang, "fake", "cut", detect(text), detect(new), found)


def identify(texts: Sequence[str]) -> list[str]:
    return ["ru" if any("а" <= letter <= "я" for letter in text) else "en" for text in texts]


def modules() -> dict[str, ModuleType]:
    """The modules to put in the place of the real ones."""
    pipeline, language = ModuleType("civilly.pipeline"), ModuleType("civilly.detect.language")
    pipeline.Detoxifier = Detoxifier  # type: ignore[attr-defined]
    language.identify = identify  # type: ignore[attr-defined]
    return {"civilly.pipeline": pipeline, "civilly.detect.language": language}


if __name__ == "__main__":
    from civilly.cli import main

    sys.modules.update(modules())
    main()
