"""Projection onto the null spaces of many matrices, and of their first rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["NullSpace"]


@dataclass(frozen=True, eq=False)
class NullSpace:
    """Orthogonal projection onto null spaces, by an orthonormal basis of them or of their complements.

    Called with vectors ``(matrices, signals, n)``, and the number of rows ``(matrices, signals)`` that count
    for each, or ``None`` for all.
    """

    A: Tensor
    basis: Tensor  # orthonormal columns, (matrices, n, r)
    of_null_space: bool  # else they span the row spaces

    @classmethod
    def onto_null_space(cls, A: Tensor) -> NullSpace:
        """Through the smaller of the two bases; dependent rows are allowed."""
        A = A.reshape(-1, *A.shape[-2:])
        m, n = A.shape[-2:]
        wide = m > n // 2
        columns, triangle = torch.linalg.qr(A.mT, mode="complete" if wide else "reduced")
        if m < n and not _dependent(A, triangle):
            basis = columns[..., m:] if wide else columns
            return cls(A, basis.contiguous(), of_null_space=wide)
        _, sizes, rows = torch.linalg.svd(A, full_matrices=wide)
        independent = sizes > max(m, n) * torch.finfo(A.dtype).eps * sizes.amax(-1, keepdim=True)
        rank = int(independent.sum(-1).max())
        if rank > n // 2 and bool(independent.sum(-1).eq(rank).all()):
            return cls(A, rows[:, rank:].mT.contiguous(), of_null_space=True)
        kept = rows[:, : sizes.shape[-1]] * independent.unsqueeze(-1)
        return cls(A, kept[:, :rank].mT.contiguous(), of_null_space=False)

    @classmethod
    def with_growing_rows(cls, A: Tensor) -> NullSpace:
        """Through a basis whose first columns span the first rows of ``A``."""
        A = A.reshape(-1, *A.shape[-2:])
        m, n = A.shape[-2:]
        columns, triangle = torch.linalg.qr(A.mT)
        if m > n or _dependent(A, triangle):
            raise ValueError(
                f"A has a matrix of {m} dependent rows; rows that are added one by one must be independent."
            )
        return cls(A, columns.contiguous(), of_null_space=False)

    def float(self) -> NullSpace:
        """The same in single precision."""
        return replace(self, basis=self.basis.float())

    def of(self, matrices: Tensor) -> NullSpace:
        """The same for some of the matrices."""
        return replace(self, A=self.A[matrices], basis=self.basis[matrices])

    def __call__(self, h: Tensor, rows: Tensor | None) -> Tensor:
        """The projections of the vectors ``h``."""
        projected = self._first(h @ self.basis, rows) @ self.basis.mT
        return projected if self.of_null_space else h - projected

    def row_space_gram(self, indices: Tensor, real: Tensor, rows: Tensor | None) -> Tensor:
        """The projection onto the row space, as a matrix between the chosen entries of each signal."""
        wide = indices.unsqueeze(-1).expand(-1, -1, -1, self.basis.shape[-1])
        chosen = self.basis.unsqueeze(1).expand(-1, indices.shape[1], -1, -1).gather(2, wide)
        chosen = self._first(chosen * real.unsqueeze(-1), None if rows is None else rows.unsqueeze(-1))
        product = chosen @ chosen.mT
        unit = torch.eye(indices.shape[-1], dtype=product.dtype, device=product.device)
        return unit - product if self.of_null_space else product + unit * (~real).unsqueeze(-1)

    @staticmethod
    def _first(inner: Tensor, rows: Tensor | None) -> Tensor:
        if rows is None:
            return inner
        return inner * (torch.arange(inner.shape[-1], device=inner.device) < rows.unsqueeze(-1))


def _dependent(A: Tensor, triangle: Tensor) -> bool:
    """Whether a matrix's rows are dependent, to rounding, by the triangle of its orthogonal factorisation."""
    sizes = triangle.diagonal(dim1=-2, dim2=-1).abs()
    limit = max(A.shape[-2:]) * torch.finfo(A.dtype).eps * A.norm(dim=-1).amax(-1, keepdim=True)
    return bool((sizes <= limit).any())
