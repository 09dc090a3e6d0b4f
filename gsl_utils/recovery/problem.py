"""The data term of every recovery in the book, for many problems at once, and what its steps need of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils.common import checks, linear
from gsl_utils.common.generator_checks import check_generator
from gsl_utils.common.jacobian import Generator, Tangents
from gsl_utils.common.linear import exponent, flatten, scaled
from gsl_utils.generators.by_hand import ByHand
from gsl_utils.generators.synthesis import Synthesis, constant

__all__ = ["Given", "OneForAll", "OnePerSignal", "Problem", "matrices"]

# A Jacobian has a row for each latent coordinate: how many blocks of rows one may fill.
_JACOBIAN_BLOCKS = 16
# Rows whose signals stay in a processor's cache are faster than all rows at once.
_BLOCK_BYTES, _LEAST_BLOCK = 2**20, 64


@dataclass(frozen=True, eq=False)
class Given:
    """What every recovery is given, checked once, and counted in units of its matrix.

    A's largest entry lies in [1/2, 1): ``A (m, n)`` or ``(N, m, n)`` and ``y (N, m)``, one row per signal of
    the ``batch``, are over ``2**power (N,)``. One matrix has one power; with its own matrix a signal has its
    own, which does not depend on its company. Squared misfits, and the weights of penalties beside them, are
    then over the power's square, and whatever the caller's units, no square leaves the numbers.
    """

    G: Generator
    A: Tensor
    y: Tensor
    power: Tensor
    batch: torch.Size

    @classmethod
    def of(cls, G: Generator, A: Tensor, y: Tensor, B: Tensor | None = None) -> Given:
        """Check the arguments: matrix and measurements, and the generator, behind B where there is one."""
        A, y, batch = checks.linear_system("A", A, "y", y, "rows")
        if B is not None:
            G = Synthesis(G, B)
            checks.same_kind(y=y, B=B)
        check_generator(G, y.dtype, y.device, "y")
        # Also where the caller differentiates nothing: G is differentiated later, and nothing else ever is.
        with torch.inference_mode(False), torch.no_grad():
            A, y = flatten(A.detach(), y.detach(), batch)
            power = exponent(A, (-2, -1)).squeeze(-1)
            within = scaled(y, -power)
            if not bool(torch.isfinite(within.square().sum(-1)).all()):
                raise ValueError(
                    f"y has entries up to {float(y.abs().max()):g} and A up to {float(A.abs().max()):g}; in "
                    f"units of A's the sum of y's squares must stay below {torch.finfo(y.dtype).max:g}."
                )
            if bool(power.any()):  # else a copy of many matrices would be for nothing
                A = scaled(A, -power.unsqueeze(-1))
            power = power.reshape(-1, 1).expand(len(y), 1).squeeze(-1)
            return cls(constant(G), A, within, power, batch)

    def select(self, rows: Tensor) -> Given:
        """The chosen signals, which make a batch of their own."""
        A, y, power = linear.rows(self.A, rows), self.y[rows], self.power[rows]
        return replace(self, A=A, y=y, power=power, batch=rows.shape)

    def problem(self, z: Tensor, restarts: int = 1, *, amplitude: bool = False, columns: bool) -> Problem:
        """The problems that start at ``z (P, k)``; ``columns``: whether Jacobians are wanted."""
        signal = torch.arange(len(self.y), device=z.device).repeat_interleave(restarts)
        A, y = matrices(self.A, signal), self.y[signal]
        block = len(z) if z.device.type != "cpu" else _BLOCK_BYTES // (self.A.shape[-1] * z.element_size())
        return Problem(
            self.G,
            A,
            y,
            self.power[signal],
            _scale(self.G, A, y, z),
            amplitude,
            max(_LEAST_BLOCK, block),
            Tangents.of(self.G, z[:1], columns=columns),
        )


def _scale(G: Generator, A: Matrices, y: Tensor, z: Tensor) -> Tensor:
    """The length ``(P,)`` that gains are measured by, y's own; its squares may leave the numbers."""
    power = exponent(y, -1)
    scale = scaled(scaled(y, -power).norm(dim=-1, keepdim=True), power).squeeze(-1)
    nothing = ~y.any(-1)
    if bool(nothing.any()):
        # The start's own measurements then; but far out they may be of any size, and excuse anything.
        here, near = (A.forward(G(point)).norm(dim=-1) for point in (z, z.clamp(-1, 1)))
        start = torch.where(near < here, near, here)
        scale = torch.where(nothing, torch.where(start > 0, start, 1), scale)
    return scale.clamp(min=torch.finfo(y.dtype).tiny)


@dataclass(frozen=True, eq=False)
class OneForAll:
    """The same matrix ``A (m, n)`` for every problem."""

    A: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """The measurements."""
        return x @ self.A.mT

    def adjoint(self, r: Tensor) -> Tensor:
        """The transpose applied."""
        return r @ self.A

    def select(self, rows: Tensor) -> OneForAll:  # noqa: ARG002 (the same for all)
        """Itself."""
        return self


