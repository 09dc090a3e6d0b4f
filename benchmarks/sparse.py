"""The classical solvers beside scikit-learn and scipy's HiGHS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linprog
from sklearn.linear_model import Lasso, orthogonal_mp_gram

from benchmarks.race import Drawn, Method, Problem
from gsl_utils.sparse import basis_pursuit, lasso, omp

__all__ = ["Size", "races"]

# The relative duality gap at which a LASSO is solved.
GAP = 1e-6


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


def draw(size: Size, seed: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw A with entries N(0, 1/m), signals x with k standard normal entries, and y = Ax + noise."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(size.m, size.n)) / np.sqrt(size.m)
    x = np.zeros((size.signals, size.n))
    for row in x:
        row[rng.choice(size.n, size.k, replace=False)] = rng.normal(size=size.k)
    return A, x, x @ A.T + noise * rng.normal(size=(size.signals, size.m))


def lasso_problem(size: Size) -> Problem:
    """Noisy measurements and one penalty for all signals; the error is the excess of the objective."""

    def problem(seed: int) -> Drawn:
        A, _, y = draw(size, seed, 0.02)
        lam = 0.02 * np.abs(y @ A).max()

        def objective(x: np.ndarray) -> np.ndarray:
            return 0.5 * ((y - x @ A.T) ** 2).sum(axis=1) + lam * np.abs(x).sum(axis=1)

        reference = objective(our_lasso(A, y, lam, tol=1e-12))
        # scikit-learn measures its gap by the energy of y, the book by the objective.
        tol = GAP * float(np.min(reference / (y**2).sum(axis=1)))
        return (A, y, lam, tol), lambda x: float(np.max(objective(x) / reference - 1))

    return problem


def exact_problem(size: Size) -> Problem:
    """Measurements without noise; the error is the largest relative distance from the signal."""

    def problem(seed: int) -> Drawn:
        A, truth, y = draw(size, seed, 0.0)

        def error(x: np.ndarray) -> float:
            return float(np.max(np.linalg.norm(x - truth, axis=1) / np.linalg.norm(truth, axis=1)))

        return (A, y), error

    return problem


def our_lasso(A: np.ndarray, y: np.ndarray, lam: float, tol: float = GAP) -> np.ndarray:
    """Solve the LASSO with the book's solver."""
    return lasso(torch.from_numpy(A), torch.from_numpy(y), float(lam), tol=tol).x.numpy()


def sklearn_lasso(A: np.ndarray, y: np.ndarray, lam: float, tol: float) -> np.ndarray:
    """Solve the LASSO with scikit-learn."""
    return Lasso(alpha=lam / len(A), fit_intercept=False, tol=tol, max_iter=100_000).fit(A, y.T).coef_


def our_omp(A: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """Pursue greedily with the book's solver."""
    return omp(torch.from_numpy(A), torch.from_numpy(y), k).x.numpy()


def sklearn_omp(A: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """Pursue greedily with scikit-learn, from the precomputed Gram matrix of unit columns."""
    scale = np.linalg.norm(A, axis=0)
    unit = A / scale
    return (orthogonal_mp_gram(unit.T @ unit, unit.T @ y.T, n_nonzero_coefs=k) / scale[:, None]).T


def our_basis_pursuit(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pursue a basis with the book's solver."""
    return basis_pursuit(torch.from_numpy(A), torch.from_numpy(y)).x.numpy()


def highs(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pursue a basis as a linear program, one signal after the other."""
    n = A.shape[1]
    rows = np.hstack([A, -A])
    parts = [linprog(np.ones(2 * n), A_eq=rows, b_eq=row, method="highs").x for row in y]
    return np.array([part[:n] - part[n:] for part in parts])


def races(size: Size, programs: Size) -> dict[str, tuple[Problem, dict[str, Method]]]:
    """Return the races: title to problem and methods, the book's own first.

    Args:
        size: The size of the LASSO and of the greedy pursuit.
        programs: The size of basis pursuit, where the peer solves a linear program for each signal.

    Returns:
        What ``benchmarks.race.race`` takes, by title.
    """
    return {
        f"LASSO, {_words(size)}, noise 0.02": (
            lasso_problem(size),
            {"gsl_utils": lambda A, y, lam, _: our_lasso(A, y, lam), "scikit-learn": sklearn_lasso},
        ),
        f"Orthogonal matching pursuit, {_words(size)}": (
            exact_problem(size),
            {
                "gsl_utils": lambda A, y: our_omp(A, y, size.k),
                "scikit-learn": lambda A, y: sklearn_omp(A, y, size.k),
            },
        ),
        f"Basis pursuit, {_words(programs)}": (
            exact_problem(programs),
            {"gsl_utils": our_basis_pursuit, "scipy (HiGHS)": highs},
        ),
    }


def _words(size: Size) -> str:
    return f"{size.signals} signals, n = {size.n}, m = {size.m}, k = {size.k}"
