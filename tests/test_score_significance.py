"""The paired tests against scipy, against all sign flips, and against their own promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from civilly.score.intervals import bootstrap_average, bootstrap_mean
from civilly.score.significance import (
    approximate_randomisation,
    benjamini_hochberg,
    compare,
    holm,
    paired_bootstrap,
    sentences_needed,
)


def sample(seed: int, n: int, mean: float = 0.03, sd: float = 0.2) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, sd, n)


def all_flips(strata: list[list[float]]) -> float:
    """The exact p-value: every combination of signs, one by one."""
    flat = [(stratum, value) for stratum, values in enumerate(strata) for value in values]
    sizes = [len(values) for values in strata]

    def statistic(signs: tuple[int, ...]) -> float:
        sums = [0.0] * len(strata)
        for sign, (stratum, value) in zip(signs, flat, strict=True):
            sums[stratum] += sign * value
        return sum(s / size for s, size in zip(sums, sizes, strict=True)) / len(strata)

    observed = abs(statistic((1,) * len(flat)))
    combinations = list(itertools.product((1, -1), repeat=len(flat)))
    return sum(abs(statistic(s)) >= observed - 1e-12 for s in combinations) / len(combinations)


@pytest.mark.parametrize(
    "strata",
    [
        [[0.3, -0.1, 0.2, 0.4, 0.25, -0.05, 0.1, 0.0]],
        [[0.5, 0.5, 0.5, 0.5, 0.5, 0.5]],
        [[0.3, -0.1, 0.2, 0.4], [0.1, 0.2, -0.3, 0.25, 0.15, 0.05]],
        [[0.0, 0.0, 0.0]],
    ],
)
def test_random_flips_agree_with_all_flips(strata: list[list[float]]) -> None:
    exact = all_flips(strata)
    assert approximate_randomisation(strata, 20_000) == pytest.approx(exact, abs=0.01)


def test_random_flips_agree_with_scipy() -> None:
    values = sample(1, 80)
    theirs = stats.permutation_test(
        (values, np.zeros(80)), lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples", vectorized=True, n_resamples=20_000,
        rng=np.random.default_rng(5),
    ).pvalue  # fmt: skip
    assert approximate_randomisation([values], 20_000) == pytest.approx(theirs, abs=0.012)


def test_the_bootstrap_interval_agrees_with_scipy() -> None:
    values = sample(2, 150)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", confidence_level=0.9,
        rng=np.random.default_rng(6),
    ).confidence_interval  # fmt: skip
    interval, _ = paired_bootstrap([values], 20_000, 0.9)
    assert interval.low == pytest.approx(theirs.low, abs=0.001)
    assert interval.high == pytest.approx(theirs.high, abs=0.001)
    assert interval.mean == pytest.approx(float(np.mean(values)))


def test_the_bootstrap_p_value_is_that_of_the_t_test_in_large_samples() -> None:
    values = sample(3, 2_000, 0.01)
    _, p = paired_bootstrap([values], 20_000)
    assert p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    assert approximate_randomisation([values], 20_000) == pytest.approx(p, abs=0.012)


def test_languages_weigh_the_same_however_many_sentences_they_have() -> None:
    large, small = sample(4, 400, 0.0), sample(5, 50, 0.1)
    interval = bootstrap_average([large, small], 20_000, 0.95)
    assert interval.mean == pytest.approx((np.mean(large) + np.mean(small)) / 2)
    assert interval.n == 450
    error = np.sqrt(np.var(large) / 400 + np.var(small) / 50) / 2
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.03)


def test_the_memory_bound_does_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(sample(6, 301))
    whole = (compare([values], [[0.0] * 301]), bootstrap_mean(values))
    monkeypatch.setattr("civilly.score.intervals._DRAWS_AT_ONCE", 1_000)
    monkeypatch.setattr("civilly.score.significance._FLIPS_AT_ONCE", 400)
    pieces = (compare([values], [[0.0] * 301]), bootstrap_mean(values))
    assert pieces[1] == whole[1]
    assert pieces[0].difference == whole[0].difference
    assert pieces[0].p_bootstrap == whole[0].p_bootstrap


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    values = list(sample(7, 60))
    assert approximate_randomisation([values], 500) == approximate_randomisation([values], 500)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_false_positives_stay_at_the_level() -> None:
    """1,000 pairs of equal systems: about 5 % are called different (standard error .7 %)."""
    datasets = np.random.default_rng(8).normal(0, 0.2, (1_000, 60))
    by_flips = sum(approximate_randomisation([d], 400) <= 0.05 for d in datasets) / 1_000
    by_bootstrap = sum(paired_bootstrap([d], 400)[1] <= 0.05 for d in datasets) / 1_000
    assert 0.035 <= by_flips <= 0.07
    assert 0.035 <= by_bootstrap <= 0.08  # the bootstrap is a little too bold in small samples


def test_false_positives_of_the_average_of_unequal_languages_stay_at_the_level() -> None:
    rng = np.random.default_rng(9)
    datasets = [[rng.normal(0, 0.1, 80), rng.normal(0, 0.5, 30)] for _ in range(300)]
    rate = sum(approximate_randomisation(d, 400) <= 0.05 for d in datasets) / 300
    assert 0.02 <= rate <= 0.085


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_covers_the_truth_as_often_as_it_says(confidence: float) -> None:
    rng = np.random.default_rng(10)
    intervals = [bootstrap_mean(rng.beta(4, 2, 80), 400, confidence, seed) for seed in range(400)]
    covered = sum(i.low <= 4 / 6 <= i.high for i in intervals) / 400
    assert covered == pytest.approx(confidence, abs=0.05)


def test_corrections_give_the_numbers_of_r() -> None:
    """``p.adjust(p, "holm")`` and ``p.adjust(p, "BH")`` of R."""
    p = [0.03, 0.01, 0.05, 0.02, 0.04]
    assert holm(p) == pytest.approx([0.09, 0.05, 0.09, 0.08, 0.09])
    assert benjamini_hochberg(p) == pytest.approx([0.05] * 5)
    p = [0.0001, 0.6, 0.004, 0.6, 0.019]
    assert holm(p) == pytest.approx([0.0005, 1.0, 0.016, 1.0, 0.057])
    assert benjamini_hochberg(p) == pytest.approx([0.0005, 0.6, 0.01, 0.6, 0.019 * 5 / 3])
    assert holm([]) == benjamini_hochberg([]) == []


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=20))
def test_corrections_of_any_p_values(p: list[float]) -> None:
    theirs = stats.false_discovery_control(p)
    assert benjamini_hochberg(p) == pytest.approx(list(theirs))
    # Holm in its other formulation: the running maximum over all smaller p-values.
    plain = [min(1.0, max(q * sum(r >= q for r in p) for q in p if q <= own)) for own in p]
    assert holm(p) == pytest.approx(plain)


def exactly(mean: float, n: int = 200) -> np.ndarray:
    """Values with this mean and a standard deviation of 1."""
    values = sample(11, n)
    return (values - values.mean()) / values.std(ddof=1) + mean


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_sentences_needed_are_those_of_gpower(effect: float, n: int) -> None:
    """G*Power 3.1, t-test of matched pairs, two-sided, alpha .05, power .8."""
    assert sentences_needed([exactly(effect)]) == n
    assert sentences_needed([-exactly(effect)]) == n


def test_that_many_sentences_do_show_it() -> None:
    n = sentences_needed([exactly(0.25)])
    assert n is not None
    draws = np.random.default_rng(12).normal(0.25, 1, (4_000, n))
    found = (stats.ttest_1samp(draws, 0, axis=1).pvalue <= 0.05).mean()
    assert found == pytest.approx(0.8, abs=0.02)


def test_that_many_sentences_per_language_show_a_difference_of_the_average() -> None:
    """Power by simulation of the very test that is used, three languages of unlike spread."""
    spreads = (0.5, 1.0, 1.5)
    n = sentences_needed([(exactly(0.0) * s + 0.3) for s in spreads])
    assert n is not None
    rng = np.random.default_rng(13)
    found = sum(
        approximate_randomisation([rng.normal(0.3, s, n) for s in spreads], 400) <= 0.05
        for _ in range(400)
    )
    assert found / 400 == pytest.approx(0.8, abs=0.06)


def test_no_difference_needs_no_number() -> None:
    assert sentences_needed([[0.1, -0.1, 0.0]]) is None
    assert sentences_needed([[0.3]]) is None
    same = compare([[0.5, 0.7]], [[0.5, 0.7]])
    assert (same.p_bootstrap, same.p_randomisation, same.needed) == (1.0, 1.0, None)
    assert str(same.difference) == ".000 [.000, .000]"


def test_the_smallest_p_value_is_one_over_the_trials_plus_one() -> None:
    values = [0.5 + n / 100 for n in range(50)]
    assert approximate_randomisation([values], 99) == pytest.approx(0.01)
    assert paired_bootstrap([values], 99)[1] == pytest.approx(0.01)


def test_unpaired_scores_are_an_error() -> None:
    with pytest.raises(ValueError, match="as many for A as for B"):
        compare([[0.1]], [[0.1, 0.2]])
    with pytest.raises(ValueError, match="no values"):
        compare([], [])
