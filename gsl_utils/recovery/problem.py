"""The data term of every recovery in the book, for many problems at once, and what its steps need of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils.common.jacobian import Generator, Tangents
from gsl_utils.common.units import scaled
from gsl_utils.generators.by_hand import ByHand
from gsl_utils.recovery.matrices import Matrices, OneForAll

__all__ = ["Problem"]

# A Jacobian has a row for each latent coordinate: how many blocks of rows one may fill.
_JACOBIAN_BLOCKS = 16


@dataclass(frozen=True, eq=False)
class Problem:
    """One row per problem: ``||y - A G(z)||^2``, or ``|| |A G(z)| - y ||^2`` where ``amplitude`` is set.

    ``y`` is ``(P, m)``, in units of ``2**power (P,)``, as A is. ``scale (P,)`` is the length that gains are
    measured by. G's weights are constants: it is only ever differentiated in z, which costs nothing for them
    and leaves nothing behind. G sees ``block`` rows at a time.
    """

    G: Generator
    A: Matrices
    y: Tensor
    power: Tensor
    scale: Tensor
    amplitude: bool
    block: int
    tangents: Tangents

    def select(self, rows: Tensor) -> Problem:
        """The chosen problems, in ascending order."""
        y, power, scale = self.y[rows], self.power[rows], self.scale[rows]
        return replace(self, A=self.A.select(rows), y=y, power=power, scale=scale)

    def residual(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is left unexplained, and for amplitudes the signs that were lost."""
        u = self.A.forward(x)
        return (u.abs() - y, u.sign()) if self.amplitude else (u - y, None)

    def loss(self, z: Tensor) -> Tensor:
        """The data term of every row."""
        parts = [self.residual(self.G(part), y)[0].square().sum(-1) for part, y in self._parts(z)]
        return _joined(parts)

    def loss_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The data term and its gradient: only G is differentiated automatically, the rest is products."""
        losses, slopes = zip(*(self._loss_and_gradient(part, y) for part, y in self._parts(z)), strict=True)
        return _joined(losses), _joined(slopes)

    def in_units(self, step: float) -> Tensor:
        """A step along the gradient, one over a squared length, that the caller gave: ``(P, 1)``."""
        # By way of a double: a step beyond the dtype is infinite, and loses its row.
        given = torch.full((len(self.y), 1), step, dtype=torch.float64, device=self.y.device)
        return scaled(given, 2 * self.power.unsqueeze(-1)).to(self.y.dtype)

    def measured(self, z: Tensor, direction: Tensor) -> Tensor:
        """How the measurements ``(P, m)`` change along a direction."""
        return self.A.forward(self.tangents.along(z, direction))

    def residual_and_jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The residual ``(P, m)`` and its Jacobian, transposed: ``(P, k, m)``."""
        size = max(1, _JACOBIAN_BLOCKS * self.block // z.shape[-1])
        if len(z) > size:
            some = torch.arange(len(z), device=z.device).split(size)
            parts = [self.select(rows).residual_and_jacobian(z[rows]) for rows in some]
            residuals, jacobians = zip(*parts, strict=True)
            return torch.cat(residuals), torch.cat(jacobians)
        r, signs = self.residual(self.G(z), self.y)
        jacobian = self.A.forward(self.tangents.columns(z))
        return r, jacobian if signs is None else signs.unsqueeze(-2) * jacobian

    def _parts(self, z: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Equal parts of the rows, none larger than a block; matrices of their own keep the rows together."""
        if len(z) <= self.block or not isinstance(self.A, OneForAll):
            return [(z, self.y)]
        count = -(-len(z) // self.block)
        return list(zip(z.chunk(count), self.y.chunk(count), strict=True))

    def _loss_and_gradient(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.G, ByHand):
            x, pull = self.G.vjp(z)
            r, signs = self.residual(x, y)
            return r.square().sum(-1), pull(self.A.adjoint(2 * r if signs is None else 2 * r * signs))
        z = z.detach().requires_grad_(True)
        with torch.enable_grad():
            x = self.G(z)
        r, signs = self.residual(x.detach(), y)
        loss = r.square().sum(-1)
        if not x.requires_grad:
            return loss, torch.zeros_like(z)
        pulled = self.A.adjoint(r if signs is None else r * signs)
        (slope,) = torch.autograd.grad(x, z, pulled, materialize_grads=True)
        return loss, 2 * slope


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(tuple(parts))
