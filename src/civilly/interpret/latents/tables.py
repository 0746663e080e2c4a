"""How well each contestant tells insults on sentences that nothing was chosen by: the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.errors import ModelError
from civilly.interpret.latents.choice import (
    Truths,
    choose_latents,
    difference_of_means,
    logistic_probe,
)
from civilly.interpret.latents.measures import RECALL, area, areas_of_draws, precision_at
from civilly.interpret.latents.streams import Floats, Tokens, firsts, highest
from civilly.languages import CODES

TEST = 2
LEVELS = ("token", "word", "sentence")
FOLDS = 3
"""Groups of languages that are left out in turn."""
RESAMPLES = 200

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over languages with the 95 % bootstrap interval over their sentences.

    Attributes:
        mean: In [0, 1].
        low: The 2.5th percentile.
        high: The 97.5th.
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Contestant:
    """What gives every token a score.

    Attributes:
        name: In tables.
        scores: [tokens]; higher is more toxic.
        sentences: [examples], where a sentence's score is not that of its highest token.
    """

    name: str
    scores: Values
    sentences: Values | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A contestant's line in the table.

    Attributes:
        name: Of the contestant.
        areas: Area under the curve by level (`LEVELS`).
        precisions: Precision where half of the insults are found, by level.
        by_language: Area of words by language.
    """

    name: str
    areas: Mapping[str, Estimate]
    precisions: Mapping[str, float]
    by_language: Mapping[str, float]


def table(tokens: Tokens, contestants: Sequence[Contestant], seed: int) -> list[Row]:
    """A row for each contestant, all on the same sentences, those of the part that tests."""
    return [_row(tokens, each, seed) for each in contestants]


@dataclass(frozen=True, slots=True)
class _Sample:
    """What is scored of one language at one level."""

    scores: Values
    truths: Truths
    sentence: NDArray[np.int64]


def _row(tokens: Tokens, contestant: Contestant, seed: int) -> Row:
    samples = {level: _samples(tokens, contestant, level) for level in LEVELS}
    by_word = {lang: area(s.scores, s.truths) for lang, s in samples["word"].items()}
    return Row(
        contestant.name,
        {level: _estimate(list(each.values()), seed) for level, each in samples.items()},
        {
            level: float(
                np.nanmean([precision_at(s.scores, s.truths, RECALL) for s in own.values()])
            )
            for level, own in samples.items()
        },
        by_word,
    )


def _samples(tokens: Tokens, contestant: Contestant, level: str) -> dict[str, _Sample]:
    found = {}
    for number in np.unique(tokens.language[tokens.part == TEST]):
        own = np.flatnonzero((tokens.part == TEST) & (tokens.language == number))
        scores = np.asarray(contestant.scores[own], np.float64)
        truths, sentence = tokens.toxic[own], tokens.sentence[own]
        if level != "token":
            groups = tokens.word[own] if level == "word" else sentence
            first = firsts(groups)
            scores, sentence = highest(scores, groups), sentence[first]
            truths = truths[first]
        if level == "sentence":
            truths = np.array([tokens.examples[i].toxic for i in sentence])
            if contestant.sentences is not None:
                scores = contestant.sentences[sentence]
        found[CODES[number]] = _Sample(scores, truths, sentence)
    return found


def _estimate(samples: Sequence[_Sample], seed: int) -> Estimate:
    """The mean area over languages; sentences are drawn again within each."""
    rng = np.random.default_rng(seed)
    mean = float(np.nanmean([area(each.scores, each.truths) for each in samples]))
    drawn = []
    for each in samples:
        _, groups = np.unique(each.sentence, return_inverse=True)
        count = int(groups.max()) + 1
        times = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
        drawn.append(areas_of_draws(each.scores, each.truths, times[:, groups]))
    low, high = np.nanpercentile(np.nanmean(drawn, axis=0), [2.5, 97.5])
    return Estimate(mean, float(low), float(high))


@dataclass(frozen=True, slots=True)
class Transfer:
    """Areas of words in languages that something was not chosen by, and was chosen by.

    Attributes:
        name: What was chosen.
        left_out: Mean over languages, each chosen by the others alone.
        all_languages: The same, chosen by all languages.
        by_language: Both by language.
    """

    name: str
    left_out: float
    all_languages: float
    by_language: Mapping[str, tuple[float, float]]


def folds(langs: Sequence[str]) -> list[list[str]]:
    """Groups of languages that are left out together, of like size."""
    count = min(FOLDS, len(langs))
    return [list(langs[start::count]) for start in range(count)] if len(langs) > 1 else []


def transfers(
    tokens: Tokens, latents: Any, stream: Floats, most: int, chosen: Mapping[str, Values]
) -> list[Transfer]:
    """What is chosen by some languages, measured in the others.

    Args:
        tokens: All tokens.
        latents: Sparse activations of all tokens, in rows.
        stream: The stream of all tokens.
        most: See `civilly.interpret.latents.choice.choose_latents`.
        chosen: Scores of all tokens by what was chosen by all languages: ``latents``,
            ``difference`` and ``probe``.
    """
    langs = [CODES[i] for i in np.unique(tokens.language[tokens.part == TEST])]
    both: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in chosen}
    for fold in folds(langs):
        learnt = tokens.of(0, [lang for lang in langs if lang not in fold])
        scores = {
            "latents": _chosen_scores(latents, tokens, learnt, most),
            "difference": _along(stream, difference_of_means(stream, tokens, learnt)),
            "probe": _along(stream, logistic_probe(stream, tokens, learnt)),
        }
        for name in both:
            apart = _samples(tokens, Contestant(name, scores[name]), "word")
            together = _samples(tokens, Contestant(name, chosen[name]), "word")
            for lang in fold:
                pair = (apart[lang], together[lang])
                both[name][lang] = tuple(area(s.scores, s.truths) for s in pair)  # type: ignore[assignment]
    return [Transfer(name, _mean(own, 0), _mean(own, 1), own) for name, own in both.items() if own]


def _chosen_scores(latents: Any, tokens: Tokens, learnt: Truths, most: int) -> Values:
    """Of all tokens, by latents that some languages choose; 0 where these choose none."""
    try:
        found = choose_latents(latents, tokens, learnt, most)
    except ModelError:
        return np.zeros(latents.shape[0])
    return np.asarray(latents[:, found.numbers] @ found.weights, np.float64).ravel()


def _along(stream: Floats, direction: Any) -> Values:
    return np.asarray(stream @ direction, np.float64)


def _mean(pairs: Mapping[str, tuple[float, float]], which: int) -> float:
    return float(np.nanmean([pair[which] for pair in pairs.values()]))
