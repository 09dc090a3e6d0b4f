"""Products with one matrix for a whole batch, or with one matrix per signal, and least squares on a support each."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["adjoint", "flatten", "forward", "gather_columns", "rows", "solve_normal", "support_indices"]


def flatten(A: Tensor, y: Tensor, batch: torch.Size) -> tuple[Tensor, Tensor]:
    """One batch dimension for all: ``A (m, n)`` when shared or ``(N, m, n)``, and ``y (N, m)``."""
    flat = y.expand(*batch, y.shape[-1]).reshape(-1, y.shape[-1])
    if A.ndim > 2:
        A = A.expand(*batch, *A.shape[-2:]).reshape(-1, *A.shape[-2:])
        if A.shape[0] == 1:
            A = A[0]
    return A, flat


def forward(A: Tensor, x: Tensor) -> Tensor:
    """``A x`` for every signal."""
    return x @ A.mT if A.ndim == 2 else (A @ x.unsqueeze(-1)).squeeze(-1)


def adjoint(A: Tensor, r: Tensor) -> Tensor:
    """The transpose of ``A`` times ``r``, for every signal."""
    return r @ A if A.ndim == 2 else (A.mT @ r.unsqueeze(-1)).squeeze(-1)


def rows(A: Tensor, chosen: Tensor) -> Tensor:
    """The matrices of the chosen signals."""
    return A if A.ndim == 2 else A[chosen]


def support_indices(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The positions of the True entries of each row of ``mask (N, n)``, padded to the longest row.

    Returns indices ``(N, p)`` (0 where padded) and which of them are real.
    """
    counts = mask.sum(-1)
    width = int(counts.max()) if mask.numel() else 0
    signal, column = mask.nonzero(as_tuple=True)
    start = counts.cumsum(0) - counts
    place = torch.arange(len(signal), device=mask.device) - start[signal]
    indices = torch.zeros(len(mask), width, dtype=torch.int64, device=mask.device)
    indices[signal, place] = column
    return indices, torch.arange(width, device=mask.device) < counts.unsqueeze(-1)


def gather_columns(A: Tensor, indices: Tensor, real: Tensor) -> Tensor:
    """The chosen columns of each signal's matrix as the rows of ``(N, p, m)``, zero where padded."""
    if A.ndim == 2:
        columns = A.mT[indices]
    else:
        columns = A.mT.gather(1, indices.unsqueeze(-1).expand(-1, -1, A.shape[-2]))
    return columns * real.unsqueeze(-1)


def solve_normal(columns: Tensor, real: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Solve ``C C' w = right`` for the ``columns`` C of each signal, by Cholesky and one step of refinement.

    Returns ``w (N, p)``, zero where padded, and which signals have independent columns; the others' ``w`` is the
    solution of least norm.
    """
    gram = columns @ columns.mT
    scale = gram.diagonal(dim1=-2, dim2=-1)
    gram = gram + torch.diag_embed(torch.where(real, torch.zeros_like(scale), torch.ones_like(scale)))
    factor, info = torch.linalg.cholesky_ex(gram)
    pivots = factor.diagonal(dim1=-2, dim2=-1).square()
    # A pivot that lost all but a few digits of its column's squared norm means that the column depends on the others.
    limit = 100 * torch.finfo(gram.dtype).eps * scale.clamp(min=torch.finfo(gram.dtype).tiny)
    independent = (info == 0) & ((pivots > limit) | ~real).all(-1)
    w = torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
    if not bool(independent.all()):
        bad = ~independent
        w[bad] = (torch.linalg.pinv(gram[bad], hermitian=True) @ right[bad].unsqueeze(-1)).squeeze(-1)
    residual = right - (gram @ w.unsqueeze(-1)).squeeze(-1)
    correction = torch.cholesky_solve(residual.unsqueeze(-1), factor).squeeze(-1)
    return torch.where(independent.unsqueeze(-1), w + correction, w) * real, independent
