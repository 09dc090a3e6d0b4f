"""LASSO against scikit-learn, its optimality conditions and closed forms."""

import importlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from gsl_utils.sparse import lasso, soft_threshold
from gsl_utils.sparse.iterations import Splitting, spectral_rows

D = torch.float64
# The package gives the function of that name.
MODULE = importlib.import_module("gsl_utils.sparse.lasso")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def design(kind, m, n, seed=0):
    """Matrices from benign to nasty."""
    A = normal(m, n, seed=seed)
    if kind == "correlated":
        for j in range(1, n):
            A[:, j] = 0.9 * A[:, j - 1] + (1 - 0.81) ** 0.5 * A[:, j]
    if kind == "common mean":
        A = A + 3 * normal(m, 1, seed=seed + 1)
    if kind == "graded":
        A = A * torch.logspace(-2, 2, n, dtype=D)
    return A / m**0.5


def violation(A, y, x, lam, nonnegative=False):
    """How far x is from the optimality conditions, as a share of lam, computed from nothing but them."""
    correlation = (y - x @ A.T) @ A
    signed = correlation if nonnegative else correlation * x.sign()
    on = (signed - lam).abs()
    off = (correlation if nonnegative else correlation.abs()) - lam
    return float((torch.where(x != 0, on, off.clamp(min=0)) / lam).max())


@pytest.mark.parametrize("kind", ["plain", "correlated", "common mean", "graded"])
@pytest.mark.parametrize(("m", "n"), [(30, 80), (80, 30)])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_against_scikit_learn(kind, m, n, nonnegative):
    A = design(kind, m, n)
    y = normal(4, n, seed=2) * (torch.arange(n) % 9 == 0) @ A.T + 0.05 * normal(4, m, seed=3)
    lam = 0.05 * (y @ A).abs().amax(-1)
    found = lasso(A, y, lam, nonnegative=nonnegative)
    assert bool(found.converged.all())
    for i in range(4):
        reference = Lasso(
            alpha=float(lam[i]) / m, fit_intercept=False, positive=nonnegative, tol=1e-13, max_iter=200_000
        )
        reference.fit(A.numpy(), y[i].numpy())
        np.testing.assert_allclose(
            found.x[i].numpy(), reference.coef_, atol=1e-6 * float(found.x[i].abs().max())
        )
    assert violation(A, y, found.x, lam.unsqueeze(-1), nonnegative) < 1e-6
    if nonnegative:
        assert float(found.x.min()) >= 0


def test_objective_and_gap_are_what_they_say():
    A, y = design("plain", 20, 50), normal(6, 20, seed=1)
    best = lasso(A, y, 0.1, tol=1e-12)
    for steps in (1, 5, 20, 2000):
        found = lasso(A, y, 0.1, max_iter=steps)
        by_hand = 0.5 * (y - found.x @ A.T).square().sum(-1) + 0.1 * found.x.abs().sum(-1)
        torch.testing.assert_close(found.objective, by_hand, rtol=1e-12, atol=0)
        # The gap bounds the distance from the optimum, which the other run knows better.
        assert bool((found.objective - best.objective <= found.gap + 1e-12).all())
        assert bool((found.objective >= best.objective - best.gap - 1e-12).all())
        assert torch.equal(found.converged, found.gap <= 1e-6 * found.objective)
        assert int(found.n_iter.max()) <= steps
    assert bool(found.converged.all())
    assert not bool(lasso(A, y, 0.01, max_iter=2).converged.any())


def test_a_worse_point_never_replaces_a_better_one():
    A, y = design("plain", 20, 50), normal(6, 20, seed=1)
    solver = MODULE._Solver(A, y, torch.full((6,), 0.1, dtype=D), False, 1e-6, 10)
    everyone, good = torch.arange(6), lasso(A, y, 0.1).x
    solver._keep(everyone, good)
    solver._keep(everyone, good + 1)
    assert torch.equal(solver.x, good)


