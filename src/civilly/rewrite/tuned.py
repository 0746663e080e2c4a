"""The embedded model with an adapter fine-tuned on pairs of toxic and civil sentences."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.model.adapter import shipped_adapter
from civilly.rewrite.tuned_prompt import answer_limit, tuned_prompt
from civilly.types import (
    Candidate,
    Detection,
    Engine,
    GenerationOptions,
    Prompt,
    Text,
    TextScorer,
    Tools,
)

ADAPTER = "tuned"
"""Name of the adapter that the package brings."""
UNKNOWN_LOGPROB = -0.3
"""Stands for the score of a proposal where the engine cannot score text."""


def create(tools: Tools) -> TunedRewriter:
    """The method; the option ``adapter`` names another adapter's folder."""
    adapter = tools.options.get("adapter")
    return TunedRewriter(tools.engine(), str(adapter or shipped_adapter(ADAPTER)))


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
        prompts = [_prompt(text) for text in texts]
        limit = max((p.max_new_tokens or 0 for p in prompts), default=1)
        options = GenerationOptions(n=n, max_new_tokens=limit, adapter=self._adapter)
        results = []
        for generations in self._engine.generate(prompts, options):
            best = {g.text: g for g in reversed(generations) if g.finished and g.text.strip()}
            ranked = sorted(best.values(), key=lambda g: -(g.logprob or 0.0))
            results.append([Candidate(g.text.strip(), ADAPTER, g.logprob) for g in ranked])
        return results

    def score(self, texts: Sequence[Text], proposals: Sequence[str]) -> list[float]:
        """See `civilly.types.CandidateScorer`; an engine that cannot score: `UNKNOWN_LOGPROB`."""
        if not isinstance(self._engine, TextScorer):
            return [UNKNOWN_LOGPROB] * len(proposals)
        return self._engine.logprobs([_prompt(t) for t in texts], proposals, self._adapter)


def _prompt(text: Text) -> Prompt:
    """The prompt with a limit on the answer.

    Half the UTF-8 bytes bound the tokens of nearly any text from above, without tokenising twice.
    """
    prompt = tuned_prompt(text.text, text.lang)
    return Prompt(prompt.segments, answer_limit(len(text.text.encode("utf-8", "replace")) // 2))
