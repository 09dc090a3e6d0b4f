"""Intervals against scipy's own, against exact coverage, and by properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bindery.claims.intervals import by_seed, counts, exact, interval, slope, tenths

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)
LEVELS = st.floats(0.5, 0.999)


@pytest.mark.parametrize("level", [0.9, 0.99])
@pytest.mark.parametrize("size", [2, 3, 10, 200])
def test_t_interval_is_scipys(size, level):
    values = np.random.default_rng(size).normal(3.0, 2.0, size)
    mean, low, high = by_seed(values, level=level)
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(level)
    assert mean == pytest.approx(values.mean(), rel=1e-14)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), rel=1e-10)


def test_differences_of_pairs_are_scipys_paired_interval():
    rng = np.random.default_rng(1)
    first = rng.normal(size=12)
    second = first + rng.normal(0.3, 0.1, size=12)
    theirs = stats.ttest_rel(first, second).confidence_interval(0.99)
    assert by_seed(first - second)[1:] == pytest.approx((theirs.low, theirs.high), rel=1e-10)


@pytest.mark.parametrize("level", [0.9, 0.99])
@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (0, 40), (1, 3), (20, 40), (40, 40), (487, 500)])
def test_wilson_interval_is_scipys(successes, trials, level):
    share, low, high = counts(successes, trials, level=level)
    theirs = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert share == successes / trials
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_slope_interval_is_one_least_squares_fit_per_seed():
    rng = np.random.default_rng(2)
    x = np.log(np.geomspace(1e-4, 1e-1, 7))
    y = 1.3 * x + rng.normal(0, 0.2, (9, 7)) + rng.normal(size=(9, 1))
    slopes = [stats.linregress(x, row).slope for row in y]
    assert slope(x, y) == pytest.approx(by_seed(slopes), rel=1e-10)


def test_t_interval_covers_as_often_as_it_says():
    draws = np.random.default_rng(3).normal(1.0, 2.0, (4000, 5))
    ends = np.array([by_seed(row, level=0.9)[1:] for row in draws])
    covered = np.mean((ends[:, 0] <= 1.0) & (ends[:, 1] >= 1.0))
    # Four standard deviations of a share of 4000 draws.
    assert covered == pytest.approx(0.9, abs=4 * np.sqrt(0.9 * 0.1 / 4000))


@pytest.mark.parametrize("trials", [30, 100])
def test_wilson_interval_covers_nearly_as_often_as_it_says(trials):
    """Exactly: the binomial weight of the counts whose interval holds the probability, averaged over it."""
    ends = np.array([counts(count, trials)[1:] for count in range(trials + 1)])
    coverages = []
    for probability in np.linspace(0.02, 0.98, 97):
        weights = stats.binom.pmf(np.arange(trials + 1), trials, probability)
        coverages.append(weights[(ends[:, 0] <= probability) & (probability <= ends[:, 1])].sum())
    assert np.mean(coverages) == pytest.approx(0.99, abs=0.003)
    assert min(coverages) > 0.96


@given(st.lists(FINITE, min_size=2, max_size=20), LEVELS, LEVELS)
def test_t_interval_holds_the_mean_and_widens_with_the_level(values, one, other):
    mean, low, high = by_seed(values, level=min(one, other))
    _, wider_low, wider_high = by_seed(values, level=max(one, other))
    assert wider_low <= low <= mean <= high <= wider_high


@given(st.integers(1, 10**6), st.data(), LEVELS)
def test_wilson_interval_is_a_share_and_mirrors_failures(trials, data, level):
    successes = data.draw(st.integers(0, trials))
    share, low, high = counts(successes, trials, level=level)
    assert 0 <= low <= share <= high <= 1
    _, mirrored_low, mirrored_high = counts(trials - successes, trials, level=level)
    assert (1 - mirrored_high, 1 - mirrored_low) == pytest.approx((low, high), abs=1e-12)


def test_equal_values_have_no_width():
    assert by_seed([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: by_seed([1.0]), ValueError, r"values had shape \(1,\); it must be one value per seed"),
        (lambda: by_seed([[1.0, 2.0]]), ValueError, r"values had shape \(1, 2\)"),
        (lambda: by_seed([1.0, np.nan]), ValueError, "values held NaN or an infinity"),
        (
            lambda: by_seed([1.0, 2.0], level=1.0),
            ValueError,
            "level was 1.0; it must lie strictly between 0 and 1",
        ),
        (lambda: counts(3, 2), ValueError, "successes was 3; it must lie between 0 and trials"),
        (lambda: counts(0, 0), ValueError, "trials was 0; it must be at least 1"),
        (lambda: counts(0.5, 2), TypeError, "successes was 0.5; it must be a whole number"),
        (lambda: counts(1, True), TypeError, "trials was True; it must be a whole number"),
        (lambda: slope([1.0, 1.0], [[1, 2], [3, 4]]), ValueError, "x had shape .* not all equal"),
        (lambda: slope([1.0, 2.0], [[1, 2, 3]] * 2), ValueError, r"y_by_seed had shape \(2, 3\)"),
        (lambda: slope([1.0, 2.0], [[1, np.inf]] * 2), ValueError, "y_by_seed held NaN"),
        (lambda: slope([1.0, 2.0], [[1, 2]]), ValueError, r"shape \(1,\).* at least 2"),
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
            mean, low, high = by_seed(values[i, :, j])
            assert found[i, j] == pytest.approx((high - mean) / 10) == pytest.approx((mean - low) / 10)
    with pytest.raises(ValueError, match="values"):
        tenths(values[:, :1], axis=1)


def test_ends_stop_where_a_quantity_does_and_a_mean_beyond_is_refused():
    assert by_seed([0.9, 1.0, 1.0], least=0, most=1)[2] == 1
    assert by_seed([0.1, 0.0, 0.0], least=0, most=1)[1] == 0
    free = by_seed([0.9, 1.0, 1.0])
    assert free.high > 1
    assert by_seed([0.9, 1.0, 1.0], most=1)[:2] == free[:2]
    with pytest.raises(ValueError, match=r"values had the mean 1.5; it must lie in \[0, 1\]"):
        by_seed([1.0, 2.0], least=0, most=1)


def test_an_estimate_is_three_numbers_and_knows_how_many_units_it_has():
    made = {
        by_seed([1.0, 2.0, 3.0]): 3,
        counts(3, 40): 40,
        slope([0, 1], [[0, 1], [0, 2]]): 2,
        exact(7, n=9): 9,
        interval(1.0, 0.5, 2.0, n=4): 4,
    }
    for estimate, n in made.items():
        value, low, high = estimate
        assert estimate.n == n
        assert (estimate.value, estimate.low, estimate.high) == (value, low, high)
    assert exact(7) == (7, 7, 7)
    with pytest.raises(ValueError, match=r"value was 3 and its interval \(0, 1\); it must lie inside of it"):
        interval(3, 0, 1)
