"""Makes probabilities of the detector's logits, on texts that it was not trained on.

Platt scaling (1999) of what the encoder and the n-gram model say of a text, and of what the encoder
says of a word. A language has few such texts, so all share one fit from which each may differ at a
price (a ridge penalty); then the offset of a language is lowered until everyday text passes. How
far is read off the slope of the whole upper tail of everyday text (`exceeded_by`): the few highest
of some hundred sentences are rude or not by chance, and took a third of the recall of Tatar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.data.corpus.build import DEV_FILE
from civilly.data.kept_apart import case_calibrates
from civilly.data.pairs import read_pairs
from civilly.data.readings import Case
from civilly.data.split import dev_part
from civilly.detect.by_sentence import sentences_of
from civilly.detect.context import UNIT, ContextDetector, as_read, put_words
from civilly.detect.toxicity import shipped
from civilly.detect.words import Bounds, words
from civilly.languages import CODES
from civilly.model.token_encoder import TokenEncoder
from civilly.train.detector_data import TrainingData
from civilly.train.reader.recipe import CalibrationSettings
from civilly.train.reader.sentences import of_case
from civilly.types import Text

IDENTITY = np.tile(np.array([1.0, 0.0, 0.0, 1.0, 0.0], np.float32), (len(CODES), 1))
"""The encoder's own logits are believed: see `civilly.detect.context.ContextDetector`."""
POSTED = ("real", "posted")
"""Kinds of cases that nobody wrote to provoke."""
_PROVOKING, _POSTED, _CLEAN = (0.1, 0.1), (0.5, 0.1), 0.2
"""Shares of the toxic and the civil ones in a language's weight. Cases written to provoke the
n-gram model make it look worse than it is: of what people post, it finds much that the encoder,
which doubts every rude word, lets pass."""
_LANGUAGE_WEIGHT = 100.0
_LEAST_SLOPE = 0.1
_FREE = 10.0
"""What is common costs a hundredth of what a language has for itself at ``own`` = 1."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text that calibrates.

    Attributes:
        text: It.
        toxic: Its label.
        clean: Whether it is of everyday text, of which few may be found toxic.
        spans: What insults, of a detection case; None of other texts.
        posted: Whether it is as people post it, and not written to provoke a detector.
    """

    text: Text
    toxic: bool
    clean: bool = False
    spans: tuple[Bounds, ...] | None = None
    posted: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a detector makes of a text, before calibration.

    Attributes:
        own: The encoder's logit of its worst sentence.
        known: The n-gram model's logit of that sentence.
        words: Start, end and logit of each word.
        threat: The encoder's logit of the sentence that is most of a threat.
    """

    own: float
    known: float
    words: list[tuple[int, int, float]]
    threat: float = -np.inf


def texts_apart(
    cases: Sequence[Case], sets: TrainingData, data: Path, clean: int
) -> list[Labelled]:
    """The texts that calibrate: cases, official dev pairs of the part "tune", everyday text.

    Args:
        cases: Those that `civilly.data.kept_apart.case_calibrates` are taken.
        sets: Knows which everyday sentences are not trained on.
        data: The data folder.
        clean: Everyday sentences per language.
    """
    found = [
        Labelled(
            Text(case.text, case.lang),
            of_case(case).toxic == 1,
            spans=case.spans,
            posted=case.kind in POSTED,
        )
        for case in cases
        if case_calibrates(case)
    ]
    for pair in read_pairs(data / DEV_FILE):
        if dev_part(pair.id) == "tune":
            found.append(Labelled(Text(pair.toxic, pair.lang), True, posted=True))
            found += [Labelled(Text(side, pair.lang), False, posted=True) for side in pair.neutral]
    for lang in CODES:
        for sentence in sets.clean_aside(lang)[:clean]:
            found.append(Labelled(Text(sentence, lang), False, clean=True))
    return found


def seen_in(
    texts: Sequence[Text], encoder: TokenEncoder, tensors: dict[str, NDArray[np.float32]]
) -> list[Seen]:
    """What the runtime sees in each text, sentence by sentence, in order.

    Args:
        texts: Any texts.
        encoder: With the detector's LoRA.
        tensors: The detector's heads.
    """
    sentences = [
        (row, start, sentence)
        for row, text in enumerate(texts)
        for start, sentence in sentences_of(text)
    ]
    reading = ContextDetector(encoder, tensors, shipped())
    worst = [(-np.inf, 0.0)] * len(texts)
    threats = [-np.inf] * len(texts)
    marks = [np.full(len(text.text) + 1, -np.inf) for text in texts]
    for window, verdict in reading.verdicts(as_read([sentence for *_, sentence in sentences])):
        row, first, _ = sentences[window.row]
        worst[row] = max(worst[row], (float(verdict.texts[0]), window.logit * UNIT))
        threats[row] = max(threats[row], float(verdict.texts[1]))
        put_words(marks[row], window, verdict, first)
    return [
        Seen(own, known, _words(text, scores), threat)
        for text, (own, known), scores, threat in zip(texts, worst, marks, threats, strict=True)
    ]


def _words(text: Text, scores: Floats) -> list[tuple[int, int, float]]:
    found = [(a, b, float(scores[a:b].max())) for a, b in words(text.text, text.lang)]
    return [word for word in found if np.isfinite(word[2])]


def calibration(
    texts: Sequence[Labelled], seen: Sequence[Seen], settings: CalibrationSettings
) -> NDArray[np.float32]:
    """The table ``calibration`` [15, 5] of a detector's file.

    Args:
        texts: As `texts_apart` gives them; those in which nothing was read are passed over.
        seen: What the detector makes of each.
        settings: See `CalibrationSettings`.
    """
    read = [(t, s) for t, s in zip(texts, seen, strict=True) if np.isfinite(s.own)]
    table = IDENTITY.copy()
    if len({text.toxic for text, _ in read}) == 2:
        table[:, :3] = _texts_table(read, settings)
    marked = [
        (CODES.index(text.text.lang), logit, any(a < end and start < b for a, b in text.spans))
        for text, found in read
        if text.spans
        for start, end, logit in found.words
    ]
    if len({insult for _, _, insult in marked}) == 2:
        table[:, 3:] = _words_table(marked, settings)
    return table


def threat_excess(
    texts: Sequence[Labelled], seen: Sequence[Seen], settings: CalibrationSettings
) -> float:
    """How much too high the logits of threats are, in all languages: never below 0.

    Everyday texts that are flagged are tried and worded more boldly than others, so hardly any may
    be. They are too few in a language to say anything of so small a share.

    Args:
        texts: As `texts_apart` gives them.
        seen: What the detector makes of each.
        settings: See `CalibrationSettings`.
    """
    calm = np.array([s.threat for t, s in zip(texts, seen, strict=True) if t.clean])
    calm = calm[np.isfinite(calm)]
    if len(calm) < settings.least_clean:
        return 0.0
    return max(0.0, float(np.quantile(calm, 1 - settings.threat_rate)))


def _texts_table(
    read: Sequence[tuple[Labelled, Seen]], settings: CalibrationSettings
) -> NDArray[np.float32]:
    evidence = np.array([[seen.own, seen.known] for _, seen in read])
    langs = np.array([CODES.index(text.text.lang) for text, _ in read])
    toxic = np.array([text.toxic for text, _ in read])
    clean = np.array([text.clean for text, _ in read])
    posted = np.array([text.posted for text, _ in read])
    provoking = ~clean & ~posted
    groups = [
        (provoking & toxic, _PROVOKING[0]),
        (provoking & ~toxic, _PROVOKING[1]),
        (posted & toxic, _POSTED[0]),
        (posted & ~toxic, _POSTED[1]),
        (clean, _CLEAN),
    ]
    weights = np.zeros(len(read))
    for lang in np.unique(langs):
        for group, share in groups:
            chosen = group & (langs == lang)
            weights[chosen] = _LANGUAGE_WEIGHT * share / max(1, chosen.sum())
    table = shared_fit(evidence, langs, toxic, weights, settings.own)
    table[:, 0] = np.maximum(table[:, 0], _LEAST_SLOPE)
    table[:, 1] = np.maximum(table[:, 1], 0.0)
    for lang in np.unique(langs):
        calm = evidence[clean & (langs == lang)]
        if len(calm) >= settings.least_clean:
            logits = calm @ table[lang, :2] + table[lang, 2]
            table[lang, 2] -= max(0.0, exceeded_by(logits, settings.clean_rate, settings.tail))
    return table.astype(np.float32)


def exceeded_by(values: Floats, rate: float, tail: float) -> float:
    """The value that a share of a population exceeds, judged by a sample.

    Peaks over a threshold (Pickands 1975; Balkema and de Haan 1974), the tail taken as exponential:
    far out, all values of the tail tell, where an order statistic hangs on one.

    Args:
        values: The sample, at least one value.
        rate: The share, in [0, 1]; 0: the highest value of the sample is given.
        tail: Share of the values that is the upper tail; up to it, the sample's own quantile is
            taken.
    """
    if rate >= tail or rate == 0:
        return float(np.quantile(values, 1 - rate))
    threshold = float(np.quantile(values, 1 - tail))
    above = values[values > threshold] - threshold
    if not len(above):
        return threshold
    return threshold + float(above.mean()) * math.log(tail / rate)


def _words_table(
    marked: Sequence[tuple[int, float, bool]], settings: CalibrationSettings
) -> NDArray[np.float32]:
    langs = np.array([lang for lang, _, _ in marked])
    insults = np.array([insult for _, _, insult in marked])
    weights = np.where(insults, settings.insults, 1.0)
    logits = np.array([[logit] for _, logit, _ in marked])
    table = shared_fit(logits, langs, insults, weights, own=0.0)  # languages differed by chance
    table[:, 0] = np.maximum(table[:, 0], _LEAST_SLOPE)
    return table.astype(np.float32)


def shared_fit(
    evidence: Floats,
    langs: NDArray[np.int64],
    labels: NDArray[np.bool_],
    weights: Floats,
    own: float,
) -> Floats:
    """Logistic regressions of all languages, drawn to a common one.

    Args:
        evidence: [rows, features].
        langs: Places in `CODES`, [rows].
        labels: [rows].
        weights: [rows].
        own: How far a language may differ; 0: not at all.

    Returns:
        Coefficients and intercept of each language, [15, features + 1]; a language without rows has
        the common ones.
    """
    from sklearn.linear_model import LogisticRegression

    ones = np.concatenate([evidence, np.ones((len(evidence), 1))], axis=1)
    width = ones.shape[1]
    separate = np.zeros((len(evidence), len(CODES), width))
    separate[np.arange(len(evidence)), langs] = own * ones
    wide = [_FREE * evidence, separate.reshape(len(evidence), -1)]
    design = np.concatenate(wide, axis=1)
    fitted = LogisticRegression(C=1.0, max_iter=1_000).fit(design, labels, sample_weight=weights)
    common = np.append(_FREE * fitted.coef_[0, : width - 1], fitted.intercept_[0])
    differing = fitted.coef_[0, width - 1 :].reshape(len(CODES), width)
    return np.asarray(common + own * differing)
