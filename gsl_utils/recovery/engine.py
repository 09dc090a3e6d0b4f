"""The one loop behind every recovery: it drives all rows, lets the converged leave, prunes the hopeless."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gsl_utils.recovery.penalties import Penalty, Weighted
from gsl_utils.recovery.problem import Problem
from gsl_utils.recovery.steps import Method, State, curvature_along

__all__ = ["Callback", "Plan", "run"]

# Called after every step with its number, the rows that took it, and their latent vectors.
Callback = Callable[[int, Tensor, Tensor], None]


@dataclass(frozen=True)
class Plan:
    """What a run does beside its method's steps.

    ``prune[t]`` is how many of the ``restarts`` of every signal go on after ``t`` steps. The penalty's weight
    descends to its own in ``stages``.
    """

    steps: int
    restarts: int = 1
    flip: bool = False
    stages: int = 0
    prune: Mapping[int, int] = field(default_factory=dict)
    callback: Callback | None = None


class _Path:
    """The way down to the asked weight: every row at its own pace, all in at most half the steps."""

    def __init__(self, highest: Tensor, plan: Plan) -> None:
        self.highest, self.stages, self.share = highest, plan.stages, plan.steps // (2 * plan.stages)
        self.stage = torch.where(highest > 1, 0, self.stages)
        self.spent = torch.zeros_like(self.stage)

    def factor(self) -> Tensor:
        """By how much each row's weight is still above its own, ``(P, 1)``."""
        power = 1 - self.stage.to(self.highest.dtype) / self.stages
        return (self.highest**power).unsqueeze(-1)

    def advance(self, done: Tensor) -> Tensor:
        """Which rows go to their next stage, whether by being done with this one or by its share of steps."""
        self.spent = self.spent + 1
        on = (done | (self.spent >= self.share)) & (self.stage < self.stages)
        self.stage, self.spent = self.stage + on.long(), torch.where(on, 0, self.spent)
        return on

    def select(self, keep: Tensor) -> None:
        """Only the chosen rows."""
        self.highest, self.stage, self.spent = self.highest[keep], self.stage[keep], self.spent[keep]


class _Run:
    def __init__(self, problem: Problem, penalty: Penalty, method: Method, z: Tensor, plan: Plan) -> None:
        self.whole = problem, penalty
        self.problem, self.asked, self.method, self.plan = problem, penalty, method, plan
        self.z, self.n_iter = z.clone(), torch.zeros(len(z), dtype=torch.int64, device=z.device)
        self.rows = torch.arange(len(z), device=z.device)
        self.path: _Path | None = None
        if isinstance(penalty, Weighted) and 0 < 2 * plan.stages <= plan.steps:
            _, slope = problem.loss_and_gradient(z)
            highest = penalty.ruling(slope, curvature_along(problem, z, slope)).clamp(min=1)
            self.path = _Path(highest, plan)
        self.penalty = self._current()
        self.state: State = method.start(problem, self.penalty, z)

    def flip(self) -> None:
        """Begin anew from -z where that is lower."""
        z = self.state["z"]
        here, there = (self.problem.loss(point) + self.penalty.value(point) for point in (z, -z))
        self._begin(there < here, -z)

    def step(self, t: int) -> None:
        """One step of every row; a row that leaves the numbers stays where it last was, and is done."""
        before = self.state["z"]
        self.state = self.method.step(self.problem, self.penalty, self.state, t)
        z = self.state["z"]
        if math.isfinite(float(z.sum())):
            return
        lost = ~torch.isfinite(z).all(-1)
        self.state["z"] = torch.where(lost.unsqueeze(-1), before, z)
        self.state["done"] = self.state["done"] | lost

    def leave(self, t: int) -> None:
        """Rows that are done go to the next stage of the penalty, or out of the batch."""
        if self.path is not None:
            on = self.path.advance(self.state["done"])
            self.penalty = self._current()
            self._begin(on, self.state["z"])
        if bool(self.state["done"].any()):
            self._keep(~self.state["done"], t)

    def prune(self, t: int) -> None:
        """Of every signal's restarts only the best go on, whether or not others have finished before."""
        self._write(t)
        problem, penalty = self.whole
        objective = (problem.loss(self.z) + penalty.value(self.z)).nan_to_num(nan=torch.inf)
        order = objective.view(-1, self.plan.restarts).argsort(stable=True, dim=-1)
        rank = order.argsort(-1).flatten()
        self._keep(rank[self.rows] < self.plan.prune[t], t)

    def finish(self, t: int) -> tuple[Tensor, Tensor]:
        """Where every row ended, and after how many steps."""
        self._write(t)
        return self.z, self.n_iter

    def _current(self) -> Penalty:
        if self.path is None or not isinstance(self.asked, Weighted):
            return self.asked
        return self.asked.scaled(self.path.factor())

    def _begin(self, where: Tensor, z: Tensor) -> None:
        """A new start of the method for some rows."""
        rows = where.nonzero().squeeze(-1)
        if not len(rows):
            return
        fresh = self.method.start(self.problem.select(rows), self.penalty.select(rows), z[rows])
        for name, value in fresh.items():
            self.state[name] = self.state[name].index_copy(0, rows, value)

    def _write(self, t: int) -> None:
        self.z[self.rows], self.n_iter[self.rows] = self.state["z"], t

    def _keep(self, mask: Tensor, t: int) -> None:
        self._write(t)
        keep = mask.nonzero().squeeze(-1)
        self.rows = self.rows[keep]
        self.state = {name: value[keep] for name, value in self.state.items()}
        if not len(keep):
            return
        self.problem, self.asked = self.problem.select(keep), self.asked.select(keep)
        if self.path is not None:
            self.path.select(keep)
        self.penalty = self._current()


def run(problem: Problem, penalty: Penalty, method: Method, z: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """Where every row ends that starts from ``z (P, k)``, and after how many steps; at most the plan's.

    The restarts of a signal are together. Rows never meet: what becomes of one does not depend on which
    others are there, but for restarts of one signal that are pruned against each other.
    """
    batch = _Run(problem, penalty, method, z, plan)
    t = 0
    if 0 in plan.prune:
        batch.prune(0)
    for t in range(1, plan.steps + 1):
        if plan.flip:
            batch.flip()
        batch.step(t - 1)
        if plan.callback is not None:
            plan.callback(t, batch.rows, batch.state["z"])
        batch.leave(t)
        if t in plan.prune and len(batch.rows):
            batch.prune(t)
        if not len(batch.rows):
            break
    return batch.finish(t)
