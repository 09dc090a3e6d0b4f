"""The expected risk, its gradient and its Hessian: drawn networks, differences, printed formulas, zeros."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.generators import RandomReLU
from gsl_utils.landscape import (
    angle_map,
    expected_gradient,
    expected_hessian,
    expected_risk,
    phase_retrieval_rho,
    rho,
)
from gsl_utils.sensing import gaussian_matrix

CASES = [(d, loss, leak) for d in (1, 2, 5) for loss in ("linear", "amplitude") for leak in (0.0, 0.3)]


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def printed_field(z, z_true, d):
    """Hand and Voroninski's h, term by term, for one vector."""
    angle = [torch.acos((z @ z_true) / (z.norm() * z_true.norm()))]
    for _ in range(d):
        angle.append(angle_map(angle[-1]))
    share = [(math.pi - theta) / math.pi for theta in angle]
    sines = sum(torch.sin(angle[i]) / math.pi * math.prod(share[i + 1 : d]) for i in range(d))
    scaled = sines * z_true.norm() / z.norm()
    return (-math.prod(share[:d]) * z_true + z - scaled * z) / 2**d


def printed_amplitude_field(z, z_true, d):
    """That of the phase retrieval papers, with the corrected signs."""
    linear = printed_field(z, z_true, d)
    theta = torch.acos((z @ z_true) / (z.norm() * z_true.norm()))
    for _ in range(d):
        theta = angle_map(theta)
    share = (math.pi - 2 * theta) / math.pi
    inward = z - 2**d * linear
    return (z - share * inward - 2 * torch.sin(theta) / math.pi * z_true.norm() * z / z.norm()) / 2**d


