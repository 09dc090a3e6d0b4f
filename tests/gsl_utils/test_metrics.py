"""Metrics against closed forms and against independent implementations of their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from gsl_utils.metrics import asce, psnr_db, relative_error, srnr_db, ssim, support_f1

D = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def test_the_relative_error_is_that_of_the_chapters():
    """Bit for bit what they computed: powers of two cost nothing."""
    x = normal(4, 3, 50)
    x_hat = x + 1e-3 * normal(4, 3, 50, seed=1)
    assert torch.equal(relative_error(x, x_hat), (x_hat - x).norm(dim=-1) / x.norm(dim=-1))
    assert torch.equal(relative_error(x[0, 0], x_hat[0, 0]), relative_error(x, x_hat)[0, 0])
    assert relative_error(x, 3 * x).flatten().tolist() == pytest.approx([2.0] * 12)


def test_the_relative_error_of_a_zero_signal():
    x = torch.zeros(2, 3, dtype=D)
    x_hat = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], dtype=D)
    assert relative_error(x, x_hat)[0] == float("inf")
    assert bool(relative_error(x, x_hat)[1].isnan())


def test_srnr_of_a_known_error():
    x = torch.tensor([[3.0, 4.0], [0.0, 10.0]], dtype=D)
    x_hat = torch.tensor([[3.0, 3.5], [0.0, 9.0]], dtype=D)
    assert srnr_db(x, x_hat) == pytest.approx(10 * np.log10(125 / 1.25))
    assert srnr_db(x, x_hat, reduction="none").tolist() == pytest.approx([20.0, 20.0])
    assert srnr_db(x[0], x_hat[0], reduction="none").shape == ()


def test_srnr_ratio_is_not_the_mean_of_ratios():
    x = torch.tensor([[1.0, 0.0], [10.0, 0.0]], dtype=D)
    x_hat = x + torch.tensor([[0.1, 0.0], [0.1, 0.0]], dtype=D)
    assert srnr_db(x, x_hat) == pytest.approx(10 * np.log10(101 / 0.02))
    assert srnr_db(x, x_hat, reduction="none").mean() == pytest.approx(30.0)


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_srnr_median_is_numpys(count):
    x, x_hat = normal(count, 7), normal(count, 7, seed=1)
    each = srnr_db(x, x_hat, reduction="none")
    assert float(srnr_db(x, x_hat, reduction="median")) == pytest.approx(np.median(each.numpy()))


def test_srnr_at_its_ends():
    x = torch.tensor([[1.0, 2.0], [0.0, 0.0], [1.0, 1.0]], dtype=D)
    x_hat = torch.tensor([[1.0, 2.0], [0.0, 1.0], [0.0, 0.0]], dtype=D)
    assert srnr_db(x, x_hat, reduction="none").tolist() == [float("inf"), -float("inf"), 0.0]
    assert srnr_db(x[:2], x[:2]) == float("inf")
    assert srnr_db(x[:1].expand(2, -1), x[:1].expand(2, -1), reduction="median") == float("inf")


@given(st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_srnr_knows_no_scale(scale, seed):
    x, x_hat = normal(3, 4, seed=seed), normal(3, 4, seed=seed + 1)
    torch.testing.assert_close(srnr_db(scale * x, scale * x_hat), srnr_db(x, x_hat))


def test_asce_counts_what_is_missed():
    z = torch.tensor([0.0, 3.0, -2.0, 0.0, 1.0], dtype=D)
    assert asce(z, z, 3) == 0
    assert asce(z, torch.tensor([9.0, 3.0, -2.0, 8.0, 1.0], dtype=D), 3) == pytest.approx(2 / 3)
    assert asce(z, torch.zeros(5, dtype=D), 3) == 1
    assert asce(z, -z * 7, 3) == 0


def test_asce_takes_the_largest_and_one_value_per_signal():
    z = torch.zeros(2, 3, 6, dtype=D)
    z[..., :2] = 1
    z_hat = normal(2, 3, 6)
    expected = torch.zeros(2, 3, dtype=D)
    for i in range(2):
        for j in range(3):
            found = set(np.argsort(-np.abs(z_hat[i, j].numpy()))[:2])
            expected[i, j] = 1 - len(found & {0, 1}) / 2
    torch.testing.assert_close(asce(z, z_hat, 2), expected)


def test_f1_against_its_definition():
    z = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]], dtype=D)
    z_hat = torch.tensor([[0.5, 0.0, 0.2, 0.3], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]], dtype=D)
    precision, recall = 1 / 3, 1 / 2
    expected = 2 * precision * recall / (precision + recall)
    assert support_f1(z, z_hat).tolist() == pytest.approx([expected, 1.0, 0.0])
    assert support_f1(z, z_hat, tol=0.4).tolist() == pytest.approx([2 / 3, 1.0, 0.0])


def test_psnr_of_a_known_error():
    x = torch.zeros(2, 4, dtype=D)
    x_hat = torch.tensor([[0.1] * 4, [0.2, 0.0, 0.0, 0.0]], dtype=D)
    assert psnr_db(x, x_hat).tolist() == pytest.approx([20.0, 20.0])
    assert psnr_db(x, x_hat, data_range=10.0).tolist() == pytest.approx([40.0, 40.0])
    assert psnr_db(x, x).tolist() == [float("inf")] * 2


def test_psnr_of_images_is_one_value_an_image():
    x = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0), dtype=D)
    x_hat = x + 0.1
    assert psnr_db(x, x_hat, shape=(8, 8)).tolist() == pytest.approx([20.0] * 5)
    assert torch.equal(psnr_db(x, x_hat, shape=(8, 8)), psnr_db(x.flatten(1), x_hat.flatten(1)))
    assert torch.equal(
        psnr_db(x.flatten(1), x_hat.flatten(1), 2.0, shape=(8, 8)), psnr_db(x, x_hat, 2.0, shape=[8, 8])
    )
    assert psnr_db(x, x_hat, shape=(8,)).shape == (5, 8)
    assert psnr_db(x[:, :2], x_hat[:, :2]).shape == (5, 2)
    assert psnr_db(x[0], x_hat[0]).shape == (8,)


def test_ssim_takes_images_that_are_not_flattened():
    x, x_hat = normal(5, 8, 9), normal(5, 8, 9, seed=1)
    assert torch.equal(ssim(x, x_hat, (8, 9)), ssim(x.flatten(1), x_hat.flatten(1), (8, 9)))


def definition_of_ssim(x, x_hat, window, data_range):
    """Wang et al.'s eq. (13) with a uniform window and sample covariances, by scipy's filter in numpy."""
    count = window**2

    def mean(image):
        return uniform_filter(image, window)

    mx, my = mean(x), mean(x_hat)
    vx = count / (count - 1) * (mean(x * x) - mx * mx)
    vy = count / (count - 1) * (mean(x_hat * x_hat) - my * my)
    cov = count / (count - 1) * (mean(x * x_hat) - mx * my)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    s = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    edge = window // 2
    return s[edge : s.shape[0] - edge, edge : s.shape[1] - edge].mean()


@pytest.mark.parametrize(
    ("shape", "window", "data_range"), [((8, 8), 7, 1.0), ((28, 28), 7, 1.0), ((9, 13), 3, 4.0)]
)
def test_ssim_against_its_definition(shape, window, data_range):
    height, width = shape
    x = torch.rand(2, 3, height * width, generator=torch.Generator().manual_seed(0), dtype=D) * data_range
    x_hat = x + 0.2 * normal(2, 3, height * width)
    found = ssim(x, x_hat, shape, data_range=data_range, window=window)
    assert found.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            pair = (image[i, j].reshape(shape).numpy() for image in (x, x_hat))
            assert float(found[i, j]) == pytest.approx(
                definition_of_ssim(*pair, window, data_range), abs=1e-12
            )


def test_ssim_is_symmetric_and_one_for_equal_images():
    x, x_hat = normal(5, 64), normal(5, 64, seed=1)
    torch.testing.assert_close(ssim(x, x_hat, (8, 8)), ssim(x_hat, x, (8, 8)))
    torch.testing.assert_close(ssim(x, x, (8, 8)), torch.ones(5, dtype=D))
    assert bool((ssim(x, x_hat, (8, 8)) < 1).all())


def test_ssim_keeps_its_digits_on_a_bright_image_in_float32():
    pattern = 0.01 * normal(1, 64)
    other = pattern + 0.005 * normal(1, 64, seed=1)
    exact = ssim(100 + pattern, 100 + other, (8, 8))
    single = ssim((100 + pattern).float(), (100 + other).float(), (8, 8))
    assert float(single) == pytest.approx(float(exact), abs=2e-3)


# Units

RATIOS = {
    "relative": lambda x, y, _: relative_error(x, y),
    "srnr": lambda x, y, _: srnr_db(x, y),
    "srnr each": lambda x, y, _: srnr_db(x, y, reduction="none"),
    "srnr median": lambda x, y, _: srnr_db(x, y, reduction="median"),
    "psnr": lambda x, y, data_range: psnr_db(x, y, data_range),
    "ssim": lambda x, y, data_range: ssim(x, y, (8, 8), data_range=data_range),
    "asce": lambda x, y, _: asce(x, y, 5),
    "f1": lambda x, y, data_range: support_f1(x, y, tol=0.3 * data_range),
}
# Powers of two, and tens: the largest that the dtype holds with room for the entries of a normal vector.
UNITS = [(D, 2.0**p) for p in (-1010, -700, -460, 460, 700, 1010)]
UNITS += [(torch.float32, 2.0**p) for p in (-120, -80, -50, 50, 80, 120)]


@pytest.mark.parametrize("name", RATIOS)
@pytest.mark.parametrize(("dtype", "unit"), UNITS)
def test_a_unit_of_a_power_of_two_changes_no_bit(name, dtype, unit):
    x, x_hat = normal(4, 64).to(dtype), normal(4, 64, seed=1).to(dtype)
    expected = RATIOS[name](x, x_hat, 2.0)
    assert torch.isfinite(expected).all()
    assert torch.equal(RATIOS[name](unit * x, unit * x_hat, unit * 2.0), expected)


@pytest.mark.parametrize("name", RATIOS)
@pytest.mark.parametrize(
    ("dtype", "unit"), [(D, 1e-300), (D, 1e-140), (D, 1e140), (D, 1e300), (torch.float32, 1e-15)]
)
def test_a_unit_of_a_power_of_ten_changes_rounding_only(name, dtype, unit):
    x, x_hat = normal(4, 64).to(dtype), normal(4, 64, seed=1).to(dtype)
    found = RATIOS[name](unit * x, unit * x_hat, unit * 2.0)
    torch.testing.assert_close(found, RATIOS[name](x, x_hat, 2.0))


def test_ratios_beyond_the_numbers_have_their_decibels():
    x = torch.tensor([1e200, 0.0], dtype=D)
    x_hat = x + torch.tensor([0.0, 1e-200], dtype=D)
    assert srnr_db(x, x_hat) == pytest.approx(8000)
    assert srnr_db(x / 1e200 * 1e-300, x) == pytest.approx(-10000)
    assert psnr_db(x * 0, x_hat * 0 + 1e-300, 1e300) == pytest.approx(12000)
    assert psnr_db(x * 0, x_hat * 0 + 1e300, 1e-300) == pytest.approx(-12000)
    single = torch.zeros(2), torch.full((2,), 1e-30)
    assert psnr_db(*single, 1e300) == pytest.approx(6600, rel=1e-6)
    # The difference of the two is beyond the largest number, its ratio to x is not.
    assert srnr_db(torch.full((3,), 1.5e308, dtype=D), torch.full((3,), -1.5e308, dtype=D)) == pytest.approx(
        -10 * np.log10(4)
    )


def test_similarity_where_one_of_the_sizes_vanishes_beside_another():
    x, x_hat = normal(2, 64), normal(2, 64, seed=1)
    torch.testing.assert_close(ssim(x, x_hat, (8, 8), data_range=1e200), torch.ones(2, dtype=D))
    torch.testing.assert_close(
        ssim(x, x_hat, (8, 8), data_range=1e-200), ssim(x, x_hat, (8, 8), data_range=1e-30)
    )
    flat = torch.ones(1, 64, dtype=D)
    assert ssim(flat, flat, (8, 8), data_range=1e-200) == 1
    assert ssim(0 * flat, 0 * flat, (8, 8), data_range=1e-200) == 1
    assert ssim(0 * flat, 1e-200 * flat, (8, 8), data_range=1e-200) == pytest.approx(1e-4 / (1 + 1e-4))


@pytest.mark.parametrize("name", ["relative", "srnr", "srnr each", "psnr", "ssim"])
def test_the_ratios_are_differentiable(name):
    x, x_hat = normal(2, 64), normal(2, 64, seed=1).requires_grad_()
    (slope,) = torch.autograd.grad(RATIOS[name](x, x_hat, 2.0).sum(), x_hat)
    step = 1e-6 * normal(2, 64, seed=2)
    with torch.no_grad():
        above, below = (RATIOS[name](x, x_hat + sign * step, 2.0).sum() for sign in (1, -1))
    torch.testing.assert_close((slope * step).sum(), (above - below) / 2, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    "metric",
    [
        relative_error,
        srnr_db,
        lambda x, y: asce(x, y, 1),
        support_f1,
        psnr_db,
        lambda x, y: ssim(x, y, (8, 8)),
    ],
)
def test_all_refuse_what_does_not_fit(metric):
    x = torch.ones(2, 64)
    for other, kind, words in [
        (torch.ones(1, 64), ValueError, "must be the same"),
        (torch.ones(2, 64, dtype=D), TypeError, "dtype"),
        (torch.full((2, 64), torch.nan), ValueError, "NaN"),
        (torch.ones(0, 64), ValueError, "empty"),
        ([1.0], TypeError, "must be a torch.Tensor"),
        (torch.ones(2, 64).half(), TypeError, "_hat has dtype torch.float16; it must be"),
        (torch.ones(2, 64).to_sparse(), TypeError, "_hat is a sparse_coo tensor; it must be dense"),
        (torch.ones(2, 64, device="meta"), TypeError, "_hat is on the device meta"),
    ]:
        with pytest.raises(kind, match=words):
            metric(x, other)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: srnr_db(x, x, reduction="mean"), ValueError, "reduction is 'mean'"),
        (lambda x: asce(x, x, 0), ValueError, "k is 0; it must be between 1 and 64"),
        (lambda x: asce(x, x, 65), ValueError, "k is 65"),
        (lambda x: support_f1(x, x, tol=-1.0), ValueError, "tol is -1"),
        (lambda x: psnr_db(x, x, data_range=0.0), ValueError, "data_range is 0"),
        (
            lambda x: psnr_db(*[x.reshape(2, 8, 8)] * 2),
            ValueError,
            r"x has shape \(2, 8, 8\), which is 2 images of 8 x 8 or 16 vectors of 8; shape must say which",
        ),
        (lambda x: psnr_db(x, x, shape=(8, 7)), ValueError, "x has 64 entries .* must have 56"),
        (lambda x: psnr_db(x, x, shape=(7,)), ValueError, "x has 64 entries .* must have 7"),
        (lambda x: psnr_db(x, x, shape=64), TypeError, "shape is 64; it must be"),
        (lambda x: psnr_db(x, x, shape=(8, 8, 1)), TypeError, "shape is "),
        (lambda x: psnr_db(x, x, shape=(8, 0)), ValueError, "shape is 0; it must be at least 1"),
        (lambda x: ssim(x, x, (8, 7)), ValueError, "x has 64 entries"),
        (lambda x: ssim(x, x, (8,)), TypeError, "shape is"),
        (lambda x: ssim(x, x, (8, 8), window=4), ValueError, "window is 4; it must be odd"),
        (lambda x: ssim(x, x, (8, 8), window=9), ValueError, "window is 9"),
        (lambda x: ssim(x, x, (8, 8), data_range=-1.0), ValueError, "data_range is -1"),
    ],
)
def test_options_are_checked(call, kind, words):
    with pytest.raises(kind, match=words):
        call(torch.ones(2, 64))
