"""Compressed sensing with a generative model, beside the ways in which others do it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.deepinv import deepinv_csgm
from benchmarks.race import Method, Task
from gsl_utils.generators import VAE
from gsl_utils.recovery import csgm, recover
from gsl_utils.sensing import gaussian_matrix

__all__ = ["CsgmProblem", "CsgmSize", "batch_as_published", "csgm_problem", "csgm_task", "ours"]

# Bora et al.'s noise: a vector of this length, spread over the measurements.
_NOISE = 0.1
# Adam's rate in all methods, as published.
_RATE = 0.01


@dataclass(frozen=True)
class CsgmSize:
    """How large the problems are.

    Attributes:
        signals: How many signals are recovered.
        restarts: How many starts each has.
        steps: How many steps each start has.
        m: Measurements of a signal.
        widths: Of the generator's layers, from the latent space to the signal.
    """

    signals: int
    restarts: int
    steps: int
    m: int
    widths: Sequence[int]

    def __str__(self) -> str:
        layers = "-".join(map(str, self.widths))
        return (
            f"{layers}, m = {self.m}, {self.signals} signals x {self.restarts} restarts x {self.steps} steps"
        )


@dataclass(frozen=True)
class CsgmProblem:
    """Noisy measurements of random signals in a random generator's range, in float32.

    Attributes:
        G: The generator.
        A: The matrix, ``(m, n)``.
        y: The measurements, ``(signals, m)``.
        truth: The latent vectors that were measured, ``(signals, k)``.
        size: How large.
        seed: Of the starts.
    """

    G: VAE = field(repr=False)
    A: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    truth: Tensor = field(repr=False)
    size: CsgmSize
    seed: int
    dtype: torch.dtype = torch.float32

    @property
    def signals(self) -> int:
        """How many signals there are."""
        return len(self.y)

    @property
    def operations(self) -> float:
        """Every step multiplies by every layer and by A, forwards and backwards."""
        weights = sum(before * after for before, after in pairwise(self.size.widths)) + self.A.numel()
        return 4.0 * weights * self.signals * self.size.restarts * self.size.steps

    def take(self, count: int) -> CsgmProblem:
        """The problem of the first signals alone."""
        return replace(self, y=self.y[:count], truth=self.truth[:count])

    def witness(self, answer: Tensor) -> None:
        """Nothing: every answer is judged by what it leaves unexplained."""

    @torch.no_grad()
    def judge(self, answer: Tensor) -> dict[str, float]:
        """The loss of the latent vectors over that of the true ones: its median, and how many are above 1.

        ``signal`` is the median relative distance from the true signal.
        """
        if not bool(answer.isfinite().all()):  # the generator refuses it
            return {"loss": math.inf, "unexplained": float(self.signals), "signal": math.inf}
        left, own = ((self.y - self.G(z) @ self.A.T).double().square().sum(-1) for z in (answer, self.truth))
        x = self.G(self.truth)
        distance = (self.G(answer) - x).norm(dim=-1) / x.norm(dim=-1)
        return {
            "loss": float((left / own).median()),
            "unexplained": float((left > own).sum()),
            "signal": float(distance.median()),
        }

    def source(self) -> torch.Generator:
        """The source of randomness of the starts: the same for every method."""
        return torch.Generator().manual_seed(self.seed)


def csgm_problem(size: CsgmSize, seed: int) -> CsgmProblem:
    """Draw a generator, signals in its range, and their measurements.

    Args:
        size: How large.
        seed: The seed.
    """
    source = torch.Generator().manual_seed(seed)
    latent_dim, *hidden, n = size.widths
    kind: dict[str, Any] = {"generator": source, "dtype": torch.float32}
    # The decoder has the encoder's widths in reverse.
    G = VAE(n, latent_dim, hidden=tuple(reversed(hidden)), **kind)
    A = gaussian_matrix(size.m, n, **kind)
    truth = torch.randn(size.signals, latent_dim, **kind)
    with torch.no_grad():
        y = G(truth) @ A.T + _NOISE / size.m**0.5 * torch.randn(size.signals, size.m, **kind)
    return CsgmProblem(G, A, y, truth, size, seed)


def ours(problem: CsgmProblem) -> Tensor:
    """All signals and restarts at once, with the published recipe.

    Args:
        problem: The problem.
    """
    size = problem.size
    return csgm(
        problem.G, problem.A, problem.y, restarts=size.restarts, steps=size.steps, lr=_RATE,
        generator=problem.source(),
    ).z  # fmt: skip


def _levenberg(problem: CsgmProblem) -> Tensor:
    """Levenberg-Marquardt: of every signal's starts the best few take three steps, the best of those six."""
    restarts = problem.size.restarts
    schedule = [(0, 3), (3, 1)] if restarts > 3 else [(3, 1)]
    return recover(
        problem.G, problem.A, problem.y, method="lm", restarts=restarts, steps=9, prune=schedule,
        generator=problem.source(),
    ).z  # fmt: skip


