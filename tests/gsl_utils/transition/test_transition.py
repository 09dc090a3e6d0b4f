"""Recovery and its limits against linear programming, one size at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from gsl_utils.sparse import basis_pursuit
from gsl_utils.transition import fewest_measurements, l1_recovers, largest_sparsity
from gsl_utils.transition import l1 as module


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def nested(order: torch.Tensor, signs: torch.Tensor, k: int) -> torch.Tensor:
    kept = torch.zeros_like(signs).scatter_(-1, order[..., :k], 1.0)
    return signs.sign() * kept


def by_linear_programming(A: torch.Tensor, x: torch.Tensor) -> bool:
    matrix, n = A.numpy(), A.shape[-1]
    both = np.hstack([matrix, -matrix])
    found = linprog(np.ones(2 * n), A_eq=both, b_eq=matrix @ x.numpy(), bounds=(0, None)).x
    return bool(np.linalg.norm(found[:n] - found[n:] - x.numpy()) <= 1e-3 * np.linalg.norm(x.numpy()))


@pytest.mark.parametrize(("m", "sizes"), [(12, (1, 2, 4)), (30, (6, 10, 14)), (54, (30, 36, 44))])
def test_agrees_with_linear_programming_about_the_transition(m: int, sizes: tuple[int, ...]) -> None:
    A, order = draw(m, 4, m, 60), torch.argsort(draw(1, 4, 5, 60), dim=-1)
    seen = set()
    for k in sizes:
        x = nested(order, draw(2, 4, 5, 60), k)
        found = l1_recovers(A, x)
        for i in range(4):
            for j in range(5):
                assert bool(found[i, j]) == by_linear_programming(A[i], x[i, j])
        seen |= set(found.flatten().tolist())
    assert seen == {True, False}


@pytest.mark.parametrize(("m", "k"), [(10, 2), (30, 11), (54, 38)])
def test_agrees_with_basis_pursuit_on_many(m: int, k: int) -> None:
    A, x = draw(20, 2, m, 60), nested(torch.argsort(draw(21, 2, 150, 60), dim=-1), draw(22, 2, 150, 60), k)
    found = torch.stack([basis_pursuit(A[i], x[i] @ A[i].T).x for i in range(2)])
    torch.testing.assert_close(l1_recovers(A, x), (found - x).norm(dim=-1) <= 1e-3 * x.norm(dim=-1))


def test_what_splitting_leaves_open_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    A, x = draw(3, 3, 10, 40), nested(torch.argsort(draw(4, 3, 20, 40), dim=-1), draw(5, 3, 20, 40), 2)
    expected = l1_recovers(A, x)
    m, short = fewest_measurements(A, x), monkeypatch.setattr(module, "_STEPS", 1)
    assert short is None
    torch.testing.assert_close(l1_recovers(A, x), expected)
    torch.testing.assert_close(fewest_measurements(A, x), m)
    assert {True, False} == set(expected.flatten().tolist())


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(3, 18))
def test_bisection_finds_where_recovery_stops(seed: int, m: int) -> None:
    A, order, signs = draw(seed, m, 20), torch.argsort(draw(seed + 1, 6, 20), dim=-1), draw(seed + 2, 6, 20)
    largest = largest_sparsity(A, order, signs)
    recovered = torch.stack([l1_recovers(A, nested(order, signs, k)) for k in range(m + 1)])
    # All sizes up to the largest are recovered, none above: success is an unbroken run from 0.
    torch.testing.assert_close(recovered.sum(0) - 1, largest)
    assert bool((recovered.int().diff(dim=0) <= 0).all())


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_bisection_finds_the_first_row_that_is_enough(seed: int, k: int) -> None:
    A, x = (
        draw(seed, 2, 12, 20),
        nested(torch.argsort(draw(seed + 1, 2, 4, 20), dim=-1), draw(seed + 2, 2, 4, 20), k),
    )
    fewest = fewest_measurements(A, x)
    recovered = torch.stack([l1_recovers(A[:, :rows], x) for rows in range(1, 13)])
    torch.testing.assert_close(13 - recovered.sum(0), fewest)


def test_dense_signals_need_every_row() -> None:
    A, x = draw(0, 20, 20), draw(1, 3, 20)
    assert fewest_measurements(A, x).tolist() == [20, 20, 20]
    assert fewest_measurements(A[:15], x).tolist() == [16, 16, 16]


@pytest.mark.parametrize("m", [12, 54])
def test_repeated_rows_measure_nothing_new(m: int) -> None:
    A, order, signs = draw(7, 2, m // 3, 60), torch.argsort(draw(8, 2, 5, 60), dim=-1), draw(9, 2, 5, 60)
    expected = largest_sparsity(A, order, signs)
    torch.testing.assert_close(largest_sparsity(A.repeat_interleave(3, dim=1), order, signs), expected)
    assert int(expected.max()) > 0


def test_matrices_of_different_rank_go_together() -> None:
    A = draw(10, 2, 40, 60)
    A[1, 1:25] = A[1, 0]
    order, signs = torch.argsort(draw(11, 2, 5, 60), dim=-1), draw(12, 2, 5, 60)
    both = largest_sparsity(A, order, signs)
    for i in range(2):
        torch.testing.assert_close(largest_sparsity(A[i], order[i], signs[i]), both[i])


def test_magnitudes_do_not_matter() -> None:
    A, x = draw(13, 20, 40), nested(torch.argsort(draw(14, 30, 40), dim=-1), draw(15, 30, 40), 6)
    expected = l1_recovers(A, x)
    torch.testing.assert_close(l1_recovers(A, x * 1e6), expected)
    torch.testing.assert_close(l1_recovers(A, x * (0.5 + draw(16, 30, 40).abs())), expected)
    assert {True, False} == set(expected.tolist())


def test_zero_is_always_recovered() -> None:
    assert l1_recovers(draw(0, 2, 5), torch.zeros(1, 5, dtype=torch.float64)).tolist() == [True]


def test_bad_input() -> None:
    A, x = draw(0, 4, 6), torch.ones(2, 6, dtype=torch.float64)
    order = torch.arange(6).expand(2, 6)
    for function in (l1_recovers, fewest_measurements):
        with pytest.raises(TypeError, match=r"A has dtype torch\.float32"):
            function(A.float(), x)
        with pytest.raises(TypeError, match=r"x has dtype torch\.float32"):
            function(A, x.float())
        for shape in ((6,), (2, 5), (3, 2, 6)):
            with pytest.raises(ValueError, match=r"x has shape .* must have \(signals, 6\)"):
                function(A, torch.ones(shape, dtype=torch.float64))
    with pytest.raises(ValueError, match="x has a signal that is 0"):
        fewest_measurements(A, x * 0)
    with pytest.raises(ValueError, match="independent"):
        fewest_measurements(A.repeat_interleave(2, dim=0)[:5], x)
    with pytest.raises(ValueError, match="independent"):
        fewest_measurements(draw(0, 7, 6), x)
    with pytest.raises(TypeError, match=r"order is torch\.float64"):
        largest_sparsity(A, x, x)
    with pytest.raises(ValueError, match="order has shape"):
        largest_sparsity(A, order[:1], x)
    with pytest.raises(ValueError, match="not a permutation"):
        largest_sparsity(A, order * 0, x)
    with pytest.raises(ValueError, match="signs has an entry 0"):
        largest_sparsity(A, order, x * 0)
    with pytest.raises(ValueError, match="fewer rows than columns"):
        largest_sparsity(draw(0, 6, 6), order, x)


@pytest.mark.parametrize("unit", [2.0**-1000, 1e-140, 1e140, 2.0**1000])
def test_recovery_knows_no_unit(unit):
    source = torch.Generator().manual_seed(0)
    A = torch.randn(12, 24, generator=source, dtype=torch.float64)
    signs = torch.randn(6, 24, generator=source, dtype=torch.float64)
    order = torch.stack([torch.randperm(24, generator=source) for _ in range(6)])
    x = signs * (torch.rand(6, 24, generator=source) < 0.2)
    x[0] = 0
    expected = l1_recovers(A, x)
    assert expected.any()
    assert torch.equal(l1_recovers(unit * A, x), expected)
    assert torch.equal(l1_recovers(A, unit * x), expected)
    assert torch.equal(largest_sparsity(unit * A, order, unit * signs), largest_sparsity(A, order, signs))
    assert torch.equal(fewest_measurements(unit * A, unit * x[1:]), fewest_measurements(A, x[1:]))


def test_a_learned_matrix_is_a_constant(monkeypatch):
    decide = module._decide

    def watched(null, *arguments):
        # A graph of the splitting would grow with each of its steps.
        assert not null.basis.requires_grad
        return decide(null, *arguments)

    monkeypatch.setattr(module, "_decide", watched)
    A = torch.nn.Parameter(torch.eye(3, dtype=torch.float64)[:2])
    assert l1_recovers(A, torch.eye(3, dtype=torch.float64)).tolist() == [True, True, False]
    with pytest.raises(TypeError, match="A is a sparse_coo tensor; it must be dense"):
        l1_recovers(A.detach().to_sparse(), torch.eye(3, dtype=torch.float64))
