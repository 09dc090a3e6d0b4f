"""What a generator must offer whose derivatives are written by hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["ByHand", "is_as_written"]


class ByHand(ABC):
    """A generator with constant weights and derivatives of its own, which descents use instead of autograd's.

    Only what inherits from this is one: whatever attributes a user's generator has mean nothing here.
    """

    latent_dim: int

    @abstractmethod
    def __call__(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., latent_dim)``."""

    @abstractmethod
    def vjp(self, z: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The signals of ``z (P, latent_dim)``, and what makes a gradient in z of one in them."""

    @abstractmethod
    def pushforward(self, z: Tensor, directions: Tensor) -> Tensor:
        """The derivatives ``(P, s, n)`` at ``z (P, k)`` along ``directions (P, s, k)``."""


def is_as_written(G: object, kind: type[nn.Module]) -> bool:
    """Whether a call of G does what ``kind`` says: no subclass, no forward of its own, no hooks inside."""
    if type(G) is not kind:
        return False
    parts = list(G.modules())
    return not any("forward" in vars(one) or one._forward_hooks or one._forward_pre_hooks for one in parts)
