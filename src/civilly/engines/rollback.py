"""Greedy decoding in batches, in which a word can be taken back for the next most likely one.

A word that is taken back leaves its keys and values in the cache, where nobody may look at them any
more; so every row goes its own way and all of them share each step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from civilly.detect.scripts import script_of
from civilly.engines.residual import Subject
from civilly.languages import UNSPACED_LETTER, in_word, says_something

ROWS_AT_ONCE = 64
"""Texts that are decoded together."""
TRIES = 6
"""Words that are tried at a place before the least bad of them is taken."""
MOST_TAKEN_BACK = 30
"""Words that are taken back in one text, all places together."""
AMONG = 64
"""The next most likely tokens that are looked at for a word's beginning."""
LEAST_LIKELY = 1e-3
"""The least probability of a token that begins another word."""
_BYTE = "\ufffd"
"""What a token that is a byte of a character reads as."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """A place where the most likely word was not taken.

    Attributes:
        at: Where the word begins in the answer, in characters.
        word: The most likely word.
        mass: Its mass.
        put: What was taken.
        put_mass: Its mass; above the threshold if nothing better was found.
        tries: Words that were taken back there.
        why: What is toxic at the most likely word, as `Watch.why` says.
    """

    at: int
    word: str
    mass: float
    put: str
    put_mass: float
    tries: int
    why: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer.

    Attributes:
        text: Without what ended it.
        logprob: Mean natural log probability per token.
        finished: False if the limit cut it off.
        ids: Its tokens, without the one that ended it.
        replacements: In order.
    """

    text: str
    logprob: float
    finished: bool
    ids: tuple[int, ...] = ()
    replacements: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """Which words are taken back.

    Attributes:
        layer: After which the stream is looked at.
        mass: From the stream [rows, width] at the last position to a number for each row, [rows].
        why: From a stream [1, width] to what is toxic there.
        threshold: Words above it are taken back.
        scripts: For each row, in which scripts another word may be written.
    """

    layer: int
    mass: Callable[[Any], Any]
    why: Callable[[Any], tuple[Any, ...]]
    threshold: float
    scripts: Sequence[frozenset[str]]