def test_the_gap_has_no_slack_where_the_dual_is_known():
    # With A the identity and |y| > lam the dual point is the residual itself: the gap at the solution is 0.
    y = normal(3, 10)
    x = soft_threshold(y, 0.3)
    residual = y - x
    lam = torch.full((3,), 0.3, dtype=D)
    gap = MODULE._gap(y, residual, residual, x, lam, nonnegative=False)
    assert float(gap.abs().max()) < 1e-15
    off = x + 0.1
    worse = 0.5 * (y - off).square().sum(-1) + 0.3 * off.abs().sum(-1)
    best = 0.5 * residual.square().sum(-1) + 0.3 * x.abs().sum(-1)
    assert bool((MODULE._gap(y, y - off, y - off, off, lam, nonnegative=False) >= worse - best).all())


@given(st.integers(1, 8), st.floats(0.01, 2.0), st.integers(0, 10**6))
def test_an_orthogonal_matrix_gives_soft_thresholding(n, lam, seed):
    Q = torch.linalg.qr(normal(n, n, seed=seed)).Q
    y = normal(2, n, seed=seed + 1)
    torch.testing.assert_close(lasso(Q, y, lam).x, soft_threshold(y @ Q, lam), rtol=1e-6, atol=1e-6)


@given(st.floats(1.0, 10.0), st.integers(0, 10**6))
def test_above_its_maximum_lam_gives_zero_at_once(factor, seed):
    A, y = normal(8, 15, seed=seed), normal(3, 8, seed=seed + 1)
    found = lasso(A, y, factor * (1 + 1e-12) * (y @ A).abs().amax(-1))
    assert float(found.x.abs().max()) == 0
    assert found.n_iter.tolist() == [0, 0, 0]
    assert bool(found.converged.all())
    torch.testing.assert_close(found.objective, 0.5 * y.square().sum(-1))


def test_just_below_its_maximum_one_entry_appears():
    A, y = normal(8, 15), normal(3, 8, seed=1)
    found = lasso(A, y, 0.98 * (y @ A).abs().amax(-1))
    assert (found.x != 0).sum(-1).tolist() == [1, 1, 1]
    assert torch.equal((found.x != 0).float().argmax(-1), (y @ A).abs().argmax(-1))


def test_lam_per_signal_is_each_signal_s_own():
    A, y = design("plain", 20, 50), normal(1, 20, seed=1)
    lam = torch.logspace(-3, 0, 5, dtype=D)
    together = lasso(A, y.expand(5, 20), lam)
    for i in range(5):
        torch.testing.assert_close(together.x[i], lasso(A, y[0], float(lam[i])).x, rtol=1e-8, atol=1e-10)
    grid = lasso(A, y[:, None].expand(1, 5, 20), lam)
    torch.testing.assert_close(grid.x[0], together.x)


def test_nonnegative_stays_at_zero_where_only_a_negative_entry_helps():
    A = torch.eye(3, dtype=D)
    found = lasso(A, torch.tensor([2.0, -5.0, 0.1], dtype=D), 0.5, nonnegative=True)
    assert found.x.tolist() == pytest.approx([1.5, 0.0, 0.0])
    everything_negative = lasso(A, -torch.ones(3, dtype=D), 0.5, nonnegative=True)
    assert float(everything_negative.x.abs().max()) == 0
    assert bool(everything_negative.converged)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_the_interior_point_takes_over_where_the_splitting_is_slow(nonnegative):
    # Moments of a distribution: so nearly dependent that the splitting would need many thousand iterations.
    points = torch.linspace(0.5, 1, 60, dtype=D)
    A = points ** torch.arange(15, dtype=D)[:, None]
    y = normal(8, 15)
    lam = 1e-3 * (y @ A).abs().amax(-1)
    first = MODULE._FIRST + 15
    assert not bool(lasso(A, y, lam, nonnegative=nonnegative, max_iter=first).converged.all())
    found = lasso(A, y, lam, nonnegative=nonnegative)
    assert bool(found.converged.all())
    assert first < int(found.n_iter.max()) < first + 100
    # What it leaves off the support is set to zero: no more entries than rows.
    assert int((found.x != 0).sum(-1).max()) <= 15
    tall = lasso(A.T, normal(8, 60), 1e-4, nonnegative=nonnegative)
    assert bool(tall.converged.all())


