"""Every refusal of bad input: each says which argument it was, what it was, and what it must be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

import torch
from torch import Tensor

__all__ = [
    "choice",
    "device",
    "finite",
    "flag",
    "floating_dtype",
    "floats",
    "images",
    "integer",
    "level",
    "linear_system",
    "matrix",
    "per_signal",
    "random_source",
    "real",
    "real_dtype",
    "representable",
    "same_kind",
    "same_shape",
    "signals",
]


_DTYPES = (torch.float32, torch.float64)


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape))


def real_dtype(name: str, value: object) -> Tensor:
    """A dense tensor that holds its numbers, in one of the two dtypes that everything works in."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a torch.Tensor of floats.")
    if value.is_nested or value.layout != torch.strided:
        kind = "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
        raise TypeError(f"{name} is a {kind} tensor; it must be dense.")
    if value.dtype not in _DTYPES:
        raise TypeError(f"{name} has dtype {value.dtype}; it must be torch.float32 or torch.float64.")
    return value


def floats(name: str, value: object) -> Tensor:
    """A tensor of floats, finite and not empty."""
    tensor = real_dtype(name, value)
    if tensor.device.type == "meta":
        raise TypeError(f"{name} is on the device meta, which holds no numbers; it must be on another.")
    if tensor.numel() == 0:
        raise ValueError(
            f"{name} is empty: its shape is {_shape(tensor)}; every dimension must be at least 1."
        )
    return finite(name, tensor)


def finite(name: str, tensor: Tensor) -> Tensor:
    """A tensor without NaN or infinite entries."""
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name} holds NaN or infinite entries; all of its entries must be finite.")
    return tensor


def representable(name: str, value: Tensor) -> Tensor:
    """A result that did not leave its dtype's range, which finite input can make it do."""
    if not bool(torch.isfinite(value).all()):
        raise ValueError(
            f"{name} is too large for {value.dtype}, whose largest number is "
            f"{torch.finfo(value.dtype).max:.2g}; the arguments must be in other units."
        )
    return value


def signals(name: str, value: object, last: str = "n") -> Tensor:
    """A batch of vectors ``(..., last)``."""
    tensor = floats(name, value)
    if tensor.ndim < 1:
        raise ValueError(f"{name} is a scalar; it must have shape (..., {last}).")
    return tensor


def images(name: str, value: object, shape: Sequence[int]) -> Tensor:
    """A batch of images of ``shape``, flattened by rows or not; it is returned flattened."""
    tensor = signals(name, value, "height * width")
    height, width = shape
    if tensor.shape[-1] == height * width:
        return tensor
    if tuple(tensor.shape[-2:]) == (height, width):
        return tensor.flatten(-2)
    raise ValueError(
        f"{name} has {tensor.shape[-1]} entries in its last dimension; "
        f"shape {(height, width)} says that it must have {height * width}, or be (..., {height}, {width})."
    )


def matrix(name: str, value: object) -> Tensor:
    """A matrix, or one per signal: ``(..., m, n)``."""
    tensor = floats(name, value)
    if tensor.ndim < 2:
        raise ValueError(
            f"{name} has shape {_shape(tensor)}; it must be a matrix (m, n) or one per signal (..., m, n)."
        )
    return tensor


def same_kind(**tensors: Tensor) -> None:
    """All tensors share one dtype and one device."""
    (first, reference), *others = tensors.items()
    for name, tensor in others:
        if tensor.dtype != reference.dtype:
            raise TypeError(
                f"{first} has dtype {reference.dtype} and {name} has {tensor.dtype}; they must be the same."
            )
        if tensor.device != reference.device:
            raise TypeError(
                f"{first} is on {reference.device} and {name} on {tensor.device}; it must be one device."
            )


def same_shape(**tensors: Tensor) -> None:
    """All tensors have one shape, dtype and device."""
    same_kind(**tensors)
    (first, reference), *others = tensors.items()
    for name, tensor in others:
        if tensor.shape != reference.shape:
            raise ValueError(
                f"{first} has shape {_shape(reference)} and {name} {_shape(tensor)}; they must be the same."
            )


def linear_system(
    matrix_name: str, a: object, vector_name: str, v: object, side: str
) -> tuple[Tensor, Tensor, torch.Size]:
    """A matrix and vectors that go with it: measurements match its "rows", signals its "columns".

    Returns the two tensors and the shape of the batch that they broadcast to.
    """
    table = matrix(matrix_name, a)
    axis, letter = (-2, "m") if side == "rows" else (-1, "n")
    vectors = signals(vector_name, v, letter)
    same_kind(**{vector_name: vectors, matrix_name: table})
    if vectors.shape[-1] != table.shape[axis]:
        raise ValueError(
            f"{vector_name} has shape {_shape(vectors)} and {matrix_name} has {_shape(table)}; "
            f"the last dimension of {vector_name} must be {letter} = {table.shape[axis]}, "
            f"the number of {side} of {matrix_name}."
        )
    try:
        batch = torch.broadcast_shapes(table.shape[:-2], vectors.shape[:-1])
    except RuntimeError:
        raise ValueError(
            f"{matrix_name} has shape {_shape(table)} and {vector_name} has {_shape(vectors)}; their leading "
            "dimensions must broadcast: one matrix for all signals, or one per signal."
        ) from None
    return table, vectors, batch


