"""Compressed sensing with generative priors: the science behind the executable book."""

__all__ = ["__version__"]

__version__ = "0.1.0"
