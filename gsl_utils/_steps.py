"""What all methods share: the state of a run, one backtracked step, and how stationary a point is."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gsl_utils._problem import Problem
from gsl_utils.penalties import Penalty

__all__ = ["LONGEST", "MARGIN", "Method", "State", "proximal_step", "stationarity"]

# One row per problem in every tensor. Always there: "z"; "done", which rows have converged.
State = dict[str, Tensor]

# A first step that no problem needs; what is too long is halved.
LONGEST = 2.0**20
# The share of the tolerance at which a method stops: the check of what it returns may take a longer step,
# and must agree.
MARGIN = 0.25
_MAX_HALVINGS = 80


class Method(Protocol):
    """A way to go from one iterate to the next, for all rows at once."""

    def start(self, problem: Problem, penalty: Penalty, z: Tensor) -> State:
        """The state before the first step."""

    def step(self, problem: Problem, penalty: Penalty, state: State, t: int) -> State:
        """The state after step ``t``; rows that are done do not move."""


def proximal_step(
    problem: Problem, penalty: Penalty, z: Tensor, loss: Tensor, gradient: Tensor, step: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One proximal gradient step of every row, halved until the quadratic model bounds the loss.

    Returns the new points, their losses and the steps ``(P,)`` that were taken.
    """
    slack = 8 * torch.finfo(z.dtype).eps
    step, new, new_loss = step.clone(), z.clone(), loss.clone()
    rows = torch.arange(len(z), device=z.device)
    for _ in range(_MAX_HALVINGS):
        t = step[rows].unsqueeze(-1)
        trial = penalty.prox(z - t * gradient, t)
        trial_loss = problem.loss(trial)
        change = trial - z
        model = loss + (gradient * change).sum(-1) + change.square().sum(-1) / (2 * step[rows])
        good = trial_loss <= model + slack * loss.abs()
        new[rows], new_loss[rows] = trial, trial_loss
        left = (~good).nonzero().squeeze(-1)
        if not len(left):
            break
        rows = rows[left]
        step[rows] /= 2
        problem, penalty = problem.select(left), penalty.select(left)
        z, loss, gradient = z[left], loss[left], gradient[left]
    return new, new_loss, step


def stationarity(problem: Problem, z: Tensor, new: Tensor, step: Tensor) -> Tensor:
    r"""What a further step would gain, as a share of the measurements: zero at stationary points only.

    A proximal gradient step of length t lowers the objective by about :math:`\|z - z^+\|^2/2t`; this is the
    square root of that over :math:`\|y\|`, which has no units.
    """
    gain = (new - z).norm(dim=-1) / (2 * step).sqrt()
    return gain / problem.y.norm(dim=-1).clamp(min=torch.finfo(z.dtype).tiny)
