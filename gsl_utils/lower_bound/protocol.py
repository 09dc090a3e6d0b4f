"""The protocol behind the lower bound: measurements as a message, in whole numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.generators.codeword_path import CodewordPath
from gsl_utils.lower_bound.decoders import nearest_index, nearest_word
from gsl_utils.lower_bound.rounding import discretise
from gsl_utils.lower_bound.smoothing import in_ball

__all__ = ["ProtocolRun", "augmented_indexing"]

Algorithm = Callable[[CodewordPath, Tensor, Tensor], Tensor]

_ORTHONORMAL = 1e-6
_whole: Callable[..., Any] = np.frompyfunc(int, 1, 1)


@dataclass(frozen=True, eq=False)
class ProtocolRun:
    r"""What happened in a batch of runs of augmented indexing.

    Attributes:
        bit: The bit that Bob was asked for, ``(runs,)``, int64.
        answer: What he answered, ``(runs,)``, int64.
        right: Whether that is the same, ``(runs,)``, booleans.
        chunk: In which chunk of the string the bit stands, ``(runs,)``, int64, from 0.
        decoded: The index of the word that Bob found there, ``(runs,)``, int64.
        base: D, the weight of a chunk over that of the one before.
        message: Alice's message, ``(runs, m)``, Python's whole numbers: :math:`A'x` in units of
            :math:`2^{-b} R / n^{1/p}`.
        message_bits: Its length, a whole number for each run: what it takes to write any message
            that the matrix in use allows, at one length for each entry.
        residuals: What Bob is left with when he has taken away the chunks behind, ``(runs, m)``, Python's
            whole numbers in the message's unit: :math:`D^j A' w`.
        decoding_error: :math:`\|x_j - \hat w\|_p`, ``(runs,)``: Bob is right wherever it is below half of
            ``G.separation``.
    """

    bit: Tensor
    answer: Tensor
    right: Tensor
    chunk: Tensor
    decoded: Tensor
    base: int
    message: np.ndarray
    message_bits: tuple[int, ...]
    residuals: np.ndarray
    decoding_error: Tensor


def augmented_indexing(
    G: CodewordPath,
    A: Tensor,
    strings: Tensor,
    index: Tensor,
    *,
    bits: int,
    factor: float = 1.0,
    algorithm: Algorithm = nearest_word,
    rounding: str = "down",
    smoothing: bool = True,
    generator: torch.Generator | None = None,
) -> ProtocolRun:
    r"""Run augmented indexing with measurements for its message, one run for each string.

    Alice cuts her string into t chunks, each the index of a point :math:`x_j` of G's set, and sends

    .. math:: A'x, \qquad x = \sum_{j=1}^t D^j x_j, \qquad D = \lceil 48 (C + 1) \rceil,

    with A' the matrix rounded to b bits. Bob knows the chunks behind the one that he is asked about, the
    j-th. He takes them away, divides by :math:`D^j`, which leaves :math:`A'w` with w the j-th point and
    little else, draws u uniformly from the ball of radius :math:`R/D^j`, runs a recovery algorithm on A and
    :math:`A'w - Au`, and reads the bit off the nearest point of the set.

    All up to :math:`A'w` is in whole numbers, in units of :math:`2^{-b} R/n^{1/p}`: a float holds
    :math:`D^j` up to the eighth chunk or so.

    Args:
        G: The generator, with at most 1e5 points in its set; float64.
        A: The matrix ``(m, n)`` with orthonormal rows, or one per run ``(runs, m, n)``; float64. Both parties
            know it.
        strings: Alice's strings, ``(runs, d)`` of zeros and ones; d is a multiple of the bits of a chunk,
            the logarithm of ``G.size`` rounded down.
        index: Which bit Bob is asked for, ``(runs,)``, from 0; he holds those behind it.
        bits: b. The proof asks for :math:`2^b \ge n^4 D^t`, about.
        factor: C, of the algorithm's guarantee, at least 1.
        algorithm: Takes G, A, and measurements ``(runs, m)``, and returns signals ``(runs, n)``.
        rounding: As for ``discretise``.
        smoothing: Whether Bob uses u; without it the algorithm sees an error that depends on A.
        generator: The source of randomness of u.

    Returns:
        The record of the runs.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries or options are out of range, A's rows are not orthonormal, or
            the set has more than 1e5 points.

    Source: Kamath, Karmalkar and Price (2020), proof of Theorem 1.1. Taught in chapter 3.

    >>> G, source = CodewordPath(4, 64, 8.0, 2.0), torch.Generator().manual_seed(0)
    >>> A = torch.eye(64, dtype=torch.float64)
    >>> strings = torch.randint(2, (3, 14), generator=source)
    >>> run = augmented_indexing(G, A, strings, torch.tensor([0, 6, 13]), bits=40, generator=source)
    >>> run.chunk.tolist(), run.right.tolist(), run.message_bits[0] / 64
    ([0, 0, 1], [True, True, True], 55.0)
    """
    matrices, signs, chunks, index, per = _checked(G, A, strings, index)
    bits, factor = checks.integer("bits", bits, 0, 1000), checks.real("factor", factor, low=1.0)
    if not callable(algorithm):
        raise TypeError(f"algorithm is {algorithm!r}; it must be callable: (G, A, y) -> x.")
    smoothing, base = checks.flag("smoothing", smoothing), math.ceil(48 * (factor + 1))
    chunk = index // per

    rounded = _whole((discretise(matrices, bits, rounding=rounding) * 2.0**bits).numpy(force=True))
    weights = np.array([base**j for j in range(1, chunks.shape[1] + 1)], dtype=object)
    points = _whole(signs.numpy(force=True))
    message = _measured(rounded, (weights[:, None] * points).sum(-2))

    behind = np.arange(chunks.shape[1]) > chunk.numpy(force=True)[:, None]
    residuals = message - _measured(rounded, ((weights * behind)[..., None] * points).sum(-2))
    # Python divides whole numbers of any length with one rounding.
    own = weights[chunk.numpy(force=True)][:, None]
    unit = G.norm / G.n ** (1 / G.p)
    y = torch.from_numpy((residuals / (own * 2**bits)).astype(np.float64)).to(matrices) * unit
    if smoothing:
        radius = torch.from_numpy((1 / own).astype(np.float64)).to(matrices) * G.norm
        u = radius * in_ball(chunk.shape, G.n, G.p, generator=generator, device=matrices.device)
        y = y - (matrices @ u.unsqueeze(-1)).squeeze(-1)
    found = algorithm(G, A, y)

    decoded = nearest_index(G.codewords, found, G.p)
    place = per - 1 - index % per
    true = chunks.gather(1, chunk.unsqueeze(-1)).squeeze(-1)
    bit, answer = (true >> place) & 1, (decoded >> place) & 1
    return ProtocolRun(
        bit=bit,
        answer=answer,
        right=bit == answer,
        chunk=chunk,
        decoded=decoded,
        base=base,
        message=message,
        message_bits=_lengths(rounded, int(weights.sum()), len(chunk)),
        residuals=residuals,
        decoding_error=(found - G.codeword(true)).norm(p=G.p, dim=-1),
    )


def _measured(rounded: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Whole matrices ``(1 or runs, m, n)`` times whole vectors ``(runs, n)``."""
    return (rounded * x[:, None, :]).sum(-1)


