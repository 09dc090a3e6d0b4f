"""A signal is solved the same alone, in any batch, with a matrix of its own and on any number of threads."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsl_utils.recovery import Recovery
from gsl_utils.sparse import basis_pursuit, cosamp, iht, lasso, omp
from toys import threads

D = torch.float64
SOLVERS = {
    "lasso": lambda A, y, k: lasso(A, y, 0.02),
    "lasso-nonnegative": lambda A, y, k: lasso(A, y, 0.02, nonnegative=True),
    "basis_pursuit": lambda A, y, k: basis_pursuit(A, y),
    "omp": omp,
    "cosamp": cosamp,
    "iht": iht,
}


def problem(m, n, k, count, seed, decibels):
    """Gaussian matrices, k-sparse signals, and measurements with noise so many decibels below them."""
    source = torch.Generator().manual_seed(seed)
    A = torch.randn(m, n, generator=source, dtype=D) / m**0.5
    x = torch.zeros(count, n, dtype=D)
    for signal in x:
        place = torch.randperm(n, generator=source)[:k]
        signal[place] = torch.randn(k, generator=source, dtype=D)
    y, noise = x @ A.T, torch.randn(count, m, generator=source, dtype=D)
    level = y.norm(dim=-1, keepdim=True) / noise.norm(dim=-1, keepdim=True) * 10 ** (-decibels / 20)
    return A, y + level * noise


def one(found, i):
    """The i-th signal's part of a recovery."""
    return Recovery(found.x[i], found.z[i], found.objective[i], found.n_iter[i], found.converged[i])


def same(found, expected):
    error = (found.x - expected.x).norm(dim=-1)
    assert bool((error <= 1e-9 * expected.x.norm(dim=-1)).all()), error
    assert torch.equal(found.converged, expected.converged)


@pytest.mark.parametrize("name", SOLVERS)
@settings(max_examples=8)
@given(
    st.integers(0, 10**6),
    st.sampled_from([(20, 50, 3), (20, 50, 8), (30, 40, 5), (25, 100, 4), (40, 30, 6)]),
    st.sampled_from([10.0, 25.0, 60.0, float("inf")]),
    st.permutations(range(6)),
)
def test_company_changes_nothing(name, seed, shape, decibels, order):
    m, n, k = shape
    A, y = problem(m, n, k, 6, seed, decibels)
    solve = SOLVERS[name]
    together = solve(A, y, k)
    with threads(2):
        same(solve(A, y, k), together)
    shuffled, own = solve(A, y[order], k), solve(A.expand(6, m, n).contiguous(), y, k)
    same(own, together)
    alone = [solve(A, signal, k) for signal in y]
    for place, i in enumerate(order):
        for company, j in ((together, i), (shuffled, place), (own, i)):
            same(one(company, j), alone[i])


@pytest.mark.parametrize("m", [50, 100])
@pytest.mark.parametrize("seed", range(4))
def test_iht_in_noise_gives_a_signal_alone_what_it_gives_it_among_ten(m, seed):
    # The support holds still here while the gradient on it fades into rounding, whose quotient is no step.
    A, y = problem(m, 256, 10, 10, seed, 25.0)
    together = iht(A, y, 10)
    for i in range(10):
        alone = iht(A, y[i], 10)
        assert float((alone.x - together.x[i]).norm()) <= 1e-9 * float(alone.x.norm())
        assert alone.converged == together.converged[i]


@pytest.mark.parametrize("seed", [2, 6, 7, 10, 11])
def test_cosamp_ends_wherever_it_explains_y(seed):
    # Fitted on three times k columns, more than there are rows, x leaves some roundings more than it need
    # leave. Columns chosen from them would lead away again, and whether x is met in time would be chance.
    A, y = problem(30, 60, 12, 30, seed, float("inf"))
    found = cosamp(A, y, 12)
    explained = found.objective <= 1e-20 * y.square().sum(-1)
    assert int(explained.sum()) > 10
    assert bool(found.converged[explained].all())
