"""The data term of every recovery in the book, for many problems at once, and what its steps need of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils._jacobian import Columns, Generator, pushed
from gsl_utils._matrices import Matrices

__all__ = ["Problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """One row per problem: ``||y - A G(z)||^2``, or ``|| |A G(z)| - y ||^2`` where ``amplitude`` is set.

    ``y`` is ``(P, m)``. ``scale (P,)`` is the length that gains are measured by. G's weights are constants:
    it is only ever differentiated in z, which costs nothing for them and leaves nothing behind.
    """

    G: Generator
    A: Matrices
    y: Tensor
    scale: Tensor
    amplitude: bool
    columns: Columns | None = None

    def select(self, rows: Tensor) -> Problem:
        """The chosen problems, in ascending order."""
        return replace(self, A=self.A.select(rows), y=self.y[rows], scale=self.scale[rows])

    def residual(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is left unexplained, and for amplitudes the signs that were lost."""
        u = self.A.forward(x)
        return (u.abs() - self.y, u.sign()) if self.amplitude else (u - self.y, None)

    def loss(self, z: Tensor) -> Tensor:
        """The data term of every row."""
        return self.residual(self.G(z))[0].square().sum(-1)

    def loss_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The data term and its gradient: only G is differentiated automatically, the rest is products."""
        z = z.detach().requires_grad_(True)
        with torch.enable_grad():
            x = self.G(z)
        r, signs = self.residual(x.detach())
        loss = r.square().sum(-1)
        if not x.requires_grad:
            return loss, torch.zeros_like(z)
        pulled = self.A.adjoint(r if signs is None else r * signs)
        (slope,) = torch.autograd.grad(x, z, pulled, materialize_grads=True)
        return loss, 2 * slope

    def measured(self, z: Tensor, direction: Tensor) -> Tensor:
        """How the measurements ``(P, m)`` change along a direction."""
        return self.A.forward(pushed(self.G, z, direction))

    def residual_and_jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The residual ``(P, m)`` and its Jacobian, transposed: ``(P, k, m)``."""
        r, signs = self.residual(self.G(z))
        assert self.columns is not None
        jacobian = self.A.forward(self.columns(self.G, z))
        return r, jacobian if signs is None else signs.unsqueeze(-2) * jacobian
