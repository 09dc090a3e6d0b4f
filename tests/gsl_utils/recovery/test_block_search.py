"""The search over the sparse network's sectors: against all supports, its ends, units, company, refusals."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsl_utils.generators import Exponential, SparseReLU
from gsl_utils.recovery import block_search
from gsl_utils.sparse import omp, sparse_vectors

D = torch.float64


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=D):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


def exhaustive(A, y, k):
    """The least squared residual over all supports of k columns."""
    values = []
    for support in combinations(range(A.shape[-1]), k):
        columns = A[..., list(support)].expand(*y.shape[:-1], -1, -1)
        w = torch.linalg.lstsq(columns, y.unsqueeze(-1)).solution
        values.append((y.unsqueeze(-1) - columns @ w).square().sum((-2, -1)))
    return torch.stack(values).amin(0)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("m", [5, 8])
def test_it_is_never_better_than_all_supports_and_with_starts_enough_as_good(k, m, layers):
    A, y = normal(60, m, 12), normal(60, m, seed=1)
    best = exhaustive(A, y, k)
    shares = []
    for restarts in (1, 40):
        found = block_search(SparseReLU(12, k, layers=layers), A, y, restarts=restarts, generator=source())
        assert bool((found.objective >= best * (1 - 1e-9)).all())
        shares.append(float((found.objective <= best * (1 + 1e-9)).double().mean()))
    assert shares[1] >= 0.98
    # Pursuit alone, whose start it is, does worse than its sweeps do.
    pursued = float((omp(A, y, k).objective <= best * (1 + 1e-9)).double().mean())
    assert pursued < shares[0] < shares[1]


def test_where_it_ends_no_block_alone_is_better():
    A, y, k = normal(7, 10), normal(20, 7, seed=1), 3
    found = block_search(SparseReLU(10, k), A, y, restarts=1)
    assert bool(found.converged.all())
    for objective, x, one in zip(found.objective, found.x, y, strict=True):
        support = x.nonzero().flatten().tolist()
        assert len(support) == k
        for block in range(k):
            others = support[:block] + support[block + 1 :]
            for i in set(range(10)) - set(others):
                C = A[:, [*others, i]]
                left = (
                    (one - C @ torch.linalg.lstsq(C, one.unsqueeze(-1)).solution.squeeze(-1)).square().sum()
                )
                assert float(left) >= float(objective) * (1 - 1e-9)


@pytest.mark.parametrize("own", [False, True])
def test_sparse_signals_come_back(own):
    n, m, k = 200, 60, 5
    A = normal(*([30, m, n] if own else [m, n])) / m**0.5
    x = sparse_vectors((30, n), k, values="gaussian", generator=source(1))
    y = (A @ x.unsqueeze(-1)).squeeze(-1)
    G = SparseReLU(n, k)
    found = block_search(G, A, y)
    torch.testing.assert_close(found.x, x, rtol=1e-9, atol=1e-9)
    assert torch.equal(found.x, G(found.z))
    assert bool(found.converged.all())
    assert found.n_iter.tolist() == [1] * 30
    assert found.gap is None
    residual = (y - (A @ found.x.unsqueeze(-1)).squeeze(-1)).square().sum(-1)
    torch.testing.assert_close(found.objective, residual, rtol=1e-6, atol=1e-20)


def test_fewer_non_zeros_than_blocks_leave_blocks_silent():
    A = normal(20, 30)
    x = torch.zeros(3, 30, dtype=D)
    x[1, 4], x[2, [7, 9]] = -2.0, 1.0
    G = SparseReLU(30, 4)
    found = block_search(G, A, x @ A.T)
    torch.testing.assert_close(found.x, x, rtol=1e-10, atol=1e-12)
    assert (G.sectors(found.z)[0] >= 0).sum(-1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("m", [1, 2, 4])
def test_fewer_measurements_than_blocks_are_explained(m):
    A, y = normal(m, 20), normal(6, m, seed=1)
    found = block_search(SparseReLU(20, 4), A, y)
    assert float(found.objective.max()) < 1e-20
    assert bool(found.converged.all())
    assert int((found.x != 0).sum(-1).max()) <= m
    if m == 1:  # every column explains it all: the first is taken, whatever rounding says
        assert bool((found.x[:, 0] != 0).all())


@settings(max_examples=30)
@given(st.integers(-600, 600), st.integers(-30, 30))
def test_units_change_nothing(y_power, A_power):
    A, y, G = normal(8, 12), normal(5, 8, seed=1), SparseReLU(12, 3)
    one = block_search(G, A, y, generator=source())
    units = 2.0 ** (A_power + 60 * torch.arange(-6, 6, dtype=D))  # each column has its own
    other = block_search(G, A * units, y * 2.0**y_power, generator=source())
    torch.testing.assert_close(other.x * 2.0**-y_power * units, one.x, rtol=1e-12, atol=0)
    assert torch.equal(other.n_iter, one.n_iter)
    if abs(y_power) < 500:
        torch.testing.assert_close(other.objective * 2.0 ** (-2 * y_power), one.objective, rtol=1e-9, atol=0)
    assert bool(other.converged.all()) == bool(torch.isfinite(other.objective).all())


def test_nearly_dependent_columns_are_told_apart_and_equal_ones_do_no_harm():
    A = normal(20, 10)
    A[:, 1] = A[:, 0] + 1e-6 * A[:, 1]
    x = torch.zeros(10, dtype=D)
    x[0], x[1], x[5] = 1.0, -0.9, 1.0
    found = block_search(SparseReLU(10, 3), A, A @ x)
    torch.testing.assert_close(found.x, x, rtol=1e-6, atol=1e-8)
    A[:, 2], A[:, 3] = A[:, 5], 0
    found = block_search(SparseReLU(10, 4), A, A @ x + 0.1 * normal(20, seed=2))
    assert bool(found.converged)
    assert float(found.x[3]) == 0
    assert 0 in (found.x[2], found.x[5])


def test_what_becomes_of_a_signal_does_not_depend_on_the_others():
    A, y, G = normal(8, 12), normal(6, 8, seed=1), SparseReLU(12, 3)
    all_of_them = block_search(G, A, y, restarts=1)
    for row in range(6):
        alone = block_search(G, A, y[row], restarts=1)
        torch.testing.assert_close(alone.x, all_of_them.x[row], rtol=1e-10, atol=1e-14)
    other = y.clone()
    other[2] = torch.zeros(8, dtype=D)
    beside = block_search(G, A, other, generator=source())
    known = block_search(G, A, y, generator=source())
    rest = [0, 1, 3, 4, 5]
    torch.testing.assert_close(beside.x[rest], known.x[rest], rtol=1e-10, atol=1e-14)
    assert beside.n_iter[2] == 1
    assert beside.objective[2] == 0


def test_batches_dtypes_and_learned_matrices():
    A, y = torch.nn.Parameter(normal(2, 1, 8, 12)), normal(3, 8, seed=1)
    found = block_search(SparseReLU(12, 2), A, y)
    assert found.x.shape == (2, 3, 12)
    assert found.z.shape == (2, 3, 4)
    assert found.objective.shape == found.converged.shape == found.n_iter.shape == (2, 3)
    assert not found.x.requires_grad
    x = sparse_vectors((9, 50), 3, generator=source(3), dtype=torch.float32)
    A32 = normal(30, 50).float()
    found = block_search(SparseReLU(50, 3, dtype=torch.float32), A32, x @ A32.T)
    assert found.x.dtype == found.objective.dtype == torch.float32
    torch.testing.assert_close(found.x, x, rtol=1e-4, atol=1e-4)


def test_one_sweep_is_not_said_to_have_settled():
    found = block_search(SparseReLU(12, 3), normal(8, 12), normal(9, 8, seed=1), sweeps=1, restarts=1)
    assert not bool(found.converged.any())
    assert found.n_iter.tolist() == [1] * 9


A, Y, G = normal(8, 12), normal(3, 8), SparseReLU(12, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: block_search(Exponential(), A, Y), TypeError, "G is a Exponential; it must be a SparseReLU"),
        (
            lambda: block_search(SparseReLU(11, 3), A, Y),
            ValueError,
            "A has 12 columns; it must have G.n = 11",
        ),
        (lambda: block_search(G, A, Y, sweeps=0), ValueError, "sweeps is 0; it must be at least 1"),
        (lambda: block_search(G, A, Y, restarts=1.5), TypeError, "restarts is 1.5; it must be an integer"),
        (lambda: block_search(G, A, Y, generator=3), TypeError, "generator is a int; it must be a torch.Gen"),
        (lambda: block_search(G, A, Y[:, :7]), ValueError, r"y has shape \(3, 7\) and A has \(8, 12\)"),
        (lambda: block_search(G, A, Y / 0), ValueError, "y holds NaN or infinite"),
        (
            lambda: block_search(G, A.float(), Y),
            TypeError,
            "y has dtype torch.float64 and A has torch.float32",
        ),
        (
            lambda: block_search(SparseReLU(12, 3, dtype=torch.float32), A, Y),
            TypeError,
            "G's buffer like has dtype torch.float32",
        ),
        (
            lambda: block_search(SparseReLU(12, 3), A * 1e-200, Y * 1e200),
            ValueError,
            "too far apart in scale",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
