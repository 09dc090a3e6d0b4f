"""Processor time, and the rate of matrix products here and now, which nobody can beat."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

__all__ = ["least_seconds", "product_rate"]

Answer = TypeVar("Answer")

# Work is timed again, and its least time kept, until it was timed so often or for so many seconds.
_REPEATS, _ENOUGH = 3, 0.5


def least_seconds(work: Callable[[], Answer]) -> tuple[float, Answer]:
    """Do some work a few times; work of seconds only once.

    The least time is what the work takes; the others also hold what else the machine was doing.

    Args:
        work: What to do.

    Returns:
        The least processor time of this process in seconds, and what the work returned.

    >>> seconds, answer = least_seconds(lambda: sum(range(1000)))
    >>> seconds >= 0, answer
    (True, 499500)
    """
    times: list[float] = []
    while len(times) < _REPEATS and sum(times) < _ENOUGH:
        start = time.process_time()
        answer = work()
        times.append(time.process_time() - start)
    return min(times), answer


def product_rate(dtype: torch.dtype, *, size: int = 1024, repeats: int = 5) -> float:
    """Return the floating-point operations per processor second of a large matrix product.

    Args:
        dtype: Of the matrices.
        size: Their number of rows and columns.
        repeats: The best of so many counts.

    Returns:
        Operations per second, a multiplication and an addition being two.

    >>> product_rate(torch.float32, size=64, repeats=1) > 0
    True
    """
    left = torch.ones(size, size, dtype=dtype)
    right, out = left.clone(), left.clone()
    torch.mm(left, right, out=out)
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        torch.mm(left, right, out=out)
        best = min(best, max(time.process_time() - start, 1e-9))
    return 2.0 * size**3 / best
