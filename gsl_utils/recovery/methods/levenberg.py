"""Levenberg-Marquardt: Gauss-Newton steps, each row with a damping of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.common.linear import square_root
from gsl_utils.recovery.problem import Problem
from gsl_utils.recovery.rows import Rows
from gsl_utils.recovery.steps import State, rise, settled

__all__ = ["LevenbergMarquardt"]

_START, _LESS, _MORE = 1e-2, 1 / 5, 4.0
_MOST = 1e10
_FLOOR = 1e-6  # share of the largest curvature that also a flat direction is damped with


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Solve the linearised problem, damped by its curvatures, and more so where it was not to be trusted."""

    tol: float

    def start(self, problem: Problem, penalty: Rows, z: Tensor) -> State:  # noqa: ARG002
        """The state before the first step; the linearisation is made by the step that needs it."""
        count, k = z.shape
        return {
            "z": z,
            "loss": problem.loss(z),
            "half_slope": torch.zeros_like(z),
            "curvature": torch.zeros(count, k, k, dtype=z.dtype, device=z.device),
            "stale": torch.ones(count, dtype=torch.bool, device=z.device),
            "damping": torch.full((count,), _START, dtype=z.dtype, device=z.device),
            "done": torch.zeros(count, dtype=torch.bool, device=z.device),
        }

    def step(self, problem: Problem, penalty: Rows, state: State, t: int) -> State:  # noqa: ARG002
        """The state after one step; a row whose damping has no limit left is done."""
        z = state["z"]
        half_slope, curvature = _linearised(problem, penalty, state)
        diagonal = curvature.diagonal(dim1=-2, dim2=-1)
        least = _FLOOR * diagonal.amax(-1, keepdim=True) + torch.finfo(z.dtype).tiny
        damp = state["damping"].unsqueeze(-1) * (diagonal + least)
        factor, failed = torch.linalg.cholesky_ex(curvature + torch.diag_embed(damp))
        move = torch.cholesky_solve(half_slope.unsqueeze(-1), factor).squeeze(-1)
        # What the linearisation promises without its damping, in the measure of the other methods.
        promised = square_root(((half_slope * move).sum(-1) * (1 + state["damping"])).clamp(min=0))
        still = settled(problem, penalty, z, promised <= self.tol * problem.scale, self.tol)
        trial = z - move
        loss = problem.loss(trial)
        slope = 2 * half_slope - penalty.subgradient(z)
        change = rise(problem, z, state["loss"], slope, trial, loss) - penalty.drop(z, trial).sum(-1)
        better = (change < 0) & (failed == 0) & ~still
        # Two numbers alone would take the dtype that torch defaults to.
        damping = torch.where(better, _LESS * state["damping"], _MORE * state["damping"])
        return {
            "z": torch.where(better.unsqueeze(-1), trial, z),
            "loss": torch.where(better, loss, state["loss"]),
            "half_slope": half_slope,
            "curvature": curvature,
            "stale": better,
            "damping": damping.clamp(min=torch.finfo(z.dtype).eps),
            "done": still | (damping > _MOST),
        }


def _linearised(problem: Problem, penalty: Rows, state: State) -> tuple[Tensor, Tensor]:
    """Half the gradient and half the Hessian of the linearisation, made anew where a row has moved."""
    half_slope, curvature = state["half_slope"], state["curvature"]
    rows = state["stale"].nonzero().squeeze(-1)
    if not len(rows):
        return half_slope, curvature
    if len(rows) < len(half_slope):
        problem, penalty = problem.select(rows), penalty.select(rows)
    z = state["z"][rows]
    r, jacobian = problem.residual_and_jacobian(z)
    normal = jacobian @ jacobian.mT
    bend = penalty.half_hessian(z)
    if bend is not None:
        normal = normal + bend
    slope = (jacobian @ r.unsqueeze(-1)).squeeze(-1) + penalty.subgradient(z) / 2
    return half_slope.index_copy(0, rows, slope), curvature.index_copy(0, rows, normal)
