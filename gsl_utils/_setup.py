"""From the arguments of a recovery to the parts of the engine: the start, the method, and every refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gsl_utils import _checks
from gsl_utils._descent import Adam, GradientDescent
from gsl_utils._engine import Callback
from gsl_utils._levenberg import LevenbergMarquardt
from gsl_utils._problem import Generator
from gsl_utils._proximal import ProximalGradient
from gsl_utils._steps import Method
from gsl_utils.penalties import L1, L2, HardSparsity, NoPenalty, Penalty

__all__ = ["check_generator", "default_tolerance", "latent_start", "method_for", "progress_bar"]

_STEPS = {"gd": 1000, "adam": 1000, "prox": 1000, "lm": 50}
_PENALTIES: dict[str, tuple[type, ...]] = {
    "gd": (NoPenalty, L2),
    "adam": (NoPenalty, L2, L1),
    "prox": (NoPenalty, L2, L1, HardSparsity),
    "lm": (NoPenalty, L2),
}
_OPTIONS = {
    "gd": ("lr", "schedule", "tol", "check_every"),
    "adam": ("lr", "schedule", "tol", "check_every", "betas"),
    "prox": ("step0", "tol"),
    "lm": ("damping", "tol"),
}


def default_tolerance(dtype: torch.dtype) -> float:
    """How stationary a point must be to count as converged: what the dtype can show with some room."""
    return 1e-6 if dtype == torch.float64 else 1e-4


def method_for(
    name: str, penalty: Penalty, steps: int | None, dtype: torch.dtype, options: dict[str, Any]
) -> tuple[Method, int, float]:
    """The method with its options, how many steps it may take, and its tolerance."""
    _checks.choice("method", name, tuple(_STEPS))
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
    count = _STEPS[name] if steps is None else _checks.integer("steps", steps, 1)
    tol = _checks.real("tol", options.get("tol", default_tolerance(dtype)), low=0.0)
    if name == "prox":
        return ProximalGradient(tol, _checks.real("step0", options.get("step0", 1.0), above=0.0)), count, tol
    if name == "lm":
        return (
            LevenbergMarquardt(tol, _checks.real("damping", options.get("damping", 1e-2), above=0.0)),
            count,
            tol,
        )
    schedule = _checks.choice("schedule", options.get("schedule", "constant"), ("constant", "cosine"))
    every = _checks.integer("check_every", options.get("check_every", 50), 1)
    lr = options.get("lr", None if name == "gd" else 0.01)
    if lr is not None:
        lr = _checks.real("lr", lr, above=0.0)
    elif name == "adam":
        raise TypeError("lr is None; for method 'adam' it must be a positive number.")
    if name == "gd":
        return GradientDescent(count, tol, lr, schedule, every), count, tol
    b1, b2 = options.get("betas", (0.9, 0.999))
    for beta in (b1, b2):
        if not 0 <= _checks.real("betas", beta) < 1:
            raise ValueError(f"betas is {(b1, b2)}; both must be in [0, 1).")
    return Adam(count, tol, lr, schedule, every, (float(b1), float(b2))), count, tol


def check_generator(generator: Generator, y: Tensor) -> None:
    """Refuse a generator whose weights differ from y, or whose rows would see each other."""
    if not callable(generator):
        raise TypeError(f"G is a {type(generator).__name__}; it must be callable: z (..., k) -> x (..., n).")
    if not isinstance(generator, torch.nn.Module):
        return
    for name, weight in generator.named_parameters():
        if weight.dtype != y.dtype or weight.device != y.device:
            raise TypeError(
                f"G's parameter {name} has dtype {weight.dtype} on {weight.device}; it must have y's, "
                f"{y.dtype} on {y.device}: call G.to(y)."
            )
    for name, module in generator.named_modules():
        mixes = isinstance(
            module, torch.nn.modules.batchnorm._BatchNorm | torch.nn.modules.dropout._DropoutNd
        )
        if mixes and module.training:
            raise ValueError(
                f"G's layer {name} is a {type(module).__name__} in training mode, which mixes the signals of a "
                "batch or is random; it must be in evaluation mode: call G.eval()."
            )


def latent_start(
    generator: Generator,
    z0: Tensor | None,
    y: Tensor,
    batch: torch.Size,
    restarts: int,
    source: torch.Generator | None,
) -> Tensor:
    """The start of every problem, ``(N restarts, k)`` with the restarts of a signal next to each other."""
    count = batch.numel()
    if z0 is None:
        k = getattr(generator, "latent_dim", None)
        if k is None:
            raise ValueError(
                "z0 is None and G has no latent_dim; one of them must say how long a latent vector is."
            )
        device = y.device if source is None else source.device
        z = torch.randn((count * restarts, int(k)), generator=source, dtype=y.dtype, device=device)
        return z.to(y.device)
    z0 = _checks.signals("z0", z0, "k")
    _checks.same_kind(y=y, z0=z0)
    k = z0.shape[-1]
    for shape, spread in (((*batch, restarts, k), z0), ((*batch, k), z0.unsqueeze(-2))):
        if restarts == 1 and shape == (*batch, 1, k) and z0.ndim <= len(batch) + 1 and z0.ndim != len(shape):
            continue
        if z0.shape == shape or (z0.ndim <= 1 and shape == (*batch, k)):
            return spread.expand(*batch, restarts, k).reshape(-1, k)
    raise ValueError(
        f"z0 has shape {tuple(z0.shape)}; it must be (k,), {(*batch, 'k')} or {(*batch, restarts, 'k')}: "
        "one start for all, one per signal, or one per restart."
    )


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
