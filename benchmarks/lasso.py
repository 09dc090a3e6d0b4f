"""The LASSO, beside scikit-learn, celer, skglm and spgl1."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache
from io import StringIO
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import Lasso

from benchmarks.draws import COLUMNS, Size, draw, nonzero_counts
from benchmarks.race import Method, Task
from gsl_utils.sparse import lasso

__all__ = ["LassoProblem", "lasso_problem", "lasso_task", "support_operations"]

# The relative duality gap at which a LASSO is solved, and the scale of lambda and of the noise.
_GAP, _LAM, _NOISE = 1e-6, 0.02, 0.02
# From tolerances at which none of them reaches that gap.
_STARTS = {"scikit-learn": 12, "celer": 12, "skglm": 16, "spgl1": 10}


def support_operations(counts: np.ndarray, m: int, n: int) -> float:
    """Return the operations of an oracle that is told support and signs, to find the values and prove them.

    For each signal: the normal equations on its support, their Cholesky factors, and the correlation of the
    residual with every column.

    Args:
        counts: The number of non-zeros of each signal.
        m: Measurements.
        n: Entries of a signal.
    """
    return float((m * counts**2 + counts**3 / 3 + 4 * m * counts + 2 * m * n).sum())


@dataclass(frozen=True)
class LassoProblem:
    """One penalty for all signals; the judge computes each signal's duality gap anew, in float64.

    Attributes:
        A: The matrix, ``(m, n)``.
        y: The measurements, ``(signals, m)``.
        lam: The weight of the penalty.
        solution: What scikit-learn finds at a very small tolerance; its dual point, its l1 norm and the size
            of its support are used.
    """

    A: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    lam: float
    solution: np.ndarray = field(repr=False)
    dtype: torch.dtype = torch.float64

    @property
    def signals(self) -> int:
        """How many signals there are."""
        return len(self.y)

    @property
    def operations(self) -> float:
        """What an oracle needs that is told the supports and signs."""
        return support_operations(nonzero_counts(self.solution), *self.A.shape)

    def take(self, count: int) -> LassoProblem:
        """The problem of the first signals alone."""
        return replace(self, y=self.y[:count], solution=self.solution[:count])

    def witness(self, answer: np.ndarray) -> None:
        """Nothing: the best lower bound is that of the solution."""

    def judge(self, answer: np.ndarray) -> dict[str, float]:
        """The largest relative duality gap, and the largest relative excess over the best lower bound known.

        The gap is what the answer alone proves: its dual point is the residual, scaled until it is feasible.
        """
        primal, dual = self._bounds(answer)
        _, best = self._bounds(self.solution)
        return {
            "gap": float(((primal - dual) / primal).max()),
            "excess": float(((primal - np.maximum(best, dual)) / primal).max()),
        }

    def _bounds(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The objective at x, and the lower bound that its residual proves."""
        residual = self.y - x @ self.A.T
        peak = np.abs(residual @ self.A).max(axis=1)
        energy = (residual**2).sum(axis=1)
        primal = 0.5 * energy + self.lam * np.abs(x).sum(axis=1)
        wanted = (self.y * residual).sum(axis=1) / np.maximum(energy, 1e-300)
        scale = np.minimum(wanted, self.lam / np.maximum(peak, 1e-300))
        dual = 0.5 * (self.y**2).sum(axis=1) - 0.5 * ((self.y - scale[:, None] * residual) ** 2).sum(axis=1)
        return primal, dual


def lasso_problem(size: Size, seed: int, columns: str = "independent") -> LassoProblem:
    """Draw noisy measurements and the penalty.

    Args:
        size: How large.
        seed: The seed.
        columns: How the columns of A are related.
    """
    A, _, y = draw(size, seed, noise=_NOISE, columns=columns)
    lam = float(_LAM * np.abs(y @ A).max())
    problem = LassoProblem(A, y, lam, np.zeros((len(y), A.shape[1])))
    return replace(problem, solution=_sklearn(problem, 1e-12, gram=True))


