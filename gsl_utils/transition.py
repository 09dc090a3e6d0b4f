"""Which sparse signals l1 minimisation recovers, decided without solving to the end, and where that stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils import _checks
from gsl_utils.sparse import basis_pursuit

__all__ = ["fewest_measurements", "l1_recovers", "largest_sparsity"]

_STEPS = 600
_CHECK_EVERY = 20
_CERTIFY_AT = (20, 40, 80, 160, 320)
_CERTIFIED_SHARE = 8
_RELAXATION = 1.6
_ARRIVED = 1e-4
_SUCCESS = 1e-3


def l1_recovers(A: Tensor, x: Tensor) -> Tensor:
    r"""Whether basis pursuit recovers each signal from its measurements: relative error at most ``1e-3``.

    .. math:: x = \arg\min_u \|u\|_1 \ \text{ subject to } Au = Ax
        \quad\Longleftrightarrow\quad
        \sum_{i\in S}\operatorname{sign}(x_i)\,h_i + \sum_{i\notin S}|h_i| > 0
        \ \text{ for all } h\ne 0,\ Ah = 0

    Douglas-Rachford splitting runs in the coordinates :math:`h = u - x`. It stops at a signal as soon as some
    :math:`h` breaks the condition, which proves failure, or a dual certificate proves success, or it has
    arrived at :math:`h = 0`; the few signals that it leaves undecided are solved by ``basis_pursuit``.

    Args:
        A: Matrices, ``(..., m, n)``, float64; repeated rows are fine.
        x: Several signals for each of them, ``(..., signals, n)``, float64.

    Returns:
        Booleans, ``(..., signals)``.

    Raises:
        TypeError: ``A`` or ``x`` is not a float64 tensor, or they are on different devices.
        ValueError: Their shapes do not fit, or an entry is not finite.

    Donoho and Tanner (2009) count such signals; the splitting is Lions and Mercier's (1979). Taught in
    chapter 1.

    >>> A = torch.tensor([[1.0, 1.0, 0.6], [0.0, 1.0, 0.6]], dtype=torch.float64)
    >>> l1_recovers(A, torch.eye(3, dtype=torch.float64))
    tensor([ True,  True, False])
    """
    A, x = _same_leading(A, x)
    return _decide(_Projector.onto_null_space(A), x.reshape(-1, *x.shape[-2:])).reshape(x.shape[:-1])


def largest_sparsity(A: Tensor, order: Tensor, signs: Tensor) -> Tensor:
    r"""The largest number of non-zeros that basis pursuit still recovers, when they come in a given order.

    The signal with ``k`` non-zeros equals ``signs`` at the first ``k`` indices of ``order`` and 0 elsewhere.
    If it is recovered, so are those with fewer non-zeros, and bisection finds the last.

    Args:
        A: Matrices, ``(..., m, n)`` with ``m < n``, float64.
        order: For each of them several permutations of ``0 .. n - 1``, ``(..., signals, n)``, int64.
        signs: The values, entry by entry, not 0, of the same shape, float64; only their signs matter.

    Returns:
        Between 0 and ``m``, ``(..., signals)``, int64.

    Raises:
        TypeError: ``A`` or ``signs`` is not a float64 tensor, ``order`` is not an int64 tensor, or they are
            on different devices.
        ValueError: Their shapes do not fit, ``m`` is not below ``n``, a sign is 0, or ``order`` is not made
            of permutations.

    Taught in chapter 1.

    >>> A = torch.tensor([[1.0, 1.0, 0.6], [0.0, 1.0, 0.6]], dtype=torch.float64)
    >>> largest_sparsity(A, torch.tensor([[0, 1, 2], [2, 1, 0]]), torch.ones(2, 3, dtype=torch.float64))
    tensor([2, 0])
    """
    A, signs = _same_leading(A, signs, "signs")
    m, n = A.shape[-2:]
    if not isinstance(order, Tensor) or order.dtype != torch.int64:
        raise TypeError(
            f"order is {getattr(order, 'dtype', type(order).__name__)}; it must be an int64 tensor."
        )
    if order.shape != signs.shape:
        raise ValueError(
            f"order has shape {tuple(order.shape)} and signs {tuple(signs.shape)}; they must agree."
        )
    everything = torch.arange(n, device=order.device).expand_as(order)
    if not torch.equal(order.sort(dim=-1).values, everything):
        raise ValueError("order has a row that is not a permutation of 0 .. n - 1; every row must be one.")
    if bool((signs == 0).any()):
        raise ValueError("signs has an entry 0; every entry must be positive or negative.")
    if m >= n:
        raise ValueError(f"A has {m} rows and {n} columns; it must have fewer rows than columns.")
    null, flat = _Projector.onto_null_space(A), (-1, *signs.shape[-2:])
    flat_signs, rank = signs.sign().reshape(flat), order.reshape(flat).argsort(dim=-1)

    def recovered(k: Tensor) -> Tensor:
        return _decide(null, flat_signs * (rank < k.unsqueeze(-1)))

    none = torch.zeros(flat_signs.shape[:-1], dtype=torch.int64, device=A.device)
    return _boundary(recovered, none, none + m + 1).reshape(signs.shape[:-1])


def fewest_measurements(A: Tensor, x: Tensor) -> Tensor:
    """The smallest number of rows of ``A``, from the top, from which basis pursuit recovers each signal.

    More rows never hurt, since they only shrink the null space, and bisection finds how many are enough.

    Args:
        A: Matrices of full row rank, ``(..., m, n)``, float64.
        x: Several signals for each of them, not 0, ``(..., signals, n)``, float64.

    Returns:
        Between 1 and ``m``, or ``m + 1`` where even all rows do not suffice, ``(..., signals)``, int64.

    Raises:
        TypeError: ``A`` or ``x`` is not a float64 tensor, or they are on different devices.
        ValueError: Their shapes do not fit, a signal is 0, or the rows of a matrix are dependent.

    Taught in chapter 1.

    >>> A = torch.tensor([[1.0, 0.8, 0.6], [0.0, 1.0, 0.6]], dtype=torch.float64)
    >>> fewest_measurements(A, torch.eye(3, dtype=torch.float64))
    tensor([1, 2, 3])
    """
    A, x = _same_leading(A, x)
    if bool((x == 0).all(-1).any()):
        raise ValueError("x has a signal that is 0; every signal must have a non-zero entry.")
    null, m, flat = _Projector.with_growing_rows(A), A.shape[-2], x.reshape(-1, *x.shape[-2:])
    none = torch.zeros(flat.shape[:-1], dtype=torch.int64, device=A.device)
    return _boundary(lambda rows: _decide(null, flat, rows), none + m + 1, none).reshape(x.shape[:-1])


def _same_leading(A: object, x: object, name: str = "x") -> tuple[Tensor, Tensor]:
    matrices, signals = _checks.matrix("A", A), _checks.floats(name, x)
    for label, tensor in (("A", matrices), (name, signals)):
        if tensor.dtype != torch.float64:
            raise TypeError(f"{label} has dtype {tensor.dtype}; it must be torch.float64.")
    _checks.same_kind(**{"A": matrices, name: signals})
    leading, n = matrices.shape[:-2], matrices.shape[-1]
    if signals.dim() != matrices.dim() or signals.shape[:-2] != leading or signals.shape[-1] != n:
        expected = "(" + ", ".join(map(str, (*leading, "signals", n))) + ")"
        raise ValueError(f"{name} has shape {tuple(signals.shape)}; it must have {expected}, to go with A.")
    return matrices, signals


def _boundary(recovered: Callable[[Tensor], Tensor], good: Tensor, bad: Tensor) -> Tensor:
    """The last size that is recovered on the way from a good one to a bad one, by bisection."""
    while int((good - bad).abs().max()) > 1:
        middle = (good + bad) // 2
        success = recovered(middle)
        good, bad = torch.where(success, middle, good), torch.where(success, bad, middle)
    return good


@dataclass(frozen=True, eq=False)
class _Projector:
    """Orthogonal projection onto null spaces, by an orthonormal basis of them or of their complements."""

    A: Tensor
    basis: Tensor
    of_null_space: bool

    @classmethod
    def onto_null_space(cls, A: Tensor) -> _Projector:
        """Through the smaller of the two bases; dependent rows are allowed."""
        A = A.reshape(-1, *A.shape[-2:])
        m, n = A.shape[-2:]
        _, sizes, rows = torch.linalg.svd(A, full_matrices=m > n // 2)
        independent = sizes > max(m, n) * torch.finfo(A.dtype).eps * sizes.amax(-1, keepdim=True)
        rank = int(independent.sum(-1).max())
        if rank > n // 2 and bool(independent.sum(-1).eq(rank).all()):
            return cls(A, rows[:, rank:].mT.contiguous(), of_null_space=True)
        kept = rows[:, : sizes.shape[-1]] * independent.unsqueeze(-1)
        return cls(A, kept[:, :rank].mT.contiguous(), of_null_space=False)

    @classmethod
    def with_growing_rows(cls, A: Tensor) -> _Projector:
        """Through a basis whose first columns span the first rows of ``A``."""
        A = A.reshape(-1, *A.shape[-2:])
        m, n = A.shape[-2:]
        columns, triangle = torch.linalg.qr(A.mT)
        sizes = triangle.diagonal(dim1=-2, dim2=-1).abs()
        if m > n or bool(
            (sizes <= n * torch.finfo(A.dtype).eps * A.norm(dim=-1).amax(-1, keepdim=True)).any()
        ):
            raise ValueError(
                f"A has a matrix of {m} dependent rows; rows that are added one by one must be independent."
            )
        return cls(A, columns.contiguous(), of_null_space=False)

    def float(self) -> _Projector:
        """The same in single precision."""
        return replace(self, basis=self.basis.float())

    def __call__(self, h: Tensor, rows: Tensor | None) -> Tensor:
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


def _decide(null: _Projector, x: Tensor, rows: Tensor | None = None) -> Tensor:
    """Whether each of ``x`` (matrices, signals, n) is recovered from ``rows`` (matrices, signals), or all."""
    answer = torch.zeros(x.shape[:-1], dtype=torch.bool, device=x.device)
    decided = (x == 0).all(-1)
    answer[decided] = True
    place = torch.arange(x.shape[1], device=x.device).expand_as(answer)
    whole, all_rows = x, rows
    x = x / x.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    # The splitting runs in half the precision, at twice the speed; what it finds is checked in full.
    coarse, rough = null.float(), x.float()
    # The solution of least l2 norm, as a displacement from x.
    w = -coarse(rough, rows)
    for step in range(1, _STEPS + 1):
        h = coarse(w, rows)
        # What the soft threshold of the reflected point takes away: a subgradient of the l1 norm.
        cut = (rough + 2 * h - w).clamp(-1, 1)
        w = w + _RELAXATION * (h - w - cut)
        if step % _CHECK_EVERY:
            continue
        h = null(h.double(), rows)
        slope = (x.sign() * h).sum(-1) + (h.abs() * (x == 0)).sum(-1)
        # Against the size of x, which is 1 or more: rounding in a vanishing h proves nothing.
        failed = slope < -1e-9 * x.abs().sum(-1)
        arrived = ~failed & (h.norm(dim=-1) <= _ARRIVED * x.norm(dim=-1))
        # A certificate solves a system of the size of the support: worth it while that is small.
        if step in _CERTIFY_AT and _CERTIFIED_SHARE * int((x != 0).sum(-1).max()) <= x.shape[-1]:
            # The subgradient is near the row space once the splitting settles.
            arrived |= ~failed & _certified(null, x, cut.double(), rows)
        answer.scatter_(1, place, answer.gather(1, place) | arrived)
        decided.scatter_(1, place, decided.gather(1, place) | arrived | failed)
        # The signals still open move to the front; every matrix keeps as many as the busiest one needs.
        still_open = ~decided.gather(1, place)
        most = int(still_open.sum(-1).max())
        if most == 0:
            return answer
        if most < place.shape[1]:
            front = still_open.long().argsort(dim=-1, descending=True, stable=True)[:, :most]
            place = place.gather(1, front)
            wide = front.unsqueeze(-1).expand(-1, -1, x.shape[-1])
            x, rough, w = x.gather(1, wide), rough.gather(1, wide), w.gather(1, wide)
            rows = None if rows is None else rows.gather(1, front)
    for index, signal in (~decided).nonzero().tolist():
        A = null.A[index] if all_rows is None else null.A[index, : int(all_rows[index, signal])]
        truth = whole[index, signal]
        error = (basis_pursuit(A, A @ truth).x - truth).norm()
        answer[index, signal] = error <= _SUCCESS * truth.norm()
    return answer


def _certified(null: _Projector, x: Tensor, near: Tensor, rows: Tensor | None) -> Tensor:
    """Whether the row space has, near the given vectors, one with x's signs on S and less than 1 off it."""
    off = x == 0
    width = int((~off).sum(-1).max())
    indices = off.long().argsort(dim=-1, stable=True)[..., :width]
    real = ~off.gather(-1, indices)
    dual = near - null(near, rows)
    factor, singular = torch.linalg.cholesky_ex(null.row_space_gram(indices, real, rows))
    short = (x.sign() - dual).gather(-1, indices) * real
    weights = torch.cholesky_solve(short.unsqueeze(-1), factor).squeeze(-1) * real
    change = torch.zeros_like(x).scatter_add_(-1, indices, weights)
    dual = dual + change - null(change, rows)
    signs_right = (dual - x.sign()).abs().masked_fill(off, 0).amax(-1) < 1e-9
    return (singular == 0) & signs_right & (dual.abs().masked_fill(~off, 0).amax(-1) < 1 - 1e-9)
