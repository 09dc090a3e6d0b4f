"""Sparse phase retrieval: what it finds, what it says of itself, units, company, refusals."""

import pytest
import torch

from gsl_utils.common.linear import System
from gsl_utils.sensing import gaussian_matrix
from gsl_utils.sparse import cosamp, sparse_vectors
from gsl_utils.sparse.copram import _start, copram
from gsl_utils.sparse.cosamp import Signals


def drawn(m, n, k, count, seed=0, *, own=False, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    A = gaussian_matrix(m, n, generator=draw, dtype=dtype)
    if own:
        A = torch.stack([gaussian_matrix(m, n, generator=draw, dtype=dtype) for _ in range(count)])
    x = sparse_vectors((count, n), k, generator=draw, dtype=dtype)
    return A, x, (A @ x.unsqueeze(-1)).squeeze(-1).abs()


def error(found, x):
    """Up to the sign, relative."""
    away = torch.minimum((found - x).norm(dim=-1), (found + x).norm(dim=-1))
    return away / x.norm(dim=-1)


@pytest.mark.parametrize("own", [False, True])
def test_enough_amplitudes_give_the_signal_up_to_its_sign(own):
    A, x, y = drawn(300, 120, 4, 20, own=own)
    found = copram(A, y, 4)
    wrong = error(found.x, x)
    assert int((wrong < 1e-10).sum()) >= 18
    assert bool(found.converged[wrong < 1e-10].all())
    assert float(found.objective[wrong < 1e-10].max()) < 1e-20
    signs = (found.x * x).sum(-1).sign()
    assert set(signs[wrong < 1e-10].tolist()) == {-1.0, 1.0}
    assert bool(((found.x != 0).sum(-1) <= 4).all())


def test_it_takes_more_of_them_than_of_measurements_with_signs():
    A, x, y = drawn(60, 200, 6, 30)
    assert float((error(cosamp(A, x @ A.T, 6).x, x) < 1e-6).double().mean()) > 0.9
    few = float((error(copram(A, y, 6).x, x) < 1e-6).double().mean())
    A, x, y = drawn(600, 200, 6, 30)
    many = float((error(copram(A, y, 6).x, x) < 1e-6).double().mean())
    assert few < 0.2
    assert many > 0.9


def test_the_support_of_all_columns_needs_no_guess():
    A, x, y = drawn(200, 12, 12, 10, seed=1)
    assert float(error(copram(A, y, 12).x, x).median()) < 1e-10


def test_it_starts_on_the_large_entries_with_the_signals_length():
    A, x, y = drawn(2000, 50, 3, 10, seed=6)
    system = System.of(A, 7 * y)
    start = system.recovery(_start(Signals.of(system), 3), y[:, 0], system.y_power, y[:, 0], y[:, 0] > 0).x
    assert torch.equal(start != 0, x != 0)
    assert float(error(start, 7 * x).max()) < 0.3
    torch.testing.assert_close(start.norm(dim=-1), 7 * x.norm(dim=-1), rtol=0.1, atol=0)


def test_the_objective_is_that_of_what_is_returned():
    A, _, y = drawn(40, 100, 5, 10, seed=2)
    for steps in (1, 3, 30):
        found = copram(A, y, 5, max_iter=steps)
        torch.testing.assert_close(found.objective, ((found.x @ A.T).abs() - y).square().sum(-1))
        assert int(found.n_iter.max()) <= steps
    assert bool((copram(A, y, 5, max_iter=30).objective <= copram(A, y, 5, max_iter=1).objective).all())


def test_units_and_company():
    A, _, y = drawn(150, 80, 4, 6, seed=3)
    found = copram(A, y, 4)
    scaled = copram(A * 2.0**200, y * 2.0**-300, 4)
    assert torch.equal(scaled.x, found.x * 2.0**-500)
    alone = torch.stack([copram(A, row, 4).x for row in y])
    torch.testing.assert_close(alone, found.x, rtol=1e-9, atol=1e-12)
    shaped = copram(A, y.view(2, 3, -1), 4)
    assert shaped.x.shape == (2, 3, 80)
    assert shaped.converged.shape == (2, 3)


def test_nothing_to_find():
    A, _, y = drawn(30, 20, 3, 2, seed=4)
    none = copram(A, 0 * y, 3)
    assert not bool(none.x.any())
    assert bool(none.converged.all())
    assert not bool(copram(A, y, 0).x.any())
    single = drawn(200, 40, 3, 4, seed=5, dtype=torch.float32)
    found = copram(single[0], single[2], 3)
    assert found.x.dtype == torch.float32
    assert float(error(found.x, single[1]).median()) < 1e-5


@pytest.mark.parametrize(
    ("call", "error_type", "message"),
    [
        (lambda A, y: copram(A, -y, 2), ValueError, "y has an entry below 0"),
        (lambda A, y: copram(A, y[:3], 2), ValueError, "y has shape"),
        (lambda A, y: copram(A, y, 21), ValueError, "k is 21; it must be between 0 and 20"),
        (lambda A, y: copram(A, y, 2, tol=0), ValueError, "tol is 0; it must be above 0"),
        (lambda A, y: copram(A, y, 2, max_iter=0), ValueError, "max_iter is 0"),
        (lambda A, y: copram(A, y.float(), 2), TypeError, "y has dtype torch.float32"),
    ],
)
def test_bad_input_is_named(call, error_type, message):
    A, _, y = drawn(30, 20, 2, 1)
    with pytest.raises(error_type, match=message):
        call(A, y[0])
