"""Measures trained readers, as they run, on what was kept apart from their training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from civilly.data.kept_apart import (
    case_calibrates,
    case_kept_apart,
    judgement_kept_apart,
    reading_kept_apart,
)
from civilly.data.readings import FAULTS, Case, Reading
from civilly.detect.by_sentence import BySentence
from civilly.score.human import Judgement
from civilly.score.joint import JOINT
from civilly.score.reader import Opinion, RewriteJudge
from civilly.train.reader.sentences import of_case
from civilly.types import Detection, Detector, Text

_LEAST = 5
"""With fewer examples of a kind nothing is said of it."""


def detector_measures(detector: Detector, cases: Sequence[Case]) -> dict[str, float]:
    """AUC, recall and false positives at p = 0.5, and F1 of the spans' characters.

    Args:
        detector: A trained one.
        cases: Those kept apart that do not calibrate are read.
    """
    apart = [case for case in cases if case_kept_apart(case) and not case_calibrates(case)]
    found = BySentence(detector).detect([Text(case.text, case.lang) for case in apart])
    toxic = np.array([of_case(case).toxic == 1 for case in apart], np.bool_)
    p = np.array([detection.p_toxic for detection in found])
    measures = {"cases": float(len(apart)), "auc": _auc(p, toxic)}
    if toxic.any() and not toxic.all():
        measures["recall"] = float((p[toxic] >= 0.5).mean())
        measures["false_positives"] = float((p[~toxic] >= 0.5).mean())
    return _said(measures | {"span_f1": _span_f1(apart, found)})


def judge_measures(
    judge: RewriteJudge, readings: Sequence[Reading], judgements: Sequence[Judgement]
) -> dict[str, float]:
    """How often a good rewrite ranks before another of its text, AUC of each fault, people's J.

    Args:
        judge: A trained one.
        readings: Those kept apart are read.
        judgements: Likewise; Spearman's correlation with J, the mean over languages.
    """
    apart = sorted(
        (r for r in readings if reading_kept_apart(r.text)), key=lambda r: (r.text, r.lang)
    )
    opinions = judge.opinions([r.text for r in apart], [r.rewrite for r in apart])
    measures = {"readings": float(len(apart)), "good_first": _good_first(apart, opinions)}
    for fault in FAULTS:
        labels = np.array([reading.fault == fault for reading in apart], np.bool_)
        scores = np.array([opinion.faults[fault] for opinion in opinions])
        measures[f"auc_{fault}"] = _auc(scores, labels)
    return _said(measures | {"spearman_j": _spearman(judge, judgements)})


def _said(measures: dict[str, float]) -> dict[str, float]:
    """Without those for which there were too few examples."""
    return {name: round(value, 4) for name, value in measures.items() if np.isfinite(value)}


def _good_first(readings: Sequence[Reading], opinions: Sequence[Opinion]) -> float:
    """Share of the pairs, one good and one not, of a text; a tie is half."""
    won = pairs = 0.0
    rows = zip(readings, opinions, strict=True)
    for _, group in groupby(rows, key=lambda row: (row[0].text, row[0].lang)):
        good: list[float] = []
        others: list[float] = []
        for reading, opinion in group:
            (good if reading.fault == "good" else others).append(opinion.value)
        won += sum((a > b) + 0.5 * (a == b) for a in good for b in others)
        pairs += len(good) * len(others)
    return won / pairs if pairs else np.nan


def _spearman(judge: RewriteJudge, judgements: Sequence[Judgement]) -> float:
    from scipy.stats import spearmanr

    apart = [j for j in judgements if judgement_kept_apart(str(j.row["id"]))]
    opinions = judge.opinions([j.text for j in apart], [j.output for j in apart])
    by_lang: dict[str, list[tuple[float, float]]] = {}
    for judgement, opinion in zip(apart, opinions, strict=True):
        value = opinion.value * float(np.prod(list(opinion.human.values())))
        by_lang.setdefault(judgement.lang, []).append((value, judgement.scores[JOINT]))
    each = [spearmanr(*zip(*rows, strict=True))[0] for rows in by_lang.values() if len(rows) > 2]
    return float(np.mean(each)) if each else np.nan


def _auc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    from sklearn.metrics import roc_auc_score

    enough = min(labels.sum(), (~labels).sum()) >= _LEAST
    return float(roc_auc_score(labels, scores)) if enough else np.nan


def _span_f1(cases: Sequence[Case], found: Sequence[Detection]) -> float:
    hits = both = 0
    for case, detection in zip(cases, found, strict=True):
        gold = {place for start, end in case.spans for place in range(start, end)}
        own = {place for span in detection.spans for place in range(span.start, span.end)}
        hits += len(gold & own)
        both += len(gold) + len(own)
    return 2 * hits / both if both else np.nan
