"""Iterative hard thresholding for a batch of signals, with a step of its own for each."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils import _batched, _checks
from gsl_utils._greedy import finish, prepare
from gsl_utils._result import Recovery
from gsl_utils._thresholds import keep_largest

__all__ = ["iht"]

# A step that changes the support may use at most this share of the step that keeps the residual from growing.
_SAFETY = 0.99
_CHECK_EVERY = 10


def iht(A: Tensor, y: Tensor, k: int, *, tol: float = 1e-6, max_iter: int = 2000) -> Recovery:
    r"""Normalised iterative hard thresholding.

    .. math:: x \leftarrow H_k\big(x + \mu A^\top(y - Ax)\big),\qquad
        \mu = \frac{\|g_S\|_2^2}{\|Ag_S\|_2^2},\quad g = A^\top(y - Ax),\ S = \operatorname{supp}x

    The step is the best one on the current support; where it would change the support it is halved until the
    residual is sure not to grow. On a support that has stopped changing the iteration creeps towards least
    squares, so that solution is put in its place wherever it is a fixed point of the iteration.

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, of the same dtype and device.
        k: The sparsity, from 0 to ``n``.
        tol: A signal also stops when x moves by at most this share of its norm, positive.
        max_iter: The most iterations.

    Returns:
        A recovery whose ``objective`` is :math:`\|y - Ax\|_2^2`, with ``gap`` None. ``converged`` says that a
        fixed point was reached, which need not be the best k-sparse vector.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or an option is out of range.

    Source: Blumensath and Davies (2010), algorithm 1. Taught in chapter 1.

    >>> import torch
    >>> A = torch.eye(4, dtype=torch.float64)
    >>> iht(A, torch.tensor([0.0, 2.0, -3.0, 0.0], dtype=torch.float64), 1).x.tolist()
    [0.0, 0.0, -3.0, 0.0]
    """
    A, y, k, batch = prepare(A, y, k)
    tol = _checks.real("tol", tol, above=0.0)
    max_iter = _checks.integer("max_iter", max_iter, 1)
    count, n = len(y), A.shape[-1]
    x = y.new_zeros(count, n)
    n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
    converged = (y == 0).all(-1) if k else torch.ones(count, dtype=torch.bool, device=y.device)
    active = (~converged).nonzero().squeeze(-1)
    checked = torch.zeros(count, n, dtype=torch.bool, device=y.device)
    for iteration in range(1, max_iter + 1):
        if not len(active):
            break
        here, target, before = _batched.rows(A, active), y[active], x[active]
        after = _iterate(here, target, before, k)
        x[active] = after
        n_iter[active] = iteration
        settled = (after - before).norm(dim=-1) <= tol * after.norm(dim=-1)
        converged[active] = settled
        support = after != 0
        ready = settled
        if iteration % _CHECK_EVERY == 0 or iteration == max_iter:
            ready = settled | (support == checked[active]).all(-1)
            checked[active] = support
        ready &= support.any(-1)
        if bool(ready.any()):
            chosen = active[ready]
            refitted, fixed = _refit(_batched.rows(A, chosen), y[chosen], support[ready], k)
            x[chosen[fixed]] = refitted[fixed]
            converged[chosen[fixed]] = True
        active = active[~converged[active]]
    return finish(A, y, x, n_iter, converged, batch)


def _iterate(A: Tensor, y: Tensor, x: Tensor, k: int) -> Tensor:
    """Where one iteration leads from ``x``."""
    slope = _batched.adjoint(A, y - _batched.forward(A, x))
    support = x != 0
    support = torch.where(support.any(-1, keepdim=True), support, keep_largest(slope, k) != 0)
    on_support = slope * support
    step = _energy(on_support) / _energy(_batched.forward(A, on_support)).clamp(min=torch.finfo(y.dtype).tiny)
    after = keep_largest(x + step * slope, k)
    wide = ((after != 0) != support).any(-1).nonzero().squeeze(-1)
    while len(wide):
        change = after[wide] - x[wide]
        image = _energy(_batched.forward(_batched.rows(A, wide), change))
        wide = wide[(step[wide] * image > _SAFETY * _energy(change)).squeeze(-1)]
        step[wide] /= 2
        after[wide] = keep_largest(x[wide] + step[wide] * slope[wide], k)
    return after


def _energy(values: Tensor) -> Tensor:
    return values.square().sum(-1, keepdim=True)


def _refit(A: Tensor, y: Tensor, support: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Least squares on each support, and whether the iteration would stay there."""
    x = _batched.least_squares(A, y, support)
    after = _iterate(A, y, x, k)
    return x, ((after != 0) == support).all(-1)
