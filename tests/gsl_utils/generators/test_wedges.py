"""Neurons of the plane: closed forms on a sweep of angles, against networks written out, and refusals."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.generators.wedges import double_wedge, wedge

D = torch.float64


def circle(theta, radius=1.0):
    return radius * torch.stack([theta.sin(), theta.cos()], dim=-1)


SWEEP = torch.arange(20011, dtype=D) * (2 * math.pi / 20011)


@given(st.floats(-7, 7), st.floats(0.01, 2 * math.pi), st.floats(-200, 200))
def test_a_wedge_is_active_exactly_in_its_sector_and_linear_in_the_radius(start, width, decade):
    stop = start + width
    f = wedge(circle(SWEEP), start, stop)
    inside = (SWEEP - start).remainder(2 * math.pi)
    # Within 1e-9 of an end rounding decides.
    assert float(f[inside > width + 1e-9].abs().max() if width < 6 else 0.0) <= 1e-12
    assert bool((f[(inside > 1e-9) & (inside < width - 1e-9)] > 0).all())
    middle = circle(torch.tensor(start + width / 2, dtype=D))
    assert float(wedge(middle, start, stop)) == pytest.approx(1, abs=1e-11)
    t = 10.0**decade
    torch.testing.assert_close(wedge(t * circle(SWEEP), start, stop), t * f, rtol=1e-9, atol=1e-12 * t)


@pytest.mark.parametrize("width", [0.1, 1.0, 2.0, math.pi - 1e-6, math.pi, 4.0, 6.0, 2 * math.pi])
def test_the_value_in_the_sector_is_the_closed_form(width):
    delta = torch.linspace(-width / 2, width / 2, 1001, dtype=D)
    f = wedge(circle(0.7 + delta), 0.7 - width / 2, 0.7 + width / 2)
    if width < math.pi:
        expected = (width / 2 - delta.abs()).sin() / math.sin(width / 2)
    else:
        ends = (width / 2 + delta).sin().relu() + (width / 2 - delta).sin().relu()
        expected = (ends + delta.cos().relu()) / (1 + 2 * math.sin(width / 2))
    torch.testing.assert_close(f, expected, rtol=0, atol=1e-12)


def test_the_two_ways_to_write_half_a_turn_agree():
    narrow, wide = (wedge(circle(SWEEP), 0.3, 0.3 + math.pi + e) for e in (-1e-12, 1e-12))
    torch.testing.assert_close(narrow, wide, rtol=0, atol=1e-10)


def test_one_layer_has_a_linear_odd_part_and_the_narrow_wedge_has_not():
    z = circle(SWEEP)
    basis = torch.stack([SWEEP.sin(), SWEEP.cos()], dim=-1)

    def beyond_linear(f):
        odd = f(z) - f(-z)
        return float((odd - basis @ torch.linalg.lstsq(basis, odd.unsqueeze(-1)).solution.squeeze(-1)).norm())

    assert beyond_linear(lambda x: wedge(x, 0.2, 0.2 + 4.0)) < 1e-9
    assert beyond_linear(lambda x: double_wedge(x, 0.2, 0.3)) < 1e-9
    assert beyond_linear(lambda x: wedge(x, 0.2, 0.2 + 1.0)) > 1


@given(st.floats(-7, 7), st.floats(0.001, 1.5), st.floats(-200, 200))
def test_a_double_wedge_is_its_three_units_or_six(centre, half, decade):
    z = circle(SWEEP, 10.0**decade)
    across = z @ torch.tensor([math.cos(centre), -math.sin(centre)], dtype=D)
    along = z @ torch.tensor([math.sin(centre), math.cos(centre)], dtype=D) * math.tan(half)
    units = [u.relu() for v in (along + across, along - across, across) for u in (v, -v)]
    written = (units[0] + units[1] + units[2] + units[3] - 2 * (units[4] + units[5])) / (2 * math.tan(half))
    f = double_wedge(z, centre, half)
    three = ((across + along).relu() - 2 * across.relu() + (across - along).relu()) / math.tan(half)
    torch.testing.assert_close(f, three, rtol=0, atol=1e-12 / half * 10.0**decade)
    torch.testing.assert_close(f, written, rtol=0, atol=1e-12 / half * 10.0**decade)
    torch.testing.assert_close(f, double_wedge(-z, centre, half), rtol=0, atol=0)
    off = (SWEEP - centre + math.pi / 2).remainder(math.pi) - math.pi / 2
    assert bool((f[off.abs() > half + 1e-9] == 0).all())
    assert bool((f[off.abs() < half - 1e-9] > 0).all())


def test_gradients_and_dtypes():
    z = circle(SWEEP[::997] + 0.1).requires_grad_(True)
    for f in (
        lambda x: wedge(x, 0.2, 1.0),
        lambda x: wedge(x, 0.2, 5.0),
        lambda x: double_wedge(x, 0.2, 0.7),
    ):
        assert torch.autograd.gradcheck(f, (z,))
        assert f(z.detach().float()).dtype == torch.float32
        torch.testing.assert_close(f(z.detach().float()).double(), f(z).detach(), rtol=1e-5, atol=1e-5)


POINT = torch.zeros(2, dtype=D)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: wedge(POINT, 1.0, 1.0),
            ValueError,
            "stop is 1 and start 1; stop must be above start, by at",
        ),
        (lambda: wedge(POINT, 0.0, 6.3), ValueError, "by at most a whole turn"),
        (lambda: wedge(POINT, "0", 1.0), TypeError, "start is '0'; it must be a number"),
        (lambda: wedge(POINT, 0.0, math.inf), ValueError, "stop is inf; it must be finite"),
        (
            lambda: wedge(torch.zeros(3), 0.0, 1.0),
            ValueError,
            r"x has shape \(3,\); its last dimension must be",
        ),
        (lambda: wedge(POINT.long(), 0.0, 1.0), TypeError, "x has dtype torch.int64; it must be"),
        (lambda: wedge(POINT / 0, 0.0, 1.0), ValueError, "x holds NaN"),
        (lambda: double_wedge(POINT, 0.0, 0.0), ValueError, "half_angle is 0; it must be above 0"),
        (lambda: double_wedge(POINT, 0.0, 1.6), ValueError, "half_angle is 1.6; it must be below a quarter"),
        (lambda: double_wedge(POINT, None, 1.0), TypeError, "centre is None; it must be a number"),
        (lambda: double_wedge([0.0, 1.0], 0.0, 1.0), TypeError, "x is a list; it must be a torch.Tensor"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
