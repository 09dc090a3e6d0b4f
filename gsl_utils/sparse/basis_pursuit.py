"""Basis pursuit for a batch: splitting for the easy signals, an interior point for the rest, exact finish."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks, least_squares, linear
from gsl_utils.common.linear import System, shrink
from gsl_utils.common.result import Recovery
from gsl_utils.sparse.iterations import MOST_STEPS, InteriorPoint

__all__ = ["basis_pursuit"]

_SPLITTING_STEPS = 200
_CHECK_EVERY = 20
# The threshold of the splitting, as a share of the largest entry of the least-norm solution.
_THRESHOLD = 0.3
# A signal is finished when its relative gap is rounding only; no larger one ends it before its iterations do.
_EXACT = 1e-12
# A support explains the measurements when it leaves at most so many roundings of their dtype.
_ROUNDINGS = 8
# How many columns may be added to an almost complete support.
_REPAIRS = 3
# A support is almost complete when it leaves at most this share of the measurements unexplained.
_ALMOST = 0.1
# A support that changed by at most this share between two checks is worth solving on.
_SETTLED = 0.25


def basis_pursuit(A: Tensor, y: Tensor, *, tol: float = 1e-6, max_iter: int = 300) -> Recovery:
    r"""The solution of least l1 norm, with a dual certificate for every signal.

    .. math:: \min_x\ \|x\|_1 \quad\text{subject to}\quad Ax = y

    The rows of A are made orthonormal once. Douglas-Rachford splitting finds the support of the easy signals
    within its first 200 iterations; an interior point method solves the others. Both are finished by least
    squares on the support, and by the dual point nearest to theirs whose correlations are the signs of the
    solution on it. Where that certifies optimality up to rounding the signal leaves the batch. The arithmetic
    is that of float64 whatever the dtype of y, and the result is rounded to the latter.

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``; of any rank, with m below or above n.
        y: The measurements ``(..., m)``, of the same dtype and device; of any unit, as A.
        tol: The relative duality gap that counts as converged, positive.
        max_iter: The most iterations, of both kinds together.

    Returns:
        A recovery whose ``objective`` is :math:`\|x\|_1` and whose ``gap`` is :math:`\|x\|_1 - y^\top\nu` for
        a dual point with :math:`\|A^\top\nu\|_\infty\le1`, before rounding to the dtype of y. Where no x has
        :math:`Ax = y`, x is the least-squares solution of least l1 norm, ``gap`` is ``inf`` and ``converged``
        False.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, an option is out of range, or A and y are so
            far apart in scale that x is beyond the numbers of their dtype.

    Sources: Chen, Donoho and Saunders (1998), who solved it by an interior point too; Mehrotra (1992) for the
    steps of ours; Eckstein and Bertsekas (1992) for the splitting. Taught in chapter 1.

    >>> import torch
    >>> A = torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], dtype=torch.float64)
    >>> found = basis_pursuit(A, torch.tensor([1.2, 1.6], dtype=torch.float64))
    >>> [round(entry, 6) for entry in found.x.tolist()], bool(found.converged)
    ([0.0, 0.0, 2.0], True)
    """
    system = System.of(A, y)
    tol = checks.real("tol", tol, above=0.0)
    max_iter = checks.integer("max_iter", max_iter, 1)
    Q, b, feasible = _orthonormal_rows(system.A, system.y)
    best = _Best(Q, b, max(_EXACT, _ROUNDINGS * torch.finfo(system.y.dtype).eps))
    left = _split(best, min(_SPLITTING_STEPS, max_iter))
    if max_iter > _SPLITTING_STEPS and len(left):
        for part in left.split(max(1, least_squares.ENTRIES // Q.shape[-1] // Q.shape[-2])):
            _follow_path(best, part, max_iter - _SPLITTING_STEPS)
    gap = torch.where(feasible, best.gap, torch.inf)
    power = system.y_power - system.A_power
    return system.recovery(best.x, best.objective, power, best.n_iter, gap <= tol * best.objective, gap)


def _orthonormal_rows(A: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The solutions of ``Ax = y`` as those of ``Qx = b`` with orthonormal rows, and whether there are any.

    Rows of Q beyond the rank of A are zero, and so is b there.
    """
    eps = torch.finfo(y.dtype).eps
    A, y = A.double(), y.double()
    left, values, right = torch.linalg.svd(A, full_matrices=False)
    present = values > max(A.shape[-2:]) * eps * values[..., :1]
    Q = right * present.unsqueeze(-1)
    b = linear.adjoint(left, y) * torch.where(present, 1 / values, torch.zeros_like(values))
    residual = y - linear.forward(A, linear.adjoint(Q, b))
    return Q, b, residual.norm(dim=-1) <= eps**0.5 * y.norm(dim=-1)


