"""The saddle: its expansion beside differences of the risk, its escape beside a flow of small steps."""

import math

import numpy as np
import pytest
import torch

from gsl_utils.landscape import (
    angle_map,
    escape_time,
    expected_gradient,
    expected_hessian,
    expected_risk,
    rho,
    saddle_expansion,
)


def axis_and_across(d, leak):
    axis = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    across = torch.tensor([0.48, 0.8, -0.36], dtype=torch.float64)
    energy = ((1 + leak**2) / 2) ** d
    point = -rho(d, leak=leak) * axis
    return axis, across, point, lambda z: expected_risk(z, axis, d, leak=leak) / energy


@pytest.mark.parametrize("leak", [0.0, 0.1])
@pytest.mark.parametrize("d", [2, 3, 6])
def test_the_expansion_is_that_of_the_risk(d, leak):
    axis, across, point, risk = axis_and_across(d, leak)
    found = saddle_expansion(d, leak=leak)
    a = torch.tensor([-0.1, 0.1], dtype=torch.float64).unsqueeze(-1) * axis
    rise = risk(point + a) - risk(point)
    torch.testing.assert_close(rise, torch.full_like(rise, 0.005), rtol=1e-9, atol=0)
    # Both sides across the axis alike, and the first term that is left out is of the fourth order.
    for t in (3e-3, -3e-3):
        change = float(risk(point + t * across) - risk(point))
        cube = found.curvature * t**2 / 2 - found.cubic * abs(t) ** 3
        assert abs(change - cube) < 30 * t**4 / found.rho**2, t
        assert abs(cube) > 300 * abs(change - cube) or leak == 0
    assert found.rho == rho(d, leak=leak)
    assert found.cubic > 0
    assert (found.curvature == 0) if leak == 0 else (found.curvature < -0.01)


@pytest.mark.parametrize("d", [2, 3, 6])
def test_the_cubic_term_in_its_closed_form(d):
    theta, share = torch.tensor(math.pi, dtype=torch.float64), 1.0
    for _ in range(d - 1):
        theta = angle_map(theta)
        share *= 1 - float(theta) / math.pi
    found = saddle_expansion(d)
    assert abs(found.cubic - share / (3 * math.pi * rho(d) ** 2)) < 1e-14
    assert abs(3 * found.rho * found.cubic * math.pi * rho(d) / share - 1) < 1e-14


@pytest.mark.parametrize("leak", [0.0, 0.1])
@pytest.mark.parametrize("d", [2, 5])
def test_the_curvatures_are_those_of_the_hessian(d, leak):
    axis, across, point, _ = axis_and_across(d, leak)
    hessian = expected_hessian(point, axis, d, leak=leak) / ((1 + leak**2) / 2) ** d
    found = saddle_expansion(d, leak=leak)
    torch.testing.assert_close(hessian @ axis, axis, rtol=0, atol=1e-14)
    torch.testing.assert_close(hessian @ across, found.curvature * across, rtol=0, atol=1e-13)


def time_of_small_steps(angle, d, leak, until, dt=0.05):
    """The flow by Runge and Kutta's method, in three dimensions, with the closed form of the gradient."""
    axis, across, _, _ = axis_and_across(d, leak)
    z = rho(d, leak=leak) * (math.sin(angle) * across - math.cos(angle) * axis)
    energy, t, before = ((1 + leak**2) / 2) ** d, 0.0, angle

    def flow(z):
        return -expected_gradient(z, axis, d, leak=leak) / energy

    while True:
        k1 = flow(z)
        k2 = flow(z + dt / 2 * k1)
        k3 = flow(z + dt / 2 * k2)
        z = z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + flow(z + dt * k3))
        after = math.atan2(float(z @ across), -float(z @ axis))
        if after >= until:
            return t + dt * (until - before) / (after - before)
        t, before = t + dt, after


@pytest.mark.parametrize(("d", "leak"), [(2, 0.0), (2, 0.1)])
def test_the_time_is_that_of_the_flow(d, leak):
    angle = torch.tensor([0.4, 0.9], dtype=torch.float64)
    found = escape_time(angle, d, leak=leak)
    steps = [time_of_small_steps(float(a), d, leak, math.pi / 2) for a in angle]
    torch.testing.assert_close(found, torch.tensor(steps, dtype=torch.float64), rtol=2e-4, atol=0)


def test_the_error_falls_with_the_square_of_the_intervals():
    # From afar the length has far to go, from nearby it only follows.
    angle = torch.tensor([0.5, 1e-3], dtype=torch.float64)
    exact, fine, coarse = (escape_time(angle, 3, intervals=count) for count in (3000, 400, 200))
    ratio = (coarse - exact) / (fine - exact)
    assert bool(((ratio > 3.3) & (ratio < 5)).all())
    assert float((fine / exact - 1).abs().max()) < 1e-4


@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_the_time_is_inverse_to_the_angle(d):
    angle = torch.logspace(-6, -4, 5, dtype=torch.float64)
    found = saddle_expansion(d)
    product = angle * escape_time(angle, d) * 3 * found.rho * found.cubic
    torch.testing.assert_close(product, torch.ones_like(product), rtol=1e-3, atol=0)
    exponent = np.polyfit(angle.log().numpy(), escape_time(angle, d).log().numpy(), 1)[0]
    assert abs(exponent + 1) < 1e-3


@pytest.mark.parametrize("d", [2, 4])
def test_beside_a_saddle_that_is_not_degenerate_it_is_a_logarithm(d):
    angle = torch.logspace(-8, -5, 4, dtype=torch.float64)
    time = escape_time(angle, d, leak=0.1)
    rate = -saddle_expansion(d, leak=0.1).curvature
    torch.testing.assert_close(
        time.diff(), torch.full((3,), -math.log(10) / rate, dtype=torch.float64), rtol=1e-3, atol=0
    )


def test_shapes_and_other_ends():
    angle = torch.tensor([[0.1, 0.2, 0.4]], dtype=torch.float64)
    early, late = escape_time(angle, 2, until=0.8), escape_time(angle, 2, until=2.5)
    assert early.shape == late.shape == (1, 3)
    # What lies between two ends takes nearly the same time from wherever it began: the length has caught up.
    between = (late - early)[0]
    assert float(between.max() - between.min()) < 0.05 * float(between.min())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: saddle_expansion(1), ValueError, "d is 1; it must be at least 2"),
        (lambda a: saddle_expansion(2, leak=0.5), ValueError, "leak is 0.5, for which the multiple is -0.63"),
        (lambda a: escape_time(0.1, 2), TypeError, "angle is a float"),
        (lambda a: escape_time(a - 0.1, 2), ValueError, r"angle has an entry outside \(0, 1.57"),
        (lambda a: escape_time(a, 2, until=0.05), ValueError, r"angle has an entry outside \(0, 0.05\)"),
        (lambda a: escape_time(a, 2, until=3.2), ValueError, "until is 3.2; it must be below pi"),
        (lambda a: escape_time(a, 2, intervals=0), ValueError, "intervals is 0; it must be at least 1"),
        (lambda a: escape_time(a, 1), ValueError, "d is 1; it must be at least 2"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.tensor([0.1], dtype=torch.float64))
