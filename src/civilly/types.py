"""What travels through the house, batch in, batch out: dataclasses and the rooms' protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Text:
    """One message in a known language.

    Attributes:
        text: Any Unicode string, also an empty one.
        lang: A code of `civilly.languages`.
    """

    text: str
    lang: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text, in Python string offsets.

    Attributes:
        start: First character, ``0 <= start < end``.
        end: One past the last character.
        score: How toxic the stretch is, in [0, 1].
    """

    start: int
    end: int
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Detection:
    """What a detector says of one text.

    Attributes:
        p_toxic: Calibrated probability that the text is toxic, in [0, 1].
        spans: The toxic stretches, sorted, not overlapping.
        flags: What else a moderator must know, such as ``"self-harm"`` or ``"threat"``.
    """

    p_toxic: float
    spans: tuple[Span, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt.

    Attributes:
        text: What the model reads. User text can never turn into a special token.
        special: True if ``text`` is the spelling of one special token of the model.
    """

    text: str
    special: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an engine continues.

    Attributes:
        segments: Pieces in order; adjacent plain pieces are encoded apart.
        max_new_tokens: The most tokens to generate for this prompt; None: the options' limit.
        max_growth: The most new tokens per token of the prompt, where an engine counts; or None.
        control: Tokens of the model that plain text may not spell either, sent as a string.
        head: What it begins with as many others do, such as an instruction with examples; plain
            text, or nothing. An engine may read it once for all of them.
    """

    segments: tuple[Segment, ...]
    max_new_tokens: int | None = None
    max_growth: float | None = None
    control: tuple[str, ...] = ()
    head: str = ""

    @classmethod
    def of(cls, text: str, max_new_tokens: int | None = None) -> Prompt:
        """A prompt of one plain piece."""
        return cls((Segment(text),), max_new_tokens)

    @property
    def text(self) -> str:
        """All pieces joined, for engines that take strings."""
        return "".join(segment.text for segment in self.segments)


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How to generate.

    Attributes:
        n: Continuations per prompt, at least 1, best first.
        max_new_tokens: The most tokens per continuation.
        temperature: 0 is greedy (or beam search where ``n > 1`` and the engine has it).
        top_k: Sample among the k best tokens; 0 is all of them.
        top_p: Sample among the fewest best tokens of this probability in all, in (0, 1].
        beams: Width of a beam search that was asked for by name; 0: none was, and it is ``n``.
        groups: Groups of as many beams each, of a diverse beam search; 1 is a plain one.
        diversity: Nats that a token costs a group per beam of earlier groups that took it there.
        stop: Strings that end a continuation; they are cut off.
        seed: Seed of sampling.
        adapter: Folder of a LoRA adapter, or None for the plain model.
        schema: JSON schema that an answer is to satisfy, where a server sees to that; or "".
    """

    n: int = 1
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    beams: int = 0
    groups: int = 1
    diversity: float = 0.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    adapter: str | None = None
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Generation:
    """One continuation.

    Attributes:
        text: The generated text, without the prompt.
        logprob: Mean natural log probability per generated token, or None if unknown.
        finished: False if the token limit cut it off.
    """

    text: str
    logprob: float | None = None
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """One proposed rewrite.

    Attributes:
        text: The proposal.
        method: The rewriting method that made it.
        logprob: Mean log probability per token under its model, or None.
        place: Start and end of the sentence that it is for, in a text that says more than that.
        trace: How it was made, in JSON's types, where its method can say: which latents, where, how
            strong.
    """

    text: str
    method: str
    logprob: float | None = None
    place: tuple[int, int] | None = None
    trace: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Scores:
    """How good a rewrite is, each in [0, 1], higher is better.

    Attributes:
        civility: 1 - p(toxic) of the output.
        similarity: How much of the input's content the output keeps.
        fluency: How well formed the output is, relative to the input.
        joint: What the selector maximises.
        refused: Why it is not taken at all, or None. What no selector sees has scores of 0.
        faults: Probabilities of a judge that reads both texts, by name: ``good``, ``gap``, …
    """

    civility: float
    similarity: float
    fluency: float
    joint: float
    refused: str | None = None
    faults: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The result for one input, with the trace of why.

    Attributes:
        text: The input; only lone surrogates, which no encoder accepts, became U+FFFD.
        rewritten: The output; equal to ``text`` when nothing better was found.
        lang: Language code that was used.
        method: Method of the chosen candidate, or ``"keep"``.
        reason: One sentence: why this output.
        before: Detection on the input.
        after: Detection on the output.
        candidates: Every candidate with its scores, sentence by sentence, best first.
    """

    text: str
    rewritten: str
    lang: str
    method: str
    reason: str
    before: Detection
    after: Detection
    candidates: tuple[tuple[Candidate, Scores], ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the output differs from the input."""
        return self.rewritten != self.text


@dataclass(frozen=True, slots=True)
class Choice:
    """What a selector decided for one input.

    Attributes:
        candidate: The winner, or None to keep the input.
        reason: One sentence.
        scored: Every candidate with its scores, best first.
    """

    candidate: Candidate | None
    reason: str
    scored: tuple[tuple[Candidate, Scores], ...] = field(default=())


@runtime_checkable
class Engine(Protocol):
    """A runtime that continues prompts."""

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        """Continues each prompt: one list of ``1..options.n`` generations per prompt, in order."""


@runtime_checkable
class TextScorer(Protocol):
    """An engine that can also score given text."""

    def logprobs(
        self, prompts: Sequence[Prompt], texts: Sequence[str], adapter: str | None = None
    ) -> list[float]:
        """Mean natural log probability per token of each text after its prompt."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that an engine has read and generated so far."""

    prompt_tokens: int = 0
    answer_tokens: int = 0


@runtime_checkable
class Metered(Protocol):
    """An engine that counts its tokens, as a hosted model is paid by them."""

    @property
    def usage(self) -> Usage | None:
        """Tokens of all calls so far; None if they are not known."""


@runtime_checkable
class Preparable(Protocol):
    """An engine that can begin to load a model before it is asked to generate."""

    def prepare(self, adapter: str | None = None) -> None:
        """Begins to load in the background; never raises: errors wait until the model is used."""


@runtime_checkable
class Brancher(Protocol):
    """An engine that can also take other turns than its best one at a given place."""

    def branch(
        self, prompts: Sequence[Prompt], n: int, max_new_tokens: int, adapter: str | None = None
    ) -> list[list[Generation]]:
        """The beginnings of up to ``n`` continuations of each prompt, most likely first.

        They begin with the ``n`` most likely different tokens and then go on greedily, for at most
        ``max_new_tokens``. Their ``logprob`` serves to rank them and is no mean per token.
        """


@runtime_checkable
class Detector(Protocol):
    """Finds toxicity."""

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        """One detection per text, in order."""


@runtime_checkable
class Rewriter(Protocol):
    """Proposes rewrites."""

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """Up to ``n`` candidates per text (possibly none), in order; never raises for odd text."""


@runtime_checkable
class CandidateScorer(Protocol):
    """A rewriter that can also say how likely it finds a proposal of another method."""

    def score(self, texts: Sequence[Text], proposals: Sequence[str]) -> list[float]:
        """Mean natural log probability per token of each proposal, in order."""


@runtime_checkable
class SecondLook(Protocol):
    """A rewriter that can try harder where its first candidates were poor."""

    def look_again(
        self, texts: Sequence[Text], detections: Sequence[Detection]
    ) -> list[list[Candidate]]:
        """Further candidates per text (possibly none), in order; dearer ones than the first."""


@runtime_checkable
class Metric(Protocol):
    """Scores rewrites, one number per text in [0, 1], higher is better."""

    @property
    def signature(self) -> str:
        """Name, models with revision, options and version in one line."""

    def score(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        """One score per output, in order."""


@runtime_checkable
class Suite(Metric, Protocol):
    """A metric that is a product of components; its ``score`` is J, their product per text."""

    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        """``STA``, ``SIM`` and ``FL``: one score in [0, 1] per output, in order."""


@runtime_checkable
class Selector(Protocol):
    """Chooses among candidates, or keeps the input."""

    def worth_trying(self, detection: Detection) -> bool:
        """Whether a text is toxic enough to be rewritten at all."""

    def satisfied(self, choice: Choice) -> bool:
        """Whether a choice is so good that looking for more candidates is not worth it."""

    def select(
        self,
        texts: Sequence[Text],
        detections: Sequence[Detection],
        candidates: Sequence[Sequence[Candidate]],
    ) -> list[Choice]:
        """One choice per text, in order."""


@runtime_checkable
class Tools(Protocol):
    """What a method may ask for when it is created; made once, shared, lazy."""

    @property
    def detector(self) -> Detector:
        """The toxicity detector."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the method, by name."""

    @property
    def engine_spec(self) -> str | None:
        """How the user named the engine (`civilly.engines.open_engine`); None: the embedded one."""

    def engine(self) -> Engine:
        """The engine that the user chose, or the embedded one."""
