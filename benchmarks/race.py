"""A race: several methods get the same problems in one process, timed by the processor, not by the clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Drawn", "Method", "Problem", "Row", "race", "table"]

# The problem as it is given to each method, and how an answer is judged (0 is perfect).
Drawn = tuple[tuple[Any, ...], Callable[[np.ndarray], float]]
# Draws it from a seed.
Problem = Callable[[int], Drawn]
Method = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """One method in one race.

    Attributes:
        method: Its name.
        seconds: Processor seconds, the median over the seeds.
        error: Its error, the largest over the seeds.
    """

    method: str
    seconds: float
    error: float


def race(problem: Problem, methods: Mapping[str, Method], seeds: Iterable[int]) -> list[Row]:
    """Let methods solve the same problems, one after the other.

    Args:
        problem: Makes, from a seed, the arguments of a method and the judge of its answer.
        methods: Name to method.
        seeds: One problem for each.

    Returns:
        One row for each method, in the order given.
    """
    times: dict[str, list[float]] = {name: [] for name in methods}
    errors: dict[str, list[float]] = {name: [] for name in methods}
    for seed in seeds:
        given, judge = problem(seed)
        for name, method in methods.items():
            start = time.process_time()
            answer = method(*given)
            times[name].append(time.process_time() - start)
            errors[name].append(judge(answer))
    return [Row(name, statistics.median(times[name]), max(errors[name])) for name in methods]


def table(title: str, rows: list[Row]) -> str:
    """Return a race as a table in text: seconds, error, and the time as a multiple of the best peer's.

    Args:
        title: What was raced for.
        rows: The book's own method first, then its peers.

    Returns:
        The table, with a line for each method.

    >>> print(table("Sorting", [Row("ours", 0.5, 0.0), Row("theirs", 1.0, 1e-9)]))
    Sorting
      ours              0.500 s   error 0.0e+00     0.50 x the best peer
      theirs            1.000 s   error 1.0e-09     1.00 x the best peer
    """
    best = min(row.seconds for row in rows[1:])
    lines = [
        f"  {row.method:<15} {row.seconds:7.3f} s   error {row.error:.1e}  "
        f"{row.seconds / best:7.2f} x the best peer"
        for row in rows
    ]
    return "\n".join([title, *lines])