def _tolerances(package: str) -> tuple[float, ...]:
    """Half decades, as such: 1e-6, 3e-7, 1e-7 and so on, down to 1e-12."""
    return tuple(float(f"{10 ** (-power / 2):.0e}") for power in range(_STARTS[package], 25))


def _ours(problem: LassoProblem) -> np.ndarray:
    A, y = torch.from_numpy(problem.A), torch.from_numpy(problem.y)
    return lasso(A, y, problem.lam, tol=_GAP).x.numpy()


def _sklearn(problem: LassoProblem, tol: float, *, gram: bool = False) -> np.ndarray:
    """One call for all signals, which have the columns of y."""
    model = Lasso(
        alpha=problem.lam / len(problem.A), fit_intercept=False, precompute=gram, tol=tol, max_iter=1_000_000
    )
    return np.atleast_2d(model.fit(problem.A, problem.y.T).coef_)


def _celer(problem: LassoProblem, tol: float) -> np.ndarray:
    import celer

    model = celer.Lasso(alpha=problem.lam / len(problem.A), fit_intercept=False, tol=tol)
    with warnings.catch_warnings():
        # A tolerance that it cannot reach is not chosen.
        warnings.simplefilter("ignore")
        return np.array([model.fit(problem.A, y).coef_ for y in problem.y])


@cache
def _compiled() -> tuple[Any, Any]:
    """The data term and the penalty of skglm, compiled once."""
    from skglm.datafits import Quadratic
    from skglm.penalties import L1
    from skglm.utils.jit_compilation import compiled_clone

    return compiled_clone(Quadratic()), compiled_clone(L1(1.0))


def _skglm(problem: LassoProblem, tol: float) -> np.ndarray:
    from skglm.solvers import AndersonCD

    datafit, penalty = _compiled()
    penalty.alpha = problem.lam / len(problem.A)
    solver = AndersonCD(tol=tol, fit_intercept=False, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.array([solver.solve(problem.A, y, datafit, penalty)[0] for y in problem.y])


def _spgl1(problem: LassoProblem, tol: float) -> np.ndarray:
    from spgl1 import spg_lasso

    radii = np.abs(problem.solution).sum(axis=1)
    with redirect_stdout(StringIO()):
        found = [
            spg_lasso(problem.A, y, radius, opt_tol=tol, dec_tol=tol, iter_lim=100_000)[0]
            for y, radius in zip(problem.y, radii, strict=True)
        ]
    return np.array(found)


def lasso_task(size: Size, columns: str, *, projections: int) -> Task:
    """Return the race for the LASSO.

    Args:
        size: How large.
        columns: How the columns of A are related.
        projections: How many signals spgl1 gets.
    """
    return Task(
        f"lasso-{columns}",
        f"LASSO, {COLUMNS[columns]}: {size}, noise {_NOISE}",
        lambda seed: lasso_problem(size, seed, columns),
        (
            Method("gsl_utils", _ours, ours=True, setting=f"tol={_GAP:.0e}"),
            Method("scikit-learn", at=_sklearn, tolerances=_tolerances("scikit-learn"), setting="2-D y"),
            Method(
                "scikit-learn, Gram",
                at=lambda problem, tol: _sklearn(problem, tol, gram=True),
                tolerances=_tolerances("scikit-learn"),
                setting="2-D y, precomputed Gram",
            ),
            Method("celer", at=_celer, tolerances=_tolerances("celer"), needs="celer"),
            Method("skglm", at=_skglm, tolerances=_tolerances("skglm"), needs="skglm", setting="AndersonCD"),
            Method(
                "spgl1",
                at=_spgl1,
                tolerances=_tolerances("spgl1"),
                signals=projections,
                needs="spgl1",
                setting="told the l1 norm to reach",
            ),
        ),
        goal=_goal(),
    )


def _goal() -> Mapping[str, float]:
    return {"gap": _GAP}
