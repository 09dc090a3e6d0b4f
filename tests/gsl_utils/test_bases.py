"""The cosine and wavelet bases against scipy's and PyWavelets' own transforms."""

from __future__ import annotations

import math

import pytest
import pywt
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn

from gsl_utils.bases import dct_basis, wavelet_basis


@given(st.lists(st.integers(1, 9), min_size=1, max_size=2))
def test_cosines_are_scipys_orthonormal_dct(shape: list[int]) -> None:
    n = math.prod(shape)
    x = torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    basis = dct_basis(shape)
    expected = torch.from_numpy(dctn(x.reshape(shape).numpy(), norm="ortho")).flatten()
    torch.testing.assert_close(x @ basis, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(basis.T @ basis, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("shape", "levels"), [((16,), 4), ((8, 8), 3), ((28, 28), 2), ((6, 12), 1)])
def test_haar_is_pywavelets_transform(shape: tuple[int, ...], levels: int) -> None:
    n = math.prod(shape)
    c = torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    basis = wavelet_basis(shape)
    torch.testing.assert_close(basis.T @ basis, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-12)
    empty = pywt.wavedecn(torch.zeros(shape).numpy(), "haar", "periodization", levels)
    _, slices = pywt.coeffs_to_array(empty)
    parts = pywt.array_to_coeffs(c.reshape(shape).numpy(), slices, output_format="wavedecn")
    expected = torch.from_numpy(pywt.waverecn(parts, "haar", "periodization")).flatten()
    torch.testing.assert_close(c @ basis.T, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wavelet", ["db2", "sym4", "coif1"])
def test_longer_wavelets_are_orthonormal_and_kill_constants(wavelet: str) -> None:
    basis = wavelet_basis((28, 28), wavelet=wavelet)
    torch.testing.assert_close(basis.T @ basis, torch.eye(784, dtype=torch.float64), rtol=0, atol=1e-9)
    constant = torch.ones(784, dtype=torch.float64) @ basis
    # Two levels leave 7 x 7 averages; every other atom is a difference.
    assert int((constant.abs() > 1e-9).sum()) == 49


def test_a_filter_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"wavelet is 'db4', with a filter too long for shape \(4,\)"):
        wavelet_basis((4,), wavelet="db4")


def test_dtype_of_the_result() -> None:
    assert dct_basis((4,), dtype=torch.float32).dtype == torch.float32
    assert wavelet_basis((4,), dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize("make", [dct_basis, wavelet_basis])
@pytest.mark.parametrize(
    ("shape", "kind", "word"),
    [((), ValueError, "height"), ((2, 2, 2), ValueError, "height"), ((0,), ValueError, "at least 1"),
     ((2.0,), TypeError, "integer"), ("8", ValueError, "height"), (8, ValueError, "height")],
)  # fmt: skip
def test_bad_shapes(make: object, shape: object, kind: type[Exception], word: str) -> None:
    with pytest.raises(kind, match=f"shape is .*{word}"):
        make(shape)  # type: ignore[operator]


def test_bad_dtypes_and_wavelets() -> None:
    with pytest.raises(TypeError, match="dtype is"):
        dct_basis((2,), dtype=torch.int64)
    with pytest.raises(TypeError, match="dtype is"):
        wavelet_basis((2,), dtype=torch.int64)
    with pytest.raises(ValueError, match="every length must be even"):
        wavelet_basis((4, 7))
    for wavelet in ("bior2.2", "nonsense", "morl"):
        with pytest.raises(ValueError, match=f"wavelet is '{wavelet}'"):
            wavelet_basis((8, 8), wavelet=wavelet)


def test_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pywt", None)
    with pytest.raises(ImportError, match="PyWavelets"):
        wavelet_basis((8, 8))


@pytest.mark.parametrize("basis", [dct_basis, wavelet_basis])
def test_devices_and_dtypes_that_are_not_there_are_named(basis):
    for device in ("nonsense", "cuda:99"):
        with pytest.raises(ValueError, match=f"device is '{device}'; it must be a device of this machine"):
            basis((4,), device=device)
    with pytest.raises(ValueError, match="device is 'meta', which holds no numbers"):
        basis((4,), device=torch.device("meta"))
    with pytest.raises(TypeError, match=r"dtype is torch\.float16; it must be torch\.float32 or"):
        basis((4,), dtype=torch.float16)
    assert basis((4,), device="cpu").device.type == "cpu"
