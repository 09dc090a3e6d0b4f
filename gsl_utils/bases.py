"""Orthonormal bases in which images are nearly sparse: the cosine basis and wavelets, as matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gsl_utils.common import checks

__all__ = ["dct_basis", "wavelet_basis"]


def dct_basis(
    shape: Sequence[int], *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
) -> Tensor:
    r"""The orthonormal cosine basis (DCT-II) of vectors or images, one atom per column.

    .. math::

        \Psi_{jq} = \sqrt{\tfrac{2 - [q = 0]}{N}}\,\cos\frac{\pi\,(2j + 1)\,q}{2N}

    for vectors of length :math:`N`; for images, products of one such atom along each axis.

    Args:
        shape: ``(n,)`` for vectors, ``(height, width)`` for images flattened by rows.
        dtype: Floating-point type of the matrix.
        device: Its device.

    Returns:
        The matrix :math:`\Psi`, ``(n, n)`` with ``n`` the product of ``shape``: a signal is ``c @ Psi.T``,
        its coefficients are ``x @ Psi``. Atoms are ordered by frequency, by rows.

    Raises:
        TypeError: A length is not an integer, or ``dtype`` is not float32 or float64.
        ValueError: ``shape`` has neither one nor two positive lengths, or the device is not there.

    Ahmed, Natarajan and Rao (1974). Taught in chapter 1.

    >>> dct_basis((2,)).round(decimals=4)
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]], dtype=torch.float64)
    """
    lengths = _lengths(shape)
    checks.floating_dtype("dtype", dtype)
    device = checks.device("device", device)
    basis = torch.ones(1, 1, dtype=torch.float64)
    for length in lengths:
        basis = torch.kron(basis, _cosines(length))
    return basis.to(dtype=dtype, device=device)


def wavelet_basis(
    shape: Sequence[int],
    *,
    wavelet: str = "haar",
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> Tensor:
    """An orthonormal wavelet basis of vectors or images, one atom per column.

    The transform is periodic, and goes down as many levels as the lengths can be halved evenly and the
    wavelet's filter still fits.

    Args:
        shape: ``(n,)`` for vectors, ``(height, width)`` for images flattened by rows; every length even.
        wavelet: The name of an orthogonal wavelet of PyWavelets, such as ``"haar"`` or ``"db2"``.
        dtype: Floating-point type of the matrix.
        device: Its device.

    Returns:
        The matrix, ``(n, n)`` with ``n`` the product of ``shape``: a signal is ``c @ Psi.T``, its
        coefficients are ``x @ Psi``. Atoms are ordered from coarse to fine.

    Raises:
        TypeError: A length is not an integer, or ``dtype`` is not float32 or float64.
        ValueError: ``shape`` has neither one nor two even lengths, the wavelet is unknown, not orthogonal, or
            longer than the signal, or the device is not there.
        ImportError: PyWavelets, of the ``book`` extra, is not installed.

    Mallat (1989); Daubechies (1988). Taught in chapter 1.

    >>> wavelet_basis((2,)).round(decimals=4)
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]], dtype=torch.float64)
    """
    lengths = _lengths(shape)
    checks.floating_dtype("dtype", dtype)
    device = checks.device("device", device)
    halvings = min((length & -length).bit_length() - 1 for length in lengths)
    if halvings == 0:
        raise ValueError(f"shape is {lengths}; every length must be even, so that it can be halved.")
    try:
        import pywt
    except ImportError:
        raise ImportError("wavelet_basis needs PyWavelets: pip install 'gsl_utils[book]'.") from None
    if wavelet not in pywt.wavelist(kind="discrete") or not pywt.Wavelet(wavelet).orthogonal:
        raise ValueError(
            f"wavelet is {wavelet!r}; it must be orthogonal and known to PyWavelets, such as 'haar'."
        )
    levels = min(halvings, pywt.dwt_max_level(min(lengths), wavelet))
    if levels == 0:
        raise ValueError(
            f"wavelet is {wavelet!r}, with a filter too long for shape {lengths}; take a shorter one."
        )
    n = math.prod(lengths)
    axes = tuple(range(1, len(lengths) + 1))
    # Row i holds the coefficients of the i-th unit vector, which is the basis's own row.
    units = torch.eye(n, dtype=torch.float64).reshape(n, *lengths).numpy()
    parts = pywt.wavedecn(units, wavelet, mode="periodization", level=levels, axes=axes)
    coefficients, _ = pywt.coeffs_to_array(parts, axes=axes)
    return torch.from_numpy(coefficients.reshape(n, n).copy()).to(dtype=dtype, device=device)


def _lengths(shape: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(shape, tuple | list | torch.Size) or len(shape) not in (1, 2):
        raise ValueError(f"shape is {shape!r}; it must be (n,) or (height, width).")
    return tuple(checks.integer("shape", length, 1) for length in shape)


def _cosines(n: int) -> Tensor:
    points = 2 * torch.arange(n, dtype=torch.float64)[:, None] + 1
    atoms = torch.cos(math.pi * points * torch.arange(n, dtype=torch.float64) / (2 * n)) * math.sqrt(2 / n)
    atoms[:, 0] = 1 / math.sqrt(n)
    return atoms
