"""Temperature sampling: the shares are the formula's, and no pair is favoured."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.corpus.balance import language_sizes, sample_languages
from civilly.data.pairs import Pair

COUNTS = st.dictionaries(
    st.sampled_from(["en", "de", "tt", "he", "ja"]), st.integers(1, 200), min_size=1
)


def test_the_shares_of_the_formula() -> None:
    """Cube roots of 8000 and 1000 are 20 and 10; square roots of 9, 4 and 1 are 3, 2 and 1."""
    assert language_sizes({"en": 8000, "tt": 1000}, 3.0, 300) == {"en": 200, "tt": 100}
    assert language_sizes({"en": 9, "de": 4, "tt": 1}, 2.0, 12) == {"en": 6, "de": 4, "tt": 2}
    assert language_sizes({"en": 10**9, "tt": 1}, 1e-3, 7) == {"en": 7, "tt": 0}
    assert language_sizes({}, 2.0, 5) == {}


@given(COUNTS, st.integers(0, 500))
def test_one_keeps_the_proportions_to_the_nearest_pair(counts: dict[str, int], size: int) -> None:
    sizes = language_sizes(counts, 1.0, size)
    assert sum(sizes.values()) == size
    total = sum(counts.values())
    for lang, count in counts.items():
        assert abs(sizes[lang] - Fraction(size * count, total)) < 1 + Fraction(1, 10**6)


@given(COUNTS, st.floats(1.0, 50.0), st.integers(0, 500))
def test_a_higher_temperature_makes_languages_more_equal(
    counts: dict[str, int], temperature: float, size: int
) -> None:
    cool, warm = language_sizes(counts, 1.0, size), language_sizes(counts, temperature, size)
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    assert warm[smallest] >= cool[smallest] - 1
    assert warm[largest] <= cool[largest] + 1
    equal = language_sizes(counts, 1e12, size)
    assert max(equal.values()) - min(equal.values()) <= 1


@pytest.mark.parametrize("seed", [1, 2])
@given(counts=COUNTS, size=st.integers(0, 500))
def test_pairs_of_a_language_are_used_equally_often(
    seed: int, counts: dict[str, int], size: int
) -> None:
    pairs = [
        Pair(f"{lang}-{i}", lang, "a", ("b",))
        for lang, count in counts.items()
        for i in range(count)
    ]
    sampled = sample_languages(pairs, 4.0, size, random.Random(seed))
    assert len(sampled) == size
    used = Counter(sampled)
    for lang in counts:
        times = {used[pair] for pair in pairs if pair.lang == lang}
        assert max(times) - min(times) <= 1
    assert sample_languages(pairs, 4.0, size, random.Random(seed)) == sampled
