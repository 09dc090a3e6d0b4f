"""The Jacobian of a generator, whatever kind of differentiation the generator can stand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Columns", "Generator", "columns_of", "pushed"]

Generator = Callable[[Tensor], Tensor]
# From z (P, k) to the columns of every row's Jacobian, (P, k, n).
Columns = Callable[[Generator, Tensor], Tensor]


def pushed(G: Generator, z: Tensor, direction: Tensor) -> Tensor:
    """The derivative of every row along its direction ``(P, k)``: ``(P, n)``.

    By differentiating backward twice, which more generators can stand than forward mode; by central
    differences where one cannot stand that either.
    """
    z = z.detach().requires_grad_(True)
    with torch.enable_grad():
        x = G(z)
        if not x.requires_grad:
            return torch.zeros_like(x)
        u = torch.zeros_like(x).requires_grad_(True)
        try:
            (pulled,) = torch.autograd.grad(x, z, u, create_graph=True, materialize_grads=True)
            (along,) = torch.autograd.grad(pulled, u, direction, materialize_grads=True)
        except RuntimeError:
            return _differences(G, z, direction)
    return along


@torch.no_grad()
def _differences(G: Generator, z: Tensor, direction: Tensor) -> Tensor:
    """The same by central differences, with the step that balances rounding and curvature."""
    size = torch.finfo(z.dtype).eps ** (1 / 3) * z.norm(dim=-1, keepdim=True).clamp(min=1)
    length = direction.norm(dim=-1, keepdim=True)
    step = size / torch.where(length > 0, length, 1)
    return (G(z + step * direction) - G(z - step * direction)) / (2 * step)


def _forward_mode(G: Generator, z: Tensor) -> Tensor:
    """One pass for all columns: the signal itself is computed once."""

    def along(direction: Tensor) -> Tensor:
        return torch.func.jvp(G, (z,), (direction.expand_as(z),))[1]

    return torch.func.vmap(along, out_dims=1)(torch.eye(z.shape[-1], dtype=z.dtype, device=z.device))


def _one_row_per_column(G: Generator, z: Tensor) -> Tensor:
    """Each row once for every column, for generators that cannot be run in forward mode or under vmap."""
    count, k = z.shape
    directions = torch.eye(k, dtype=z.dtype, device=z.device).repeat(count, 1)
    return pushed(G, z.repeat_interleave(k, 0), directions).view(count, k, -1)


def columns_of(G: Generator, z: Tensor) -> Columns:
    """The way to the Jacobian that works for G, tried at the one row ``z (1, k)``."""
    try:
        _forward_mode(G, z)
    except Exception:  # G is anyone's code, and what vmap refuses it refuses in many ways.
        return _one_row_per_column
    return _forward_mode
