"""The two thresholdings that the sparse solvers are built from."""

from __future__ import annotations

from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.linear import keep_largest, shrink

__all__ = ["hard_threshold", "soft_threshold"]


def soft_threshold(u: Tensor, t: float | Tensor) -> Tensor:
    r"""Shrink every entry towards zero: the proximal operator of :math:`t\|u\|_1`.

    .. math:: S_t(u)_i = \operatorname{sign}(u_i)\,\max(|u_i| - t, 0)

    Args:
        u: Any shape.
        t: Threshold, non-negative; a number, or a tensor that broadcasts to the shape of ``u``.

    Returns:
        A tensor like ``u``.

    Raises:
        TypeError: ``u`` is not a tensor of floats, or ``t`` differs from it in dtype or device.
        ValueError: ``t`` has a negative entry or does not broadcast, or an argument is empty or not finite.

    Source: Beck and Teboulle (2009), eq. (2.6). Taught in chapter 1.

    >>> import torch
    >>> soft_threshold(torch.tensor([3.0, -0.5, -2.0]), 1.0)
    tensor([ 2., -0., -1.])
    """
    u = checks.floats("u", u)
    return shrink(u, checks.level("t", t, "u", u))


def hard_threshold(u: Tensor, s: int) -> Tensor:
    r"""Keep the s entries of largest magnitude along the last dimension and set the others to zero.

    .. math:: H_s(u) \in \operatorname*{arg\,min}_{\|v\|_0\le s}\|u - v\|_2

    Args:
        u: Shape ``(..., n)``.
        s: How many entries to keep, from 0 to ``n``.

    Returns:
        A tensor like ``u``. Of entries that tie for the last place, which is kept is not specified.

    Raises:
        TypeError: ``u`` is not a tensor of floats, or ``s`` is not an integer.
        ValueError: ``s`` is out of range, or ``u`` is empty or not finite.

    Source: Blumensath and Davies (2009). Taught in chapter 1.

    >>> import torch
    >>> hard_threshold(torch.tensor([3.0, -0.5, -2.0]), 2)
    tensor([ 3.,  0., -2.])
    """
    u = checks.signals("u", u)
    return keep_largest(u, checks.integer("s", s, 0, u.shape[-1], "the length of u"))
