"""What the embedded suite reads off an input, its rewrite and the references.

Every feature is better when it is larger, so that a component with weights >= 0 is monotone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from civilly.detect.normalise import normalise
from civilly.languages import language
from civilly.score.embedded_encoder import SentenceEncoder, Tokens, Vectors, cosines
from civilly.types import Detection, Detector, Text

STA = ("relief", "removed", "changed")
SIM = ("kept", "edit", "ending", "tail")
SIM_REFERENCE = ("kept_reference", "edit_reference")
FL = ("spelling", "length", "ending")
LEAST_P = 1e-4
"""p(toxic) is held in [LEAST_P, 1 - LEAST_P] before its logit is taken."""
_FINAL = frozenset(".!?…。！？।፡።:;,)]»”\"'*")

Features = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _Read:
    """A text with all that was read off it."""

    plain: str
    tokens: Tokens
    vectors: Vectors


class FeatureReader:
    """Computes the features of a batch.

    Args:
        detector: p(toxic) and toxic spans.
        encoder: Token vectors.
    """

    def __init__(self, detector: Detector, encoder: SentenceEncoder) -> None:
        self._detector = detector
        self._encoder = encoder

    def features(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> Features:
        """All features by name, float64 [rows]; those of references are NaN where there are none.

        ``relief``: logit p(toxic) of the input minus that of the output, at least 0.
        ``removed``: share of the input's toxic spans that the output has not; one half where the
        detector names none and the text changed. ``changed``: 0 where only punctuation, case or
        spacing differ, else 1. ``kept``: mean over the input's tokens outside toxic spans of the
        largest cosine with a token of the output. ``edit``: 1 - normalised Levenshtein distance.
        ``ending``: 0 where the input ends in punctuation and the output in a letter, else 1.
        ``tail``: 1 - share of the input's last words that are cut off without replacement.
        ``spelling``: tokens per character of the input minus that of the output, at most 0.
        ``length``: characters of the output per character of the input, at most 1.
        ``kept_reference``, ``edit_reference``: as ``kept`` and ``edit`` with the reference in the
        place of the input; the largest of several.
        """
        written = [Text(output, text.lang) for text, output in zip(inputs, outputs, strict=True)]
        before, after = self._detector.detect(inputs), self._detector.detect(written)
        sources = self._read([text.text for text in inputs], keep=True)
        rewrites = self._read(outputs, keep=False)
        table = {
            **_of_toxicity(inputs, outputs, before, after),
            **_of_surface(inputs, sources, rewrites),
            "kept": self._kept(inputs, sources, rewrites),
            **self._of_references(references, rewrites),
        }
        return {name: np.asarray(column, dtype=np.float64) for name, column in table.items()}

    def _read(self, texts: Sequence[str], keep: bool) -> list[_Read]:
        tokens = self._encoder.tokens(texts)
        vectors = self._encoder.vectors(tokens, keep)
        plain = [text.strip().lower() for text in texts]
        return [_Read(*parts) for parts in zip(plain, tokens, vectors, strict=True)]

    def _kept(
        self, inputs: Sequence[Text], sources: Sequence[_Read], rewrites: Sequence[_Read]
    ) -> list[float]:
        """Token recall of the civil part of the input (BERTScore, Zhang et al. 2020)."""
        seen = [Text(s.tokens.text, text.lang) for s, text in zip(sources, inputs, strict=True)]
        kept = []
        for source, rewrite, found in zip(
            sources, rewrites, self._detector.detect(seen), strict=True
        ):
            civil = [
                not any(toxic.start < end and start < toxic.end for toxic in found.spans)
                for start, end in source.tokens.spans
            ]
            kept.append(recall(source.vectors, rewrite.vectors, np.array(civil, dtype=bool)))
        return kept

    def _of_references(
        self, references: Sequence[Sequence[str]] | None, rewrites: Sequence[_Read]
    ) -> dict[str, list[float]]:
        rows = references if references is not None else [()] * len(rewrites)
        flat = iter(self._read([r for row in rows for r in row], keep=True))
        table: dict[str, list[float]] = {name: [] for name in SIM_REFERENCE}
        for row, rewrite in zip(rows, rewrites, strict=True):
            read = [next(flat) for _ in row]
            every = [np.ones(len(r.vectors), dtype=bool) for r in read]
            kept = [recall(r.vectors, rewrite.vectors, e) for r, e in zip(read, every, strict=True)]
            edit = [Levenshtein.normalized_similarity(r.plain, rewrite.plain) for r in read]
            table["kept_reference"].append(max(kept, default=math.nan))
            table["edit_reference"].append(max(edit, default=math.nan))
        return table


def recall(source: Vectors, rewrite: Vectors, counted: NDArray[np.bool_]) -> float:
    """Mean over the counted tokens of ``source`` of the largest cosine with one of ``rewrite``.

    All tokens count where none is marked; without tokens on either side it is 0.
    """
    if not len(source) or not len(rewrite):
        return 0.0
    best = cosines(source, rewrite).max(axis=1)
    return float(np.maximum(best[counted] if counted.any() else best, 0.0).mean())


def _logit(p: float) -> float:
    p = min(max(p, LEAST_P), 1.0 - LEAST_P)
    return math.log(p / (1.0 - p))


def letters(text: str) -> str:
    """What is left of a text without punctuation, case and spaces."""
    return "".join(filter(str.isalnum, text.casefold()))


def _of_toxicity(
    inputs: Sequence[Text],
    outputs: Sequence[str],
    before: Sequence[Detection],
    after: Sequence[Detection],
) -> dict[str, list[float]]:
    table: dict[str, list[float]] = {name: [] for name in STA}
    for text, output, old, new in zip(inputs, outputs, before, after, strict=True):
        changed = letters(text.text) != letters(output)
        relief = max(0.0, _logit(old.p_toxic) - _logit(new.p_toxic))
        table["relief"].append(relief if changed else 0.0)
        table["removed"].append(_removed(text, output, old) if changed else 0.0)
        table["changed"].append(float(changed))
    return table


def _removed(text: Text, output: str, found: Detection) -> float:
    """Share of the toxic spans that are gone, disguises undone on both sides."""
    if not found.spans:
        return 0.5
    rest = normalise(output, text.lang).text
    spans = [normalise(text.text[s.start : s.end], text.lang).text for s in found.spans]
    return sum(span not in rest for span in spans) / len(spans)


def _of_surface(
    inputs: Sequence[Text], sources: Sequence[_Read], rewrites: Sequence[_Read]
) -> dict[str, list[float]]:
    names = ("edit", "ending", "tail", "spelling", "length")
    table: dict[str, list[float]] = {name: [] for name in names}
    for text, source, rewrite in zip(inputs, sources, rewrites, strict=True):
        old, new = source.plain, rewrite.plain
        broken = old[-1:] in _FINAL and new[-1:].isalnum()
        table["edit"].append(Levenshtein.normalized_similarity(old, new))
        table["ending"].append(0.0 if broken and old else 1.0)
        table["tail"].append(1.0 - _cut_off(old, new, language(text.lang).spaces))
        table["spelling"].append(min(0.0, _density(source) - _density(rewrite)))
        table["length"].append(min(1.0, len(new) / max(1, len(old))))
    return table


def _cut_off(old: str, new: str, spaces: bool) -> float:
    """Share of the input's words (characters where nobody writes spaces) cut off at its end."""
    left, right = (old.split(), new.split()) if spaces else (list(old), list(new))
    steps = Levenshtein.opcodes(left, right)
    if not left or not steps or steps[-1].tag != "delete":
        return 0.0
    return (steps[-1].src_end - steps[-1].src_start) / len(left)


def _density(read: _Read) -> float:
    """Tokens per character: misspelt words fall into more pieces."""
    return len(read.tokens.spans) / max(1, len(read.plain))
