"""Writes on kindly from the first toxic word, its latents set to zero, and rejoins the text.

The model is asked to rewrite the text (adapter ``tuned``) and is given the text before the word as
the beginning of its answer. From the word on, in what it reads and writes, what is toxic is taken
out of its residual stream; what an autoencoder misses stays (`civilly.model.sparse.toxic`). Where
the continuation says what the text says after the word, the text's own ending follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from civilly.detect.words import whole_words, words
from civilly.errors import UnknownNameError
from civilly.languages import UNSPACED_LETTER, in_word
from civilly.methods import toxic_options
from civilly.methods.blanks import restore_blanks_and_symbols
from civilly.methods.delete import merge_spans
from civilly.methods.same_language import left_language
from civilly.methods.toxic_options import LONGEST_TEXT, MOST_TOKENS, Inside, number_of, open_inside
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.registry import Option
from civilly.types import Candidate, Detection, Prompt, Segment, Span, Text, Tools

if TYPE_CHECKING:
    from civilly.engines.rollback import Decoded

METHOD = "soften"
CANDIDATES = 1
"""Greedy: one candidate per text."""
STRENGTH = 1.0
"""Where the user does not say."""
WAYS = ("zero", "clamp", "project")
STARTS = ("detector", "mass")
THRESHOLD = 0.5
"""With ``start=mass``, words of more toxic mass are where toxicity begins."""
MOST_PLACES = 4
"""Toxic places of one text that are written anew."""
MOST_WRITTEN = 20
"""Tokens in which a continuation must come back to the text, or end."""
MOST_SKIPPED = 2
"""Words of the text's ending that a continuation may leave out before it comes back."""
LEAST_MEETING, LEAST_AFTER_SKIP, LEAST_UNSPACED = 3, 5, 2
"""Characters in which both must agree to meet: usually, after words that were left out, and in
scripts without spaces."""

OPTIONS = (
    Option("edit", "What is done with what is toxic in the stream.", WAYS),
    Option("edit_strength", "How strongly; 1 takes all out, above 1 turns it into its opposite."),
    Option("start", "Who says where toxicity begins.", STARTS),
    Option("threshold", "With start=mass: the least toxic mass of such a word."),
    *toxic_options.OPTIONS,
)


@dataclass(frozen=True, slots=True)
class Edit:
    """What is done to the stream.

    Attributes:
        how: One of `WAYS`.
        strength: ≥ 0.
        start: One of `STARTS`.
        threshold: ≥ 0; see `THRESHOLD`.
    """

    how: str = "zero"
    strength: float = STRENGTH
    start: str = "detector"
    threshold: float = THRESHOLD


@dataclass(slots=True)
class _Work:
    """A text on its way.

    Attributes:
        row: Which text of the batch.
        text: It.
        spans: Toxic stretches that are not written anew yet, in whole words.
        why: What is toxic at the first of them, for the trace.
        before: What is written already.
        at: Up to where in the text that reaches.
        places: For the trace.
        logprobs: Of what was written.
        ended: Whether the model ended the text by itself.
        lost: Whether it did neither end nor come back.
    """

    row: int
    text: Text
    spans: list[tuple[int, int]]
    why: tuple[dict[str, Any], ...] = ()
    before: str = ""
    at: int = 0
    places: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ended: bool = False
    lost: bool = False

    @property
    def made(self) -> str:
        return self.before if self.ended else self.before + self.text.text[self.at :]


