"""The k-sparse methods against scikit-learn, brute force over supports, and their own definitions."""

import importlib
import itertools

import numpy as np
import pytest
import torch
from sklearn.linear_model import orthogonal_mp

from gsl_utils.sparse import cosamp, iht, omp

D = torch.float64
# The package gives the function of that name.
MODULE = importlib.import_module("gsl_utils.sparse.omp")
METHODS = pytest.mark.parametrize("method", [omp, cosamp, iht], ids=lambda method: method.__name__)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def signals(n, k, count, seed=0):
    x = torch.zeros(count, n, dtype=D)
    for i in range(count):
        place = torch.randperm(n, generator=torch.Generator().manual_seed(seed + i))[:k]
        x[i, place] = normal(k, seed=seed + 100 + i).sign() * (1 + normal(k, seed=seed + 200 + i).abs())
    return x


def brute_force(A, y, k):
    """The best k-sparse vector of one signal, over all supports."""
    best, found = float("inf"), None
    for support in itertools.combinations(range(A.shape[1]), k):
        columns = A[:, list(support)]
        values = torch.linalg.lstsq(columns, y).solution
        error = float((y - columns @ values).square().sum())
        if error < best:
            best, found = error, torch.zeros(A.shape[1], dtype=D).index_copy(0, torch.tensor(support), values)
    return found, best


def textbook_omp(A, y, k):
    """One signal, one column at a time, least squares by numpy."""
    A, y = A.numpy(), y.numpy()
    support, residual, norms = [], y, np.linalg.norm(A, axis=0)
    unit = A / norms
    for _ in range(k):
        score = np.abs(unit.T @ residual)
        score[support] = 0
        support.append(int(score.argmax()))
        # With columns of norms far apart, least squares by numpy is exact to few digits.
        values = np.linalg.lstsq(unit[:, support], y, rcond=None)[0]
        residual = y - unit[:, support] @ values
    x = np.zeros(A.shape[1])
    x[support] = values / norms[support]
    return x


def textbook_cosamp(A, y, k, steps):
    A, y = A.numpy(), y.numpy()
    x = np.zeros(A.shape[1])
    for _ in range(steps):
        proxy = A.T @ (y - A @ x)
        merged = np.union1d(np.argsort(-np.abs(proxy))[: 2 * k], np.flatnonzero(x))
        values = np.linalg.lstsq(A[:, merged], y, rcond=None)[0]
        x = np.zeros(A.shape[1])
        kept = np.argsort(-np.abs(values))[:k]
        x[merged[kept]] = values[kept]
    return x


@pytest.mark.parametrize(("m", "n", "k"), [(20, 50, 8), (50, 20, 8), (30, 30, 15)])
def test_omp_against_scikit_learn(m, n, k):
    A = normal(m, n)
    A /= A.norm(dim=0)
    y = normal(10, m, seed=1)
    reference = orthogonal_mp(A.numpy(), y.numpy().T, n_nonzero_coefs=k).T
    np.testing.assert_allclose(omp(A, y, k).x.numpy(), reference, atol=1e-10)


def test_omp_is_right_for_columns_of_any_norm():
    A = (
        normal(15, 30)
        * torch.logspace(-4, 4, 30, dtype=D)[torch.randperm(30, generator=torch.Generator().manual_seed(4))]
    )
    y = normal(5, 15, seed=1)
    found = omp(A, y, 6)
    for i in range(5):
        expected = torch.from_numpy(textbook_omp(A, y[i], 6))
        torch.testing.assert_close(found.x[i], expected, rtol=1e-8, atol=0)
    # Scaling a column scales its coefficient back, and changes nothing else.
    scale = torch.logspace(-3, 3, 30, dtype=D)
    torch.testing.assert_close(omp(A * scale, y, 6).x * scale, found.x, rtol=1e-9, atol=0)


