"""How far a matrix is from an isometry on sparse vectors: coherence and the restricted isometry constant."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.linear import scaled, unit

__all__ = ["mutual_coherence", "rip_constant", "rip_lower_bound"]

_MOST = 200_000  # supports that are gone through
_CHUNK = 4096


def _single_matrix(A: object) -> Tensor:
    tensor = checks.matrix("A", A)
    if tensor.ndim != 2:
        raise ValueError(f"A has shape {tuple(tensor.shape)}; it must be a single matrix (m, n).")
    return tensor


def mutual_coherence(A: Tensor) -> Tensor:
    r"""The largest cosine between two different columns.

    .. math:: \mu(A) = \max_{i\ne j}\frac{|\langle a_i, a_j\rangle|}{\|a_i\|_2\,\|a_j\|_2}

    Args:
        A: The matrix ``(m, n)`` with at least two columns, none of them zero.

    Returns:
        A scalar tensor between 0 and 1. Every k-sparse vector with :math:`k < (1 + 1/\mu)/2` is the only one
        of its sparsity with its measurements, and basis pursuit and OMP find it.

    Raises:
        TypeError: ``A`` is not a tensor of floats.
        ValueError: ``A`` is not one matrix, has fewer than two columns or a zero column, or is not finite.

    Source: Donoho and Huo (2001); Tropp (2004) for the guarantee. Taught in chapter 1.

    >>> mutual_coherence(torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]]))
    tensor(0.8000)
    """
    A = _single_matrix(A)
    if A.shape[1] < 2:
        raise ValueError(f"A has {A.shape[1]} column; it must have at least 2.")
    empty = ~A.any(0)
    if bool(empty.any()):
        raise ValueError(
            f"A has a zero column, number {int(empty.nonzero()[0])}; every column must be non-zero."
        )
    columns, _ = unit(A, 0)
    columns = columns / columns.norm(dim=0)
    return (columns.mT @ columns).abs().fill_diagonal_(0).amax().clamp(max=1)


def rip_constant(A: Tensor, s: int) -> Tensor:
    r"""The restricted isometry constant, exactly, by going through all supports.

    .. math:: \delta_s = \max_{|S| = s}\|A_S^\top A_S - I\|_2

    Args:
        A: The matrix ``(m, n)``.
        s: The sparsity, from 1 to ``n``.

    Returns:
        A scalar tensor: for every s-sparse x,
        :math:`\bigl|\|Ax\|_2^2 - \|x\|_2^2\bigr| \le \delta_s\|x\|_2^2`, and no smaller number will do.

    Raises:
        TypeError: ``A`` is not a tensor of floats, or ``s`` is not an integer.
        ValueError: ``s`` is out of range, there are more than 200,000 supports, ``A`` is not one finite
            matrix, or the constant is beyond the largest number.

    Source: Candès and Tao (2005), definition 1.1. Taught in chapter 1.

    >>> rip_constant(torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]]), 2)
    tensor(0.8000)
    """
    A = _single_matrix(A)
    n = A.shape[1]
    s = checks.integer("s", s, 1, n, "the number of columns of A")
    supports = math.comb(n, s)
    if supports > _MOST:
        raise ValueError(
            f"s is {s}: there are {supports} supports of that size among {n} columns; it must have at "
            f"most {_MOST} of them: rip_lower_bound searches instead."
        )
    gram, power = _gram(*unit(A.detach(), (-2, -1)))
    worst = A.new_zeros(())
    combinations = itertools.combinations(range(n), s)
    while chunk := list(itertools.islice(combinations, _CHUNK)):
        worst = torch.maximum(worst, _deviation(gram, power, torch.tensor(chunk, device=A.device)).amax())
    return checks.representable("the restricted isometry constant", worst)


def _gram(columns: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    """``A' A`` of a matrix in other units, and its exponent: what is no number is not seen before the end."""
    return columns.mT @ columns, 2 * power.squeeze(-1)


def _deviation(gram: Tensor, power: Tensor, supports: Tensor) -> Tensor:
    """How far the eigenvalues of the Gram matrix on each support ``(N, s)`` are from 1."""
    values = torch.linalg.eigvalsh(gram[supports.unsqueeze(-1), supports.unsqueeze(-2)])
    values = scaled(values, power)
    return torch.maximum(values[..., -1] - 1, 1 - values[..., 0])


def rip_lower_bound(
    A: Tensor, s: int, *, trials: int = 64, steps: int = 30, generator: torch.Generator | None = None
) -> Tensor:
    r"""A lower bound on the restricted isometry constant, by local search over supports.

    .. math:: \max_{S\in\mathcal S}\|A_S^\top A_S - I\|_2 \;\le\; \delta_s

    The supports :math:`\mathcal S` are where truncated power iterations end, which climb to a large
    eigenvalue of :math:`A_S^\top A_S` or descend to a small one. They start from random supports, and from
    every column with those that lean on it most. It is ONLY a lower bound: a small value proves nothing, for
    no polynomial method is known to bound :math:`\delta_s` closely from above.

    Args:
        A: The matrix ``(m, n)``.
        s: The sparsity, from 1 to ``n``.
        trials: How many random starting supports, at least 1.
        steps: How many power iterations from each start; 0 leaves the supports as they are.
        generator: The source of randomness of the starts.

    Returns:
        A scalar tensor.

    Raises:
        TypeError: ``A`` is not a tensor of floats, or an option has the wrong type.
        ValueError: An option is out of range, ``A`` is not one finite matrix, or the bound is beyond the
            largest number.

    Sources: Candès and Tao (2005), definition 1.1; Yuan and Zhang (2013), algorithm 1. Taught in chapter 1.

    >>> A = torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]])
    >>> rip_lower_bound(A, 2, generator=torch.Generator().manual_seed(0))
    tensor(0.8000)
    """
    A = _single_matrix(A)
    n = A.shape[1]
    s = checks.integer("s", s, 1, n, "the number of columns of A")
    trials, steps = checks.integer("trials", trials, 1), checks.integer("steps", steps, 0)
    checks.random_source(generator)
    source = A.device if generator is None else generator.device
    order = torch.rand(trials, n, generator=generator, dtype=A.dtype, device=source).to(A.device)
    columns, power = unit(A.detach(), (-2, -1))
    gram, power = _gram(columns, power)
    leaning = gram.abs().fill_diagonal_(torch.inf).topk(s, dim=-1).indices
    supports = torch.cat([order.topk(s, dim=-1).indices, leaning])
    # The iteration climbs on a positive semi-definite matrix: the Gram matrix, or a multiple of I less it.
    top = torch.linalg.matrix_norm(columns, 2) ** 2
    flipped = top * torch.eye(n, dtype=A.dtype, device=A.device) - gram
    ends = [_deviation(gram, power, _climb(end, supports, steps)).amax() for end in (gram, flipped)]
    return checks.representable("the restricted isometry constant's bound", torch.stack(ends).amax())


def _climb(matrix: Tensor, supports: Tensor, steps: int) -> Tensor:
    """Supports on which the largest eigenvalue of ``matrix`` is locally largest."""
    for _ in range(steps):
        vectors = torch.linalg.eigh(matrix[supports.unsqueeze(-1), supports.unsqueeze(-2)]).eigenvectors[
            ..., -1
        ]
        full = matrix.new_zeros(len(supports), matrix.shape[0]).scatter(-1, supports, vectors)
        following = (full @ matrix).abs().topk(supports.shape[-1], dim=-1).indices
        if torch.equal(following.sort().values, supports.sort().values):
            break
        supports = following
    return supports
