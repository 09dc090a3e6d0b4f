"""What may be assumed of a measurement matrix: orthonormal rows, and entries of few bits."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks

__all__ = ["discretise", "orthonormal_rows"]

_MOST_BITS = 1000


def discretise(A: Tensor, bits: int, *, rounding: str = "down") -> Tensor:
    r"""Round every entry to a multiple of :math:`2^{-b}`, exactly.

    .. math:: A'_{ij} = 2^{-b} \lfloor 2^b A_{ij} \rfloor

    With orthonormal rows the rounded matrix sees in v what the exact one sees in v - s: with
    :math:`s = A^\top (A - A') v` is :math:`A'v = A(v - s)`, and :math:`\|s\|_p < n^2 2^{-b} \|v\|_p`.

    Args:
        A: Any shape; the matrix, or one per signal.
        bits: b, from 0 to 1000.
        rounding: ``"down"`` as in the formula, or ``"nearest"``, a half going to the even neighbour.

    Returns:
        The multiples, with A's shape, dtype and device; no digit of theirs is rounded.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A is empty or not finite, or so large that :math:`2^b A` is beyond its dtype; an option
            is unknown or out of range.

    Source: Kamath, Karmalkar and Price (2020), Lemma 3.1. Taught in chapter 3.

    >>> discretise(torch.tensor([0.3, -0.3]), 2), discretise(torch.tensor([0.3, -0.3]), 2, rounding="nearest")
    (tensor([ 0.2500, -0.5000]), tensor([ 0.2500, -0.2500]))
    """
    table = checks.floats("A", A)
    bits = checks.integer("bits", bits, 0, _MOST_BITS)
    step = torch.floor if checks.choice("rounding", rounding, ("down", "nearest")) == "down" else torch.round
    # Scaling by a power of two changes no digit while the exponent fits.
    scaled = checks.representable("A times 2 ** bits", table * 2.0**bits)
    return step(scaled) * 2.0**-bits


def orthonormal_rows(A: Tensor) -> tuple[Tensor, Tensor]:
    r"""A matrix with orthonormal rows that measures the same, and the factor that it takes.

    .. math:: Q = T A, \qquad Q Q^\top = I

    Measurements y = Ax become Qx = Ty, and from them y comes back: T is invertible, lower triangular
    with a positive diagonal, from the QR decomposition of the transposed A.

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``, of full row rank; m is at most n.

    Returns:
        Q ``(..., m, n)`` and T ``(..., m, m)``.

    Raises:
        TypeError: A has the wrong type.
        ValueError: A is not a matrix, not finite, or its rows are linearly dependent as far as its dtype can
            tell.

    Source: Kamath, Karmalkar and Price (2020), Section 3, matrix conditioning, with a QR decomposition in the
    place of the singular values. Taught in chapter 3.

    >>> Q, T = orthonormal_rows(torch.tensor([[3.0, 0.0, 4.0], [0.0, 2.0, 0.0]]))
    >>> torch.allclose(Q, torch.tensor([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]])), torch.allclose(T.diag() ** -1,
    ...     torch.tensor([5.0, 2.0]))
    (True, True)
    """
    table = checks.matrix("A", A)
    m, n = table.shape[-2:]
    if m > n:
        raise ValueError(f"A has {m} rows of length {n}; its rows must be linearly independent.")
    values = torch.linalg.svdvals(table)
    if bool((values[..., -1] <= n * torch.finfo(table.dtype).eps * values[..., 0]).any()):
        raise ValueError("A has linearly dependent rows; they must be independent.")
    Q, R = torch.linalg.qr(table.mT)
    sign = torch.diagonal(R, dim1=-2, dim2=-1).sign().unsqueeze(-2)
    rows, lower = (Q * sign).mT, (R * sign.mT).mT
    eye = torch.eye(m, dtype=table.dtype, device=table.device).expand_as(lower)
    return rows, torch.linalg.solve_triangular(lower, eye, upper=False)
