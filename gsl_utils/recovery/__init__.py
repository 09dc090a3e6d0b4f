r"""One engine for every recovery in the book: a generator, a data term, a penalty, and a method.

All recoveries are one problem: find the latent vector whose image under the generator :math:`G` explains the
measurements,

.. math:: \min_z\ \|y - A\,G(z)\|_2^2 + \text{penalty}(z), \qquad \hat x = G(\hat z).

The engine itself is ``recover``; each paper's algorithm is a named choice of its parts.
"""

from gsl_utils.common.result import Recovery
from gsl_utils.recovery.block_search import block_search
from gsl_utils.recovery.csgm import csgm
from gsl_utils.recovery.gsl.best import gsl_best
from gsl_utils.recovery.gsl.exhaustive import exhaustive_support
from gsl_utils.recovery.gsl.least_squares import gsl_rls
from gsl_utils.recovery.gsl.oracle import support_oracle
from gsl_utils.recovery.gsl.weighted import gsl_l1, gsl_l2
from gsl_utils.recovery.penalties import L1, L2, HardSparsity, Penalty
from gsl_utils.recovery.recover import recover
from gsl_utils.recovery.sparse_gen import sparse_gen

__all__ = [
    "L1",
    "L2",
    "HardSparsity",
    "Penalty",
    "Recovery",
    "block_search",
    "csgm",
    "exhaustive_support",
    "gsl_best",
    "gsl_l1",
    "gsl_l2",
    "gsl_rls",
    "recover",
    "sparse_gen",
    "support_oracle",
]
