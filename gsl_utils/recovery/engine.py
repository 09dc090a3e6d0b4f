"""The one loop behind every recovery: it drives all rows, lets the converged leave, prunes the hopeless."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gsl_utils.common.linear import scaled
from gsl_utils.common.result import Recovery
from gsl_utils.recovery.problem import Problem
from gsl_utils.recovery.rows import Rows
from gsl_utils.recovery.steps import Method, State, overlooked, stationarity

__all__ = ["Callback", "Plan", "best", "run"]

# Called after every step with its number, the rows that took it, and their latent vectors.
Callback = Callable[[int, Tensor, Tensor], None]


@dataclass(frozen=True)
class Plan:
    """What a run does beside its method's steps.

    ``prune[t]`` is how many of the ``restarts`` of every signal go on after ``t`` steps.
    """

    steps: int
    restarts: int = 1
    flip: bool = False
    prune: Mapping[int, int] = field(default_factory=dict)
    callback: Callback | None = None


class _Run:
    def __init__(self, problem: Problem, penalty: Rows, method: Method, z: Tensor, plan: Plan) -> None:
        self.whole = problem, penalty
        self.problem, self.penalty, self.method, self.plan = problem, penalty, method, plan
        self.z, self.n_iter = z.clone(), torch.zeros(len(z), dtype=torch.int64, device=z.device)
        self.rows = torch.arange(len(z), device=z.device)
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
        """Rows that are done go out of the batch."""
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
        self.problem, self.penalty = self.problem.select(keep), self.penalty.select(keep)


def run(problem: Problem, penalty: Rows, method: Method, z: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
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


def best(
    problem: Problem,
    penalty: Rows,
    z: Tensor,
    n_iter: Tensor,
    restarts: int,
    batch: torch.Size,
    tol: float,
) -> Recovery:
    """Of every signal's restarts the one of lowest objective, and honestly whether it is stationary."""
    objective = problem.loss(z) + penalty.value(z)
    ranked = objective.nan_to_num(nan=torch.inf).view(-1, restarts)
    chosen = torch.arange(len(ranked), device=z.device) * restarts + ranked.argmin(-1)
    problem, penalty, z = problem.select(chosen), penalty.select(chosen), z[chosen]
    loss, slope = problem.loss_and_gradient(z)
    converged = stationarity(problem, penalty, z, loss, slope) <= tol
    # Where y is so small beside A that the gain would vanish in any case, nothing is known.
    converged &= tol * problem.scale >= torch.finfo(z.dtype).tiny ** 0.5
    converged &= ~overlooked(problem, penalty, z, objective[chosen], slope, tol)
    total = scaled(objective[chosen], 2 * problem.power)
    converged &= torch.isfinite(total)
    return Recovery(
        x=problem.G(z).reshape(*batch, -1),
        z=z.reshape(*batch, -1),
        objective=total.reshape(batch),
        n_iter=n_iter[chosen].reshape(batch),
        converged=converged.reshape(batch),
    )
