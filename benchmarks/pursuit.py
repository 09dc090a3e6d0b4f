"""Basis pursuit, beside scipy's HiGHS and spgl1: below the transition, and beyond it."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from io import StringIO

import numpy as np
import torch
from scipy.optimize import linprog

from benchmarks.draws import Size, draw, nonzero_counts
from benchmarks.lasso import support_operations
from benchmarks.race import Method, Task
from gsl_utils.sparse import basis_pursuit

__all__ = ["Pursued", "PursuitProblem", "lower_bounds", "pursuit_problem", "pursuit_task"]

_EXACT = 1e-6
_TOLERANCES = (1e-4, 1e-5, 1e-6, 3e-7, 1e-7, 1e-8)
# Entries below this share of the largest are not of the support.
_NEGLIGIBLE = 1e-9
# Steps in which a dual point is made to fit between -1 and 1.
_LAWSON = 60


@dataclass(frozen=True)
class Pursued:
    """An answer: the signals, and the dual points that a method has for them, or None."""

    x: np.ndarray
    dual: np.ndarray | None = None


def lower_bounds(A: np.ndarray, y: np.ndarray, dual: np.ndarray) -> np.ndarray:
    """Return a number below the least l1 norm of any x with Ax = y, for each signal, by weak duality.

    Args:
        A: The matrix, ``(m, n)``.
        y: The measurements, ``(signals, m)``.
        dual: Any points, ``(signals, m)``; they are scaled until their correlations are at most 1.
    """
    return (y * dual).sum(axis=1) / np.maximum(1, np.abs(dual @ A).max(axis=1))


def _dual_of(A: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A dual point whose correlations are the signs of x on its support and at most 1 elsewhere, if found.

    The point of least norm, then Lawson's iteration for the least largest correlation off the support: in
    each step least squares, weighted by how large the correlations were.
    """
    support = np.abs(x) > _NEGLIGIBLE * np.abs(x).max()
    inside, signs = A[:, support], np.sign(x[support])
    outside = A[:, ~support]
    weights = np.ones(outside.shape[1])
    metric = np.eye(len(A))
    for _ in range(_LAWSON):
        pushed = np.linalg.solve(metric, inside)
        dual = pushed @ np.linalg.lstsq(inside.T @ pushed, signs, rcond=None)[0]
        correlation = np.abs(outside.T @ dual)
        if not len(correlation) or correlation.max() <= 1:
            break
        weights *= correlation
        weights /= weights.mean()
        metric = (outside * weights) @ outside.T + 1e-9 * np.eye(len(A))
    return dual


@dataclass(frozen=True)
class PursuitProblem:
    """Measurements without noise, and the best lower bound of each signal's optimum that was proved so far.

    Attributes:
        A: The matrix, ``(m, n)``.
        y: The measurements, ``(signals, m)``.
        truth: The signals that were measured, ``(signals, n)``.
        bound: The lower bounds, ``(signals,)``; shared with the problems taken from this one.
        recoverable: Whether the truth is the solution, so that the distance from it is an error.
    """

    A: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    truth: np.ndarray = field(repr=False)
    bound: np.ndarray = field(repr=False)
    recoverable: bool
    dtype: torch.dtype = torch.float64

    @property
    def signals(self) -> int:
        """How many signals there are."""
        return len(self.y)

    @property
    def operations(self) -> float:
        """What an oracle needs that is told supports and signs; a solution has at most m non-zeros."""
        counts = nonzero_counts(self.truth) if self.recoverable else np.full(self.signals, len(self.A))
        return support_operations(counts, *self.A.shape)

    def take(self, count: int) -> PursuitProblem:
        """The problem of the first signals alone."""
        return replace(self, y=self.y[:count], truth=self.truth[:count], bound=self.bound[:count])

    def witness(self, answer: Pursued) -> None:
        """Take what the answer's dual points prove, and those of its supports."""
        if answer.dual is not None:
            np.maximum(self.bound, lower_bounds(self.A, self.y, answer.dual), out=self.bound)
        norm = np.abs(answer.x).sum(axis=1)
        for i in np.flatnonzero(self.bound < (1 - _EXACT / 10) * norm):
            proved = lower_bounds(self.A, self.y[i : i + 1], _dual_of(self.A, answer.x[i])[None])
            self.bound[i] = max(self.bound[i], proved[0])

    def judge(self, answer: Pursued) -> dict[str, float]:
        """The largest excess over the lower bound, violation of Ax = y, and distance from the truth."""
        x, size = answer.x, np.linalg.norm(self.y, axis=1)
        norm = np.abs(x).sum(axis=1)
        # A signal that violates its measurements may well have a smaller norm than any that does not.
        errors = {
            "gap": float((np.abs(norm - self.bound) / self.bound.clip(1e-300)).max()),
            "violation": float((np.linalg.norm(self.y - x @ self.A.T, axis=1) / size).max()),
        }
        if self.recoverable:
            distance = np.linalg.norm(x - self.truth, axis=1) / np.linalg.norm(self.truth, axis=1)
            errors["error"] = float(distance.max())
        return errors


def pursuit_problem(size: Size, seed: int, *, recoverable: bool) -> PursuitProblem:
    """Draw measurements without noise.

    Args:
        size: How large.
        seed: The seed.
        recoverable: Whether the signals are sparse enough to be the solutions.
    """
    A, truth, y = draw(size, seed)
    return PursuitProblem(A, y, truth, np.zeros(len(y)), recoverable)


def _ours(problem: PursuitProblem) -> Pursued:
    return Pursued(basis_pursuit(torch.from_numpy(problem.A), torch.from_numpy(problem.y)).x.numpy())


def _highs(problem: PursuitProblem) -> Pursued:
    """One linear program after the other, in the positive and the negative parts of x."""
    n = problem.A.shape[1]
    rows = np.hstack([problem.A, -problem.A])
    found = [linprog(np.ones(2 * n), A_eq=rows, b_eq=y, method="highs") for y in problem.y]
    x = np.array([one.x[:n] - one.x[n:] for one in found])
    return Pursued(x, np.array([one.eqlin.marginals for one in found]))


def _spgl1(problem: PursuitProblem, tol: float) -> Pursued:
    from spgl1 import spg_bp

    with redirect_stdout(StringIO()):
        found = [spg_bp(problem.A, y, opt_tol=tol, bp_tol=tol, iter_lim=100_000) for y in problem.y]
    return Pursued(np.array([one[0] for one in found]))


def pursuit_task(size: Size, *, recoverable: bool, programs: int, projections: int) -> Task:
    """Return the race for basis pursuit.

    Args:
        size: How large.
        recoverable: Whether the signals are below the transition.
        programs: How many signals HiGHS gets.
        projections: How many signals spgl1 gets.
    """
    where = "below" if recoverable else "beyond"
    goal = {"gap": _EXACT, "violation": _EXACT}
    return Task(
        f"basis-pursuit-{where}",
        f"Basis pursuit {where} the transition: {size}",
        lambda seed: pursuit_problem(size, seed, recoverable=recoverable),
        (
            Method("gsl_utils", _ours, ours=True),
            Method("scipy (HiGHS)", _highs, signals=programs, setting="a linear program for each signal"),
            Method(
                "spgl1", at=_spgl1, tolerances=_TOLERANCES, signals=projections, needs="spgl1",
                setting="opt_tol = bp_tol",
            ),
        ),
        goal={**goal, "error": _EXACT} if recoverable else goal,
    )  # fmt: skip
