"""The model card that lies beside a file of weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsl_utils.generators.training.vae import VAELosses
from gsl_utils.weights.recipes import HELD_OUT, Recipe

__all__ = ["Measured", "card"]

_DATA = {
    "mnist": "MNIST, handwritten digits (LeCun, Cortes and Burges, 1998), CC BY-SA 3.0",
    "fashion-mnist": "Fashion-MNIST, pictures of clothes (Xiao, Rasul and Vollgraf, 2017), MIT",
}
_RATE = {"constant": "constant", "cosine": "falling to zero by half a cosine"}


class Measured(NamedTuple):
    """What was measured of weights on images that they were not trained on."""

    losses: VAELosses
    errors: Tensor
    seconds: float | None


def card(name: str, seed: int, recipe: Recipe, measured: Measured, digest: str) -> str:
    """The text of the card, in Markdown."""
    hidden = "-".join(map(str, recipe.hidden))
    total, entropy, divergence = (_mean(part) for part in measured.losses)
    took = "in several sessions" if measured.seconds is None else f"{measured.seconds:.0f} CPU seconds"
    drawn = "digit" if recipe.data == "mnist" else "piece of clothing"
    rows = {
        "data": f"{_DATA[recipe.data]}; pixels divided by 255, not binarised",
        "trained on": f"all training images but the last {HELD_OUT:,}; no test image was looked at",
        "loss": f"cross entropy + {recipe.beta:g} times the divergence, one z an image",
        "recipe": f"Adam, rate {recipe.lr:g}, {_RATE[recipe.schedule]}; {recipe.epochs} epochs, "
        f"batches of {recipe.batch_size}, float32",
        "seed": f"{seed}: of the first weights, the batches and the draws of z",
        "training": f"{took}, threads: {torch.get_num_threads()}, torch {torch.__version__}",
        "negative ELBO, held-out images": f"{total} nats: cross entropy {entropy}, divergence {divergence}",
        f"representation error, first {len(measured.errors)} held-out images": _error(measured.errors),
        "file": "half precision, safetensors; what was measured is of the rounded weights",
        "SHA-256": f"`{digest}`",
    }
    table = "\n".join(f"| {what} | {value} |" for what, value in rows.items())
    return f"""# Weights `{name}`, seed {seed}

A variational autoencoder, `gsl_utils.generators.VAE`. The encoder 784-{hidden} gives mean and log-variance of
{recipe.latent_dim} latent entries, and the decoder, a generator of chapter 4, has the widths in reverse.
Between the layers stands {recipe.activation}, at the end of the decoder a sigmoid.

| | |
|---|---|
{table}

What stands behind ± is two standard errors over images, of this one model. Another seed is another model:
what is to hold for such models needs several, see `gsl_utils.weights.trained`.

The code published with Bora et al. (2017), for MNIST, has the sizes 784-500-500-20, softplus, and Adam at a
constant rate of 0.001 for 100 epochs in batches of 100.

## Not for

- Reading or verifying handwriting, or any decision about people: it was trained on images of one kind,
  centred and of one size.
- Filling in what was not measured where the truth matters: from few measurements the decoder draws a clean
  {drawn}, which may be another one than was there.
- Images of another kind: what the decoder cannot draw it cannot recover.

## Licence

The weights are under the licence of the code, MIT. The file holds no image; the images' licence is above.

## Made by

```console
python -m gsl_utils.weights.train {name} --seed {seed} --out FOLDER
```

with `GSL_DATA_DIR` naming the folder of the data, or after `gsl_utils.datasets.fetch("{recipe.data}")`. The
same machine with as many threads gives the same bytes; another gives a model of the same quality.
"""


def _mean(values: Tensor) -> str:
    values = values.double()
    return f"{float(values.mean()):.1f} ± {2 * float(values.std()) / len(values) ** 0.5:.1f}"


def _error(errors: Tensor) -> str:
    half = 2 * float(errors.std()) / len(errors) ** 0.5
    decibels = float((-10 * errors.log10()).mean())
    return f"{float(errors.mean()):.5f} ± {half:.5f} a pixel, squared; mean PSNR {decibels:.2f} dB"
