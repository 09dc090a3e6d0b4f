"""Orthogonal matching pursuit for a batch of signals, on an orthonormal basis of the chosen columns."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks, linear
from gsl_utils.common.linear import System
from gsl_utils.common.result import Recovery

__all__ = ["omp"]

# A residual of at most this many roundings of y has vanished.
_VANISHED = 4
# Cosines of at most this many roundings are zero. What depends on the basis has a smaller one, so that it is
# never chosen.
_ROUNDINGS = 100
# A residual that has fallen to this share holds rounding that is not small beside it, nor orthogonal.
_FALLEN = 0.1
# A column that keeps less than this share of its norm beyond the basis is made orthogonal to it once more.
_LOST = 0.7


def omp(A: Tensor, y: Tensor, k: int) -> Recovery:
    r"""Orthogonal matching pursuit: k times, add the column that explains most of the residual, and refit.

    .. math:: j = \operatorname*{arg\,max}_{i\notin S}\frac{|a_i^\top r|}{\|a_i\|_2},\qquad
        S \leftarrow S\cup\{j\},\qquad
        x = \operatorname*{arg\,min}_{\operatorname{supp}u\subseteq S}\|y - Au\|_2,\qquad r = y - Ax

    The columns need not have norm 1, nor norms of one size: each is judged by its cosine with the residual.
    The residual is kept by an orthonormal basis of the chosen columns, one new vector per step for all
    signals together, and the fit is read off it at the end, so that nearly dependent columns are told apart.
    The cosines are computed in float32; where the best two are too close for that, the dtype of y decides.

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, of the same dtype and device; of any unit, as A.
        k: How many columns to choose, from 0 to ``m`` and to ``n``: no more are independent.

    Returns:
        A recovery whose ``objective`` is :math:`\|y - Ax\|_2^2`, with ``gap`` None. A signal whose residual
        has vanished up to rounding chooses no more columns. ``converged`` is False where fewer than k could
        be chosen and a residual remains, because no other column is correlated with it, and where the
        objective overflows.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, ``k`` is out of range, or A and y are so far
            apart in scale that x is beyond the numbers of their dtype.

    Sources: Pati, Rezaiifar and Krishnaprasad (1993); Tropp and Gilbert (2007), algorithm 3. Taught in
    chapter 1.

    >>> import torch
    >>> A = torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, 4.0]], dtype=torch.float64)
    >>> [round(entry, 6) for entry in omp(A, torch.tensor([0.0, 2.0], dtype=torch.float64), 1).x.tolist()]
    [0.0, 2.0, 0.0]
    """
    system = System.of(A, y, by_column=True)
    A, y = system.A, system.y
    m, n = A.shape[-2:]
    k = checks.integer("k", k, 0, min(m, n), f"the number of {'rows' if m <= n else 'columns'} of A")
    norms = A.norm(dim=-2, keepdim=True)
    # A zero column explains nothing and is never chosen.
    norms = torch.where(norms > 0, norms, torch.inf)
    pursuit = _Pursuit(A / norms, y, k)
    for size in range(k):
        if not len(pursuit.active):
            break
        pursuit.step(size)
    pursuit.leave(torch.ones_like(pursuit.active, dtype=torch.bool), k)
    x = pursuit.x / norms.squeeze(-2)
    objective = (y - linear.forward(A, x)).square().sum(-1)
    return system.recovery(x, objective, 2 * system.y_power, pursuit.n_iter, ~pursuit.stuck)


class _Pursuit:
    """The signals still at work, each with an orthonormal basis of its columns, and where others ended."""

    def __init__(self, unit: Tensor, y: Tensor, k: int) -> None:
        count, n = len(y), unit.shape[-1]
        self.unit, self.coarse = unit, unit.float()
        self.y, self.residual = y, y
        self.floor = _VANISHED * torch.finfo(y.dtype).eps * y.norm(dim=-1)
        # How long the residual was when it was last orthogonal to the basis up to its own rounding.
        self.clean = y.norm(dim=-1)
        # The chosen columns are Q R, with the basis for Q; the fit solves R u = Q'y.
        self.basis = y.new_empty(count, k, y.shape[-1])
        self.R, self.right = y.new_zeros(count, k, k), y.new_empty(count, k)
        self.chosen = torch.empty(count, k, dtype=torch.int64, device=y.device)
        self.used = torch.zeros(count, n, dtype=torch.bool, device=y.device)
        self.active = torch.arange(count, device=y.device)
        # The coefficients of the unit columns, for signals that have left.
        self.x = y.new_zeros(count, n)
        self.n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
        self.stuck = torch.zeros(count, dtype=torch.bool, device=y.device)

    def step(self, size: int) -> None:
        """Choose one column more than ``size`` for every signal that has a residual which one explains."""
        left = self.residual.norm(dim=-1)
        fallen = (left < _FALLEN * self.clean).nonzero().squeeze(-1)
        if len(fallen):
            self.residual[fallen], _ = _without(self.basis[fallen, :size], self.residual[fallen])
            self.clean[fallen] = left[fallen]
        best, chosen = _best_column(self.unit, self.coarse, self.residual, left, self.used)
        remains = left > self.floor
        helped = best > _ROUNDINGS * torch.finfo(self.y.dtype).eps
        self.stuck[self.active] = remains & ~helped
        going = remains & helped
        if not bool(going.all()):
            self.leave(~going, size)
            chosen = chosen[going]
        one = torch.ones_like(chosen, dtype=torch.bool).unsqueeze(-1)
        column = linear.gather_columns(self.unit, chosen.unsqueeze(-1), one).squeeze(1)
        direction, self.R[:, : size + 1, size] = _orthonormal(self.basis[:, :size], column)
        along = (self.residual * direction).sum(-1)
        self.residual = self.residual - along.unsqueeze(-1) * direction
        self.basis[:, size], self.right[:, size], self.chosen[:, size] = direction, along, chosen
        self.used.scatter_(-1, chosen.unsqueeze(-1), True)
        self.n_iter[self.active] += 1

    def leave(self, done: Tensor, size: int) -> None:
        """Fit the signals that are done on their ``size`` columns, and go on with the others only."""
        R, right = self.R[done, :size, :size], self.right[done, :size].unsqueeze(-1)
        fit = torch.linalg.solve_triangular(R, right, upper=True).squeeze(-1)
        who = self.active[done]
        self.x[who] = self.x[who].scatter(-1, self.chosen[done, :size], fit)
        on = ~done
        for name in ("active", "y", "residual", "floor", "clean", "basis", "R", "right", "chosen", "used"):
            setattr(self, name, getattr(self, name)[on])
        self.unit, self.coarse = linear.rows(self.unit, on), linear.rows(self.coarse, on)


def _best_column(
    unit: Tensor, coarse: Tensor, residual: Tensor, length: Tensor, used: Tensor
) -> tuple[Tensor, Tensor]:
    """The largest cosine between each residual and a column that is not yet used, and which column has it.

    The cosines are computed in float32, which is half the work, and anew in the residual's dtype where the
    rounding of float32 could have decided.
    """
    direction = residual / length.clamp(min=torch.finfo(length.dtype).tiny).unsqueeze(-1)
    cosine = linear.adjoint(coarse, direction.float()).abs_().masked_fill_(used, -1)
    best, chosen = cosine.max(-1)
    if residual.dtype == torch.float32:
        return best, chosen
    # Two sums of m products of unit vectors are off by less than this together.
    margin = (unit.shape[-2] + 2) * torch.finfo(torch.float32).eps
    second = cosine.scatter_(-1, chosen.unsqueeze(-1), -1).amax(-1)
    close = (best - second.clamp(min=0) <= margin).nonzero().squeeze(-1)
    best = best.to(residual.dtype)
    if len(close):
        fine = linear.adjoint(linear.rows(unit, close), direction[close])
        best[close], chosen[close] = fine.abs().masked_fill(used[close], -1).max(-1)
    return best, chosen


def _orthonormal(basis: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of each unit column beyond the span of its orthonormal basis, with norm 1.

    Also the column of R: its components along the basis, and the length of what was left.
    """
    rest, along = _without(basis, column)
    length = rest.norm(dim=-1, keepdim=True)
    # What lost most of its length has rounding in it that is not orthogonal: once more is enough.
    short = (length.squeeze(-1) < _LOST).nonzero().squeeze(-1)
    if len(short):
        rest[short], _ = _without(basis[short], rest[short])
        length[short] = rest[short].norm(dim=-1, keepdim=True)
    return rest / length, torch.cat([along, length], dim=-1)


def _without(basis: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors less their components along their orthonormal bases, and these components."""
    vector = vector.unsqueeze(1)
    along = vector @ basis.mT
    return torch.baddbmm(vector, along, basis, alpha=-1).squeeze(1), along.squeeze(1)
