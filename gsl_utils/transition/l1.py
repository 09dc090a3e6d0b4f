"""Which sparse signals l1 minimisation recovers, decided without solving to the end, and where that stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.linear import unit
from gsl_utils.sparse import basis_pursuit
from gsl_utils.transition.null_space import NullSpace

__all__ = ["fewest_measurements", "l1_recovers", "largest_sparsity"]

_STEPS = 1000
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
    return _decide(NullSpace.onto_null_space(A), x.reshape(-1, *x.shape[-2:])).reshape(x.shape[:-1])


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
    null, flat = NullSpace.onto_null_space(A), (-1, *signs.shape[-2:])
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
    null, m, flat = NullSpace.with_growing_rows(A), A.shape[-2], x.reshape(-1, *x.shape[-2:])
    none = torch.zeros(flat.shape[:-1], dtype=torch.int64, device=A.device)
    return _boundary(lambda rows: _decide(null, flat, rows), none + m + 1, none).reshape(x.shape[:-1])


def _same_leading(A: object, x: object, name: str = "x") -> tuple[Tensor, Tensor]:
    matrices, signals = checks.matrix("A", A).detach(), checks.floats(name, x).detach()
    for label, tensor in (("A", matrices), (name, signals)):
        if tensor.dtype != torch.float64:
            raise TypeError(f"{label} has dtype {tensor.dtype}; it must be torch.float64.")
    checks.same_kind(**{"A": matrices, name: signals})
    leading, n = matrices.shape[:-2], matrices.shape[-1]
    if signals.dim() != matrices.dim() or signals.shape[:-2] != leading or signals.shape[-1] != n:
        expected = "(" + ", ".join(map(str, (*leading, "signals", n))) + ")"
        raise ValueError(f"{name} has shape {tuple(signals.shape)}; it must have {expected}, to go with A.")
    # Null spaces have no units, nor has recovery.
    return unit(matrices, (-2, -1))[0], unit(signals, -1)[0]


def _boundary(recovered: Callable[[Tensor], Tensor], good: Tensor, bad: Tensor) -> Tensor:
    """The last size that is recovered on the way from a good one to a bad one, by bisection."""
    while int((good - bad).abs().max()) > 1:
        middle = (good + bad) // 2
        success = recovered(middle)
        good, bad = torch.where(success, middle, good), torch.where(success, bad, middle)
    return good


@dataclass
class _Open:
    """Signals that are still open, a row of them for each matrix, with the state of their splitting."""

    null: NullSpace
    coarse: NullSpace
    matrix: Tensor
    place: Tensor
    x: Tensor
    rough: Tensor
    w: Tensor
    rows: Tensor | None

    def narrow(self, still: Tensor) -> None:
        """Leave out matrices that are done, and keep as many signals of each as the busiest one needs."""
        left = still.any(-1)
        if 4 * int(left.sum()) <= 3 * len(left):
            self.null, self.coarse = self.null.of(left), self.coarse.of(left)
            still = still[left]
            self._all(lambda tensor: tensor[left])
            self.matrix = self.matrix[left]
        most = int(still.sum(-1).max())
        if most < still.shape[1]:
            front = still.long().argsort(dim=-1, descending=True, stable=True)[:, :most]
            self._all(
                lambda tensor: tensor.gather(
                    1, front if tensor.ndim == 2 else front.unsqueeze(-1).expand(-1, -1, tensor.shape[-1])
                )
            )

    def _all(self, change: Callable[[Tensor], Tensor]) -> None:
        self.place, self.x, self.rough, self.w = map(change, (self.place, self.x, self.rough, self.w))
        self.rows = None if self.rows is None else change(self.rows)


def _decide(null: NullSpace, x: Tensor, rows: Tensor | None = None) -> Tensor:
    """Whether each of ``x`` (matrices, signals, n) is recovered from ``rows`` (matrices, signals), or all."""
    decided = (x == 0).all(-1)
    answer = decided.clone()
    scaled = x / x.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    # The splitting runs in half the precision, at twice the speed; what it finds is checked in full. It
    # starts at the solution of least l2 norm, as a displacement from x.
    coarse, rough = null.float(), scaled.float()
    matrix = torch.arange(len(x), device=x.device)
    place = torch.arange(x.shape[1], device=x.device).expand_as(answer)
    now = _Open(null, coarse, matrix, place, scaled, rough, -coarse(rough, rows), rows)
    for step in range(1, _STEPS + 1):
        h = now.coarse(now.w, now.rows)
        # What the soft threshold of the reflected point takes away: a subgradient of the l1 norm.
        cut = (now.rough + 2 * h - now.w).clamp(-1, 1)
        now.w = now.w + _RELAXATION * (h - now.w - cut)
        if step % _CHECK_EVERY:
            continue
        failed, arrived = _check(now, h.double(), cut.double(), certify=step in _CERTIFY_AT)
        index = (now.matrix.unsqueeze(-1), now.place)
        answer[index] |= arrived
        decided[index] |= arrived | failed
        still = ~decided[index]
        if not bool(still.any()):
            return answer
        now.narrow(still)
    for i, j in (~decided).nonzero().tolist():
        A = null.A[i] if rows is None else null.A[i, : int(rows[i, j])]
        error = (basis_pursuit(A, A @ x[i, j]).x - x[i, j]).norm()
        answer[i, j] = error <= _SUCCESS * x[i, j].norm()
    return answer


def _check(now: _Open, h: Tensor, cut: Tensor, *, certify: bool) -> tuple[Tensor, Tensor]:
    """Which signals are proved to fail by h, and which have arrived or are certified."""
    x, h = now.x, now.null(h, now.rows)
    slope = (x.sign() * h).sum(-1) + (h.abs() * (x == 0)).sum(-1)
    # Against the size of x, which is 1 or more: rounding in a vanishing h proves nothing.
    failed = slope < -1e-9 * x.abs().sum(-1)
    arrived = ~failed & (h.norm(dim=-1) <= _ARRIVED * x.norm(dim=-1))
    # A certificate solves a system of the size of the support: worth it while that is small.
    if certify and _CERTIFIED_SHARE * int((x != 0).sum(-1).max()) <= x.shape[-1]:
        # The subgradient is near the row space once the splitting settles.
        arrived |= ~failed & _certified(now.null, x, cut, now.rows)
    return failed, arrived


def _certified(null: NullSpace, x: Tensor, near: Tensor, rows: Tensor | None) -> Tensor:
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