class SoftenRewriter:
    """See the module.

    Args:
        inside: The model, and what is toxic in it.
        edit: What is done to its stream.
    """

    def __init__(self, inside: Inside, edit: Edit | None = None) -> None:
        self._inside = inside
        self._edit = edit or Edit()

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """At most one candidate per text; none where nothing toxic was found, or no way back."""
        works = self._works(texts, detections)
        for _ in range(MOST_PLACES):
            self._write([work for work in works if work.spans and not (work.ended or work.lost)])
        made = []
        for work in works:
            if work.places and not work.lost and work.made.strip():
                cut = [work.text.text[s.start : s.end] for s in detections[work.row].spans]
                text = restore_blanks_and_symbols(work.text.text, work.made.strip(), cut)
                mean = sum(work.logprobs) / len(work.logprobs)
                made.append((work, Candidate(text, METHOD, mean, trace=self._trace(work))))
        left = left_language([work.text for work, _ in made], [c.text for _, c in made])
        rows: list[list[Candidate]] = [[] for _ in texts]
        for (work, candidate), gone in zip(made, left, strict=True):
            if not gone:
                rows[work.row] = [candidate]
        return rows

    def _trace(self, work: _Work) -> dict[str, Any]:
        return {
            **self._inside.described,
            "edit": self._edit.how,
            "strength": self._edit.strength,
            "latents": list(work.why),
            "places": work.places,
        }

    def _works(self, texts: Sequence[Text], detections: Sequence[Detection]) -> list[_Work]:
        asked = [i for i, text in enumerate(texts) if len(text.text) <= LONGEST_TEXT]
        read = self._inside.read([texts[i].text for i in asked])
        found = []
        for i, (tokens, stream) in zip(asked, read, strict=True):
            if not tokens.ids or len(tokens.ids) > MOST_TOKENS:
                continue
            mass = self._inside.toxic.mass(stream).tolist()
            by_mass = self._edit.start == "mass"
            spans = self._heavy(tokens.offsets, mass) if by_mass else detections[i].spans
            if places := _whole_words(texts[i], spans):
                inside = [k for k, at in enumerate(tokens.offsets) if _meet(at, places[0])]
                worst = max(inside, key=lambda k: mass[k], default=0)
                why = self._inside.why(stream[worst : worst + 1])
                found.append(_Work(i, texts[i], places, why))
        return found

    def _heavy(self, offsets: Sequence[tuple[int, int]], mass: Sequence[float]) -> list[Span]:
        """Where a text is toxic by its mass."""
        return [
            Span(*at)
            for at, m in zip(offsets, mass, strict=True)
            if m > self._edit.threshold and at[0] < at[1]
        ]

    def _write(self, works: Sequence[_Work]) -> None:
        """Writes the first place of each text anew."""
        from civilly.engines.rollback import batches

        asked = [(work, *self._prompt(work)) for work in works]
        for batch in batches([len(ids) for _, ids, _ in asked]):
            some = [asked[place] for place in batch]
            answers = self.continued([ids for _, ids, _ in some], [at for _, _, at in some])
            for (work, _, _), answer in zip(some, answers, strict=True):
                self._take(work, answer)

    def _prompt(self, work: _Work) -> tuple[list[int], int]:
        """Ids that ask for the next words, and from which position on the stream is changed."""
        start, _ = work.spans[0]
        # The blank before a word is the beginning of its first token.
        written = (work.before + work.text.text[work.at : start]).rstrip()
        prompt = tuned_prompt(work.text.text, work.text.lang)
        if written:
            prompt = Prompt((*prompt.segments, Segment(written)))
        frame, text = prompt.segments[:2]
        head = len(self._inside.prompt(Prompt((frame,))))
        first = work.places[0]["start"] if work.places else start
        places = self._inside.subject.encode([text.text])[0].offsets
        before = sum(end <= first for _, end in places)
        return self._inside.prompt(prompt), head + before

    def continued(self, prompts: Sequence[list[int]], starts: Sequence[int]) -> list[Decoded]:
        """Continuations of one batch; the stream of each is changed from a position on."""
        import torch

        from civilly.engines.rollback import Decoder

        inside, width = self._inside, max(map(len, prompts))
        first = [width - len(ids) + at for ids, at in zip(prompts, starts, strict=True)]

        def softened(stream: Any) -> Any:
            changed = inside.toxic.removed(stream, self._edit.how, self._edit.strength)
            if stream.shape[1] == 1:
                return changed
            places = torch.arange(stream.shape[1], device=stream.device)
            late = places[None] >= torch.tensor(first, device=stream.device)[:, None]
            return torch.where(late[..., None], changed, stream)

        with inside.subject.editing(inside.layer, softened):
            return Decoder(inside.subject, prompts, [MOST_WRITTEN] * len(prompts)).run()

    def _take(self, work: _Work, answer: Decoded) -> None:
        """Puts what was written in the place of the first toxic words, and the text behind it."""
        (start, end), text = work.spans[0], work.text.text
        written = (work.before + text[work.at : start]).rstrip()
        line, newline, _ = answer.text.partition("\n")
        work.logprobs.append(answer.logprob)
        found = rejoined(line, text[end:])
        if found is not None:
            put, skipped = found
            work.before, work.at = written + put, end + skipped
        elif (answer.finished or newline) and (written + line).strip():
            put, work.before, work.ended = line, written + line, True
        else:
            work.lost = True
            return
        work.places.append({
            "start": start, "end": work.at if found else len(text), "cut": text[start:end],
            "put": put.strip(), "rejoined": found is not None,
        })  # fmt: skip
        work.spans = [place for place in work.spans if place[0] >= work.at]


