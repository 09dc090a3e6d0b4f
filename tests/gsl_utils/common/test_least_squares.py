"""Products and least squares for a batch, against one signal at a time."""

import pytest
import torch

from gsl_utils.common import least_squares, linear

D = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def masks(n, *supports):
    found = torch.zeros(len(supports), n, dtype=torch.bool)
    for row, support in zip(found, supports, strict=True):
        row[list(support)] = True
    return found


@pytest.mark.parametrize("shape", [(3, 5), (4, 3, 5)])
def test_products_are_those_of_each_signal(shape):
    A, x, r = normal(*shape), normal(4, 5, seed=1), normal(4, 3, seed=2)
    each = A.expand(4, 3, 5)
    torch.testing.assert_close(linear.forward(A, x), torch.stack([each[i] @ x[i] for i in range(4)]))
    torch.testing.assert_close(linear.adjoint(A, r), torch.stack([each[i].T @ r[i] for i in range(4)]))


def test_flattening_keeps_one_matrix_one():
    batch = torch.Size((2, 3))
    A, y = linear.flatten(normal(1, 1, 4, 5), normal(3, 4), batch)
    assert A.shape == (4, 5)
    assert y.shape == (6, 4)
    A, y = linear.flatten(normal(2, 1, 4, 5), normal(3, 4), batch)
    assert A.shape == (6, 4, 5)
    assert torch.equal(A[0], A[2])
    assert torch.equal(y[0], y[3])


def test_supports_of_different_sizes_are_padded():
    indices, real = least_squares.support_indices(masks(6, (1, 4, 5), (), (0,)))
    assert real.tolist() == [[True, True, True], [False, False, False], [True, False, False]]
    assert indices[0].tolist() == [1, 4, 5]
    assert int(indices[2, 0]) == 0
    A = normal(3, 6)
    columns = linear.gather_columns(A, indices, real)
    assert torch.equal(columns[0], A[:, [1, 4, 5]].T)
    assert float(columns[1].abs().max()) == 0
    assert least_squares.support_indices(masks(6, (), ()))[0].shape == (2, 0)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("shared", [True, False])
def test_least_squares_on_each_support_in_any_unit(unit, shared):
    A, y = normal(8, 12), normal(4, 8, seed=1)
    # Columns 10 and 11 repeat 0 and 1: one support has them twice beside supports that are shorter than it.
    A[:, 10:] = A[:, :2]
    supports = (0, 1, 2, 10, 11), (3, 4), (), (0, 5, 10)
    given = A if shared else A.expand(4, 8, 12)
    found = least_squares.on_support(unit * given, y, masks(12, *supports)) * unit
    for i, support in enumerate(supports):
        expected = torch.zeros(12, dtype=D)
        if support:
            expected[list(support)] = torch.linalg.pinv(A[:, list(support)]) @ y[i]
        torch.testing.assert_close(found[i], expected, rtol=1e-7, atol=1e-9)


def test_more_columns_than_rows_are_solved_with_least_norm():
    A, y = normal(3, 7), normal(2, 3, seed=1)
    found = least_squares.on_support(A, y, torch.ones(2, 7, dtype=torch.bool))
    torch.testing.assert_close(found, y @ torch.linalg.pinv(A).T)


def test_a_batch_too_large_for_memory_is_solved_in_pieces(monkeypatch):
    A, y = normal(8, 12), normal(9, 8, seed=1)
    support = normal(9, 12, seed=2) > 0.3
    whole = least_squares.on_support(A, y, support)
    monkeypatch.setattr(least_squares, "ENTRIES", 200)
    pieces = least_squares.pieces(support, 8)
    assert len(pieces) > 3
    assert torch.equal(torch.cat(pieces), torch.arange(9))
    torch.testing.assert_close(least_squares.on_support(A, y, support), whole)


def test_dependent_columns_are_noticed():
    A = normal(5, 6)
    A[:, 5] = A[:, 0] + 1e-9 * A[:, 1]
    indices, real = least_squares.support_indices(masks(6, (0, 1, 2), (0, 4, 5)))
    normal_equations = least_squares.NormalEquations(linear.gather_columns(A, indices, real), real)
    assert normal_equations.dependent.tolist() == [False, True]
