"""Bora et al.'s recipe, as published: a named choice of the engine's parts."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.jacobian import Generator
from gsl_utils.common.result import Recovery
from gsl_utils.recovery.penalties import L2
from gsl_utils.recovery.problem import Given
from gsl_utils.recovery.recover import solve

__all__ = ["csgm"]


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
    weight = checks.real("l2", l2, low=0.0)
    penalty = L2(weight) if weight else None
    return solve(
        Given.of(G, A, y),
        penalty=penalty,
        restarts=restarts,
        steps=steps,
        lr=lr,
        tol=0.0,
        generator=generator,
    )
