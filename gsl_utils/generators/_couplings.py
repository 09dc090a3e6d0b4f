"""A flow whose weights are constants: the same signals as its module's, with derivatives written by hand.

Recovery asks a flow for nothing but derivatives in z, a thousand times over, and automatic differentiation
spends more on its bookkeeping than on the products. Vectors are columns inside, so that each half of all rows
lies together in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["ConstantFlow"]

# The weights of a conditioner: of its inner layer with the bias as a column, then of its outer one.
Weights = tuple[Tensor, Tensor, Tensor, Tensor]
# What a coupling's derivatives need: tanh of the inner layer, tanh(s), its exponential, what was changed.
Trace = tuple[Tensor, Tensor, Tensor, Tensor]


class ConstantFlow:
    """Affine couplings that alternate the halves, first the one after the first ``dim // 2`` entries.

    Args:
        dim: The length of a vector.
        conditioners: The weights of each coupling; gradients never reach them.
    """

    def __init__(self, dim: int, conditioners: Sequence[Weights]) -> None:
        self.dim = self.latent_dim = dim
        self.half = dim // 2
        self.conditioners = [
            (w1.detach(), b1.detach().unsqueeze(-1), w2.detach(), b2.detach().unsqueeze(-1))
            for w1, b1, w2, b2 in conditioners
        ]

    def __call__(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., dim)``: the same shape."""
        return self.forward(z.reshape(-1, self.dim).mT)[0].mT.reshape(z.shape)

    def vjp(self, z: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The signals of ``z (P, dim)``, and what makes a gradient in z of one in them."""
        x, traces = self.forward(z.mT)
        return x.mT, lambda g: self.pullback(g.mT.contiguous(), traces).mT

    def forward(self, columns: Tensor) -> tuple[Tensor, list[Trace]]:
        """The signals of ``columns (dim, P)``, and what the derivatives need of every coupling."""
        halves = [columns[: self.half], columns[self.half :]]
        traces = []
        for i, (w1, b1, w2, b2) in enumerate(self.conditioners):
            kept, changed = halves[i % 2], halves[1 - i % 2]
            h = torch.addmm(b1, w1, kept).tanh()
            out = torch.addmm(b2, w2, h)
            rows = len(changed)
            log_scale = out[:rows].tanh()
            scale = log_scale.exp()
            traces.append((h, log_scale, scale, changed))
            halves[1 - i % 2] = torch.addcmul(out[rows:], changed, scale)
        return torch.cat(halves), traces

    def pullback(self, g: Tensor, traces: Sequence[Trace]) -> Tensor:
        """The gradient in the columns, of the gradient ``g (dim, P)`` in the signals."""
        halves = [g[: self.half], g[self.half :]]
        for i in reversed(range(len(traces))):
            w1, _, w2, _ = self.conditioners[i]
            h, log_scale, scale, changed = traces[i]
            there = halves[1 - i % 2]
            along = there * scale
            by_scale = torch.ops.aten.tanh_backward(along * changed, log_scale)
            rows = len(there)
            inner = torch.addmm(w2[rows:].mT @ there, w2[:rows].mT, by_scale)
            inner = torch.ops.aten.tanh_backward(inner, h)
            halves[i % 2] = torch.addmm(halves[i % 2], w1.mT, inner)
            halves[1 - i % 2] = along
        return torch.cat(halves)

    def pushforward(self, z: Tensor, directions: Tensor) -> Tensor:
        """The derivatives ``(P, s, dim)`` at ``z (P, dim)`` along ``directions (P, s, dim)``."""
        _, traces = self.forward(z.mT)
        count, width, _ = directions.shape
        moved = directions.permute(2, 1, 0).reshape(self.dim, -1)
        halves = [moved[: self.half], moved[self.half :]]

        def times(factor: Tensor, tangent: Tensor) -> Tensor:
            wide = tangent.view(-1, width, count) * factor.unsqueeze(1)
            return wide.view(len(tangent), -1)

        for i, (h, log_scale, scale, changed) in enumerate(traces):
            w1, _, w2, _ = self.conditioners[i]
            out = w2 @ times(1 - h.square(), w1 @ halves[i % 2])
            rows = len(changed)
            by_scale = changed * scale * (1 - log_scale.square())
            halves[1 - i % 2] = times(scale, halves[1 - i % 2]) + times(by_scale, out[:rows]) + out[rows:]
        return torch.cat(halves).view(self.dim, width, count).permute(2, 1, 0)
