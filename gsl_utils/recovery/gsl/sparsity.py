"""How many entries of a latent vector are worth having: the criterion by which supports are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["Criterion"]

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
