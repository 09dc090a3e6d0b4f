"""What all methods share: the state of a run, one backtracked step, and how stationary a point is."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gsl_utils._problem import Problem
from gsl_utils.penalties import Penalty

__all__ = [
    "Method",
    "State",
    "curvature_along",
    "gain",
    "proximal_step",
    "rounding",
    "settled",
    "stationarity",
    "suggested_step",
]

# One row per problem in every tensor. Always there: "z"; "done", which rows can gain nothing more.
State = dict[str, Tensor]

# The share of the tolerance at which a row is done: measured again, among other rows, it differs by rounding.
_MARGIN = 0.9
_MAX_CUTS = 40
_DEEPEST_CUT = 1 / 16


class Method(Protocol):
    """A way to go from one iterate to the next, for all rows at once."""

    def start(self, problem: Problem, penalty: Penalty, z: Tensor) -> State:
        """The state before the first step."""

    def step(self, problem: Problem, penalty: Penalty, state: State, t: int) -> State:
        """The state after step ``t``, counted from 0; rows that are done need not move."""


def proximal_step(
    problem: Problem, penalty: Penalty, z: Tensor, loss: Tensor, slope: Tensor, step: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One proximal gradient step of every row, cut until the quadratic model bounds the loss.

    Returns the new points, their losses and the steps ``(P,)`` that were taken: 0 for a row that no step
    serves, which stays.
    """
    slack = rounding(problem, loss)
    step, new, new_loss = step.clone(), z.clone(), loss.clone()
    rows = torch.arange(len(z), device=z.device)
    for _ in range(_MAX_CUTS):
        t = step[rows]
        trial = penalty.prox(z - t.unsqueeze(-1) * slope, t.unsqueeze(-1))
        trial_loss = problem.loss(trial)
        change = trial - z
        bound = change.square().sum(-1) / (2 * t)
        excess = trial_loss - loss - (slope * change).sum(-1)
        # Where rounding hides what the losses say, the gradients are asked.
        hidden = (bound < slack).nonzero().squeeze(-1)
        if len(hidden):
            _, slope_there = problem.select(hidden).loss_and_gradient(trial[hidden])
            excess[hidden] = ((slope_there - slope[hidden]) * change[hidden]).sum(-1) / 2
        good = excess <= bound
        taken = rows[good]
        new[taken], new_loss[taken] = trial[good], trial_loss[good]
        left = (~good).nonzero().squeeze(-1)
        if not len(left):
            break
        # The step that would have been safe for a parabola through what was seen.
        cut = (bound / excess).nan_to_num(nan=_DEEPEST_CUT).clamp(_DEEPEST_CUT, 1 / 2)
        rows = rows[left]
        step[rows] *= cut[left]
        problem, penalty = problem.select(left), penalty.select(left)
        z, loss, slope, slack = z[left], loss[left], slope[left], slack[left]
    else:
        step[rows] = 0
    return new, new_loss, step


def rounding(problem: Problem, loss: Tensor) -> Tensor:
    """How well a loss is known, given the rounding of the measurements that it compares."""
    return 8 * torch.finfo(loss.dtype).eps * (loss + loss.sqrt() * problem.scale)


def gain(problem: Problem, penalty: Penalty, z: Tensor, slope: Tensor, new: Tensor, step: Tensor) -> Tensor:
    r"""What a proximal step to ``new`` of length t gains in its model, as a root and a share of the scale.

    The model's gain is :math:`-\langle g, \Delta\rangle - \|\Delta\|^2/2t + h(z) - h(z + \Delta)` with the
    penalty h; for no penalty :math:`t\|g\|^2/2`. It grows with t, and has the units of the objective: the
    root of its share in the squared scale has none.
    """
    change = new - z
    decrease = (penalty.drop(z, new) - slope * change).sum(-1) - change.square().sum(-1) / (2 * step)
    return decrease.clamp(min=0).sqrt() / problem.scale


def curvature_along(problem: Problem, z: Tensor, direction: Tensor) -> Tensor:
    """The curvature of the linearised data term along a direction; zero along the zero direction."""
    direction, _ = _normed(direction)
    length = direction.square().sum(-1)
    return 2 * problem.measured(z, direction).square().sum(-1) / torch.where(length > 0, length, 1)


def _normed(direction: Tensor) -> tuple[Tensor, Tensor]:
    """A direction with its largest entry 1, lest its square leave the dtype's range, and that entry."""
    peak = direction.abs().amax(-1)
    peak = torch.where(peak > 0, peak, 1)
    return direction / peak.unsqueeze(-1), peak


def stationarity(problem: Problem, penalty: Penalty, z: Tensor, loss: Tensor, slope: Tensor) -> Tensor:
    """What the best step along the gradient would gain, see ``gain``: zero at stationary points only."""
    steepest, peak = _normed(slope + penalty.gradient(z))
    length = steepest.square().sum(-1)
    # No step can gain more than everything: that bounds it where no curvature does.
    most = 2 * (loss + penalty.value(z)) / peak / peak / torch.where(length > 0, length, 1)
    curvature = curvature_along(problem, z, steepest)
    step = torch.where(curvature * most > 1, 1 / curvature, most)
    step = torch.where(step > 0, step, 1)
    new = penalty.prox(z - step.unsqueeze(-1) * slope, step.unsqueeze(-1))
    return gain(problem, penalty, z, slope, new, step)


def settled(problem: Problem, penalty: Penalty, z: Tensor, asked: Tensor, tol: float) -> Tensor:
    """Which of the rows that are ``asked`` about are stationary at ``z``; to ask costs as much as a step."""
    rows = asked.nonzero().squeeze(-1)
    if not len(rows):
        return asked
    problem, penalty, z = problem.select(rows), penalty.select(rows), z[rows]
    found = stationarity(problem, penalty, z, *problem.loss_and_gradient(z)) <= _MARGIN * tol
    return asked.index_copy(0, rows, found)


def suggested_step(problem: Problem, penalty: Penalty, z: Tensor, slope: Tensor) -> Tensor:
    """A first step for backtracking: the inverse of the curvature along the steepest descent."""
    curvature = curvature_along(problem, z, slope + penalty.gradient(z))
    return torch.where(curvature > 0, 1 / curvature, 1)
