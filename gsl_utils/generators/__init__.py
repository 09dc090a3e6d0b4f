"""The generators of the book: modules from latents ``z (..., latent_dim)`` to signals ``x (..., n)``."""

from gsl_utils.generators.vae import VAE

__all__ = ["VAE"]
