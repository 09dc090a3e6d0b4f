"""A recovery counts in units of its matrix: whatever the caller's, no square leaves the numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common.units import exponent, scaled

__all__ = ["order_one"]


def order_one(A: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``A (m, n)`` or ``(N, m, n)`` and ``y (N, m)`` over a power of two, and its exponents ``(N,)``.

    A's largest entry comes to lie in [1/2, 1). One matrix has one power; with its own matrix a signal has
    its own, which does not depend on its company. Squared misfits, and the weights of penalties beside them,
    are then over the power's square.
    """
    power = exponent(A, (-2, -1)).squeeze(-1)
    within = scaled(y, -power)
    if not bool(torch.isfinite(within.square().sum(-1)).all()):
        raise ValueError(
            f"y has entries up to {float(y.abs().max()):g} and A up to {float(A.abs().max()):g}; in units of "
            f"A's the sum of y's squares must stay below {torch.finfo(y.dtype).max:g}."
        )
    if bool(power.any()):  # else a copy of many matrices would be for nothing
        A = scaled(A, -power.unsqueeze(-1))
    return A, within, power.reshape(-1, 1).expand(len(y), 1).squeeze(-1)
