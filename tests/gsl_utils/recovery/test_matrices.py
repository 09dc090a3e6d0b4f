"""Measurements of many problems at once against one at a time, for signals with unequal numbers of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.recovery.problem import OneForAll, OnePerSignal


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def owners(counts):
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


counts = st.lists(st.integers(0, 3), min_size=1, max_size=6).filter(any)


@given(counts, st.sampled_from([(), (2,)]))
def test_every_problem_is_measured_by_its_signals_matrix(counts, between):
    A, owner = normal(len(counts), 3, 5), owners(counts)
    matrices = OnePerSignal(A, owner)
    x, r = normal(len(owner), *between, 5, seed=1), normal(len(owner), *between, 3, seed=2)
    torch.testing.assert_close(matrices.forward(x), torch.einsum("pmn,p...n->p...m", A[owner], x))
    torch.testing.assert_close(matrices.adjoint(r), torch.einsum("pmn,p...m->p...n", A[owner], r))


@given(counts, st.randoms(use_true_random=False))
def test_chosen_problems_keep_their_matrices(counts, random):
    """Also when chosen twice, and when most signals have gone."""
    A, owner = normal(len(counts), 3, 5), owners(counts)
    matrices, left = OnePerSignal(A, owner), torch.arange(len(owner))
    for _ in range(2):
        chosen = torch.tensor(sorted(random.sample(range(len(left)), random.randint(1, len(left)))))
        matrices, left = matrices.select(chosen), left[chosen]
    x = normal(len(left), 5, seed=1)
    torch.testing.assert_close(matrices.forward(x), torch.einsum("pmn,pn->pm", A[owner[left]], x))


def test_matrices_of_absent_signals_are_let_go():
    matrices = OnePerSignal(normal(8, 3, 5), owners([2] * 8))
    assert len(matrices.select(torch.arange(12)).A) == 8
    assert len(matrices.select(torch.tensor([1, 6, 7])).A) == 2


@pytest.mark.parametrize("between", [(), (2,)])
def test_one_matrix_serves_all(between):
    A = normal(3, 5)
    matrices = OneForAll(A).select(torch.tensor([0, 1]))
    x, r = normal(2, *between, 5, seed=1), normal(2, *between, 3, seed=2)
    torch.testing.assert_close(matrices.forward(x), torch.einsum("mn,...n->...m", A, x))
    torch.testing.assert_close(matrices.adjoint(r), torch.einsum("mn,...m->...n", A, r))