@pytest.mark.parametrize("distance", [1e-5, 1e-8, 1e-11])
def test_omp_decides_in_float64_what_float32_cannot_tell(distance):
    # Every column has a twin, whose cosine with the residual differs by less than float32 resolves.
    A = normal(20, 30)
    A = torch.cat([A, A + distance * normal(20, 30, seed=3)], dim=1)
    y = normal(8, 20, seed=1)
    found = omp(A, y, 6)
    for i in range(8):
        assert torch.equal(found.x[i] != 0, torch.from_numpy(textbook_omp(A, y[i], 6)) != 0)


def test_a_column_almost_in_the_span_of_the_basis_is_made_orthogonal_to_it():
    basis = torch.linalg.qr(normal(4, 50, 7)).Q.mT
    column = (normal(4, 1, 7, seed=1) @ basis).squeeze(1) + 1e-9 * normal(4, 50, seed=2)
    column[0] = normal(50, seed=3)
    column = column / column.norm(dim=-1, keepdim=True)
    found, along = MODULE._orthonormal(basis, column)
    assert float((basis @ found.unsqueeze(-1)).abs().max()) < 1e-14
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(4, dtype=D))
    # What is returned beside it puts the column together again.
    again = (along.unsqueeze(-1) * torch.cat([basis, found.unsqueeze(1)], dim=1)).sum(1)
    torch.testing.assert_close(again, column, rtol=0, atol=1e-15)


def test_omp_is_optimal_for_one_column_and_the_residual_is_orthogonal_to_its_choice():
    A, y = normal(8, 12), normal(6, 8, seed=1)
    one = omp(A, y, 1)
    for i in range(6):
        expected, error = brute_force(A, y[i], 1)
        torch.testing.assert_close(one.x[i], expected)
        assert float(one.objective[i]) == pytest.approx(error)
    more = omp(A, y, 5)
    correlation = (y - more.x @ A.T) @ A
    assert float((correlation * (more.x != 0)).abs().max()) < 1e-12
    assert more.n_iter.tolist() == [5] * 6
    assert bool((more.objective < one.objective).all())


def test_cosamp_against_its_textbook():
    A, y = normal(30, 60) / 30**0.5, normal(5, 30, seed=1)
    for steps in (1, 2, 3):
        found = cosamp(A, y, 4, max_iter=steps)
        for i in range(5):
            iterates = [torch.from_numpy(textbook_cosamp(A, y[i], 4, step)) for step in range(1, steps + 1)]
            errors = [float((y[i] - A @ x).square().sum()) for x in iterates]
            torch.testing.assert_close(found.x[i], iterates[int(np.argmin(errors))])


def test_iht_never_raises_the_residual():
    A, y = normal(20, 50), normal(8, 20, seed=1)
    errors = torch.stack([iht(A, y, 5, max_iter=steps).objective for steps in range(1, 30)])
    assert bool((errors[0] < y.square().sum(-1)).all())
    assert bool((errors.diff(dim=0) <= 1e-12 * errors[0]).all())


def test_one_step_of_iht_by_hand():
    A, y = normal(20, 50), normal(4, 20, seed=1)
    slope = y @ A
    first = torch.where(slope.abs() >= slope.abs().topk(3).values[:, -1:], slope, 0)
    step = first.square().sum(-1, keepdim=True) / (first @ A.T).square().sum(-1, keepdim=True)
    torch.testing.assert_close(iht(A, y, 3, max_iter=1).x, step * first)


def test_iht_ends_in_a_fixed_point():
    A, y = normal(40, 60) / 40**0.5, normal(8, 40, seed=1)
    found = iht(A, y, 5)
    assert bool(found.converged.all())
    correlation = (y - found.x @ A.T) @ A
    on = found.x != 0
    assert float((correlation * on).abs().max()) < 1e-12
    # Off the support no single step would bring an entry in: a short step is enough to see it.
    smallest = found.x.abs().masked_fill(~on, torch.inf).amin(-1)
    assert bool(((correlation * ~on).abs().amax(-1) * 0.2 < smallest).all())


