"""The greedy methods where columns are nearly dependent, and where entries are small beside others."""

import pytest
import torch

from gsl_utils.common import least_squares
from gsl_utils.sparse import basis_pursuit, cosamp, iht, lasso, omp

D, F = torch.float64, torch.float32
METHODS = pytest.mark.parametrize("method", [omp, cosamp, iht], ids=lambda method: method.__name__)
# What float32 and float64 can still tell apart.
APART = pytest.mark.parametrize(("dtype", "distance"), [(F, 1e-3), (D, 1e-7)])


def source(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=D)


def unit(columns):
    return columns / columns.norm(dim=-2, keepdim=True)


def near_pair(distance, seed=0):
    """Two unit columns so far apart, beside each other in 20 rows."""
    first, away = torch.linalg.qr(normal(20, 2, seed=seed)).Q.T
    return unit(torch.stack([first, first + distance * away], dim=1))


def left(A, y, found):
    """The share of y that is left, computed in float64 from x alone."""
    y = y.double()
    return (y - found.x.double() @ A.double().T).norm(dim=-1) / y.norm(dim=-1)


@METHODS
@APART
def test_two_near_columns_are_told_apart(method, dtype, distance):
    # y along the sum, along the difference, and in between: the coefficients of the second are large.
    A = near_pair(distance).to(dtype)
    exact = torch.tensor([[1.0, 1.0], [1 / distance, -1 / distance], [2.0, -1.0]], dtype=D)
    y = (exact @ A.double().T).to(dtype)
    found = method(A, y, 2)
    assert bool(found.converged.all())
    # y and x are rounded to their dtype, and x is large.
    size = (exact.abs().sum(-1) / y.double().norm(dim=-1)).clamp(min=1)
    assert bool((left(A, y, found) <= 8 * torch.finfo(dtype).eps * size).all())


@METHODS
def test_a_grid_of_delays_is_fitted(method):
    # Pulses at delays so near that neighbours have correlation .999994.
    time, delay = torch.arange(64, dtype=D)[:, None], 20 + 0.0139 * torch.arange(12, dtype=D)
    A = unit(torch.exp(-(((time - delay) / 4) ** 2)))
    assert float(A[:, 0] @ A[:, 1]) == pytest.approx(0.999994, abs=1e-6)
    A = A[:, [2, 3]].float()
    y = torch.tensor([[1.0, -1.0], [1.0, 2.0]]) @ A.T
    found = method(A, y, 2)
    assert bool(found.converged.all())
    assert float(left(A, y, found).max()) < 2e-4


@APART
def test_least_squares_keeps_the_digits_that_near_columns_leave(dtype, distance):
    # Beside an easy signal and one whose columns repeat, which are not to change it.
    A = torch.cat([near_pair(distance), unit(normal(20, 4, seed=1))], dim=1)
    A = torch.cat([A, A[:, 2:3]], dim=1).to(dtype)
    support = torch.tensor(
        [[1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 1]], dtype=torch.bool
    )
    exact = torch.tensor([[2.0, -1.0, 1, 0, 0, 0, 0], [0, 0, 3, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 1]], dtype=D)
    y = (exact @ A.double().T).to(dtype)
    found = least_squares.on_support(A, y, support).double()
    eps = torch.finfo(dtype).eps
    assert float((y.double() - found @ A.double().T).norm(dim=-1).max()) <= 8 * eps
    torch.testing.assert_close(found[1:], exact[1:], rtol=0, atol=20 * eps)
    torch.testing.assert_close(found[0], exact[0], rtol=0, atol=20 * eps / distance)


def test_more_columns_than_rows_beside_fewer_give_the_least_norm_to_the_one_and_its_own_to_the_other():
    A, y = normal(5, 9), normal(2, 5, seed=1)
    support = torch.stack([torch.arange(9) < 8, torch.arange(9) % 4 == 0])
    found = least_squares.on_support(A, y, support)
    torch.testing.assert_close(found[0, :8], torch.linalg.pinv(A[:, :8]) @ y[0])
    torch.testing.assert_close(found[1, ::4], torch.linalg.lstsq(A[:, ::4], y[1]).solution)


