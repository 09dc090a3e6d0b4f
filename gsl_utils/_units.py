"""Units: a power of two takes any input to order one and back, exactly, and then no square leaves the numbers."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["exponent", "scaled"]

# The power is applied in so many parts: the way from the smallest number to the largest is longer than the largest.
_PARTS = 3


def exponent(value: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """The e, an integer, with the largest magnitude of ``value`` along ``dim`` in ``[2**(e-1), 2**e)``.

    It keeps ``dim`` with length 1, and is 0 where all entries are zero.
    """
    return torch.frexp(value.abs().amax(dim, keepdim=True)).exponent


def scaled(value: Tensor, power: Tensor | int) -> Tensor:
    """``value * 2**power``: exact, unless the result overflows or has fewer digits below the normal numbers."""
    power = torch.as_tensor(power, device=value.device)
    part = power.div(_PARTS, rounding_mode="trunc")
    for piece in (*(part,) * (_PARTS - 1), power - (_PARTS - 1) * part):
        value = value * torch.ldexp(torch.ones_like(piece, dtype=value.dtype), piece)
    return value
