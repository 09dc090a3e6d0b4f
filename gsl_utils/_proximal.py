"""Accelerated proximal gradient with backtracking, restart, and a step of its own for every row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils._problem import Problem
from gsl_utils._steps import MARGIN, State, gain, proximal_step, suggested_step
from gsl_utils.penalties import Penalty

__all__ = ["ProximalGradient"]

_GROWTH = 1.1  # a step that was cut at a steep place may grow again


@dataclass(frozen=True)
class ProximalGradient:
    """The accelerated method of Beck and Teboulle; where the objective would rise, momentum is dropped."""

    tol: float
    step0: float | None

    def start(self, problem: Problem, penalty: Penalty, z: Tensor) -> State:
        """The state before the first step, from the feasible point next to ``z``."""
        ones = torch.ones(len(z), dtype=z.dtype, device=z.device)
        z = penalty.prox(z, 0 * ones.unsqueeze(-1))
        loss, slope = problem.loss_and_gradient(z)
        step = suggested_step(problem, penalty, z, slope) if self.step0 is None else self.step0 * ones
        return {
            "z": z,
            "ahead": z,
            "momentum": ones,
            "step": step,
            "objective": loss + penalty.value(z),
            "done": torch.zeros(len(z), dtype=torch.bool, device=z.device),
        }

    def step(self, problem: Problem, penalty: Penalty, state: State, t: int) -> State:  # noqa: ARG002
        """The state after one step."""
        z, ahead, momentum = state["z"], state["ahead"], state["momentum"]
        loss, slope = problem.loss_and_gradient(ahead)
        new, new_loss, step = proximal_step(problem, penalty, ahead, loss, slope, _GROWTH * state["step"])
        objective = new_loss + penalty.value(new)
        worse = ~(objective <= state["objective"])
        following = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
        # Without momentum a step that does not descend is lost in rounding: nothing more can be gained.
        exhausted = worse & (momentum == 1)
        settled = gain(problem, penalty, ahead, slope, new, step) <= MARGIN * self.tol
        back = worse.unsqueeze(-1)
        overshoot = ((momentum - 1) / following).unsqueeze(-1) * (new - z)
        return {
            "z": torch.where(back, z, new),
            "ahead": torch.where(back, z, new + overshoot),
            "momentum": torch.where(worse, 1, following),
            "step": step,
            "objective": torch.where(worse, state["objective"], objective),
            "done": exhausted | (settled & ~worse),
        }
