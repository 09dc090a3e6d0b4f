"""Criteria: the small language in which a claim's record writes one, and what whole intervals say of it.

A criterion is one line, conditions joined by ``and``:

.. code-block:: text

    x = 1 +- 0.1~            a target and its tolerance
    x in [5, 10]             limits
    x >= 2/3                 a limit that never scales
    0.8 <= x < 1.2           two of them
    x >= 1 - 0.05~           a one-sided tolerance about 1
    x < 0.03~                a tolerance about 0

A ``~`` marks a tolerance: the number that half and double tolerance scale. The number after ``+-`` is always
one, with or without it. A name is a lower-case word with digits and underscores. There is no arithmetic
between quantities: what is compared is measured as one quantity (a difference, a ratio).
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

Outcome = Literal["satisfied", "violated", "straddles"]

_UNSIGNED = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:/\d+\.?\d*)?"
_NUMBER = rf"-?\s*{_UNSIGNED}"
_LIMIT = rf"{_NUMBER}\s*(?:~|[+-]\s*{_UNSIGNED}\s*~)?"
_NAME, _RELATION = r"[a-z][a-z0-9_]*", r"<=|>=|<|>"
_TARGET = re.compile(rf"({_NAME})\s*=\s*({_NUMBER})\s*(?:\+-\s*({_UNSIGNED})\s*~?)?")
_INSIDE = re.compile(rf"({_NAME})\s+in\s*\[\s*({_LIMIT})\s*,\s*({_LIMIT})\s*\]")
_CHAIN = re.compile(rf"(?:({_LIMIT})\s*({_RELATION})\s*)?({_NAME})\s*(?:({_RELATION})\s*({_LIMIT}))?")
_TOLERANT = re.compile(rf"({_NUMBER})\s*([+-])\s*({_UNSIGNED})\s*~")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class CriterionError(ValueError):
    """A line that is no criterion; the message names the condition and what it must be like."""


@dataclass(frozen=True)
class Bound:
    """One side of one quantity, its upper limit (1) or its lower one (-1): ``centre`` +- ``tolerance``."""

    quantity: str
    side: int
    strict: bool
    centre: float
    tolerance: float

    def limit(self, factor: float) -> float:
        return self.centre + self.side * factor * self.tolerance


@dataclass(frozen=True)
class Criterion:
    """A parsed criterion: every bound must hold, with every tolerance multiplied by ``factor``."""

    text: str
    bounds: tuple[Bound, ...]
    factor: float = 1.0

    @property
    def quantities(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(bound.quantity for bound in self.bounds))

    @property
    def scalable(self) -> bool:
        """Whether the criterion has a tolerance that half and double tolerance scale."""
        return any(bound.tolerance > 0 for bound in self.bounds)

    def scaled(self, factor: float) -> Self:
        """Return the criterion with every tolerance multiplied; a larger factor never makes it harder."""
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"factor was {factor}; it must be a finite number above 0")
        return replace(self, factor=self.factor * factor)

    def evaluate(self, intervals: Mapping[str, tuple[float, float]], *, partial: bool = False) -> Outcome:
        """Say whether every point of the intervals satisfies the criterion, none does, or neither.

        With ``partial`` quantities may be missing: one that is can satisfy nothing and violate nothing.
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
            # Adding zero turns -0, whose infinity would be the wrong one, into 0.
            inside = bound.side * (bound.limit(self.factor) - value) + 0.0
            half = high - value if (bound.side > 0) == (inside >= 0) else value - low
            found.append(inside / half if half > 0 else math.copysign(math.inf, inside))
        return min(found)

    def _one(self, name: str, low: float, high: float) -> Outcome:
        if math.isnan(low) or math.isnan(high):
            raise ValueError(f"the interval of {name} was ({low}, {high}); its ends must be numbers, not NaN")
        if low > high:
            raise ValueError(f"the interval of {name} was ({low}, {high}); low must not exceed high")
        lower, upper = self._allowed(name)
        if lower <= (low, 0) and (high, 0) <= upper:
            return "satisfied"
        missed = (high, 0) < lower or upper < (low, 0) or self.empty(name)
        return "violated" if missed else "straddles"

    def empty(self, name: str) -> bool:
        """Whether no value of a quantity satisfies its bounds."""
        lower, upper = self._allowed(name)
        return lower > upper

    def _allowed(self, name: str) -> tuple[tuple[float, int], tuple[float, int]]:
        """The ends between which a quantity satisfies its bounds, each with a 1 or -1 where it is excluded.

        As pairs they are in order: an end that is excluded lies just inside of its number, which has a 0.
        """
        own = [bound for bound in self.bounds if bound.quantity == name]
        lower, upper = (
            [(one.limit(self.factor), -side * one.strict) for one in own if one.side == side]
            for side in (-1, 1)
        )
        return max(lower, default=(-math.inf, 0)), min(upper, default=(math.inf, 0))

    def __str__(self) -> str:
        return self.text if self.factor == 1 else f"{self.text} (tolerance times {self.factor:g})"


