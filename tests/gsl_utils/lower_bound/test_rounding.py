"""Rounding to few bits and orthonormal rows: exact fractions, the lemma itself, refusals."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.lower_bound import discretise, in_ball, orthonormal_rows

D = torch.float64


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=D):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


@given(value=st.floats(-1e3, 1e3), bits=st.integers(0, 200))
def test_rounding_is_that_of_exact_fractions(value, bits):
    scaled = Fraction(value) * 2**bits
    entry = torch.tensor([value], dtype=D)
    assert Fraction(discretise(entry, bits).item()) * 2**bits == math.floor(scaled)
    assert Fraction(discretise(entry, bits, rounding="nearest").item()) * 2**bits == round(scaled)


def test_rounding_keeps_shape_and_dtype_and_its_input():
    A = normal(2, 3, 4, dtype=torch.float32)
    kept = A.clone()
    assert discretise(A, 5).dtype == torch.float32
    assert discretise(A, 5).shape == A.shape
    assert torch.equal(A, kept)
    assert torch.equal(discretise(discretise(A, 5), 5), discretise(A, 5))


@pytest.mark.parametrize("rounding", ["down", "nearest"])
@pytest.mark.parametrize(("m", "n", "bits"), [(1, 4, 3), (8, 30, 12), (50, 64, 20)])
def test_a_rounded_matrix_sees_a_signal_that_moved_a_little(m, n, bits, rounding):
    A, _ = orthonormal_rows(normal(m, n))
    rounded = discretise(A, bits, rounding=rounding)
    v = normal(200, n, seed=1)
    s = v @ (A - rounded).mT @ A
    torch.testing.assert_close(v @ rounded.mT, (v - s) @ A.mT)
    for p in (1, 2):
        assert bool((s.norm(p=p, dim=-1) < n**2 * 2.0**-bits * v.norm(p=p, dim=-1)).all())


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (6, 6), (2, 4, 3, 8)])
def test_rows_become_orthonormal_and_the_factor_says_how(shape):
    A = normal(*shape) * torch.logspace(-2, 2, shape[-2], dtype=D)[:, None]
    Q, T = orthonormal_rows(A)
    torch.testing.assert_close(Q @ Q.mT, torch.eye(shape[-2], dtype=D).expand(*shape[:-1], shape[-2]))
    torch.testing.assert_close(T @ A, Q, rtol=1e-9, atol=1e-9)
    # The rows' span is the same: nothing is lost.
    torch.testing.assert_close(A @ Q.mT @ Q, A, rtol=1e-9, atol=1e-9)
    assert bool((torch.diagonal(T, dim1=-2, dim2=-1) > 0).all())
    assert torch.equal(T, T.tril())


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_points_of_the_ball_are_uniform(n, p):
    u = in_ball((20000,), n, p, generator=source())
    norms = u.norm(p=p, dim=-1)
    assert float(norms.max()) <= 1 + 1e-12
    # The share within radius t is t^n: the norm to the power n is uniform.
    deciles = torch.quantile(norms**n, torch.linspace(0.1, 0.9, 9, dtype=D))
    torch.testing.assert_close(deciles, torch.linspace(0.1, 0.9, 9, dtype=D), rtol=0, atol=0.02)
    # Second moments of the ball: 1 / (n + 2) for p = 2 and 2 / ((n + 1)(n + 2)) for p = 1.
    moment = 1 / (n + 2) if p == 2 else 2 / ((n + 1) * (n + 2))
    covariance = u.mT @ u / len(u)
    torch.testing.assert_close(covariance, moment * torch.eye(n, dtype=D), rtol=0, atol=0.03 * moment + 1e-3)
    assert float(u.mean(0).abs().max()) < 0.02


def test_points_of_the_ball_come_in_any_batch_from_the_source_only():
    assert in_ball((), 3, 2).shape == (3,)
    assert in_ball((2, 0), 3, 1).shape == (2, 0, 3)
    assert in_ball((2,), 3, 1, dtype=torch.float32).dtype == torch.float32
    assert torch.equal(in_ball((4,), 3, 1, generator=source()), in_ball((4,), 3, 1, generator=source()))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: discretise([1.0], 2), TypeError, "A is a list"),
        (lambda: discretise(torch.ones(2), -1), ValueError, "bits is -1; it must be between 0 and 1000"),
        (
            lambda: discretise(torch.ones(2), 2, rounding="up"),
            ValueError,
            "rounding is 'up'; it must be one of",
        ),
        (
            lambda: discretise(torch.ones(2), 200),
            ValueError,
            r"A times 2 \*\* bits is too large for torch.float32",
        ),
        (lambda: discretise(torch.tensor([math.inf]), 2), ValueError, "A holds NaN or infinite entries"),
        (lambda: orthonormal_rows(torch.ones(2)), ValueError, r"A has shape \(2,\); it must be a matrix"),
        (
            lambda: orthonormal_rows(torch.ones(3, 2)),
            ValueError,
            "A has 3 rows of length 2; its rows must be",
        ),
        (lambda: orthonormal_rows(torch.ones(2, 3)), ValueError, "A has linearly dependent rows"),
        (
            lambda: orthonormal_rows(normal(2, 9).T @ normal(2, 9)),
            ValueError,
            "A has linearly dependent rows",
        ),
        (lambda: orthonormal_rows(torch.zeros(1, 3)), ValueError, "A has linearly dependent rows"),
        (lambda: in_ball(3, 2, 1), TypeError, "batch is 3; it must be a sequence"),
        (lambda: in_ball((-1,), 2, 1), ValueError, "batch is -1; it must be at least 0"),
        (lambda: in_ball((1,), 0, 1), ValueError, "n is 0; it must be at least 1"),
        (lambda: in_ball((1,), 2, 3), ValueError, "p is 3; it must be between 1 and 2"),
        (lambda: in_ball((1,), 2, 1, generator=1), TypeError, "generator is a int"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
