"""The generators of the book: modules from latents ``z (..., latent_dim)`` to signals ``x (..., n)``."""

from gsl_utils.generators.codeword_path import CodewordPath
from gsl_utils.generators.elementwise import Exponential, Sigmoid
from gsl_utils.generators.low_width import LowWidthSparseReLU
from gsl_utils.generators.random_relu import RandomReLU
from gsl_utils.generators.realnvp import RealNVP
from gsl_utils.generators.sparse_relu import SparseReLU
from gsl_utils.generators.synthesis import Synthesis
from gsl_utils.generators.training.flow import fit_flow
from gsl_utils.generators.vae import VAE

__all__ = [
    "VAE",
    "CodewordPath",
    "Exponential",
    "LowWidthSparseReLU",
    "RandomReLU",
    "RealNVP",
    "Sigmoid",
    "SparseReLU",
    "Synthesis",
    "fit_flow",
]
