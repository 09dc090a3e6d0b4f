"""Greedy pursuit for a batch of signals: choose a support, fit on it, look at what the fit leaves."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils import _batched, _checks
from gsl_utils._result import Recovery
from gsl_utils._thresholds import keep_largest

__all__ = ["cosamp", "finish", "omp", "prepare"]

# Correlations below this many roundings of the residual are zero.
_ROUNDINGS = 100
# A column that keeps less than this share of its norm beyond the basis is made orthogonal to it once more.
_LOST = 0.7


def prepare(A: Tensor, y: Tensor, k: int) -> tuple[Tensor, Tensor, int, torch.Size]:
    """Check the arguments that the k-sparse methods share, and flatten the batch."""
    A, y, batch = _checks.linear_system("A", A, "y", y, "rows")
    k = _checks.integer("k", k, 0, A.shape[-1], "the number of columns of A")
    return *_batched.flatten(A, y, batch), k, batch


def finish(A: Tensor, y: Tensor, x: Tensor, n_iter: Tensor, converged: Tensor, batch: torch.Size) -> Recovery:
    """What the k-sparse methods return."""
    objective = (y - _batched.forward(A, x)).square().sum(-1).reshape(batch)
    x = x.reshape(*batch, -1)
    return Recovery(x, x, objective, n_iter.reshape(batch), converged.reshape(batch))


def omp(A: Tensor, y: Tensor, k: int) -> Recovery:
    r"""Orthogonal matching pursuit: k times, add the column that explains most of the residual, and refit.

    .. math:: j = \operatorname*{arg\,max}_{i\notin S}\frac{|a_i^\top r|}{\|a_i\|_2},\qquad
        S \leftarrow S\cup\{j\},\qquad
        x = \operatorname*{arg\,min}_{\operatorname{supp}u\subseteq S}\|y - Au\|_2,\qquad r = y - Ax

    The columns need not have norm 1: each is judged by its cosine with the residual. The residual is kept by
    an orthonormal basis of the chosen columns, one new vector per step for all signals together. The cosines
    are computed in float32; where the best two are too close for that, the dtype of y decides.

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, of the same dtype and device.
        k: How many columns to choose, from 0 to ``n``.

    Returns:
        A recovery whose ``objective`` is :math:`\|y - Ax\|_2^2`, with ``gap`` None. A signal whose residual
        has vanished chooses no more columns. ``converged`` is False where fewer than k could be chosen and a
        residual
        remains: no other column is correlated with it.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or ``k`` is out of range.

    Sources: Pati, Rezaiifar and Krishnaprasad (1993); Tropp and Gilbert (2007), algorithm 3. Taught in
    chapter 1.

    >>> import torch
    >>> A = torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, 4.0]], dtype=torch.float64)
    >>> [round(entry, 6) for entry in omp(A, torch.tensor([0.0, 2.0], dtype=torch.float64), 1).x.tolist()]
    [0.0, 2.0, 0.0]
    """
    A, y, k, batch = prepare(A, y, k)
    count, (m, n) = len(y), A.shape[-2:]
    eps = torch.finfo(y.dtype).eps
    norms = A.norm(dim=-2, keepdim=True)
    # A zero column explains nothing and is never chosen.
    unit = A / torch.where(norms > 0, norms, torch.inf)
    coarse = unit.float()
    support = torch.zeros(count, n, dtype=torch.bool, device=y.device)
    n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
    stuck = torch.zeros(count, dtype=torch.bool, device=y.device)
    active = torch.arange(count, device=y.device)
    residual, floor = y, 10 * eps * y.norm(dim=-1)
    basis = y.new_empty(count, min(k, m), m)
    for size in range(min(k, m)):
        length = residual.norm(dim=-1)
        best, chosen = _best_column(unit, coarse, residual, length, support.index_select(0, active))
        left = length > floor[active]
        stuck[active] = left & (best <= _ROUNDINGS * eps)
        left &= ~stuck[active]
        if not bool(left.all()):
            active, residual, basis, chosen = (state[left] for state in (active, residual, basis, chosen))
            unit, coarse = _batched.rows(unit, left), _batched.rows(coarse, left)
            if not len(active):
                break
        direction = _orthonormal(basis[:, :size], _column(unit, chosen))
        basis[:, size] = direction
        residual = residual - (residual * direction).sum(-1, keepdim=True) * direction
        support[active, chosen] = True
        n_iter[active] += 1
    return finish(A, y, _batched.least_squares(A, y, support), n_iter, ~stuck, batch)


def _best_column(
    unit: Tensor, coarse: Tensor, residual: Tensor, length: Tensor, used: Tensor
) -> tuple[Tensor, Tensor]:
    """The largest cosine between each residual and a column that is not yet used, and which column has it.

    The cosines are computed in float32, which is half the work, and anew in the residual's dtype where the
    rounding of float32 could have decided.
    """
    direction = residual / length.clamp(min=torch.finfo(length.dtype).tiny).unsqueeze(-1)
    cosine = _batched.adjoint(coarse, direction.float()).abs_().masked_fill_(used, -1)
    best, chosen = cosine.max(-1)
    if residual.dtype == torch.float32:
        return best, chosen
    # Two sums of m products of unit vectors are off by less than this together.
    margin = (unit.shape[-2] + 2) * torch.finfo(torch.float32).eps
    second = cosine.scatter_(-1, chosen.unsqueeze(-1), -1).amax(-1)
    close = (best - second.clamp(min=0) <= margin).nonzero().squeeze(-1)
    best = best.to(residual.dtype)
    if len(close):
        fine = _batched.adjoint(_batched.rows(unit, close), direction[close])
        best[close], chosen[close] = fine.abs().masked_fill(used[close], -1).max(-1)
    return best, chosen


def _orthonormal(basis: Tensor, column: Tensor) -> Tensor:
    """What is left of each unit column beyond the span of its orthonormal basis, with norm 1."""
    rest = _without(basis, column)
    length = rest.norm(dim=-1, keepdim=True)
    # What lost most of its length has rounding in it that is not orthogonal: once more is enough.
    short = (length.squeeze(-1) < _LOST).nonzero().squeeze(-1)
    if len(short):
        rest[short] = _without(basis[short], rest[short] / length[short])
        length[short] = rest[short].norm(dim=-1, keepdim=True)
    return rest / length


def _without(basis: Tensor, vector: Tensor) -> Tensor:
    """The vectors less their components along their orthonormal bases."""
    vector = vector.unsqueeze(1)
    return torch.baddbmm(vector, vector @ basis.mT, basis, alpha=-1).squeeze(1)


def _column(A: Tensor, chosen: Tensor) -> Tensor:
    real = torch.ones_like(chosen, dtype=torch.bool).unsqueeze(-1)
    return _batched.gather_columns(A, chosen.unsqueeze(-1), real).squeeze(1)


def cosamp(A: Tensor, y: Tensor, k: int, *, tol: float = 1e-6, max_iter: int = 100) -> Recovery:
    r"""Compressive sampling matching pursuit: correct the whole support in every iteration.

    .. math:: T = \operatorname{supp}(x)\cup\operatorname{supp}H_{2k}\big(A^\top(y - Ax)\big),\qquad
        x \leftarrow H_k\Big(\operatorname*{arg\,min}_{\operatorname{supp}u\subseteq T}\|y - Au\|_2\Big)

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``; its columns should have norms close to 1.
        y: The measurements ``(..., m)``, of the same dtype and device.
        k: The sparsity, from 0 to ``n``. With ``3k > m`` the least-squares problem has many solutions, of
            which the one of least norm is taken, and no guarantee is left.
        tol: A signal stops when x moves by at most this share of its norm, positive.
        max_iter: The most iterations.

    Returns:
        A recovery whose ``objective`` is :math:`\|y - Ax\|_2^2`, with ``gap`` None: the iterate of the
        smallest residual. ``converged`` is False where the iterates still moved at the end, as they do when
        they cycle.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or an option is out of range.

    Source: Needell and Tropp (2009), algorithm 1. Taught in chapter 1.

    >>> import torch
    >>> A = torch.eye(4, dtype=torch.float64)
    >>> cosamp(A, torch.tensor([0.0, 2.0, -3.0, 0.0], dtype=torch.float64), 1).x.tolist()
    [0.0, 0.0, -3.0, 0.0]
    """
    A, y, k, batch = prepare(A, y, k)
    tol = _checks.real("tol", tol, above=0.0)
    max_iter = _checks.integer("max_iter", max_iter, 1)
    count, n = len(y), A.shape[-1]
    kept, kept_error = y.new_zeros(count, n), y.square().sum(-1)
    n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
    converged = kept_error == 0 if k else torch.ones(count, dtype=torch.bool, device=y.device)
    active = (~converged).nonzero().squeeze(-1)
    x = kept[active]
    for iteration in range(1, max_iter + 1):
        if not len(active):
            break
        here, target = _batched.rows(A, active), y[active]
        proxy = _batched.adjoint(here, target - _batched.forward(here, x))
        merged = (keep_largest(proxy, min(2 * k, n)) != 0) | (x != 0)
        before, x = x, keep_largest(_batched.least_squares(here, target, merged), k)
        error = (target - _batched.forward(here, x)).square().sum(-1)
        better = error < kept_error[active]
        kept[active[better]], kept_error[active[better]] = x[better], error[better]
        n_iter[active] = iteration
        settled = (x - before).norm(dim=-1) <= tol * x.norm(dim=-1)
        converged[active[settled]] = True
        active, x = active[~settled], x[~settled]
    return finish(A, y, kept, n_iter, converged, batch)
