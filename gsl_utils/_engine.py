"""The one loop behind every recovery: it drives all rows, lets the converged leave, prunes the hopeless."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils._problem import Problem
from gsl_utils._steps import Method, State
from gsl_utils.penalties import Penalty

__all__ = ["Callback", "Outcome", "run"]

# Called after every step with its number, the rows still at work, and their latent vectors.
Callback = Callable[[int, Tensor, Tensor], None]

# Rows that are done are frozen at once; they leave when they are so many that copying the rest pays.
_LEAVE_AT = 1 / 8


@dataclass
class Outcome:
    """Where every row ended: its point, its steps, and whether pruning dropped it."""

    z: Tensor
    n_iter: Tensor
    dropped: Tensor


class _Run:
    def __init__(self, problem: Problem, penalty: Penalty, method: Method, z: Tensor, signal: Tensor) -> None:
        self.problem, self.penalty, self.method = problem, penalty, method
        self.rows = torch.arange(len(z), device=z.device)
        self.signal = signal
        self.state: State = method.start(problem, penalty, z)
        self.left = torch.zeros(len(z), dtype=torch.bool, device=z.device)  # done, but still in the batch
        self.outcome = Outcome(
            z.clone(),
            torch.zeros(len(z), dtype=torch.int64, device=z.device),
            torch.zeros(len(z), dtype=torch.bool, device=z.device),
        )

    def objective(self, z: Tensor) -> Tensor:
        return self.problem.loss(z) + self.penalty.value(z)

    def flip(self) -> None:
        """Take -z where that is lower, with everything that was learnt about the way."""
        z = self.state["z"]
        lower = self.objective(-z) < self.objective(z)
        sign = torch.where(lower, -1, 1).to(z.dtype).unsqueeze(-1)
        for name in ("z", "ahead", "first"):
            if name in self.state:
                self.state[name] = sign * self.state[name]
        if "objective" in self.state:
            self.state["objective"] = self.objective(self.state["z"])

    def step(self, t: int) -> None:
        self.state = self.method.step(self.problem, self.penalty, self.state, t)
        fresh = self.state["done"] & ~self.left
        if bool(fresh.any()):
            self._write(fresh, t + 1)
            self.left |= fresh
            if _LEAVE_AT * len(self.rows) <= int(self.left.sum()) < len(self.rows):
                self._select((~self.left).nonzero().squeeze(-1))

    def prune(self, t: int, keep: int) -> None:
        """Of every signal's restarts, those of lowest objective stay."""
        objective = self.objective(self.state["z"]).nan_to_num(nan=torch.inf)
        order = objective.argsort(stable=True)
        order = order[self.signal[self.rows[order]].argsort(stable=True)]
        owner = self.signal[self.rows[order]]
        place = torch.arange(len(owner), device=owner.device) - torch.searchsorted(owner, owner)
        loses = torch.zeros(len(owner), dtype=torch.bool, device=owner.device)
        loses[order[place >= keep]] = True
        loses &= ~self.left
        self.outcome.dropped[self.rows[loses]] = True
        self._write(loses, t + 1)
        self._select((~loses & ~self.left).nonzero().squeeze(-1))

    def finish(self, t: int) -> Outcome:
        self._write(~self.left, t)
        return self.outcome

    def _write(self, mask: Tensor, n_iter: int) -> None:
        rows = self.rows[mask]
        self.outcome.z[rows] = self.state["z"][mask]
        self.outcome.n_iter[rows] = n_iter

    def _select(self, keep: Tensor) -> None:
        self.rows, self.left = self.rows[keep], self.left[keep]
        self.state = {name: value[keep] for name, value in self.state.items()}
        self.problem, self.penalty = self.problem.select(keep), self.penalty.select(keep)


def run(
    problem: Problem,
    penalty: Penalty,
    method: Method,
    z: Tensor,
    steps: int,
    *,
    signal: Tensor,
    flip: bool = False,
    prune: Mapping[int, int] | None = None,
    callback: Callback | None = None,
) -> Outcome:
    """At most ``steps`` steps of every row from ``z (P, k)``.

    ``signal (P,)`` says whose restart a row is. ``prune[t]`` is how many restarts of every signal stay after
    ``t`` steps. Rows never meet: what one row becomes does not depend on which others are there.
    """
    batch = _Run(problem, penalty, method, z, signal)
    prune = prune or {}
    t = 0
    for t in range(1, steps + 1):
        if flip:
            batch.flip()
        batch.step(t - 1)
        if t in prune and t < steps and len(batch.rows):
            batch.prune(t - 1, prune[t])
        if callback is not None:
            callback(t, batch.rows[~batch.left], batch.state["z"][~batch.left])
        if bool(batch.left.all()):
            break
    return batch.finish(t)
