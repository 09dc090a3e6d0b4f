"""The problems of classical compressed sensing, drawn by numpy, so that no solver has a hand in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["COLUMNS", "Size", "draw", "nonzero_counts"]

# How the columns of A are related, with the words for it.
COLUMNS = {
    "independent": "independent columns",
    "autoregressive": "columns of an AR(0.9) process",
    "common-mean": "columns with a common mean",
}


@dataclass(frozen=True)
class Size:
    """How large the problems are.

    Attributes:
        signals: How many signals are solved for in one call.
        n: Entries of a signal.
        m: Measurements of a signal.
        k: Non-zeros of a signal.
    """

    signals: int
    n: int
    m: int
    k: int

    def __str__(self) -> str:
        return f"{self.signals} signals, n = {self.n}, m = {self.m}, k = {self.k}"


def draw(
    size: Size, seed: int, *, noise: float = 0.0, columns: str = "independent"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw A, sparse signals x with standard normal entries, and y = Ax + noise.

    Args:
        size: How large.
        seed: The seed.
        noise: The standard deviation of the noise in each measurement.
        columns: How those of A are related; its entries have the variance 1/m in each case, and the mean
            1/sqrt(m) with ``common-mean``.

    Returns:
        A ``(m, n)`` with its columns contiguous, as coordinate descent likes it, x ``(signals, n)`` and
        y ``(signals, m)``.
    """
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(size.m, size.n))
    if columns == "autoregressive":
        for j in range(1, size.n):
            A[:, j] = 0.9 * A[:, j - 1] + np.sqrt(1 - 0.9**2) * A[:, j]
    elif columns == "common-mean":
        A += 1
    elif columns != "independent":
        raise ValueError(f"columns was {columns!r}; it must be one of {sorted(COLUMNS)}")
    A = np.asfortranarray(A / np.sqrt(size.m))
    x = np.zeros((size.signals, size.n))
    for row in x:
        row[rng.choice(size.n, size.k, replace=False)] = rng.normal(size=size.k)
    return A, x, x @ A.T + noise * rng.normal(size=(size.signals, size.m))


def nonzero_counts(x: np.ndarray) -> np.ndarray:
    """Return the number of non-zeros of each signal.

    Args:
        x: The signals, ``(signals, n)``.
    """
    return np.count_nonzero(x, axis=-1)
