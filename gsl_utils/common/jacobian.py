"""The Jacobian of a generator, by whatever kind of differentiation the generator can stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Generator", "Tangents"]

Generator = Callable[[Tensor], Tensor]

# How well differences and derivatives agree where both are right, with much room.
_AGREE = 0.1


@dataclass(frozen=True)
class Tangents:
    """How the signals of a generator change with z; which ways G can stand is tried once, by ``of``.

    ``twice`` is to differentiate backward twice, which more generators can stand than forward mode; where one
    cannot, central differences are left. ``forward`` is to make all columns of the Jacobian in one pass.
    """

    G: Generator
    twice: bool
    forward: bool = False

    @classmethod
    def of(cls, G: Generator, z: Tensor, *, columns: bool) -> Tangents:
        """The ways that work for G near the one row ``z (1, k)``; ``columns``: whether those are wanted."""
        direction = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device).cos().unsqueeze(0)
        z = z + direction.flip(-1)  # an arbitrary point: a start may lie on a kink
        return cls(G, _is_twice_differentiable(G, z, direction), columns and _has_forward_mode(G, z))

    def along(self, z: Tensor, direction: Tensor) -> Tensor:
        """The derivative of every row along its own direction ``(P, k)``: ``(P, n)``."""
        return (_backward_twice if self.twice else _differences)(self.G, z, direction)

    def columns(self, z: Tensor) -> Tensor:
        """The Jacobian of every row, transposed: ``(P, k, n)``."""
        if self.forward:
            return _forward_mode(self.G, z)
        count, k = z.shape
        directions = torch.eye(k, dtype=z.dtype, device=z.device).repeat(count, 1)
        return self.along(z.repeat_interleave(k, 0), directions).view(count, k, -1)


def _backward_twice(G: Generator, z: Tensor, direction: Tensor) -> Tensor:
    """The gradient is linear in what is pulled back: its derivative in that is what is asked for."""
    z = z.detach().requires_grad_(True)
    with torch.enable_grad():
        x = G(z)
        if not x.requires_grad:
            return torch.zeros_like(x)
        u = torch.zeros_like(x).requires_grad_(True)
        (pulled,) = torch.autograd.grad(x, z, u, create_graph=True, materialize_grads=True)
        (along,) = torch.autograd.grad(pulled, u, direction, materialize_grads=True)
    return along.detach()


def _differences(G: Generator, z: Tensor, direction: Tensor) -> Tensor:
    """Central differences, with the step that balances rounding and curvature."""
    size = torch.finfo(z.dtype).eps ** (1 / 3) * z.norm(dim=-1, keepdim=True).clamp(min=1)
    length = direction.norm(dim=-1, keepdim=True)
    step = size / torch.where(length > 0, length, 1)
    return (G(z + step * direction) - G(z - step * direction)) / (2 * step)


def _forward_mode(G: Generator, z: Tensor) -> Tensor:
    def column(direction: Tensor) -> Tensor:
        return torch.func.jvp(G, (z,), (direction.expand_as(z),))[1]

    return torch.func.vmap(column)(torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)).movedim(0, 1)


def _is_twice_differentiable(G: Generator, z: Tensor, direction: Tensor) -> bool:
    """Not whether it fails: a function that is differentiable once may give zeros without a word."""
    expected = _differences(G, z, direction)
    try:
        found = _backward_twice(G, z, direction)
    except RuntimeError:
        return False
    return bool((found - expected).norm() <= _AGREE * expected.norm())


def _has_forward_mode(G: Generator, z: Tensor) -> bool:
    try:
        _forward_mode(G, z)
    except Exception:  # G is anyone's code, and what vmap refuses it refuses in many ways.
        return False
    return True
