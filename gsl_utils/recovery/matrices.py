"""The measurement matrices of many problems: one for all, or one per signal and shared by its restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Matrices", "OneForAll", "OnePerSignal"]


class Matrices(Protocol):
    """What a problem asks of its matrices; problems are rows."""

    def forward(self, x: Tensor) -> Tensor:
        """The measurements ``(P, ..., m)`` of ``x (P, ..., n)``."""

    def adjoint(self, r: Tensor) -> Tensor:
        """The transpose applied to ``r (P, ..., m)``."""

    def select(self, rows: Tensor) -> Matrices:
        """The matrices of the chosen problems; ``rows`` ascend."""


@dataclass(frozen=True, eq=False)
class OneForAll:
    """The same matrix ``A (m, n)`` for every problem."""

    A: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """The measurements."""
        return x @ self.A.mT

    def adjoint(self, r: Tensor) -> Tensor:
        """The transpose applied."""
        return r @ self.A

    def select(self, rows: Tensor) -> OneForAll:  # noqa: ARG002 (the same for all)
        """Itself."""
        return self


class OnePerSignal:
    """A matrix ``A (S, m, n)`` for each signal; problem ``i`` has that of signal ``owner[i]``, which ascends.

    The problems of one signal are measured by one product, so that its matrix is read once and never copied
    for them. Signals with fewer problems than the others are padded.
    """

    def __init__(self, A: Tensor, owner: Tensor) -> None:
        self.A, self.owner = A, owner
        count = torch.bincount(owner, minlength=len(A))
        self.width = int(count.max())
        place = torch.arange(len(owner), device=owner.device) - (count.cumsum(0) - count)[owner]
        self.slot = owner * self.width + place
        self.full = len(owner) == len(A) * self.width

    def forward(self, x: Tensor) -> Tensor:
        """The measurements."""
        return self._apply(x, self.A.mT)

    def adjoint(self, r: Tensor) -> Tensor:
        """The transpose applied."""
        return self._apply(r, self.A)

    def select(self, rows: Tensor) -> OnePerSignal:
        """The matrices of the chosen problems; those of absent signals go once they are half of all."""
        owner = self.owner[rows]
        present, renamed = owner.unique_consecutive(return_inverse=True)
        if 2 * len(present) > len(self.A):
            return OnePerSignal(self.A, owner)
        return OnePerSignal(self.A[present], renamed)

    def _apply(self, v: Tensor, tables: Tensor) -> Tensor:
        wide = v
        if not self.full:
            padded = v.new_zeros(len(self.A) * self.width, *v.shape[1:])
            wide = padded.index_copy_(0, self.slot, v)
        out = wide.reshape(len(self.A), -1, v.shape[-1]) @ tables
        out = out.view(*wide.shape[:-1], -1)
        return out if self.full else out[self.slot]
