"""CoSaMP for a batch of signals, and what it shares with iterative hard thresholding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.common import checks, least_squares, linear
from gsl_utils.common.linear import System, keep_largest
from gsl_utils.common.result import Recovery

__all__ = ["Signals", "cosamp", "finish", "prepare"]

# A correlation of at most so many roundings of what it is computed from is zero.
_ROUNDINGS = 2


def prepare(A: Tensor, y: Tensor, k: int) -> tuple[System, int]:
    """Check the arguments that the two methods share, and bring A and y to order one."""
    system = System.of(A, y)
    return system, checks.integer("k", k, 0, system.A.shape[-1], "the number of columns of A")


def finish(system: System, x: Tensor, n_iter: Tensor, converged: Tensor) -> Recovery:
    """What the two methods return."""
    objective = (system.y - linear.forward(system.A, x)).square().sum(-1)
    return system.recovery(x, objective, 2 * system.y_power, n_iter, converged)


@dataclass(frozen=True, eq=False)
class Signals:
    """Some signals of a system: A, shared or one each, the lengths of its columns, and ``y (N, m)``."""

    A: Tensor
    lengths: Tensor
    y: Tensor

    @classmethod
    def of(cls, system: System) -> Signals:
        """All of them."""
        return cls(system.A, system.A.norm(dim=-2, keepdim=True), system.y)

    def __getitem__(self, chosen: Tensor) -> Signals:
        return Signals(linear.rows(self.A, chosen), linear.rows(self.lengths, chosen), self.y[chosen])

    def slope(self, x: Tensor) -> Tensor:
        """``A'(y - Ax)``, with zeros where nothing but rounding would be left of it.

        The residual has the rounding of y and of each column times its entry.
        """
        lengths = self.lengths.squeeze(-2)
        size = self.y.norm(dim=-1, keepdim=True) + (lengths * x.abs()).sum(-1, keepdim=True)
        hidden = _ROUNDINGS * torch.finfo(x.dtype).eps * lengths * size
        found = linear.adjoint(self.A, self.y - linear.forward(self.A, x))
        return found.masked_fill_(found.abs() <= hidden, 0)


def cosamp(A: Tensor, y: Tensor, k: int, *, tol: float = 1e-6, max_iter: int = 100) -> Recovery:
    r"""Compressive sampling matching pursuit: correct the whole support in every iteration.

    .. math:: T = \operatorname{supp}(x)\cup\operatorname{supp}H_{2k}\big(A^\top(y - Ax)\big),\qquad
        x \leftarrow H_k\Big(\operatorname*{arg\,min}_{\operatorname{supp}u\subseteq T}\|y - Au\|_2\Big)

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``; its columns should have norms alike.
        y: The measurements ``(..., m)``, of the same dtype and device; of any unit, as A.
        k: The sparsity, from 0 to ``n``. With ``3k > m`` the least-squares problem has many solutions, of
            which the one of least norm is taken, and no guarantee is left.
        tol: A signal stops when every entry of x, however small, moves by at most this share of itself, or
            when x explains y up to rounding; positive.
        max_iter: The most iterations.

    Returns:
        A recovery whose ``objective`` is :math:`\|y - Ax\|_2^2`, with ``gap`` None: the iterate of the
        smallest residual. ``converged`` is False where the iterates still moved at the end, as they do when
        they cycle, and where the objective overflows.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, an option is out of range, or A and y are so
            far apart in scale that x is beyond the numbers of their dtype.

    Source: Needell and Tropp (2009), algorithm 1. Taught in chapter 1.

    >>> import torch
    >>> A = torch.eye(4, dtype=torch.float64)
    >>> cosamp(A, torch.tensor([0.0, 2.0, -3.0, 0.0], dtype=torch.float64), 1).x.tolist()
    [0.0, 0.0, -3.0, 0.0]
    """
    system, k = prepare(A, y, k)
    tol = checks.real("tol", tol, above=0.0)
    max_iter = checks.integer("max_iter", max_iter, 1)
    signals, y = Signals.of(system), system.y
    count, n = len(y), system.A.shape[-1]
    kept, kept_error = y.new_zeros(count, n), y.square().sum(-1)
    n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
    converged = kept_error == 0 if k else torch.ones(count, dtype=torch.bool, device=y.device)
    active = (~converged).nonzero().squeeze(-1)
    x = kept[active]
    for iteration in range(1, max_iter + 1):
        if not len(active):
            break
        here = signals[active]
        merged = (keep_largest(here.slope(x), min(2 * k, n)) != 0) | (x != 0)
        before, x = x, keep_largest(least_squares.on_support(here.A, here.y, merged), k)
        explained = _explain(here, x)
        error = (here.y - linear.forward(here.A, x)).square().sum(-1)
        better = error < kept_error[active]
        kept[active[better]], kept_error[active[better]] = x[better], error[better]
        n_iter[active] = iteration
        settled = explained | ((x - before).abs() <= tol * x.abs()).all(-1)
        converged[active[settled]] = True
        active, x = active[~settled], x[~settled]
    return finish(system, kept, n_iter, converged)


def _explain(signals: Signals, x: Tensor) -> Tensor:
    """Which x explain all of y on their own supports; these are put at least squares there.

    The fit on three times as many columns may have left more than rounding, from which columns without any
    meaning would be chosen next.
    """
    error = (signals.y - linear.forward(signals.A, x)).norm(dim=-1)
    near = (error <= torch.finfo(x.dtype).eps ** 0.5 * signals.y.norm(dim=-1)).nonzero().squeeze(-1)
    here = signals[near]
    exact = least_squares.on_support(here.A, here.y, x[near] != 0)
    gone = (here.slope(exact) == 0).all(-1)
    x[near[gone]] = exact[gone]
    return torch.zeros_like(error, dtype=torch.bool).index_fill(0, near[gone], True)
