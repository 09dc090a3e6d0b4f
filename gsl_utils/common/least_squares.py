"""Least squares on a support of each signal's own, for a batch of them."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common.linear import adjoint, forward, gather_columns, rows

__all__ = ["ENTRIES", "NormalEquations", "on_support", "pieces", "support_indices"]

# A pivot of at most so many roundings of its column says that the column depends on those before it.
_ROUNDINGS = 100
# How many numbers a temporary array may hold; a batch that needs more is worked on in pieces.
ENTRIES = 2**23


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


def pieces(support: Tensor, m: int) -> tuple[Tensor, ...]:
    """The signals of ``support (N, n)`` in pieces whose columns and Gram matrices take little memory."""
    width = int(support.sum(-1).max()) if support.numel() else 0
    everyone = torch.arange(len(support), device=support.device)
    return everyone.split(max(1, ENTRIES // max(1, width * (m + width))))


class NormalEquations:
    """The systems ``C C' w = right`` for the columns C of each support, as ``gather_columns`` gives them.

    For signals with ``dependent`` columns ``solve`` gives the solution of least norm.
    """

    def __init__(self, columns: Tensor, real: Tensor) -> None:
        self.real = real
        self.gram = columns @ columns.mT
        diagonal = self.gram.diagonal(dim1=-2, dim2=-1)
        energy = diagonal.clone()
        largest = energy.amax(-1, keepdim=True) if energy.shape[-1] else energy
        # Padding of the size of the real columns, so that it sets no scale of its own.
        diagonal += torch.where(largest > 0, largest, torch.ones_like(largest)) * ~real
        self.factor, info = torch.linalg.cholesky_ex(self.gram)
        # A pivot that lost nearly all digits of its column's energy: the column depends on the others.
        rounding = 100 * torch.finfo(energy.dtype).eps
        limit = rounding * energy
        pivots = self.factor.diagonal(dim1=-2, dim2=-1).square()
        self.dependent = ~((info == 0) & ((pivots > limit) | ~real).all(-1))
        tolerance = rounding * max(1, energy.shape[-1])
        self.inverse = torch.linalg.pinv(self.gram[self.dependent], rtol=tolerance, hermitian=True)

    def solve(self, right: Tensor) -> Tensor:
        """``w (N, p)`` for ``right (N, p)``, with one step of refinement; zero where padded."""
        w = torch.cholesky_solve(right.unsqueeze(-1), self.factor)
        w += torch.cholesky_solve(right.unsqueeze(-1) - self.gram @ w, self.factor)
        if len(self.inverse):
            w[self.dependent] = self.inverse @ right[self.dependent].unsqueeze(-1)
        return w.squeeze(-1) * self.real


def on_support(A: Tensor, y: Tensor, support: Tensor) -> Tensor:
    """The x of least ``|y - Ax|`` on each support ``(N, n)``; of least norm where that is not unique."""
    x = y.new_zeros(support.shape)
    for piece in pieces(support, A.shape[-2]):
        indices, real = support_indices(support[piece])
        columns = gather_columns(rows(A, piece), indices, real)
        x[piece] = x[piece].scatter_add(-1, indices, _fit(columns, y[piece], real))
    return x


def _fit(columns: Tensor, y: Tensor, real: Tensor) -> Tensor:
    """The coefficients ``(N, p)`` of the nearest combination of each signal's columns, by QR.

    Two columns at a distance d cost log(1 / d) digits, where normal equations cost twice as many. ``columns
    (N, p, m)`` and ``real (N, p)`` are those of ``gather_columns``, padded at the end.
    """
    width, m = columns.shape[1:]
    eps = torch.finfo(y.dtype).eps
    # With y for a last column, that of R is Q'y: Q itself is not needed. Below R is what Q is made from.
    R = torch.geqrf(torch.cat([columns, y.unsqueeze(1)], dim=1).mT)[0]
    # Padding, and columns beyond the number of rows, have no pivot.
    R = torch.nn.functional.pad(R, (0, 0, 0, max(0, width - m)))
    factor, right = R[:, :width, :width], R[:, :width, width] * real
    pivots = factor.diagonal(dim1=-2, dim2=-1)
    independent = pivots.abs() > _ROUNDINGS * eps * columns.norm(dim=-1)
    pivots.masked_fill_(~independent, 1)
    w = torch.linalg.solve_triangular(factor, right.unsqueeze(-1), upper=True)
    # What the columns still see of the residual is the rounding of Q'y: R takes most of it away.
    seen = columns @ (y.unsqueeze(-1) - columns.mT @ w) * real.unsqueeze(-1)
    seen = torch.linalg.solve_triangular(factor.mT, seen, upper=False)
    w = (w + torch.linalg.solve_triangular(factor, seen, upper=True)).squeeze(-1)
    doubtful = (real & ~independent).any(-1).nonzero().squeeze(-1)
    if len(doubtful):
        w[doubtful] = _least_norm(columns[doubtful].mT, y[doubtful]) * real[doubtful]
    return w


def _least_norm(C: Tensor, y: Tensor) -> Tensor:
    """The least w of those with the least ``|y - Cw|``, for columns that may depend on each other."""
    U, values, Vh = torch.linalg.svd(C, full_matrices=False)
    present = values > max(C.shape[-2:]) * torch.finfo(y.dtype).eps * values[:, :1]
    inverse = torch.where(present, 1 / values, 0)
    w = adjoint(Vh, inverse * adjoint(U, y))
    return w + adjoint(Vh, inverse * adjoint(U, y - forward(C, w)))
