"""From the arguments of a recovery to the parts of the engine: the method, the pruning, the progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.recovery.engine import Callback
from gsl_utils.recovery.methods.descent import Adam, BacktrackedDescent, GradientDescent
from gsl_utils.recovery.methods.levenberg import LevenbergMarquardt
from gsl_utils.recovery.methods.proximal import ProximalGradient
from gsl_utils.recovery.penalties import L1, L2, HardSparsity, NoPenalty, Penalty
from gsl_utils.recovery.steps import Method

__all__ = ["default_tolerance", "method_for", "progress_bar", "pruning"]

_STEPS = {"gd": 1000, "adam": 1000, "prox": 1000, "lm": 50}
_PENALTIES: dict[str, tuple[type, ...]] = {
    "gd": (NoPenalty, L2),
    "adam": (NoPenalty, L2, L1),
    "prox": (NoPenalty, L2, L1, HardSparsity),
    "lm": (NoPenalty, L2),
}
_OPTIONS = {
    "gd": ("lr", "schedule", "check_every", "tol"),
    "adam": ("lr", "betas", "schedule", "check_every", "tol"),
    "prox": ("step0", "tol"),
    "lm": ("damping", "tol"),
}


def default_tolerance(dtype: torch.dtype) -> float:
    """How stationary a point must be to count as converged: what the dtype can show with some room."""
    return 1e-6 if dtype == torch.float64 else 1e-4


def method_for(
    name: str, penalty: Penalty, steps: int | None, dtype: torch.dtype, options: dict[str, Any]
) -> tuple[Method, int, float]:
    """The method with its options, how many steps it may take, and the tolerance of ``converged``."""
    checks.choice("method", name, tuple(_STEPS))
    if not isinstance(penalty, _PENALTIES[name]):
        able = ", ".join("None" if kind is NoPenalty else kind.__name__ for kind in _PENALTIES[name])
        raise ValueError(
            f"penalty is {type(penalty).__name__}; for method {name!r} it must be one of {able}."
        )
    unknown = sorted(set(options) - set(_OPTIONS[name]))
    if unknown:
        raise ValueError(
            f"{unknown[0]} is not an option of method {name!r}; "
            f"it must be one of {', '.join(_OPTIONS[name])}."
        )
    count = _STEPS[name] if steps is None else checks.integer("steps", steps, 1)
    tol = checks.real("tol", options.get("tol", default_tolerance(dtype)), low=0.0)
    if not tol and "check_every" in options:
        raise ValueError("check_every is given and tol is 0; where rows are never done it must be left out.")
    return _METHODS[name](count, tol, options), count, tol or default_tolerance(dtype)


def _proximal(steps: int, tol: float, options: dict[str, Any]) -> Method:  # noqa: ARG001
    step0 = options.get("step0")
    return ProximalGradient(tol, None if step0 is None else checks.real("step0", step0, above=0.0))


def _levenberg(steps: int, tol: float, options: dict[str, Any]) -> Method:  # noqa: ARG001
    return LevenbergMarquardt(tol, checks.real("damping", options.get("damping", 1e-2), above=0.0))


def _descent(steps: int, tol: float, options: dict[str, Any]) -> Method:
    if options.get("lr") is None:
        rated = sorted({"schedule", "check_every"} & set(options))
        if rated:
            raise ValueError(f"{rated[0]} is given and lr is not; for backtracked steps it must be left out.")
        return BacktrackedDescent(tol)
    return GradientDescent(steps, tol, *_rate(options["lr"], options))


def _adam(steps: int, tol: float, options: dict[str, Any]) -> Method:
    betas = options.get("betas", (0.9, 0.999))
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"betas is {betas!r}; it must be a pair of numbers.")
    b1, b2 = (checks.real("betas", beta, low=0.0) for beta in betas)
    if max(b1, b2) >= 1:
        raise ValueError(f"betas is {(b1, b2)}; both must be below 1.")
    return Adam(steps, tol, *_rate(options.get("lr", 0.01), options), betas=(b1, b2))


def _rate(lr: object, options: dict[str, Any]) -> tuple[float, str, int]:
    """The rate, its schedule, and how often stationarity is asked for."""
    schedule = checks.choice("schedule", options.get("schedule", "constant"), ("constant", "cosine"))
    every = checks.integer("check_every", options.get("check_every", 50), 1)
    return checks.real("lr", lr, above=0.0), schedule, every


_METHODS: dict[str, Callable[[int, float, dict[str, Any]], Method]] = {
    "gd": _descent,
    "adam": _adam,
    "prox": _proximal,
    "lm": _levenberg,
}


def pruning(prune: Sequence[tuple[int, int]], restarts: int, steps: int) -> dict[int, int]:
    """After which step how many of the restarts of each signal go on."""
    schedule: dict[int, int] = {}
    if not isinstance(prune, tuple | list):
        raise TypeError(
            f"prune is {prune!r}; it must be a list of pairs (after so many steps, keep so many)."
        )
    least, most, why = 0, restarts, "the number of restarts"
    for pair in prune:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"prune holds {pair!r}; it must hold pairs (after so many steps, keep so many).")
        after = checks.integer(
            "prune's step", pair[0], least, steps - 1, "later than the last and before the end"
        )
        schedule[after] = most = checks.integer("prune's number to keep", pair[1], 1, most, why)
        least, why = after + 1, "what the last left"
    if schedule and restarts == 1:
        raise ValueError(f"prune is {prune!r} and every signal has one start; it must be left out.")
    return schedule


def progress_bar(
    wanted: bool, steps: int, callback: Callback | None
) -> tuple[Callback | None, Callable[[], None]]:
    """The callback with a progress bar around it, and what closes the bar."""
    if not wanted:
        return callback, lambda: None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError(
            "progress=True needs the package tqdm: install it, or leave progress off."
        ) from None
    bar = tqdm(total=steps, unit="step")

    def both(t: int, rows: Tensor, z: Tensor) -> None:
        bar.update(1)
        bar.set_postfix(left=len(rows))
        if callback is not None:
            callback(t, rows, z)

    return both, bar.close
