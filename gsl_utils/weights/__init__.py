"""Our trained weights: those that ship with the package, and what trains them anew or with another seed."""

from gsl_utils.weights.cached import trained
from gsl_utils.weights.quality import representation_error
from gsl_utils.weights.shipped import load_weights, names

__all__ = ["load_weights", "names", "representation_error", "trained"]
