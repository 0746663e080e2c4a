"""The embedded model with an adapter fine-tuned on pairs of toxic and civil sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from civilly.engines import shipped_name
from civilly.engines.limits import TokenCounter
from civilly.errors import CivillyError
from civilly.methods import decoding
from civilly.methods.blanks import restore_blanks_and_symbols
from civilly.methods.branching import forks
from civilly.methods.decoding import ADAPTER_OPTION, Decoding
from civilly.methods.tuned_prompt import rude_words, tuned_prompt
from civilly.model.adapter import adapter_digest, shipped_adapter, tells
from civilly.registry import Option
from civilly.types import (
    Brancher,
    Candidate,
    Detection,
    Detector,
    Engine,
    Preparable,
    Prompt,
    Segment,
    Text,
    TextScorer,
    Tools,
)

ADAPTER = "tuned"
"""Name of the adapter that the package brings."""
LONGEST_TEXT = 2_000
"""Characters; longer texts get no candidate here, the pipeline cuts them into parts before."""
MOST_TOKENS = 240
"""A text of more, which is little but signs and random letters, gets no candidate either: the
pipeline's parts of real sentences have fewer in each of the languages."""
UNKNOWN_LOGPROB = -0.3
"""Stands for the score of a proposal where the model does not score it."""
BRANCHES = 4
"""Ways on that are tried at a span."""
BRANCH_TOKENS = 10
"""Tokens after which a way on must have come back to the text."""
MOST_BRANCHED = 2
"""Proposals per text that are kept of those; each costs a reading by the model."""


DECODING = "beam"
"""Where the user does not say: the four best of a beam hold a good one more often than the greedy
answer with a second look does, and cost less (docs/decisions.md)."""
OPTIONS = (
    *decoding.OPTIONS,
    ADAPTER_OPTION,
    Option("second_look", "Whether poor texts are looked at again; usually off.", ("on", "off")),
    Option(
        "told",
        "Whether prompts list the rude words; usually as the adapter was trained.",
        ("on", "off", "both"),
    ),
)


def create(tools: Tools) -> TunedRewriter:
    """The method; see `OPTIONS`.

    Raises:
        CivillyError: If an option is wrong.
    """
    decoding = Decoding.read(tools.options)
    branches = _look(tools.options.get("second_look", "off"))
    folder = _folder(tools)
    told = _told(tools.options.get("told"), folder)
    engine = tools.engine()
    if isinstance(engine, Preparable):
        engine.prepare(str(folder))
    return TunedRewriter(
        engine, str(folder), tools.detector, decoding, branches=branches, told=told
    )


def _look(value: Any) -> bool:
    """Whether there is a second look; JSON's truth values are understood, too."""
    known = {"on": True, "off": False, "true": True, "false": False}
    if str(value).lower() not in known:
        raise CivillyError(f"The option 'second_look' is {value!r}.", allowed="on, off")
    return known[str(value).lower()]


def _told(value: Any, adapter: Path) -> tuple[bool, ...]:
    """The ways to prompt: with the rude words listed, without, or one after the other."""
    ways = {"on": (True,), "off": (False,), "both": (True, False)}
    if value is None:
        # Two different questions give more to choose from than two more answers to one.
        return ways["both" if tells(adapter) else "off"]
    if str(value).lower() not in ways:
        raise CivillyError(f"The option 'told' is {value!r}.", allowed=", ".join(ways))
    return ways[str(value).lower()]


def fingerprint(tools: Tools) -> str:
    """A hash of the adapter, so that a journal notices when it was trained anew."""
    return adapter_digest(_folder(tools))


def _folder(tools: Tools) -> Path:
    adapter = tools.options.get("adapter")
    return Path(adapter) if adapter else shipped_adapter(shipped_name(ADAPTER, tools.engine_spec))