@METHODS
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_easy_instances_reach_the_global_optimum(method, k, noise):
    # Orthonormal rows, so many that the columns are nearly orthogonal too.
    A = torch.linalg.qr(normal(16, 12)).Q.T * (16 / 12) ** 0.5
    x = signals(16, k, 8)
    y = x @ A.T + noise * normal(8, 12, seed=1)
    found = method(A, y, k)
    agree = 0
    for i in range(8):
        expected, error = brute_force(A, y[i], k)
        assert float(found.objective[i]) >= error * (1 - 1e-9) - 1e-20
        # CoSaMP prunes a fit on more columns: with noise its values are only near the best ones.
        near = 5e-3 if method is cosamp and noise else 1e-8
        agree += bool(torch.allclose(found.x[i], expected, atol=near))
    assert agree >= (8 if k == 1 else 6)


@METHODS
def test_easy_signals_are_recovered_to_rounding(method):
    A = normal(100, 200) / 10
    x = signals(200, 12, 25)
    found = method(A, x @ A.T, 12)
    assert bool(found.converged.all())
    torch.testing.assert_close(found.x, x, rtol=0, atol=1e-12)
    single = method(A.float(), (x @ A.T).float(), 12)
    torch.testing.assert_close(single.x.double(), x, rtol=0, atol=2e-5)


@METHODS
def test_at_most_k_entries_and_the_stated_objective(method):
    A, y = normal(15, 40), normal(6, 15, seed=1)
    for k in (0, 1, 4, 15, *(() if method is omp else (40,))):
        found = method(A, y, k)
        assert int((found.x != 0).sum(-1).max()) <= k
        torch.testing.assert_close(found.objective, (y - found.x @ A.T).square().sum(-1))
        assert found.gap is None
        if k == 0:
            assert bool(found.converged.all())
            assert found.n_iter.tolist() == [0] * 6


def test_omp_stops_when_the_residual_has_vanished():
    exact = omp(torch.eye(15, 40, dtype=D), torch.eye(15, dtype=D)[:3], 10)
    assert exact.n_iter.tolist() == [1, 1, 1]
    assert bool(exact.converged.all())
    A = torch.linalg.qr(normal(40, 40)).Q
    assert omp(A, A[:, [3, 8]].sum(-1), 40).n_iter == 2


def test_omp_never_chooses_a_zero_column():
    A, y = normal(10, 20), normal(4, 10, seed=1)
    padded = torch.cat([torch.zeros(10, 3, dtype=D), A], dim=1)
    found = omp(padded, y, 6)
    assert bool((found.x[:, :3] == 0).all())
    torch.testing.assert_close(found.x[:, 3:], omp(A, y, 6).x)
    assert found.n_iter.tolist() == [6] * 4


def test_omp_says_when_no_column_is_left_that_helps():
    A = torch.zeros(4, 6, dtype=D)
    A[:2] = normal(2, 6)
    found = omp(A, torch.tensor([[1.0, 2.0, 3.0, 0.0], [1.0, 2.0, 0.0, 0.0]], dtype=D), 4)
    assert found.n_iter.tolist() == [2, 2]
    assert found.converged.tolist() == [False, True]
    assert found.objective.tolist() == pytest.approx([9.0, 0.0])


def test_cosamp_admits_that_it_cycles():
    A, y = normal(20, 50), normal(40, 20, seed=3)
    found = cosamp(A, y, 5, max_iter=50)
    assert not bool(found.converged.all())
    assert bool((found.n_iter[~found.converged] == 50).all())
    # The best iterate is kept, so more iterations never make it worse.
    longer = cosamp(A, y, 5, max_iter=80)
    assert bool((longer.objective <= found.objective * (1 + 1e-12)).all())


def test_columns_that_repeat_share_nothing_twice():
    A = normal(20, 30)
    A = torch.cat([A, A], dim=1)
    y = normal(5, 20, seed=1)
    found = omp(A, y, 8)
    assert bool(found.converged.all())
    halves = found.x != 0
    assert not bool((halves[:, :30] & halves[:, 30:]).any())
    torch.testing.assert_close(found.objective, omp(A[:, :30], y, 8).objective)
