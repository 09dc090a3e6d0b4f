"""LASSO for a batch of signals: splitting and an interior point find the support, Newton steps finish."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks, least_squares, linear
from gsl_utils.common.linear import System, square_root
from gsl_utils.common.result import Recovery
from gsl_utils.sparse.iterations import MOST_STEPS, InteriorPoint, Splitting, spectral_rows

__all__ = ["lasso"]

_CHECK_EVERY = 8
_NEWTON_STEPS = 4
# A support that changed by at most this share between two checks is worth solving on.
_SETTLED = 0.25
# The threshold of the splitting, as a share of the largest entry of the ridge solution.
_THRESHOLD = 0.2
# The splitting has so many iterations, and one for every row or column, before the interior point takes over:
# by then its equations are the cheaper ones.
_FIRST = 200
# Newton's steps stop at this relative gap: what is left is rounding.
_EXACT = 1e-13
# Beside A and y of order one a lam beyond these decides nothing: x is 0, or rounding hides what lam does.
_WEIGHTS = 1e-100, 1e100


def lasso(
    A: Tensor,
    y: Tensor,
    lam: float | Tensor,
    *,
    nonnegative: bool = False,
    tol: float = 1e-6,
    max_iter: int = 2000,
) -> Recovery:
    r"""Least squares with an l1 penalty, solved to a duality gap for every signal.

    .. math:: \min_x\ \tfrac12\|y - Ax\|_2^2 + \lambda\|x\|_1 \qquad (\text{and } x \ge 0 \text{ if asked})

    Douglas-Rachford splitting finds the support, in float32; on it, Newton steps of the optimality conditions
    solve a linear system, which is exact once support and signs are right. Signals that the splitting leads
    there too slowly are finished by an interior point method. A signal stops when its duality gap is at most
    ``tol`` times its objective, and then leaves the batch. Certificates and linear systems are computed in
    float64 whatever the dtype of y, and the result is rounded to the latter.

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, of the same dtype and device; of any unit, as A.
        lam: The weight of the penalty, positive: a number or one per signal ``(...)``. At and above
            :math:`\max_i|A^\top y|_i` the solution is zero.
        nonnegative: Whether the entries of x must be non-negative.
        tol: The relative duality gap to reach, positive.
        max_iter: The most iterations, of both kinds together.

    Returns:
        A recovery whose ``objective`` is the number above and whose ``gap`` bounds its distance from the
        optimum. Where the objective overflows ``converged`` is False, though x is right.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, an option is out of range, or A and y are so
            far apart in scale that x is beyond the numbers of their dtype.

    Sources: Tibshirani (1996); Eckstein and Bertsekas (1992) for the splitting, Mehrotra (1992) for the
    interior point. Taught in chapter 1.

    >>> import torch
    >>> A = torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], dtype=torch.float64)
    >>> lasso(A, torch.tensor([[2.0, 0.0], [0.3, 0.1]], dtype=torch.float64), 0.5).converged
    tensor([True, True])
    """
    system = System.of(A, y)
    lam = lam.detach() if isinstance(lam, Tensor) else lam
    weights = checks.per_signal("lam", lam, "y", system.y, system.batch, above=0.0)
    checks.flag("nonnegative", nonnegative)
    tol = checks.real("tol", tol, above=0.0)
    max_iter = checks.integer("max_iter", max_iter, 1)
    # Objective and gap go with the square of y, and so does lam with A and y.
    power = system.y_power + system.A_power
    weights = linear.scaled(weights.reshape(-1, 1).double(), -power).squeeze(-1)
    solver = _Solver(system.A, system.y, weights.clamp(*_WEIGHTS), nonnegative, tol, max_iter)
    solver.run()
    return system.recovery(
        solver.x, solver.objective, 2 * system.y_power, solver.n_iter, solver.converged, solver.gap
    )


class _Solver:
    """The best point of every signal so far, in float64, with the certificate that says how good it is."""

    def __init__(
        self, A: Tensor, y: Tensor, lam: Tensor, nonnegative: bool, tol: float, max_iter: int
    ) -> None:
        self.A, self.y, self.lam = A.double(), y.double(), lam.double()
        self.nonnegative, self.tol, self.max_iter = nonnegative, tol, max_iter
        self.x = self.y.new_zeros(len(y), A.shape[-1])
        self.objective = 0.5 * self.y.square().sum(-1)
        self.gap = torch.full_like(self.objective, float("inf"))
        self.n_iter = torch.zeros(len(y), dtype=torch.int64, device=y.device)

    @property
    def converged(self) -> Tensor:
        """Which signals have the gap that was asked for."""
        return self.gap <= self.tol * self.objective

    def run(self) -> None:
        """Iterate until every signal has converged or the iterations are used up."""
        everyone = torch.arange(len(self.y), device=self.y.device)
        self._keep(everyone, self.x)
        active = everyone[~self._done(everyone)]
        if len(active):
            active, step = self._split(active, min(self.max_iter, _FIRST + min(self.A.shape[-2:])))
        left = self.max_iter - _FIRST - min(self.A.shape[-2:])
        if left > 0 and len(active):
            size = max(1, least_squares.ENTRIES // self.A.shape[-1] // min(self.A.shape[-2:]))
            for part, its_step in zip(active.split(size), step.split(size), strict=True):
                self._follow_path(part, its_step, left)

    def _split(self, active: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Splitting; returns the signals that it did not finish, and the step to judge supports with."""
        B, b, energy = spectral_rows(linear.rows(self.A, active), self.y[active])
        largest = energy[..., -1:].clamp(min=torch.finfo(energy.dtype).tiny)
        lam, size = self.lam[active].unsqueeze(-1), b.norm(dim=-1, keepdim=True).clamp(min=1e-300)
        # In units in which A and y are of size 1, float32 can neither overflow nor vanish.
        B, energy, b = B / square_root(largest).unsqueeze(-1), energy / largest, b / size
        lam = lam / (square_root(largest) * size)
        ridge = linear.adjoint(B, b / (energy + lam))
        threshold = _THRESHOLD * ridge.abs().amax(-1, keepdim=True)
        weight = 1 / (energy + lam / threshold)
        path = Splitting(B, b, weight, threshold, nonnegative=self.nonnegative)
        step = threshold / lam / largest
        support = path.z != 0
        next_try = torch.zeros_like(self.n_iter)
        for iteration in range(1, steps + 1):
            if not len(active):
                break
            path.step()
            last = iteration == steps
            if iteration % _CHECK_EVERY and not last:
                continue
            self.n_iter[active] = iteration
            z = path.z
            earlier, support = support, z != 0
            count, moved = support.sum(-1), (support != earlier).sum(-1)
            # On a support that still moves, or that is too large for a unique solution, a solve is wasted.
            settled = (count <= min(self.A.shape[-2:])) & (moved <= _SETTLED * count)
            settled = settled & (iteration >= next_try[active]) | last
            if bool(settled.any()):
                self._polish(active[settled], support[settled], z[settled].sign().double(), step[settled])
                next_try[active[settled]] = int(1.5 * iteration)
            staying = ~self._done(active)
            if not bool(staying.all()):
                active, support, step = active[staying], support[staying], step[staying]
                path.select(staying)
        return active, step

    def _done(self, chosen: Tensor) -> Tensor:
        return self.converged[chosen]

    def _keep(self, chosen: Tensor, x: Tensor) -> Tensor:
        """Certify ``x`` and keep it for the signals where it is the best yet; returns ``A'(y - Ax)``."""
        A, y, lam = linear.rows(self.A, chosen), self.y[chosen], self.lam[chosen]
        residual = y - linear.forward(A, x)
        correlation = linear.adjoint(A, residual)
        objective = 0.5 * residual.square().sum(-1) + lam * x.abs().sum(-1)
        gap = _gap(y, residual, correlation, x, lam, self.nonnegative)
        better = gap < self.gap[chosen]
        kept = chosen[better]
        self.x[kept], self.objective[kept], self.gap[kept] = x[better], objective[better], gap[better]
        return correlation

    def _polish(self, chosen: Tensor, support: Tensor, signs: Tensor, step: Tensor) -> None:
        """Newton steps on the optimality conditions; what they find is kept where it is better."""
        for _ in range(_NEWTON_STEPS):
            x = self._solve_on(chosen, support, signs)
            correlation = self._keep(chosen, x)
            left = self.gap[chosen] > _EXACT * self.objective[chosen]
            chosen, x, correlation, step, before = (
                state[left] for state in (chosen, x, correlation, step, support)
            )
            u, threshold = x + step * correlation, step * self.lam[chosen].unsqueeze(-1)
            support = u > threshold if self.nonnegative else u.abs() > threshold
            count, moved = support.sum(-1), (support != before).sum(-1)
            near = (count <= min(self.A.shape[-2:])) & (moved <= _SETTLED * before.sum(-1))
            chosen, support, signs, step = chosen[near], support[near], u[near].sign(), step[near]
            if not len(chosen):
                return

    def _follow_path(self, active: Tensor, step: Tensor, steps: int) -> None:
        """The interior point method, for signals that the gradient leads to their support too slowly."""
        A, y, lam = linear.rows(self.A, active), self.y[active], self.lam[active]
        if A.shape[-2] > A.shape[-1]:
            # The same problem with as many rows as columns, but for a constant.
            rotation, A = torch.linalg.qr(A)
            y = linear.adjoint(rotation, y)
        path = InteriorPoint(A, y, lam.unsqueeze(-1).expand_as(y), nonnegative=self.nonnegative)
        support = path.support
        for _ in range(min(steps, MOST_STEPS)):
            path.step()
            self.n_iter[active] += 1
            before, support = support, path.support
            # Off the support the path's entries are small, never zero.
            x = path.x * support
            self._keep(active, x)
            settled = (support == before).all(-1) | ~path.sound
            if bool(settled.any()):
                self._polish(active[settled], support[settled], x[settled].sign(), step[settled])
            staying = ~self._done(active) & path.sound
            active, support, step = active[staying], support[staying], step[staying]
            if not len(active):
                return
            path.select(staying)

    def _solve_on(self, chosen: Tensor, support: Tensor, signs: Tensor) -> Tensor:
        """The stationary point with this support and these signs."""
        x = torch.zeros_like(signs)
        for piece in least_squares.pieces(support, self.A.shape[-2]):
            indices, real = least_squares.support_indices(support[piece])
            who = chosen[piece]
            columns = linear.gather_columns(linear.rows(self.A, who), indices, real)
            right = (columns @ self.y[who].unsqueeze(-1)).squeeze(-1)
            right = (right - self.lam[who].unsqueeze(-1) * signs[piece].gather(-1, indices)) * real
            values = least_squares.NormalEquations(columns, real).solve(right)
            x[piece] = x[piece].scatter_add(-1, indices, values)
        return x.clamp(min=0) if self.nonnegative else x


def _gap(
    y: Tensor, residual: Tensor, correlation: Tensor, x: Tensor, lam: Tensor, nonnegative: bool
) -> Tensor:
    """The duality gap at ``x`` and the scaled residual, as a sum of terms that are never negative.

    With the dual point s r, feasible for s max|A'r| <= lam, primal less dual is
    (1 - s)^2 |r|^2 / 2 + sum_i (lam |x_i| - s x_i (A'r)_i): no two large numbers are subtracted.
    """
    peak = correlation.amax(-1).clamp(min=0) if nonnegative else correlation.abs().amax(-1)
    limit = lam / peak.clamp(min=torch.finfo(peak.dtype).tiny)
    energy = residual.square().sum(-1)
    wanted = (y * residual).sum(-1) / energy.clamp(min=torch.finfo(peak.dtype).tiny)
    scale = torch.minimum(wanted.clamp(min=0), limit)
    slack = lam.unsqueeze(-1) - scale.unsqueeze(-1) * x.sign() * correlation
    return 0.5 * (1 - scale).square() * energy + (x.abs() * slack.clamp(min=0)).sum(-1)
