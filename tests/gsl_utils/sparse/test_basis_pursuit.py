"""Basis pursuit against linear programming: its certificate, and all that makes a program degenerate."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard
from scipy.optimize import linprog

from gsl_utils.sparse import basis_pursuit

D = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def signals(n, k, count, values="normal", seed=0):
    """Signals with k non-zero entries: normal, of modulus 1, or spread over eight decades."""
    x = torch.zeros(count, n, dtype=D)
    for i in range(count):
        place = torch.randperm(n, generator=torch.Generator().manual_seed(seed + i))[:k]
        drawn = normal(k, seed=seed + 100 + i)
        decades = -8 * torch.rand(k, generator=torch.Generator().manual_seed(seed + 200 + i), dtype=D)
        x[i, place] = {"normal": drawn, "signs": drawn.sign(), "decades": drawn.sign() * 10**decades}[values]
    return x


def program(A, y):
    """The linear program of basis pursuit, by HiGHS."""
    n = A.shape[1]
    solved = linprog(
        np.ones(2 * n),
        A_eq=np.hstack([A.numpy(), -A.numpy()]),
        b_eq=y.numpy(),
        bounds=(0, None),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert solved.status == 0
    return solved.x[:n] - solved.x[n:], solved.fun


def prove(A, y, found, tolerance=1e-9):
    """All that the certificate claims, checked from outside: feasible, and as good as the optimum."""
    assert bool(found.converged.all())
    assert bool((found.gap <= 1e-10 * found.objective).all())
    torch.testing.assert_close(found.objective, found.x.abs().sum(-1))
    assert bool(((found.x @ A.T - y).norm(dim=-1) <= 1e-11 * y.norm(dim=-1)).all())
    for i in range(len(y)):
        assert float(found.objective[i]) == pytest.approx(program(A, y[i])[1], rel=tolerance)


@pytest.mark.parametrize("k", [2, 6, 9, 14, 30])
@pytest.mark.parametrize("values", ["normal", "signs"])
def test_against_linear_programming_on_both_sides_of_the_transition(k, values):
    A = normal(20, 40)
    y = signals(40, k, 6, values) @ A.T
    found = basis_pursuit(A, y)
    prove(A, y, found)
    for i in range(6):
        solution, _ = program(A, y[i])
        np.testing.assert_allclose(found.x[i].numpy(), solution, atol=1e-7)


def test_easy_signals_are_recovered_to_rounding():
    A, x = normal(100, 200) / 10, signals(200, 15, 25)
    found = basis_pursuit(A, x @ A.T)
    torch.testing.assert_close(found.x, x, rtol=0, atol=1e-12)
    assert torch.equal(found.x != 0, x != 0)
    assert int(found.n_iter.median()) <= 200


def test_an_entry_too_small_to_see_is_found_by_what_the_others_leave():
    A = normal(50, 100) / 50**0.5
    x = signals(100, 6, 10, "signs")
    for i in range(10):
        x[i, (x[i] == 0).float().argmax()] = 1e-5
    found = basis_pursuit(A, x @ A.T)
    torch.testing.assert_close(found.x, x, rtol=0, atol=1e-12)
    assert int(found.n_iter.median()) <= 60


def test_beyond_the_transition_the_solution_is_a_vertex():
    A, x = normal(100, 200) / 10, signals(200, 80, 25)
    found = basis_pursuit(A, x @ A.T)
    assert bool(found.converged.all())
    assert bool((found.gap <= 1e-12 * found.objective).all())
    assert bool((found.objective < x.abs().sum(-1)).all())
    # The interior point needs a dozen or two of iterations whatever the size.
    assert int(found.n_iter.max()) <= 230
    assert set((found.x != 0).sum(-1).tolist()) == {100}


def test_eight_decades_in_one_signal():
    A = normal(20, 50)
    x = signals(50, 4, 20, "decades")
    found = basis_pursuit(A, x @ A.T)
    assert bool((found.gap <= 1e-12 * found.objective).all())
    recovered = (found.x - x).abs().amax(-1) < 1e-13
    assert recovered.float().mean() > 0.8


@pytest.mark.parametrize(
    "name",
    [
        "repeated columns",
        "opposite columns",
        "zero columns",
        "signs",
        "zeros and ones",
        "cosines",
        "two bases",
    ],
)
def test_degenerate_programs(name):
    A = normal(12, 30)
    A = {
        "repeated columns": torch.cat([A, A[:, :12]], dim=1),
        "opposite columns": torch.cat([A, -A], dim=1),
        "zero columns": A * (torch.arange(30) > 4),
        "signs": A.sign(),
        "zeros and ones": (A > 0.7).to(D),
        "cosines": torch.cos(torch.pi * (torch.arange(32) + 0.5) * torch.arange(0, 32, 3)[:, None] / 32).to(
            D
        ),
        "two bases": torch.cat([torch.eye(16, dtype=D), torch.from_numpy(hadamard(16) / 4.0)], dim=1),
    }[name]
    for k, values in itertools.product((2, 7), ("normal", "signs")):
        y = signals(A.shape[1], k, 4, values) @ A.T
        prove(A, y, basis_pursuit(A, y))


def test_dependent_rows():
    A = normal(5, 30)
    doubled = torch.cat([A, 2 * A, A[:2] - A[2:4]])
    y = signals(30, 4, 6) @ A.T
    torch.testing.assert_close(
        basis_pursuit(doubled, torch.cat([y, 2 * y, y[:, :2] - y[:, 2:4]], dim=-1)).x, basis_pursuit(A, y).x
    )


def test_without_a_solution_it_says_so():
    A = normal(20, 8)
    y = torch.stack([A @ normal(8, seed=1), normal(20, seed=2), torch.zeros(20, dtype=D)])
    found = basis_pursuit(A, y)
    assert found.converged.tolist() == [True, False, True]
    assert found.gap.isinf().tolist() == [False, True, False]
    # What is returned there solves least squares.
    least = torch.linalg.lstsq(A, y[1]).solution
    torch.testing.assert_close(found.x[1], least)
    assert not bool(basis_pursuit(torch.zeros(3, 4, dtype=D), torch.ones(3, dtype=D)).converged)


def test_too_few_iterations_are_admitted():
    A = normal(40, 100)
    x = signals(100, 25, 5)
    for steps in (1, 30, 150, 202):
        found = basis_pursuit(A, x @ A.T, max_iter=steps)
        assert int(found.n_iter.max()) <= steps
        assert torch.equal(found.converged, found.gap <= 1e-6 * found.objective)
        assert not bool(found.converged.all())
        # What is there is feasible all the same, and the gap is true.
        torch.testing.assert_close(found.x @ A.T, x @ A.T)
        best = basis_pursuit(A, x @ A.T)
        assert bool((found.objective - best.objective <= found.gap + 1e-12).all())


def test_tol_decides_what_counts_as_converged():
    A = normal(40, 100)
    y = signals(100, 30, 5) @ A.T
    loose, strict = basis_pursuit(A, y, max_iter=206, tol=0.5), basis_pursuit(A, y, max_iter=206, tol=1e-12)
    assert torch.equal(loose.x, strict.x)
    assert bool(loose.converged.all())
    assert not bool(strict.converged.all())


def test_float32_is_solved_in_float64():
    A, x = (normal(100, 200) / 10).float(), signals(200, 15, 10).float()
    found = basis_pursuit(A, x @ A.T)
    assert found.x.dtype == found.gap.dtype == torch.float32
    assert bool(found.converged.all())
    torch.testing.assert_close(found.x, x, rtol=0, atol=2e-6)
    # Measurements rounded to float32 do not make small entries appear.
    assert torch.equal(found.x != 0, x != 0)


@given(st.integers(1, 8), st.integers(1, 14), st.integers(0, 10**6))
def test_any_small_program(m, n, seed):
    A = normal(m, n, seed=seed)
    y = normal(2, n, seed=seed + 1) @ A.T
    found = basis_pursuit(A, y)
    assert bool(found.converged.all())
    for i in range(2):
        assert float(found.objective[i]) == pytest.approx(program(A, y[i])[1], rel=1e-7)
