"""The angle map and the multiples, beside arithmetic with sixty digits, the printed sums and drawn layers."""

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.landscape import angle_map, phase_retrieval_rho, rho
from gsl_utils.landscape.angles import between, layered

mpmath.mp.dps = 60  # an arccosine near 1 loses half of them


def mapped(theta):
    return mpmath.acos(((mpmath.pi - theta) * mpmath.cos(theta) + mpmath.sin(theta)) / mpmath.pi)


def check_angles(depth):
    angles = [mpmath.pi]
    for _ in range(depth):
        angles.append(mapped(angles[-1]))
    return angles


def printed_sums(angles):
    """Hand and Voroninski's sum for 1, 2, ... layers, term by term."""
    sines = [mpmath.sin(theta) / mpmath.pi for theta in angles]
    shares = [(mpmath.pi - theta) / mpmath.pi for theta in angles]
    for d in range(1, len(angles)):
        total, tail = mpmath.mpf(0), mpmath.mpf(1)
        for i in reversed(range(d)):
            total, tail = total + sines[i] * tail, tail * shares[i]
        yield d, total


def test_the_angle_map_has_a_small_relative_error_everywhere():
    small = torch.logspace(-15, 0, 60, dtype=torch.float64)
    theta = torch.cat([small, torch.linspace(0.01, 3.14, 200, dtype=torch.float64), math.pi - small])
    found = angle_map(theta)
    for before, after in zip(theta.tolist(), found.tolist(), strict=True):
        exact = mapped(mpmath.mpf(before))
        assert abs(after - exact) <= 1e-15 * exact, before


@pytest.mark.parametrize("leak", [0.0, 0.3, 1.0])
def test_the_angle_map_is_what_wide_layers_do(leak):
    source = torch.Generator().manual_seed(1)
    theta = torch.tensor([0.0, 0.4, 1.5, 2.8, math.pi], dtype=torch.float64)
    W = torch.randn(400_000, 2, generator=source, dtype=torch.float64)
    x = torch.stack([theta.cos(), theta.sin()], -1)
    x = torch.nn.functional.leaky_relu(W @ x.T, leak)
    x = x / x.norm(dim=0)
    torch.testing.assert_close(x[:, 0] @ x, angle_map(theta, leak=leak).cos(), rtol=0, atol=5e-3)


@given(st.floats(0, math.pi), st.floats(0, 0.99))
def test_angles_shrink_and_a_leak_lies_between_both(theta, leak):
    theta = torch.tensor(theta, dtype=torch.float64)
    found = angle_map(theta, leak=leak)
    assert angle_map(theta) <= found + 1e-15
    assert found <= theta + 1e-15
    assert torch.equal(angle_map(theta, leak=0), angle_map(theta))


def test_rho_is_the_printed_sum_and_the_cosine_to_twelve_digits():
    angles = check_angles(100)
    for d, printed in printed_sums(angles):
        assert abs(rho(d) - printed) < 1e-14, d
        assert abs(rho(d) - mpmath.cos(angles[d])) < 1e-14, d
    assert rho(1) == 0
    assert abs(rho(2) - 1 / math.pi) < 1e-15


def test_rho_tends_to_one_as_its_angles_are_bounded():
    for d in (1, 2, 10, 300):
        low, high = math.pi / (d + 1), 3 * math.pi / (d + 3)
        assert math.cos(high) <= rho(d) + 1e-15
        assert rho(d) <= math.cos(low) + 1e-15


def test_the_phase_retrieval_multiple_to_twelve_digits_and_its_misprint():
    angles = check_angles(100)
    for d, linear in printed_sums(angles):
        theta = angles[d]
        first = 2 * mpmath.sin(theta) / mpmath.pi
        rest = (mpmath.pi - 2 * theta) / mpmath.pi * linear
        assert abs(phase_retrieval_rho(d) - (first + rest)) < 1e-14, d
        assert (rest - first < 0) == (d <= 6), d
    assert abs(phase_retrieval_rho(1) - 2 / math.pi) < 1e-15


def test_the_phase_retrieval_multiple_is_the_mean_of_two_absolute_values():
    source = torch.Generator().manual_seed(2)
    a = torch.randn(2_000_000, 2, generator=source, dtype=torch.float64)
    c = rho(3)
    product = (a[:, 0] * (c * a[:, 0] + math.sqrt(1 - c**2) * a[:, 1])).abs()
    assert abs(float(product.mean()) - phase_retrieval_rho(3)) < 4 * float(product.std()) / 2e6**0.5


@pytest.mark.parametrize("leak", [0.0, 0.2])
def test_turn_and_bend_are_derivatives(leak):
    theta = torch.linspace(0.05, 3.0, 30, dtype=torch.float64)
    h = 1e-5
    for d in (1, 2, 5):
        at, above, below = (layered(theta + s, d, leak) for s in (0, h, -h))
        slope = (above.cosine - below.cosine) / (2 * h)
        torch.testing.assert_close(-at.turn * theta.sin(), slope, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(at.bend, (above.turn - below.turn) / (2 * h), rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(at.cosine, at.angle.cos(), rtol=0, atol=1e-15)


def test_an_angle_between_vectors_is_exact_where_an_arccosine_loses_digits():
    tilt = torch.logspace(-12, -1, 12, dtype=torch.float64)
    u = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(12, 2)
    v = torch.stack([tilt.cos(), tilt.sin()], -1)
    torch.testing.assert_close(between(u, v), tilt, rtol=1e-12, atol=0)
    torch.testing.assert_close(math.pi - between(u, -v), tilt, rtol=1e-3, atol=0)


def test_single_precision_and_shapes():
    theta = torch.tensor([[0.0, 1.0], [2.0, torch.pi]])
    assert angle_map(theta).dtype == torch.float32
    torch.testing.assert_close(angle_map(theta).double(), angle_map(theta.double().clamp(max=math.pi)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: angle_map(1.0), TypeError, "theta is a float; it must be a torch.Tensor"),
        (
            lambda: angle_map(torch.tensor([0.1, -0.5])),
            ValueError,
            r"theta has the entry -0.5; .* in \[0, pi\]",
        ),
        (lambda: angle_map(torch.tensor([3.2])), ValueError, "theta has the entry 3.2"),
        (lambda: angle_map(torch.tensor([1.0]), leak=1.5), ValueError, "leak is 1.5; it must be at most 1"),
        (
            lambda: angle_map(torch.tensor([1.0]), leak=-0.1),
            ValueError,
            "leak is -0.1; it must be at least 0",
        ),
        (lambda: rho(0), ValueError, "d is 0; it must be at least 1"),
        (lambda: rho(2.0), TypeError, "d is 2.0; it must be an integer"),
        (lambda: phase_retrieval_rho(0), ValueError, "d is 0; it must be at least 1"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
