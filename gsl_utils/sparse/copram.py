"""Sparse phase retrieval: CoSaMP's step in turn with the signs that the amplitudes lost."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks, least_squares, linear
from gsl_utils.common.linear import System, keep_largest, square_root
from gsl_utils.common.result import Recovery
from gsl_utils.sparse.cosamp import Signals

__all__ = ["copram"]


def copram(A: Tensor, y: Tensor, k: int, *, tol: float = 1e-6, max_iter: int = 100) -> Recovery:
    r"""Find a k-sparse x from amplitudes :math:`y = |Ax|`, up to its sign.

    .. math:: p = \operatorname{sign}(Ax)\circ y,\quad T = \operatorname{supp}(x)\cup\operatorname{supp}
              H_{2k}\big(A^\top(p - Ax)\big),\quad x \leftarrow H_k\Big(\operatorname*{arg\,min}_{
              \operatorname{supp}u\subseteq T}\|p - Au\|_2\Big)

    Signs are guessed from x, and one step of CoSaMP is taken with them. All depends on where it starts: on
    the k columns for which :math:`\sum_i y_i^2a_{ij}^2` is largest, along the leading eigenvector of
    :math:`\sum_i y_i^2a_ia_i^\top` there. For rows that are N(0, I) the sum is the larger the larger
    :math:`x_j^2`; to tell k equal entries from zeros, :math:`m` must grow like :math:`k^2\log n`.

    Args:
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``, with Gaussian entries or such as behave
            alike; its columns should have norms alike.
        y: The amplitudes ``(..., m)``, none below zero, of the same dtype and device; of any unit, as A.
        k: The sparsity, from 0 to ``n``.
        tol: A signal stops when every entry of x, however small, moves by at most this share of itself;
            positive.
        max_iter: The most iterations.

    Returns:
        A recovery whose ``objective`` is :math:`\||Ax| - y\|_2^2`, with ``gap`` None: the iterate for which
        it is smallest. Of x and -x either may be found. ``converged`` is False where the iterates still moved
        at the end, as they do when they cycle; that they rest does not mean that x is found.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, y has one below zero, an option is out of
            range, or A and y are so far apart in scale that x is beyond the numbers of their dtype.

    Source: Jagatap and Hegde (2017), with one step of CoSaMP for each guess of the signs. Taught in
    chapter 5.

    >>> import torch
    >>> A = torch.randn(60, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> x = torch.zeros(20, dtype=torch.float64)
    >>> x[3], x[7] = 2.0, -1.0
    >>> found = copram(A, (A @ x).abs(), 2).x
    >>> [round(entry, 9) for entry in (found * found[3].sign())[[3, 7]].tolist()]
    [2.0, -1.0]
    """
    system = System.of(A, y)
    if bool((system.y < 0).any()):
        raise ValueError("y has an entry below 0; amplitudes must be at least 0.")
    k = checks.integer("k", k, 0, system.A.shape[-1], "the number of columns of A")
    tol, max_iter = checks.real("tol", tol, above=0.0), checks.integer("max_iter", max_iter, 1)
    signals, y = Signals.of(system), system.y
    x = _start(signals, k) if k else y.new_zeros(len(y), system.A.shape[-1])
    kept, kept_error = x.clone(), _misfit(signals, x)
    n_iter = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    converged = kept_error == 0 if k else torch.ones(len(y), dtype=torch.bool, device=y.device)
    active = (~converged).nonzero().squeeze(-1)
    x = x[active]
    for iteration in range(1, max_iter + 1):
        if not len(active):
            break
        here = signals[active]
        before, x = x, _step(here, x, k)
        error = _misfit(here, x)
        better = error < kept_error[active]
        kept[active[better]], kept_error[active[better]] = x[better], error[better]
        n_iter[active] = iteration
        settled = ((x - before).abs() <= tol * x.abs()).all(-1)
        converged[active[settled]] = True
        active, x = active[~settled], x[~settled]
    return system.recovery(kept, kept_error, 2 * system.y_power, n_iter, converged)


def _start(signals: Signals, k: int) -> Tensor:
    """Where the marginals are largest, the leading direction there; as long as the amplitudes say."""
    A, y, squares = signals.A, signals.y, signals.y.square()
    marginals = linear.adjoint(A.square(), squares)
    indices = marginals.topk(k, dim=-1).indices
    columns = linear.gather_columns(A, indices, torch.ones_like(indices, dtype=torch.bool))
    _, vectors = torch.linalg.eigh((columns * squares.unsqueeze(1)) @ columns.mT)
    # Rows of variance s see a vector of length r with amplitudes whose squares have the mean s r^2.
    variance = (signals.lengths.square().mean((-2, -1)) / A.shape[-2]).reshape(-1, 1)
    length = square_root(squares.mean(-1, keepdim=True) / variance.clamp(min=torch.finfo(y.dtype).tiny))
    x = y.new_zeros(len(y), A.shape[-1])
    return x.scatter(-1, indices, vectors[..., -1] * length)


def _step(signals: Signals, x: Tensor, k: int) -> Tensor:
    """One step of CoSaMP, with the signs that x has."""
    seen = linear.forward(signals.A, x)
    signed = torch.where(seen < 0, -signals.y, signals.y)
    guess = Signals(signals.A, signals.lengths, signed)
    merged = (keep_largest(guess.slope(x), min(2 * k, x.shape[-1])) != 0) | (x != 0)
    return keep_largest(least_squares.on_support(guess.A, signed, merged), k)


def _misfit(signals: Signals, x: Tensor) -> Tensor:
    return (linear.forward(signals.A, x).abs() - signals.y).square().sum(-1)
