"""Every refusal of a bad generator, and of what a generator is fed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gsl_utils.common import checks

__all__ = ["Trusted", "check_generator", "fed"]

_MIXING = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd, nn.RReLU)
_trusting: ContextVar[bool] = ContextVar("_trusting", default=False)


@dataclass(frozen=True, eq=False)
class Trusted:
    """A generator inside a search, which copes with NaN itself: a thousand calls need no look at each number.

    Not the generator is marked but the call, so that it reaches modules behind anyone's functions.
    """

    G: Any

    def __call__(self, z: Tensor) -> Tensor:
        """The signals of ``z``."""
        token = _trusting.set(True)
        try:
            x: Tensor = self.G(z)
            return x
        finally:
            _trusting.reset(token)

    @property
    def latent_dim(self) -> int:
        """The generator's, where it has one."""
        dim: int = self.G.latent_dim
        return dim


def fed(name: str, value: object, length: int | None = None, weight: Tensor | None = None) -> Tensor:
    """What a generator is fed: rows of its length, of its weights' dtype and device, finite; maybe none."""
    tensor = checks.real_dtype(name, value)
    if length is not None and tensor.shape[-1:] != (length,):
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}; its last dimension must be {length}.")
    if weight is not None and (tensor.dtype != weight.dtype or tensor.device != weight.device):
        raise TypeError(
            f"{name} has dtype {tensor.dtype} on {tensor.device}; it must have the weights', "
            f"{weight.dtype} on {weight.device}."
        )
    if torch.compiler.is_compiling() or _trusting.get():
        return tensor
    try:
        return checks.finite(name, tensor)
    except RuntimeError:  # inside vmap, and on the device meta, there are no numbers to look at
        return tensor


def check_generator(G: Callable[[Tensor], Tensor], like: Tensor, name: str = "y") -> None:
    """Refuse what cannot be called, weights of another kind than ``like``, and layers that mix signals."""
    if not callable(G):
        raise TypeError(f"G is a {type(G).__name__}; it must be callable: z (..., k) -> x (..., n).")
    for module in _modules_of(G, set()):
        for kind, named in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
            for label, weight in named:
                if weight.is_floating_point() and (
                    weight.dtype != like.dtype or weight.device != like.device
                ):
                    raise TypeError(
                        f"G's {kind} {label} has dtype {weight.dtype} on {weight.device}; it must have "
                        f"{name}'s, {like.dtype} on {like.device}: call G.to({name})."
                    )
        for label, layer in module.named_modules():
            if isinstance(layer, _MIXING) and layer.training:
                raise ValueError(
                    f"G's layer {label} is a {type(layer).__name__} in training mode, which mixes the "
                    "signals of a batch or is random; it must be in evaluation mode: call G.eval()."
                )


def _modules_of(G: object, seen: set[int]) -> Iterator[nn.Module]:
    """The modules that a callable is made of: itself, the owner of a method, and those held as methods."""
    while isinstance(G, functools.partial):
        G = G.func
    owner = getattr(G, "__self__", G)
    if isinstance(owner, Trusted):
        yield from _modules_of(owner.G, seen)
    if not isinstance(owner, nn.Module) or id(owner) in seen:
        return
    seen.add(id(owner))
    yield owner
    for part in owner.modules():
        for held in vars(part).values():
            if isinstance(getattr(held, "__self__", None), nn.Module) or isinstance(held, functools.partial):
                yield from _modules_of(held, seen)
