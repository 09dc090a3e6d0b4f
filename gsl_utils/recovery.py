r"""One engine for every recovery in the book: a generator, a data term, a penalty, and a method.

All recoveries are one problem: find the latent vector whose image under the generator :math:`G` explains the
measurements,

.. math:: \min_z\ \|y - A\,G(z)\|_2^2 + \text{penalty}(z), \qquad \hat x = G(\hat z).

The engine itself is ``recover``; each paper's algorithm is a named choice of its parts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils import _checks
from gsl_utils._exhaustive_support import exhaustive_support
from gsl_utils._gsl import gsl_l1, gsl_l2
from gsl_utils._gsl_best import gsl_best
from gsl_utils._gsl_rls import gsl_rls
from gsl_utils._jacobian import Generator
from gsl_utils._recover import recover
from gsl_utils._result import Recovery
from gsl_utils._support_oracle import support_oracle
from gsl_utils.penalties import L1, L2, HardSparsity

__all__ = [
    "L1",
    "L2",
    "HardSparsity",
    "Recovery",
    "csgm",
    "exhaustive_support",
    "gsl_best",
    "gsl_l1",
    "gsl_l2",
    "gsl_rls",
    "recover",
    "support_oracle",
]


def csgm(
    G: Generator,
    A: Tensor,
    y: Tensor,
    *,
    restarts: int = 10,
    steps: int = 1000,
    lr: float = 0.01,
    l2: float = 0.0,
    generator: torch.Generator | None = None,
) -> Recovery:
    r"""Compressed sensing using generative models, by the recipe that its authors published.

    .. math:: \min_z\ \|y - A\,G(z)\|_2^2 + \lambda\|z\|_2^2

    Adam from N(0, I) starts, all steps of all restarts, and of each signal's restarts the one of lowest
    objective. With ``A ~ N(0, 1/m)`` this is the published loss, which has ``A ~ N(0, 1)`` and a mean over
    the measurements; the published noise of 0.1 per measurement is 0.1 / sqrt(m) here. A and y times c, with
    ``l2`` times c squared, give the same z and x.

    Args:
        G: The generator, with a ``latent_dim``; as for ``recover``.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; A and G's weights share its dtype and device.
        restarts: How many starts each signal has.
        steps: The steps of each.
        lr: Adam's rate; the authors used 0.01 on MNIST and 0.1 on CelebA.
        l2: The weight :math:`\lambda`; the authors used 0 and 0.1 on MNIST, 0 and 0.001 on CelebA.
        generator: The source of randomness of the starts, which are drawn as for ``recover``.

    Returns:
        A recovery. No step is left out, so that ``n_iter`` is ``steps``; ``converged`` says whether they were
        enough.

    Raises:
        TypeError: As ``recover`` does.
        ValueError: As ``recover`` does, or ``l2`` is negative.

    Source: Bora et al. (2017) and the code published with it. Taught in chapter 4.

    >>> from gsl_utils.generators import VAE
    >>> seeded = torch.Generator().manual_seed(0)
    >>> G = VAE(16, 2, hidden=(8,), generator=seeded)
    >>> A = torch.eye(16, dtype=torch.float64)
    >>> y = G(torch.ones(2, dtype=torch.float64)).detach()
    >>> bool(csgm(G, A, y, steps=300, lr=0.1, generator=seeded).objective < 1e-6)
    True
    """
    weight = _checks.real("l2", l2, low=0.0)
    return recover(
        G, A, y, penalty=L2(weight) if weight else None, method="adam", restarts=restarts, steps=steps, lr=lr,
        tol=0.0, generator=generator,
    )  # fmt: skip
