"""Random sparse vectors, the signals that every experiment of the book begins with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gsl_utils.common import checks

__all__ = ["sparse_vectors"]


def sparse_vectors(
    shape: Sequence[int],
    k: int,
    *,
    values: str = "signs",
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> Tensor:
    r"""Vectors with k non-zeros at random places, all sets of k places being equally likely.

    .. math:: x_i = v_i\,[i \in S], \qquad S \sim \text{uniform on the } k\text{-sets of } \{1, \dots, n\}

    Args:
        shape: ``(..., n)``: how many vectors there are, and their length.
        k: How many entries of each are not zero, from 0 to ``n``.
        values: ``"signs"`` for :math:`v_i = \pm 1`, either being as likely, or ``"gaussian"`` for
            :math:`v_i \sim N(0, 1)`.
        generator: The source of randomness: first of all places, then of all values. Both are drawn on its
            device and then moved, so that one seed gives the same vectors everywhere.
        dtype: Of the vectors.
        device: Of the vectors.

    Returns:
        The vectors, ``(..., n)``. What is not one of the k places is exactly zero.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: ``shape`` is empty or has a length below 1, ``k`` is out of range, ``values`` is unknown,
            or the device is not there.

    Source: Donoho and Tanner (2009) for such signals as the test of a recovery. Taught in chapter 1.

    >>> x = sparse_vectors((3, 100), 5, generator=torch.Generator().manual_seed(0))
    >>> x.shape, (x != 0).sum(-1).tolist(), x.abs().sum(-1).tolist()
    (torch.Size([3, 100]), [5, 5, 5], [5.0, 5.0, 5.0])
    """
    if not isinstance(shape, tuple | list):
        raise TypeError(f"shape is {shape!r}; it must be a tuple of lengths (..., n).")
    lengths = [checks.integer("shape", length, 1) for length in shape]
    if not lengths:
        raise ValueError(f"shape is {shape!r}; it must be (..., n), with one length at least.")
    k = checks.integer("k", k, 0, lengths[-1], "the length of a vector")
    checks.choice("values", values, ("signs", "gaussian"))
    checks.random_source(generator)
    checks.floating_dtype("dtype", dtype)
    place = checks.device("device", device)
    source = place if generator is None else generator.device
    # Places by rank, values everywhere: the vectors of one seed then grow with k, entry by entry.
    rank = torch.rand(lengths, generator=generator, dtype=dtype, device=source).argsort(-1).argsort(-1)
    drawn = torch.randn(lengths, generator=generator, dtype=dtype, device=source)
    if values == "signs":
        drawn = drawn.sign()
    return torch.where(rank < k, drawn, 0).to(place)
