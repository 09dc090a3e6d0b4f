"""Orthogonal matching pursuit, beside scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from sklearn.linear_model import orthogonal_mp, orthogonal_mp_gram

from benchmarks.draws import Size, draw
from benchmarks.race import Method, Task
from gsl_utils.sparse import omp

__all__ = ["GreedyProblem", "greedy_problem", "greedy_task"]

# The largest relative distance from the textbook's answer, where the support is the same.
_EXACT = 1e-6


@dataclass(frozen=True)
class GreedyProblem:
    """Measurements without noise; the judge is the textbook's algorithm, one signal and one column at a time.

    Attributes:
        A: The matrix, ``(m, n)``.
        y: The measurements, ``(signals, m)``.
        k: How many columns to choose.
        textbook: The textbook's answer, ``(signals, n)``.
    """

    A: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    k: int
    textbook: np.ndarray = field(repr=False)
    dtype: torch.dtype = torch.float64

    @property
    def signals(self) -> int:
        """How many signals there are."""
        return len(self.y)

    @property
    def operations(self) -> float:
        """The Gram matrix once, then per signal its correlations, their updates, and Cholesky with solves."""
        m, n = self.A.shape
        return float(m * n**2 + self.signals * (2 * m * n + n * self.k**2 + self.k**3))

    def take(self, count: int) -> GreedyProblem:
        """The problem of the first signals alone."""
        return replace(self, y=self.y[:count], textbook=self.textbook[:count])

    def witness(self, answer: np.ndarray) -> None:
        """Nothing: the textbook has spoken."""

    def judge(self, answer: np.ndarray) -> dict[str, float]:
        """How many signals have another support than the textbook's, and the largest relative distance."""
        other = ((answer != 0) != (self.textbook != 0)).any(axis=1)
        length = np.linalg.norm(self.textbook, axis=1)
        return {
            "other supports": float(other.sum()),
            "error": float((np.linalg.norm(answer - self.textbook, axis=1) / length).max()),
        }


def greedy_problem(size: Size, seed: int) -> GreedyProblem:
    """Draw measurements without noise, and pursue them by the textbook.

    Args:
        size: How large.
        seed: The seed.
    """
    A, _, y = draw(size, seed)
    textbook = np.array([_textbook(A, one, size.k) for one in y])
    return GreedyProblem(A, y, size.k, textbook)


def _textbook(A: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    chosen: list[int] = []
    residual, norms = y, np.linalg.norm(A, axis=0)
    for _ in range(k):
        score = np.abs(A.T @ residual) / norms
        score[chosen] = -1
        chosen.append(int(score.argmax()))
        values = np.linalg.lstsq(A[:, chosen], y, rcond=None)[0]
        residual = y - A[:, chosen] @ values
    x = np.zeros(A.shape[1])
    x[chosen] = values
    return x


def _ours(problem: GreedyProblem) -> np.ndarray:
    return omp(torch.from_numpy(problem.A), torch.from_numpy(problem.y), problem.k).x.numpy()


def _sklearn(problem: GreedyProblem) -> np.ndarray:
    """scikit-learn judges a column by its product with the residual, not by its cosine: it gets unit ones."""
    scale = np.linalg.norm(problem.A, axis=0)
    unit = problem.A / scale
    return np.atleast_2d(orthogonal_mp(unit, problem.y.T, n_nonzero_coefs=problem.k).T) / scale


def _sklearn_gram(problem: GreedyProblem) -> np.ndarray:
    scale = np.linalg.norm(problem.A, axis=0)
    unit = problem.A / scale
    found = orthogonal_mp_gram(unit.T @ unit, unit.T @ problem.y.T, n_nonzero_coefs=problem.k)
    return np.atleast_2d(found.T) / scale


def greedy_task(size: Size) -> Task:
    """Return the race for orthogonal matching pursuit.

    Args:
        size: How large.
    """
    return Task(
        "omp",
        f"Orthogonal matching pursuit: {size}",
        lambda seed: greedy_problem(size, seed),
        (
            Method("gsl_utils", _ours, ours=True),
            Method("scikit-learn", _sklearn, setting="2-D y"),
            Method("scikit-learn, Gram", _sklearn_gram, setting="2-D y, precomputed Gram"),
        ),
        goal={"other supports": 0.0, "error": _EXACT},
    )
