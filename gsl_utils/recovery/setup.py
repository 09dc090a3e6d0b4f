"""From the arguments of a recovery to the parts of the engine: the start, the method, what goes on."""

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
from gsl_utils.recovery.problem import Given
from gsl_utils.recovery.rows import Outsider, Rows
from gsl_utils.recovery.steps import Method

__all__ = ["check_penalty", "latent_start", "method_for", "progress_bar", "pruning"]

_STEPS = {"gd": 1000, "adam": 1000, "prox": 1000, "lm": 50}
_OPTIONS = {
    "gd": ("lr", "schedule", "tol"),
    "adam": ("lr", "schedule", "tol"),
    "prox": ("tol",),
    "lm": ("tol",),
}


def method_for(
    name: str, steps: int | None, dtype: torch.dtype, options: dict[str, Any]
) -> tuple[Method, int, float]:
    """The method with its options, how many steps it may take, and the tolerance of ``converged``."""
    checks.choice("method", name, tuple(_STEPS))
    unknown = sorted(set(options) - set(_OPTIONS[name]))
    if unknown:
        raise ValueError(
            f"{unknown[0]} is not an option of method {name!r}; "
            f"it must be one of {', '.join(_OPTIONS[name])}."
        )
    count = _STEPS[name] if steps is None else checks.integer("steps", steps, 1)
    # What the dtype can show, with some room.
    default = 1e-6 if dtype == torch.float64 else 1e-4
    tol = checks.real("tol", options.get("tol", default), low=0.0)
    return _METHODS[name](count, tol, options), count, tol or default


def _descent(steps: int, tol: float, options: dict[str, Any]) -> Method:
    if options.get("lr") is None:
        if "schedule" in options:
            raise ValueError("schedule is given and lr is not; for backtracked steps it must be left out.")
        return BacktrackedDescent(tol)
    return GradientDescent(steps, tol, *_rate(options["lr"], options))


def _adam(steps: int, tol: float, options: dict[str, Any]) -> Method:
    return Adam(steps, tol, *_rate(options.get("lr", 0.01), options))


def _rate(lr: object, options: dict[str, Any]) -> tuple[float, str]:
    """The rate and its schedule."""
    schedule = checks.choice("schedule", options.get("schedule", "constant"), ("constant", "cosine"))
    return checks.real("lr", lr, above=0.0), schedule


_METHODS: dict[str, Callable[[int, float, dict[str, Any]], Method]] = {
    "gd": _descent,
    "adam": _adam,
    "prox": lambda _steps, tol, _options: ProximalGradient(tol),
    "lm": lambda _steps, tol, _options: LevenbergMarquardt(tol),
}


def check_penalty(penalty: Rows, name: str, method: Method) -> None:
    """Refuse a penalty without what the method needs of it."""
    needed = {"gd": "gradient", "adam": "subgradient", "prox": "prox", "lm": "gradient"}[name]
    has = {"gradient": penalty.smooth, "subgradient": penalty.sloped, "prox": penalty.proximal}
    asking = f"method {name!r}"
    if isinstance(method, BacktrackedDescent) and has["gradient"]:
        needed, asking = "prox", f"{asking} without lr"
    if not has[needed]:
        kind = type(penalty.penalty if isinstance(penalty, Outsider) else penalty).__name__
        raise ValueError(f"penalty is {kind}, which has no {needed}; for {asking} it must have one.")


def latent_start(given: Given, z0: Tensor | None, restarts: int, source: torch.Generator | None) -> Tensor:
    """The start of every problem, ``(P, k)`` with the restarts of a signal together, signal by signal."""
    y, batch, k = given.y, given.batch, getattr(given.G, "latent_dim", None)
    if z0 is None:
        if k is None:
            raise ValueError(
                "z0 is None and G has no latent_dim; one of them must say how long a latent vector is."
            )
        device = y.device if source is None else source.device
        drawn = torch.randn(batch.numel() * restarts, int(k), generator=source, dtype=y.dtype, device=device)
        return drawn.to(y.device)
    z0 = checks.signals("z0", z0, "k").detach().clone()  # a copy is no inference tensor
    checks.same_kind(y=y, z0=z0)
    if k is not None and z0.shape[-1] != k:
        raise ValueError(f"z0 has shape {tuple(z0.shape)}; its last dimension must be G.latent_dim = {k}.")
    k = z0.shape[-1]
    if z0.shape == (*batch, restarts, k):
        return z0.reshape(-1, k)
    if z0.shape in ((k,), (*batch, k)):
        if restarts > 1:
            raise ValueError(
                f"restarts is {restarts} and z0 has shape {tuple(z0.shape)}, one start of a signal; restarts "
                f"must be 1, or z0 {_spelled(batch, restarts)}."
            )
        return z0.expand(*batch, k).reshape(-1, k)
    raise ValueError(
        f"z0 has shape {tuple(z0.shape)}; it must be (k,), {_spelled(batch)} or {_spelled(batch, restarts)}: "
        "one start for all, one per signal, or one per restart."
    )


def _spelled(batch: torch.Size, *more: int) -> str:
    return f"({', '.join(map(str, (*batch, *more, 'k')))}{',' if not (*batch, *more) else ''})"


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
