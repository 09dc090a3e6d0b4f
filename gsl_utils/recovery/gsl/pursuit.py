"""Search among supports: how they are compared, backward elimination, and pursuit of better ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils.common import least_squares
from gsl_utils.recovery.gsl.supports import SparseModel, refit, scattered

__all__ = ["Criterion", "Found", "eliminate", "largest", "pursue"]

_FIRST_STEPS, _NEXT_STEPS, _TOL = 8, 2, 1e-3
_RIDGE = 1e-9  # share of the largest curvature, lest columns that depend on each other cannot be inverted


# Chen and Chen's gamma. At 1, their largest, one support in twenty grows by an entry that fits only noise.
_GAMMA = 1.5


@dataclass(frozen=True, eq=False)
class Criterion:
    """The extended Bayesian information criterion, or the squared residual where the sparsity is known.

    There are ``m`` measurements, and the support lies among ``p`` entries. Squared residuals below
    ``floor (N,)`` are rounding. ``noise_std (N,)`` is the standard deviation of the noise where it is known.
    """

    m: int
    p: int
    floor: Tensor
    sparsity: int | None = None
    noise_std: Tensor | None = None

    @classmethod
    def of(cls, model: SparseModel, sparsity: int | None, noise_std: Tensor | None) -> Criterion:
        """The criterion of a model, with what is known of it; ``noise_std`` is in the model's units."""
        info = torch.finfo(model.y.dtype)
        floor = info.eps**0.75 * model.y.square().sum(-1) + info.tiny
        return cls(model.y.shape[1], model.B.shape[1], floor, sparsity, noise_std)

    def select(self, rows: Tensor) -> Criterion:
        """The criterion of the chosen rows."""
        std = None if self.noise_std is None else self.noise_std[rows]
        return replace(self, floor=self.floor[rows], noise_std=std)

    def __call__(self, energy: Tensor, size: Tensor) -> Tensor:
        """The score of squared residuals ``energy (N,)`` with ``size (N,)`` non-zeros: less is better."""
        if self.sparsity is not None:
            return torch.where(size == self.sparsity, energy, torch.inf)
        size = size.to(energy.dtype)
        subsets = math.lgamma(self.p + 1) - torch.lgamma(size + 1) - torch.lgamma(self.p - size + 1)
        price = size * math.log(self.m) + 2 * _GAMMA * subsets
        energy = energy + self.floor
        if self.noise_std is not None:
            return energy / (self.noise_std.square() + self.floor) + price
        # A fit to s of the measurements leaves m - s: the price grows as that of the corrected AIC does.
        return self.m * torch.log(energy) + price * self.m / (self.m - size - 1).clamp(min=0.1)


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
    indices, real = least_squares.support_indices(support)
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
    indices, real = least_squares.support_indices(support)
    if indices.shape[-1]:
        within = J.gather(1, indices.unsqueeze(-1).expand(-1, -1, J.shape[-1])) * real.unsqueeze(-1)
        Q = torch.linalg.qr(within.mT).Q
        J = J - (J @ Q) @ Q.mT
    energy = J.square().sum(-1)
    along = (J @ model.residual(z).unsqueeze(-1)).squeeze(-1).square()
    return torch.where(energy > 0, along / energy, 0).masked_fill(support, -1)
