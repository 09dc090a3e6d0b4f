"""Gradient descent and Adam, one optimiser state per row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.recovery.problem import Problem
from gsl_utils.recovery.rows import Rows
from gsl_utils.recovery.steps import State, gain, proximal_step, settled, suggested_step

__all__ = ["Adam", "BacktrackedDescent", "GradientDescent"]


# How many steps lie between two questions whether a row is stationary.
_CHECK_EVERY = 50
# Of Adam: as its authors have them.
_BETAS, _EPS = (0.9, 0.999), 1e-8


def _start(z: Tensor) -> State:
    return {"z": z, "done": torch.zeros(len(z), dtype=torch.bool, device=z.device)}


@dataclass(frozen=True)
class _Rated:
    """A method whose step is a rate times a direction."""

    steps: int
    tol: float
    lr: float
    schedule: str

    def share(self, t: int) -> float:
        """The share of the rate that step ``t`` has: all of it, or half a cosine that ends at zero."""
        return 1.0 if self.schedule == "constant" else (1 + math.cos(math.pi * t / self.steps)) / 2

    def moved(self, problem: Problem, penalty: Rows, state: State, t: int, new: Tensor) -> State:
        """The state at the new points of step ``t``; every so often rows that are stationary stay instead."""
        if not self.tol or t == 0 or t % _CHECK_EVERY:
            return state | {"z": new}
        done = settled(problem, penalty, state["z"], torch.ones_like(state["done"]), self.tol)
        return state | {"z": torch.where(done.unsqueeze(-1), state["z"], new), "done": done}


@dataclass(frozen=True)
class GradientDescent(_Rated):
    """Steps of a given rate along the gradient."""

    def start(self, problem: Problem, penalty: Rows, z: Tensor) -> State:  # noqa: ARG002
        """The state before the first step, with the rate of each row."""
        return _start(z) | {"rate": problem.in_units(self.lr)}

    def step(self, problem: Problem, penalty: Rows, state: State, t: int) -> State:
        """The state after step ``t``."""
        z = state["z"]
        _, slope = problem.loss_and_gradient(z)
        new = z - self.share(t) * state["rate"] * (slope + penalty.subgradient(z))
        return self.moved(problem, penalty, state, t, new)


@dataclass(frozen=True)
class BacktrackedDescent:
    """Steps along the gradient, as long as is safe for each row; a smooth penalty is stepped implicitly."""

    tol: float

    def start(self, problem: Problem, penalty: Rows, z: Tensor) -> State:
        """The state before the first step, with the step that the curvature along the gradient suggests."""
        _, slope = problem.loss_and_gradient(z)
        return _start(z) | {"step": suggested_step(problem, penalty, z, slope)}

    def step(self, problem: Problem, penalty: Rows, state: State, t: int) -> State:  # noqa: ARG002
        """The state after one step."""
        z = state["z"]
        loss, slope = problem.loss_and_gradient(z)
        new, _, step = proximal_step(problem, penalty, z, loss, slope, 2 * state["step"])
        little = gain(problem, penalty, z, slope, new, step) <= self.tol
        done = (step == 0) | settled(problem, penalty, new, little, self.tol)
        return {"z": new, "step": step, "done": done}


@dataclass(frozen=True)
class Adam(_Rated):
    """Kingma and Ba's method; its moments belong to one row each, so that no signal sets another's pace."""

    def start(self, problem: Problem, penalty: Rows, z: Tensor) -> State:  # noqa: ARG002
        """The state before the first step; rows count their own steps."""
        age = torch.zeros(len(z), 1, dtype=z.dtype, device=z.device)
        return _start(z) | {"first": torch.zeros_like(z), "second": torch.zeros_like(z), "age": age}

    def step(self, problem: Problem, penalty: Rows, state: State, t: int) -> State:
        """The state after step ``t``."""
        z, first, second = state["z"], state["first"], state["second"]
        _, slope = problem.loss_and_gradient(z)
        slope += penalty.subgradient(z)
        b1, b2 = _BETAS
        age = state["age"] + 1
        # In place: a step is so cheap that new memory would cost more than what is computed in it.
        first.lerp_(slope, 1 - b1)
        second.mul_(b2).addcmul_(slope, slope, value=1 - b2)
        # Not sqrt, whose last digit is the processor's: see square_root.
        root = torch.div(second, _risen(b2, age), out=slope).rsqrt_().reciprocal_().add_(_EPS)
        new = z - torch.div(first, root, out=root).mul_(self.lr * self.share(t) / _risen(b1, age))
        return self.moved(problem, penalty, state | {"age": age}, t, new)


def _risen(beta: float, age: Tensor) -> Tensor:
    """How far a running mean has risen from zero, ``1 - beta**age``."""
    return -torch.expm1(age * math.log(beta))
