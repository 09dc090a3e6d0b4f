"""What every classical solver is given: ``A x = y``, checked, detached, flat, and of order one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.common import batched, checks, units
from gsl_utils.common.result import Recovery

__all__ = ["System"]


@dataclass(frozen=True, eq=False)
class System:
    """``A x = y`` with A and y divided by powers of two, which costs no digit.

    What a solver computes from ``A`` and ``y`` neither overflows nor vanishes when it is squared, and is bit
    by bit the same for inputs that differ by a power of two. ``recovery`` takes it back to the user's units.

    Attributes:
        A: ``(m, n)`` when shared or ``(N, m, n)``: the largest entry, or that of each column, is in [1/2, 1).
        y: ``(N, m)``: the largest entry of every signal is in [1/2, 1).
        batch: The shape of the batch, of N signals.
        A_power: What A was divided by, as an exponent, with the shape of x's rows: ``(1 or N, 1 or n)``.
        y_power: The same for y, ``(N, 1)``.
    """

    A: Tensor
    y: Tensor
    batch: torch.Size
    A_power: Tensor
    y_power: Tensor

    @classmethod
    def of(cls, A: Tensor, y: Tensor, *, by_column: bool = False) -> System:
        """Check the arguments, and bring every matrix, or every column, and every signal to order one."""
        A, y, batch = checks.linear_system("A", A, "y", y, "rows")
        # The solvers are no functions to differentiate: a learned A takes part as the numbers that it holds.
        A, y = batched.flatten(A.detach(), y.detach(), batch)
        A_power = units.exponent(A, -2 if by_column else (-2, -1))
        y_power = units.exponent(y, -1)
        power = A_power.squeeze(-2) if A.ndim == 3 else A_power
        return cls(units.scaled(A, -A_power), units.scaled(y, -y_power), batch, power, y_power)

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
        scaled = units.scaled(value.unsqueeze(-1), power)
        return scaled.to(self.y.dtype).reshape(self.batch)

    def _signals(self, scaled: Tensor) -> Tensor:
        """The solutions in the user's units, refused where the dtype of y cannot hold it."""
        dtype, power = self.y.dtype, self.y_power - self.A_power
        x = units.scaled(scaled, power).to(dtype)
        largest = x.abs().amax(-1)
        lost = ~torch.isfinite(largest) | (largest < torch.finfo(dtype).tiny) & (scaled != 0).any(-1)
        if bool(lost.any()):
            exponents = torch.where(scaled != 0, torch.frexp(scaled).exponent + power, -(2**30))[lost]
            info = torch.finfo(dtype)
            raise ValueError(
                f"A and y are too far apart in scale: the largest entry of x would be about "
                f"2**{int(exponents[0].amax())}; it must be between {info.tiny:.1e} and {info.max:.1e}, "
                f"the range of {dtype}."
            )
        return x