def integer(name: str, value: object, low: int, high: int | None = None, why: str = "") -> int:
    """An integer in ``[low, high]``; ``why`` says what sets the upper end."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is {value!r}; it must be an integer.")
    number = int(value)
    if number < low or (high is not None and number > high):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} is {number}; it must be {bounds}{why and f', {why}'}.")
    return number


def _outside(number: float, above: float | None, low: float | None) -> str:
    """What a number must be, when it is not."""
    if above is not None and not number > above:
        return f"above {above:g}"
    if low is not None and not number >= low:
        return f"at least {low:g}"
    return "" if math.isfinite(number) else "finite"


def real(name: str, value: object, *, above: float | None = None, low: float | None = None) -> float:
    """A finite number, strictly above ``above`` or at least ``low`` where they are given."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}; it must be a number.")
    number = float(value)
    if must := _outside(number, above, low):
        raise ValueError(f"{name} is {number:g}; it must be {must}.")
    return number


def per_signal(
    name: str,
    value: object,
    like_name: str,
    like: Tensor,
    batch: torch.Size,
    *,
    above: float | None = None,
    low: float | None = None,
) -> Tensor:
    """A number, or one per signal: returned with shape ``batch``, of the dtype and device of ``like``."""
    if not isinstance(value, Tensor):
        number = real(name, value, above=above, low=low)
        spread = torch.tensor(number, dtype=torch.float64).to(like.dtype)
        if must := _outside(float(spread), above, None):
            raise ValueError(
                f"{name} is {number:g}, which is {float(spread):g} in {like.dtype}; it must be {must}."
            )
        return spread.to(like.device).expand(batch).clone()
    tensor = floats(name, value)
    same_kind(**{like_name: like, name: tensor})
    try:
        spread = tensor.expand(batch)
    except RuntimeError:
        raise ValueError(
            f"{name} has shape {_shape(tensor)}; it must be a number or have shape {tuple(batch)}."
        ) from None
    smallest = float(tensor.min())
    if must := _outside(smallest, above, low):
        raise ValueError(f"{name} has the entry {smallest:g}; all of its entries must be {must}.")
    return spread


def level(name: str, value: object, against_name: str, against: Tensor) -> float | Tensor:
    """A non-negative number, or a tensor of them that broadcasts against another without enlarging it."""
    if not isinstance(value, Tensor):
        return real(name, value, low=0.0)
    tensor = floats(name, value)
    same_kind(**{against_name: against, name: tensor})
    smallest = float(tensor.min())
    if must := _outside(smallest, None, 0.0):
        raise ValueError(f"{name} has the entry {smallest:g}; all of its entries must be {must}.")
    try:
        tensor.expand(against.shape)
    except RuntimeError:
        raise ValueError(
            f"{name} has shape {_shape(tensor)}; it must broadcast to {_shape(against)}."
        ) from None
    return tensor


def choice(name: str, value: object, options: Sequence[str]) -> str:
    """One of a few words."""
    if value not in options:
        listed = ", ".join(repr(option) for option in options)
        raise ValueError(f"{name} is {value!r}; it must be one of {listed}.")
    return str(value)


def flag(name: str, value: object) -> bool:
    """True or False, and nothing that only looks like it."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it must be True or False.")
    return value


def floating_dtype(name: str, value: object) -> torch.dtype:
    """One of the two dtypes that everything works in."""
    if not isinstance(value, torch.dtype) or value not in _DTYPES:
        raise TypeError(f"{name} is {value!r}; it must be torch.float32 or torch.float64.")
    return value


def device(name: str, value: object, *, meta: bool = False) -> torch.device:
    """A device that is there: torch's cpu for None; ``meta`` is to allow the one that holds no numbers."""
    if value is None:
        return torch.device("cpu")
    if not isinstance(value, str | torch.device):
        raise TypeError(f"{name} is {value!r}; it must be a torch.device, its name or None.")
    try:
        place = torch.device(value)
        torch.empty(0, device=place)
    except Exception as error:  # each backend says in its own way that it is not there
        raise ValueError(f"{name} is {str(value)!r}; it must be a device of this machine.") from error
    if place.type == "meta" and not meta:
        raise ValueError(f"{name} is {str(value)!r}, which holds no numbers; it must be another.")
    return place


def random_source(value: object) -> torch.Generator | None:
    """A generator, or None for torch's own."""
    if value is not None and not isinstance(value, torch.Generator):
        raise TypeError(f"generator is a {type(value).__name__}; it must be a torch.Generator or None.")
    return value
