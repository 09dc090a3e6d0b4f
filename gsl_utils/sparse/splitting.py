"""Douglas-Rachford splitting for LASSO, a batch of signals at a time: which entries are not zero?"""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import batched
from gsl_utils.common.roots import square_root

__all__ = ["Splitting", "spectral_rows"]

# How far each step goes: between 0 and 2 it converges.
_RELAXATION = 1.8


def spectral_rows(A: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Least squares with orthogonal rows instead: ``|Ax - y|^2`` and ``|Bx - b|^2`` differ by a constant.

    Returns ``B``, ``b`` and the squared norms of the rows of B in ascending order; as many rows as A has rows
    or columns, whichever are fewer.
    """
    if A.shape[-2] <= A.shape[-1]:
        energy, rotation = torch.linalg.eigh(A @ A.mT)
        return rotation.mT @ A, batched.adjoint(rotation, y), energy.clamp(min=0)
    energy, rotation = torch.linalg.eigh(A.mT @ A)
    energy = energy.clamp(min=0)
    length = square_root(energy)
    present = length > torch.finfo(A.dtype).eps * length[..., -1:]
    inverse = torch.where(present, 1 / length, torch.zeros_like(length))
    b = batched.adjoint(rotation, batched.adjoint(A, y)) * inverse
    return rotation.mT * length.unsqueeze(-1), b, energy


class Splitting:
    r"""The iteration for orthogonal rows. It is to find the support, for which float32 is enough.

    .. math:: z = S_t(p),\qquad p \leftarrow p + 1.8\,\big(\operatorname{prox}(2z - p) - z\big),\qquad
        \operatorname{prox}(v) = v + B^\top W(b - Bv)

    with the proximal operator of the data term, for which W is diagonal: with the squared norms E of the rows
    of B, :math:`W = (E + \lambda/t)^{-1}`. The threshold t sets the speed, not the solution.

    Args:
        B: ``(m, n)`` or ``(N, m, n)``, with orthogonal rows.
        b: ``(N, m)``.
        weight: The diagonal of W, ``(N, m)``.
        threshold: t, ``(N, 1)``.
        nonnegative: Whether z must be non-negative.
    """

    def __init__(
        self, B: Tensor, b: Tensor, weight: Tensor, threshold: Tensor, *, nonnegative: bool = False
    ) -> None:
        self.B, self.weight, self.threshold = (
            state.float() for state in (B, -_RELAXATION * weight, threshold)
        )
        self.start = batched.adjoint(self.B, (b * weight).float())
        self.lowest = torch.full_like(self.threshold, -torch.inf) if nonnegative else -self.threshold
        self.p = self.start

    @property
    def z(self) -> Tensor:
        """The sparse point."""
        return self.p - self._clipped()

    def _clipped(self) -> Tensor:
        """What the threshold cuts off."""
        return torch.clamp(self.p, self.lowest, self.threshold)

    def step(self) -> None:
        """One step."""
        clipped = self._clipped()
        image = batched.forward(self.B, self.p - 2 * clipped) * self.weight
        change = batched.adjoint(self.B, image)
        self.p = change.add_(self.p).add_(self.start - clipped, alpha=_RELAXATION)

    def select(self, chosen: Tensor) -> None:
        """Go on with these signals only."""
        self.weight, self.start, self.threshold, self.lowest, self.p = (
            state[chosen] for state in (self.weight, self.start, self.threshold, self.lowest, self.p)
        )
        self.B = batched.rows(self.B, chosen)
