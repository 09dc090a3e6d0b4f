"""The variational autoencoder of Bora et al."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import fed

__all__ = ["VAE"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "softplus": nn.Softplus,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
}


class VAE(nn.Module):
    r"""A variational autoencoder with dense layers, whose decoder is the generator.

    .. math:: G(z) = \operatorname{sigmoid}(W_3\,a(W_2\,a(W_1 z + b_1) + b_2) + b_3),
              \qquad q(z \mid x) = N(\mu(x), \operatorname{diag} e^{v(x)})

    Weights are drawn by Glorot's uniform rule and biases are zero, as in the published code; training is the
    chapter's.

    Args:
        n: The length of a signal.
        latent_dim: The length of z.
        hidden: The widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: ``"softplus"`` as published, ``"relu"``, ``"leaky_relu"`` or ``"tanh"``.
        generator: The source of randomness of the weights.
        dtype: Of the weights.
        device: Of the weights.

    Raises:
        TypeError: An argument has the wrong type; later, x or z has, or another dtype or device than the
            weights.
        ValueError: A size is below 1, the activation is unknown, or the device is not there; later, x or z
            has another length, or NaN or infinite entries.

    Sources: Kingma and Welling (2014); sizes and activation from the code published with Bora et al. (2017).
    Taught in chapter 4.

    >>> G = VAE(784, 20, generator=torch.Generator().manual_seed(0))
    >>> G(torch.zeros(3, 20, dtype=torch.float64)).shape, G.latent_dim
    (torch.Size([3, 784]), 20)
    """

    def __init__(
        self,
        n: int,
        latent_dim: int,
        *,
        hidden: Sequence[int] = (500, 500),
        activation: str = "softplus",
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        n, self.latent_dim = checks.integer("n", n, 1), checks.integer("latent_dim", latent_dim, 1)
        if not isinstance(hidden, Sequence):
            raise TypeError(f"hidden is {hidden!r}; it must be a sequence of integers.")
        widths = [checks.integer("hidden", width, 1) for width in hidden]
        act = _ACTIVATIONS[checks.choice("activation", activation, tuple(_ACTIVATIONS))]
        checks.random_source(generator)
        checks.floating_dtype("dtype", dtype)
        self.n = n
        kind: dict[str, Any] = {"dtype": dtype, "device": checks.device("device", device, meta=True)}
        self.encoder = _dense([n, *widths, 2 * latent_dim], act, kind)
        self.decoder = _dense([latent_dim, *reversed(widths), n], act, kind).append(nn.Sigmoid())
        for weight in self.parameters():
            _draw(weight, generator)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the log-variance of z given ``x (..., n)``, each ``(..., latent_dim)``."""
        x = fed("x", x, self.n, next(self.encoder.parameters()))
        mean, log_var = self.encoder(x).chunk(2, dim=-1)
        return mean, log_var

    def decode(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., latent_dim)``: shape ``(..., n)``, entries in (0, 1)."""
        return self.decoder(fed("z", z, self.latent_dim, next(self.decoder.parameters())))

    def forward(self, z: Tensor) -> Tensor:
        """The generator: the same as ``decode``."""
        return self.decode(z)


def _dense(widths: Sequence[int], activation: type[nn.Module], kind: dict[str, Any]) -> nn.Sequential:
    """Linear layers with the activation between them; their weights are not drawn yet."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.utils.skip_init(nn.Linear, before, after, **kind), activation()]
    return nn.Sequential(*layers[:-1])


@torch.no_grad()
def _draw(weight: Tensor, generator: torch.Generator | None) -> None:
    """Glorot's uniform rule for a matrix, zero for a bias; drawn on the generator's device."""
    if weight.ndim < 2:
        weight.zero_()
        return
    limit = math.sqrt(6 / sum(weight.shape))
    device = weight.device if generator is None else generator.device
    draw = torch.rand(weight.shape, generator=generator, dtype=weight.dtype, device=device)
    weight.copy_(limit * (2 * draw - 1))
