"""Sparse deviations from the range of a generator, between LASSO and CSGM: a choice of the engine's parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.jacobian import Generator
from gsl_utils.common.result import Recovery
from gsl_utils.recovery.penalties import L1, L2
from gsl_utils.recovery.problem import Given
from gsl_utils.recovery.recover import solve
from gsl_utils.recovery.setup import latent_start

__all__ = ["sparse_gen"]

# The share of the steps that go to z alone: the published 800 of 1500.
_ALONE = 8 / 15


def sparse_gen(
    G: Generator,
    A: Tensor,
    y: Tensor,
    *,
    l1: float,
    l2: float = 0.0,
    restarts: int = 10,
    steps: int = 1500,
    alone: int | None = None,
    lr: float = 0.01,
    generator: torch.Generator | None = None,
) -> Recovery:
    r"""Recover signals that differ from the range of a generator in few entries.

    .. math:: \min_{z, v}\ \|y - A\,(G(z) + v)\|_2^2 + \lambda_1\|v\|_1 + \lambda_2\|z\|_2^2, \qquad
              \hat x = G(\hat z) + \hat v

    To the engine it is one more generator, :math:`(z, v) \mapsto G(z) + v`, whose latent vector has a penalty
    on its last n entries. With G = 0 it is LASSO with :math:`\lambda = \lambda_1 / 2`; where
    :math:`\lambda_1` is at least :math:`2\,\|A^\top(y - A\,G(z))\|_\infty` there is no deviation, and it is
    CSGM.

    As published, Adam moves z alone at first, from N(0, I) starts, and of each signal's restarts the one of
    lowest objective is kept. Then z and v move together, and there the method is ours: accelerated proximal
    gradient steps instead of Adam's, so that v has exact zeros and rows that are stationary stop. The
    published code also clips v in each step, so that x stays in [0, 1], and lets iterates of the first phase
    compete; here nothing is clipped, and the ends alone compete. With few measurements and no ``l2`` the
    lowest objective need not be the best signal, and more steps may lead away from it.

    Args:
        G: The generator, with a ``latent_dim`` k; as for ``recover``.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; A and G's weights share its dtype and device.
        l1: The weight :math:`\lambda_1`, non-negative. The authors used 0.5 on MNIST at up to 100
            measurements and 0.1 at 200 to 400, with the loss of ``csgm``.
        l2: The weight :math:`\lambda_2`, non-negative; the authors used 0.1 there.
        restarts: How many starts each signal has.
        steps: The most steps of each, in all.
        alone: How many of these move z alone, fewer than ``steps``; by default 8/15 of them, as published.
        lr: Adam's rate.
        generator: The source of randomness of the starts, which are drawn as for ``recover``.

    Returns:
        A recovery. ``z (..., k + n)`` holds :math:`\hat z` and then :math:`\hat v`; ``objective`` is the sum
        above; ``n_iter`` counts both phases.

    Raises:
        TypeError: As ``recover`` does.
        ValueError: As ``recover`` does, or G has no ``latent_dim``, or a weight or a number of steps is out
            of range.

    Source: Dhar, Grover and Ermon (2018) and the code published with it. Taught in chapter 4.

    >>> from gsl_utils.generators import VAE
    >>> seeded = torch.Generator().manual_seed(0)
    >>> G = VAE(16, 2, hidden=(8,), generator=seeded)
    >>> x = G(torch.ones(2, dtype=torch.float64)).detach()
    >>> x[3] += 0.8
    >>> found = sparse_gen(G, torch.eye(16, dtype=torch.float64), x, l1=0.1, lr=0.1, generator=seeded)
    >>> found.z[2:].nonzero().flatten().tolist(), round(float(found.z[2 + 3]), 2)
    ([3], 0.75)
    """
    given = Given.of(G, A, y)
    k, n = getattr(given.G, "latent_dim", None), given.A.shape[-1]
    if k is None:
        raise ValueError("G has no latent_dim; it must say how long a latent vector is.")
    none = torch.Size()
    on_v, on_z = (
        checks.per_signal(name, value, "y", given.y, none, low=0.0)
        for name, value in (("l1", l1), ("l2", l2))
    )
    restarts, steps = checks.integer("restarts", restarts, 1), checks.integer("steps", steps, 1)
    alone = (
        int(_ALONE * steps)
        if alone is None
        else checks.integer("alone", alone, 0, steps - 1, "less than steps")
    )
    checks.random_source(generator)
    shape = (*given.batch, restarts, -1)
    last = torch.arange(k + n, device=given.y.device) >= k
    sparse, small = L1(on_v * last), L2(on_z * ~last)
    with torch.inference_mode(False), torch.no_grad():
        z = latent_start(given, None, restarts, generator)
        if alone:
            z = _alone(given, z.reshape(shape), float(on_z), alone, lr)
        found = solve(
            replace(given, G=_Deviating(given.G, k, n)),
            penalty=_Both(sparse, small) if on_z > 0 else sparse,
            method="prox",
            z0=torch.cat([z, z.new_zeros(len(z), n)], dim=-1).reshape(shape),
            restarts=restarts,
            steps=steps - alone,
        )
    return replace(found, n_iter=found.n_iter + alone)


def _alone(given: Given, z0: Tensor, l2: float, steps: int, lr: float) -> Tensor:
    """Where Adam ends without a deviation, from all starts ``z0 (..., restarts, k)``: ``(P, k)``."""
    ends = z0.flatten(0, -2).clone()

    def keep(_step: int, rows: Tensor, z: Tensor) -> None:
        ends[rows] = z

    penalty = L2(l2) if l2 else None
    solve(given, penalty=penalty, z0=z0, restarts=z0.shape[-2], steps=steps, callback=keep, lr=lr, tol=0.0)
    return ends


class _Deviating:
    """The generator of (z, v): a signal of another, and what is added to it."""

    def __init__(self, G: Generator, k: int, n: int) -> None:
        self.G, self.k, self.latent_dim = G, k, k + n

    def __call__(self, both: Tensor) -> Tensor:
        return self.G(both[..., : self.k]) + both[..., self.k :]


@dataclass(frozen=True)
class _Both:
    """Two penalties on entries that they do not share, so that their proximal maps may follow each other."""

    first: L1
    second: L2

    def value(self, z: Tensor) -> Tensor:
        return self.first.value(z) + self.second.value(z)

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        return self.second.prox(self.first.prox(z, step), step)
