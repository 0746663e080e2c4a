"""Toxicity in context: a small encoder reads the sentence, its heads mark words and texts.

The encoder is multilingual-e5-small with a LoRA of ours (`civilly.model.token_encoder`). Its heads
see, beside the vectors, the score that the n-gram model (`civilly.detect.toxicity`) gives each
token: that one knows disguises and rude words by heart, this one decides what they are here. What
is protected (`civilly.detect.protected`) is blanked out before, so no span touches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.data.files import mend_surrogates
from civilly.detect import SELF_HARM, THREAT
from civilly.detect.features import token_bounds
from civilly.detect.protected import blanked
from civilly.detect.spans import Mark, is_emoji, outstanding_spans
from civilly.detect.toxicity import SPAN_FLOOR, Evidence, ToxicityModel, shipped
from civilly.detect.words import Bounds, words
from civilly.languages import CODES, in_word, language
from civilly.model.e5 import encoder_folder
from civilly.model.reader_weights import (
    gelu,
    head_tensors,
    layer,
    pooled_evidence,
    shipped_reader,
)
from civilly.model.token_encoder import BEGIN, END, TokenEncoder
from civilly.types import Detection, Detector, Text, Tools

PREFIX = "query: "
"""What the encoder was trained to see before a text."""
WINDOW = 124
"""Tokens read at once, prefix and all; a longer text has several windows and is as toxic as the
worst of them."""
FLAGGED = 0.5
"""From this probability on, a text is flagged."""
INSULT, LEAST_INSULT = 0.5, 0.25
"""From the first probability on, a word is in a span; the likeliest one is, if above the second."""
USUAL_TOKENS = 4.0
"""So many tokens without evidence say nothing: `civilly.model.reader_weights.pooled_evidence`."""
_MOST, UNIT = 8.0, 4.0
"""Scores of the n-gram model are cut at the first and divided by the second."""

TENSORS = ("t1.weight", "t2.weight", "s1.weight", "s2.weight", "lang", "calibration")
"""What tells a file of the detector from others."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """What the encoder reads at once.

    Attributes:
        row: Which text it is of.
        ids: Token ids between `BEGIN` and `END`, prefix included.
        bounds: Where each token stands in the text; (-1, -1) for the prefix and for blanks.
        scores: What the n-gram model says of each token, cut and divided.
        logit: What it says of the text, cut and divided.
    """

    row: int
    ids: list[int]
    bounds: list[Bounds]
    scores: list[float]
    logit: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the heads say of one window.

    Attributes:
        words: Logit of each token being part of an insult, float32 [tokens].
        texts: Logits of toxic, threat and self-harm, float32 [3].
    """

    words: Floats
    texts: Floats


class Heads:
    """The heads on the encoder's vectors; shapes and training in `civilly.train.reader`.

    Args:
        tensors: Their weights by name.
    """

    def __init__(self, tensors: dict[str, Floats]) -> None:
        self._tensors = tensors

    def verdict(self, window: Window, hidden: Floats, lang: str) -> Verdict:
        """Reads one window.

        Args:
            window: What was read.
            hidden: Its vectors, [tokens + 2, 384].
            lang: Language code.
        """
        tensors = self._tensors
        row = tensors["lang"][CODES.index(lang)]
        scores = np.zeros((len(hidden), 2), np.float32)
        scores[1:-1, 0], scores[:, 1] = window.scores, 1.0
        seen = np.concatenate([hidden, scores], axis=1)
        marks = layer(tensors, "t2", gelu(layer(tensors, "t1", seen)))
        pooled = np.concatenate(
            [hidden.mean(axis=0), hidden.max(axis=0), np.array([window.logit, 1.0], np.float32)]
        )
        texts = layer(tensors, "s2", gelu(layer(tensors, "s1", pooled))) + row[:3]
        texts[0] += pooled_evidence(marks[:, 1], USUAL_TOKENS)
        return Verdict(marks[1:-1, 0] + row[3], texts)


