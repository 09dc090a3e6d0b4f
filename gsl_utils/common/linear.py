"""Linear systems ``A x = y`` for a batch of signals: their units, their products, and what is left of them.

A power of two takes any input to order one and back, exactly; no square then leaves the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.result import Recovery

__all__ = [
    "System",
    "adjoint",
    "decibels",
    "exponent",
    "flatten",
    "forward",
    "gather_columns",
    "keep_largest",
    "rows",
    "scaled",
    "shrink",
    "square_root",
    "unit",
    "unit_difference",
]

# The power is applied in so many parts: from the smallest number to the largest is further than the largest.
_PARTS = 3


def exponent(value: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """The e, an integer, with the largest magnitude of ``value`` along ``dim`` in ``[2**(e-1), 2**e)``.

    It keeps ``dim`` with length 1, and is 0 where all entries are zero.
    """
    return torch.frexp(value.abs().amax(dim, keepdim=True)).exponent


def scaled(value: Tensor, power: Tensor | int) -> Tensor:
    """``value * 2**power``: exact, unless it overflows or has fewer digits below the normal numbers."""
    power = torch.as_tensor(power, device=value.device)
    part = power.div(_PARTS, rounding_mode="trunc")
    for piece in (*(part,) * (_PARTS - 1), power - (_PARTS - 1) * part):
        value = value * torch.ldexp(torch.ones_like(piece, dtype=value.dtype), piece)
    return value


def unit(value: Tensor, dim: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """``value`` over the power of two of ``exponent``, and that exponent; its squares are of order one."""
    power = exponent(value, dim)
    return scaled(value, -power), power


def unit_difference(a: Tensor, b: Tensor, dim: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """``a - b`` over a power of two, and its exponent: the difference may overflow, by a factor of 2."""
    top = math.frexp(torch.finfo(a.dtype).max)[1]
    halved = (torch.maximum(exponent(a, dim), exponent(b, dim)) >= top).int()
    difference, power = unit(scaled(a, -halved) - scaled(b, -halved), dim)
    return difference, power + halved


def decibels(over: Tensor, under: Tensor, power: Tensor) -> Tensor:
    """``10 log10(over / under * 2**power)``; ``over / under`` is of order one, the whole need not be."""
    # As much of the power as the numbers hold goes below the logarithm, where it costs no rounding.
    limit = int(math.log2(torch.finfo(over.dtype).max) / 2)
    inside = power.clamp(-limit, limit)
    outside = (power - inside).to(over.dtype) * math.log10(2)
    return 10 * (torch.log10(scaled(over / under, inside)) + outside)


def square_root(x: Tensor) -> Tensor:
    """The root of every entry, to one rounding or two.

    torch leaves its own to a part of MKL that starts from the processor's approximation of 1/sqrt, which is
    not the same everywhere. This is made of a root and two divisions that are rounded as IEEE 754 prescribes.
    """
    return x.rsqrt().reciprocal()


def flatten(A: Tensor, y: Tensor, batch: torch.Size) -> tuple[Tensor, Tensor]:
    """One batch dimension for all: ``A (m, n)`` when shared or ``(N, m, n)``, and ``y (N, m)``."""
    flat = y.expand(*batch, y.shape[-1]).reshape(-1, y.shape[-1])
    if A.shape[:-2].numel() == 1:
        return A.reshape(A.shape[-2:]), flat
    return A.expand(*batch, *A.shape[-2:]).reshape(-1, *A.shape[-2:]), flat


def forward(A: Tensor, x: Tensor) -> Tensor:
    """``A x`` for every signal."""
    return x @ A.mT if A.ndim == 2 else (A @ x.unsqueeze(-1)).squeeze(-1)


def adjoint(A: Tensor, r: Tensor) -> Tensor:
    """The transpose of ``A`` times ``r``, for every signal."""
    return r @ A if A.ndim == 2 else (A.mT @ r.unsqueeze(-1)).squeeze(-1)


def rows(A: Tensor, chosen: Tensor) -> Tensor:
    """The matrices of the chosen signals."""
    return A if A.ndim == 2 else A[chosen]


def gather_columns(A: Tensor, indices: Tensor, real: Tensor) -> Tensor:
    """The chosen columns of each signal's matrix as the rows of ``(N, p, m)``, zero where padded."""
    if A.ndim == 2:
        columns = A.mT[indices]
    else:
        columns = A.mT.gather(1, indices.unsqueeze(-1).expand(-1, -1, A.shape[-2]))
    return columns.mul_(real.unsqueeze(-1))


