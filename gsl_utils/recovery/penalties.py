"""What a recovery adds to its data term: a penalty knows its value, its gradient and its proximal map.

A penalty knows nothing of solvers, and a solver asks a penalty only for what its kind of step needs, so that
every sensible pair is free. Which pairs those are is a table in the documentation of ``recover``.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.units import scaled
from gsl_utils.sparse.thresholds import keep_largest, shrink

__all__ = ["L1", "L2", "HardSparsity", "NoPenalty", "Penalty", "Weighted"]


class Penalty(Protocol):
    """What the engine asks of a penalty: ``z (P, k)`` in, one number or one row per problem out."""

    def value(self, z: Tensor) -> Tensor:
        """The penalty of every row."""

    def gradient(self, z: Tensor) -> Tensor:
        """Its gradient, or the subgradient of least norm where it has a kink."""

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        r"""The point :math:`\arg\min_u \tfrac12\|u - z\|^2 + t\,\text{penalty}(u)`, t being ``(P, 1)``."""

    def drop(self, z: Tensor, new: Tensor) -> Tensor:
        """What each coordinate adds at ``z`` less at ``new``, exactly also where they nearly agree."""

    def laid_out(self, z: Tensor, batch: torch.Size, restarts: int) -> Self:
        """The same with a row for each of the problems ``z (P, k)``, the restarts of a signal together."""

    def in_units(self, power: Tensor) -> Self:
        """The same, once laid out, where objectives are counted in units of ``4**power (P,)``."""

    def select(self, rows: Tensor) -> Self:
        """The penalty of the chosen problems."""


@dataclass(frozen=True, eq=False)
class Weighted(ABC):
    """A penalty with a weight: a number, or a tensor that broadcasts against z."""

    weight: float | Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.weight, Tensor):
            checks.real("weight", self.weight, low=0.0)
            return
        checks.floats("weight", self.weight)
        if bool((self.weight < 0).any()):
            raise ValueError(
                f"weight has the entry {float(self.weight.min()):g}; all of its entries must be at least 0."
            )

    def _reweighted(self, weight: Tensor) -> Self:
        """A copy with a weight that needs no checks any more."""
        other = copy.copy(self)
        object.__setattr__(other, "weight", weight)
        return other

    def laid_out(self, z: Tensor, batch: torch.Size, restarts: int) -> Self:
        """The same penalty with a row of weights for each of the problems ``z (P, k)``."""
        weight, k = self.weight, z.shape[-1]
        if not isinstance(weight, Tensor):
            # By way of a double, as torch refuses to round a number beyond the dtype to infinity.
            rows = torch.full((len(z), 1), weight, dtype=torch.float64, device=z.device)
            return self._reweighted(rows.to(z.dtype))
        checks.same_kind(y=z, weight=weight)
        try:
            weight.expand(*batch, k)
        except RuntimeError:
            raise ValueError(
                f"weight has shape {tuple(weight.shape)}; it must broadcast to z's, {(*batch, k)}: one "
                "weight per signal has a last dimension of 1."
            ) from None
        rows = weight.detach().expand(*batch, weight.shape[-1] if weight.ndim else 1)
        return self._reweighted(rows.reshape(-1, rows.shape[-1]).repeat_interleave(restarts, 0))

    def in_units(self, power: Tensor) -> Self:
        """The same, once laid out, where objectives are counted in units of ``4**power (P,)``."""
        weight = scaled(self.rows(), -2 * power.unsqueeze(-1))
        beyond = ~torch.isfinite(weight).all(-1)
        if bool(beyond.any()):
            raise ValueError(
                f"weight has the entry {float(self.rows()[beyond].max()):g} where A's largest entry is below "
                f"2**{int(power[beyond][0])}; in units of A's square it must stay below "
                f"{torch.finfo(weight.dtype).max:g}."
            )
        return self._reweighted(weight)

    def select(self, rows: Tensor) -> Self:
        """The penalty of the chosen problems, once laid out."""
        return self._reweighted(self.rows()[rows])

    def rows(self) -> Tensor:
        """The weights of every problem, once laid out: ``(P, 1)`` or ``(P, k)``."""
        if not isinstance(self.weight, Tensor):
            raise TypeError("the weight has no rows before it is laid out.")
        return self.weight

    def scaled(self, factor: Tensor) -> Self:
        """The same penalty with the weight of every problem times its ``factor (P, 1)``."""
        return self._reweighted(self.weight * factor)

    @abstractmethod
    def ruling(self, slope: Tensor, curvature: Tensor) -> Tensor:
        """By how much the weights would have to grow for the penalty to rule, ``(P,)``."""


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

    def gradient(self, z: Tensor) -> Tensor:
        """The subgradient of least norm of the l1 norm alone: zero where z is zero."""
        return self.weight * z.sign()

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """The soft threshold."""
        return shrink(z, step * self.weight)

    def drop(self, z: Tensor, new: Tensor) -> Tensor:
        """What each coordinate adds at ``z`` less at ``new``."""
        return self.weight * (z.abs() - new.abs())

    def ruling(self, slope: Tensor, curvature: Tensor) -> Tensor:  # noqa: ARG002 (a kink beats any curvature)
        """Half the factor at which zero would be stationary, if the slope were zero's."""
        weight = self.rows().expand_as(slope)
        return torch.where(weight > 0, slope.abs() / weight, 0).amax(-1) / 2


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

    def value(self, z: Tensor) -> Tensor:
        """The penalty of every row."""
        return (self.weight * z.square()).sum(-1)

    def gradient(self, z: Tensor) -> Tensor:
        """Twice the weighted vector."""
        return 2 * self.weight * z

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """A contraction towards zero."""
        return z / (1 + 2 * step * self.weight)

    def drop(self, z: Tensor, new: Tensor) -> Tensor:
        """What each coordinate adds at ``z`` less at ``new``."""
        return self.weight * (z - new) * (z + new)

    def ruling(self, slope: Tensor, curvature: Tensor) -> Tensor:  # noqa: ARG002 (curvature is along it)
        """The factor at which the penalty is as curved as the data term."""
        weight = 2 * self.rows().amax(-1)
        return torch.where(weight > 0, curvature / weight, 0)


