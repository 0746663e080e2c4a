"""Systems against a baseline, language by language: which differences are shown by the data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from civilly.errors import CivillyError, DataError, UnknownNameError
from civilly.score.intervals import CONFIDENCE, SEED
from civilly.score.joint import LOWER_IS_BETTER
from civilly.score.scores_file import SystemScores
from civilly.score.scoring import averages_over, present_languages
from civilly.score.significance import CORRECTIONS, TRIALS, Comparison, compare

Verdict = Literal["better", "worse", "no difference shown"]
Key = tuple[str, str, int]
"""Language, toxic sentence, and how often the sentence occurred before."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a comparison.

    Attributes:
        system: The system that is compared with the baseline.
        scope: A language code, or the name of an average.
        langs: The languages in it.
        comparison: The numbers, B being ``system`` and A the baseline.
        p_corrected: p-value of approximate randomisation, corrected for all findings of its kind
            (languages, or averages) in the run.
        verdict: ``better`` or ``worse`` if the corrected p-value is at most ``1 - confidence`` and
            the interval of the difference excludes 0; both, since each alone errs for small n. Less
            is better in the columns of `civilly.score.joint.LOWER_IS_BETTER`.
    """

    system: str
    scope: str
    langs: tuple[str, ...]
    comparison: Comparison
    p_corrected: float
    verdict: Verdict


def require_same_signature(systems: Sequence[SystemScores]) -> None:
    """Makes sure that scores of several systems may stand side by side.

    Raises:
        CivillyError: If they were made by different suites, versions or options.
    """
    for other in systems[1:]:
        if other.signature != systems[0].signature:
            raise CivillyError(
                f"{systems[0].system!r} and {other.system!r} were not scored alike: "
                f"{systems[0].signature!r} and {other.signature!r}.",
                mend="score both submissions again with the same suite, options and version",
            )


def compare_systems(
    baseline: SystemScores,
    others: Sequence[SystemScores],
    column: str,
    trials: int = TRIALS,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
    correction: str = "holm",
) -> list[Finding]:
    """Compares each system with the baseline in every language and in the averages.

    Args:
        baseline: System A.
        others: The systems B, scored on the same sentences.
        column: Which score, for instance ``J``.
        trials: Bootstrap samples, and sign flips, of each test.
        confidence: Of the intervals and verdicts, in (0, 1).
        seed: Seed of the tests.
        correction: One of `civilly.score.significance.CORRECTIONS`.

    Returns:
        For each system its languages, then the averages of at least two languages.

    Raises:
        CivillyError: If the signatures differ, the rows differ (naming what differs), or there is
            nothing to compare.
        UnknownNameError: If there is no such score or correction.
    """
    require_same_signature([baseline, *others])
    if column not in baseline.columns:
        raise UnknownNameError("score", column, baseline.columns)
    if correction not in CORRECTIONS:
        raise UnknownNameError("correction", correction, CORRECTIONS)
    findings = []
    for other in others:
        paired = pair_scores(baseline, other, column)
        for scope, langs in _scopes(paired).items():
            a, b = ([paired[code][side] for code in langs] for side in (0, 1))
            compared = compare(a, b, trials, confidence, seed)
            findings.append(
                Finding(other.system, scope, langs, compared, 1.0, "no difference shown")
            )
    return _judged(findings, 1.0 - confidence, correction, -1 if column in LOWER_IS_BETTER else 1)


def _scopes(paired: dict[str, tuple[list[float], list[float]]]) -> dict[str, tuple[str, ...]]:
    averages = {name: langs for name, langs in averages_over(paired).items() if len(langs) > 1}
    return {**{code: (code,) for code in paired}, **averages}


def _judged(
    findings: Sequence[Finding], level: float, correction: str, better: int
) -> list[Finding]:
    """The findings with corrected p-values and verdicts; languages and averages apart.

    Args:
        findings: What was found.
        level: Of significance.
        correction: One of `civilly.score.significance.CORRECTIONS`.
        better: The sign of a difference that is good, 1 or -1.
    """
    judged = list(findings)
    for single in (True, False):
        family = [n for n, f in enumerate(findings) if (len(f.langs) == 1) is single]
        p_values = [findings[n].comparison.p_randomisation for n in family]
        for n, p in zip(family, CORRECTIONS[correction](p_values), strict=True):
            verdict = _verdict(findings[n].comparison, p, level, better)
            judged[n] = replace(findings[n], p_corrected=p, verdict=verdict)
    return judged


def _verdict(comparison: Comparison, p_corrected: float, level: float, better: int) -> Verdict:
    sign = comparison.difference.sign
    if p_corrected > level or sign == 0:
        return "no difference shown"
    return "better" if sign == better else "worse"


def pair_scores(
    a: SystemScores, b: SystemScores, column: str
) -> dict[str, tuple[list[float], list[float]]]:
    """One score of both systems by language, sentence by sentence.

    Rows are paired by language and toxic sentence; the order of the files does not matter. A
    sentence that occurs several times is paired in order.

    Raises:
        DataError: If the files do not hold the same sentences with the same references, or none.
    """
    rows_a, rows_b = _by_key(a), _by_key(b)
    if not rows_a and not rows_b:
        raise DataError(
            f"{a.system!r} and {b.system!r} have no rows.",
            mend="score them anew (civilly score -o), and check --lang",
        )
    for here, there, name, other in ((rows_a, rows_b, b, a), (rows_b, rows_a, a, b)):
        lacking = [key for key in here if key not in there]
        if lacking:
            raise DataError(
                f"{name.system!r} lacks {len(lacking)} of the {len(here)} sentences of "
                f"{other.system!r} ({_counts(lacking)}), first {_shown(lacking)}.",
                allowed="the same sentences in both",
                mend="score both on the same references, or choose languages with --lang",
            )
    changed = [k for k in rows_a if a.rows[rows_a[k]].references != b.rows[rows_b[k]].references]
    if changed:
        raise DataError(
            f"{a.system!r} and {b.system!r} were scored with other references in {len(changed)} "
            f"sentences ({_counts(changed)}), first {_shown(changed)}.",
            mend="score both on the same references",
        )
    return {
        code: (
            [a.scores[rows_a[key]][column] for key in keys],
            [b.scores[rows_b[key]][column] for key in keys],
        )
        for code in present_languages(key[0] for key in rows_a)
        for keys in [[key for key in rows_a if key[0] == code]]
    }


def _by_key(scores: SystemScores) -> dict[Key, int]:
    """The index of each row by its key."""
    seen: defaultdict[tuple[str, str], int] = defaultdict(int)
    keys: dict[Key, int] = {}
    for index, row in enumerate(scores.rows):
        keys[row.lang, row.toxic, seen[row.lang, row.toxic]] = index
        seen[row.lang, row.toxic] += 1
    return keys


def _counts(keys: Sequence[Key]) -> str:
    return ", ".join(f"{lang} {count}" for lang, count in Counter(k[0] for k in keys).items())


def _shown(keys: Sequence[Key]) -> str:
    return ", ".join(repr(key[1][:60]) for key in keys[:_SHOWN])
