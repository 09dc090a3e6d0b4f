"""Greedy and hard-thresholding pursuit for a batch of signals: OMP, CoSaMP and iterative hard thresholding."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils import _batched, _checks
from gsl_utils._thresholds import keep_largest
from gsl_utils.recovery import Recovery

__all__ = ["cosamp", "iht", "omp"]


def _prepare(A: Tensor, y: Tensor, k: int) -> tuple[Tensor, Tensor, int, torch.Size]:
    A, y, batch = _checks.linear_system("A", A, "y", y, "rows")
    k = _checks.integer("k", k, 0, A.shape[-1], "the number of columns of A")
    return *_batched.flatten(A, y, batch), k, batch


def _recovery(A: Tensor, y: Tensor, x: Tensor, n_iter: Tensor, converged: Tensor, batch: torch.Size) -> Recovery:
    objective = (y - _batched.forward(A, x)).square().sum(-1).reshape(batch)
    x = x.reshape(*batch, -1)
    return Recovery(x, x, objective, n_iter.reshape(batch), converged.reshape(batch))


def omp(A: Tensor, y: Tensor, k: int) -> Recovery:
    r"""Orthogonal matching pursuit.

    >>> import torch
    >>> A = torch.eye(3, dtype=torch.float64)
    >>> omp(A, torch.tensor([0.0, 2.0, -3.0], dtype=torch.float64), 1).x.tolist()
    [0.0, 0.0, -3.0]
    """
    A, y, k, batch = _prepare(A, y, k)
    count, n = len(y), A.shape[-1]
    eps = torch.finfo(y.dtype).eps
    norms = A.norm(dim=-2)
    norms = torch.where(norms > 0, norms, torch.full_like(norms, float("inf"))).expand(count, n)
    support = torch.zeros(count, n, dtype=torch.bool, device=y.device)
    n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
    stuck = torch.zeros(count, dtype=torch.bool, device=y.device)
    basis = y.new_zeros(count, 0, A.shape[-2])
    active = torch.arange(count, device=y.device)
    residual = y.clone()
    floor = 10 * eps * y.norm(dim=-1)
    for _ in range(k):
        staying = residual[active].norm(dim=-1) > floor[active]
        active, basis = active[staying], basis[staying]
        if not len(active):
            break
        here = _batched.rows(A, active)
        score = _batched.adjoint(here, residual[active]).abs() / norms[active]
        chosen = score.masked_fill(support[active], -1).argmax(-1)
        column = _batched.gather_columns(here, chosen.unsqueeze(-1), torch.ones_like(chosen, dtype=torch.bool).unsqueeze(-1))
        column = column.squeeze(1) / norms[active].gather(-1, chosen.unsqueeze(-1))
        # Gram-Schmidt twice: once loses orthogonality when columns are nearly dependent.
        for _ in range(2):
            column = column - (basis.mT @ (basis @ column.unsqueeze(-1))).squeeze(-1)
        length = column.norm(dim=-1, keepdim=True)
        fresh = length.squeeze(-1) > 100 * eps
        stuck[active[~fresh]] = True
        active, basis, column, length, chosen = active[fresh], basis[fresh], column[fresh], length[fresh], chosen[fresh]
        column = column / length
        support[active, chosen] = True
        n_iter[active] += 1
        basis = torch.cat([basis, column.unsqueeze(1)], dim=1)
        here_residual = residual[active]
        residual[active] = here_residual - (here_residual * column).sum(-1, keepdim=True) * column
    x = _least_squares(A, y, support)
    return _recovery(A, y, x, n_iter, ~stuck, batch)


def _least_squares(A: Tensor, y: Tensor, support: Tensor) -> Tensor:
    indices, real = _batched.support_indices(support)
    x = y.new_zeros(support.shape)
    if not indices.shape[-1]:
        return x
    columns = _batched.gather_columns(A, indices, real)
    values, _ = _batched.solve_normal(columns, real, (columns @ y.unsqueeze(-1)).squeeze(-1))
    return x.scatter_add_(-1, indices, values)


def cosamp(A: Tensor, y: Tensor, k: int, *, tol: float = 1e-6, max_iter: int = 100) -> Recovery:
    r"""Compressive sampling matching pursuit."""
    A, y, k, batch = _prepare(A, y, k)
    count, n = len(y), A.shape[-1]
    best, best_error = y.new_zeros(count, n), y.square().sum(-1)
    n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
    converged = best_error == 0 if k else torch.ones(count, dtype=torch.bool, device=y.device)
    active = torch.arange(count, device=y.device)[~converged]
    x = best[active]
    for iteration in range(1, max_iter + 1):
        if not len(active):
            break
        here, target = _batched.rows(A, active), y[active]
        proxy = _batched.adjoint(here, target - _batched.forward(here, x))
        merged = (keep_largest(proxy, min(2 * k, n)) != 0) | (x != 0)
        previous, x = x, keep_largest(_least_squares(here, target, merged), k)
        error = (target - _batched.forward(here, x)).square().sum(-1)
        n_iter[active] = iteration
        better = error < best_error[active]
        best[active[better]], best_error[active[better]] = x[better], error[better]
        settled = (x - previous).norm(dim=-1) <= tol * x.norm(dim=-1)
        converged[active[settled]] = True
        active, x = active[~settled], x[~settled]
    return _recovery(A, y, best, n_iter, converged, batch)


def iht(A: Tensor, y: Tensor, k: int, *, tol: float = 1e-6, max_iter: int = 2000) -> Recovery:
    r"""Normalised iterative hard thresholding."""
    A, y, k, batch = _prepare(A, y, k)
    count, n = len(y), A.shape[-1]
    x = y.new_zeros(count, n)
    n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
    converged = y.square().sum(-1) == 0 if k else torch.ones(count, dtype=torch.bool, device=y.device)
    active = torch.arange(count, device=y.device)[~converged]
    for iteration in range(1, max_iter + 1):
        if not len(active):
            break
        here, target, old = _batched.rows(A, active), y[active], x[active]
        slope = _batched.adjoint(here, target - _batched.forward(here, old))
        support = torch.where((old != 0).any(-1, keepdim=True), old != 0, keep_largest(slope, k) != 0)
        on = slope * support
        step = on.square().sum(-1, keepdim=True) / _batched.forward(here, on).square().sum(-1, keepdim=True).clamp(min=torch.finfo(y.dtype).tiny)
        new = keep_largest(old + step * slope, k)
        for _ in range(60):
            change = new - old
            size, image = change.square().sum(-1, keepdim=True), _batched.forward(here, change).square().sum(-1, keepdim=True)
            moved = ((new != 0) != (old != 0)).any(-1, keepdim=True)
            too_long = moved & (step * image > 0.99 * size)
            if not bool(too_long.any()):
                break
            step = torch.where(too_long, step / 2, step)
            new = torch.where(too_long, keep_largest(old + step * slope, k), new)
        x[active] = new
        n_iter[active] = iteration
        settled = (new - old).norm(dim=-1) <= tol * new.norm(dim=-1)
        converged[active[settled]] = True
        active = active[~settled]
    return _recovery(A, y, x, n_iter, converged, batch)
