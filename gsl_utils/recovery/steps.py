"""What all methods share: the state of a run, one backtracked step, and how stationary a point is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from gsl_utils.common.linear import square_root
from gsl_utils.recovery.problem import Problem
from gsl_utils.recovery.rows import Rows

__all__ = [
    "Method",
    "State",
    "falls_nearby",
    "gain",
    "overlooked",
    "proximal_step",
    "rise",
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
_MAX_SHORTENED = 10
_SHORTER = 0.9  # of the longest step that the curvature allows, lest rounding forbids it


class Method(Protocol):
    """A way to go from one iterate to the next, for all rows at once."""

    def start(self, problem: Problem, penalty: Rows, z: Tensor) -> State:
        """The state before the first step."""

    def step(self, problem: Problem, penalty: Rows, state: State, t: int) -> State:
        """The state after step ``t``, counted from 0; rows that are done need not move."""


def proximal_step(
    problem: Problem, penalty: Rows, z: Tensor, loss: Tensor, slope: Tensor, step: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One proximal gradient step of every row, cut until the quadratic model bounds the loss.

    Returns the new points, their losses and the steps ``(P,)`` that were taken: 0 for a row that no step
    serves, which stays.
    """
    step, new, new_loss = step.clone(), z.clone(), loss.clone()
    rows = torch.arange(len(z), device=z.device)
    for _ in range(_MAX_CUTS):
        t = step[rows]
        trial = penalty.moved(z, slope, t)
        trial_loss = problem.loss(trial)
        change = trial - z
        bound = change.square().sum(-1) / (2 * t)
        excess = rise(problem, z, loss, slope, trial, trial_loss) - (slope * change).sum(-1)
        good = excess <= bound
        taken = rows[good]
        new[taken], new_loss[taken] = trial[good], trial_loss[good]
        left = (~good).nonzero().squeeze(-1)
        if not len(left):
            break
        # Safe for a parabola through what was seen; at just that step rounding would decide for a true one.
        cut = (_SHORTER * bound / excess).nan_to_num(nan=_DEEPEST_CUT).clamp(_DEEPEST_CUT, 1 / 2)
        rows = rows[left]
        step[rows] *= cut[left]
        problem, penalty = problem.select(left), penalty.select(left)
        z, loss, slope = z[left], loss[left], slope[left]
    else:
        step[rows] = 0
    return new, new_loss, step


def rounding(problem: Problem, loss: Tensor) -> Tensor:
    """How well a loss is known, given the rounding of the measurements that it compares."""
    return 8 * torch.finfo(loss.dtype).eps * (loss + square_root(loss) * problem.scale)


def rise(
    problem: Problem, z: Tensor, loss: Tensor, slope: Tensor, trial: Tensor, trial_loss: Tensor
) -> Tensor:
    """By how much the data term rises from ``z`` to a trial; by its slopes where rounding hides it.

    Source: the approximate condition of Hager and Zhang (2005).
    """
    up = trial_loss - loss
    hidden = (up.abs() < rounding(problem, loss)).nonzero().squeeze(-1)
    if len(hidden):
        _, there = problem.select(hidden).loss_and_gradient(trial[hidden])
        mean_slope = (slope[hidden] + there) / 2
        up[hidden] = (mean_slope * (trial - z)[hidden]).sum(-1)
    return up


def gain(problem: Problem, penalty: Rows, z: Tensor, slope: Tensor, new: Tensor, step: Tensor) -> Tensor:
    r"""What a proximal step to ``new`` of length t gains in its model, as a root and a share of the scale.

    The model's gain is :math:`-\langle g, \Delta\rangle - \|\Delta\|^2/2t + h(z) - h(z + \Delta)` with the
    penalty h; for no penalty :math:`t\|g\|^2/2`. It grows with t, and has the units of the objective: the
    root of its share in the squared scale has none.
    """
    change = new - z
    decrease = (penalty.drop(z, new) - slope * change).sum(-1) - change.square().sum(-1) / (2 * step)
    return square_root(decrease.clamp(min=0)) / problem.scale


def _curvature_along(problem: Problem, z: Tensor, direction: Tensor) -> Tensor:
    """The curvature of the linearised data term along a direction; zero along the zero direction."""
    direction, _ = _normed(direction)
    length = direction.square().sum(-1)
    return 2 * problem.measured(z, direction).square().sum(-1) / torch.where(length > 0, length, 1)


