"""A flow whose weights are constants: the same signals as its module's, with derivatives written by hand.

Recovery asks a flow for nothing but derivatives in z, a thousand times over, and automatic differentiation
spends more on its bookkeeping than on the products. Vectors are columns inside, so that each half of all rows
lies together in memory; and a step writes where the last one wrote, which the cache still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gsl_utils.generators.by_hand import ByHand

__all__ = ["ConstantFlow"]

# The weights and biases of a conditioner: of its inner layer, then of its outer one.
Weights = tuple[Tensor, Tensor, Tensor, Tensor]

_through_tanh = torch.ops.aten.tanh_backward


class ConstantFlow(ByHand):
    """Affine couplings that alternate the halves, with the weights of now, which gradients never reach."""

    def __init__(self, dim: int, conditioners: Sequence[Weights]) -> None:
        self.dim = self.latent_dim = dim
        self.half = dim // 2
        self.couplings = [_Coupling(i % 2 == 0, *layers) for i, layers in enumerate(conditioners)]
        self.slope = torch.empty(0, 0)

    def __call__(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., dim)``: the same shape."""
        halves = self._halves(z.reshape(-1, self.dim).mT)
        for i, coupling in enumerate(self.couplings):
            halves[1 - i % 2] = coupling(halves[i % 2], halves[1 - i % 2])
        return torch.cat(halves).mT.reshape(z.shape)

    def vjp(self, z: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The signals of ``z (P, dim)``, and what makes a gradient in z of one in them.

        Signals and map last until the next call, which writes into the same memory; a gradient stays.
        """
        return self._traced(z.mT).mT, lambda g: self._pulled(g.mT).clone().mT

    def pushforward(self, z: Tensor, directions: Tensor) -> Tensor:
        """The derivatives ``(P, s, dim)`` at ``z (P, dim)`` along ``directions (P, s, dim)``."""
        self._traced(z.mT)
        moved = self._halves(directions.permute(2, 1, 0))
        for i, coupling in enumerate(self.couplings):
            moved[1 - i % 2] = coupling.push(moved[i % 2], moved[1 - i % 2])
        return torch.cat(moved).permute(2, 1, 0)

    def _halves(self, columns: Tensor) -> list[Tensor]:
        return [columns[: self.half], columns[self.half :]]

    def _traced(self, columns: Tensor) -> Tensor:
        """The signals; every coupling keeps what its derivatives need."""
        if self.slope.shape[-1] != columns.shape[-1]:
            self._make_room(columns)
        halves = self._halves(columns)
        for i, coupling in enumerate(self.couplings):
            halves[1 - i % 2] = coupling.trace(halves[i % 2], halves[1 - i % 2])
        if len(self.couplings) == 1:
            self._halves(self.signal)[0].copy_(halves[0])
        return self.signal

    def _pulled(self, g: Tensor) -> Tensor:
        """The gradient in the columns, of the gradient ``g (dim, P)`` in the signals."""
        self.slope.copy_(g)
        for coupling, by_kept in zip(reversed(self.couplings), self.by_kept, strict=True):
            coupling.pull(by_kept)
        return self.slope

    def _make_room(self, columns: Tensor) -> None:
        """Room for as many columns: the halves of a gradient side by side, between those of the scales."""
        width = columns.shape[-1]
        slopes = columns.new_empty(2 * self.dim, width)
        self.slope = slopes[self.half : self.half + self.dim]
        self.signal = columns.new_empty(self.dim, width)
        both = slopes[: 2 * self.half], slopes[2 * self.half :]
        count = len(self.couplings)
        for i, coupling in enumerate(self.couplings):
            new = self._halves(self.signal)[1 - i % 2] if i >= count - 2 else None
            coupling.make_room(both[1 - i % 2], new)
        self.by_kept = [self._halves(self.slope)[i % 2] for i in reversed(range(count))]


class _Coupling:
    """What a coupling computes, and what its derivatives need of that: overwritten by the next ``trace``.

    The outer layer gives the scale and the shift of the first half, and those of the second the other way
    round. Its bias is a column of its weights, which meets a row of ones.
    """

    def __init__(self, second: bool, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> None:
        self.rows = len(w2) // 2
        outer = torch.cat([w2, b2.unsqueeze(-1)], -1).detach()
        self.outer = outer.roll(self.rows, 0) if second else outer
        self.w1, self.b1, self.w2 = w1.detach().clone(), b1.detach().unsqueeze(-1).clone(), self.outer[:, :-1]
        self.w1_back, self.w2_back = self.w1.mT, self.w2.mT
        self.order = (1, 0) if second else (0, 1)

    def _parts(self, v: Tensor) -> list[Tensor]:
        """Of the rows of the outer layer those of the scale, and those of the shift."""
        parts = v.split(self.rows)
        return [parts[i] for i in self.order]

    def __call__(self, kept: Tensor, changed: Tensor) -> Tensor:
        """The changed half anew, by operations that can be differentiated."""
        h = torch.addmm(self.b1, self.w1, kept).tanh()
        log_scale, shift = self._parts(torch.addmm(self.outer[:, -1:], self.w2, h))
        return torch.addcmul(shift, changed, log_scale.tanh().exp())

    def make_room(self, slopes: Tensor, new: Tensor | None) -> None:
        """Room for as many columns, with given room for the gradients in the outer layer and the new half."""
        width = slopes.shape[-1]
        self.slopes = slopes
        self.by_log_scale, self.by_new = self._parts(slopes)
        self.h_and_one = slopes.new_ones(len(self.w1) + 1, width)
        self.h, self.by_h = self.h_and_one[:-1], torch.empty_like(self.h_and_one[:-1])
        self.out, self.scale = torch.empty_like(slopes), torch.empty_like(self.by_new)
        self.log_scale, self.shift = self._parts(self.out)
        self.new = self.shift if new is None else new

    def trace(self, kept: Tensor, changed: Tensor) -> Tensor:
        """The changed half anew, with all kept that the derivatives need."""
        torch.addmm(self.b1, self.w1, kept, out=self.h).tanh_()
        torch.mm(self.outer, self.h_and_one, out=self.out)
        torch.exp(self.log_scale.tanh_(), out=self.scale)
        self.changed = changed
        return torch.addcmul(self.shift, changed, self.scale, out=self.new)

    def pull(self, by_kept: Tensor) -> None:
        """Turn the gradient in the new half into one in the changed, and add to that in the kept."""
        torch.mul(self.by_new, self.changed, out=self.by_log_scale).mul_(self.scale)
        _through_tanh.grad_input(self.by_log_scale, self.log_scale, grad_input=self.by_log_scale)
        torch.mm(self.w2_back, self.slopes, out=self.by_h)
        _through_tanh.grad_input(self.by_h, self.h, grad_input=self.by_h)
        by_kept.addmm_(self.w1_back, self.by_h)
        self.by_new.mul_(self.scale)

    def push(self, kept: Tensor, changed: Tensor) -> Tensor:
        """The derivative of the new half along directions ``(rows, s, P)`` of the two."""
        by_scale = self.changed * self.scale * (1 - self.log_scale.square())
        inner = (self.w1 @ kept.flatten(1)).view(len(self.h), *kept.shape[1:])
        out = self.w2 @ (inner * (1 - self.h.square()).unsqueeze(1)).flatten(1)
        log_scale, shift = self._parts(out.view(len(out), *kept.shape[1:]))
        return changed * self.scale.unsqueeze(1) + log_scale * by_scale.unsqueeze(1) + shift