def test_float32_is_finished_in_float64():
    A, y = design("plain", 50, 120), normal(5, 50, seed=1)
    lam = 0.02 * (y @ A).abs().amax(-1)
    A, y, lam = A.float(), y.float(), lam.float()
    single, double = lasso(A, y, lam), lasso(A.double(), y.double(), lam.double())
    assert bool(single.converged.all())
    assert single.gap.dtype == torch.float32
    torch.testing.assert_close(single.x.double(), double.x, rtol=1e-6, atol=1e-6)


def test_easy_signals_leave_while_hard_ones_stay():
    A = design("correlated", 30, 80)
    y = normal(2, 80, seed=2) @ A.T
    lam = torch.tensor([0.5, 1e-4], dtype=D) * (y @ A).abs().amax(-1)
    found = lasso(A, y, lam)
    assert bool(found.converged.all())
    assert found.n_iter[0] < found.n_iter[1]


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (30, 30)])
@pytest.mark.parametrize("per_signal", [False, True])
def test_spectral_rows_are_the_same_least_squares(shape, per_signal):
    A, y = normal(*((4,) if per_signal else ()), *shape), normal(4, shape[0], seed=1)
    B, b, energy = spectral_rows(A, y)
    assert B.shape[-2] == min(shape)
    torch.testing.assert_close(B @ B.mT, torch.diag_embed(energy), rtol=0, atol=1e-12 * float(energy.max()))
    torch.testing.assert_close(B.mT @ B, A.mT @ A)
    torch.testing.assert_close((B.mT @ b.unsqueeze(-1)).squeeze(-1), (A.mT @ y.unsqueeze(-1)).squeeze(-1))


def test_spectral_rows_of_dependent_columns():
    A = normal(30, 3) @ normal(3, 10, seed=1)
    y = normal(2, 30, seed=2)
    B, b, _ = spectral_rows(A, y)
    assert bool(torch.isfinite(b).all())
    torch.testing.assert_close(b @ B, y @ A)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("threshold", [0.05, 0.5])
def test_the_splitting_ends_in_the_solution_whatever_its_threshold(nonnegative, threshold):
    A, y = design("correlated", 20, 50), normal(4, 20, seed=1)
    lam = torch.tensor([0.05, 0.1, 0.2, 0.4], dtype=D).unsqueeze(-1)
    B, b, energy = spectral_rows(A, y)
    t = torch.full_like(lam, threshold)
    path = Splitting(B, b, 1 / (energy + lam / t), t, nonnegative=nonnegative)
    for _ in range(3000):
        path.step()
    expected = lasso(A, y, lam.squeeze(-1), nonnegative=nonnegative, tol=1e-12).x
    torch.testing.assert_close(path.z.double(), expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    path.select(torch.tensor([2, 0]))
    path.step()
    torch.testing.assert_close(
        path.z.double(), expected[[2, 0]], rtol=0, atol=1e-4 * float(expected.abs().max())
    )


@pytest.mark.parametrize("kind", ["plain", "correlated", "common mean"])
def test_a_hundred_steps_of_splitting_are_enough_for_sparse_signals(kind):
    A = design(kind, 100, 300)
    y = normal(10, 300, seed=2) * (torch.arange(300) % 30 == 0) @ A.T + 0.02 * normal(10, 100, seed=3)
    found = lasso(A, y, 0.02 * (y @ A).abs().amax(-1))
    assert bool(found.converged.all())
    assert int(found.n_iter.max()) <= 100
    assert bool((found.gap <= 1e-9 * found.objective).all())
