"""How the time of the book's own methods grows with the size of the problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.csgm import CsgmSize, csgm_problem
from benchmarks.csgm import ours as csgm_ours
from benchmarks.draws import Size, draw
from benchmarks.timing import least_seconds
from bindery.claims.intervals import slope
from gsl_utils.sparse import basis_pursuit, lasso, omp

__all__ = ["Curve", "Measured", "Slope", "classical_curves", "csgm_curves", "measure", "slopes"]


@dataclass(frozen=True)
class Curve:
    """The time of one method along one axis.

    Attributes:
        method: The method.
        axis: What grows, in a word.
        sizes: Its values.
        prepare: Takes a size and a seed; returns the work to time.
    """

    method: str
    axis: str
    sizes: Sequence[int]
    prepare: Callable[[int, int], Callable[[], Any]]


@dataclass(frozen=True)
class Measured:
    """The processor seconds of one method at one size and seed."""

    method: str
    axis: str
    size: int
    seed: int
    seconds: float


@dataclass(frozen=True)
class Slope:
    """The exponent of a curve: least squares in log-log, one slope per seed, with its 99 % interval."""

    method: str
    axis: str
    slope: float
    low: float
    high: float


def measure(curves: Iterable[Curve], seeds: Sequence[int]) -> list[Measured]:
    """Time every curve at every size and seed.

    Args:
        curves: The curves.
        seeds: One problem for each.
    """
    measured = []
    for curve in curves:
        # The first call of a method pays for what is loaded and allocated once.
        curve.prepare(curve.sizes[0], seeds[0])()
        for seed in seeds:
            for size in curve.sizes:
                seconds, _ = least_seconds(curve.prepare(size, seed))
                measured.append(Measured(curve.method, curve.axis, size, seed, seconds))
    return measured


def slopes(measured: Sequence[Measured]) -> list[Slope]:
    """Return the exponent of each curve.

    Args:
        measured: All that was measured, at least two seeds of each curve.
    """
    found = []
    for method, axis in dict.fromkeys((row.method, row.axis) for row in measured):
        own = [row for row in measured if (row.method, row.axis) == (method, axis)]
        sizes, seeds = sorted({row.size for row in own}), sorted({row.seed for row in own})
        time = {(row.seed, row.size): row.seconds for row in own}
        rows = [[time[seed, size] for size in sizes] for seed in seeds]
        found.append(Slope(method, axis, *slope(np.log(sizes), np.log(rows))))
    return found


_NOISE = 0.02
# The solver with A and y as tensors; k is for those that are told the sparsity.
_CLASSICAL: dict[str, tuple[float, Callable[[torch.Tensor, torch.Tensor, int], Any]]] = {
    "LASSO": (_NOISE, lambda A, y, _: lasso(A, y, float(0.02 * (y @ A).abs().max()))),
    "OMP": (0.0, omp),
    "basis pursuit": (0.0, lambda A, y, _: basis_pursuit(A, y)),
}


def classical_curves(base: Size, n: Sequence[int], m: Sequence[int], signals: Sequence[int]) -> list[Curve]:
    """Return the curves of the classical solvers.

    Args:
        base: The size from which one entry departs.
        n: Lengths of a signal; m and k grow in proportion.
        m: Numbers of measurements.
        signals: Numbers of signals.
    """

    def grown(size: int) -> Size:
        return replace(base, n=size, m=base.m * size // base.n, k=base.k * size // base.n)

    axes: dict[str, tuple[Sequence[int], Callable[[int], Size]]] = {
        "n": (n, grown),
        "m": (m, lambda size: replace(base, m=size)),
        "signals": (signals, lambda size: replace(base, signals=size)),
    }
    return [
        Curve(method, axis, sizes, partial(_classical, method, make))
        for method in _CLASSICAL
        for axis, (sizes, make) in axes.items()
    ]


def _classical(method: str, make: Callable[[int], Size], size: int, seed: int) -> Callable[[], Any]:
    noise, solve = _CLASSICAL[method]
    problem = make(size)
    A, _, y = draw(problem, seed, noise=noise)
    return partial(solve, torch.from_numpy(A), torch.from_numpy(y), problem.k)


def csgm_curves(base: CsgmSize, signals: Sequence[int], latent: Sequence[int]) -> list[Curve]:
    """Return the curves of recovery with a generative model.

    Args:
        base: The size from which one entry departs.
        signals: Numbers of signals.
        latent: Dimensions of the latent space.
    """
    axes: dict[str, tuple[Sequence[int], Callable[[int], CsgmSize]]] = {
        "signals": (signals, lambda size: replace(base, signals=size)),
        "latent dimension": (latent, lambda size: replace(base, widths=(size, *base.widths[1:]))),
    }
    return [Curve("CSGM", axis, sizes, partial(_csgm, make)) for axis, (sizes, make) in axes.items()]


def _csgm(make: Callable[[int], CsgmSize], size: int, seed: int) -> Callable[[], Any]:
    return partial(csgm_ours, csgm_problem(make(size), seed))
