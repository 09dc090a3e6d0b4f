"""A generator behind a matrix: signals whose latent vector is sparse in a dictionary."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import Trusted, fed
from gsl_utils.generators.by_hand import ByHand, is_as_written
from gsl_utils.generators.realnvp import RealNVP, constant_flow

__all__ = ["Synthesis", "constant"]

Generator = Callable[[Tensor], Tensor]


def constant(G: Generator) -> Generator:
    """The form of a generator for descents in z: nothing looks for NaN there, and weights get no gradients.

    Our own flows, also behind a matrix, have derivatives written by hand. That is told by their class, never
    by the name of an attribute, which may be anyone's.
    """
    if isinstance(G, ByHand | Trusted):
        return G
    if isinstance(G, RealNVP):
        return constant_flow(G) or Trusted(G)
    if isinstance(G, Synthesis) and is_as_written(G, Synthesis):
        faster = constant(G.G)
        if isinstance(faster, ByHand):
            return _Behind(faster, G.B)
    return Trusted(G)


class Synthesis(nn.Module):
    r"""A generator of the vector that a matrix makes of the latent vector.

    .. math:: x = G(B z)

    Args:
        G: The generator ``u (..., dim) -> x (..., n)``: a module or any callable.
        B: The matrix ``(dim, p)``; it becomes a buffer, in the dtype and on the device that it has.

    Raises:
        TypeError: G cannot be called, or B is not a tensor of floats; later, z is not one of B's dtype and
            device.
        ValueError: B is not one matrix, has entries that are not finite, or has another number of rows than
            ``G.latent_dim``, where G has one; later, z is not ``(..., p)`` or not finite.

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
        B = checks.matrix("B", B)
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
        z = fed("z", z, self.latent_dim, self.B)
        # The same numbers; a batch of rows comes out with its columns together, as a flow works on them.
        return self.G((self.B @ z.mT).mT if z.ndim == 2 else z @ self.B.mT)


class _Behind(ByHand):
    """A product and then a generator that has its derivatives written by hand, and so it has too."""

    def __init__(self, G: ByHand, B: Tensor) -> None:
        self.G, self.B, self.latent_dim = G, B.detach(), B.shape[1]

    def __call__(self, z: Tensor) -> Tensor:
        return self.G((self.B @ z.mT).mT if z.ndim == 2 else z @ self.B.mT)

    def vjp(self, z: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The signals of ``z (P, p)``, and what makes a gradient in z of one in them."""
        x, pull = self.G.vjp((self.B @ z.mT).mT)
        return x, lambda g: pull(g) @ self.B

    def pushforward(self, z: Tensor, directions: Tensor) -> Tensor:
        """The derivatives ``(P, s, n)`` at ``z (P, p)`` along ``directions (P, s, p)``."""
        return self.G.pushforward((self.B @ z.mT).mT, directions @ self.B.mT)
