"""What the engine asks of a penalty, and how one from outside, which knows no problems, comes to give it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.linear import scaled
from gsl_utils.recovery.problem import Problem

__all__ = ["NoPenalty", "Outsider", "Rows", "Weighted"]


class Rows:
    """What the engine asks of a penalty: ``z (P, k)`` in, one number or one row per problem out."""

    # Whether a first-order method may use its subgradients, whether they are gradients, and whether it is
    # stepped through ``prox``; else the engine steps along its gradient.
    sloped, smooth, proximal = True, False, True

    def value(self, z: Tensor) -> Tensor:
        """The penalty of every row."""
        raise NotImplementedError

    def subgradient(self, z: Tensor) -> Tensor:
        """Its gradient, or the subgradient of least norm where it has a kink; zero where it has none."""
        return torch.zeros_like(z)

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        r"""The point :math:`\arg\min_u \tfrac12\|u - z\|^2 + t\,\text{penalty}(u)`, t being ``(P, 1)``."""
        raise NotImplementedError

    def moved(self, z: Tensor, slope: Tensor, step: Tensor) -> Tensor:
        """Where a step ``(P,)`` leads from ``z`` where the data term has this slope."""
        return self.prox(z - step.unsqueeze(-1) * slope, step.unsqueeze(-1))

    def drop(self, z: Tensor, new: Tensor) -> Tensor:  # noqa: ARG002
        """What each coordinate adds at ``z`` less at ``new``, exactly also where they nearly agree."""
        return torch.zeros_like(z)

    def half_hessian(self, z: Tensor) -> Tensor | None:  # noqa: ARG002
        """Half of the second derivatives, ``(P, k, k)``, their negative part left out; None for zero."""
        return None

    def laid_out(self, z: Tensor, batch: torch.Size, restarts: int) -> Self:  # noqa: ARG002
        """The same with a row for each of the problems ``z (P, k)``, the restarts of a signal together."""
        return self

    def beside(self, problem: Problem) -> Self:  # noqa: ARG002
        """The same, once laid out, counted in the units of the problem's data term."""
        return self

    def select(self, rows: Tensor) -> Self:  # noqa: ARG002
        """The penalty of the chosen problems."""
        return self


@dataclass(frozen=True, eq=False)
class Weighted(Rows):
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

    def beside(self, problem: Problem) -> Self:
        """The same, once laid out, counted in the units of the problem's data term."""
        power = problem.power
        weight = scaled(self._rows(), -2 * power.unsqueeze(-1))
        beyond = ~torch.isfinite(weight).all(-1)
        if bool(beyond.any()):
            raise ValueError(
                f"weight has the entry {float(self._rows()[beyond].max()):g} where A's largest entry is "
                f"below 2**{int(power[beyond][0])}; in units of A's square it must stay below "
                f"{torch.finfo(weight.dtype).max:g}."
            )
        return self._reweighted(weight)

    def select(self, rows: Tensor) -> Self:
        """The penalty of the chosen problems, once laid out."""
        return self._reweighted(self._rows()[rows])

    def _rows(self) -> Tensor:
        """The weights of every problem, once laid out: ``(P, 1)`` or ``(P, k)``."""
        if not isinstance(self.weight, Tensor):
            raise TypeError("the weight has no rows before it is laid out.")
        return self.weight


class NoPenalty(Rows):
    """Nothing is added to the data term."""

    smooth = True

    def value(self, z: Tensor) -> Tensor:
        """Zero."""
        return z.new_zeros(z.shape[:-1])

    def prox(self, z: Tensor, step: Tensor) -> Tensor:  # noqa: ARG002
        """The point itself."""
        return z