class _Best:
    """The best feasible point of every signal so far, and the gap that its dual point proves."""

    def __init__(self, Q: Tensor, b: Tensor, explained: float) -> None:
        self.Q, self.b, self.explained = Q, b, explained
        self.x = linear.adjoint(Q, b)
        self.objective = self.x.abs().sum(-1)
        # The dual point 0 proves that the objective is at most this far from the optimum.
        self.gap = self.objective.clone()
        self.n_iter = torch.zeros(len(b), dtype=torch.int64, device=b.device)

    def unfinished(self, chosen: Tensor) -> Tensor:
        """Which of the chosen signals are not yet solved up to rounding."""
        return self.gap[chosen] > _EXACT * self.objective[chosen]

    def keep(self, chosen: Tensor, x: Tensor, dual: Tensor) -> None:
        """Keep the feasible points ``x`` where their dual points prove that they are the best known.

        The gap is summed over the entries, each of which adds a term that is never negative: nothing cancels.
        """
        correlation = linear.adjoint(linear.rows(self.Q, chosen), dual)
        correlation = correlation / correlation.abs().amax(-1, keepdim=True).clamp(min=1)
        objective = x.abs().sum(-1)
        gap = (x.abs() * (1 - x.sign() * correlation)).sum(-1)
        better = gap < self.gap[chosen]
        kept = chosen[better]
        self.x[kept], self.objective[kept], self.gap[kept] = x[better], objective[better], gap[better]

    def finish(self, chosen: Tensor, support: Tensor, dual: Tensor, trust: float) -> None:
        """Solve on each support exactly, and certify what comes out.

        ``trust`` says down to which size the slacks of the dual points mean something.
        """
        for piece in least_squares.pieces(support, self.Q.shape[-2]):
            self._finish_piece(chosen[piece], support[piece], dual[piece], trust)

    def _finish_piece(self, chosen: Tensor, support: Tensor, dual: Tensor, trust: float) -> None:
        for _ in range(1 + _REPAIRS):
            small = support.sum(-1) <= self.Q.shape[-2]
            chosen, support, dual = chosen[small], support[small], dual[small]
            if not len(chosen):
                return
            Q, b = linear.rows(self.Q, chosen), self.b[chosen]
            indices, real = least_squares.support_indices(support)
            columns = linear.gather_columns(Q, indices, real)
            normal = least_squares.NormalEquations(columns, real)
            values = normal.solve((columns @ b.unsqueeze(-1)).squeeze(-1))
            x = torch.zeros_like(self.x[chosen]).scatter_add_(-1, indices, values)
            residual = b - linear.forward(Q, x)
            error = residual.norm(dim=-1) / b.norm(dim=-1)
            fits = error <= self.explained
            if bool(fits.any()):
                # The smallest change of the dual point that makes its correlations the signs on the support.
                short = (values.sign() - (columns @ dual.unsqueeze(-1)).squeeze(-1)) * real
                nearest = dual + (columns.mT @ normal.solve(short).unsqueeze(-1)).squeeze(-1)
                self.keep(chosen[fits], x[fits], nearest[fits])
            # A small entry of the solution may be missing. The residual points at its column, and a good dual
            # point has almost no slack there.
            slack = (1 - linear.adjoint(Q, dual).abs()).clamp(min=trust)
            pull = linear.adjoint(Q, residual).abs() / slack
            missing = pull.masked_fill(support, -1).argmax(-1, keepdim=True)
            support = support.scatter(-1, missing, True)
            almost = ~fits & (error <= _ALMOST)
            chosen, support, dual = chosen[almost], support[almost], dual[almost]


def _split(best: _Best, steps: int) -> Tensor:
    """Douglas-Rachford splitting; returns the signals that it did not finish."""
    active = torch.arange(len(best.b), device=best.b.device)
    active = active[best.unfinished(active)]
    z = best.x[active]
    threshold = _THRESHOLD * z.abs().amax(-1, keepdim=True)
    support = z.abs() > threshold
    next_try = torch.zeros_like(best.n_iter)
    for iteration in range(1, steps + 1):
        if not len(active):
            break
        Q, b = linear.rows(best.Q, active), best.b[active]
        shrunk = shrink(z, threshold)
        mirrored = 2 * shrunk - z
        z = shrunk + linear.adjoint(Q, b - linear.forward(Q, mirrored))
        best.n_iter[active] = iteration
        if iteration % _CHECK_EVERY and iteration != steps:
            continue
        shrunk = shrink(z, threshold)
        before, support = support, shrunk != 0
        settled = (support != before).sum(-1) <= _SETTLED * before.sum(-1)
        settled &= (iteration >= next_try[active]) | (iteration == steps)
        next_try[active[settled]] = 2 * iteration
        dual = linear.forward(Q, (z - shrunk) / threshold)
        best.finish(active[settled], support[settled], dual[settled], 1.0)
        staying = best.unfinished(active)
        active, z, threshold, support = (state[staying] for state in (active, z, threshold, support))
    return active


def _follow_path(best: _Best, active: Tensor, steps: int) -> None:
    """The interior point method for these signals, tried for its support as soon as that may be right."""
    Q, b = linear.rows(best.Q, active), best.b[active]
    empty = (Q.abs().amax(-1) == 0).to(Q.dtype).expand_as(b)
    path = InteriorPoint(Q, b, empty)
    support = path.support
    for _ in range(min(steps, MOST_STEPS)):
        path.step()
        best.n_iter[active] += 1
        Q, b = linear.rows(best.Q, active), best.b[active]
        best.keep(active, path.x + linear.adjoint(Q, b - linear.forward(Q, path.x)), path.nu)
        before, support = support, path.support
        settled = (support == before).all(-1) | ~path.sound
        best.finish(active[settled], support[settled], path.nu[settled], _EXACT)
        staying = best.unfinished(active) & path.sound
        active, support = active[staying], support[staying]
        if not len(active):
            return
        path.select(staying)
