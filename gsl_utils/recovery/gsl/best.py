"""Our best recovery of sparse latent vectors: descents find candidates, and supports are then searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.jacobian import Generator
from gsl_utils.common.linear import scaled
from gsl_utils.common.result import Recovery
from gsl_utils.recovery.engine import Plan, run
from gsl_utils.recovery.gsl.pursuit import Criterion, eliminate, largest, pursue
from gsl_utils.recovery.gsl.supports import SparseModel, refit
from gsl_utils.recovery.methods.descent import Adam
from gsl_utils.recovery.penalties import L1
from gsl_utils.recovery.problem import Given, Problem

__all__ = ["STAGES", "gsl_best"]

STAGES = ("continuation", "elimination", "pursuit", "rescue")

Descent = tuple[Sequence[float], int, float, int]

# Weights of a descent, as shares of the one at which zero would be stationary; the steps at each; the rate;
# what m is divided by for the number of candidates.
_DESCENT: Descent = ((0.01, 0.003, 0.001), 200, 0.1, 3)
_AGAIN: Descent = ((0.002,), 800, 0.05, 2)
_RANDOM: Descent = ((0.002,), 600, 0.06, 2)
_SPREAD = 0.3  # of the random starts
_PUBLISHED_WEIGHT, _PUBLISHED_RATE = (1 - 0.9) / 0.9, 0.05  # of eq. (4) and of gsl_l1
# A search has failed whose signal is this far from the descent's, as a share of the latter's own energy.
_APART = 0.3
_ABOVE_NOISE = 2.5  # times what known noise leaves on the mean


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
    4. ``"rescue"``: a support is wrong when the signal on it is unlike the descent's, or leaves more than
       known noise does. Such signals go through a descent at one lower weight and another from a random
       start, with m/2 candidates. What is wrong to the end is left as the descent gave it, with no entry
       zero, unless the sparsity was asked for.

    A, y and ``noise_std`` times c give the same z and x, but for the weight of the published descent below.

    Args:
        G: The non-linear part f: any callable ``u (..., dim) -> x (..., n)``, as for ``recover``.
        B: The linear part ``(dim, p)``; the entries of z are taken to be of order one.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; A, B and G's weights share its dtype and device.
        sparsity: The number of non-zeros where it is known; supports of this size are compared by their
            residuals then.
        noise_std: The standard deviation of the noise where it is known, above 0, a number or one per signal:
            the residual over its variance takes the place of the logarithm. With a known sparsity only the
            rescue asks for it.
        generator: The source of randomness of the rescue's starts, wherever a signal needs it.
        without: Stages to leave out, to see what each is good for. Without ``"continuation"`` the descent is
            the published one, at :math:`\lambda_1 = 0.9`; without ``"elimination"`` the smallest entry goes
            first.

    Returns:
        A recovery. ``objective`` is the squared residual; ``n_iter`` counts the steps of the descents;
        ``converged`` says that z is stationary on its support, was not given up, and has a finite objective.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, an argument is out of range or without use, or
            the squares of y leave the dtype beside A.

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
    checks.random_source(generator)
    given = Given.of(G, A, y, B)
    model = SparseModel.of(G, B, given)
    count, m = model.y.shape
    p = B.shape[1]
    if sparsity is not None:
        sparsity = checks.integer("sparsity", sparsity, 1, min(m, p), "the smaller of m and p")
    if noise_std is not None:
        noise_std = noise_std.detach() if isinstance(noise_std, Tensor) else noise_std
        noise_std = checks.per_signal("noise_std", noise_std, "y", y, given.batch, above=0.0).flatten()
        noise_std = scaled(noise_std, -given.power)
        if sparsity is not None and "rescue" not in stages:
            raise ValueError(
                "noise_std is given beside sparsity and without the rescue; supports of one size are "
                "compared by their residuals, and it must be left out."
            )
    with torch.inference_mode(False), torch.no_grad():
        criterion = Criterion.of(model, sparsity, noise_std)
        zero = model.y.new_zeros(count, p)
        best = _search(model, criterion, zero, _DESCENT, stages)
        if "rescue" in stages:
            random = _SPREAD * _normal(zero, generator)
            for plan, start, trusted in ((_AGAIN, zero, True), (_RANDOM, random, False)):
                rows = _failed(model, criterion, best).nonzero().squeeze(-1)
                if not len(rows):
                    break
                some, theirs = model.select(rows), criterion.select(rows)
                other = _search(some, theirs, start[rows], plan, stages)
                best = best.improved(rows, other, trusted=trusted)
        fit = refit(model, best.z, best.z != 0, steps=50, tol=torch.finfo(y.dtype).eps ** 0.5)
        best = replace(best, z=fit.z)
        if "rescue" in stages and sparsity is None:
            given_up = _failed(model, criterion, best)
            z = torch.where(given_up.unsqueeze(-1), best.descent, fit.z)
            fit = replace(
                fit, z=z, energy=model.residual(z).square().sum(-1), converged=fit.converged & ~given_up
            )
        return model.recovery(replace(fit, n_iter=best.n_iter), fit.energy)


@dataclass(frozen=True, eq=False)
class _Search:
    """What a search found: ``z (N, p)`` and its score, where its descent ended, and how long that was."""

    z: Tensor
    score: Tensor
    descent: Tensor
    n_iter: Tensor

    def improved(self, rows: Tensor, other: _Search, *, trusted: bool) -> _Search:
        """The same with what another search of some rows found, where its score is lower.

        The descent of a search that is ``trusted`` takes the place of the earlier one in any case.
        """
        lower = (other.score < self.score[rows]).nonzero().squeeze(-1)
        better, ended = rows[lower], slice(None) if trusted else lower
        return _Search(
            z=self.z.index_copy(0, better, other.z[lower]),
            score=self.score.index_copy(0, better, other.score[lower]),
            descent=self.descent.index_copy(0, rows[ended], other.descent[ended]),
            n_iter=self.n_iter.index_add(0, rows, other.n_iter),
        )


def _stages(without: Sequence[str]) -> set[str]:
    """The stages that are left."""
    if isinstance(without, str) or not isinstance(without, Sequence):
        raise TypeError(f"without is {without!r}; it must be a sequence of stages.")
    return set(STAGES) - {checks.choice("without", name, STAGES) for name in without}


def _search(model: SparseModel, criterion: Criterion, z: Tensor, plan: Descent, stages: set[str]) -> _Search:
    """A descent from ``z``, and the search among the supports that it suggests."""
    (count, p), m = z.shape, criterion.m
    shares, steps, lr, part = plan
    n_iter = torch.full((count,), steps * len(shares), dtype=torch.int64, device=z.device)
    problem = model.given.problem(z, columns=False)
    if "continuation" in stages:
        ruling = _ruling_weight(model, p)
        for share in shares:
            z = _descent(problem, L1((share * ruling).unsqueeze(-1)), steps, lr, z)
    else:
        published = L1(_PUBLISHED_WEIGHT).laid_out(z, z.shape[:1], 1).beside(problem)
        z = _descent(problem, published, steps * len(shares), _PUBLISHED_RATE, z)
    width = min(p, max(m // part, criterion.sparsity or 1))
    candidates = largest(z.abs(), width)
    found = eliminate(model, criterion, z, candidates, width, by_worth="elimination" in stages)
    if "pursuit" in stages:
        found = pursue(model, criterion, found, min(p, max(1, m // 6)))
    return _Search(found.z, found.score, z, n_iter)


def _descent(problem: Problem, penalty: L1, steps: int, lr: float, z: Tensor) -> Tensor:
    """Where Adam ends on eq. (4), with data of weight 1."""
    return run(problem, penalty, Adam(steps, 0.0, lr, "constant"), z, Plan(steps))[0]


def _normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal entries, drawn on the generator's device."""
    source = like.device if generator is None else generator.device
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=source).to(like.device)


def _ruling_weight(model: SparseModel, p: int) -> Tensor:
    """The weight of the l1 norm at which zero would be stationary, ``(N,)``."""
    zero = model.y.new_zeros(len(model.y), p)
    J = model.columns(zero, torch.arange(p, device=zero.device).expand(len(zero), p))
    return 2 * (J @ model.residual(zero).unsqueeze(-1)).squeeze(-1).abs().amax(-1)


def _failed(model: SparseModel, criterion: Criterion, search: _Search) -> Tensor:
    """Which rows found a signal unlike their descent's: the support is wrong, and the fit made it worse.

    Where the noise is known it decides; a row that zero explains has nothing to find.
    """
    zero = torch.zeros_like(search.z)
    if criterion.noise_std is not None:
        most = _ABOVE_NOISE * criterion.m * criterion.noise_std.square()
        return model.residual(search.z).square().sum(-1) > most + criterion.floor
    found, descent, nothing = (model.signal(z) for z in (search.z, search.descent, zero))
    apart, reach = ((x - descent).square().sum(-1) for x in (found, nothing))
    return (apart > _APART * reach) & (model.residual(zero).square().sum(-1) > criterion.floor)
