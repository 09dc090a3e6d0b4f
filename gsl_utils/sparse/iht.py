"""Iterative hard thresholding for a batch of signals, with a step of its own for each."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks, least_squares, linear
from gsl_utils.common.linear import keep_largest, square_root
from gsl_utils.common.result import Recovery
from gsl_utils.sparse.cosamp import Signals, finish, prepare

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
    squares, so that solution is put in its place. There :math:`g_S` is nothing but rounding, and the step is
    :math:`|S|/\|A_S\|_F^2`, its mean over all directions. Where this step keeps the support x is a fixed
    point, exactly, and the signal has converged.

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, of the same dtype and device; of any unit, as A.
        k: The sparsity, from 0 to ``n``. With ``k > m`` many x leave no residual, and one of them is found.
        tol: The least-squares solution is put in as soon as :math:`\|g_S\|_2` is at most this share of
            :math:`\|A_S\|_F\|y\|_2`, or once the support stays; positive. (At least the root of a rounding is
            used: below it the step would lose half of its digits.)
        max_iter: The most iterations.

    Returns:
        A recovery whose ``objective`` is :math:`\|y - Ax\|_2^2`, with ``gap`` None. ``converged`` says that a
        fixed point was reached, which need not be the best k-sparse vector; entries of x too small for
        rounding to show are not seen. It is False where the objective overflows.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, an option is out of range, or A and y are so
            far apart in scale that x is beyond the numbers of their dtype.

    Source: Blumensath and Davies (2010), algorithm 1. Taught in chapter 1.

    >>> import torch
    >>> A = torch.eye(4, dtype=torch.float64)
    >>> iht(A, torch.tensor([0.0, 2.0, -3.0, 0.0], dtype=torch.float64), 1).x.tolist()
    [0.0, 0.0, -3.0, 0.0]
    """
    system, k = prepare(A, y, k)
    tol = max(checks.real("tol", tol, above=0.0), torch.finfo(system.y.dtype).eps ** 0.5)
    max_iter = checks.integer("max_iter", max_iter, 1)
    signals, y = Signals.of(system), system.y
    count, n = len(y), system.A.shape[-1]
    x = y.new_zeros(count, n)
    n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
    converged = (y == 0).all(-1) if k else torch.ones(count, dtype=torch.bool, device=y.device)
    active = (~converged).nonzero().squeeze(-1)
    checked = torch.zeros(count, n, dtype=torch.bool, device=y.device)
    for iteration in range(1, max_iter + 1):
        if not len(active):
            break
        before = x[active]
        stays = torch.zeros_like(active, dtype=torch.bool)
        if iteration % _CHECK_EVERY == 0:
            stays = ((before != 0) == checked[active]).all(-1)
            checked[active] = before != 0
        x[active], converged[active] = _iterate(signals[active], before, stays, k, tol)
        n_iter[active] = iteration
        active = active[~converged[active]]
    return finish(system, x, n_iter, converged)


def _iterate(signals: Signals, x: Tensor, stays: Tensor, k: int, tol: float) -> tuple[Tensor, Tensor]:
    """Where one iteration leads from ``x``, and whether it stays there for good.

    It starts from least squares on the support where ``stays`` says so, or the gradient on it has vanished.
    """
    g, support = signals.slope(x), x != 0
    energy = (signals.lengths.squeeze(-2) * support).square().sum(-1).clamp(min=torch.finfo(x.dtype).tiny)
    fitted = stays | ((g * support).norm(dim=-1) <= tol * square_root(energy) * signals.y.norm(dim=-1))
    found = fitted.nonzero().squeeze(-1)
    if len(found):
        here = signals[found]
        x[found] = least_squares.on_support(here.A, here.y, support[found])
        g[found] = here.slope(x[found]).masked_fill(support[found], 0)
    start = torch.where(support.any(-1, keepdim=True), support, keep_largest(g, k) != 0)
    on_support = g * start
    image = _energy(linear.forward(signals.A, on_support)).clamp(min=torch.finfo(x.dtype).tiny)
    step = torch.where(
        fitted & support.any(-1), support.sum(-1) / energy, (_energy(on_support) / image).squeeze(-1)
    ).unsqueeze(-1)
    after = keep_largest(x + step * g, k)
    wide = ((after != 0) != start).any(-1).nonzero().squeeze(-1)
    while len(wide):
        change = after[wide] - x[wide]
        image = _energy(linear.forward(linear.rows(signals.A, wide), change))
        wide = wide[(step[wide] * image > _SAFETY * _energy(change)).squeeze(-1)]
        step[wide] /= 2
        after[wide] = keep_largest(x[wide] + step[wide] * g[wide], k)
    return after, fitted & ((after != 0) == (x != 0)).all(-1)


def _energy(values: Tensor) -> Tensor:
    return values.square().sum(-1, keepdim=True)
