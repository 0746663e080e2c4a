"""The search: a reference, candidates, what they have in common, by language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from civilly.data.corpus.licences import refused_licences
from civilly.data.corpus.recipe import SHIPPABLE
from civilly.data.leaks import Kind, Leak, find_leaks, normalise
from civilly.data.pair_leaks import MIN_LETTERS
from civilly.errors import DataError
from civilly.languages import CODES
from civilly.synth.search.candidates import DataSet, SetRow
from civilly.synth.search.measures import Floats, GramNumbers, Sample, sample_of
from civilly.synth.search.ranking import LEAST, Compared, compare, ranks
from civilly.synth.search.reading import RowReader

CHECKED = 3
"""Times as many rows of a language as are compared are checked for leaks."""
NO_OPINIONS = (np.zeros(0), np.zeros(0))
SHOWN = 8
"""Rows of a set that are shown, each with the text of the reference that is most like it."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text of a set beside the text of the reference that is most like it.

    Attributes:
        theirs: Of the set.
        civil: Its civil side, or "".
        ours: Of the reference.
        cosine: Of their embeddings.
    """

    theirs: str
    civil: str
    ours: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A set in one language, ranked.

    Attributes:
        source: The set.
        kind: ``pairs``, ``labels`` or ``texts``: what it can be used for.
        compared: The comparison.
        rank: Interval of its rank in the language.
        examples: Some of its rows.
    """

    source: DataSet
    kind: str
    compared: Compared
    rank: tuple[int, int]
    examples: tuple[Example, ...]


