"""What a recovery adds to its data term: the penalties of the book, and what another must offer.

A penalty knows nothing of solvers, and a method asks of it only what its kind of step needs, so that every
sensible pair is free. Which pairs those are is a table in the documentation of ``recover``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.linear import keep_largest, shrink
from gsl_utils.recovery.rows import NoPenalty, Outsider, Rows, Weighted

__all__ = ["L1", "L2", "HardSparsity", "Penalty", "in_rows"]


class Penalty(Protocol):
    r"""What an object must offer to be the penalty of a recovery: ``value``, and what the method needs.

    .. math:: \min_z\ \|y - A\,G(z)\|_2^2 + h(z), \qquad
              \operatorname{prox}_{t h}(z) = \arg\min_u\ \tfrac12\|u - z\|_2^2 + t\,h(u)

    Any object with these methods is one, whatever its class. The latent vectors are the rows of ``z (P, k)``:
    restarts of several signals, any number of them and in any order, so that a penalty must treat each row
    alone, and all alike. Everything comes in the dtype and on the device of z, and goes back so.

    ====================  ===================  =============================================================
    method                gives                is needed by
    ====================  ===================  =============================================================
    ``value(z)``          :math:`h`, ``(P,)``  every method; ``"adam"`` differentiates it by autograd where
                                               there is no ``gradient``
    ``prox(z, step)``     ``(P, k)``           ``"prox"``, and ``"gd"`` without a rate; ``step (P, 1)`` is t
    ``gradient(z)``       ``(P, k)``           ``"gd"`` and ``"lm"``: who has it says that h is smooth
    ====================  ===================  =============================================================

    ``value`` may be infinite, with a ``prox`` that projects. Where h has kinks there must be no ``gradient``;
    without ``prox`` no recovery is then said to have converged beside one.
    The second derivatives that ``"lm"`` needs are differences of it. A subclass of ``L1``, ``L2`` or
    ``HardSparsity`` is asked for these methods like any other object, whatever it has overridden.

    Source: Parikh and Boyd (2014) for proximal operators. Taught in chapter 6.

    >>> import torch
    >>> from gsl_utils.recovery import recover
    >>> class Box:  # the entries of z lie between 0 and 1
    ...     def value(self, z):
    ...         return torch.where((z < 0) | (z > 1), torch.inf, 0).to(z.dtype).sum(-1)
    ...
    ...     def prox(self, z, step):
    ...         return z.clamp(0, 1)
    >>> eye, y = torch.eye(2), torch.tensor([0.5, 3.0])
    >>> found = recover(torch.nn.Identity(), eye, y, penalty=Box(), method="prox", z0=torch.zeros(2))
    >>> found.z.round(decimals=3)
    tensor([0.5000, 1.0000])
    """

    def value(self, z: Tensor) -> Tensor:
        """The penalty of every row: ``(P,)``."""


class L1(Weighted):
    r"""The sum of magnitudes, which is smallest at sparse points.

    .. math:: w\,\|z\|_1, \qquad \operatorname{prox}_t(z)_i = \operatorname{sign}(z_i)\max(|z_i| - t w_i, 0)

    Args:
        weight: Non-negative: a number or a tensor that broadcasts against ``z (..., k)``, for one weight per
            signal or per coordinate.

    Raises:
        TypeError: ``weight`` is not a number or a tensor of floats.
        ValueError: ``weight`` is negative or not finite.

    Source: Tibshirani (1996). Taught in chapters 1 and 6.

    >>> import torch
    >>> L1(2.0).value(torch.tensor([[1.0, -3.0]]))
    tensor([8.])
    """

    def value(self, z: Tensor) -> Tensor:
        """The penalty of every row."""
        return (self.weight * z.abs()).sum(-1)

    def subgradient(self, z: Tensor) -> Tensor:
        """The subgradient of least norm of the l1 norm alone: zero where z is zero."""
        return self.weight * z.sign()

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """The soft threshold."""
        return shrink(z, step * self.weight)

    def drop(self, z: Tensor, new: Tensor) -> Tensor:
        """What each coordinate adds at ``z`` less at ``new``."""
        return self.weight * (z.abs() - new.abs())


class L2(Weighted):
    r"""The squared Euclidean norm, the negative log-density of a Gaussian latent up to scale.

    .. math:: w\,\|z\|_2^2, \qquad \operatorname{prox}_t(z) = z / (1 + 2 t w)

    Args:
        weight: As for ``L1``.

    Raises:
        TypeError: ``weight`` is not a number or a tensor of floats.
        ValueError: ``weight`` is negative or not finite.

    Source: Bora et al. (2017), section 3. Taught in chapters 4 and 6.

    >>> import torch
    >>> L2(0.5).value(torch.tensor([[1.0, -3.0]]))
    tensor([5.])
    """

    smooth = True

    def value(self, z: Tensor) -> Tensor:
        """The penalty of every row."""
        return (self.weight * z.square()).sum(-1)

    def gradient(self, z: Tensor) -> Tensor:
        """Twice the weighted vector."""
        return 2 * self.weight * z

    def subgradient(self, z: Tensor) -> Tensor:
        """The gradient."""
        return self.gradient(z)

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """A contraction towards zero."""
        return z / (1 + 2 * step * self.weight)

    def drop(self, z: Tensor, new: Tensor) -> Tensor:
        """What each coordinate adds at ``z`` less at ``new``."""
        return self.weight * (z - new) * (z + new)

    def half_hessian(self, z: Tensor) -> Tensor:
        """The weights, on the diagonal."""
        return torch.diag_embed(self._rows().expand_as(z))


@dataclass(frozen=True, eq=False)
class HardSparsity(Rows):
    r"""At most ``s`` non-zeros: zero on such vectors, infinite elsewhere.

    .. math:: \operatorname{prox}(z) = \text{the } s \text{ largest magnitudes of } z

    Args:
        s: How many non-zeros are allowed, at least 0.

    Raises:
        TypeError: ``s`` is not an integer.
        ValueError: ``s`` is negative, or above the latent dimension when used.

    Source: Blumensath and Davies (2009). Taught in chapters 1 and 8.

    >>> import torch
    >>> HardSparsity(1).prox(torch.tensor([[1.0, -3.0]]), torch.tensor(1.0))
    tensor([[ 0., -3.]])
    """

    sloped = False

    s: int

    def __post_init__(self) -> None:
        checks.integer("s", self.s, 0)

    def value(self, z: Tensor) -> Tensor:
        """Zero, or infinite."""
        return torch.where((z != 0).sum(-1) > self.s, torch.inf, 0).to(z.dtype)

    def prox(self, z: Tensor, step: Tensor) -> Tensor:  # noqa: ARG002 (the same for every step)
        """The ``s`` largest magnitudes."""
        return keep_largest(z, self.s)

    def laid_out(self, z: Tensor, batch: torch.Size, restarts: int) -> Self:  # noqa: ARG002
        """The same penalty: ``s`` is one number for all."""
        checks.integer("s", self.s, 0, z.shape[-1], "the latent dimension")
        return self


def in_rows(penalty: object) -> Rows:
    """The penalty as the engine asks for it; a subclass of ours is an outsider, as it may be anything."""
    if penalty is None:
        return NoPenalty()
    if isinstance(penalty, Rows) and type(penalty) in (L1, L2, HardSparsity):
        return penalty
    if isinstance(penalty, type) or not callable(getattr(penalty, "value", None)):
        raise TypeError(
            f"penalty is {penalty!r}; it must be L1, L2, HardSparsity, None, or an object with the methods "
            "that Penalty lists."
        )
    return Outsider(penalty)