def central(function, z, h=1e-5):
    """Derivatives along every coordinate, the last dimension."""
    unit = torch.eye(z.shape[-1], dtype=z.dtype)
    return torch.stack([(function(z + h * e) - function(z - h * e)) / (2 * h) for e in unit], -1)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_the_field_is_the_printed_one(d):
    z, z_true = normal(6, 3, seed=1), normal(3, seed=2)
    found = expected_gradient(z, z_true, d), expected_gradient(z, z_true, d, loss="amplitude")
    for i in range(len(z)):
        torch.testing.assert_close(found[0][i], printed_field(z[i], z_true, d), rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(
            found[1][i], printed_amplitude_field(z[i], z_true, d), rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize(("d", "loss", "leak"), CASES)
def test_the_field_is_the_gradient_of_the_risk_and_the_hessian_that_of_the_field(d, loss, leak):
    z, z_true = normal(5, 4, seed=3), normal(5, 4, seed=4)
    energy = ((1 + leak**2) / 2) ** d
    slope = central(lambda u: expected_risk(u, z_true, d, loss=loss, leak=leak), z)
    torch.testing.assert_close(
        expected_gradient(z, z_true, d, loss=loss, leak=leak), slope, rtol=0, atol=1e-9 * energy
    )
    if loss == "linear":
        bend = central(lambda u: expected_gradient(u, z_true, d, leak=leak), z)
        torch.testing.assert_close(
            expected_hessian(z, z_true, d, leak=leak), bend, rtol=0, atol=1e-8 * energy
        )


@pytest.mark.parametrize("loss", ["linear", "amplitude"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_field_is_the_mean_of_gradients_of_drawn_networks(d, loss):
    networks, m = 40, 300
    z, z_true = normal(3, 3, seed=5), normal(3, seed=6)
    gradients = []
    for seed in range(networks):
        source = torch.Generator().manual_seed(seed)
        G = RandomReLU((3, 400, 500, 600)[: d + 1], generator=source)
        A = gaussian_matrix(m, G.n, generator=source)
        u = z.clone().requires_grad_(True)
        seen, true = G(u) @ A.T, G(z_true) @ A.T
        misfit = seen - true if loss == "linear" else seen.abs() - true.abs()
        (slope,) = torch.autograd.grad(misfit.square().sum() / 2, u)
        gradients.append(slope)
    mean, spread = torch.stack(gradients).mean(0), torch.stack(gradients).std(0) / networks**0.5
    field = expected_gradient(z, z_true, d, loss=loss)
    # Layers of some hundreds are not the limit of wide ones: hence the second summand.
    assert bool(((mean - field).abs() < 4 * spread + 0.01 * 2.0**-d).all())
    assert bool((spread < 0.06 * 2.0**-d).all())
    assert float((mean - expected_gradient(z, z_true, d + 1, loss=loss)).abs().max()) > 0.3 * 2.0**-d


@pytest.mark.parametrize("leak", [0.0, 0.5])
def test_one_layer_is_exact_at_every_width(leak):
    z, z_true, width = normal(4, 3, seed=7), normal(3, seed=8), 2
    W = normal(20_000, width, 3, seed=9) / width**0.5
    there, here = (torch.nn.functional.leaky_relu(u @ W.mT, leak) for u in (z, z_true.expand(1, 3)))
    risks = (there - here).square().sum(-1) / 2
    spread = risks.std(0) / len(risks) ** 0.5
    assert bool(((risks.mean(0) - expected_risk(z, z_true, 1, leak=leak)).abs() < 4 * spread).all())
    assert bool((spread < 0.02 * risks.mean(0)).all())


@pytest.mark.parametrize("d", [1, 2, 3, 10, 50])
def test_the_zeros(d):
    z_true = normal(5, 7, seed=9)
    for loss, multiple in (("linear", rho(d)), ("amplitude", phase_retrieval_rho(d))):
        for zero in (z_true, -multiple * z_true, torch.zeros_like(z_true)):
            field = expected_gradient(zero, z_true, d, loss=loss)
            assert float((2.0**d * field).norm(dim=-1).max()) < 1e-14 * float(z_true.norm(dim=-1).max())
        off = expected_gradient(-2 * multiple * z_true, z_true, d, loss=loss) * 2.0**d
        torch.testing.assert_close(off, -multiple * z_true, rtol=1e-12, atol=1e-14)


@given(st.integers(1, 6), st.integers(0, 99), st.sampled_from(["linear", "amplitude"]))
def test_nowhere_else_does_the_field_vanish(d, seed, loss):
    z_true = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    multiple = rho(d) if loss == "linear" else phase_retrieval_rho(d)
    z = 2 * normal(50, 3, seed=seed)
    zeros = torch.stack([z_true, -multiple * z_true, 0 * z_true])
    distance = (z.unsqueeze(1) - zeros).norm(dim=-1).amin(-1)
    norm = (expected_gradient(z, z_true, d, loss=loss) * 2.0**d).norm(dim=-1)
    assert bool((norm[distance > 0.05] > 1e-6).all())


@pytest.mark.parametrize("loss", ["linear", "amplitude"])
def test_near_the_signal_the_risk_keeps_its_digits(loss):
    z_true = normal(4, seed=10)
    step = 1e-9 * normal(4, seed=11)
    risk = expected_risk(z_true + step, z_true, 2, loss=loss)
    torch.testing.assert_close(risk, step.square().sum() / 8, rtol=1e-5, atol=0)
    assert expected_risk(z_true, z_true, 2, loss=loss) == 0


def test_at_the_negative_multiple_only_the_axis_is_curved():
    z_true = normal(5, seed=12)
    axis = z_true / z_true.norm()
    for d in (2, 3, 10):
        hessian = expected_hessian(-rho(d) * z_true, z_true, d) * 2.0**d
        torch.testing.assert_close(hessian, torch.outer(axis, axis), rtol=0, atol=1e-14)
        at_signal = expected_hessian(z_true, z_true, d) * 2.0**d
        torch.testing.assert_close(at_signal, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-14)


def test_units_and_batches():
    z, z_true = normal(3, 1, 2, seed=13), normal(4, 2, seed=14)
    field, risk = expected_gradient(z, z_true, 2), expected_risk(z, z_true, 2)
    assert (field.shape, risk.shape) == ((3, 4, 2), (3, 4))
    assert expected_hessian(z, z_true, 2).shape == (3, 4, 2, 2)
    torch.testing.assert_close(field[1, 2], expected_gradient(z[1, 0], z_true[2], 2), rtol=1e-15, atol=0)
    factor = 2.0**400
    assert torch.equal(expected_gradient(factor * z, factor * z_true, 2), factor * field)
    assert torch.equal(expected_risk(factor * z, factor * z_true, 2), factor**2 * risk)
    torch.testing.assert_close(expected_gradient(z, 0 * z_true, 2), z.expand(3, 4, 2) / 4)
    assert expected_gradient(z.float(), z_true.float(), 2).dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda z: expected_risk([1.0], z, 2), TypeError, "z is a list"),
        (lambda z: expected_risk(z, z.float(), 2), TypeError, "z has dtype torch.float64 and z_true"),
        (lambda z: expected_risk(z, z[:1], 2), ValueError, "their last dimensions must be the same"),
        (lambda z: expected_risk(z.expand(3, 2), z.expand(2, 2), 2), ValueError, "must broadcast"),
        (lambda z: expected_risk(z, z, 0), ValueError, "d is 0; it must be at least 1"),
        (lambda z: expected_risk(z, z, 2, loss="phase"), ValueError, "loss is 'phase'; it must be one of"),
        (lambda z: expected_risk(1e300 * z, z, 2), ValueError, "the expected risk is too large"),
        (lambda z: expected_gradient(z * torch.nan, z, 2), ValueError, "z holds NaN"),
        (lambda z: expected_gradient(z, z, 2, leak=2), ValueError, "leak is 2; it must be at most 1"),
        (lambda z: expected_hessian(0 * z, z, 2), ValueError, "z has a row of zeros"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.tensor([1.0, 2.0], dtype=torch.float64))
