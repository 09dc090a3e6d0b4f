"""Intervals against scipy's own, against exact coverage, and by properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bindery.claims.intervals import paired_interval, slope_interval, t_interval, tenths, wilson_interval

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)
LEVELS = st.floats(0.5, 0.999)


@pytest.mark.parametrize("level", [0.9, 0.99])
@pytest.mark.parametrize("size", [2, 3, 10, 200])
def test_t_interval_is_scipys(size, level):
    values = np.random.default_rng(size).normal(3.0, 2.0, size)
    mean, low, high = t_interval(values, level)
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(level)
    assert mean == pytest.approx(values.mean(), rel=1e-14)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), rel=1e-10)


def test_paired_interval_is_scipys():
    rng = np.random.default_rng(1)
    first = rng.normal(size=12)
    second = first + rng.normal(0.3, 0.1, size=12)
    theirs = stats.ttest_rel(first, second).confidence_interval(0.99)
    assert paired_interval(first, second)[1:] == pytest.approx((theirs.low, theirs.high), rel=1e-10)


@pytest.mark.parametrize("level", [0.9, 0.99])
@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (0, 40), (1, 3), (20, 40), (40, 40), (487, 500)])
def test_wilson_interval_is_scipys(successes, trials, level):
    share, low, high = wilson_interval(successes, trials, level)
    theirs = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert share == successes / trials
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_slope_interval_is_one_least_squares_fit_per_seed():
    rng = np.random.default_rng(2)
    x = np.log(np.geomspace(1e-4, 1e-1, 7))
    y = 1.3 * x + rng.normal(0, 0.2, (9, 7)) + rng.normal(size=(9, 1))
    slopes = [stats.linregress(x, row).slope for row in y]
    assert slope_interval(x, y) == pytest.approx(t_interval(slopes), rel=1e-10)


def test_t_interval_covers_as_often_as_it_says():
    draws = np.random.default_rng(3).normal(1.0, 2.0, (4000, 5))
    ends = np.array([t_interval(row, 0.9)[1:] for row in draws])
    covered = np.mean((ends[:, 0] <= 1.0) & (ends[:, 1] >= 1.0))
    # Four standard deviations of a share of 4000 draws.
    assert covered == pytest.approx(0.9, abs=4 * np.sqrt(0.9 * 0.1 / 4000))


@pytest.mark.parametrize("trials", [30, 100])
def test_wilson_interval_covers_nearly_as_often_as_it_says(trials):
    """Exactly: the binomial weight of the counts whose interval holds the probability, averaged over it."""
    ends = np.array([wilson_interval(count, trials)[1:] for count in range(trials + 1)])
    coverages = []
    for probability in np.linspace(0.02, 0.98, 97):
        weights = stats.binom.pmf(np.arange(trials + 1), trials, probability)
        coverages.append(weights[(ends[:, 0] <= probability) & (probability <= ends[:, 1])].sum())
    assert np.mean(coverages) == pytest.approx(0.99, abs=0.003)
    assert min(coverages) > 0.96


@given(st.lists(FINITE, min_size=2, max_size=20), LEVELS, LEVELS)
def test_t_interval_holds_the_mean_and_widens_with_the_level(values, one, other):
    mean, low, high = t_interval(values, min(one, other))
    _, wider_low, wider_high = t_interval(values, max(one, other))
    assert wider_low <= low <= mean <= high <= wider_high


@given(st.integers(1, 10**6), st.data(), LEVELS)
def test_wilson_interval_is_a_share_and_mirrors_failures(trials, data, level):
    successes = data.draw(st.integers(0, trials))
    share, low, high = wilson_interval(successes, trials, level)
    assert 0 <= low <= share <= high <= 1
    _, mirrored_low, mirrored_high = wilson_interval(trials - successes, trials, level)
    assert (1 - mirrored_high, 1 - mirrored_low) == pytest.approx((low, high), abs=1e-12)


def test_equal_values_have_no_width():
    assert t_interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: t_interval([1.0]), ValueError, r"values had shape \(1,\); it must be one value per seed"),
        (lambda: t_interval([[1.0, 2.0]]), ValueError, r"values had shape \(1, 2\)"),
        (lambda: t_interval([1.0, np.nan]), ValueError, "values held NaN or an infinity"),
        (
            lambda: t_interval([1.0, 2.0], 1.0),
            ValueError,
            "level was 1.0; it must lie strictly between 0 and 1",
        ),
        (lambda: paired_interval([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError, r"second had shape \(3,\)"),
        (lambda: wilson_interval(3, 2), ValueError, "successes was 3; it must lie between 0 and trials"),
        (lambda: wilson_interval(0, 0), ValueError, "trials was 0; it must be at least 1"),
        (lambda: wilson_interval(0.5, 2), TypeError, "successes was 0.5; it must be a whole number"),
        (lambda: wilson_interval(1, True), TypeError, "trials was True; it must be a whole number"),
        (lambda: slope_interval([1.0, 1.0], [[1, 2], [3, 4]]), ValueError, "x had shape .* not all equal"),
        (lambda: slope_interval([1.0, 2.0], [[1, 2, 3]] * 2), ValueError, r"y_by_seed had shape \(2, 3\)"),
        (lambda: slope_interval([1.0, 2.0], [[1, np.inf]] * 2), ValueError, "y_by_seed held NaN"),
        (lambda: slope_interval([1.0, 2.0], [[1, 2]]), ValueError, r"shape \(1,\).* at least 2"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_tenths_are_those_of_the_intervals_of_means_along_an_axis():
    values = np.random.default_rng(0).normal(size=(2, 7, 3))
    found = tenths(values, axis=1)
    assert found.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            mean, low, high = t_interval(values[i, :, j])
            assert found[i, j] == pytest.approx((high - mean) / 10) == pytest.approx((mean - low) / 10)
    with pytest.raises(ValueError, match="values"):
        tenths(values[:, :1], axis=1)
