"""The weight distribution condition: a pair by hand, the search beside a fine grid, good and bad weights."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.landscape import wdc_constant, wdc_deviation


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=torch.float64)


def by_hand(W, x, y):
    """The sum of outer products less Q, whose exchange is written in an orthonormal basis of the plane."""
    x, y = x / x.norm(), y / y.norm()
    theta = torch.acos((x @ y).clamp(-1, 1))
    other = y - theta.cos() * x
    other = other / other.norm()
    exchange = theta.cos() * (torch.outer(x, x) - torch.outer(other, other))
    exchange = exchange + theta.sin() * (torch.outer(x, other) + torch.outer(other, x))
    torch.testing.assert_close(exchange @ x, y)
    gap = -(math.pi - theta) / (2 * math.pi) * torch.eye(len(x), dtype=x.dtype)
    gap = gap - theta.sin() / (2 * math.pi) * exchange
    for w in W:
        if w @ x > 0 and w @ y > 0:
            gap = gap + torch.outer(w, w)
    return torch.linalg.matrix_norm(gap, 2)


@given(st.integers(0, 99), st.integers(2, 6), st.integers(1, 30))
def test_a_pair_is_that_by_hand(seed, k, n):
    W, x, y = normal(n, k, seed=seed) / n**0.5, normal(3, k, seed=seed + 1), normal(3, k, seed=seed + 2)
    found = wdc_deviation(W, x, 7 * y)
    for i in range(3):
        torch.testing.assert_close(found[i], by_hand(W, x[i], y[i]), rtol=1e-12, atol=1e-14)
    assert torch.equal(wdc_deviation(W, y, x), wdc_deviation(W, y, 2 * x))
    torch.testing.assert_close(wdc_deviation(W, y, x), wdc_deviation(W, x, y), rtol=1e-12, atol=1e-14)


def test_equal_and_opposite_vectors():
    W, x = normal(30, 4, seed=1), normal(4, seed=2)
    active = W[W @ x > 0]
    half = torch.linalg.matrix_norm(active.T @ active - torch.eye(4, dtype=torch.float64) / 2, 2)
    torch.testing.assert_close(wdc_deviation(W, x, x), half)
    assert wdc_deviation(W, x, -x) < 1e-15


def test_rows_in_all_directions_have_the_expectation():
    """Rows that are spread evenly over the circle are what Q is the mean of, in two dimensions."""
    angle = torch.linspace(0, 2 * math.pi, 20_001, dtype=torch.float64)[:-1]
    W = torch.stack([angle.cos(), angle.sin()], -1) * (2 / len(angle)) ** 0.5
    assert float(wdc_constant(W, pairs=8, steps=30, generator=source())) < 1e-3


def test_the_search_beside_a_fine_grid_in_two_dimensions():
    W = normal(30, 2, seed=3) / 30**0.5
    # A row switches where a vector is orthogonal to it: both sides of every such direction are tried.
    border = torch.atan2(W[:, 0], -W[:, 1])
    angle = torch.cat([border + s for s in (-1e-7, 1e-7, math.pi - 1e-7, math.pi + 1e-7)])
    vectors = torch.stack([angle.cos(), angle.sin()], -1)
    pairs = torch.cartesian_prod(torch.arange(len(vectors)), torch.arange(len(vectors)))
    pairs = pairs[pairs[:, 0] <= pairs[:, 1]][::2]
    grid = float(wdc_deviation(W, vectors[pairs[:, 0]], vectors[pairs[:, 1]]).amax())
    found = float(wdc_constant(W, generator=source()))
    assert 0.99 * grid < found < 1.02 * grid
    assert float(wdc_constant(W, steps=0, generator=source())) < 0.9 * found


def test_wide_gaussian_layers_meet_it_and_others_do_not():
    found = {}
    for n in (100, 1000, 10_000):
        found[n] = float(wdc_constant(normal(n, 4, seed=4) / n**0.5, pairs=16, steps=60, generator=source()))
    assert found[100] > 2 * found[1000] > 4 * found[10_000]
    assert found[10_000] < 0.06
    one_sided = normal(10_000, 4, seed=5).abs() / 10_000**0.5
    assert float(wdc_constant(one_sided, pairs=16, steps=60, generator=source())) > 1
    # All rows alike: two nearly opposite vectors see all of their energy, and expect none of it.
    W = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(50, 2) * (2 / 50) ** 0.5
    assert 1.95 < float(wdc_constant(W, generator=source())) < 2


def test_the_source_of_randomness_is_the_given_one():
    W = normal(20, 3, seed=6)
    state = torch.get_rng_state()
    first, same = (wdc_constant(W, pairs=4, steps=5, generator=source(1)) for _ in range(2))
    assert torch.equal(first, same)
    assert torch.equal(torch.get_rng_state(), state)
    assert wdc_constant(W.float(), pairs=4, steps=5, generator=source(1)).dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda W: wdc_deviation(W, W[0], W), ValueError, "x has shape .* and y"),
        (lambda W: wdc_deviation(W, W[0, :2], W[0, :2]), ValueError, "last dimension of x must be 3"),
        (lambda W: wdc_deviation(W, 0 * W[0], W[0]), ValueError, "x has a row of zeros"),
        (lambda W: wdc_deviation(W, W[0], 0 * W[0]), ValueError, "y has a row of zeros"),
        (lambda W: wdc_deviation(W.float(), W[0], W[0]), TypeError, "W has dtype torch.float32 and x"),
        (lambda W: wdc_constant(W[None]), ValueError, r"W has shape \(1, 5, 3\); it must be a single matrix"),
        (lambda W: wdc_constant(W, pairs=0), ValueError, "pairs is 0; it must be at least 1"),
        (lambda W: wdc_constant(W, steps=-1), ValueError, "steps is -1; it must be at least 0"),
        (lambda W: wdc_constant(W, generator=0), TypeError, "generator is a int"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(normal(5, 3))
