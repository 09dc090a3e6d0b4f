"""Units: a power of two takes any input to order one and back, exactly; no square then leaves the numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["decibels", "exponent", "scaled", "unit", "unit_difference"]

# The power is applied in so many parts: from the smallest number to the largest is further than the largest.
_PARTS = 3


def exponent(value: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """The e, an integer, with the largest magnitude of ``value`` along ``dim`` in ``[2**(e-1), 2**e)``.

    It keeps ``dim`` with length 1, and is 0 where all entries are zero.
    """
    return torch.frexp(value.abs().amax(dim, keepdim=True)).exponent


def scaled(value: Tensor, power: Tensor | int) -> Tensor:
    """``value * 2**power``: exact, unless it overflows or has fewer digits below the normal numbers."""
    power = torch.as_tensor(power, device=value.device)
    part = power.div(_PARTS, rounding_mode="trunc")
    for piece in (*(part,) * (_PARTS - 1), power - (_PARTS - 1) * part):
        value = value * torch.ldexp(torch.ones_like(piece, dtype=value.dtype), piece)
    return value


def unit(value: Tensor, dim: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """``value`` over the power of two of ``exponent``, and that exponent; its squares are of order one."""
    power = exponent(value, dim)
    return scaled(value, -power), power


def unit_difference(a: Tensor, b: Tensor, dim: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """``a - b`` over a power of two, and its exponent: the difference may overflow, by a factor of 2."""
    top = math.frexp(torch.finfo(a.dtype).max)[1]
    halved = (torch.maximum(exponent(a, dim), exponent(b, dim)) >= top).int()
    difference, power = unit(scaled(a, -halved) - scaled(b, -halved), dim)
    return difference, power + halved


def decibels(over: Tensor, under: Tensor, power: Tensor) -> Tensor:
    """``10 log10(over / under * 2**power)``; ``over / under`` is of order one, the whole need not be."""
    # As much of the power as the numbers hold goes below the logarithm, where it costs no rounding.
    limit = int(math.log2(torch.finfo(over.dtype).max) / 2)
    inside = power.clamp(-limit, limit)
    outside = (power - inside).to(over.dtype) * math.log10(2)
    return 10 * (torch.log10(scaled(over / under, inside)) + outside)