def batch_as_published(problem: CsgmProblem, *, restarts: int | None = None, frozen: bool = True) -> Tensor:
    """One restart after the other, each one Adam over all signals; per signal the best is kept.

    Args:
        problem: The problem.
        restarts: How many; by default the problem's.
        frozen: Whether the generator's weights get no gradients. The published code asks TensorFlow for
            those of z alone; the same lines in PyTorch compute those of the weights as well.
    """
    G, A, y, size = problem.G, problem.A, problem.y, problem.size
    source = problem.source()
    best = torch.full((len(y),), torch.inf)
    kept = torch.zeros_like(problem.truth)
    G.requires_grad_(not frozen)
    try:
        for _ in range(restarts or size.restarts):
            z = torch.randn(problem.truth.shape, generator=source).requires_grad_(True)
            adam = torch.optim.Adam([z], lr=_RATE)
            for _ in range(size.steps):
                adam.zero_grad()
                loss = (G(z) @ A.T - y).square().sum(-1)
                loss.sum().backward()
                adam.step()
            with torch.no_grad():
                loss = (G(z) @ A.T - y).square().sum(-1)
                better = loss < best
                best[better], kept[better] = loss[better], z[better]
    finally:
        G.requires_grad_(True)
        G.zero_grad()
    return kept


def _one_by_one(problem: CsgmProblem) -> Tensor:
    """One signal and one start after the other."""
    alone = [
        replace(problem, y=y[None], truth=z[None]) for y, z in zip(problem.y, problem.truth, strict=True)
    ]
    return torch.cat([batch_as_published(one) for one in alone])


class _Dense(nn.Module):
    """The generator with a convolutional one's shapes: from ``(batch, k, 1, 1)`` to ``(batch, 1, 1, n)``."""

    def __init__(self, G: VAE) -> None:
        super().__init__()
        self.G, self.nz = G, G.latent_dim

    def forward(self, z: Tensor) -> Tensor:
        return self.G(z.flatten(1))[:, None, None, :]


def _deepinv(problem: CsgmProblem) -> Tensor:
    """One signal at a time, since deepinv has one latent for a whole batch; one start of each."""
    G, size = _Dense(problem.G), problem.size
    found = [
        deepinv_csgm(G, problem.A, y, steps=size.steps, rate=_RATE, seed=problem.seed) for y in problem.y
    ]
    return torch.cat(found)


def csgm_task(size: CsgmSize, *, alone: int, in_turn: int) -> Task:
    """Return the race for recovery with a generative model.

    Args:
        size: How large.
        alone: How many signals the methods get that take one signal at a time.
        in_turn: How many restarts the method does that does them in turn.
    """
    return Task(
        "csgm",
        f"CSGM, float32: {size}",
        lambda seed: csgm_problem(size, seed),
        (
            Method("gsl_utils", ours, ours=True, setting="Adam, all restarts in one batch", warm=False),
            Method(
                "gsl_utils, LM", _levenberg, ours=True,
                setting="Levenberg-Marquardt: 3 steps of the best 3 starts, 6 of the best",
            ),
            Method(
                "batch, published way",
                lambda p: batch_as_published(p, restarts=in_turn),
                share=in_turn / size.restarts,
                setting=f"Adam over the signals, restarts in turn, {in_turn} of them",
                warm=False,
            ),
            Method(
                "batch, weights too",
                lambda p: batch_as_published(p, restarts=1, frozen=False),
                share=1 / size.restarts,
                setting="the same with gradients of the weights, one restart",
                warm=False,
            ),
            Method("one by one", _one_by_one, warm=False, signals=alone, setting="Adam, each start alone"),
            Method(
                "deepinv", _deepinv, warm=False, signals=alone, needs="deepinv", share=1 / size.restarts,
                setting="CSGMGenerator, inf_tol=0, each signal alone; one restart",
            ),
        ),
        # A recovered signal explains its measurements at least as well as the truth does.
        goal={"loss": 1.0},
    )  # fmt: skip
