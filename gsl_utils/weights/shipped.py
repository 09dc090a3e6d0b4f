"""The weights that ship with the package."""

from __future__ import annotations

from pathlib import Path

import torch

from gsl_utils.common import checks
from gsl_utils.generators.vae import VAE
from gsl_utils.weights.files import read_weights

__all__ = ["load_weights", "names"]

# The sums of the files, here and not only in their cards, so that a page whose weights change is stale.
_SHA256 = {
    "mnist": "a3684ff0a25296459dbc03ea1b972d43443510d56cc3af369648a4abe9bd3873",
    "mnist-wide": "46109c3732c0a111520eef3a5cd4ee54d191c98053283ee73a7f3afe71f61f2d",
    "fashion": "853bf996caefed0420e2ffcc3df7f0a78a6f46252637e6095574a2a3aebf7684",
}


def names() -> tuple[str, ...]:
    """The names of the weights that ship with the package; beside each file lies a model card.

    Returns:
        What ``load_weights`` takes.

    Taught in chapter 4.

    >>> names()
    ('mnist', 'mnist-wide', 'fashion')
    """
    return tuple(_SHA256)


def load_weights(
    name: str, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
) -> VAE:
    """A trained VAE that ships with the package, in evaluation mode and without gradients for its weights.

    The numbers are stored in half precision. They come from the training images but the last 5,000.

    Args:
        name: ``"mnist"``, of the published sizes; ``"mnist-wide"``, which has more latent entries and draws
            images three times as closely; ``"fashion"``, of the published sizes, on Fashion-MNIST.
        dtype: Of the weights.
        device: Of the weights.

    Returns:
        The VAE; its decoder is the generator.

    Raises:
        TypeError: ``dtype`` is not one.
        ValueError: The name is unknown, the device is not there, or the file is not the published one.
        ImportError: safetensors, of the ``book`` extra, is not installed.

    Sources: the code published with Bora et al. (2017) for the sizes; the model cards for the training.
    Taught in chapter 4.

    >>> G = load_weights("mnist")
    >>> G(torch.zeros(2, G.latent_dim, dtype=torch.float64)).shape
    torch.Size([2, 784])
    """
    checks.choice("name", name, names())
    path = Path(__file__).with_name(f"vae-{name}.safetensors")
    return read_weights(path, digest=_SHA256[name], dtype=dtype, device=device)