@dataclass(frozen=True, eq=False)
class Outsider(Rows):
    """A penalty of anyone's, asked for ``value``, ``prox`` and ``gradient`` only, and counted in our units.

    ``factor (P, 1)`` is the share of its values that counts beside the data term.
    """

    penalty: Any
    factor: Tensor | None = None
    sloped: bool = True

    @property
    def smooth(self) -> bool:  # type: ignore[override]
        """Whether it says so, by having a gradient."""
        return self._has("gradient")

    @property
    def proximal(self) -> bool:  # type: ignore[override]
        """Whether it has a proximal map."""
        return self._has("prox")

    def _has(self, name: str) -> bool:
        # What is called gradient here need not be one: L1 has none, nor have its subclasses.
        return callable(getattr(self.penalty, name, None))

    def value(self, z: Tensor) -> Tensor:
        """The penalty of every row."""
        return self._counted(self.penalty.value(z).unsqueeze(-1)).squeeze(-1)

    def subgradient(self, z: Tensor) -> Tensor:
        """Its own gradient, or that of automatic differentiation; zero where that is no number."""
        if self.smooth:
            return self._counted(self.penalty.gradient(z))
        if not self.sloped:
            return torch.zeros_like(z)
        z = z.detach().requires_grad_(True)
        with torch.enable_grad():
            value = self.penalty.value(z).sum()
        if not value.requires_grad:
            return torch.zeros_like(z)
        (slope,) = torch.autograd.grad(value, z, materialize_grads=True)
        return self._counted(slope.nan_to_num(nan=0.0))

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """Its own proximal map; without one the point itself."""
        if not self.proximal:
            return z
        # Not zero, for then a threshold of a zero vector may be zero over zero.
        step = self._counted(step.expand(len(z), 1)).clamp(min=torch.finfo(z.dtype).tiny ** 0.5)
        moved: Tensor = self.penalty.prox(z, step)
        return moved

    def moved(self, z: Tensor, slope: Tensor, step: Tensor) -> Tensor:
        """Where a step leads: through the proximal map, or along the whole gradient."""
        if self.proximal:
            return super().moved(z, slope, step)
        return z - step.unsqueeze(-1) * (slope + self.subgradient(z))

    def drop(self, z: Tensor, new: Tensor) -> Tensor:
        """What it falls by, all of it in the first coordinate; by its slopes where rounding hides that."""
        before, after = self.value(z), self.value(new)
        fall, size = before - after, before.abs() + after.abs()
        eps = torch.finfo(z.dtype).eps
        if self.sloped and bool((fall.abs() <= eps**0.5 * size).any()):
            by_slopes = ((self.subgradient(z) + self.subgradient(new)) / 2 * (z - new)).sum(-1)
            fall = torch.where((fall - by_slopes).abs() <= 8 * eps * size, by_slopes, fall)
        return torch.nn.functional.pad(fall.unsqueeze(-1), (0, z.shape[-1] - 1))

    def half_hessian(self, z: Tensor) -> Tensor:
        """Differences of the gradient along each coordinate; what curves downwards is left out."""
        reach = z.abs().amax(-1, keepdim=True)
        size = torch.finfo(z.dtype).eps ** (1 / 3) * torch.where(reach > 0, reach, 1)
        beside = [size * unit for unit in torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)]
        columns = [(self.subgradient(z + d) - self.subgradient(z - d)) / (4 * size) for d in beside]
        half = torch.stack(columns, -1)
        values, vectors = torch.linalg.eigh((half + half.mT) / 2)
        return (vectors * values.clamp(min=0).unsqueeze(-2)) @ vectors.mT

    def laid_out(self, z: Tensor, batch: torch.Size, restarts: int) -> Self:
        """The same, tried at the start ``z (P, k)``: shapes and dtypes, and whether its value has slopes."""
        inner = self.penalty
        if isinstance(inner, Rows):
            inner = inner.laid_out(z, batch, restarts)
        ones = torch.ones(len(z), 1, dtype=z.dtype, device=z.device)
        given = {"value": (inner.value(z), z.shape[:1])}
        if self.proximal:
            given["prox"] = (inner.prox(z, ones), z.shape)
        if self.smooth:
            given["gradient"] = (inner.gradient(z), z.shape)
        for name, (found, shape) in given.items():
            if not isinstance(found, Tensor) or found.shape != shape:
                was = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise ValueError(
                    f"penalty.{name} gives {was} for z of shape {tuple(z.shape)}; it must give "
                    f"{tuple(shape)}."
                )
            checks.same_kind(y=z, **{f"penalty.{name}(z)": found})
        return replace(self, penalty=inner, factor=ones, sloped=self.smooth or _has_slopes(inner, z))

    def beside(self, problem: Problem) -> Self:
        """The same, once laid out, counted in the units of the problem's data term."""
        factor = scaled(torch.ones_like(self._factors()), -2 * problem.power.unsqueeze(-1))
        return replace(self, factor=checks.representable("the penalty in units of A's square", factor))

    def select(self, rows: Tensor) -> Self:
        """The penalty of the chosen problems, once laid out."""
        inner = self.penalty
        if isinstance(inner, Rows):
            inner = inner.select(rows)
        return replace(self, penalty=inner, factor=self._factors()[rows])

    def _factors(self) -> Tensor:
        if self.factor is None:
            raise TypeError("the penalty has no rows before it is laid out.")
        return self.factor

    def _counted(self, values: Tensor) -> Tensor:
        return values * self._factors()


def _has_slopes(penalty: Any, z: Tensor) -> bool:
    """Whether automatic differentiation can take the value's derivative."""
    z = z.detach().requires_grad_(True)
    try:
        with torch.enable_grad():
            value: Tensor = penalty.value(z)
    except RuntimeError:  # by way of numpy, say
        return False
    return value.requires_grad