@dataclass(slots=True)
class Found:
    """What a search found.

    Attributes:
        reference: What was compared with.
        rows: Texts of it that were compared, by language.
        sets: All candidates that were read, in order.
        leaks: Of each, how many of the rows looked at repeat a reference or a held-out text, by
            kind; these were left out of the comparison.
        ranking: By language, the most alike first.
        left_out: Why a set is not in the ranking, by set and language; by place alone where it
            could not be read.
    """

    reference: DataSet
    rows: dict[str, int] = field(default_factory=dict)
    sets: list[DataSet] = field(default_factory=list)
    leaks: dict[str, dict[Kind, int]] = field(default_factory=dict)
    ranking: dict[str, list[Entry]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def flipped(self, entry: Entry) -> bool:
        """Whether the labels of a set seem to mean the opposite."""
        return entry.compared.raw.get("labels", 1.0) < 0.4

    def licence_allows(self, source: DataSet) -> bool:
        """Whether what is trained on the set may be shipped (`SHIPPABLE`)."""
        return not refused_licences(source.licence, SHIPPABLE)


def search(
    reference: DataSet,
    sets: Sequence[DataSet],
    most: int,
    seed: int,
    *,
    held_out: Sequence[str] = (),
    languages: Sequence[str] = (),
    failed: Mapping[str, str] | None = None,
    advance: Callable[[int], object] = lambda rows: None,
) -> Found:
    """Compares sets with a reference, language by language, and ranks them.

    Compared are toxic texts with toxic texts, where labels or pairs say which they are.

    Args:
        reference: Ours.
        sets: The candidates.
        most: Texts of each set and language that are compared, at most.
        seed: Of all chance.
        held_out: Further texts that no training may see.
        languages: Which of the reference's; empty: all.
        failed: Candidates that could not be read, with why.
        advance: Told after each set.

    Raises:
        DataError: If the reference has too few texts in every language.
        MissingExtraError: If scikit-learn is not installed.
    """
    found = Found(reference, sets=list(sets), left_out=dict(failed or {}))
    ours = _by_language(reference.rows, languages, most)
    found.rows = {c: len(ours[c]) for c in CODES if len(ours.get(c, ())) >= LEAST}
    if not found.rows:
        raise DataError(
            f"{reference.where} has fewer than {LEAST} texts in every language.",
            mend="a larger reference, or --lang with a language that it has",
        )
    reader = RowReader()
    numbers = {lang: GramNumbers() for lang in found.rows}
    samples = {
        lang: _sample(reader, ours[lang], lang, numbers[lang], pairs=reference.pairs)
        for lang in found.rows
    }
    kept = [*evaluation_of(reference.rows), *held_out]
    waiting: dict[str, list[Entry]] = {lang: [] for lang in found.rows}
    checked = [first_of_each(source.rows, [*found.rows], CHECKED * most) for source in sets]
    for source, (rows, leaks) in zip(sets, without_leaks(checked, kept), strict=True):
        found.leaks[source.name] = leaks
        theirs = _by_language(rows, [*found.rows], most)
        if not theirs:
            found.left_out[source.name] = (
                "all rows repeat ours, or held-out ones"
                if leaks
                else "no rows in a language of the reference"
            )
        for lang, some in theirs.items():
            if len(some) < LEAST:
                found.left_out[f"{source.name} ({lang})"] = f"{len(some)} texts, {LEAST} needed"
                continue
            sample = _sample(reader, some, lang, numbers[lang], pairs=source.pairs)
            entry = _entry(reader, source, rows, sample, samples[lang], lang, numbers[lang], seed)
            waiting[lang].append(entry)
        advance(1)
    for lang, entries in waiting.items():
        places = ranks([entry.compared for entry in entries])
        ranked = [
            Entry(each.source, each.kind, each.compared, place, each.examples)
            for each, place in zip(entries, places, strict=True)
        ]
        found.ranking[lang] = sorted(ranked, key=lambda entry: -entry.compared.score.mean)
    return found


def first_of_each(rows: Iterable[SetRow], languages: Sequence[str], most: int) -> list[SetRow]:
    """The first rows of each language; they are in random order."""
    seen: Counter[str] = Counter()
    chosen = []
    for row in rows:
        seen[row.lang] += 1
        if row.lang in languages and seen[row.lang] <= most:
            chosen.append(row)
    return chosen


def _by_language(
    rows: Iterable[SetRow], languages: Sequence[str], most: int
) -> dict[str, list[SetRow]]:
    """The rows to compare in each language: the toxic ones, or all where too few are known so."""
    grouped: dict[str, list[SetRow]] = {}
    for row in rows:
        if not languages or row.lang in languages:
            grouped.setdefault(row.lang, []).append(row)
    for lang, some in grouped.items():
        toxic = [row for row in some if row.label == 1 or (row.label is None and row.civil)]
        unique = {row.text: row for row in (toxic if len(toxic) >= LEAST else some)}
        grouped[lang] = list(unique.values())[:most]
    return grouped


def evaluation_of(rows: Iterable[SetRow]) -> list[str]:
    """Every text of the reference; short civil sides are nobody's."""
    sides = [side for row in rows for side in row.civil if len(normalise(side)) >= MIN_LETTERS]
    return [*dict.fromkeys([*(row.text for row in rows), *sides])]


def without_leaks(
    sets: Sequence[Sequence[SetRow]], evaluation: Sequence[str]
) -> list[tuple[list[SetRow], dict[Kind, int]]]:
    """The rows of each set that repeat no evaluation text, and how many do, by kind.

    All sets are looked through together: the index of the evaluation texts is the larger part.
    """
    places = [
        (number, i, side)
        for number, rows in enumerate(sets)
        for i, row in enumerate(rows)
        for side in (row.text, *row.civil)
    ]
    leaking: list[dict[int, Leak]] = [{} for _ in sets]
    for leak in find_leaks([side for _, _, side in places], evaluation):
        number, i, _ = places[leak.training]
        leaking[number].setdefault(i, leak)
    return [
        (
            [row for i, row in enumerate(rows) if i not in leaks],
            dict(Counter(leak.kind for leak in leaks.values())),
        )
        for rows, leaks in zip(sets, leaking, strict=True)
    ]


def _sample(
    reader: RowReader, rows: Sequence[SetRow], lang: str, numbers: GramNumbers, *, pairs: bool
) -> Sample:
    texts = [row.text for row in rows]
    civil = [row.civil for row in rows] if pairs else None
    return sample_of(texts, lang, reader.vectors(texts), numbers, civil)


def _entry(
    reader: RowReader,
    source: DataSet,
    rows: Sequence[SetRow],
    theirs: Sample,
    ours: Sample,
    lang: str,
    numbers: GramNumbers,
    seed: int,
) -> Entry:
    size = len(theirs)
    here = [row for row in rows if row.lang == lang]
    if source.pairs:
        toxic = [row.text for row in here if row.civil]
        civil = [row.civil[0] for row in here if row.civil]
    else:
        toxic = [row.text for row in here if row.label == 1]
        civil = [row.text for row in here if row.label == 0]
    labelled = min(len(toxic), len(civil)) >= LEAST
    opinions = _opinions(reader, toxic[:size], civil[:size], lang) if labelled else NO_OPINIONS
    compared = compare(source.name, ours, theirs, opinions, len(numbers), seed)
    kind = "pairs" if source.pairs else "labels" if labelled else "texts"
    sides = {row.text: row.civil[0] for row in here if row.civil}
    return Entry(source, kind, compared, (1, 1), _examples(theirs, ours, sides, seed))


def _opinions(
    reader: RowReader, toxic: Sequence[str], civil: Sequence[str], lang: str
) -> tuple[Floats, Floats]:
    return reader.p_toxic(toxic, lang), reader.p_toxic(civil, lang)


def _examples(
    theirs: Sample, ours: Sample, sides: Mapping[str, str], seed: int
) -> tuple[Example, ...]:
    """Rows drawn at random, each with the nearest text of the reference."""
    drawn = np.random.default_rng(seed).permutation(len(theirs))[:SHOWN]
    cosines = theirs.vectors[drawn] @ ours.vectors.T
    return tuple(
        Example(
            theirs.texts[i],
            sides.get(theirs.texts[i], ""),
            ours.texts[int(row.argmax())],
            float(row.max()),
        )
        for i, row in zip(drawn, cosines, strict=True)
    )
