"""How each of our VAEs is trained."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HELD_OUT", "RECIPES", "Recipe"]

# Of the training images the last: no weights are trained on them, and what is tuned is tuned on them.
HELD_OUT = 5000


@dataclass(frozen=True)
class Recipe:
    """The data set, the sizes of ``VAE`` and the settings of ``fit_vae``.

    Attributes:
        data: The name of the data set.
        latent_dim: The length of z.
        hidden: The widths of the encoder's hidden layers.
        activation: Between the layers.
        epochs: How often each image is seen.
        lr: Adam's rate at the first step.
        schedule: What becomes of the rate.
        batch_size: How many images a step takes.
        beta: The weight of the divergence.
    """

    data: str
    latent_dim: int = 20
    hidden: tuple[int, ...] = (500, 500)
    activation: str = "softplus"
    epochs: int = 48
    lr: float = 1e-3
    schedule: str = "cosine"
    batch_size: int = 100
    beta: float = 1.0


RECIPES = {
    "mnist": Recipe("mnist"),
    "mnist-wide": Recipe("mnist", latent_dim=50, hidden=(750, 750), activation="relu", epochs=32, beta=0.5),
    "fashion": Recipe("fashion-mnist"),
}
