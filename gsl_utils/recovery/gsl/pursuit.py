"""Search among supports: backward elimination from many candidates, and pursuit of better ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.common import batched
from gsl_utils.recovery.gsl.sparsity import Criterion
from gsl_utils.recovery.gsl.supports import SparseModel, refit, scattered

__all__ = ["Found", "eliminate", "largest", "pursue"]

_FIRST_STEPS, _NEXT_STEPS, _TOL = 8, 2, 1e-3
_RIDGE = 1e-9  # share of the largest curvature, lest columns that depend on each other cannot be inverted


@dataclass(frozen=True, eq=False)
class Found:
    """The best latent vectors so far, ``z (N, p)``, and their scores ``(N,)``."""

    z: Tensor
    score: Tensor

    def better(self, other: Found) -> Found:
        """Of each row the one with the lower score."""
        lower = other.score < self.score
        z = torch.where(lower.unsqueeze(-1), other.z, self.z)
        return Found(z, torch.where(lower, other.score, self.score))


def largest(values: Tensor, count: int) -> Tensor:
    """The mask of the ``count`` largest values of each row."""
    chosen = values.topk(min(count, values.shape[-1]), dim=-1).indices
    return torch.zeros_like(values, dtype=torch.bool).scatter(-1, chosen, True)


def eliminate(
    model: SparseModel,
    criterion: Criterion,
    z: Tensor,
    support: Tensor,
    removals: int,
    *,
    by_worth: bool = True,
) -> Found:
    """Remove from each support the entry that is missed least, again and again, and keep the best size.

    After each removal the others are fitted anew. Without ``by_worth`` the smallest entry goes instead.
    """
    fit = refit(model, z, support, steps=_FIRST_STEPS, tol=_TOL)
    best = Found(fit.z, criterion(fit.energy, support.sum(-1)))
    for _ in range(removals):
        if not bool(support.any()):
            break
        z, support = _without_least(model, fit.z, support, by_worth)
        fit = refit(model, z, support, steps=_NEXT_STEPS, tol=_TOL)
        best = best.better(Found(fit.z, criterion(fit.energy, support.sum(-1))))
    return best


def _without_least(model: SparseModel, z: Tensor, support: Tensor, by_worth: bool) -> tuple[Tensor, Tensor]:
    """The entry goes that the linearised fit misses least, and the others make up for it.

    Source: the optimal brain surgeon of Hassibi and Stork (1993).
    """
    indices, real = batched.support_indices(support)
    w = z.gather(-1, indices) * real
    if by_worth:
        J = model.columns(z, indices) * real.unsqueeze(-1)
        H = J @ J.mT
        ridge = _RIDGE * H.diagonal(dim1=-2, dim2=-1).amax(-1, keepdim=True) + torch.finfo(z.dtype).tiny
        inverse = torch.linalg.inv(H + torch.diag_embed(torch.where(real, ridge, 1)))
        worth = w.square() / inverse.diagonal(dim1=-2, dim2=-1)
    else:
        inverse = torch.eye(w.shape[-1], dtype=z.dtype, device=z.device).expand(len(w), -1, -1)
        worth = w.abs()
    least = worth.masked_fill(~real, torch.inf).argmin(-1, keepdim=True)
    row = inverse.gather(1, least.unsqueeze(-1).expand(-1, -1, inverse.shape[-1])).squeeze(1)
    w = (w - row * (w.gather(-1, least) / row.gather(-1, least))).scatter(-1, least, 0) * real
    gone = torch.zeros_like(support).scatter(-1, indices.gather(-1, least), True)
    return scattered(w, indices, z.shape[-1]), support & ~gone


def pursue(model: SparseModel, criterion: Criterion, found: Found, width: int) -> Found:
    """Add to each support the ``width`` entries that explain most of its residual, and eliminate again.

    Source: gradient support pursuit, Bahmani, Raj and Boufounos (2013), with the linearised fit's gain in
    place of the gradient.
    """
    support = found.z != 0
    wider = support | largest(_gains(model, found.z, support), width)
    return found.better(eliminate(model, criterion, found.z, wider, width + 2))


def _gains(model: SparseModel, z: Tensor, support: Tensor) -> Tensor:
    """What the squared residual loses when one entry joins the linearised fit; below 0 for those within."""
    count, p = z.shape
    J = model.columns(z, torch.arange(p, device=z.device).expand(count, p))
    indices, real = batched.support_indices(support)
    if indices.shape[-1]:
        within = J.gather(1, indices.unsqueeze(-1).expand(-1, -1, J.shape[-1])) * real.unsqueeze(-1)
        Q = torch.linalg.qr(within.mT).Q
        J = J - (J @ Q) @ Q.mT
    energy = J.square().sum(-1)
    along = (J @ model.residual(z).unsqueeze(-1)).squeeze(-1).square()
    return torch.where(energy > 0, along / energy, 0).masked_fill(support, -1)
