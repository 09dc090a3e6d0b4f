"""From what was measured to a verdict: the rules by which a claim is settled.

The whole interval satisfies the criterion: *reproduced* (or *reproduced after correction*, where a misprint
was mended first). The whole interval violates it: *contradicted*. It straddles: *not settled*. A control must
violate each part of the criterion over its whole interval, but those that its record spares with a reason;
when it does not, the test could not have failed, and the verdict is *void*.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from bindery.claims.criterion import Criterion
from bindery.claims.intervals import Estimate
from bindery.claims.model import Claim


@dataclass(frozen=True)
class Measurement:
    """What a page recorded for one claim."""

    id: str
    values: Mapping[str, Estimate]
    control: Mapping[str, Estimate] | None
    n: int
    unit: str
    profile: str
    seed: int
    note: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any], claim: Claim) -> Self:
        """Read what a page recorded; a claim with one quantity is recorded without its name."""
        place, values, control = f"{claim.file}:{claim.line}", _estimates(claim, data, ""), None
        had = f"{claim.id}: the value had the quantities {sorted(values)}"
        if set(values) != set(claim.quantities):
            raise ValueError(f"{had}; the criterion in {place} needs {sorted(claim.quantities)}")
        if data["control_value"] is not None:
            control = _estimates(claim, data, "control_")
            had = f"{claim.id}: the control had the quantities {sorted(control)}"
            if not control or set(control) - set(claim.quantity):
                raise ValueError(f"{had}; the record in {place} knows {sorted(claim.quantity)}")
        told = {name: data[name] for name in ("n", "unit", "profile", "seed", "note")}
        return cls(claim.id, values, control, **told)

    @property
    def units(self) -> str:
        return f"{self.n} {self.unit}{'' if self.n == 1 else 's'}"

    @property
    def parts(self) -> Iterator[tuple[str, str, Estimate]]:
        """Every number: ``""`` or ``"control "``, the quantity's name, and its estimate."""
        for label, found in (("", self.values), ("control ", self.control or {})):
            for name, estimate in found.items():
                yield label, name, estimate


@dataclass(frozen=True)
class Verdict:
    """What a measurement says of a claim."""

    word: str
    reasons: tuple[str, ...]
    profile: str = ""
    half: str | None = None
    double: str | None = None
    margin: float | None = None
    measurement: Measurement | None = None


def decide(claim: Claim, measured: Measurement | None) -> Verdict:
    """Settle a claim by what a page recorded for it; None where no page has."""
    if not claim.testable:
        return Verdict("not testable", (str(claim.reason),))
    profile = measured.profile if measured else ""
    if claim.again is not None:
        return Verdict("being judged again", (claim.again,), profile, measurement=measured)
    if measured is None:
        return Verdict("not run", ("nothing is recorded for it",))
    if claim.criterion is None:
        reasons: tuple[str, ...] = ("it is a measurement: it decides nothing",)
        return Verdict("measured", reasons, profile, measurement=measured)
    word, reasons = _word(claim, claim.criterion, measured)
    half = double = None
    if claim.criterion.scalable:
        half, double = (_word(claim, claim.criterion.scaled(factor), measured)[0] for factor in (0.5, 2.0))
    margin = min(claim.criterion.margin(name, *measured.values[name]) for name in claim.criterion.quantities)
    return Verdict(word, reasons, profile, half, double, margin, measured)


def _word(claim: Claim, criterion: Criterion, measured: Measurement) -> tuple[str, tuple[str, ...]]:
    void = _void(claim, criterion, measured)
    if void:
        return "void", void
    match criterion.evaluate(_ends(measured.values)):
        case "satisfied" if claim.misprint is None:
            return "reproduced", (f"the whole interval satisfies {criterion}",)
        case "satisfied":
            corrected = f"for the claim as {claim.misprint} corrects it"
            return "reproduced after correction", (f"the whole interval satisfies {criterion}, {corrected}",)
        case "violated":
            return "contradicted", (f"the whole interval violates {criterion}",)
        case _:
            return "not settled", (f"the interval straddles {criterion}",)


def _void(claim: Claim, criterion: Criterion, measured: Measurement) -> tuple[str, ...]:
    """Return why the control did not fail as it must; nothing when it did, or when there is none."""
    if claim.control.reason is not None:
        return ()
    if measured.control is None:
        return ("no control was recorded, and the record demands one",)
    reasons = []
    for name in criterion.quantities:
        if name in claim.control.spared:
            continue
        if name not in measured.control:
            reasons.append(f"the control measures no {name}, and the record does not spare it")
        elif criterion.evaluate(_ends(measured.control, [name]), partial=True) != "violated":
            reasons.append(f"the control's {name} does not violate {criterion} over its whole interval")
    own = claim.control.criterion
    if own and own.evaluate(_ends(measured.control, own.quantities), partial=True) != "satisfied":
        reasons.append(f"the control does not satisfy {own} over its whole interval")
    return tuple(reasons)


def _ends(found: Mapping[str, Estimate], names: Iterable[str] = ()) -> dict[str, tuple[float, float]]:
    """Return the intervals of some quantities, of all where none is named."""
    return {name: found[name][1:] for name in names or found if name in found}


def _estimates(claim: Claim, data: Mapping[str, Any], prefix: str) -> dict[str, Estimate]:
    """Return what was recorded by quantity, from three mappings or three numbers."""
    value, low, high = (_named(claim, data[prefix + part]) for part in ("value", "low", "high"))
    if set(low) != set(value) or set(high) != set(value):
        ends = f"its ends {sorted(low)} and {sorted(high)}"
        raise ValueError(f"{claim.id}: the value had the quantities {sorted(value)}, {ends}")
    return {name: Estimate.of(value[name], low[name], high[name], data["n"]) for name in value}


def _named(claim: Claim, data: Any) -> dict[str, float]:
    if not isinstance(data, Mapping):
        if len(claim.quantities) != 1:
            has = f"but its record in {claim.file}:{claim.line} has the quantities {list(claim.quantities)}"
            remedy = "record a mapping from each of them to its value"
            raise ValueError(f"{claim.id}: one number was recorded, {has}; {remedy}")
        data = {claim.quantities[0]: data}
    return {str(name): float(number) for name, number in data.items()}