def test_omp_never_chooses_what_depends_on_the_columns_it_has():
    # Every column twice, and y beyond their span by a thousand roundings: nothing is left that explains it.
    Q = torch.linalg.qr(normal(20, 6)).Q
    A = unit(torch.cat([Q[:, :5] @ normal(5, 8, seed=1)] * 2, dim=1))
    y = normal(4, 16, seed=2) @ A.T
    y = y + 1e-13 * y.norm(dim=-1, keepdim=True) * Q[:, 5]
    found = omp(A, y, 12)
    assert bool(torch.isfinite(found.x).all())
    assert found.n_iter.tolist() == [5] * 4
    assert found.converged.tolist() == [False] * 4
    assert float(left(A, y, found).max()) < 2e-13


@METHODS
@pytest.mark.parametrize(
    ("dtype", "values"),
    [(D, (1.0, 1e-6)), (D, (1.0, 1e-10)), (D, (1.0, 1e-5, 1e-10)), (D, (1.0, 1e-7, 1e-13)), (F, (1.0, 1e-5))],
)
def test_small_entries_are_seen(method, dtype, values):
    right = 0
    for seed in range(20):
        A = unit(normal(60, 120, seed=seed))
        place = torch.randperm(120, generator=source(seed))[: len(values)]
        x = torch.zeros(120, dtype=D).index_copy(0, place, torch.tensor(values, dtype=D))
        A = A.to(dtype)
        y = (A.double() @ x).to(dtype)
        found = method(A, y, len(values))
        good = torch.equal(found.x != 0, x != 0)
        good &= float((found.x - x).abs().max()) <= 20 * torch.finfo(dtype).eps
        # Nothing else is said to have converged, but where rounding hides what is left.
        assert good or not found.converged, seed
        right += good
    assert right == 20


@METHODS
@pytest.mark.parametrize("dtype", [F, D])
def test_more_entries_than_there_are_end_in_rounding(method, dtype):
    A = unit(normal(40, 80)).to(dtype)
    x = torch.zeros(10, 80, dtype=D)
    for i in range(10):
        x[i, torch.randperm(80, generator=source(i))[:3]] = torch.tensor([1.0, -2.0, 1.5], dtype=D)
    found = method(A, (x @ A.double().T).to(dtype), 5)
    assert bool(found.converged.all())
    assert int(found.n_iter.max()) <= (3 if method is omp else 40)
    torch.testing.assert_close(found.x.double(), x, rtol=0, atol=20 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("method", [cosamp, iht])
def test_what_is_beyond_all_columns_is_left_at_once(method):
    # The columns span five dimensions of ten; y is in the other five.
    Q = torch.linalg.qr(normal(10, 10)).Q
    found = method(Q[:, :5] @ normal(5, 20, seed=1), Q[:, 5:].T, 3)
    assert float(found.x.abs().max()) < 1e-12
    assert bool(found.converged.all())
    assert found.n_iter.tolist() == [1] * 5


@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-7])
def test_the_convex_solvers_certify_what_they_give_where_columns_are_near(distance):
    A = torch.cat([near_pair(distance), unit(normal(20, 30, seed=1))], dim=1)
    x = torch.zeros(3, 32, dtype=D)
    x[:, 0], x[:, 1], x[:, 9] = torch.tensor([[2.0, 1.0, 0.0], [1.0, -1.0, 3.0], [0.5, 0.0, -1.0]], dtype=D)
    y = x @ A.T
    for found in (lasso(A, y, 0.01), basis_pursuit(A, y)):
        assert bool(found.converged.all())
    found = lasso(A, y, 0.01)
    by_hand = 0.5 * (y - found.x @ A.T).square().sum(-1) + 0.01 * found.x.abs().sum(-1)
    torch.testing.assert_close(found.objective, by_hand)
    assert float(left(A, y, basis_pursuit(A, y)).max()) < 1e-12