def _lengths(rounded: np.ndarray, most: int, runs: int) -> tuple[int, ...]:
    """How many bits a message takes: an entry is at most its row's absolute sum times that of the weights."""
    largest = np.abs(rounded).sum(-1).max(-1) * most
    each = tuple(rounded.shape[1] * (2 * int(value)).bit_length() for value in largest)
    return each * runs if len(each) == 1 else each


def _checked(
    G: CodewordPath, A: object, strings: object, index: object
) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Matrices ``(1 or runs, m, n)``, signs of the words and indices of the chunks, of each run."""
    if not isinstance(G, CodewordPath):
        raise TypeError(f"G is a {type(G).__name__}; it must be a CodewordPath.")
    per = G.size.bit_length() - 1
    held = _integers("strings", strings, 2)
    asked = _integers("index", index, 1)
    runs, d = held.shape
    if d == 0 or d % per:
        raise ValueError(f"strings have {d} bits; it must be a multiple of {per}, the bits of a chunk.")
    if bool(((held != 0) & (held != 1)).any()):
        raise ValueError("strings hold other numbers than 0 and 1; they must be bits.")
    if len(asked) != runs or bool(((asked < 0) | (asked >= d)).any()):
        raise ValueError(
            f"index has shape {tuple(asked.shape)}; it must have one entry for each of the {runs} strings, "
            f"from 0 to {d - 1}."
        )
    table = checks.matrix("A", A)
    checks.same_kind(G=G.words, A=table)
    if table.dtype != torch.float64:
        raise TypeError(f"A has dtype {table.dtype}; it must be torch.float64, as G.")
    if table.shape[-1] != G.n or table.shape[:-2] not in ((), (runs,)):
        raise ValueError(
            f"A has shape {tuple(table.shape)}; it must be (m, {G.n}), or ({runs}, m, {G.n}), one per run."
        )
    eye = torch.eye(table.shape[-2], dtype=table.dtype, device=table.device)
    if bool(((table @ table.mT - eye).abs() > _ORTHONORMAL).any()):
        raise ValueError("A has rows that are not orthonormal; they must be: orthonormal_rows makes them so.")
    powers = 2 ** torch.arange(per - 1, -1, -1, device=held.device)
    chunks = (held.unflatten(-1, (-1, per)) * powers).sum(-1)
    signs = G.codeword(chunks).sign().long()
    return table.reshape(-1, *table.shape[-2:]), signs, chunks, asked, per


def _integers(name: str, value: object, ndim: int) -> Tensor:
    """A tensor of whole numbers with so many dimensions, as int64."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a torch.Tensor of integers.")
    if value.dtype.is_floating_point or value.dtype.is_complex or value.dtype == torch.bool:
        raise TypeError(f"{name} has dtype {value.dtype}; it must be one of integers.")
    if value.ndim != ndim:
        shape = "(runs, d)" if ndim == 2 else "(runs,)"
        raise ValueError(f"{name} has shape {tuple(value.shape)}; it must be {shape}.")
    return value.long()
