"""Which readings, cases and human judgements no reader is trained on: by hash, and for good.

Shipped weights were trained without these parts, so the rules never change. Whatever measures a
reader keeps to them.
"""

from __future__ import annotations

import hashlib

from civilly.data.readings import Case

READINGS_PERCENT = 15
"""Of the texts of `recipes/readings/pairs`, with all their rewrites."""
CASES_PERCENT = 15
"""Of the groups of twins of `recipes/readings/cases`."""
SECOND_PORTION = 1000
"""Cases with this number or more were written later, without twins that share a number."""
JUDGEMENTS_PERCENT = 40
"""Of the source sentences that people judged rewrites of in 2024."""


def reading_kept_apart(text: str) -> bool:
    """Whether readings of rewrites of this text measure the judge.

    Args:
        text: `civilly.data.readings.Reading.text`.
    """
    return _bucket("judge:" + text) < READINGS_PERCENT


def judgement_kept_apart(row_id: str) -> bool:
    """Whether human judgements of rewrites of this source sentence measure the judge.

    Args:
        row_id: Column ``id`` of ``human/textdetox2024.tsv.gz``.
    """
    return _bucket("judge:" + row_id) < JUDGEMENTS_PERCENT


def case_kept_apart(case: Case) -> bool:
    """Whether a case, with its twins, is not trained on."""
    if case.pair >= SECOND_PORTION:
        return _bucket(f"det:c2{case.lang}{case.text}") < CASES_PERCENT
    return _bucket(f"det:{case.lang}{case.pair}") < CASES_PERCENT


def case_calibrates(case: Case) -> bool:
    """Whether a case that is not trained on sets the detector's thresholds, with its twins.

    Half of those kept apart do; the others measure the detector, and nothing else sees them.
    """
    return case_kept_apart(case) and _bucket(f"calibration:{case.lang}{case.pair}") < 50


def _bucket(key: str) -> int:
    return int(hashlib.sha1(key.encode()).hexdigest(), 16) % 100
