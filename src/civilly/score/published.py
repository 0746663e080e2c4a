"""Published agreement of the official metrics with people, to stand beside measured figures."""

from __future__ import annotations

from dataclasses import dataclass

SENTENCE, SYSTEM = "spearman", "system_spearman"
_LANGS = ("am", "ar", "zh", "en", "de", "hi", "ru", "es", "uk")


@dataclass(frozen=True, slots=True)
class Published:
    """One published row.

    Attributes:
        metric: What was measured.
        judgements: The set of judgements, a name of `civilly.score.human.SETS`.
        target: ``STA``, ``SIM``, ``FL`` or ``J``.
        statistic: `SENTENCE` or `SYSTEM`: Spearman's rho over sentences or over systems.
        values: By language; empty where only the mean is known.
        mean: The mean over the languages.
        needs_reference: Whether the metric reads references.
    """

    metric: str
    judgements: str
    target: str
    statistic: str
    values: dict[str, float]
    mean: float
    needs_reference: bool


def _nine(metric: str, target: str, needs_reference: bool, *values: float) -> Published:
    by_lang = dict(zip(_LANGS, values, strict=True))
    mean = sum(values) / len(values)
    return Published(metric, "textdetox2024", target, SENTENCE, by_lang, mean, needs_reference)


def _systems(metric: str, target: str, needs_reference: bool, mean: float) -> Published:
    return Published(metric, "textdetox2024", target, SYSTEM, {}, mean, needs_reference)


def _russian(metric: str, target: str, needs_reference: bool, value: float) -> Published:
    by_lang = {"ru": value}
    return Published(metric, "russe2022_ru", target, SENTENCE, by_lang, value, needs_reference)


PUBLISHED: tuple[Published, ...] = (
    # Read off the plots of arXiv 2507.15557 (LREC 2026), on all human-judged 2024 outputs.
    _nine("classifier v2", "STA", False, 0.215, 0.37, 0.27, 0.18, 0.235, 0.365, 0.28, 0.18, 0.28),
    _nine("LaBSE .4/.6", "SIM", True, 0.39, 0.52, 0.27, 0.25, 0.70, 0.34, 0.35, 0.26, 0.49),
    _nine("XCOMET-lite", "SIM", True, 0.42, 0.51, 0.17, 0.45, 0.58, 0.29, 0.48, 0.42, 0.60),
    _nine("XCOMET-lite", "FL", True, 0.37, 0.07, 0.38, 0.20, 0.01, 0.10, 0.11, -0.02, 0.10),
    _nine("J of 2025", "J", True, 0.285, 0.49, 0.21, 0.40, 0.52, 0.31, 0.37, 0.33, 0.57),
    _nine(
        "XCOMET-lite × tuned Llama 8B", "J", True,
        0.42, 0.44, 0.26, 0.50, 0.505, 0.355, 0.455, 0.48, 0.615,
    ),
    # Computed from the published scores of 18 to 20 systems per language.
    _systems("classifier v1", "STA", False, 0.65),
    _systems("LaBSE", "SIM", False, 0.58),
    _systems("chrF", "SIM", True, 0.63),
    _systems("chrF", "FL", True, -0.09),
    Published(
        "J of 2024", "textdetox2024", "J", SYSTEM,
        {"am": 0.56, "ar": 0.76, "de": 0.81, "en": 0.15, "es": 0.64, "hi": 0.66, "ru": 0.70,
         "uk": 0.73, "zh": 0.25},
        0.58, True,
    ),
    # Computed from the published scores of 5 systems on 875 Russian sentences.
    _russian("classifier v2", "STA", False, 0.485),
    _russian("XCOMET-lite", "SIM", True, 0.456),
    _russian("LaBSE .4/.6", "SIM", True, 0.310),
    _russian("XCOMET-lite", "FL", True, 0.233),
    _russian("J of 2024", "J", True, 0.318),
    _russian("J of 2025", "J", True, 0.468),
)  # fmt: skip
"""Rows of the field notes, section 2."""


def published(judgements: str, target: str) -> list[Published]:
    """The rows for a set of judgements and a target."""
    return [row for row in PUBLISHED if row.judgements == judgements and row.target == target]
