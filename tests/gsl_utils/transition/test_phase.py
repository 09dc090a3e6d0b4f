"""Weak threshold and statistical dimension against quadrature, a maximum formula, and the cone itself."""

from __future__ import annotations

import mpmath as mp
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.transition import l1_statistical_dimension, weak_threshold

SHARES = [1e-6, 1e-3, 0.05, 0.3, 0.7, 0.999]


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("share", SHARES)
def test_statistical_dimension_by_quadrature(share: float) -> None:
    with mp.workdps(30):
        s = mp.mpf(share)

        def inside(tau: mp.mpf) -> mp.mpf:
            excess = mp.quad(lambda g: (g - tau) ** 2 * mp.npdf(g), [tau, tau + 2, tau + 8, mp.inf])
            return s * (1 + tau**2) + (1 - s) * 2 * excess

        def slope(tau: mp.mpf) -> mp.mpf:
            excess = mp.quad(lambda g: (g - tau) * mp.npdf(g), [tau, tau + 2, tau + 8, mp.inf])
            return s * tau - (1 - s) * 2 * excess

        tau = mp.findroot(slope, (mp.mpf(0), mp.mpf(7)), solver="anderson", tol=1e-25)
        expected = float(inside(tau))
    assert float(l1_statistical_dimension(tensor(share))[0]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("delta", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_weak_threshold_by_the_maximum_formula(delta: float) -> None:
    # Donoho, Maleki and Montanari (2009): the largest share whose thresholding risk stays below delta.
    with mp.workdps(30):
        d = mp.mpf(delta)

        def ratio(z: mp.mpf) -> mp.mpf:
            tail = (1 + z**2) * mp.ncdf(-z) - z * mp.npdf(z)
            return (1 - 2 / d * tail) / (1 + z**2 - 2 * tail)

        best = max((mp.mpf(i) / 200 for i in range(1, 1200)), key=ratio)
        low, high = best - mp.mpf(1) / 200, best + mp.mpf(1) / 200
        for _ in range(100):  # the maximum is inside: shrink by thirds
            a, b = low + (high - low) / 3, high - (high - low) / 3
            low, high = (a, high) if ratio(a) < ratio(b) else (low, b)
        expected = float(ratio(low))
    assert float(weak_threshold(tensor(delta))[0]) == pytest.approx(expected, rel=1e-10)


def test_the_cone_itself() -> None:
    # Mean squared distance of Gaussian vectors to the cone of the l1 norm's subgradients at a k-sparse x.
    n, k, draws = 2000, 200, 400
    g = torch.randn(draws, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    free = g[:, k:].abs().sort(dim=-1, descending=True).values
    count = torch.arange(1, n - k + 1, dtype=torch.float64)
    # For each number of clipped entries the best tau is explicit; the right one falls between entries.
    tau = (g[:, :k].sum(-1, keepdim=True) + free.cumsum(-1)) / (k + count)
    clipped = (free > tau).sum(-1, keepdim=True)
    tau = tau.gather(-1, clipped - 1)
    distance = (g[:, :k] - tau).square().sum(-1) + (free - tau).clamp_min(0).square().sum(-1)
    mean, error = float(distance.mean()), float(distance.std() / draws**0.5)
    expected = n * float(l1_statistical_dimension(tensor(k / n))[0])
    assert error < 0.005 * expected
    assert abs(mean - expected) < 4 * error + 2  # the minimum over tau per draw costs O(1) of n psi


@given(st.floats(1e-4, 1.0))
def test_the_two_are_one_curve(delta: float) -> None:
    d = tensor(delta)
    torch.testing.assert_close(l1_statistical_dimension(weak_threshold(d) * d), d, rtol=1e-9, atol=0)


def test_both_increase_between_their_ends() -> None:
    grid = torch.linspace(1e-3, 1, 400, dtype=torch.float64)
    for function in (l1_statistical_dimension, weak_threshold):
        values = function(grid)
        assert bool((values.diff() > 0).all())
        assert float(values[-1]) == 1.0
    assert float(l1_statistical_dimension(tensor(0.0))[0]) == 0.0


def test_shape_is_kept() -> None:
    assert weak_threshold(torch.full((2, 3), 0.5, dtype=torch.float64)).shape == (2, 3)


@pytest.mark.parametrize("function", [l1_statistical_dimension, weak_threshold])
def test_bad_input(function: object) -> None:
    name = "share" if function is l1_statistical_dimension else "delta"
    with pytest.raises(TypeError, match=f"{name} is a float"):
        function(0.5)  # type: ignore[operator]
    with pytest.raises(TypeError, match=f"{name} has dtype torch.float32"):
        function(torch.tensor([0.5]))  # type: ignore[operator]
    for bad in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"{name} ranges from"):
            function(tensor(bad))  # type: ignore[operator]
    with pytest.raises(ValueError, match=f"{name} holds NaN"):
        function(tensor(float("nan")))  # type: ignore[operator]


def test_zero_measurements_have_no_threshold() -> None:
    with pytest.raises(ValueError, match=r"delta ranges from 0\.0"):
        weak_threshold(tensor(0.0))


@pytest.mark.parametrize("curve", [l1_statistical_dimension, weak_threshold])
def test_curves_carry_no_graph_and_refuse_what_is_no_dense_double(curve):
    share = torch.tensor([0.2, 0.5], dtype=torch.float64)
    assert not curve(share.clone().requires_grad_()).requires_grad
    for bad, words in [
        (share.half(), "has dtype torch.float16"),
        (share.to_sparse(), "is a sparse_coo tensor"),
    ]:
        with pytest.raises(TypeError, match=words):
            curve(bad)
