"""Gradient descent and Adam, one optimiser state per row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils._problem import Problem
from gsl_utils._steps import LONGEST, MARGIN, State, proximal_step, stationarity
from gsl_utils.penalties import NoPenalty, Penalty

__all__ = ["Adam", "GradientDescent"]


@dataclass(frozen=True)
class _Rated:
    """A method whose step is a rate times a direction."""

    steps: int
    tol: float
    lr: float | None
    schedule: str
    every: int

    def rate(self, t: int) -> float:
        """The rate of step ``t``: constant, or half a cosine that ends at zero."""
        assert self.lr is not None
        return self.lr * (
            0.5 * (1 + math.cos(math.pi * t / self.steps)) if self.schedule == "cosine" else 1.0
        )

    def settled(
        self, problem: Problem, penalty: Penalty, state: State, t: int, loss: Tensor, slope: Tensor
    ) -> Tensor:
        """Which rows are stationary, asked every so many steps: the probe costs as much as a step."""
        if not self.tol or t == 0 or t % self.every:
            return state["done"]
        new, _, state["probe"] = proximal_step(problem, penalty, state["z"], loss, slope, 4 * state["probe"])
        return stationarity(problem, state["z"], new, state["probe"]) <= MARGIN * self.tol


def _begin(z: Tensor) -> State:
    count = z.shape[0]
    return {
        "z": z,
        "probe": LONGEST * torch.ones(count, dtype=z.dtype, device=z.device),
        "done": torch.zeros(count, dtype=torch.bool, device=z.device),
    }


@dataclass(frozen=True)
class GradientDescent(_Rated):
    """Steps along the gradient: of a given rate or, without one, as long as is safe for each row."""

    def start(self, problem: Problem, penalty: Penalty, z: Tensor) -> State:  # noqa: ARG002
        """The state before the first step."""
        return _begin(z)

    def step(self, problem: Problem, penalty: Penalty, state: State, t: int) -> State:
        """The state after step ``t``."""
        z = state["z"]
        loss, slope = problem.loss_and_gradient(z)
        if self.lr is None:
            whole = _Whole(problem, penalty)
            loss, slope = loss + penalty.value(z), slope + penalty.gradient(z)
            new, _, state["probe"] = proximal_step(whole, NoPenalty(), z, loss, slope, 2 * state["probe"])
            state["done"] = stationarity(problem, z, new, state["probe"]) <= MARGIN * self.tol
        else:
            state["done"] = self.settled(problem, penalty, state, t, loss, slope)
            new = z - self.rate(t) * (slope + penalty.gradient(z))
        state["z"] = torch.where(state["done"].unsqueeze(-1), z, new)
        return state


@dataclass(frozen=True)
class Adam(_Rated):
    """Kingma and Ba's method; its moments belong to one row each, so that no signal sets another's pace."""

    betas: tuple[float, float]
    eps: float = 1e-8

    def start(self, problem: Problem, penalty: Penalty, z: Tensor) -> State:  # noqa: ARG002
        """The state before the first step."""
        return _begin(z) | {"first": torch.zeros_like(z), "second": torch.zeros_like(z)}

    def step(self, problem: Problem, penalty: Penalty, state: State, t: int) -> State:
        """The state after step ``t``."""
        z = state["z"]
        loss, slope = problem.loss_and_gradient(z)
        state["done"] = self.settled(problem, penalty, state, t, loss, slope)
        slope = slope + penalty.gradient(z)
        b1, b2 = self.betas
        first = state["first"].mul_(b1).add_(slope, alpha=1 - b1)
        second = state["second"].mul_(b2).addcmul_(slope, slope, value=1 - b2)
        scale = (second / (1 - b2 ** (t + 1))).sqrt_().add_(self.eps)
        new = z - (self.rate(t) / (1 - b1 ** (t + 1))) * first / scale
        state["z"] = torch.where(state["done"].unsqueeze(-1), z, new)
        return state


class _Whole(Problem):
    """The data term with a smooth penalty counted in, for steps that treat both alike."""

    def __init__(self, problem: Problem, penalty: Penalty) -> None:
        super().__init__(problem.G, problem.A, problem.y, problem.amplitude)
        object.__setattr__(self, "parts", (problem, penalty))

    def loss(self, z: Tensor) -> Tensor:
        problem, penalty = self.parts  # type: ignore[attr-defined]
        return problem.loss(z) + penalty.value(z)

    def select(self, rows: Tensor) -> Problem:
        problem, penalty = self.parts  # type: ignore[attr-defined]
        return _Whole(problem.select(rows), penalty.select(rows))