@dataclass(slots=True)
class _Row:
    """A text on its way; ``start`` is where its last word begins, among ``ids``."""

    ids: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    start: int = 0
    logits: Any = None
    mass: float = 0.0
    tried: list[tuple[float, list[int]]] = field(default_factory=list)
    why: tuple[Any, ...] = ()
    forced: list[int] = field(default_factory=list)
    given_up: bool = False
    taken_back: int = 0
    replacements: list[Replacement] = field(default_factory=list)
    finished: bool = False
    done: bool = False


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of rows of like length, the longest first, at most `ROWS_AT_ONCE` together."""
    ordered = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    for first in range(0, len(ordered), ROWS_AT_ONCE):
        yield ordered[first : first + ROWS_AT_ONCE]


class Decoder:
    """Decodes one batch.

    Args:
        subject: The model.
        prompts: Ids of each, at least one.
        limits: The most tokens of each answer.
        watch: Which words are taken back; None: none is.
    """

    def __init__(
        self,
        subject: Subject,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        watch: Watch | None = None,
    ) -> None:
        import torch

        self._torch = torch
        self._subject = subject
        self._prompts = prompts
        self._limits = limits
        self._watch = watch
        self._rows = [_Row() for _ in prompts]
        self._seen: list[float] | None = None
        self._stream: Any = None
        end = subject.model.config.get_text_config().eos_token_id
        self._ends = frozenset(end if isinstance(end, list) else [] if end is None else [end])
        anchor = subject.encode(["a"])[0].ids
        self._text = lru_cache(maxsize=None)(lambda ids: _after(subject, anchor, ids))

    def run(self) -> list[Decoded]:
        """The answers, in order."""
        if self._watch is None:
            self._loop()
        else:
            with self._subject.editing(self._watch.layer, self._look):
                self._loop()
        return [self._read(row) for row in self._rows]

    def _look(self, stream: Any) -> Any:
        """Notes how much mass each row's last position has, and changes nothing."""
        assert self._watch is not None
        self._stream = stream[:, -1]
        self._seen = self._watch.mass(self._stream).tolist()
        return stream

    def _loop(self) -> None:
        from transformers import DynamicCache

        torch, device = self._torch, self._subject.model.device
        width = max(map(len, self._prompts))
        gaps = [width - len(prompt) for prompt in self._prompts]
        ids = [[0] * gap + list(p) for gap, p in zip(gaps, self._prompts, strict=True)]
        mask = torch.tensor([[0] * gap + [1] * (width - gap) for gap in gaps], device=device)
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        cache = DynamicCache()
        given = torch.tensor(ids, device=device)
        while True:
            logits = self._subject.advance(given, mask, places, cache)
            dropped = self._step(logits, mask.shape[1])
            if all(row.done for row in self._rows):
                return
            for number, slot in dropped:
                mask[number, slot] = 0
            new = [[row.ids[-1] if not row.done else 0] for row in self._rows]
            mask = torch.cat([mask, mask.new_tensor([[int(not r.done)] for r in self._rows])], 1)
            at = [
                [len(prompt) + max(0, len(row.ids) - 1)]
                for prompt, row in zip(self._prompts, self._rows, strict=True)
            ]
            given, places = mask.new_tensor(new), mask.new_tensor(at)

    def _step(self, logits: Any, slots: int) -> list[tuple[int, int]]:
        """Settles each row's last token and chooses its next one, which will be at slot ``slots``.

        Returns:
            Row and slot of what was taken back.
        """
        best, scores = logits.max(-1).indices.tolist(), logits.log_softmax(-1)
        dropped = []
        for number, row in enumerate(self._rows):
            if row.done:
                continue
            if row.ids and self._seen is not None:
                row.mass = max(row.mass, self._seen[number])
            if self._is_bad(row):
                dropped += [(number, slot) for slot in row.slots[row.start :]]
                self._take_back(number, row)
            elif row.forced:
                self._append(row, row.forced.pop(0), scores[number])
            else:
                self._append(row, best[number], scores[number])
            row.slots.append(slots)
            if not row.done and len(row.ids) >= self._limits[number]:
                row.done = True
        return dropped

    def _is_bad(self, row: _Row) -> bool:
        return (
            self._watch is not None
            and row.mass > self._watch.threshold
            and not row.given_up
            and row.taken_back < MOST_TAKEN_BACK
            and _is_word(self._text(tuple(row.ids[row.start :])))
        )

    def _append(self, row: _Row, token: int, scores: Any) -> None:
        """Puts a token behind the answer; it may begin a word, or end the answer."""
        if token in self._ends:
            self._close(row)
            row.finished = row.done = True
            return
        if self._begins(row.ids, token) and len(row.ids) > row.start:
            self._close(row)
            row.start, row.mass, row.tried, row.given_up = len(row.ids), 0.0, [], False
        if len(row.ids) == row.start:
            row.logits = scores
        row.ids.append(token)
        row.scores.append(float(scores[token]))

    def _take_back(self, number: int, row: _Row) -> None:
        """Drops the last word, and begins the next most likely one, or the least bad one again."""
        start = row.start
        if not row.tried:
            assert self._watch is not None
            row.why = self._watch.why(self._stream[number][None])
        row.tried.append((row.mass, row.ids[start:]))
        del row.ids[start:], row.scores[start:], row.slots[start:]
        row.taken_back += 1
        row.mass = 0.0
        token = self._next(number, row) if len(row.tried) <= TRIES else None
        if token is None:
            row.given_up = True
            token, *row.forced = min(row.tried, key=lambda each: each[0])[1]
        if token in self._ends:
            self._close(row)
            row.finished = row.done = True
            return
        row.ids.append(token)
        row.scores.append(float(row.logits[token]))

    def _next(self, number: int, row: _Row) -> int | None:
        """The most likely token that begins a word of these scripts and was not taken back.

        Marks are none: ``***`` would be as good as an insult. The end may come, too.
        """
        assert self._watch is not None
        banned = {ids[0] for _, ids in row.tried}
        values, tokens = row.logits.topk(min(AMONG, row.logits.shape[-1]))
        for score, token in zip(values.exp().tolist(), tokens.tolist(), strict=True):
            if score < LEAST_LIKELY:
                return None
            if token in self._ends:
                return int(token)
            text = self._text((token,))
            if token in banned or not (_is_word(text) and self._begins(row.ids, token)):
                continue
            if _scripts(text) <= self._watch.scripts[number]:
                return int(token)
        return None

    def _begins(self, ids: Sequence[int], token: int) -> bool:
        """Whether a token is where a word begins, or a mark or blank."""
        text = self._text((token,))
        before = self._text(tuple(ids[-1:]))[-1:]
        return not (_inside(before) and _inside(text[:1])) or bool(UNSPACED_LETTER.match(text))

    def _close(self, row: _Row) -> None:
        """Notes what was taken in place of the most likely word, once it is whole."""
        if not row.tried:
            return
        mass, ids = row.tried[0]
        word, put = self._text(tuple(ids)), self._text(tuple(row.ids[row.start :]))
        at = len(self._text(tuple(row.ids[: row.start])))
        row.replacements.append(
            Replacement(at, word.strip(), mass, put.strip(), row.mass, len(row.tried), row.why)
        )

    def _read(self, row: _Row) -> Decoded:
        text = self._text(tuple(row.ids))
        mean = sum(row.scores) / max(1, len(row.scores))
        return Decoded(text, mean, row.finished, tuple(row.ids), tuple(row.replacements))


def _after(subject: Subject, anchor: Sequence[int], ids: tuple[int, ...]) -> str:
    """What ids say behind a letter: many tokenizers drop a blank where a text begins."""
    head = subject.decode(anchor)
    whole = subject.decode([*anchor, *ids])
    return whole[len(head) :] if whole.startswith(head) else subject.decode(ids)


def _inside(character: str) -> bool:
    return bool(character) and (in_word(character) or character == _BYTE)


def _is_word(text: str) -> bool:
    return says_something(text) or _BYTE in text


def _scripts(text: str) -> set[str]:
    return {script for character in text if (script := script_of(character))}
