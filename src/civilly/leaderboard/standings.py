"""The board: a mean with interval and rank for every system, column and measure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from civilly.errors import DataError
from civilly.languages import CODES, NEW_CODES, PARALLEL_CODES
from civilly.leaderboard.comparisons import Comparison, means_and_comparisons
from civilly.leaderboard.runs import MEASURES, Sentence, System
from civilly.score.intervals import Interval, bootstrap_average, bootstrap_mean
from civilly.score.joint import JOINT, SHARES
from civilly.score.scoring import AVERAGES

COLUMNS = ("AvgP", *PARALLEL_CODES, "AvgNP", *NEW_CODES)
"""All columns in the order of the table."""
LEAST_SHARED = 30
"""Sentences that the ranked systems of a language should share."""

Agreement = Mapping[str, Mapping[str, float]]
"""Agreement with people by language: for example ``{"en": {"spearman_J": 0.31}}``."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One system in one column.

    Attributes:
        mean: The mean with its interval.
        rank: 1 for the best group; None for a system that is not ranked in this column, since it
            shares too few sentences with the others: its mean is that of its own sentences.
    """

    mean: Interval
    rank: int | None


@dataclass(frozen=True, slots=True)
class Column:
    """A language or an average.

    Attributes:
        name: Language code, ``AvgP`` or ``AvgNP``.
        n: Sentences that all ranked systems share.
        ranked: Indices of the ranked systems.
        cells: By measure, by index of the system; a system without rows here has none.
        comparisons: By measure: all pairs of ranked systems.
        shares: By share (`civilly.score.joint.SHARES`), by index of the ranked system; empty where
            the suite finds no faults.
    """

    name: str
    n: int
    ranked: tuple[int, ...]
    cells: Mapping[str, Mapping[int, Cell]]
    comparisons: Mapping[str, Sequence[Comparison]]
    shares: Mapping[str, Mapping[int, Interval]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that the page and the tables say.

    Attributes:
        suite: Name of the suite.
        signatures: The different signatures of the scores; more than one is a warning.
        systems: The systems, best first by AvgP, then AvgNP, then the number of languages.
        columns: By name, in the order of `COLUMNS`; those without any system are missing.
        agreement: Agreement of the suite with people by language.
    """

    suite: str
    signatures: tuple[str, ...]
    systems: tuple[System, ...]
    columns: Mapping[str, Column]
    agreement: Agreement = field(default_factory=dict)

    @property
    def told(self) -> tuple[Column, ...]:
        """The columns whose shares are told one by one: the averages, or else the languages."""
        known = [column for column in self.columns.values() if column.shares]
        return tuple([c for c in known if c.name in AVERAGES] or known)


def build(
    systems: Sequence[System],
    agreement: Agreement | None = None,
    advance: Callable[[int], None] = lambda columns: None,
) -> Board:
    """Builds the board of some systems, scored by one suite.

    Args:
        systems: At least one.
        agreement: Agreement of the suite with people by language.
        advance: Is told of every column that is done; there are ``len(COLUMNS)``.

    Raises:
        DataError: If there is no system.
    """
    if not systems:
        raise DataError(
            "A leaderboard needs at least one system.",
            mend="put scores files (civilly score -o) or submissions into the folder",
        )
    suites = {system.suite for system in systems}
    if len(suites) > 1:
        raise DataError(
            f"Scores of several suites on one board: {', '.join(sorted(suites))}.",
            mend="choose one with --suite",
        )
    shared = {lang: _shared_in(systems, lang) for lang in CODES}
    columns: dict[str, Column] = {}
    for name in COLUMNS:
        languages = AVERAGES.get(name, (name,))
        column = _column(name, languages, systems, [shared[lang] for lang in languages])
        if column is not None:
            columns[name] = column
        advance(1)
    order = sorted(range(len(systems)), key=lambda i: _place(i, systems[i], columns))
    return Board(
        suites.pop(),
        tuple(sorted({system.signature for system in systems})),
        tuple(systems[i] for i in order),
        {name: _reordered(column, order) for name, column in columns.items()},
        agreement or {},
    )


def shared_sentences(
    by_system: Sequence[Collection[Sentence]],
) -> tuple[tuple[int, ...], list[Sentence]]:
    """Which systems can be compared in a language, and on which sentences.

    That is every system that has any, on the sentences that all of them have. While these are fewer
    than `LEAST_SHARED` (or half of the largest set, if that is less), the system is left out
    without which most sentences are shared; if that is a tie, the one that shares enough sentences
    with the fewest others. If no two systems share enough, it is the first choice on that way that
    shares most.

    Returns:
        Indices of the systems, and their shared sentences in the order of the first one.
    """
    sets = [frozenset(sentences) for sentences in by_system]
    kept = [i for i, sentences in enumerate(sets) if sentences]
    if not kept:
        return (), []
    least = min(LEAST_SHARED, math.ceil(max(len(sets[i]) for i in kept) / 2))
    tried: list[list[int]] = []
    while len(kept) > 1 and len(_intersection(sets, kept)) < least:
        tried.append(kept)
        worst = min(kept, key=lambda i: _value(i, sets, kept, least))
        kept = [i for i in kept if i != worst]
    if len(kept) == 1:
        most = max(tried, key=lambda group: len(_intersection(sets, group)), default=kept)
        kept = most if _intersection(sets, most) else kept
    common = _intersection(sets, kept)
    return tuple(kept), [s for s in by_system[kept[0]] if s in common]


