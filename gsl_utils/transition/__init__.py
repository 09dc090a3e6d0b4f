"""Where l1 minimisation starts to work: decided signal by signal, and what theory says."""

from gsl_utils.transition.l1 import fewest_measurements, l1_recovers, largest_sparsity
from gsl_utils.transition.phase import l1_statistical_dimension, weak_threshold

__all__ = [
    "fewest_measurements",
    "l1_recovers",
    "l1_statistical_dimension",
    "largest_sparsity",
    "weak_threshold",
]
