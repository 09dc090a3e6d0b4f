"""How well a trained VAE draws images that it has not seen."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.generators.vae import VAE
from gsl_utils.recovery.recover import recover

__all__ = ["representation_error"]


def representation_error(
    vae: VAE,
    images: Tensor,
    *,
    restarts: int = 4,
    steps: int = 30,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""How far from each image the nearest one is that a decoder draws, as found by Levenberg-Marquardt.

    .. math:: \min_z\ \frac1n \|x - G(z)\|_2^2

    The first start is the encoder's mean, the others are drawn around it with variance 1. No number of
    measurements lets a recovery in the decoder's range do better.

    Args:
        vae: The VAE; it stays as it is.
        images: Shape ``(N, n)`` with entries in [0, 1]; any dtype of floats, on the VAE's device.
        restarts: How many starts each image has.
        steps: The most steps of each.
        generator: The source of randomness of the starts.

    Returns:
        The error of each image, its mean over pixels, ``(N,)`` in float64.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The images are not ``(N, n)`` or not finite, or a number is out of range.

    Source: the last term of Bora et al. (2017), theorem 1.1. Taught in chapter 4.

    >>> vae = VAE(6, 2, generator=torch.Generator().manual_seed(0))
    >>> drawn = vae(torch.ones(1, 2, dtype=torch.float64)).detach()
    >>> bool(representation_error(vae, drawn, generator=torch.Generator().manual_seed(0)) < 1e-9)
    True
    """
    if not isinstance(vae, VAE):
        raise TypeError(f"vae is a {type(vae).__name__}; it must be a VAE.")
    images = checks.signals("images", images).detach().double()
    if images.ndim != 2 or images.shape[-1] != vae.n:
        raise ValueError(f"images has shape {tuple(images.shape)}; it must be (N, {vae.n}).")
    restarts = checks.integer("restarts", restarts, 1)
    checks.random_source(generator)
    vae = copy.deepcopy(vae).double().requires_grad_(False)
    mean = vae.encode(images)[0].unsqueeze(1)
    device = images.device if generator is None else generator.device
    around = torch.randn(
        len(images), restarts, vae.latent_dim, generator=generator, dtype=torch.float64, device=device
    )
    around[:, 0] = 0
    whole = torch.eye(vae.n, dtype=torch.float64, device=images.device)
    found = recover(
        vae, whole, images, method="lm", z0=mean + around.to(images.device), restarts=restarts, steps=steps
    )
    return found.objective / vae.n