@dataclass(frozen=True, eq=False)
class HardSparsity:
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

    s: int

    def __post_init__(self) -> None:
        checks.integer("s", self.s, 0)

    def value(self, z: Tensor) -> Tensor:
        """Zero, or infinite."""
        return torch.where((z != 0).sum(-1) > self.s, torch.inf, 0).to(z.dtype)

    def gradient(self, z: Tensor) -> Tensor:
        """Zero: on its feasible set the penalty is flat."""
        return torch.zeros_like(z)

    def prox(self, z: Tensor, step: Tensor) -> Tensor:  # noqa: ARG002 (the same for every step)
        """The ``s`` largest magnitudes."""
        return keep_largest(z, self.s)

    def drop(self, z: Tensor, new: Tensor) -> Tensor:  # noqa: ARG002
        """Nothing, between sparse points."""
        return torch.zeros_like(z)

    def laid_out(self, z: Tensor, batch: torch.Size, restarts: int) -> Self:  # noqa: ARG002
        """The same penalty: ``s`` is one number for all."""
        checks.integer("s", self.s, 0, z.shape[-1], "the latent dimension")
        return self

    def in_units(self, power: Tensor) -> Self:  # noqa: ARG002
        """The same penalty: zero and infinity have no units."""
        return self

    def select(self, rows: Tensor) -> Self:  # noqa: ARG002
        """The same penalty."""
        return self


class NoPenalty:
    """Nothing is added to the data term."""

    def value(self, z: Tensor) -> Tensor:
        """Zero."""
        return z.new_zeros(z.shape[:-1])

    def gradient(self, z: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(z)

    def prox(self, z: Tensor, step: Tensor) -> Tensor:  # noqa: ARG002
        """The point itself."""
        return z

    def drop(self, z: Tensor, new: Tensor) -> Tensor:  # noqa: ARG002
        """Nothing."""
        return torch.zeros_like(z)

    def laid_out(self, z: Tensor, batch: torch.Size, restarts: int) -> Self:  # noqa: ARG002
        """Itself."""
        return self

    def in_units(self, power: Tensor) -> Self:  # noqa: ARG002
        """Itself."""
        return self

    def select(self, rows: Tensor) -> Self:  # noqa: ARG002
        """Itself."""
        return self
