"""The classical solvers in any unit that the numbers allow, and what they say where numbers end."""

import math

import pytest
import torch

from gsl_utils.sparse import basis_pursuit, cosamp, iht, lasso, omp

D, F = torch.float64, torch.float32
# A and y are multiplied by these, which are powers of two: 1e-140 to 1e140 and 1e-15 to 1e15, and beyond.
UNITS = {
    D: [(-465, -465), (465, 465), (-465, 465), (465, -465), (0, 664), (0, -664), (664, 0), (-664, 100)],
    F: [(-23, -23), (-50, -50), (50, 50), (-50, 50), (50, -50), (0, -76), (0, 66), (60, 0)],
}
SOLVERS = {
    "lasso": lasso,
    "lasso-nonnegative": lambda A, y, lam: lasso(A, y, lam, nonnegative=True),
    "basis_pursuit": lambda A, y, lam: basis_pursuit(A, y),
    "omp": lambda A, y, lam: omp(A, y, 4),
    "cosamp": lambda A, y, lam: cosamp(A, y, 4),
    "iht": lambda A, y, lam: iht(A, y, 4),
}
EVERY = pytest.mark.parametrize("name", SOLVERS)


def problem(dtype=D, m=40, n=80, k=4, count=5):
    source = torch.Generator().manual_seed(3)
    A = torch.randn(m, n, generator=source, dtype=D) / m**0.5
    x = torch.zeros(count, n, dtype=D)
    for signal in x:
        values = torch.randn(k, generator=source, dtype=D)
        signal[torch.randperm(n, generator=source)[:k]] = values.sign() + values / 4
    return A.to(dtype), x, (x @ A.T).to(dtype)


def times(value, power):
    """``value * 2**power`` in steps that numbers can hold."""
    half = power // 2
    return value * 2.0**half * 2.0 ** (power - half)


@EVERY
@pytest.mark.parametrize("dtype", UNITS)
def test_units_that_are_powers_of_two_change_no_bit(name, dtype):
    A, x, y = problem(dtype)
    plain = SOLVERS[name](A, y, 0.05)
    assert bool(plain.converged.all())
    if not name.startswith("lasso"):
        torch.testing.assert_close(plain.x.double(), x, rtol=0, atol=1e-12 if dtype == D else 1e-5)
    for a, b in UNITS[dtype]:
        lam = times(torch.tensor(0.05, dtype=D), a + b)
        if not torch.finfo(D).tiny <= lam < math.inf:
            continue
        found = SOLVERS[name](times(A, a), times(y, b), float(lam))
        assert torch.equal(times(found.x, a - b), plain.x), (a, b)
        assert torch.equal(found.n_iter, plain.n_iter)
        # Where the square of y is beyond the largest number, nothing is said to have converged.
        power = b - a if name == "basis_pursuit" else 2 * b
        assert torch.equal(found.objective, times(plain.objective, power)), (a, b)
        assert torch.equal(found.converged, torch.isfinite(found.objective)), (a, b)


@EVERY
@pytest.mark.parametrize(
    ("dtype", "units"),
    [
        (D, [(1e-140, 1e140), (1e140, 1e-140), (1e140, 1e140), (1.0, 1e200)]),
        (F, [(1e-7, 1e-7), (1.0, 1e-23), (1.0, 1e20), (1e15, 1e-15)]),
    ],
)
def test_units_of_any_kind_change_rounding_only(name, dtype, units):
    A, _, y = problem(dtype)
    plain = SOLVERS[name](A, y, 0.05)
    for a, b in units:
        found = SOLVERS[name](A * a, y * b, 0.05 * a * b)
        tolerance = 1e-12 if dtype == D else 1e-5
        torch.testing.assert_close(found.x.double() * (a / b), plain.x.double(), rtol=0, atol=tolerance)


@EVERY
def test_every_signal_and_every_matrix_has_its_own_unit(name):
    A, _, y = problem()
    plain = SOLVERS[name](A, y, 0.05)
    a, b = torch.tensor([0, 300, -300, 10, -7]), torch.tensor([-300, 290, -330, 0, 100])
    one = torch.ones(5, dtype=D)
    lam = torch.ldexp(0.05 * one, a + b)
    scaled = A * torch.ldexp(one, a)[:, None, None]
    found = SOLVERS[name](scaled, y * torch.ldexp(one, b)[:, None], lam)
    x = found.x * torch.ldexp(one, a - b)[:, None]
    torch.testing.assert_close(x, plain.x, rtol=0, atol=1e-12)
    assert torch.equal(found.converged, plain.converged)


def test_omp_judges_columns_by_their_cosines_whatever_their_units():
    A, x, y = problem()
    unit = torch.tensor([1.0, 1e-200, 1e100, 1e-290], dtype=D).repeat(20)
    found = omp(A * unit, y, 4)
    assert torch.equal(found.x != 0, x != 0)
    torch.testing.assert_close(found.x * unit, x, rtol=1e-12, atol=1e-12)
    assert bool(found.converged.all())


@EVERY
@pytest.mark.parametrize(("a", "b"), [(1e-200, 1e200), (1e200, 1e-200)])
def test_a_solution_beyond_the_numbers_is_refused(name, a, b):
    A, _, y = problem()
    with pytest.raises(ValueError, match=r"A and y are too far apart in scale: .* about 2\*\*-?13"):
        SOLVERS[name](A * a, y * b, 0.05)


@EVERY
@pytest.mark.parametrize("learned", ["A", "y", "both"])
def test_what_is_learned_takes_part_as_numbers(name, learned):
    A, _, y = problem()
    plain = SOLVERS[name](A, y, 0.05)
    table = torch.nn.Parameter(A) if learned != "y" else A
    target = y.clone().requires_grad_() if learned != "A" else y
    lam = torch.tensor(0.05, dtype=D, requires_grad=True)
    found = SOLVERS[name](table, target, lam)
    for value in (found.x, found.objective, found.gap):
        assert value is None or not value.requires_grad
    assert torch.equal(found.x, plain.x)


@pytest.mark.parametrize("unit", [1.0, 1e100, 1e-100])
@pytest.mark.parametrize("lam", [1e-30, 1e-150, 1e-300, 1e300])
def test_a_weight_that_decides_nothing_is_survived(lam, unit):
    A, _, y = problem()
    found = lasso(A * unit, y * unit, lam)
    assert bool(torch.isfinite(found.x).all())
    assert bool(torch.isfinite(found.objective).all())
    assert torch.equal(found.converged, found.gap <= 1e-6 * found.objective)
    if lam > 1:
        assert float(found.x.abs().max()) == 0
        assert bool(found.converged.all())