class ContextDetector:
    """Detects toxicity in context; see `civilly.types.Detector`.

    Args:
        encoder: The encoder with the detector's LoRA.
        tensors: The weights of the heads (`TENSORS`), with ``calibration`` [15, 5] per language:
            what the encoder's logit of a text counts, what the n-gram model's counts, an offset;
            slope and offset of the logit of a word.
        model: The n-gram model whose scores the heads see.
    """

    def __init__(
        self, encoder: TokenEncoder, tensors: dict[str, Floats], model: ToxicityModel
    ) -> None:
        self._encoder = encoder
        self._heads = Heads(tensors)
        self._calibration = tensors["calibration"]
        self._model = model

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        """p(toxic), spans and flags of each text, in order.

        Of the windows of a long text, each logit is that of the worst one. Spans are given where
        p(toxic) is at least `civilly.detect.toxicity.SPAN_FLOOR`: the words that are more likely
        insults than not, or the likeliest one (`civilly.detect.spans.outstanding_spans`).

        Raises:
            UnknownNameError: If a language is not one of the 15.
        """
        read = as_read(texts)
        of_row: dict[int, list[tuple[Window, Verdict]]] = {}
        for window, verdict in self.verdicts(read):
            of_row.setdefault(window.row, []).append((window, verdict))
        return [
            self._detection(text, seen.text, of_row.get(row, []))
            for row, (text, seen) in enumerate(zip(texts, read, strict=True))
        ]

    def verdicts(self, texts: Sequence[Text]) -> list[tuple[Window, Verdict]]:
        """What the heads say of each window of texts, in the order of `windows`."""
        windows = self.windows(texts)
        made = self._encoder.mapped(
            [[BEGIN, *window.ids, END] for window in windows],
            lambda i, hidden: self._heads.verdict(windows[i], hidden, texts[windows[i].row].lang),
        )
        return list(zip(windows, made, strict=True))

    def windows(self, texts: Sequence[Text]) -> list[Window]:
        """The windows of all texts, as `as_read` gives them.

        What holds no word and no emoji (``…``, say) has none: the encoder, which would see its
        prefix alone, was never shown such texts.
        """
        found: list[Window] = []
        for lang in dict.fromkeys(text.lang for text in texts):
            language(lang)
            rows = [row for row, text in enumerate(texts) if text.lang == lang]
            evidence = self._model.evidence([texts[row].text for row in rows], lang)
            read = [(row, seen) for row, seen in zip(rows, evidence, strict=True) if seen.bounds]
            prefixed = [PREFIX + texts[row].text for row, _ in read]
            cut = self._encoder.pieces(prefixed, same_length=True)
            for (row, seen), encoding in zip(read, cut, strict=True):
                found += _windows(row, texts[row].text, encoding, seen)
        return found

    def _detection(
        self, text: Text, read: str, found: Sequence[tuple[Window, Verdict]]
    ) -> Detection:
        """What the verdicts on its windows make of a text.

        Args:
            text: It.
            read: The same as the detector reads it (`as_read`).
            found: Its windows and what the heads say of them; none of a text without words.
        """
        if not found:
            return Detection(0.0)
        own, other, offset, slope, word_offset = self._calibration[CODES.index(text.lang)]
        logits = np.max([verdict.texts for _, verdict in found], axis=0)
        known = max(window.logit for window, _ in found) * UNIT
        p_toxic = _probability(own * logits[0] + other * known + offset)
        p_threat, p_harm = map(_probability, logits[1:])
        flags = (THREAT,) * (p_threat >= FLAGGED) + (SELF_HARM,) * (p_harm >= FLAGGED)
        if p_toxic < SPAN_FLOOR:
            return Detection(p_toxic, (), flags)
        scores = np.full(len(read) + 1, -np.inf)
        for window, verdict in found:
            put_words(scores, window, verdict)
        bounds = words(read, text.lang)
        marks = []
        for start, end in stretches(read, text.lang, bounds):
            p = _probability(slope * scores[start:end].max() + word_offset)
            marks.append(Mark(start, end, p, p))
        spans = outstanding_spans(marks, text.text, read, text.lang, bounds, INSULT, LEAST_INSULT)
        return Detection(p_toxic, spans, flags)


def as_read(texts: Sequence[Text]) -> list[Text]:
    """Texts as the detector reads them: of the same length, with blanks for what is protected."""
    return [Text(blanked(mend_surrogates(text.text)), text.lang) for text in texts]


def put_words(
    scores: NDArray[np.float64], window: Window, verdict: Verdict, first: int = 0
) -> None:
    """Raises the scores of a text's characters to the logits of the tokens that stand there.

    Args:
        scores: [characters].
        window: Of the text, or of one of its sentences.
        verdict: What the heads say of it.
        first: Where that sentence begins.
    """
    for (start, end), logit in zip(window.bounds, verdict.words, strict=True):
        if start >= 0:
            place = slice(first + start, first + end)
            scores[place] = np.maximum(scores[place], logit)


def stretches(read: str, lang: str, bounds: Sequence[Bounds]) -> list[Bounds]:
    """What is judged as one, in order, not overlapping: words, and emoji.

    Words that are one to the n-gram model, which knows disguises, are one here, too.

    Args:
        read: A text as the detector reads it.
        lang: Its language.
        bounds: Its words.
    """
    tokens = [
        (start, end)
        for start, end in token_bounds(read, lang)
        if any(map(in_word, read[start:end])) or is_emoji(read, start, end)
    ]
    found: list[Bounds] = []
    for start, end in sorted([*bounds, *tokens]):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _windows(row: int, text: str, encoding: object, seen: Evidence) -> list[Window]:
    unseen = -_MOST - 1
    at = [unseen] * (len(text) + 1)  # of a short text, numbers of numpy would take most of the time
    for (start, end), score in zip(seen.bounds, seen.scores, strict=True):
        for place in range(start, end):
            at[place] = max(at[place], score)
    prefix: list[int] = []
    tokens: list[tuple[int, Bounds, float]] = []
    for piece, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):  # type: ignore[attr-defined]
        start, end = start - len(PREFIX), end - len(PREFIX)
        if end <= 0:
            prefix.append(piece)
            continue
        start = max(start, 0)
        while start < end and text[start].isspace():
            start += 1
        score = max(at[start:end], default=unseen)
        unit = min(max(score, -2.0), _MOST) / UNIT if score > unseen else 0.0
        tokens.append((piece, (start, end) if end > start else (-1, -1), unit))
    logit = min(max(seen.logit, -_MOST), _MOST) / UNIT
    room = WINDOW - len(prefix)
    return [
        Window(
            row,
            prefix + [piece for piece, _, _ in part],
            [(-1, -1)] * len(prefix) + [bounds for _, bounds, _ in part],
            [0.0] * len(prefix) + [score for _, _, score in part],
            logit,
        )
        for part in (tokens[i : i + room] for i in range(0, len(tokens), room))
    ]


def _probability(logit: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


@cache
def load(path: Path | None = None) -> ContextDetector:
    """The detector with the shipped weights, or those of a file, loaded once per process.

    Raises:
        ModelError: If there are none, or they are damaged.
    """
    path = path or shipped_reader("detector")
    return ContextDetector(
        TokenEncoder(lambda: encoder_folder(path)), head_tensors(path, TENSORS), shipped()
    )


def create(tools: Tools | None = None) -> Detector:
    """The detector with the shipped weights."""
    return load()
