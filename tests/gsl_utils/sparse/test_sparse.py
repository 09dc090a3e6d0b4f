"""What all classical solvers share, and the two thresholdings: batches without leaks, dtypes, refusals."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils import sparse
from gsl_utils.sparse import basis_pursuit, cosamp, hard_threshold, iht, lasso, omp, soft_threshold

D = torch.float64

# Every solver, with an argument for how far it runs: far enough, or stopped after a few iterations.
FULL = {
    "lasso": lambda A, y: lasso(A, y, 0.05),
    "lasso-nonnegative": lambda A, y: lasso(A, y, 0.05, nonnegative=True),
    "basis_pursuit": basis_pursuit,
    "omp": lambda A, y: omp(A, y, 4),
    "cosamp": lambda A, y: cosamp(A, y, 4),
    "iht": lambda A, y: iht(A, y, 4),
}
SHORT = {
    "lasso": lambda A, y: lasso(A, y, 0.05, max_iter=3),
    "basis_pursuit": lambda A, y: basis_pursuit(A, y, max_iter=7),
    "omp": lambda A, y: omp(A, y, 2),
    "cosamp": lambda A, y: cosamp(A, y, 4, max_iter=2),
    "iht": lambda A, y: iht(A, y, 4, max_iter=3),
}
EVERY = pytest.mark.parametrize("name", FULL)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def problem(m, n, k, count, seed=0):
    """Signals with k entries each, from easy to hopeless when ``k`` is a list, and their measurements."""
    A = normal(m, n, seed=seed) / m**0.5
    x = torch.zeros(count, n, dtype=D)
    for i, size in zip(range(count), itertools.cycle([k] if isinstance(k, int) else k), strict=False):
        place = torch.randperm(n, generator=torch.Generator().manual_seed(seed + i))[:size]
        x[i, place] = normal(size, seed=seed + 100 + i)
    return A, x, x @ A.T


def same(found, expected, **tolerance):
    """Two recoveries agree in everything that they say."""
    torch.testing.assert_close(found.x, expected.x, **tolerance)
    torch.testing.assert_close(found.objective, expected.objective, **tolerance)
    assert torch.equal(found.n_iter, expected.n_iter)
    assert torch.equal(found.converged, expected.converged)


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        *((f"{name}-full", f) for name, f in FULL.items()),
        *((f"{name}-short", f) for name, f in SHORT.items()),
    ],
)
def test_a_signal_alone_and_in_a_batch_gives_the_same(name, solver):
    # Signals of very different difficulty and scale: what leaks from one changes another.
    A, _, y = problem(12, 30, [2, 9, 4, 25], 8)
    y = y * torch.logspace(-3, 3, 8, dtype=D).unsqueeze(-1)
    y[5] = 0
    together = solver(A, y)
    for i in range(8):
        alone = solver(A, y[i])
        assert alone.x.shape == (30,)
        torch.testing.assert_close(together.x[i], alone.x, rtol=1e-9, atol=1e-12 * float(y[i].norm()))
        assert together.n_iter[i] == alone.n_iter
        assert together.converged[i] == alone.converged


@EVERY
def test_one_matrix_per_signal_is_each_signal_s_own_problem(name):
    y, A = normal(5, 12), normal(5, 12, 24, seed=1) / 12**0.5
    together = FULL[name](A, y)
    for i in range(5):
        alone = FULL[name](A[i], y[i])
        torch.testing.assert_close(together.x[i], alone.x, rtol=1e-8, atol=1e-10)


@EVERY
def test_leading_dimensions_broadcast(name):
    A, y = normal(3, 1, 10, 24, seed=1) / 10**0.5, normal(2, 10)
    found = FULL[name](A, y)
    assert found.x.shape == (3, 2, 24)
    assert found.z is found.x
    for field in (found.objective, found.n_iter, found.converged):
        assert field.shape == (3, 2)
    same_signal = FULL[name](A[2, 0], y[1])
    torch.testing.assert_close(found.x[2, 1], same_signal.x, rtol=1e-8, atol=1e-10)


@EVERY
def test_a_repeated_shared_matrix_changes_nothing(name):
    A, _, y = problem(12, 30, 4, 3)
    same(FULL[name](A.expand(3, 12, 30), y), FULL[name](A, y), rtol=1e-9, atol=1e-10)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_the_state_takes_the_dtype_of_y(name, dtype):
    A, x, y = problem(20, 40, 4, 6)
    found = FULL[name](A.to(dtype), y.to(dtype))
    assert found.x.dtype == found.objective.dtype == dtype
    assert found.n_iter.dtype == torch.int64
    assert found.converged.dtype == torch.bool
    assert bool(found.converged.all())
    if not name.startswith("lasso"):
        torch.testing.assert_close(found.x.double(), x, rtol=0, atol=1e-12 if dtype == D else 2e-5)


@EVERY
def test_no_measurements_of_anything_give_nothing(name):
    found = FULL[name](normal(10, 24), torch.zeros(2, 10, dtype=D))
    assert float(found.x.abs().max()) == 0
    assert found.objective.tolist() == [0, 0]
    assert bool(found.converged.all())
    assert found.n_iter.tolist() == [0, 0]


@EVERY
@pytest.mark.parametrize("shape", [(24, 10), (10, 10), (1, 8), (8, 1), (1, 1)])
def test_tall_square_and_tiny_matrices(name, shape):
    A = normal(*shape)
    k = min(4, *shape)
    solver = {**FULL, "omp": lambda A, y: omp(A, y, k), "cosamp": lambda A, y: cosamp(A, y, k)}
    solver["iht"] = lambda A, y: iht(A, y, k)
    y = normal(3, shape[1], seed=1) @ A.T
    found = solver[name](A, y)
    assert found.x.shape == (3, shape[1])
    assert bool(torch.isfinite(found.x).all())
    if name == "basis_pursuit":
        assert bool(found.converged.all())
        torch.testing.assert_close(found.x @ A.T, y)


@EVERY
@pytest.mark.parametrize("kind", ["repeated columns", "repeated rows", "rank 3", "zero columns", "zero"])
def test_degenerate_matrices_are_survived(name, kind):
    A = normal(10, 24)
    A = {
        "repeated columns": torch.cat([A, A], dim=1),
        "repeated rows": torch.cat([A[:5], A[:5]]),
        "rank 3": normal(10, 3) @ normal(3, 24, seed=1),
        "zero columns": A * (torch.arange(24) > 6),
        "zero": 0 * A,
    }[kind]
    y = normal(4, A.shape[1], seed=2) @ A.T
    found = FULL[name](A, y)
    assert bool(torch.isfinite(found.x).all())
    assert bool(torch.isfinite(found.objective).all())
    if name in ("lasso", "lasso-nonnegative", "basis_pursuit"):
        assert bool(found.converged.all())
        assert bool((found.gap <= 1e-6 * found.objective).all())


@EVERY
def test_units_do_not_matter(name):
    A, _, y = problem(12, 30, 4, 4)
    if name.startswith("lasso"):
        nonnegative = name.endswith("nonnegative")
        plain = lasso(A, y, 0.05, nonnegative=nonnegative)
        scaled = lasso(1e-6 * A, 1e5 * y, 0.05 * 1e-1, nonnegative=nonnegative)
    else:
        plain, scaled = FULL[name](A, y), FULL[name](1e-6 * A, 1e5 * y)
    torch.testing.assert_close(scaled.x * 1e-11, plain.x, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("solver", [basis_pursuit, lambda A, y: cosamp(A, y, 4), lambda A, y: iht(A, y, 4)])
def test_units_do_not_matter_where_columns_repeat(solver):
    A, x, y = problem(24, 20, 2, 4)
    A = torch.cat([A, A[:, :8]], dim=1)
    for unit in (1.0, 1e-7, 1e7):
        found = unit * solver(unit * A, y).x
        # Equal columns tie, and rounding says how they share an entry: their sum is what is determined.
        together = found[:, :20].clone()
        together[:, :8] += found[:, 20:]
        torch.testing.assert_close(together, x, rtol=1e-9, atol=1e-9)


@EVERY
def test_refusals(name):
    A, y = normal(3, 5), normal(2, 3)
    for bad_a, bad_y, kind, words in [
        (A, y[:, :2], ValueError, r"y has shape \(2, 2\) and A has \(3, 5\)"),
        (A, y.float(), TypeError, "y has dtype torch.float32 and A has torch.float64"),
        (A, y / 0, ValueError, "y holds NaN or infinite"),
        (A * torch.nan, y, ValueError, "A holds NaN"),
        (A[0], y, ValueError, r"A has shape \(5,\)"),
        (A, y[:0], ValueError, "y is empty"),
        (A.numpy(), y, TypeError, "A is a ndarray"),
        (A.expand(4, 3, 5), y, ValueError, "leading dimensions must broadcast"),
        (A, torch.ones(2, 3, dtype=torch.int64), TypeError, "y has dtype torch.int64"),
    ]:
        with pytest.raises(kind, match=words):
            FULL[name](bad_a, bad_y)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda A, y: lasso(A, y, 0.0), ValueError, "lam is 0; it must be above 0"),
        (lambda A, y: lasso(A, y, -1.0), ValueError, "lam is -1"),
        (lambda A, y: lasso(A, y, "1"), TypeError, "lam is '1'"),
        (lambda A, y: lasso(A, y, torch.ones(3, dtype=D)), ValueError, r"lam has shape \(3,\)"),
        (lambda A, y: lasso(A, y, torch.zeros(2, dtype=D)), ValueError, "lam has the entry 0"),
        (lambda A, y: lasso(A, y, torch.ones(2)), TypeError, "y has dtype torch.float64 and lam"),
        (lambda A, y: lasso(A, y, 1.0, nonnegative=1), TypeError, "nonnegative is 1"),
        (lambda A, y: lasso(A, y, 1.0, tol=0.0), ValueError, "tol is 0"),
        (lambda A, y: lasso(A, y, 1.0, max_iter=0), ValueError, "max_iter is 0"),
        (lambda A, y: basis_pursuit(A, y, tol=-1.0), ValueError, "tol is -1"),
        (lambda A, y: basis_pursuit(A, y, max_iter=1.5), TypeError, "max_iter is 1.5"),
        *(
            case
            for solver in (omp, cosamp, iht)
            for case in [
                (lambda A, y, solver=solver: solver(A, y, 6), ValueError, "k is 6; it must be between 0 and"),
                (lambda A, y, solver=solver: solver(A, y, -1), ValueError, "k is -1"),
                (lambda A, y, solver=solver: solver(A, y, 2.0), TypeError, "k is 2.0"),
            ]
        ),
        (lambda A, y: omp(A, y, 4), ValueError, "k is 4; .* between 0 and 3, the number of rows of A"),
        (lambda A, y: omp(A.mT, A[0], 4), ValueError, "between 0 and 3, the number of columns of A"),
        (lambda A, y: cosamp(A, y, 6), ValueError, "between 0 and 5, the number of columns of A"),
        (lambda A, y: iht(A, y, 6), ValueError, "between 0 and 5, the number of columns of A"),
        (lambda A, y: cosamp(A, y, 2, tol=0.0), ValueError, "tol is 0"),
        (lambda A, y: cosamp(A, y, 2, max_iter=0), ValueError, "max_iter is 0"),
        (lambda A, y: iht(A, y, 2, tol=0.0), ValueError, "tol is 0"),
        (lambda A, y: iht(A, y, 2, max_iter=0), ValueError, "max_iter is 0"),
        (lambda A, y: soft_threshold(y, -1.0), ValueError, "t is -1"),
        (lambda A, y: soft_threshold(y, torch.ones(2, dtype=D)), ValueError, r"t has shape \(2,\)"),
        (lambda A, y: soft_threshold(y / 0, 1.0), ValueError, "u holds NaN"),
        (lambda A, y: hard_threshold(y, 4), ValueError, "s is 4; it must be between 0 and 3"),
        (lambda A, y: hard_threshold(y, 1.0), TypeError, "s is 1.0"),
        (lambda A, y: hard_threshold(y[0, 0], 1), ValueError, "u is a scalar"),
    ],
)
def test_options_are_checked(call, kind, words):
    with pytest.raises(kind, match=words):
        call(normal(3, 5), normal(2, 3))


def test_all_is_what_the_book_teaches():
    assert set(sparse.__all__) == {
        "basis_pursuit", "cosamp", "hard_threshold", "iht", "lasso", "omp", "soft_threshold",
        "sparse_vectors",
    }  # fmt: skip


NUMBERS = st.floats(-1e3, 1e3).map(lambda value: 0.0 if abs(value) < 1e-9 else value)
VECTORS = st.lists(NUMBERS, min_size=1, max_size=12).map(lambda values: torch.tensor(values, dtype=D))


@given(VECTORS, st.floats(0, 100), st.integers(0, 10**6))
def test_soft_threshold_is_the_proximal_operator(u, t, seed):
    def objective(v):
        return 0.5 * (v - u).square().sum() + t * v.abs().sum()

    found = soft_threshold(u, t)
    slack = 1e-9 * (1 + float(objective(found)))
    for size in (1e-3, 1.0, 100.0):
        assert objective(found) <= objective(found + size * normal(len(u), seed=seed)) + slack
    # Optimality: u - found is in t times the subdifferential of the l1 norm.
    rest = u - found
    assert bool((rest.abs() <= t + 1e-9).all())
    assert bool((rest[found != 0] - t * found[found != 0].sign()).abs().le(1e-9 * (1 + u.abs().max())).all())


@given(VECTORS, VECTORS, st.floats(0, 100))
def test_soft_threshold_brings_no_two_points_apart(u, v, t):
    length = min(len(u), len(v))
    u, v = u[:length], v[:length]
    assert (soft_threshold(u, t) - soft_threshold(v, t)).norm() <= (u - v).norm() * (1 + 1e-12)


@given(VECTORS, st.integers(0, 12))
def test_hard_threshold_is_the_nearest_sparse_vector(u, s):
    s = min(s, len(u))
    found = hard_threshold(u, s)
    assert int((found != 0).sum()) <= s
    assert bool(((found == u) | (found == 0)).all())
    best = sum(sorted(u.square().tolist())[: len(u) - s])
    assert float((u - found).square().sum()) == pytest.approx(best, rel=1e-12, abs=1e-12)


def test_thresholds_act_on_the_last_dimension_and_on_each_signal():
    u = torch.tensor([[[3.0, -1.0, 2.0]], [[0.5, 4.0, -4.5]]])
    assert hard_threshold(u, 1).tolist() == [[[3.0, 0.0, 0.0]], [[0.0, 0.0, -4.5]]]
    t = torch.tensor([[[1.0]], [[4.0]]])
    assert soft_threshold(u, t).tolist() == [[[2.0, 0.0, 1.0]], [[0.0, 0.0, -0.5]]]
    assert torch.equal(hard_threshold(u, 3), u)
    assert torch.equal(hard_threshold(u, 0), torch.zeros_like(u))