def _whole_words(text: Text, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Toxic stretches in whole words, in order; neighbours are one."""
    bounds = words(text.text, text.lang)
    grown = [Span(*whole_words(span.start, span.end, bounds)) for span in spans]
    return merge_spans(text.text, grown)


def _meet(left: tuple[int, int], right: tuple[int, int]) -> bool:
    return left[0] < right[1] and right[0] < left[1]


def rejoined(continuation: str, rest: str) -> tuple[str, int] | None:
    """What of a continuation is new, and from where ``rest`` follows it.

    They meet where they agree longest, in whole words.

    Args:
        continuation: A few words, the last perhaps cut off.
        rest: What the text says after the place where the continuation begins. Up to
            `MOST_SKIPPED` of its words may be left out.

    Returns:
        None where the two do not meet.
    """
    best: tuple[int, int, int] | None = None
    for skipped, target in enumerate(_word_starts(rest)[: MOST_SKIPPED + 1]):
        for place in _word_starts(continuation):
            length = _agreeing(continuation[place:], rest[target:])
            least = LEAST_AFTER_SKIP if skipped else LEAST_MEETING
            if UNSPACED_LETTER.match(rest, target):
                least = LEAST_UNSPACED
            if length >= least and (best is None or length > best[0]):
                best = length, place, target
    return None if best is None else (continuation[: best[1]], best[2])


def _word_starts(text: str) -> list[int]:
    """Where a word or, in scripts without spaces, a character begins."""
    return [
        i
        for i, character in enumerate(text)
        if in_word(character)
        and (not i or not in_word(text[i - 1]) or UNSPACED_LETTER.match(character))
    ]


def _agreeing(left: str, right: str) -> int:
    """Characters in which both begin alike, up to a word's end; that of ``left`` may be cut off."""
    pairs = enumerate(zip(left, right, strict=False))
    length = next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))
    while 0 < length < len(left) and not (_ends(left, length) and _ends(right, length)):
        length -= 1
    return length


def _ends(text: str, place: int) -> bool:
    """Whether a word ends there, or may end."""
    return (
        place >= len(text)
        or not in_word(text[place])
        or bool(UNSPACED_LETTER.match(text[place - 1]))
    )


def create(tools: Tools) -> SoftenRewriter:
    """The method; see `OPTIONS`.

    Raises:
        MissingExtraError: If torch or transformers is not installed.
        ModelError: If a file is missing or does not fit the model.
        EngineError: If the engine is none that can be looked into.
        UnknownNameError: If there is no such edit, or nobody such to say where to start.
        CivillyError: If an option is wrong.
    """
    options = tools.options
    how, start = str(options.get("edit") or "zero"), str(options.get("start") or "detector")
    if how not in WAYS:
        raise UnknownNameError("edit", how, WAYS)
    if start not in STARTS:
        raise UnknownNameError("start", start, STARTS)
    strength = number_of(options, "edit_strength", STRENGTH)
    threshold = number_of(options, "threshold", THRESHOLD)
    return SoftenRewriter(open_inside(tools), Edit(how, strength, start, threshold))
