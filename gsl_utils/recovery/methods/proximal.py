"""Accelerated proximal gradient with backtracking, restart, and a step of its own for every row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.common.linear import square_root
from gsl_utils.recovery.problem import Problem
from gsl_utils.recovery.rows import Rows
from gsl_utils.recovery.steps import State, gain, proximal_step, rounding, settled, suggested_step

__all__ = ["ProximalGradient"]

_GROWTH = 1.1  # a step that was cut at a steep place may grow again


@dataclass(frozen=True)
class ProximalGradient:
    """The accelerated method of Beck and Teboulle, with the restarts of O'Donoghue and Candes."""

    tol: float

    def start(self, problem: Problem, penalty: Rows, z: Tensor) -> State:
        """The state before the first step, from the feasible point next to ``z``."""
        ones = torch.ones(len(z), dtype=z.dtype, device=z.device)
        z = penalty.prox(z, 0 * ones.unsqueeze(-1))
        loss, slope = problem.loss_and_gradient(z)
        return {
            "z": z,
            "ahead": z,
            "momentum": ones,
            "step": suggested_step(problem, penalty, z, slope),
            "objective": loss + penalty.value(z),
            "done": torch.zeros(len(z), dtype=torch.bool, device=z.device),
        }

    def step(self, problem: Problem, penalty: Rows, state: State, t: int) -> State:  # noqa: ARG002
        """The state after one step."""
        z, ahead, momentum = state["z"], state["ahead"], state["momentum"]
        loss, slope = problem.loss_and_gradient(ahead)
        new, new_loss, step = proximal_step(problem, penalty, ahead, loss, slope, _GROWTH * state["step"])
        objective = new_loss + penalty.value(new)
        # Up to rounding, or single precision would end long before it is stationary.
        worse = ~(objective <= state["objective"] + rounding(problem, new_loss)) | (step == 0)
        following = (1 + square_root(1 + 4 * momentum.square())) / 2
        # A step that rises also without momentum: there is no way down.
        exhausted = worse & (momentum == 1)
        little = ~worse & (gain(problem, penalty, ahead, slope, new, step) <= self.tol)
        # Momentum that points uphill is dropped before it does harm; what harm it did is taken back.
        uphill = ((ahead - new) * (new - z)).sum(-1) > 0
        push = torch.where(uphill, 0, (momentum - 1) / following)
        back = worse.unsqueeze(-1)
        return {
            "z": torch.where(back, z, new),
            "ahead": torch.where(back, z, new + push.unsqueeze(-1) * (new - z)),
            "momentum": torch.where(worse | uphill, 1, following),
            "step": torch.where(step > 0, step, state["step"]),
            "objective": torch.where(worse, state["objective"], objective),
            "done": exhausted | settled(problem, penalty, new, little, self.tol),
        }
