"""A race: several methods get the same problems in one process, timed by the processor, not by the clock."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, Self

import torch

from benchmarks.timing import least_seconds, product_rate

__all__ = ["Method", "Problem", "Row", "Task", "lacking", "race", "tuned"]

# The seed of the problem on which tolerances are chosen and methods are warmed up: never one of a race.
_REHEARSAL = 0
# The share of each bound that a method must reach there.
_MARGIN = 0.5


class Problem(Protocol):
    """A batch of signals to recover, and the judge of an answer."""

    @property
    def dtype(self) -> torch.dtype:
        """In what the work is done."""

    @property
    def signals(self) -> int:
        """How many signals there are."""

    @property
    def operations(self) -> float:
        """The floating-point operations below which nobody can solve all of them: the floor."""

    def take(self, count: int) -> Self:
        """The problem of the first signals alone."""

    def witness(self, answer: Any) -> None:
        """See an answer before any is judged: what it proves of the optimum counts for all."""

    def judge(self, answer: Any) -> dict[str, float]:
        """How wrong an answer is, by measures of which 0 is perfect, each the worst over its signals."""


@dataclass(frozen=True)
class Method:
    """One way to solve a problem.

    Args:
        name: Its name.
        solve: Takes the problem; returns the answer that the problem judges.
        ours: Whether it is the book's own.
        needs: The package that it needs, where not every environment has it.
        setting: How it is set, in words.
        signals: It gets so many signals only, and its time is scaled up to all of them.
        share: It does only this share of the work per signal, and its time is scaled up accordingly.
        warm: Whether one signal is solved before the race, so that compiling costs nothing in it.
        at: Instead of ``solve``: takes the problem and a tolerance.
        tolerances: From loose to tight; the loosest that reaches the task's goal is chosen before the race.
    """

    name: str
    solve: Callable[[Any], Any] | None = None
    ours: bool = False
    needs: str | None = None
    setting: str = ""
    signals: int | None = None
    share: float = 1.0
    warm: bool = True
    at: Callable[[Any, float], Any] | None = None
    tolerances: Sequence[float] = ()

    def solver(self) -> Callable[[Any], Any]:
        """What takes a problem and returns an answer."""
        if self.solve is None:
            raise ValueError(f"{self.name} has no tolerance yet; choose one by tuned(method, task)")
        return self.solve


@dataclass(frozen=True)
class Task:
    """What is raced for.

    Args:
        name: A slug, the name of its table.
        title: What it is, in words.
        draw: Makes the problem from a seed.
        methods: The book's own first, then its peers.
        goal: Measure to the largest value that counts as solved.
    """

    name: str
    title: str
    draw: Callable[[int], Problem]
    methods: Sequence[Method]
    goal: Mapping[str, float]

    def reached(self, errors: Mapping[str, float]) -> bool:
        """Whether an answer with these errors solves the problem; one that is not a number does not."""
        return all(errors[name] <= bound for name, bound in self.goal.items())


@dataclass(frozen=True)
class Row:
    """One method on the problem of one seed.

    Args:
        seconds: Processor seconds for all signals, its least timing, scaled up where it was given less.
        solved: How many signals it was really given.
        floor: The problem's operations over the rate of matrix products measured next to it, in seconds.
        errors: What the problem's judge measured.
        reached: Whether that is within the task's goal.
    """

    method: Method
    seed: int
    seconds: float
    solved: int
    floor: float
    errors: Mapping[str, float]
    reached: bool


def lacking(task: Task) -> list[str]:
    """Return the methods that cannot race here, each with the package that is missing.

    Args:
        task: The task.
    """
    return [
        f"{method.name} (no {method.needs})"
        for method in task.methods
        if method.needs and importlib.util.find_spec(method.needs) is None
    ]


def tuned(method: Method, task: Task, problem: Problem) -> Method:
    """Choose the loosest tolerance with which a method reaches the goal, so that it does no needless work.

    It must reach half of each bound, since the problems of the race are others. Where none does, tightening
    ends when it gains nothing: the loosest is chosen whose worst error is at most twice the smallest.

    Args:
        method: The method.
        task: The task whose goal counts.
        problem: What the tolerances are tried on.

    Returns:
        The method with its tolerance.
    """
    if method.at is None:
        return method
    at, problem = method.at, _given(method, problem)
    excess: list[float] = []
    for tol in method.tolerances:
        answer = at(problem, tol)
        problem.witness(answer)
        errors = problem.judge(answer)
        excess.append(max(errors[name] / bound for name, bound in task.goal.items()))
        if excess[-1] <= _MARGIN:
            break
    enough = max(_MARGIN, 2 * min(excess))
    tol = next(tol for tol, worst in zip(method.tolerances, excess, strict=False) if worst <= enough)
    setting = f"{method.setting}, tol={tol:.0e}" if method.setting else f"tol={tol:.0e}"
    return replace(method, solve=lambda problem: at(problem, tol), setting=setting)


def race(task: Task, seeds: Sequence[int]) -> list[Row]:
    """Let the methods that can run here solve the same problems, one after the other.

    Args:
        task: The task.
        seeds: One problem for each; none may be 0, on which tolerances are chosen.

    Returns:
        One row for each seed and method.
    """
    if _REHEARSAL in seeds:
        raise ValueError(f"seeds hold {_REHEARSAL}; tolerances were chosen on it, and it must be fresh")
    missing = {text.rpartition(" (")[0] for text in lacking(task)}
    rehearsal = task.draw(_REHEARSAL)
    methods = [tuned(method, task, rehearsal) for method in task.methods if method.name not in missing]
    one = rehearsal.take(1)
    for method in methods:
        if method.warm:
            method.solver()(one)
    return [row for seed in seeds for row in _one_seed(task, methods, seed)]


def _one_seed(task: Task, methods: Sequence[Method], seed: int) -> list[Row]:
    whole = task.draw(seed)
    floor = whole.operations / product_rate(whole.dtype)
    given = [_given(method, whole) for method in methods]
    timed = [
        least_seconds(partial(method.solver(), problem))
        for method, problem in zip(methods, given, strict=True)
    ]
    for problem, (_, answer) in zip(given, timed, strict=True):
        problem.witness(answer)
    rows = []
    for method, problem, (seconds, answer) in zip(methods, given, timed, strict=True):
        errors = problem.judge(answer)
        scaled = seconds * whole.signals / problem.signals / method.share
        rows.append(Row(method, seed, scaled, problem.signals, floor, errors, task.reached(errors)))
    return rows


def _given(method: Method, problem: Problem) -> Problem:
    return problem if method.signals is None else problem.take(min(method.signals, problem.signals))
