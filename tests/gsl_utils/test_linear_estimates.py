"""Linear estimates against their defining equations and scikit-learn's regression."""

import pytest
import torch
from sklearn.linear_model import LinearRegression

from gsl_utils.linear_estimates import affine_fit, affine_lmmse, least_norm


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_least_norm_estimate_explains_the_measurements_and_is_in_the_row_space():
    A, y = normal(5, 9), normal(3, 4, 5, seed=1)
    x = least_norm(A, y)
    torch.testing.assert_close(x @ A.mT, y)
    null = torch.linalg.svd(A).Vh[5:]
    torch.testing.assert_close(x @ null.mT, torch.zeros(3, 4, 4, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(least_norm(A.expand(3, 4, 5, 9), y), x)


def test_the_affine_fit_is_linear_regression():
    u, x = normal(40, 5), normal(40, 3, seed=1)
    known = LinearRegression().fit(u.numpy(), x.numpy())
    M, c = affine_fit(u, x)
    torch.testing.assert_close(M, torch.tensor(known.coef_))
    torch.testing.assert_close(c, torch.tensor(known.intercept_))


def test_the_affine_fit_is_exact_for_affine_pairs_also_where_inputs_repeat_each_other():
    u = normal(40, 3)
    twin = torch.cat([u, u[:, :1]], dim=-1)
    M, c = affine_fit(twin, 2 * u + 1)
    torch.testing.assert_close(twin @ M.mT + c, 2 * u + 1)


def test_the_affine_estimate_approaches_the_gaussian_posterior_mean():
    A, root, noise = normal(3, 6), normal(6, 6, seed=1), 0.1
    x = 2 + normal(200_000, 6, seed=2) @ root.mT
    y = x @ A.mT + noise * normal(200_000, 3, seed=3)
    C = root @ root.mT
    gain = C @ A.mT @ torch.linalg.inv(A @ C @ A.mT + noise**2 * torch.eye(3))
    expected = 2 + (y[:5] - 2 * A.sum(-1)) @ gain.mT
    torch.testing.assert_close(affine_lmmse(y, x, y[:5]), expected, rtol=0.02, atol=0.05)


@pytest.mark.parametrize(
    ("u", "x", "error", "message"),
    [
        (normal(4, 5), normal(4, 2), ValueError, "u has 4 rows of 5 entries; it must have more rows"),
        (normal(9, 5), normal(8, 2), ValueError, r"u has shape \(9, 5\) and x has \(8, 2\)"),
        (normal(2, 9, 5), normal(2, 9, 2), ValueError, r"they must be \(N, q\) and \(N, n\)"),
        (normal(9, 5), normal(9, 2).float(), TypeError, "x has torch.float32"),
    ],
)
def test_the_fit_names_bad_input(u, x, error, message):
    with pytest.raises(error, match=message):
        affine_fit(u, x)


def test_the_estimates_name_bad_input():
    with pytest.raises(ValueError, match=r"y has shape \(3,\) and A has \(2, 4\)"):
        least_norm(normal(2, 4), normal(3))
    with pytest.raises(ValueError, match=r"y has shape \(3,\) and y_train has \(9, 2\)"):
        affine_lmmse(normal(9, 2), normal(9, 4), normal(3))
    with pytest.raises(ValueError, match=r"y_train has shape \(9, 2\) and x_train has \(8, 4\)"):
        affine_lmmse(normal(9, 2), normal(8, 4), normal(2))
    with pytest.raises(TypeError, match=r"A has dtype torch\.float16; it must be torch\.float32 or"):
        least_norm(normal(2, 4).half(), normal(2).half())
    with pytest.raises(TypeError, match="x is a sparse_coo tensor; it must be dense"):
        affine_fit(normal(9, 2), normal(9, 4).to_sparse())
    with pytest.raises(TypeError, match="y is on the device meta"):
        affine_lmmse(normal(9, 2), normal(9, 4), normal(2).to("meta"))
    with pytest.raises(ValueError, match=r"y is empty: its shape is \(0, 2\)"):
        least_norm(normal(3, 2, 4), normal(0, 2))


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-460, 2.0**460, 2.0**1000])
@pytest.mark.parametrize("other", [2.0**-6, 2.0**6])
def test_units_of_powers_of_two_change_no_bit(unit, other):
    A, y, u, x = normal(3, 3, 6), normal(3, 3, seed=1), normal(9, 2, seed=2), normal(9, 4, seed=3)
    inner, outer = unit, unit / other  # their quotient is a number
    assert torch.equal(least_norm(inner * A, outer * y), least_norm(A, y) * outer / inner)
    assert torch.equal(least_norm(A, outer * y), least_norm(A, y) * outer)
    M, c = affine_fit(u, x)
    big_M, big_c = affine_fit(inner * u, outer * x)
    assert torch.equal(big_M, M / other)
    assert torch.equal(big_c, outer * c)
    for given in (normal(2, seed=4), normal(5, 2, seed=4), normal(2, 3, 2, seed=4)):
        found = affine_lmmse(inner * u, outer * x, inner * given)
        assert torch.equal(found, outer * affine_lmmse(u, x, given))


def test_the_estimate_may_be_a_number_where_the_map_is_none():
    u, x, y = normal(9, 2), normal(9, 4, seed=1), normal(2, seed=2)
    torch.testing.assert_close(affine_lmmse(1e-200 * u, 1e200 * x, 1e-200 * y), 1e200 * affine_lmmse(u, x, y))
    with pytest.raises(ValueError, match=r"M is too large for torch\.float64"):
        affine_fit(1e-200 * u, 1e200 * x)
    with pytest.raises(ValueError, match=r"the estimate is too large for torch\.float64"):
        affine_lmmse(1e-200 * u, 1e200 * x, 1e200 * y)
    with pytest.raises(ValueError, match=r"the estimate is too large for torch\.float64"):
        least_norm(1e-200 * normal(2, 2), 1e200 * normal(2))


def test_estimates_carry_no_graph():
    A, y, x = normal(5, 4).requires_grad_(), normal(9, 5).requires_grad_(), normal(9, 4).requires_grad_()
    found = [least_norm(A, y), *affine_fit(y, x), affine_lmmse(y, x, y)]
    assert not any(value.requires_grad for value in found)
