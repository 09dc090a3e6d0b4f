r"""The classical solvers, for batches of signals: find a sparse x that explains the measurements y = Ax.

====================  ================================================================================
function              what it does
====================  ================================================================================
``basis_pursuit``     :math:`\min\|x\|_1` subject to :math:`Ax = y`, exactly, with a dual certificate
``lasso``             :math:`\min\tfrac12\|y-Ax\|_2^2+\lambda\|x\|_1`, to a duality gap
``omp``               greedy: one column at a time
``cosamp``            greedy: the whole support in every iteration
``iht``               projected gradient on the k-sparse vectors
``soft_threshold``    the proximal operator of the l1 norm
``hard_threshold``    the projection onto the s-sparse vectors
``sparse_vectors``    random sparse vectors, to try them on
====================  ================================================================================

Each solver takes one matrix for all signals, or one per signal, and returns a
``gsl_utils.recovery.Recovery``. Signals never influence each other: one solved alone
and one solved in a batch give the same answer, up to rounding.
"""

from gsl_utils.sparse.basis_pursuit import basis_pursuit
from gsl_utils.sparse.cosamp import cosamp
from gsl_utils.sparse.draws import sparse_vectors
from gsl_utils.sparse.iht import iht
from gsl_utils.sparse.lasso import lasso
from gsl_utils.sparse.omp import omp
from gsl_utils.sparse.thresholds import hard_threshold, soft_threshold

__all__ = [
    "basis_pursuit",
    "cosamp",
    "hard_threshold",
    "iht",
    "lasso",
    "omp",
    "soft_threshold",
    "sparse_vectors",
]
