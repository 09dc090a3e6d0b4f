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

__all__ = ["Trusted", "check_generator", "check_signals", "fed"]

_MIXING = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd, nn.RReLU)
# Two evaluations of one signal may differ by rounding, by this share of the largest entry and not more.
_AGREE = 1e-2
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


def check_generator(
    G: Callable[[Tensor], Tensor], dtype: torch.dtype, device: torch.device, name: str
) -> None:
    """Refuse what cannot be called, weights of another kind than the data's, and layers that mix signals."""
    if not callable(G):
        raise TypeError(f"G is a {type(G).__name__}; it must be callable: z (..., k) -> x (..., n).")
    for module in _modules_of(G, set()):
        for kind, named in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
            for label, weight in named:
                if weight.is_floating_point() and (weight.dtype != dtype or weight.device != device):
                    raise TypeError(
                        f"G's {kind} {label} has dtype {weight.dtype} on {weight.device}; it must have "
                        f"{name}'s, {dtype} on {device}: call G.to({name})."
                    )
        for label, layer in module.named_modules():
            if isinstance(layer, _MIXING) and layer.training:
                raise ValueError(
                    f"G's layer {label} is a {type(layer).__name__} in training mode, which mixes the "
                    "signals of a batch or is random; it must be in evaluation mode: call G.eval()."
                )


def check_signals(G: Callable[[Tensor], Tensor], z: Tensor, n: int) -> None:
    """Ask G for one signal alone, beside another, and with gradients; ``z (P, k)`` has y's dtype."""
    alone = G(z[:1])
    if not isinstance(alone, Tensor) or alone.shape != (1, n):
        was = tuple(alone.shape) if isinstance(alone, Tensor) else type(alone).__name__
        raise ValueError(
            f"G gives {was} for z of shape {tuple(z[:1].shape)}; it must give (1, {n}), A's columns."
        )
    checks.same_kind(y=z, **{"G(z)": checks.real_dtype("G(z)", alone)})
    if bool(alone.isnan().any()):  # far out a signal may be infinite, and another restart's is not
        raise ValueError("G gives NaN at the first start; it must give numbers, at least there.")
    other = z[:1] + 1
    beside = G(torch.cat([z[:1], other]))
    if beside.shape != (2, n):
        raise ValueError(f"G gives {tuple(beside.shape)} for z of shape (2, k); it must give (2, {n}).")
    apart = (beside[:1] - alone).abs().amax()
    if bool(apart > _AGREE * alone.abs().amax()):
        raise ValueError(
            "G gives a signal beside another that it does not give alone; its rows must not see each other, "
            "and it must not be random."
        )
    with torch.enable_grad():
        x = G(z[:1].detach().requires_grad_(True))
    if not x.requires_grad and not torch.equal(beside[:1], beside[1:]):
        raise TypeError(
            "G's output depends on z and carries no gradient; G must be made of torch's differentiable "
            "operations, without torch.no_grad, detach or numpy."
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
