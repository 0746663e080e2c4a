"""The stream of all examples after a layer, token by token, with what is known of each token."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.data.files import write_bytes
from civilly.detect.context import stretches
from civilly.detect.words import words
from civilly.engines.residual import Subject
from civilly.interpret.latents.examples import Example
from civilly.languages import CODES

AT_ONCE = 500
"""Sentences between two signs of life."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Truths = NDArray[np.bool_]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of all examples that stand in words, in order.

    Attributes:
        examples: The sentences.
        sentence: Index of the sentence of each token, [tokens].
        word: Number of the word of each token, counted over all sentences, [tokens].
        place: Index of the token in its sentence, [tokens].
        toxic: Whether the token's word insults, [tokens].
        language: Index in `civilly.languages.CODES`, [tokens].
        part: Index in `civilly.interpret.latents.examples.PARTS`, [tokens].
    """

    examples: Sequence[Example]
    sentence: Ints
    word: Ints
    place: Ints
    toxic: Truths
    language: Ints
    part: Ints

    def __len__(self) -> int:
        return len(self.sentence)

    def of(self, part: int, languages: Sequence[str] = CODES) -> Truths:
        """Which tokens are of a part, in some languages."""
        inside = np.isin(self.language, [CODES.index(lang) for lang in languages])
        return np.asarray((self.part == part) & inside)


def tokens_of(examples: Sequence[Example], subject: Subject) -> Tokens:
    """The tokens of examples; what stands in no word is left out.

    A token is of the first word that it overlaps; it insults if that word overlaps a span.
    """
    from civilly.interpret.latents.examples import PARTS

    rows: list[tuple[int, int, int, bool]] = []
    word = -1
    for number, (example, seen) in enumerate(
        zip(examples, subject.encode([each.text for each in examples]), strict=True)
    ):
        bounds = stretches(example.text, example.lang, words(example.text, example.lang))
        at = 0
        last = -1
        for place, (start, end) in enumerate(seen.offsets):
            while at < len(bounds) and bounds[at][1] <= start:
                at += 1
            if at == len(bounds) or end <= bounds[at][0]:
                continue
            if at != last:
                word, last = word + 1, at
            toxic = any(a < bounds[at][1] and bounds[at][0] < b for a, b in example.spans)
            rows.append((number, word, place, toxic))
    sentence, of_word, places, toxic_rows = (
        np.array([row[column] for row in rows], np.int64) for column in range(4)
    )
    langs = np.array([CODES.index(each.lang) for each in examples], np.int64)
    parts = np.array([PARTS.index(each.part) for each in examples], np.int64)
    return Tokens(
        examples, sentence, of_word, places, toxic_rows.astype(bool), langs[sentence],
        parts[sentence],
    )  # fmt: skip


def read_streams(
    tokens: Tokens, subject: Subject, layer: int, cache: Path, progress: Progress
) -> Floats:
    """The stream after a layer at each token, [tokens, width]; read again if it lies there.

    Args:
        tokens: See `tokens_of`.
        subject: The model.
        layer: From 0.
        cache: Folder where it is kept.
        progress: Told what is done.

    Raises:
        ModelError: If there is no such layer.
        DataError: If the cache cannot be written.
    """
    texts = [each.text for each in tokens.examples]
    said = json.dumps([subject.name, layer, len(tokens), texts], ensure_ascii=False)
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    path = cache / f"stream_{layer}_{digest}.npy"
    if path.is_file():
        return np.asarray(np.load(path))
    found = np.empty((len(tokens), subject.width), np.float32)
    at = 0
    for start in range(0, len(texts), AT_ONCE):
        for offset, stream in enumerate(subject.streams(texts[start : start + AT_ONCE], layer)):
            end = int(np.searchsorted(tokens.sentence, start + offset, "right"))
            found[at:end] = stream[tokens.place[at:end]]
            at = end
        progress(f"layer {layer}: {min(start + AT_ONCE, len(texts))} of {len(texts)} sentences")
    buffer = io.BytesIO()
    np.save(buffer, found)
    cache.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())
    return found


def highest(values: NDArray[np.float64] | Floats, groups: Ints) -> NDArray[np.float64]:
    """The highest value of each group, in the order of the groups' numbers.

    Args:
        values: [tokens].
        groups: Ascending numbers, as `Tokens.word` or `Tokens.sentence`.
    """
    if not len(groups):
        return np.empty(0)
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    return np.asarray(np.maximum.reduceat(values, starts), np.float64)


def firsts(groups: Ints) -> Ints:
    """Where each group begins; see `highest`."""
    return np.flatnonzero(np.diff(groups, prepend=groups[0] - 1)) if len(groups) else groups
