"""Which races are run, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.csgm import CsgmSize, csgm_task
from benchmarks.draws import COLUMNS, Size
from benchmarks.greedy import greedy_task
from benchmarks.growth import Curve, classical_curves, csgm_curves
from benchmarks.gsl import GslSize
from benchmarks.lasso import lasso_task
from benchmarks.pursuit import pursuit_task
from benchmarks.race import Task
from benchmarks.sparse_relu import WideSize

__all__ = ["FULL", "QUICK", "Scale", "curves", "tasks"]


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        seeds: Of the races; none is the one on which tolerances are chosen.
        growth_seeds: Of the growth.
        classical: The size of the classical problems.
        beyond: The number of non-zeros beyond the transition.
        programs: How many signals HiGHS gets.
        projections: How many signals spgl1 gets: for the LASSO, below the transition, and beyond it.
        generative: The size of recovery with a generative model.
        alone: How many signals the methods get that take one signal at a time.
        in_turn: How many restarts the method does that does them in turn.
        base: The size from which the growth departs, classical.
        n, m, signals: The sizes along its axes.
        generative_base: The size from which the growth departs, generative.
        generative_signals, latent: The sizes along its axes.
        sparse: The size of recovery with sparse latent vectors.
        wide: The size of the sparse ReLU network's output.
    """

    seeds: Sequence[int]
    growth_seeds: Sequence[int]
    classical: Size
    beyond: int
    programs: int
    projections: tuple[int, int, int]
    generative: CsgmSize
    alone: int
    in_turn: int
    base: Size
    n: Sequence[int]
    m: Sequence[int]
    signals: Sequence[int]
    generative_base: CsgmSize
    generative_signals: Sequence[int]
    latent: Sequence[int]
    sparse: GslSize
    wide: WideSize


FULL = Scale(
    seeds=(1, 2, 3),
    growth_seeds=(1, 2, 3, 4, 5),
    classical=Size(signals=100, n=1000, m=300, k=30),
    beyond=140,
    programs=2,
    projections=(10, 10, 5),
    generative=CsgmSize(signals=64, restarts=10, steps=1000, m=100, widths=(20, 500, 500, 784)),
    alone=1,
    in_turn=3,
    base=Size(signals=20, n=1000, m=300, k=20),
    n=(250, 500, 1000, 2000),
    m=(150, 300, 600, 1200),
    signals=(1, 4, 16, 64, 256),
    generative_base=CsgmSize(signals=16, restarts=10, steps=20, m=100, widths=(20, 500, 500, 784)),
    generative_signals=(1, 4, 16, 64),
    latent=(5, 20, 80),
    sparse=GslSize(signals=100, n=100, m=50, k=10, steps=1000, batches=(64, 640)),
    wide=WideSize(signals=64, n=100_000, k=8),
)
QUICK = Scale(
    seeds=(1, 2),
    growth_seeds=(1, 2),
    classical=Size(signals=3, n=60, m=30, k=4),
    beyond=20,
    programs=2,
    projections=(2, 2, 2),
    generative=CsgmSize(signals=3, restarts=2, steps=200, m=20, widths=(3, 10, 30)),
    alone=1,
    in_turn=2,
    base=Size(signals=2, n=40, m=20, k=3),
    n=(40, 80),
    m=(20, 30),
    signals=(1, 4),
    generative_base=CsgmSize(signals=2, restarts=2, steps=5, m=10, widths=(3, 10, 20)),
    generative_signals=(1, 4),
    latent=(2, 4),
    sparse=GslSize(signals=3, n=16, m=12, k=2, steps=20, batches=(2, 4)),
    wide=WideSize(signals=3, n=1000, k=2),
)


def tasks(scale: Scale) -> list[Task]:
    """Return all races.

    Args:
        scale: How large.
    """
    dense = replace(scale.classical, k=scale.beyond)
    few, easy, hard = scale.projections
    return [
        *(lasso_task(scale.classical, columns, projections=few) for columns in COLUMNS),
        greedy_task(scale.classical),
        pursuit_task(scale.classical, recoverable=True, programs=scale.programs, projections=easy),
        pursuit_task(dense, recoverable=False, programs=scale.programs, projections=hard),
        csgm_task(scale.generative, alone=scale.alone, in_turn=scale.in_turn),
    ]


def curves(scale: Scale) -> list[Curve]:
    """Return all curves of growth.

    Args:
        scale: How large.
    """
    return [
        *classical_curves(scale.base, scale.n, scale.m, scale.signals),
        *csgm_curves(scale.generative_base, scale.generative_signals, scale.latent),
    ]