def parse(text: str) -> Criterion:
    """Read a criterion.

    >>> parse("0.8 <= slope <= 1.2 and gap < 0.03~").quantities
    ('slope', 'gap')
    >>> parse("slope << 1")
    Traceback (most recent call last):
    bindery.claims.criterion.CriterionError: criterion 'slope << 1': 'slope << 1' must be like 'x < 0.3', ...
    """
    if not isinstance(text, str):
        raise TypeError(f"text was {text!r}; a criterion must be a string")
    conditions = re.split(r"\band\b", text)
    bounds = tuple(bound for one in conditions for bound in _bounds(text, one.strip()))
    criterion = Criterion(text.strip(), bounds)
    for name in filter(criterion.empty, criterion.quantities):
        raise CriterionError(f"criterion {text!r}: no value of {name} can satisfy it")
    return criterion


def _bounds(text: str, condition: str) -> Iterator[Bound]:
    if found := _TARGET.fullmatch(condition):
        name, centre = found[1], _number(text, found[2])
        tolerance = _number(text, found[3]) if found[3] else 0.0
        if found[3] and tolerance == 0:
            raise CriterionError(f"criterion {text!r}: {condition!r} must have a tolerance above 0")
        yield from (Bound(name, side, False, centre, tolerance) for side in (-1, 1))
        return
    inside = _INSIDE.fullmatch(condition)
    found = _CHAIN.fullmatch(inside.expand(r"\2 <= \1 <= \3") if inside else condition)
    # One of the two relations, or both in one direction.
    if found is None or len({relation[0] for relation in found.group(2, 4) if relation}) != 1:
        like = "'x < 0.3', 'x = 1 +- 0.1~', 'x in [5, 10]', '0.8 <= x < 1.2' or 'x >= 1 - 0.05~'"
        raise CriterionError(f"criterion {text!r}: {condition!r} must be like {like}, joined by 'and'")
    if found[2]:
        yield _bound(text, found[3], _MIRRORED[found[2]], found[1])
    if found[4]:
        yield _bound(text, *found.group(3, 4, 5))


def _bound(text: str, name: str, relation: str, limit: str) -> Bound:
    centre, tolerance = 0.0, 0.0
    if found := _TOLERANT.fullmatch(limit.strip()):
        centre, tolerance = _number(text, found[1]), _number(text, found[2] + found[3])
    elif "~" in limit:
        tolerance = _number(text, limit.replace("~", ""))
    else:
        centre = _number(text, limit)
    side = 1 if relation[0] == "<" else -1
    outward = side * tolerance
    if outward < 0 or ("~" in limit and tolerance == 0):
        why = f"the tolerance of {limit.strip()!r} must loosen the criterion as it grows"
        raise CriterionError(f"criterion {text!r}: {why}")
    return Bound(name, side, len(relation) == 1, centre, outward)


def _number(text: str, said: str) -> float:
    top, _, bottom = said.replace(" ", "").partition("/")
    if bottom and float(bottom) == 0:
        raise CriterionError(f"criterion {text!r}: {said.strip()!r} must have a divisor other than 0")
    value = float(top) / float(bottom or 1)
    if not math.isfinite(value):
        raise CriterionError(f"criterion {text!r}: {said.strip()!r} must be a number that a float64 can hold")
    return value