class TunedRewriter:
    """Greedy for one candidate, beam search for several; a second look, if asked for, branches.

    The option ``decoding`` may ask for something else.

    Args:
        engine: Any engine that can load the adapter.
        adapter: Folder of the LoRA adapter.
        detector: Judges what the second look proposes.
        decoding: How the first candidates are generated.
        branches: Whether there is a second look.
        told: For each time that the model is asked, whether it is told what the detector found.
    """

    def __init__(
        self,
        engine: Engine,
        adapter: str,
        detector: Detector,
        decoding: Decoding | None = None,
        *,
        branches: bool = False,
        told: Sequence[bool] = (False,),
    ) -> None:
        self._engine = engine
        self._adapter = adapter
        self._detector = detector
        self._decoding = decoding or Decoding()
        self._branches = branches
        self._told = told

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """Up to ``n`` distinct finished answers per text; see `civilly.types.Rewriter`."""
        short = self._short(texts)
        # Where nothing was found, there is nothing to tell: the prompt is asked once.
        asked = dict.fromkeys(
            (i, _prompt(texts[i], detections[i], told=told)) for told in self._told for i in short
        )
        prompts = [prompt for _, prompt in asked]
        limit = max((p.max_new_tokens or 0 for p in prompts), default=1)
        each = max(1, n // len(self._told))
        options = self._decoding.generation(each, max_new_tokens=limit, adapter=self._adapter)
        made: list[dict[str, float]] = [{} for _ in texts]
        for (i, _), generations in zip(asked, self._engine.generate(prompts, options), strict=True):
            for g in generations:
                if g.finished and g.text.strip():
                    text = _restored(texts[i], detections[i], g.text)
                    made[i][text] = max(g.logprob or 0.0, made[i].get(text, -math.inf))
        ranked = (sorted(row.items(), key=lambda item: -item[1]) for row in made)
        return [[Candidate(text, ADAPTER, score) for text, score in row[:n]] for row in ranked]

    def score(self, texts: Sequence[Text], proposals: Sequence[str]) -> list[float]:
        """See `civilly.types.CandidateScorer`; `UNKNOWN_LOGPROB` where the model is not asked."""
        scores = [UNKNOWN_LOGPROB] * len(proposals)
        if isinstance(self._engine, TextScorer):
            short = self._short(texts)
            prompts = [tuned_prompt(texts[i].text, texts[i].lang) for i in short]
            asked = [proposals[i] for i in short]
            for i, score in zip(
                short, self._engine.logprobs(prompts, asked, self._adapter), strict=True
            ):
                scores[i] = score
        return scores

    def _short(self, texts: Sequence[Text]) -> list[int]:
        """Positions of the texts that the model is given: neither too long nor too many tokens."""
        short = [i for i, text in enumerate(texts) if len(text.text) <= LONGEST_TEXT]
        if not isinstance(self._engine, TokenCounter):
            return short
        counts = self._engine.count_tokens([texts[i].text for i in short], self._adapter)
        return [i for i, count in zip(short, counts, strict=True) if count <= MOST_TOKENS]

    def look_again(
        self, texts: Sequence[Text], detections: Sequence[Detection]
    ) -> list[list[Candidate]]:
        """Other ways on at the toxic spans (`civilly.methods.branching`), at most `MOST_BRANCHED`.

        See `civilly.types.SecondLook`; none where it was not asked for, and of an engine that
        cannot branch.
        """
        if not (self._branches and isinstance(self._engine, Brancher)):
            return [[] for _ in texts]
        places = [
            (i, fork)
            for i in self._short(texts)
            for fork in forks(texts[i].text, detections[i].spans)
        ]
        prompts = [_at_fork(texts[i], fork.before) for i, fork in places]
        turns = self._engine.branch(prompts, BRANCHES, BRANCH_TOKENS, self._adapter)
        proposals: list[dict[str, float]] = [{} for _ in texts]
        for (i, fork), generations in zip(places, turns, strict=True):
            for generation in generations:
                joined = fork.joined(generation.text, generation.finished) or ""
                text = _restored(texts[i], detections[i], joined)
                if text and text != texts[i].text:
                    proposals[i].setdefault(text, generation.logprob or 0.0)
        kept = _best(texts, detections, proposals, self._detector)
        flat = [(text, proposal) for text, row in zip(texts, kept, strict=True) for proposal in row]
        scores = iter(self.score([text for text, _ in flat], [proposal for _, proposal in flat]))
        return [[Candidate(proposal, ADAPTER, next(scores)) for proposal in row] for row in kept]


def _restored(text: Text, detection: Detection | None, proposal: str) -> str:
    """A proposal with the blanks and harmless symbols of its text."""
    spans = detection.spans if detection else ()
    cut = [text.text[span.start : span.end] for span in spans]
    return restore_blanks_and_symbols(text.text, proposal.strip(), cut)


def _prompt(text: Text, detection: Detection | None, *, told: bool) -> Prompt:
    """The prompt of a text, perhaps with what was found in it."""
    spans = detection.spans if told and detection else ()
    return tuned_prompt(text.text, text.lang, rude_words(text.text, spans))


def _at_fork(text: Text, before: str) -> Prompt:
    """The prompt of a text with the beginning of its answer."""
    prompt = tuned_prompt(text.text, text.lang)
    return Prompt((*prompt.segments, Segment(before)) if before else prompt.segments)


def _best(
    texts: Sequence[Text],
    detections: Sequence[Detection],
    proposals: Sequence[Mapping[str, float]],
    detector: Detector,
) -> list[list[str]]:
    """The `MOST_BRANCHED` proposals of each text with the best civility · exp(value).

    Args:
        texts: The inputs.
        detections: What the detector says of them.
        proposals: Per input, proposals with the value that `civilly.types.Brancher` ranks them by:
            a logarithm, but no mean log probability per token.
        detector: Judges the proposals; those no less toxic than their input are left out.
    """
    flat = [Text(p, t.lang) for t, row in zip(texts, proposals, strict=True) for p in row]
    found = iter(detector.detect(flat))
    kept = []
    for detection, row in zip(detections, proposals, strict=True):
        rated = [(next(found).p_toxic, value, text) for text, value in row.items()]
        civil = [item for item in rated if item[0] < detection.p_toxic]
        civil.sort(key=lambda item: -(1 - item[0]) * math.exp(item[1]))
        kept.append([text for _, _, text in civil[:MOST_BRANCHED]])
    return kept
