"""Estimates of a signal that are linear in its measurements: what every non-linear method must beat.

They take what they are given as constants: no result carries a graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks, linear
from gsl_utils.common.linear import scaled, unit

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
        ValueError: Shapes do not fit, entries are not finite, or the estimate is beyond the largest number.

    Taught in chapter 6.

    >>> least_norm(torch.tensor([[1.0, 1.0]]), torch.tensor([2.0]))
    tensor([1.0000, 1.0000])
    """
    A, y, _ = checks.linear_system("A", A, "y", y, "rows")
    (A, above), (y, beyond) = unit(A.detach(), (-2, -1)), unit(y.detach(), -1)
    x = linear.forward(torch.linalg.pinv(A), y)
    return checks.representable("the estimate", scaled(x, beyond - above.squeeze(-1)))


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
        ValueError: Shapes do not fit, entries are not finite, there are too few pairs, or the map is beyond
            the largest number.

    Taught in chapters 6 and 7.

    >>> u = torch.tensor([[0.0], [1.0], [2.0]])
    >>> M, c = affine_fit(u, 3 * u + 1)
    >>> round(float(M), 4), round(float(c), 4)
    (3.0, 1.0)
    """
    M, c, inside, outside = _fit("u", u, "x", x)
    return (
        checks.representable("M", scaled(M, outside - inside)),
        checks.representable("c", scaled(c, outside.squeeze(-1))),
    )


def _fit(u_name: str, u: object, x_name: str, x: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The map between u and x over powers of two, ``(1, 1)``, and the exponents of these."""
    inputs, outputs = checks.signals(u_name, u, "q").detach(), checks.signals(x_name, x).detach()
    checks.same_kind(**{u_name: inputs, x_name: outputs})
    if inputs.ndim != 2 or outputs.ndim != 2 or len(inputs) != len(outputs):
        raise ValueError(
            f"{u_name} has shape {tuple(inputs.shape)} and {x_name} has {tuple(outputs.shape)}; they must be "
            "(N, q) and (N, n)."
        )
    if len(inputs) <= inputs.shape[1]:
        raise ValueError(
            f"{u_name} has {len(inputs)} rows of {inputs.shape[1]} entries; it must have more rows than "
            "entries."
        )
    (inputs, inside), (outputs, outside) = unit(inputs, (0, 1)), unit(outputs, (0, 1))
    centre, mean = inputs.mean(0), outputs.mean(0)
    M = (torch.linalg.pinv(inputs - centre) @ (outputs - mean)).mT
    return M, mean - M @ centre, inside, outside


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
        ValueError: Shapes do not fit, entries are not finite, there are too few pairs, or an estimate is
            beyond the largest number.

    Taught in chapter 6.

    >>> y_train = torch.tensor([[0.0], [1.0], [2.0]])
    >>> x_train = torch.cat([y_train, 1 - y_train], dim=-1)
    >>> affine_lmmse(y_train, x_train, torch.tensor([3.0])).round(decimals=4)
    tensor([ 3., -2.])
    """
    M, c, inside, outside = _fit("y_train", y_train, "x_train", x_train)
    y = checks.signals("y", y, "m").detach()
    checks.same_kind(y_train=y_train, y=y)
    if y.shape[-1] != M.shape[1]:
        raise ValueError(
            f"y has shape {tuple(y.shape)} and y_train has {tuple(y_train.shape)}; they must "
            "have the same last dimension."
        )
    estimate = scaled(scaled(y, -inside.squeeze()) @ M.mT + c, outside.squeeze())
    return checks.representable("the estimate", estimate)
