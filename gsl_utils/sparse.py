"""The classical solvers: basis pursuit, LASSO, OMP, CoSaMP and iterative hard thresholding, for batches of signals."""

from gsl_utils._basis_pursuit import basis_pursuit
from gsl_utils._greedy import cosamp, iht, omp
from gsl_utils._lasso import lasso
from gsl_utils._thresholds import hard_threshold, soft_threshold

__all__ = ["basis_pursuit", "cosamp", "hard_threshold", "iht", "lasso", "omp", "soft_threshold"]
