"""A generator behind a matrix: signals whose latent vector is sparse in a dictionary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from gsl_utils import _checks

__all__ = ["Synthesis", "constant"]

Generator = Callable[[Tensor], Tensor]


def constant(G: Generator) -> Generator:
    """The form of a generator for descents in z, with derivatives by hand, where it has one, or G itself."""
    faster: Generator = getattr(G, "constant", lambda: G)()
    return faster


class Synthesis(nn.Module):
    r"""A generator of the vector that a matrix makes of the latent vector.

    .. math:: x = G(B z)

    Args:
        G: The generator ``u (..., dim) -> x (..., n)``: a module or any callable.
        B: The matrix ``(dim, p)``; it becomes a buffer, in the dtype and on the device that it has.

    Raises:
        TypeError: G cannot be called, or B is not a tensor of floats.
        ValueError: B is not one matrix, has entries that are not finite, or has another number of rows than
            ``G.latent_dim``, where G has one.

    Source: Honoré, Ghosh and Chatterjee (2023). Taught in chapters 6 and 7.

    >>> import torch
    >>> G = Synthesis(torch.exp, torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]))
    >>> G.latent_dim, G(torch.tensor([0.0, 0.0, 1.0]))
    (3, tensor([7.3891, 1.0000]))
    """

    B: Tensor

    def __init__(self, G: Generator, B: Tensor) -> None:
        super().__init__()
        if not callable(G):
            raise TypeError(f"G is a {type(G).__name__}; it must be callable: u (..., dim) -> x (..., n).")
        B = _checks.matrix("B", B)
        if B.ndim != 2:
            raise ValueError(f"B has shape {tuple(B.shape)}; it must be one matrix (dim, p).")
        dim = getattr(G, "latent_dim", B.shape[0])
        if dim != B.shape[0]:
            raise ValueError(f"B has shape {tuple(B.shape)}; it must have G.latent_dim = {dim} rows.")
        self.G = G
        self.register_buffer("B", B)
        self.latent_dim = B.shape[1]

    def forward(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., p)``: shape ``(..., n)``."""
        # The same numbers; a batch of rows comes out with its columns together, as a flow works on them.
        return self.G((self.B @ z.mT).mT if z.ndim == 2 else z @ self.B.mT)

    def constant(self) -> Generator:
        """The same generator for descents in z, whose weights get no gradients; faster where f is."""
        faster = constant(self.G)
        return _Constant(faster, self.B) if hasattr(faster, "vjp") else self


class _Constant:
    """A product and then a generator that has its gradient written by hand, and so it has too."""

    def __init__(self, G: Any, B: Tensor) -> None:
        self.G, self.B, self.latent_dim = G, B.detach(), B.shape[1]

    def __call__(self, z: Tensor) -> Tensor:
        return self.G((self.B @ z.mT).mT if z.ndim == 2 else z @ self.B.mT)

    def vjp(self, z: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The signals of ``z (P, p)``, and what makes a gradient in z of one in them."""
        x, pull = self.G.vjp((self.B @ z.mT).mT)
        return x, lambda g: pull(g) @ self.B
