"""The data term of every recovery in the book, for many problems at once, and what its steps need of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils import _batched

__all__ = ["Problem", "frozen"]

Generator = Callable[[Tensor], Tensor]


def frozen(generator: Generator) -> Generator:
    """The generator as a function whose weights are constants: nothing is computed for their gradients."""
    if not isinstance(generator, torch.nn.Module):
        return generator
    module = generator
    state = {name: value.detach() for name, value in (*module.named_parameters(), *module.named_buffers())}

    def call(z: Tensor) -> Tensor:
        return torch.func.functional_call(module, state, (z,))

    return call


@dataclass(frozen=True, eq=False)
class Problem:
    """One row per problem: ``||y - A G(z)||^2``, or ``|| |A G(z)| - y ||^2`` where ``amplitude`` is set.

    ``A`` is ``(m, n)`` for all, or ``(P, m, n)`` with one matrix per problem; ``y`` is ``(P, m)``.
    """

    G: Generator
    A: Tensor
    y: Tensor
    amplitude: bool = False

    def select(self, rows: Tensor) -> Problem:
        """The chosen problems."""
        return replace(self, A=_batched.rows(self.A, rows), y=self.y[rows])

    def residual(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is left unexplained, and for amplitudes the signs that were lost."""
        u = _batched.forward(self.A, x)
        return (u.abs() - self.y, u.sign()) if self.amplitude else (u - self.y, None)

    @torch.no_grad()
    def loss(self, z: Tensor) -> Tensor:
        """The data term of every row."""
        return self.residual(self.G(z))[0].square().sum(-1)

    def loss_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The data term and its gradient: only G is differentiated automatically, the rest is products."""
        z = z.detach().requires_grad_(True)
        with torch.enable_grad():
            x = self.G(z)
        with torch.no_grad():
            r, signs = self.residual(x)
            pulled = _batched.adjoint(self.A, r if signs is None else r * signs)
        if not x.requires_grad:  # a generator that ignores z
            return r.square().sum(-1), torch.zeros_like(z)
        (g,) = torch.autograd.grad(x, z, pulled)
        return r.square().sum(-1), 2 * g

    @torch.no_grad()
    def residual_and_jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The residual ``(P, m)`` and its Jacobian ``(P, m, k)``, by one forward-mode pass per coordinate."""
        basis = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)

        def along(direction: Tensor) -> Tensor:
            return torch.func.jvp(self.G, (z,), (direction.expand_as(z),))[1]

        x, columns = self.G(z), torch.func.vmap(along)(basis)
        r, signs = self.residual(x)
        if self.A.ndim == 2:
            jacobian = (columns @ self.A.mT).permute(1, 2, 0)
        else:
            jacobian = self.A @ columns.permute(1, 2, 0)
        return r, jacobian if signs is None else signs.unsqueeze(-1) * jacobian
