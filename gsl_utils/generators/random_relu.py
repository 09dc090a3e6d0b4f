"""The random ReLU network that Hand and Voroninski analyse."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import fed

__all__ = ["RandomReLU"]


class RandomReLU(nn.Module):
    r"""A ReLU network with Gaussian weights and no biases, whose last layer has its ReLU too.

    .. math:: G(z) = \operatorname{relu}(W_d \cdots \operatorname{relu}(W_1 z)\cdots), \qquad
              W_i \in \mathbb R^{n_i \times n_{i-1}},\ n_0 = k, \qquad (W_i)_{jl} \sim N(0, 1/n_i)

    A layer keeps the norm of its input but for its ReLU, which takes half of the energy in the mean:
    :math:`\mathbb E\|G(z)\|_2^2 = 2^{-d}\|z\|_2^2`. Scaling by a positive number passes through.

    Args:
        widths: ``(k, n_1, ..., n_d)``: the latent dimension, and the number of outputs of each of the
            d layers, at least one.
        generator: The source of randomness of the weights. The draw is made on its device and then moved, so
            that one seed gives one network everywhere.
        dtype: Of the weights.
        device: Of the weights.

    Raises:
        TypeError: An argument has the wrong type; later, z has, or another dtype or device than the weights.
        ValueError: A width is below 1, there are fewer than two, or the device is not there; later, z is not
            ``(..., k)``, or has NaN or infinite entries.

    Source: Hand and Voroninski (2018), section 1 and theorem 1. Taught in chapters 4 and 5.

    >>> G = RandomReLU((5, 40, 100), generator=torch.Generator().manual_seed(0))
    >>> z = torch.ones(3, 5, dtype=torch.float64)
    >>> G(z).shape, G.latent_dim, torch.equal(G(2 * z), 2 * G(z))
    (torch.Size([3, 100]), 5, True)
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(widths, Sequence):
            raise TypeError(f"widths is {widths!r}; it must be a sequence of integers.")
        self.widths = tuple(checks.integer("widths", width, 1) for width in widths)
        if len(self.widths) < 2:
            raise ValueError(
                f"widths is {self.widths}; it must hold the latent dimension and the outputs of at least one "
                "layer."
            )
        checks.random_source(generator)
        checks.floating_dtype("dtype", dtype)
        kind: dict[str, Any] = {
            "bias": False,
            "dtype": dtype,
            "device": checks.device("device", device, meta=True),
        }
        layers: list[nn.Module] = []
        for before, after in pairwise(self.widths):
            layers += [nn.utils.skip_init(nn.Linear, before, after, **kind), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.latent_dim, self.n = self.widths[0], self.widths[-1]
        for weight in self.parameters():
            _draw(weight, generator)

    def forward(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., k)``: shape ``(..., n_d)``, no entry below zero."""
        return self.layers(fed("z", z, self.latent_dim, next(self.parameters())))


@torch.no_grad()
def _draw(weight: Tensor, generator: torch.Generator | None) -> None:
    """Independent entries of N(0, 1 / the number of rows)."""
    device = weight.device if generator is None else generator.device
    draw = torch.randn(weight.shape, generator=generator, dtype=weight.dtype, device=device)
    weight.copy_(draw / len(weight) ** 0.5)
