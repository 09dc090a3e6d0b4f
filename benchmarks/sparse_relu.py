"""The sparse ReLU network evaluated by its sectors, beside writing its output once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.timing import least_seconds
from gsl_utils.generators import SparseReLU

__all__ = ["Forward", "WideSize", "forwards"]


@dataclass(frozen=True)
class WideSize:
    """How large the output is.

    Attributes:
        signals: How many are made.
        n: Entries of each.
        k: Blocks of the input.
    """

    signals: int
    n: int
    k: int


@dataclass(frozen=True)
class Forward:
    """One evaluation of the network, in processor seconds.

    Attributes:
        layers: Hidden layers of the network that it stands for.
        seed: Of the inputs.
        seconds: Of the evaluation, in float64.
        writing: Of a tensor of the output's shape that is allocated and filled once: nobody can do with less.
        ratio: The one over the other.
    """

    layers: int
    seed: int
    seconds: float
    writing: float
    ratio: float


def forwards(size: WideSize, seeds: Sequence[int]) -> list[Forward]:
    """Evaluate both networks on Gaussian inputs, one row a network and seed.

    Args:
        size: How large.
        seeds: Of the inputs.
    """
    found = []
    for layers in (2, 1):
        G = SparseReLU(size.n, size.k, layers=layers)
        G(torch.zeros(1, G.latent_dim, dtype=torch.float64))
        for seed in seeds:
            source = torch.Generator().manual_seed(seed)
            z = torch.randn(size.signals, G.latent_dim, generator=source, dtype=torch.float64)
            writing, _ = least_seconds(partial(_write, size))
            seconds, x = least_seconds(partial(G, z))
            if int((x != 0).sum(-1).max()) > size.k:
                raise ValueError(f"seed {seed} gives more than {size.k} non-zeros; the network gives no more")
            found.append(Forward(layers, seed, seconds, writing, seconds / max(writing, 1e-9)))
    return found


def _write(size: WideSize) -> Tensor:
    return torch.zeros(size.signals, size.n, dtype=torch.float64).fill_(1.0)