def shrink(u: Tensor, t: float | Tensor) -> Tensor:
    """Every entry nearer to zero by ``t``, or there: ``soft_threshold`` without the checks."""
    return u.sign() * (u.abs() - t).clamp(min=0)


def keep_largest(u: Tensor, s: int) -> Tensor:
    """The ``s`` largest magnitudes of each row, the others zero: ``hard_threshold`` without the checks."""
    kept = u.abs().topk(s, dim=-1).indices
    return torch.zeros_like(u).scatter(-1, kept, u.gather(-1, kept))


@dataclass(frozen=True, eq=False)
class System:
    """``A x = y`` with A and y divided by powers of two, which costs no digit.

    What a solver computes from ``A`` and ``y`` neither overflows nor vanishes when it is squared, and is bit
    by bit the same for inputs that differ by a power of two. ``recovery`` takes it back to the user's units.
    """

    A: Tensor  # (m, n) when shared or (N, m, n): the largest entry, or that of each column, is in [1/2, 1)
    y: Tensor  # (N, m): the largest entry of every signal is in [1/2, 1)
    batch: torch.Size  # of N signals
    A_power: Tensor  # what A was divided by, as an exponent, with the shape of x's rows: (1 or N, 1 or n)
    y_power: Tensor  # the same for y, (N, 1)

    @classmethod
    def of(cls, A: Tensor, y: Tensor, *, by_column: bool = False) -> System:
        """Check the arguments, and bring every matrix, or every column, and every signal to order one."""
        A, y, batch = checks.linear_system("A", A, "y", y, "rows")
        # The solvers are no functions to differentiate: a learned A takes part as the numbers that it holds.
        A, y = flatten(A.detach(), y.detach(), batch)
        A_power = exponent(A, -2 if by_column else (-2, -1))
        y_power = exponent(y, -1)
        power = A_power.squeeze(-2) if A.ndim == 3 else A_power
        return cls(scaled(A, -A_power), scaled(y, -y_power), batch, power, y_power)

    def recovery(
        self,
        x: Tensor,
        objective: Tensor,
        power: Tensor,
        n_iter: Tensor,
        converged: Tensor,
        gap: Tensor | None = None,
    ) -> Recovery:
        """What was computed, in the user's units and shapes; ``objective`` and ``gap`` times ``2**power``.

        An objective beyond the largest number is infinite, and then nothing is said to have converged.
        """
        x = self._signals(x).reshape(*self.batch, -1)
        value = self._in_units(objective, power)
        bound = None if gap is None else self._in_units(gap, power)
        converged = converged.reshape(self.batch) & torch.isfinite(value)
        return Recovery(x, x, value, n_iter.reshape(self.batch), converged, bound)

    def _in_units(self, value: Tensor, power: Tensor) -> Tensor:
        return scaled(value.unsqueeze(-1), power).to(self.y.dtype).reshape(self.batch)

    def _signals(self, within: Tensor) -> Tensor:
        """The solutions in the user's units, refused where the dtype of y cannot hold it."""
        dtype, power = self.y.dtype, self.y_power - self.A_power
        x = scaled(within, power).to(dtype)
        largest = x.abs().amax(-1)
        lost = ~torch.isfinite(largest) | (largest < torch.finfo(dtype).tiny) & (within != 0).any(-1)
        if bool(lost.any()):
            exponents = torch.where(within != 0, torch.frexp(within).exponent + power, -(2**30))[lost]
            info = torch.finfo(dtype)
            raise ValueError(
                f"A and y are too far apart in scale: the largest entry of x would be about "
                f"2**{int(exponents[0].amax())}; it must be between {info.tiny:.1e} and {info.max:.1e}, "
                f"the range of {dtype}."
            )
        return x
