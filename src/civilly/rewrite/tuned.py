"""The embedded model with an adapter fine-tuned on pairs of toxic and civil sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from civilly.model.adapter import adapter_digest, shipped_adapter
from civilly.rewrite.tuned_prompt import tuned_prompt
from civilly.types import (
    Candidate,
    Detection,
    Engine,
    GenerationOptions,
    Preparable,
    Text,
    TextScorer,
    Tools,
)

ADAPTER = "tuned"
"""Name of the adapter that the package brings."""
LONGEST_TEXT = 2_000
"""Characters; longer texts get no candidate here, the pipeline cuts them into parts before."""
UNKNOWN_LOGPROB = -0.3
"""Stands for the score of a proposal where the engine cannot score text."""


def create(tools: Tools) -> TunedRewriter:
    """The method; the option ``adapter`` names another adapter's folder."""
    engine, adapter = tools.engine(), str(_folder(tools.options))
    if isinstance(engine, Preparable):
        engine.prepare(adapter)
    return TunedRewriter(engine, adapter)


def fingerprint(options: Mapping[str, Any]) -> str:
    """A hash of the adapter, so that a journal notices when it was trained anew."""
    return adapter_digest(_folder(options))


def _folder(options: Mapping[str, Any]) -> Path:
    adapter = options.get("adapter")
    return Path(adapter) if adapter else shipped_adapter(ADAPTER)


class TunedRewriter:
    """Greedy for one candidate, beam search for several.

    Args:
        engine: Any engine that can load the adapter.
        adapter: Folder of the LoRA adapter.
    """

    def __init__(self, engine: Engine, adapter: str) -> None:
        self._engine = engine
        self._adapter = adapter

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """Up to ``n`` distinct finished answers per text; see `civilly.types.Rewriter`."""
        short = [i for i, text in enumerate(texts) if len(text.text) <= LONGEST_TEXT]
        prompts = [tuned_prompt(texts[i].text, texts[i].lang) for i in short]
        limit = max((p.max_new_tokens or 0 for p in prompts), default=1)
        options = GenerationOptions(n=n, max_new_tokens=limit, adapter=self._adapter)
        results: list[list[Candidate]] = [[] for _ in texts]
        for i, generations in zip(short, self._engine.generate(prompts, options), strict=True):
            best = {g.text: g for g in reversed(generations) if g.finished and g.text.strip()}
            ranked = sorted(best.values(), key=lambda g: -(g.logprob or 0.0))
            results[i] = [Candidate(g.text.strip(), ADAPTER, g.logprob) for g in ranked]
        return results

    def score(self, texts: Sequence[Text], proposals: Sequence[str]) -> list[float]:
        """See `civilly.types.CandidateScorer`; an engine that cannot score: `UNKNOWN_LOGPROB`."""
        if not isinstance(self._engine, TextScorer):
            return [UNKNOWN_LOGPROB] * len(proposals)
        prompts = [tuned_prompt(text.text, text.lang) for text in texts]
        return self._engine.logprobs(prompts, proposals, self._adapter)
