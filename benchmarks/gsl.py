"""Recovery of sparse latent vectors: the speed of a descent through a flow, and of the book's own method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.timing import least_seconds, product_rate
from gsl_utils.generators import Exponential, RealNVP, Sigmoid
from gsl_utils.metrics import srnr_db
from gsl_utils.recovery import gsl_best, gsl_l1, support_oracle
from gsl_utils.sensing import gaussian_matrix, measure

__all__ = ["Descent", "GslProblem", "GslSize", "Recovered", "descents", "gsl_problem", "recoveries"]

GENERATORS = ("Sigmoid, 4B", "Exponential", "RealNVP(4)", "RealNVP(4), gain 2")
_SMNR_DB = 30.0


@dataclass(frozen=True)
class GslSize:
    """How large the problems are.

    Attributes:
        signals: How many are recovered.
        n: Entries of a signal and of its latent vector.
        m: Measurements of a signal.
        k: Non-zeros of a latent vector.
        steps: Of Adam.
        batches: The numbers of signals that descend together.
    """

    signals: int
    n: int
    m: int
    k: int
    steps: int
    batches: Sequence[int]


@dataclass(frozen=True)
class GslProblem:
    """Signals ``f(Bz)`` with latent entries of +-1, and their measurements at 30 dB."""

    f: nn.Module
    B: Tensor
    A: Tensor
    y: Tensor
    x: Tensor
    z: Tensor


@dataclass(frozen=True)
class Descent:
    """Adam through RealNVP(4), in processor seconds.

    Attributes:
        dtype: Of the arithmetic.
        batch: How many signals descend together.
        seed: Of the problem.
        floor: Of its matrix products, forwards and backwards, at the rate measured next to it.
        by_hand: With the derivatives written by hand.
        autograd: With automatic differentiation, in the same engine.
    """

    dtype: str
    batch: int
    seed: int
    floor: float
    by_hand: float
    autograd: float


@dataclass(frozen=True)
class Recovered:
    """``gsl_best`` beside ``gsl_l1`` at lambda_1 = 0.9 and the oracle that is told the support, in decibels.

    Attributes:
        generator: Which.
        seed: Of the problem.
        oracle: Median SRNR of the oracle.
        l1, best: Median SRNR of the methods.
        l1_mean, best_mean: Their means over the signals.
        l1_ratio, best_ratio: Their SRNR from the sums over the signals.
        exact: How many supports ``gsl_best`` found exactly.
        seconds: Processor seconds of ``gsl_best``.
        of_l1: The same as a multiple of those of ``gsl_l1``.
    """

    generator: str
    seed: int
    oracle: float
    l1: float
    best: float
    l1_mean: float
    best_mean: float
    l1_ratio: float
    best_ratio: float
    exact: int
    seconds: float
    of_l1: float


def gsl_problem(name: str, size: GslSize, signals: int, seed: int) -> GslProblem:
    """Draw a generator, signals, and their measurements.

    Args:
        name: Of the generator, one of ``GENERATORS``.
        size: How large.
        signals: How many.
        seed: The seed.
    """
    source = torch.Generator().manual_seed(seed)
    n, k = size.n, size.k
    B = gaussian_matrix(n, n, scale="columns", generator=source)
    makers: dict[str, Callable[[], nn.Module]] = {
        "Sigmoid, 4B": Sigmoid,
        "Exponential": Exponential,
        "RealNVP(4)": lambda: RealNVP(n, 4, generator=source),
        "RealNVP(4), gain 2": lambda: RealNVP(n, 4, gain=2.0, generator=source),
    }
    f = makers[name]().requires_grad_(False)
    B = 4 * B if name == "Sigmoid, 4B" else B
    A = gaussian_matrix(size.m, n, generator=source)
    support = torch.rand(signals, n, generator=source).argsort(-1)[:, :k]
    signs = 2.0 * torch.randint(0, 2, (signals, k), generator=source).to(B.dtype) - 1
    z = torch.zeros(signals, n, dtype=B.dtype).scatter(1, support, signs)
    x = f(z @ B.mT)
    return GslProblem(f, B, A, measure(A, x, smnr_db=_SMNR_DB, generator=source), x, z)


def descents(size: GslSize, seeds: Sequence[int]) -> list[Descent]:
    """Time Adam through RealNVP(4) by itself.

    Args:
        size: How large.
        seeds: One problem each.
    """
    return [
        _descent(size, batch, seed, dtype)
        for dtype in (torch.float64, torch.float32)
        for batch in size.batches
        for seed in seeds
    ]


def _descent(size: GslSize, batch: int, seed: int, dtype: torch.dtype) -> Descent:
    problem = gsl_problem("RealNVP(4)", size, batch, seed)
    f, (B, A, y) = problem.f.to(dtype), (v.to(dtype) for v in (problem.B, problem.A, problem.y))

    def automatic(u: Tensor) -> Tensor:
        return f(u)

    weights = B.numel() + A.numel() + sum(w.numel() for w in f.parameters() if w.ndim == 2)
    floor = 4.0 * weights * batch * size.steps / product_rate(dtype)
    gsl_l1(f, B, A, y, steps=2)
    timed = [least_seconds(partial(gsl_l1, G, B, A, y, steps=size.steps))[0] for G in (f, automatic)]
    return Descent(str(dtype).removeprefix("torch."), batch, seed, floor, *timed)


def recoveries(size: GslSize, seeds: Sequence[int]) -> list[Recovered]:
    """Race ``gsl_best`` with Adam on eq. (4), and compare both with the oracle.

    Args:
        size: How large.
        seeds: One problem each.
    """
    return list(_recoveries(size, seeds))


def _recoveries(size: GslSize, seeds: Sequence[int]) -> Iterator[Recovered]:
    for name in GENERATORS:
        for seed in seeds:
            problem = gsl_problem(name, size, size.signals, seed)
            given = (problem.f, problem.B, problem.A, problem.y)
            gsl_best(problem.f, problem.B, problem.A, problem.y[:1], without=("rescue",))
            start = time.process_time()
            l1 = gsl_l1(*given, steps=size.steps)
            between = time.process_time()
            best = gsl_best(*given, generator=torch.Generator().manual_seed(seed))
            seconds, published = time.process_time() - between, between - start
            oracle = support_oracle(*given, problem.z != 0)
            x = problem.x
            each = [srnr_db(x, found.x, reduction="none") for found in (l1, best)]
            yield Recovered(
                generator=name,
                seed=seed,
                oracle=float(srnr_db(x, oracle.x, reduction="median")),
                l1=float(srnr_db(x, l1.x, reduction="median")),
                best=float(srnr_db(x, best.x, reduction="median")),
                l1_mean=float(each[0].mean()),
                best_mean=float(each[1].mean()),
                l1_ratio=float(srnr_db(x, l1.x)),
                best_ratio=float(srnr_db(x, best.x)),
                exact=int(((best.z != 0) == (problem.z != 0)).all(-1).sum()),
                seconds=seconds,
                of_l1=seconds / published,
            )
