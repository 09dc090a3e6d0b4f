"""Kinks that look flat: torch calls the slopes of a ReLU and of a magnitude at zero zero."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["falls_nearby"]


def falls_nearby(value: Callable[[Tensor], Tensor], z: Tensor, here: Tensor, least: Tensor) -> Tensor:
    """Where the value ``here (P,)`` at ``z (P, k)`` falls by more than ``least (P,)`` beside it.

    A short step is tried either way along one direction, in which all coordinates take part.
    """
    direction = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device).cos()
    reach = z.abs().amax(-1, keepdim=True)
    step = torch.finfo(z.dtype).eps ** (1 / 3) * torch.where(reach > 0, reach, 1) * direction
    lowest = torch.minimum(value(z + step), value(z - step))
    return lowest < here - least
