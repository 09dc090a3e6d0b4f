"""Measurement matrices, measurements with noise, and the constants that say how well a matrix senses.

Coherence and restricted isometry are of a matrix alone, S-REC is of a matrix on the range of a generator. The
formulas ``measure``, ``mutual_coherence`` and ``srec_ratio`` are differentiable; what a search finds carries
no graph.
"""

from gsl_utils.sensing.isometry import mutual_coherence, rip_constant, rip_lower_bound
from gsl_utils.sensing.measurements import gaussian_matrix, measure
from gsl_utils.sensing.srec import srec_constant, srec_ratio
from gsl_utils.sensing.srec_certified import SRECBounds, srec_certified

__all__ = [
    "SRECBounds",
    "gaussian_matrix",
    "measure",
    "mutual_coherence",
    "rip_constant",
    "rip_lower_bound",
    "srec_certified",
    "srec_constant",
    "srec_ratio",
]
