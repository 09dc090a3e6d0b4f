"""What a small step moves, beside a loop over units; the vanishing multiple beside the gradient itself."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.landscape import (
    expected_gradient,
    expected_risk,
    moved_units,
    rho,
    undisturbed_radius,
    vanishing_multiple,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.integers(0, 99), st.sampled_from([0.0, 0.3]), st.floats(1e-3, 10))
def test_units_are_counted_as_one_by_one(seed, leak, size):
    W, z, step = normal(9, 3, seed=seed), normal(2, 3, seed=seed + 1), size * normal(2, 3, seed=seed + 2)
    active, silent = moved_units(W, z, step, leak=leak)

    def unit(t):
        return t if t > 0 else leak * t

    for i in range(2):
        before = [float(w @ z[i]) for w in W]
        moved = [unit(float(w @ (z[i] + step[i]))) != unit(b) for w, b in zip(W, before, strict=True)]
        assert int(active[i]) == sum(m for m, b in zip(moved, before, strict=True) if b > 0)
        assert int(silent[i]) == sum(m for m, b in zip(moved, before, strict=True) if b <= 0)


@given(st.integers(0, 99), st.integers(2, 9))
def test_a_small_step_wakes_no_silent_unit(seed, k):
    W, z = normal(40, k, seed=seed), normal(20, k, seed=seed + 1)
    direction = torch.nn.functional.normalize(normal(20, k, seed=seed + 2), dim=-1)
    step = 0.999 * undisturbed_radius(W, z).unsqueeze(-1) * direction
    active, silent = moved_units(W, z, step)
    assert not bool(silent.any())
    assert torch.equal(active, (z @ W.mT > 0).sum(-1))
    assert bool((moved_units(W, z, step, leak=0.5)[1] == (z @ W.mT <= 0).sum(-1)).all())


def test_a_step_just_beyond_the_radius_switches_one_unit():
    W, z = normal(40, 3, seed=3), normal(3, seed=4)
    radius = undisturbed_radius(W, z)
    nearest = ((W @ z).abs() / W.norm(dim=-1)).argmin()
    w = W[nearest] / W[nearest].norm()
    step = -(w @ z) * w
    for factor, switched in ((0.999, 0), (1.001, 1)):
        changed = ((W @ z > 0) != (W @ (z + factor * step) > 0)).sum()
        assert int(changed) == switched
    torch.testing.assert_close(step.norm(), radius, rtol=1e-12, atol=0)


@pytest.mark.parametrize("d", [2, 3, 5])
@pytest.mark.parametrize("leak", [0.0, 0.02])
def test_the_gradient_along_the_active_units_vanishes_there_alone(d, leak):
    W, z_true = normal(60, 4, seed=5) / 60**0.5, normal(4, seed=6)
    c = vanishing_multiple(W, z_true, d, leak=leak)

    def first(z):
        return torch.nn.functional.leaky_relu(W @ z, leak)

    def along(multiple):
        a, b = first(-multiple * z_true), first(z_true)
        gradient = expected_gradient(a, b, d - 1, leak=leak)
        return a, gradient, float(gradient @ a) / float(a.norm() * b.norm())

    a, gradient, slope = along(c)
    assert abs(slope) < 1e-15
    if leak == 0:
        assert float(gradient[a > 0].abs().max()) < 1e-15
        assert float(gradient[a == 0].abs().max()) > 1e-3
    multiples = torch.linspace(0.01, 2, 200, dtype=torch.float64)
    signs = [along(m)[2] > 0 for m in multiples]
    assert signs == [bool(m > c) for m in multiples]


def test_it_is_where_the_risk_along_the_first_layer_is_smallest():
    W, z_true = normal(30, 3, seed=7), normal(3, seed=8)
    a, b = torch.relu(-W @ z_true), torch.relu(W @ z_true)
    c = torch.linspace(0.05, 1, 20_000, dtype=torch.float64)
    risk = expected_risk(c.unsqueeze(-1) * a, b, 2)
    assert abs(float(c[risk.argmin()]) - float(vanishing_multiple(W, z_true, 3))) < 1e-4


def test_wide_layers_bring_it_to_rho_and_a_strong_leak_to_nowhere():
    W, z_true = normal(200_000, 3, seed=9), normal(5, 3, seed=10)
    found = vanishing_multiple(W, z_true, 2)
    assert float((found - 1 / math.pi).abs().max()) < 0.003
    assert float((vanishing_multiple(W, z_true, 4) - rho(4)).abs().max()) < 0.006
    assert bool((vanishing_multiple(W, z_true, 2, leak=0.5) == 0).all())
    assert vanishing_multiple(torch.ones(1, 1), torch.ones(1), 2) == torch.inf


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda W, z: moved_units(W, z, z[:1]), ValueError, "z has shape .* and step"),
        (lambda W, z: moved_units(W, z[:2], z[:2]), ValueError, "z has shape .* last dimension of z must be"),
        (lambda W, z: moved_units(W.expand(2, 5, 3), z, z), ValueError, "it must be a single matrix"),
        (lambda W, z: moved_units(W, z, z, leak=-1), ValueError, "leak is -1; it must be at least 0"),
        (lambda W, z: undisturbed_radius(W.float(), z), TypeError, "z has dtype torch.float64 and W"),
        (lambda W, z: vanishing_multiple(W, z, 1), ValueError, "d is 1; it must be at least 2"),
        (lambda W, z: vanishing_multiple(W, "z", 2), TypeError, "z_true is a str"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(normal(5, 3), normal(3))
