"""Our best recovery of sparse latent vectors: descents find candidates, and supports are then searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gsl_utils import _checks
from gsl_utils._gsl import gsl_l1
from gsl_utils._jacobian import Generator
from gsl_utils._pursuit import Found, eliminate, largest, pursue
from gsl_utils._result import Recovery
from gsl_utils._sparsity import Criterion
from gsl_utils._supports import SparseModel, refit

__all__ = ["STAGES", "gsl_best"]

STAGES = ("continuation", "elimination", "pursuit", "rescue")

Plan = tuple[Sequence[float], int, float]

# Weights of a descent, as shares of the one at which zero would be stationary; the steps at each; the rate.
_DESCENT: Plan = ((0.01, 0.003, 0.001), 200, 0.1)
_SLOW: Plan = ((0.03, 0.01, 0.003, 0.001), 200, 0.08)
_RANDOM: Plan = ((0.03, 0.01, 0.003, 0.001), 120, 0.1)
_SPREAD = 0.3  # of the random starts
# A search has failed that leaves this share of what zero leaves, or so many times what noise should leave.
_FAILED, _ABOVE_NOISE = 0.02, 2.5


def gsl_best(
    G: Generator,
    B: Tensor,
    A: Tensor,
    y: Tensor,
    *,
    sparsity: int | None = None,
    noise_std: float | Tensor | None = None,
    generator: torch.Generator | None = None,
    without: Sequence[str] = (),
) -> Recovery:
    r"""Recover signals :math:`f(Bz)` with a sparse z by a search among supports; nothing is tuned by hand.

    .. math:: \min_S\ m \log \min_{\operatorname{supp} z \subseteq S} \|y - A f(Bz)\|_2^2
              + \frac{m}{m - |S| - 1} \Bigl(|S| \log m + 3 \log \tbinom{p}{|S|}\Bigr)

    This is an extended Bayesian information criterion. It is not minimised exactly, but searched in stages,
    for all signals at once:

    1. ``"continuation"``: Adam on eq. (4) from zero. The weight of the l1 norm falls in three steps from a
       hundredth of the one at which zero would be stationary.
    2. ``"elimination"``: of the m/3 largest entries, that goes which is missed least, and
       Levenberg-Marquardt fits the others anew; the best size is kept.
    3. ``"pursuit"``: the entries that would explain most of the residual join, and elimination follows; what
       does not lower the criterion is given up.
    4. ``"rescue"``: signals of which 2 % or more is still unexplained go through a slower descent, and then
       through one from a random start.

    Args:
        G: The non-linear part f: any callable ``u (..., dim) -> x (..., n)``, as for ``recover``.
        B: The linear part ``(dim, p)``; the entries of z are taken to be of order one.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; A, B and G's weights share its dtype and device.
        sparsity: The number of non-zeros where it is known; supports of this size are compared by their
            residuals then.
        noise_std: The standard deviation of the noise where it is known, above 0, a number or one per signal:
            the residual over its variance takes the place of the logarithm.
        generator: The source of randomness of the rescue's starts.
        without: Stages to leave out, to see what each is good for. Without ``"continuation"`` the descent is
            the published one, at :math:`\lambda_1 = 0.9`; without ``"elimination"`` the smallest entry goes
            first.

    Returns:
        A recovery. ``objective`` is the squared residual; ``n_iter`` counts the steps of the descents;
        ``converged`` says that z is stationary on its support, not that the support is right.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or an argument is out of range.

    Sources: a method of this book. Chen and Chen (2008) for the criterion; Hassibi and Stork (1993) and
    Bahmani, Raj and Boufounos (2013) for the search. Taught in chapter 6.

    >>> from gsl_utils.generators import Exponential
    >>> eye = torch.eye(12, dtype=torch.float64)
    >>> y = torch.ones(12, dtype=torch.float64)
    >>> y[3] = torch.e
    >>> gsl_best(Exponential(), eye, eye, y).z.nonzero().tolist()
    [[3]]
    """
    stages = _stages(without)
    _checks.random_source(generator)
    model, batch = SparseModel.of(G, B, A, y)
    count, m = model.y.shape
    p = B.shape[1]
    if sparsity is not None:
        sparsity = _checks.integer("sparsity", sparsity, 1, min(m, p), "the smaller of m and p")
    if noise_std is not None:
        noise_std = _checks.per_signal("noise_std", noise_std, "y", y, batch, above=0.0).flatten()
    with torch.inference_mode(False), torch.no_grad():
        floor = torch.finfo(y.dtype).eps ** 0.75 * model.y.square().sum(-1) + torch.finfo(y.dtype).tiny
        criterion = Criterion(m, p, floor, sparsity, noise_std)
        z = model.y.new_zeros(count, p)
        found, n_iter = _search(model, criterion, z, _DESCENT, stages)
        if "rescue" in stages:
            for plan, start in ((_SLOW, z), (_RANDOM, _SPREAD * _normal(z, generator))):
                rows = _failed(model, criterion, found.z).nonzero().squeeze(-1)
                if not len(rows):
                    break
                some, theirs = model.select(rows), criterion.select(rows)
                more, steps = _search(some, theirs, start[rows], plan, stages)
                best = Found(found.z[rows], found.score[rows]).better(more)
                z_all, score = (
                    found.z.index_copy(0, rows, best.z),
                    found.score.index_copy(0, rows, best.score),
                )
                found, n_iter = Found(z_all, score), n_iter.index_add(0, rows, steps)
        fit = refit(model, found.z, found.z != 0, steps=50, tol=torch.finfo(y.dtype).eps ** 0.5)
        return replace(model.recovery(fit, fit.energy, batch), n_iter=n_iter.reshape(batch))


def _stages(without: Sequence[str]) -> set[str]:
    """The stages that are left."""
    if isinstance(without, str) or not isinstance(without, Sequence):
        raise TypeError(f"without is {without!r}; it must be a sequence of stages.")
    return set(STAGES) - {_checks.choice("without", name, STAGES) for name in without}


def _search(
    model: SparseModel, criterion: Criterion, z: Tensor, plan: Plan, stages: set[str]
) -> tuple[Found, Tensor]:
    """What a descent from ``z`` and the search that follows find, and how many steps the descent took."""
    (count, p), m = z.shape, criterion.m
    shares, steps, lr = plan
    n_iter = torch.full((count,), steps * len(shares), dtype=torch.int64, device=z.device)
    if "continuation" in stages:
        ruling = _ruling_weight(model, p)
        for share in shares:
            lambda1 = 1 / (1 + share * ruling)
            z = gsl_l1(model.f, model.B, model.A, model.y, lambda1=lambda1, steps=steps, lr=lr, z0=z).z
    else:
        z = gsl_l1(model.f, model.B, model.A, model.y, steps=steps * len(shares), z0=z).z
    width = min(p, max(m // 3, criterion.sparsity or 1))
    candidates = largest(z.abs(), width)
    found = eliminate(model, criterion, z, candidates, width, by_worth="elimination" in stages)
    if "pursuit" in stages:
        found = pursue(model, criterion, found, min(p, max(1, m // 6)))
    return found, n_iter


def _normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal entries, drawn on the generator's device."""
    source = like.device if generator is None else generator.device
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=source).to(like.device)


def _ruling_weight(model: SparseModel, p: int) -> Tensor:
    """The weight of the l1 norm at which zero would be stationary, ``(N,)``."""
    zero = model.y.new_zeros(len(model.y), p)
    J = model.columns(zero, torch.arange(p, device=zero.device).expand(len(zero), p))
    return 2 * (J @ model.residual(zero).unsqueeze(-1)).squeeze(-1).abs().amax(-1)


def _failed(model: SparseModel, criterion: Criterion, z: Tensor) -> Tensor:
    """Which rows are left with too much that is unexplained."""
    energy = model.residual(z).square().sum(-1)
    if criterion.noise_std is not None:
        return energy > _ABOVE_NOISE * criterion.m * criterion.noise_std.square()
    return energy > _FAILED * model.residual(torch.zeros_like(z)).square().sum(-1)