def _intersection(sets: Sequence[frozenset[Sentence]], kept: Sequence[int]) -> frozenset[Sentence]:
    first, *rest = (sets[i] for i in kept)
    return first.intersection(*rest)


def _value(
    i: int, sets: Sequence[frozenset[Sentence]], kept: Sequence[int], least: int
) -> tuple[int, int, int]:
    others = [j for j in kept if j != i]
    partners = sum(len(sets[i] & sets[j]) >= least for j in others)
    return -len(_intersection(sets, others)), partners, len(sets[i])


def _shared_in(systems: Sequence[System], lang: str) -> tuple[tuple[int, ...], list[Sentence]]:
    return shared_sentences([[s for s in system.rows if s.lang == lang] for system in systems])


def _column(
    name: str,
    languages: Sequence[str],
    systems: Sequence[System],
    shared: Sequence[tuple[tuple[int, ...], list[Sentence]]],
) -> Column | None:
    """A column; an average has only systems that are ranked in all of its languages."""
    ranked = sorted(set.intersection(*(set(kept) for kept, _ in shared)))
    if not ranked:
        return None
    strata = [
        np.array(
            [[[systems[i].rows[s].scores[m] for i in ranked] for m in MEASURES] for s in sentences]
        )
        for _, sentences in shared
    ]
    cells: dict[str, dict[int, Cell]] = {}
    comparisons: dict[str, list[Comparison]] = {}
    for measure, (means, local) in zip(MEASURES, means_and_comparisons(strata), strict=True):
        comparisons[measure] = [
            Comparison(ranked[c.first], ranked[c.second], c.difference, c.p) for c in local
        ]
        by_system = dict(zip(ranked, means, strict=True))
        ranks = tie_groups({i: m.mean for i, m in by_system.items()}, comparisons[measure])
        cells[measure] = {i: Cell(mean, ranks[i]) for i, mean in by_system.items()}
        if name not in AVERAGES:
            cells[measure] |= _unranked(systems, name, measure, ranked)
    n = sum(len(sentences) for _, sentences in shared)
    found = _shares([systems[i] for i in ranked], [sentences for _, sentences in shared])
    by_index = {share: dict(zip(ranked, means, strict=True)) for share, means in found.items()}
    return Column(name, n, tuple(ranked), cells, comparisons, by_index)


def _shares(
    systems: Sequence[System], shared: Sequence[Sequence[Sentence]]
) -> dict[str, list[Interval]]:
    """The interval of each share of each system; none where not all systems know it.

    Args:
        systems: Some systems.
        shared: The sentences of each language.
    """
    known = [
        share
        for share in SHARES
        if all(share in s.rows[row].shares for s in systems for rows in shared for row in rows)
    ]
    return {
        share: [
            bootstrap_average([[s.rows[row].shares[share] for row in rows] for rows in shared])
            for s in systems
        ]
        for share in known
    }


def _unranked(
    systems: Sequence[System], lang: str, measure: str, ranked: Collection[int]
) -> dict[int, Cell]:
    found = {}
    for i, system in enumerate(systems):
        values = [row.scores[measure] for s, row in system.rows.items() if s.lang == lang]
        if values and i not in ranked:
            found[i] = Cell(bootstrap_mean(values), None)
    return found


def tie_groups(means: Mapping[int, float], comparisons: Sequence[Comparison]) -> dict[int, int]:
    """Ranks: going down by mean, a system joins the group unless its best is significantly better.

    The rank of a group is one more than the number of systems in the groups before it.
    """
    worse = {frozenset((c.first, c.second)) for c in comparisons if c.significant}
    ranks: dict[int, int] = {}
    best = -1
    for i in sorted(means, key=lambda i: (-means[i], i)):
        if not ranks or frozenset((best, i)) in worse:
            best = i
            ranks[i] = len(ranks) + 1
        else:
            ranks[i] = ranks[best]
    return ranks


def _place(
    index: int, system: System, columns: Mapping[str, Column]
) -> tuple[float, float, int, float, str]:
    def mean(name: str) -> float:
        cell = columns[name].cells[JOINT].get(index) if name in columns else None
        return -cell.mean.mean if cell else 1.0

    own = [mean(name) for name in columns if index in columns[name].cells[JOINT]]
    return mean("AvgP"), mean("AvgNP"), -len(own), float(np.mean(own)), system.name


def _reordered(column: Column, order: Sequence[int]) -> Column:
    new = {old: place for place, old in enumerate(order)}
    return Column(
        column.name,
        column.n,
        tuple(sorted(new[i] for i in column.ranked)),
        {m: {new[i]: cell for i, cell in sorted(row.items(), key=lambda item: new[item[0]])}
         for m, row in column.cells.items()},
        {m: [_oriented(c, new) for c in pairs] for m, pairs in column.comparisons.items()},
        {share: {new[i]: mean for i, mean in sorted(row.items(), key=lambda item: new[item[0]])}
         for share, row in column.shares.items()},
    )  # fmt: skip


def _negated(d: Interval) -> Interval:
    if d.low is None or d.high is None:
        return Interval(-d.mean, None, None, d.n)
    return Interval(-d.mean, -d.high, -d.low, d.n)


def _oriented(c: Comparison, new: Mapping[int, int]) -> Comparison:
    """The comparison with new indices, the smaller one first."""
    first, second, d = new[c.first], new[c.second], c.difference
    if first < second:
        return Comparison(first, second, d, c.p)
    return Comparison(second, first, _negated(d), c.p)
