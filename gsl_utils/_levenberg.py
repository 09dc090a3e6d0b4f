"""Levenberg-Marquardt: Gauss-Newton steps, each row with a damping of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils._problem import Problem
from gsl_utils._steps import MARGIN, State
from gsl_utils.penalties import L2, Penalty

__all__ = ["LevenbergMarquardt"]

_LESS, _MORE = 1 / 5, 4.0
_MOST = 1e10
_FLOOR = 1e-6  # share of the largest curvature that also a flat direction is damped with


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Solve the linearised problem, damped by its curvatures, and more so where it was not to be trusted."""

    tol: float
    damping: float

    def start(self, problem: Problem, penalty: Penalty, z: Tensor) -> State:
        """The state before the first step."""
        return {
            "z": z,
            "damping": torch.full((len(z),), self.damping, dtype=z.dtype, device=z.device),
            "objective": problem.loss(z) + penalty.value(z),
            "done": torch.zeros(len(z), dtype=torch.bool, device=z.device),
        }

    def step(self, problem: Problem, penalty: Penalty, state: State, t: int) -> State:  # noqa: ARG002
        """The state after one step; a row whose damping has no limit left is done."""
        z = state["z"]
        tiny = torch.finfo(z.dtype).tiny
        r, jacobian = problem.residual_and_jacobian(z)
        curvature = jacobian.mT @ jacobian
        half_slope = (jacobian.mT @ r.unsqueeze(-1)).squeeze(-1) + penalty.gradient(z) / 2
        if isinstance(penalty, L2):
            weight = torch.as_tensor(penalty.weight, dtype=z.dtype, device=z.device)
            curvature = curvature + torch.diag_embed(weight.expand_as(z))
        diagonal = curvature.diagonal(dim1=-2, dim2=-1)
        damp = state["damping"].unsqueeze(-1) * (diagonal + _FLOOR * diagonal.amax(-1, keepdim=True) + tiny)
        factor, failed = torch.linalg.cholesky_ex(curvature + torch.diag_embed(damp))
        move = torch.cholesky_solve(half_slope.unsqueeze(-1), factor).squeeze(-1)
        trial = z - move
        # The gain that the linearised problem promises without its damping, as a share of the measurements.
        gain = ((half_slope * move).sum(-1) * (1 + state["damping"])).clamp(min=0).sqrt()
        stationary = gain <= MARGIN * self.tol * problem.y.norm(dim=-1)
        objective = problem.loss(trial) + penalty.value(trial)
        better = (objective < state["objective"]) & (failed == 0) & ~stationary
        damping = state["damping"] * torch.where(better, _LESS, _MORE)
        return {
            "z": torch.where(better.unsqueeze(-1), trial, z),
            "damping": damping.clamp(min=torch.finfo(z.dtype).eps),
            "objective": torch.where(better, objective, state["objective"]),
            "done": stationary | (damping > _MOST),
        }