class OnePerSignal:
    """A matrix ``A (S, m, n)`` for each signal; problem ``i`` has that of signal ``owner[i]``, which ascends.

    The problems of one signal are measured by one product, so that its matrix is read once and never copied
    for them. Signals with fewer problems than the others are padded.
    """

    def __init__(self, A: Tensor, owner: Tensor) -> None:
        self.A, self.owner = A, owner
        count = torch.bincount(owner, minlength=len(A))
        self.width = int(count.max())
        place = torch.arange(len(owner), device=owner.device) - (count.cumsum(0) - count)[owner]
        self.slot = owner * self.width + place
        self.full = len(owner) == len(A) * self.width

    def forward(self, x: Tensor) -> Tensor:
        """The measurements."""
        return self._apply(x, self.A.mT)

    def adjoint(self, r: Tensor) -> Tensor:
        """The transpose applied."""
        return self._apply(r, self.A)

    def select(self, rows: Tensor) -> OnePerSignal:
        """The matrices of the chosen problems; those of absent signals go once they are half of all."""
        owner = self.owner[rows]
        present, renamed = owner.unique_consecutive(return_inverse=True)
        if 2 * len(present) > len(self.A):
            return OnePerSignal(self.A, owner)
        return OnePerSignal(self.A[present], renamed)

    def _apply(self, v: Tensor, tables: Tensor) -> Tensor:
        wide = v
        if not self.full:
            padded = v.new_zeros(len(self.A) * self.width, *v.shape[1:])
            wide = padded.index_copy_(0, self.slot, v)
        out = wide.reshape(len(self.A), -1, v.shape[-1]) @ tables
        out = out.view(*wide.shape[:-1], -1)
        return out if self.full else out[self.slot]


Matrices = OneForAll | OnePerSignal


def matrices(A: Tensor, owner: Tensor) -> Matrices:
    """The matrices of problems, each of which belongs to a signal; one alone serves all."""
    return OneForAll(A.reshape(A.shape[-2:])) if A.shape[:-2].numel() == 1 else OnePerSignal(A, owner)


@dataclass(frozen=True, eq=False)
class Problem:
    """One row per problem: ``||y - A G(z)||^2``, or ``|| |A G(z)| - y ||^2`` where ``amplitude`` is set.

    ``y`` is ``(P, m)``, in units of ``2**power (P,)``, as A is. ``scale (P,)`` is the length that gains are
    measured by. G's weights are constants: it is only ever differentiated in z, which costs nothing for them
    and leaves nothing behind. G sees ``block`` rows at a time.
    """

    G: Generator
    A: Matrices
    y: Tensor
    power: Tensor
    scale: Tensor
    amplitude: bool
    block: int
    tangents: Tangents

    def select(self, rows: Tensor) -> Problem:
        """The chosen problems, in ascending order."""
        y, power, scale = self.y[rows], self.power[rows], self.scale[rows]
        return replace(self, A=self.A.select(rows), y=y, power=power, scale=scale)

    def residual(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is left unexplained, and for amplitudes the signs that were lost."""
        u = self.A.forward(x)
        return (u.abs() - y, u.sign()) if self.amplitude else (u - y, None)

    def loss(self, z: Tensor) -> Tensor:
        """The data term of every row."""
        parts = [self.residual(self.G(part), y)[0].square().sum(-1) for part, y in self._parts(z)]
        return _joined(parts)

    def loss_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The data term and its gradient: only G is differentiated automatically, the rest is products."""
        losses, slopes = zip(*(self._loss_and_gradient(part, y) for part, y in self._parts(z)), strict=True)
        return _joined(losses), _joined(slopes)

    def in_units(self, step: float) -> Tensor:
        """A step along the gradient, one over a squared length, that the caller gave: ``(P, 1)``."""
        # By way of a double: a step beyond the dtype is infinite, and loses its row.
        given = torch.full((len(self.y), 1), step, dtype=torch.float64, device=self.y.device)
        return scaled(given, 2 * self.power.unsqueeze(-1)).to(self.y.dtype)

    def measured(self, z: Tensor, direction: Tensor) -> Tensor:
        """How the measurements ``(P, m)`` change along a direction."""
        return self.A.forward(self.tangents.along(z, direction))

    def residual_and_jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The residual ``(P, m)`` and its Jacobian, transposed: ``(P, k, m)``."""
        size = max(1, _JACOBIAN_BLOCKS * self.block // z.shape[-1])
        if len(z) > size:
            some = torch.arange(len(z), device=z.device).split(size)
            parts = [self.select(rows).residual_and_jacobian(z[rows]) for rows in some]
            residuals, jacobians = zip(*parts, strict=True)
            return torch.cat(residuals), torch.cat(jacobians)
        r, signs = self.residual(self.G(z), self.y)
        jacobian = self.A.forward(self.tangents.columns(z))
        return r, jacobian if signs is None else signs.unsqueeze(-2) * jacobian

    def _parts(self, z: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Equal parts of the rows, none larger than a block; matrices of their own keep the rows together."""
        if len(z) <= self.block or not isinstance(self.A, OneForAll):
            return [(z, self.y)]
        count = -(-len(z) // self.block)
        return list(zip(z.chunk(count), self.y.chunk(count), strict=True))

    def _loss_and_gradient(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.G, ByHand):
            x, pull = self.G.vjp(z)
            r, signs = self.residual(x, y)
            return r.square().sum(-1), pull(self.A.adjoint(2 * r if signs is None else 2 * r * signs))
        z = z.detach().requires_grad_(True)
        with torch.enable_grad():
            x = self.G(z)
        r, signs = self.residual(x.detach(), y)
        loss = r.square().sum(-1)
        if not x.requires_grad:
            return loss, torch.zeros_like(z)
        pulled = self.A.adjoint(r if signs is None else r * signs)
        (slope,) = torch.autograd.grad(x, z, pulled, materialize_grads=True)
        return loss, 2 * slope


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(tuple(parts))
