"""From a recipe and a seed to a file of weights and its model card."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import torch

from gsl_utils import datasets
from gsl_utils.common import checks
from gsl_utils.generators.training.vae import fit_vae, negative_elbo
from gsl_utils.generators.vae import VAE
from gsl_utils.weights.card import Measured, card
from gsl_utils.weights.files import read_weights, write_weights
from gsl_utils.weights.quality import representation_error
from gsl_utils.weights.recipes import HELD_OUT, RECIPES

__all__ = ["train"]

# On so many of the held-out images the representation error is searched for; the bound takes all of them.
_SEARCHED = 500


def train(name: str, seed: int, folder: Path, *, progress: bool = False) -> Path:
    """Train the VAE of a recipe with a seed, and write its weights and its card, unless they are there.

    The same seed gives the same file on the same machine with the same number of threads. A run that was
    killed goes on after its last epoch.

    Args:
        name: A key of ``RECIPES``.
        seed: From 0 to 2^63 - 1: of the first weights, the batches and the draws of z.
        folder: Where the files go; it is made where it is not there.
        progress: Whether to show a bar, which needs the package tqdm.

    Returns:
        The path of the weights, ``vae-NAME-seedS.safetensors``; the card has the ending ``.md``.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The name is unknown, the seed is out of range, or a file in the folder is not ours.
        FileNotFoundError: The data set is not on this machine.
        ImportError: safetensors, tqdm or pooch is needed and not installed.

    Taught in chapter 4.

    >>> train("letters", 0, Path("decoders"))
    Traceback (most recent call last):
    ...
    ValueError: name is 'letters'; it must be one of 'mnist', 'mnist-wide', 'fashion'.
    """
    recipe = RECIPES[checks.choice("name", name, tuple(RECIPES))]
    seed = checks.integer("seed", seed, 0, 2**63 - 1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"vae-{name}-seed{seed}.safetensors"
    # Through JSON, where they will have been once they are read.
    made = json.loads(json.dumps({**asdict(recipe), "seed": seed}))
    if path.exists():
        read_weights(path, made=made)
        return path
    images, _ = datasets.load(recipe.data, dtype=torch.float32)
    source = torch.Generator().manual_seed(seed)
    vae = VAE(
        images.shape[-1],
        recipe.latent_dim,
        hidden=recipe.hidden,
        activation=recipe.activation,
        generator=source,
        dtype=torch.float32,
    )
    checkpoint = path.with_suffix(".checkpoint")
    whole, begun = not checkpoint.exists(), time.process_time()
    vae, _ = fit_vae(
        vae,
        images[:-HELD_OUT],
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        beta=recipe.beta,
        schedule=recipe.schedule,
        generator=source,
        checkpoint=checkpoint,
        progress=progress,
    )
    seconds = time.process_time() - begun if whole else None
    part = path.with_suffix(".part")
    digest = write_weights(vae, part, made)
    measured = _measure(read_weights(part, dtype=torch.float32), images[-HELD_OUT:], seconds)
    path.with_suffix(".md").write_text(card(name, seed, recipe, measured, digest), encoding="utf-8")
    # Last, so that weights never lie there without a card.
    part.replace(path)
    checkpoint.unlink(missing_ok=True)
    return path


def _measure(vae: VAE, held_out: torch.Tensor, seconds: float | None) -> Measured:
    """What the card says of the weights as they are stored, rounding included."""
    source = torch.Generator().manual_seed(0)
    losses = negative_elbo(vae, held_out, generator=source)
    errors = representation_error(vae, held_out[:_SEARCHED], generator=source)
    return Measured(losses, errors, seconds)
