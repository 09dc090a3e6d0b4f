"""Estimates of a signal that are linear in its measurements: what every non-linear method must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils import _batched, _checks

__all__ = ["affine_fit", "affine_lmmse", "least_norm"]


def least_norm(A: Tensor, y: Tensor) -> Tensor:
    r"""The shortest signal that explains the measurements best: it knows nothing of the signals.

    .. math:: \hat x = A^+ y

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, of the same dtype and device.

    Returns:
        The estimates, ``(..., n)``.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device.
        ValueError: Shapes do not fit, or entries are not finite.

    Taught in chapter 6.

    >>> least_norm(torch.tensor([[1.0, 1.0]]), torch.tensor([2.0]))
    tensor([1.0000, 1.0000])
    """
    A, y, _ = _checks.linear_system("A", A, "y", y, "rows")
    return _batched.forward(torch.linalg.pinv(A), y)


def affine_fit(u: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""The affine map that is closest to given pairs in the mean square.

    .. math:: \min_{M, c}\ \sum_{i=1}^N \|x_i - M u_i - c\|_2^2

    Args:
        u: The inputs ``(N, q)``, with N above q.
        x: The outputs ``(N, n)``, of the same dtype and device.

    Returns:
        The matrix ``M (n, q)`` and the offset ``c (n,)``. Where the inputs leave M open, it is the smallest.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device.
        ValueError: Shapes do not fit, entries are not finite, or there are too few pairs.

    Taught in chapters 6 and 7.

    >>> u = torch.tensor([[0.0], [1.0], [2.0]])
    >>> M, c = affine_fit(u, 3 * u + 1)
    >>> round(float(M), 4), round(float(c), 4)
    (3.0, 1.0)
    """
    u, x = _checks.signals("u", u, "q"), _checks.signals("x", x)
    _checks.same_kind(u=u, x=x)
    if u.ndim != 2 or x.ndim != 2 or len(u) != len(x):
        raise ValueError(
            f"u has shape {tuple(u.shape)} and x has {tuple(x.shape)}; they must be (N, q) and (N, n)."
        )
    if len(u) <= u.shape[1]:
        raise ValueError(f"u has {len(u)} rows of {u.shape[1]} entries; it must have more rows than entries.")
    centre, mean = u.mean(0), x.mean(0)
    M = (torch.linalg.pinv(u - centre) @ (x - mean)).mT
    return M, mean - M @ centre


def affine_lmmse(y_train: Tensor, x_train: Tensor, y: Tensor) -> Tensor:
    r"""The best affine estimate of a signal from its measurements, learned from pairs of both.

    .. math:: \hat x = \bar x + \hat C_{xy} \hat C_{yy}^{-1} (y - \bar y)

    The measurements of the pairs must be made as those of the signals are: with the same matrix and noise.

    Args:
        y_train: Measurements ``(N, m)`` of signals that are known, with N above m.
        x_train: Those signals, ``(N, n)``.
        y: The measurements ``(..., m)`` of the signals that are not.

    Returns:
        The estimates, ``(..., n)``.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device.
        ValueError: Shapes do not fit, entries are not finite, or there are too few pairs.

    Taught in chapter 6.

    >>> y_train = torch.tensor([[0.0], [1.0], [2.0]])
    >>> x_train = torch.cat([y_train, 1 - y_train], dim=-1)
    >>> affine_lmmse(y_train, x_train, torch.tensor([3.0])).round(decimals=4)
    tensor([ 3., -2.])
    """
    M, c = affine_fit(y_train, x_train)
    y = _checks.signals("y", y, "m")
    _checks.same_kind(y_train=y_train, y=y)
    if y.shape[-1] != M.shape[1]:
        raise ValueError(
            f"y has shape {tuple(y.shape)} and y_train has {tuple(y_train.shape)}; they must "
            "have the same last dimension."
        )
    return y @ M.mT + c
