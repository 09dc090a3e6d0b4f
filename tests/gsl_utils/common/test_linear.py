"""The square root that every processor gives alike, against mpmath's."""

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.common.linear import square_root


@given(st.floats(1e-300, 1e300))
def test_the_root_is_right_to_two_roundings(value):
    with mpmath.workdps(40):
        exact = mpmath.sqrt(mpmath.mpf(value))
        found = float(square_root(torch.tensor(value, dtype=torch.float64)))
        assert abs(mpmath.mpf(found) - exact) <= 2 * torch.finfo(torch.float64).eps * exact


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_of_the_numbers_have_their_roots(dtype):
    x = torch.tensor([0.0, 4.0, torch.inf, torch.finfo(dtype).max, torch.finfo(dtype).tiny], dtype=dtype)
    found = square_root(x)
    assert found[:3].tolist() == [0.0, 2.0, torch.inf]
    torch.testing.assert_close(found[3:] ** 2 / x[3:], torch.ones(2, dtype=dtype))
    assert bool(square_root(-torch.ones(1, dtype=dtype)).isnan())


def test_it_has_the_roots_derivative():
    x = torch.tensor([0.3, 7.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(square_root(x).sum(), x)
    torch.testing.assert_close(slope, 0.5 / torch.tensor([0.3, 7.0], dtype=torch.float64).sqrt())
