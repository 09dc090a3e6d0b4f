"""Measurement matrices, and measurements with noise."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks, linear
from gsl_utils.common.linear import scaled, square_root, unit

__all__ = ["gaussian_matrix", "measure"]


def gaussian_matrix(
    m: int,
    n: int,
    *,
    scale: str = "measurements",
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> Tensor:
    r"""A matrix of independent Gaussian entries.

    .. math:: A_{ij} \sim N(0, 1/m), \qquad\text{so that}\qquad \mathbb E\|Ax\|_2^2 = \|x\|_2^2

    Args:
        m: The number of measurements, at least 1.
        n: The length of a signal, at least 1.
        scale: ``"measurements"`` for the formula above, ``"columns"`` for columns scaled to norm 1,
            ``"none"`` for entries of variance 1.
        generator: The source of randomness. The draw is made on its device and then moved, so that one seed
            gives one matrix everywhere.
        dtype: Of the matrix.
        device: Of the matrix.

    Returns:
        The matrix, ``(m, n)``.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A size is below 1, ``scale`` is unknown, or the device is not there.

    Source: Candès and Tao (2006) for such matrices in compressed sensing. Taught in chapter 1.

    >>> A = gaussian_matrix(50, 200, generator=torch.Generator().manual_seed(0))
    >>> A.shape, bool((A.norm(dim=0) - 1).abs().max() < 0.5)
    (torch.Size([50, 200]), True)
    """
    m, n = checks.integer("m", m, 1), checks.integer("n", n, 1)
    checks.choice("scale", scale, ("measurements", "columns", "none"))
    checks.random_source(generator)
    checks.floating_dtype("dtype", dtype)
    A = _normal((m, n), generator, dtype, checks.device("device", device))
    if scale == "measurements":
        return A / m**0.5
    return A / A.norm(dim=0) if scale == "columns" else A


def _normal(
    shape: tuple[int, ...],
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    source = device if generator is None else generator.device
    return torch.randn(shape, generator=generator, dtype=dtype, device=source).to(device)


def measure(
    A: Tensor,
    x: Tensor,
    *,
    smnr_db: float | Tensor | None = None,
    noise_std: float | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Measure signals, with Gaussian noise if asked.

    .. math:: y = Ax + \eta, \qquad \eta \sim N(0, \sigma^2 I_m), \qquad
        \sigma = \frac{\|Ax\|_2}{\sqrt m}\,10^{-\mathrm{SMNR}/20}

    The signal-to-measurement-noise ratio is each signal's own: its noise is scaled by its own measurements.

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        x: The signals ``(..., n)``, of the same dtype and device.
        smnr_db: The ratio in decibels, a number or one per signal ``(...)``.
        noise_std: The standard deviation :math:`\sigma` itself instead, non-negative, a number or one per
            signal.
        generator: The source of randomness of the noise.

    Returns:
        The measurements ``(..., m)``; without noise when neither level is given.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, both noise levels are given, one is out of
            range, or the measurements are beyond the largest number.

    Taught in chapter 1.

    >>> A = torch.eye(2, dtype=torch.float64)
    >>> measure(A, torch.tensor([[1.0, 2.0], [0.0, 3.0]], dtype=torch.float64)).tolist()
    [[1.0, 2.0], [0.0, 3.0]]
    """
    A, x, batch = checks.linear_system("A", A, "x", x, "columns")
    checks.random_source(generator)
    if smnr_db is not None and noise_std is not None:
        raise ValueError(
            f"smnr_db is {smnr_db} and noise_std is {noise_std}; at most one of them may be given."
        )
    clean = checks.representable("A x", _product(A, x))
    if smnr_db is not None:
        ratio = checks.per_signal("smnr_db", smnr_db, "x", x, batch)
        signal, power = unit(clean, -1)
        deviation = square_root(signal.square().mean(-1)) * 10 ** (-ratio / 20)
    elif noise_std is not None:
        deviation = checks.per_signal("noise_std", noise_std, "x", x, batch, low=0.0)
        power = torch.zeros_like(deviation, dtype=torch.int32).unsqueeze(-1)
    else:
        return clean
    drawn = _normal(tuple(clean.shape), generator, clean.dtype, clean.device)
    noise = scaled(deviation.unsqueeze(-1) * drawn, power)
    return checks.representable("y = A x + noise", clean + noise)


def _product(A: Tensor, x: Tensor) -> Tensor:
    """``A x``; where a sum overflows on its way, once more in other units, from which it may come back."""
    y = linear.forward(A, x)
    if bool(torch.isfinite(y).all()):
        return y
    (A, above), (x, beyond) = unit(A, -1), unit(x, -1)
    return scaled(linear.forward(A, x), above.squeeze(-1) + beyond)
