"""The rows that the proof forces: each step by exact whole numbers."""

import math

import pytest

from gsl_utils.lower_bound import forced_rows


def exact(n, factor):
    """The same steps with Python's whole numbers as far as they go."""
    base, chunks = 48 * (factor + 1), int(math.log2(n))
    sizes = []
    for k in range(1, n + 1):
        if n % k == 0:
            length = n // k
            near = sum(
                math.comb(length, h) for h in range(length + 1) if 3 * h < length or 3 * h > 2 * length
            )
            words = math.log2(2**length) - math.log2(near)
            if 2**length >= k * near:
                sizes.append(math.ceil(k / 2) * words)
    bits = 0
    while 2**bits * (base - 1) < n**4 * base ** (chunks + 1):
        bits += 1
    weights = sum(base**j for j in range(1, chunks + 1))
    entry = math.log2(2 * weights * (2**bits * math.sqrt(n) + n))
    worth = 1 + math.log2(2 / 3) * 2 / 3 + math.log2(1 / 3) / 3
    return chunks * max(sizes) * worth / entry


@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize("n", [64, 96, 100, 127, 360, 999])
def test_it_is_the_computation_with_whole_numbers(n, factor):
    assert forced_rows(n, factor=float(factor)) == pytest.approx(exact(n, factor), rel=1e-9)


def test_it_grows_with_n_and_falls_with_the_factor():
    assert forced_rows(10**6) > 9 * forced_rows(10**5) > 0
    assert forced_rows(5000, factor=3.0) < forced_rows(5000)


@pytest.mark.parametrize(
    ("n", "factor", "error", "message"),
    [
        (1, 1.0, ValueError, "n is 1; it must be at least 2"),
        (8, 0.5, ValueError, "factor is 0.5; it must be at least 1"),
        (8.0, 1.0, TypeError, "n is 8.0; it must be an integer"),
    ],
)
def test_bad_sizes_are_refused(n, factor, error, message):
    with pytest.raises(error, match=message):
        forced_rows(n, factor=factor)
