"""Bounds on measured quantities, and what whole intervals say of them: the meaning of a criterion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["Bound", "Criterion", "Outcome"]

Outcome = Literal["satisfied", "violated", "straddles"]


@dataclass(frozen=True)
class Bound:
    """One side of one quantity: ``quantity`` is below (or above) ``centre`` plus (or minus) ``tolerance``.

    Args:
        quantity: The name of what is measured.
        side: ``"below"`` for an upper limit, ``"above"`` for a lower limit.
        strict: Whether the limit itself is excluded.
        centre: The part of the limit that does not scale.
        tolerance: The part that does, at least 0.
    """

    quantity: str
    side: Literal["below", "above"]
    strict: bool
    centre: float
    tolerance: float

    def limit(self, factor: float) -> float:
        """Return the limit when the tolerance is multiplied by ``factor``."""
        scaled = factor * self.tolerance
        return self.centre + scaled if self.side == "below" else self.centre - scaled


@dataclass(frozen=True)
class Criterion:
    """A parsed criterion: every bound must hold. Made by ``bindery.claims.criterion.parse``.

    Args:
        text: The line as it was written.
        bounds: The bounds, all of which must hold.
        factor: What every tolerance is multiplied by.

    >>> from bindery.claims.criterion import parse
    >>> criterion = parse("slope = 1 +- 0.1~")
    >>> criterion.evaluate({"slope": (0.96, 1.02)}), criterion.scaled(0.5).evaluate({"slope": (0.94, 1.02)})
    ('satisfied', 'straddles')
    """

    text: str
    bounds: tuple[Bound, ...]
    factor: float = 1.0

    @property
    def quantities(self) -> tuple[str, ...]:
        """The names of the quantities, in the order in which they appear."""
        return tuple(dict.fromkeys(bound.quantity for bound in self.bounds))

    @property
    def scalable(self) -> bool:
        """Whether the criterion has a tolerance that half and double tolerance scale."""
        return any(bound.tolerance > 0 for bound in self.bounds)

    def scaled(self, factor: float) -> Criterion:
        """Return the criterion with every tolerance multiplied by ``factor``.

        Args:
            factor: Above 0; a larger factor never makes the criterion harder to satisfy.

        Raises:
            ValueError: ``factor`` is not a finite number above 0.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"factor was {factor}; it must be a finite number above 0")
        return replace(self, factor=self.factor * factor)

    def evaluate(self, intervals: Mapping[str, tuple[float, float]], *, partial: bool = False) -> Outcome:
        """Say whether whole intervals satisfy the criterion, whole intervals violate it, or neither.

        Args:
            intervals: For every quantity its closed interval ``(low, high)``; infinite ends are allowed.
            partial: Allow quantities to be missing. A missing quantity can satisfy nothing and violate
                nothing, so the criterion can then at most be violated, by one of the others.

        Returns:
            ``"satisfied"`` when every point of every interval satisfies the criterion, ``"violated"`` when no
            combination of their points does, else ``"straddles"``.

        Raises:
            ValueError: An interval is missing, not asked for, holds NaN, or has its ends the wrong way round.
        """
        unknown = sorted(set(intervals) - set(self.quantities))
        missing = [name for name in self.quantities if name not in intervals]
        if unknown:
            raise ValueError(f"intervals had {unknown}, which the criterion {self.text!r} does not mention")
        if missing and not partial:
            raise ValueError(f"intervals lacked {missing}, which the criterion {self.text!r} needs")
        outcomes = [self._one(name, *intervals[name]) for name in self.quantities if name in intervals]
        if "violated" in outcomes:
            return "violated"
        return "satisfied" if not missing and set(outcomes) == {"satisfied"} else "straddles"

    def margin(self, name: str, value: float, low: float, high: float) -> float:
        """Return how far a quantity's value lies inside its limits, in half-widths of its interval.

        Above 1 the whole interval satisfies the bounds, below -1 it violates one of them. Of the two halves
        of the interval it is the one towards the limit; one without a width gives an infinity.
        """
        found = []
        for bound in (bound for bound in self.bounds if bound.quantity == name):
            limit = bound.limit(self.factor)
            inside = limit - value if bound.side == "below" else value - limit
            half = high - value if (bound.side == "below") == (inside >= 0) else value - low
            found.append(inside / half if half > 0 else math.copysign(math.inf, inside))
        return min(found)

    def _one(self, name: str, low: float, high: float) -> Outcome:
        if math.isnan(low) or math.isnan(high):
            raise ValueError(f"the interval of {name} was ({low}, {high}); its ends must be numbers, not NaN")
        if low > high:
            raise ValueError(f"the interval of {name} was ({low}, {high}); low must not exceed high")
        # Taken together, the bounds on one quantity are an interval: points inside satisfy them.
        above, above_open, below, below_open = self._allowed(name)
        satisfied = (low > above or (low == above and not above_open)) and (
            high < below or (high == below and not below_open)
        )
        if satisfied:
            return "satisfied"
        empty = above > below or (above == below and (above_open or below_open))
        if (
            empty
            or high < above
            or (high == above and above_open)
            or low > below
            or (low == below and below_open)
        ):
            return "violated"
        return "straddles"

    def _allowed(self, name: str) -> tuple[float, bool, float, bool]:
        above, above_open, below, below_open = -math.inf, False, math.inf, False
        for bound in self.bounds:
            if bound.quantity != name:
                continue
            limit = bound.limit(self.factor)
            if bound.side == "above" and (limit, bound.strict) > (above, above_open):
                above, above_open = limit, bound.strict
            if bound.side == "below" and (-limit, bound.strict) > (-below, below_open):
                below, below_open = limit, bound.strict
        return above, above_open, below, below_open

    def __str__(self) -> str:
        return self.text if self.factor == 1 else f"{self.text} (tolerance times {self.factor:g})"
