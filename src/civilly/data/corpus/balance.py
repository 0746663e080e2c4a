"""Balances a corpus over its languages by temperature sampling.

A language with n of N pairs gets a share proportional to n^(1/T), as Conneau & Lample (2019, §3.1,
alpha = 1/T) and mT5 (Xue et al. 2021, §3.2) do: T = 1 keeps the proportions, a high T makes all
languages equal. Instead of drawing each pair's language, every language gets its share of the size
to the nearest pair, and its pairs are used equally often but for one: the same in expectation,
without the noise.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from civilly.data.pairs import Pair


def language_sizes(counts: Mapping[str, int], temperature: float, size: int) -> dict[str, int]:
    """How many pairs each language gets.

    Args:
        counts: Pairs by language, each at least 1.
        temperature: T, above 0.
        size: Pairs in all.

    Returns:
        By language, in the order of ``counts``; they add up to ``size``. What rounding down leaves
        goes to the largest fractions, the first of equal ones.
    """
    if not counts:
        return {}
    logs = {lang: math.log(count) / temperature for lang, count in counts.items()}
    highest = max(logs.values())
    weights = {lang: math.exp(log - highest) for lang, log in logs.items()}
    total = math.fsum(weights.values())
    exact = {lang: size * weight / total for lang, weight in weights.items()}
    sizes = {lang: math.floor(share) for lang, share in exact.items()}
    rest = size - sum(sizes.values())
    for lang in sorted(exact, key=lambda lang: sizes[lang] - exact[lang])[:rest]:
        sizes[lang] += 1
    return sizes


def sample_languages(
    pairs: Sequence[Pair], temperature: float, size: int, rng: random.Random
) -> list[Pair]:
    """A sample of pairs with the languages' shares of `language_sizes`, shuffled.

    Args:
        pairs: What to sample from; a language gets pairs more than once if it has too few.
        temperature: T, above 0.
        size: Pairs in all.
        rng: Where the choice comes from.
    """
    pools: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.lang):
        pools.setdefault(pair.lang, []).append(pair)
    counts = {lang: len(pool) for lang, pool in pools.items()}
    sampled: list[Pair] = []
    for lang, wanted in language_sizes(counts, temperature, size).items():
        times, rest = divmod(wanted, counts[lang])
        sampled += pools[lang] * times + rng.sample(pools[lang], rest)
    rng.shuffle(sampled)
    return sampled
