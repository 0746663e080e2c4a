"""The learned toxicity model: p(toxic) and character spans in 15 languages, on numpy alone.

A token's score is the sum of the weights of its hashed features (`civilly.detect.features`); the
logit of a text is `pool` of its tokens' scores; a scale and an offset per language make it a
calibrated probability. The spans are the words whose score stands out. The weights come from
`civilly train detector`; see ``weights/toxicity/card.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.detect.features import BITS, Features, extract
from civilly.detect.protected import blanked
from civilly.detect.spans import toxic_spans
from civilly.errors import ModelError
from civilly.languages import CODES, language
from civilly.types import Detection, Detector, Text, Tools

WEIGHTS = Path(__file__).parent.parent / "weights" / "toxicity" / "toxicity.safetensors"
SPAN_FLOOR = 0.25
"""Texts below this p(toxic) get no spans."""
_BATCH_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Pooling:
    """How token scores become the logit of a text.

    Attributes:
        bias: Logit of a text without evidence.
        share: Weight of the sum of all scores over the square root of their number.
    """

    bias: float
    share: float


def pool(
    scores: NDArray[np.float64], owner: NDArray[np.int64], count: int, pooling: Pooling
) -> NDArray[np.float64]:
    """Logits of texts from the scores of their tokens.

    ``bias + share · Σs/√n + log(1 + Σ exp s)``: the last term is close to the worst token's score.

    Args:
        scores: [tokens].
        owner: [tokens]; the text of each token, ascending, in ``[0, count)``.
        count: Number of texts; texts without tokens get ``bias``.
        pooling: The constants.
    """
    roots = np.sqrt(np.maximum(np.bincount(owner, minlength=count), 1))
    sums = np.bincount(owner, scores, minlength=count)
    worst = np.zeros(count)
    np.maximum.at(worst, owner, scores)
    lifted = np.bincount(owner, np.exp(scores - worst[owner]), minlength=count)
    bags = worst + np.log(np.exp(-worst) + lifted)
    return np.asarray(pooling.bias + pooling.share * sums / roots + bags)


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """The model of one language.

    Attributes:
        weights: int8 [2 ** BITS].
        scale: What a weight of 1 is worth.
        pooling: The pooling constants.
        slope: Calibration: p = σ(slope · logit + offset).
        offset: Calibration.
        span_score: The least score of a word inside a span (`civilly.detect.spans`).
    """

    weights: NDArray[np.int8]
    scale: float
    pooling: Pooling
    slope: float
    offset: float
    span_score: float

    def token_scores(self, features: Features) -> NDArray[np.float64]:
        """Score of each token."""
        weights = self.weights[features.bucket] * features.value
        sums = np.bincount(features.token, weights, minlength=len(features.texts))
        return np.asarray(self.scale * sums, dtype=np.float64)

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated p(toxic)."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * logits + self.offset, -30, 30))))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the model sees in one text.

    Attributes:
        bounds: Start and end of each token in the text.
        scores: Score of each token; above 0 it speaks for toxicity.
        logit: Calibrated logit of the text.
    """

    bounds: list[tuple[int, int]]
    scores: list[float]
    logit: float


class ToxicityModel:
    """Detects toxicity in batches; see `civilly.types.Detector`.

    Args:
        models: One model per language code.
    """

    def __init__(self, models: dict[str, LanguageModel]) -> None:
        self._models = models

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> ToxicityModel:
        """Reads the weights.

        Raises:
            ModelError: If the file is missing, damaged or for another number of buckets.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
            table, constants = tensors["weights"], tensors["constants"]
        except (OSError, KeyError, SafetensorError) as error:
            raise ModelError(
                f"The toxicity model {path.name} cannot be read ({error}).",
                mend="reinstall civilly, or train the model again: civilly train detector",
            ) from error
        if table.shape != (len(CODES), 1 << BITS) or constants.shape != (len(CODES), 6):
            raise ModelError(
                f"The toxicity model {path.name} has tables of shape {table.shape}.",
                allowed=f"{(len(CODES), 1 << BITS)}",
                mend="train the model again with this version: civilly train detector",
            )
        models = {}
        for row, code in enumerate(CODES):
            scale, bias, share, slope, offset, span_score = map(float, constants[row])
            pooling = Pooling(bias, share)
            models[code] = LanguageModel(table[row], scale, pooling, slope, offset, span_score)
        return cls(models)

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        """p(toxic) and spans of each text, in order.

        Spans are given where p(toxic) is at least `SPAN_FLOOR`. A span's score is the p(toxic) of
        a text that consists of its worst token alone. They cut no word (`civilly.detect.words`)
        and touch nothing that is protected (`civilly.detect.protected`).

        Raises:
            UnknownNameError: If a language is not one of the 15.
        """
        found: list[Detection] = [Detection(0.0)] * len(texts)
        for lang in dict.fromkeys(text.lang for text in texts):
            language(lang)
            rows = [row for row, text in enumerate(texts) if text.lang == lang]
            for batch in _batches(rows, texts):
                detections = self._detect([texts[row].text for row in batch], lang)
                for row, detection in zip(batch, detections, strict=True):
                    found[row] = detection
        return found

    def p_toxic(self, texts: Sequence[Text]) -> list[float]:
        """p(toxic) of each text, in order."""
        return [detection.p_toxic for detection in self.detect(texts)]

    def evidence(self, texts: Sequence[str], lang: str) -> list[Evidence]:
        """The tokens of each text in one language with their scores, in order.

        Raises:
            UnknownNameError: If the language is not one of the 15.
        """
        model, features = self._models[language(lang).code], extract(texts, lang)
        scores = model.token_scores(features)
        logits = model.slope * pool(scores, features.texts, len(texts), model.pooling)
        found = [Evidence([], [], float(logit + model.offset)) for logit in logits]
        places = zip(features.texts, features.starts, features.ends, scores, strict=True)
        for text, start, end, score in places:
            own = features.normalised[text].original_span(int(start), int(end))
            found[text].bounds.append(own)
            found[text].scores.append(float(score))
        return found

    def _detect(self, texts: Sequence[str], lang: str) -> list[Detection]:
        model = self._models[lang]
        read = [blanked(text) for text in texts]
        features = extract(read, lang)
        scores = model.token_scores(features)
        logits = pool(scores, features.texts, len(texts), model.pooling)
        probabilities = model.probabilities(logits)
        alone = model.probabilities(_alone(scores, model.pooling))
        spans = [
            toxic_spans(features, i, text, read[i], lang, scores, alone, model.span_score)
            if probabilities[i] >= SPAN_FLOOR
            else ()
            for i, text in enumerate(texts)
        ]
        return [Detection(float(p), found) for p, found in zip(probabilities, spans, strict=True)]


def _alone(scores: NDArray[np.float64], pooling: Pooling) -> NDArray[np.float64]:
    """Logits of texts that consist of one token each."""
    return np.asarray(pooling.bias + pooling.share * scores + np.logaddexp(0, scores))


def _batches(rows: Sequence[int], texts: Sequence[Text]) -> Iterator[list[int]]:
    """Cuts rows into batches of bounded length, so that memory stays bounded."""
    batch: list[int] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(texts[row].text)
        if size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@cache
def shipped() -> ToxicityModel:
    """The model with the shipped weights, loaded once per process."""
    return ToxicityModel.load()


def create(tools: Tools | None = None) -> Detector:
    """The detector with the shipped weights, loaded once per process."""
    return shipped()
