"""Further decoders, each by its seed: from the user's cache, or trained at the first use."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from gsl_utils import datasets
from gsl_utils.common import checks
from gsl_utils.generators.vae import VAE
from gsl_utils.weights.files import read_weights
from gsl_utils.weights.training import train

__all__ = ["trained"]


def trained(
    name: str,
    seed: int,
    cache: str | os.PathLike[str] | None = None,
    *,
    progress: bool = False,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> VAE:
    """The VAE that a recipe gives with a seed, of which a study over decoders takes several.

    At the first use it is trained, which takes minutes; a call that was killed goes on where it stood. After
    that it is read from the cache, rounded to half precision like the weights that ship. A seed gives the
    same bytes on the same machine with as many threads; elsewhere, another model of the same quality.

    Args:
        name: ``"mnist"``, ``"mnist-wide"`` or ``"fashion"``; of those that ship the seed is 0.
        seed: From 0 to 2^63 - 1.
        cache: The folder of the files; by default ``decoders`` in the user's cache.
        progress: Whether to show a bar while training, which needs the package tqdm.
        dtype: Of the weights.
        device: Of the weights.

    Returns:
        The VAE in evaluation mode, without gradients for its weights.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The name is unknown, the seed is out of range, the device is not there, or a file in the
            cache is torn or of another recipe.
        FileNotFoundError: It must be trained, and the data set is not on this machine.
        ImportError: A package of the ``book`` extra is needed and missing.

    Taught in chapter 4.

    >>> trained("mnist", -1)
    Traceback (most recent call last):
    ...
    ValueError: seed is -1; it must be between 0 and 9223372036854775807.
    """
    checks.floating_dtype("dtype", dtype)
    place = checks.device("device", device)
    if cache is not None and not isinstance(cache, str | os.PathLike):
        raise TypeError(f"cache is a {type(cache).__name__}; it must be a path or None.")
    folder = datasets._cache() / "decoders" if cache is None else Path(cache)
    return read_weights(train(name, seed, folder, progress=progress), dtype=dtype, device=place)
