"""All critical points of networks with two latent dimensions, beside a fine circle and beside descents."""

import math

import pytest
import torch

from gsl_utils.generators import RandomReLU
from gsl_utils.landscape import planar_critical_points, rho
from gsl_utils.recovery import recover
from gsl_utils.sensing import gaussian_matrix


def drawn(widths, seed, m=None):
    draw = torch.Generator().manual_seed(seed)
    G = RandomReLU(widths, generator=draw)
    z_true = torch.randn(2, generator=draw, dtype=torch.float64)
    A = None if m is None else gaussian_matrix(m, G.n, generator=draw)
    y = G(z_true).detach()
    return G, z_true, y if A is None else A @ y, A


def on_a_circle(G, y, A, count=40_000):
    """Angles where the best risk of a ray is lower, or higher, than beside: by brute force."""
    angle = torch.linspace(-math.pi, math.pi, count + 1, dtype=torch.float64)[:-1]
    x = G(torch.stack([angle.cos(), angle.sin()], -1)).detach()
    x = x if A is None else x @ A.T
    fit = (x @ y).clamp(min=0).square() / x.square().sum(-1)
    before, after = fit.roll(1), fit.roll(-1)
    return angle[(fit > before) & (fit > after)], angle[(fit < before) & (fit < after) & (fit > 0)]


@pytest.mark.parametrize(
    ("widths", "m"), [((2, 30), None), ((2, 12, 40), None), ((2, 12, 40), 25), ((2, 12, 20, 60), None)]
)
def test_they_are_those_of_a_fine_circle(widths, m):
    seen = 0
    for seed in range(6):
        G, z_true, y, A = drawn(widths, seed, m)
        found = planar_critical_points(G, y, A=A)
        angle = torch.atan2(found.z[:, 1], found.z[:, 0])
        assert torch.equal(angle, angle.sort().values)
        for mine, circle in zip(
            (angle[~found.saddle], angle[found.saddle]), on_a_circle(G, y, A), strict=True
        ):
            assert len(mine) == len(circle), seed
            torch.testing.assert_close(mine, circle, rtol=0, atol=2e-4)
            seen += len(mine)
        at_signal = (found.z - z_true).norm(dim=-1).argmin()
        torch.testing.assert_close(found.z[at_signal], z_true, rtol=1e-10, atol=1e-12)
        assert not bool(found.saddle[at_signal] | found.kink[at_signal])
        assert float(found.risk[at_signal]) < 1e-25
    # One layer has the signal alone.
    assert seen == 6 if len(widths) == 2 else seen > 6


def test_smooth_ones_have_no_gradient_and_minima_no_way_down():
    for seed in range(5):
        G, _, y, A = drawn((2, 20, 80), seed, 60)
        found = planar_critical_points(G, y, A=A)
        z = found.z.clone().requires_grad_(True)
        risk = (G(z) @ A.T - y).square().sum(-1)
        (gradient,) = torch.autograd.grad(risk.sum(), z)
        torch.testing.assert_close(risk.detach(), found.risk, rtol=1e-12, atol=1e-25)
        smooth = ~found.kink
        assert float(gradient[smooth].norm(dim=-1).max()) < 1e-12 * float(y.square().sum())
        assert bool(found.kink[found.saddle].all())
        turn = torch.linspace(0, 2 * math.pi, 17, dtype=torch.float64)[:-1]
        around = found.z.unsqueeze(1) + 1e-6 * torch.stack([turn.cos(), turn.sin()], -1)
        beyond = found.z.unsqueeze(1) * torch.tensor([0.999, 1.001], dtype=torch.float64).view(2, 1)
        change, along = (
            (G(z).detach() @ A.T - y).square().sum(-1) - found.risk.unsqueeze(-1) for z in (around, beyond)
        )
        assert bool((change[~found.saddle] > -1e-15).all())
        assert bool((change[found.saddle].amin(-1) < -1e-12).all())
        assert bool((along > 0).all())


def test_minima_and_saddles_alternate_and_one_saddle_more_is_near_the_negative_multiple():
    odd = 0
    for seed in range(10):
        G, z_true, *_ = drawn((2, 64, 512), seed)
        z_true = z_true / z_true.norm()
        found = planar_critical_points(G, G(z_true).detach())
        assert bool((found.saddle != found.saddle.roll(1)).all())
        near = (found.z + rho(2) * z_true).norm(dim=-1) < 0.3
        odd += int(found.saddle[near].sum()) == int((~found.saddle[near]).sum()) + 1
    assert odd >= 8


def test_a_descent_ends_at_one_of_them():
    for seed in range(4):
        G, _, y, A = drawn((2, 30, 120), seed, 100)
        found = planar_critical_points(G, y, A=A)
        z0 = torch.randn(10, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        ended = recover(G, A, y.expand(10, -1), method="gd", z0=z0, steps=200)
        minima = found.z[~found.saddle]
        distance = (ended.z.unsqueeze(1) - minima).norm(dim=-1).amin(-1)
        assert bool(ended.converged.any())
        assert float(distance[ended.converged].max()) < 1e-4


def test_what_the_network_never_shows_has_no_points():
    G, _, y, _ = drawn((2, 6, 8), 0)
    assert len(planar_critical_points(G, -1 - y).z) == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda G, y: planar_critical_points(torch.relu, y), TypeError, "it must be a RandomReLU"),
        (
            lambda G, y: planar_critical_points(RandomReLU((3, 8)), y),
            ValueError,
            "latent_dim 3; it must be 2",
        ),
        (
            lambda G, y: planar_critical_points(G, y.expand(2, -1)),
            ValueError,
            r"it must be \(m,\), one signal",
        ),
        (lambda G, y: planar_critical_points(G, y[:4]), ValueError, "y has 4 entries; without A .* have 8"),
        (lambda G, y: planar_critical_points(G, y.float()), TypeError, "y has dtype torch.float32 and"),
        (lambda G, y: planar_critical_points(G, y, A=torch.eye(9).double()), ValueError, "y has shape"),
        (
            lambda G, y: planar_critical_points(G, y, A=torch.eye(8, 9).double()),
            ValueError,
            r"A has shape \(8, 9\); it must be \(8, 8\)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    G, _, y, _ = drawn((2, 6, 8), 0)
    with pytest.raises(error, match=message):
        call(G, y)