def _bend(penalty: Rows, z: Tensor, new: Tensor) -> Tensor:
    """The curvature of a penalty that is stepped along its gradient, on the way to ``new``; at least zero."""
    change = new - z
    rise = ((penalty.subgradient(new) - penalty.subgradient(z)) * change).sum(-1).clamp(min=0)
    length = change.square().sum(-1)
    return rise / torch.where(length > 0, length, 1)


def _normed(direction: Tensor) -> tuple[Tensor, Tensor]:
    """A direction with its largest entry 1, lest its square leave the dtype's range, and that entry."""
    peak = direction.abs().amax(-1)
    peak = torch.where(peak > 0, peak, 1)
    return direction / peak.unsqueeze(-1), peak


def stationarity(problem: Problem, penalty: Rows, z: Tensor, loss: Tensor, slope: Tensor) -> Tensor:
    """What a step from here would gain, see ``gain``: zero at stationary points only.

    The step is as long as the linearised data term allows along it. Only what is seen from the point itself
    counts: neither another valley beyond a hill, nor a kink nearby where a line search would find nothing.
    """
    steepest, peak = _normed(slope + penalty.subgradient(z))
    length = steepest.square().sum(-1)
    # No step can gain more than everything: that bounds it where no curvature does.
    most = 2 * (loss + penalty.value(z)) / peak / peak / torch.where(length > 0, length, 1)
    curvature = _curvature_along(problem, z, steepest)
    step = torch.where(curvature * most > 1, _SHORTER / curvature, most)
    step = torch.where(step > 0, step, 1)
    for _ in range(_MAX_SHORTENED):
        new = penalty.moved(z, slope, step)
        curvature = _curvature_along(problem, z, new - z)
        if not penalty.proximal:
            curvature = curvature + _bend(penalty, z, new)
        too_long = curvature * step > 1
        if not bool(too_long.any()):
            break
        step = torch.where(too_long, _SHORTER / curvature, step)
    found = gain(problem, penalty, z, slope, new, step)
    return found if penalty.proximal else torch.where(too_long, torch.inf, found)


def falls_nearby(value: Callable[[Tensor], Tensor], z: Tensor, here: Tensor, least: Tensor) -> Tensor:
    """Where the value ``here (P,)`` at ``z (P, k)`` falls by more than ``least (P,)`` beside it.

    A short step is tried either way along one direction, in which all coordinates take part: torch calls the
    slopes of a ReLU and of a magnitude at zero zero.
    """
    direction = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device).cos()
    reach = z.abs().amax(-1, keepdim=True)
    step = torch.finfo(z.dtype).eps ** (1 / 3) * torch.where(reach > 0, reach, 1) * direction
    lowest = torch.minimum(value(z + step), value(z - step))
    return lowest < here - least


def overlooked(
    problem: Problem, penalty: Rows, z: Tensor, objective: Tensor, slope: Tensor, tol: float
) -> Tensor:
    """Which rows show no slope at all and yet can gain by a short step, as at a kink."""
    flat = ~(slope + penalty.subgradient(z)).any(-1)
    if not bool(flat.any()):
        return flat

    def value(near: Tensor) -> Tensor:
        near = penalty.prox(near, torch.zeros_like(objective).unsqueeze(-1))
        return problem.loss(near) + penalty.value(near)

    least = torch.maximum((tol * problem.scale).square(), rounding(problem, objective))
    return flat & falls_nearby(value, z, objective, least)


def settled(problem: Problem, penalty: Rows, z: Tensor, asked: Tensor, tol: float) -> Tensor:
    """Which of the rows that are ``asked`` about are stationary at ``z``; to ask costs as much as a step."""
    rows = asked.nonzero().squeeze(-1)
    if not len(rows):
        return asked
    problem, penalty, z = problem.select(rows), penalty.select(rows), z[rows]
    found = stationarity(problem, penalty, z, *problem.loss_and_gradient(z)) <= _MARGIN * tol
    return asked.index_copy(0, rows, found)


def suggested_step(problem: Problem, penalty: Rows, z: Tensor, slope: Tensor) -> Tensor:
    """A first step for backtracking: what the curvature along the steepest descent allows."""
    curvature = _curvature_along(problem, z, slope + penalty.subgradient(z))
    return torch.where(curvature > 0, _SHORTER / curvature, 1)
