"""From what was measured to a verdict: the rules by which a claim is settled.

The whole interval satisfies the criterion: *reproduced* (or *reproduced after correction*, where a misprint
was mended first). The whole interval violates it: *contradicted*. It straddles: *not settled*. A control must
violate each part of the criterion over its whole interval, but those that its record spares with a reason;
when it does not, the test could not have failed, and the verdict is *void*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bindery.claims.criterion import Criterion
from bindery.claims.model import Claim

__all__ = ["Measurement", "Verdict", "decide"]

Interval = tuple[float, float]


@dataclass(frozen=True)
class Measurement:
    """What a page recorded for one claim: for every quantity its value and interval, and the control's.

    Args:
        id: The claim's id.
        value: The measured value of each quantity.
        interval: Its 99 % interval, ``(low, high)``.
        control: The control's value of each quantity; None where the claim has no control.
        control_interval: The control's interval of each quantity; None where the claim has no control.
        n: How many independent units (seeds, trained models, trials) stand behind the value.
        unit: What one unit is.
        profile: ``"quick"`` or ``"paper"``.
        seed: The seed of the page.
        note: A remark, or the empty string.
    """

    id: str
    value: Mapping[str, float]
    interval: Mapping[str, Interval]
    control: Mapping[str, float] | None
    control_interval: Mapping[str, Interval] | None
    n: int
    unit: str
    profile: str
    seed: int
    note: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any], claim: Claim) -> Measurement:
        """Read what a page recorded; a claim with one quantity is recorded without its name."""
        value, low, high = (_named(claim, data[name]) for name in ("value", "low", "high"))
        wanted = set(claim.quantities)
        if set(value) != wanted or set(low) != wanted or set(high) != wanted:
            raise ValueError(
                f"{claim.id}: the value had the quantities {sorted(value)}; "
                f"the criterion in {claim.file}:{claim.line} needs {sorted(wanted)}"
            )
        control = control_interval = None
        if data["control_value"] is not None:
            control = _named(claim, data["control_value"])
            ends = [_named(claim, data[name]) for name in ("control_low", "control_high")]
            foreign = sorted(set(control) - set(claim.quantity))
            if foreign or not control or any(set(end) != set(control) for end in ends):
                raise ValueError(
                    f"{claim.id}: the control had the quantities {sorted(control)}; "
                    f"the record in {claim.file}:{claim.line} knows {sorted(claim.quantity)}"
                )
            control_interval = {name: (ends[0][name], ends[1][name]) for name in control}
        return cls(
            id=claim.id,
            value=value,
            interval={name: (low[name], high[name]) for name in value},
            control=control,
            control_interval=control_interval,
            **{name: data[name] for name in ("n", "unit", "profile", "seed", "note")},
        )


@dataclass(frozen=True)
class Verdict:
    """What a measurement says of a claim.

    Args:
        word: One of the verdicts of ``bindery.claims.schema.VERDICTS``.
        reasons: Why, one sentence each.
        profile: The profile that was measured; empty where nothing was.
        half: The verdict's word under half the tolerance; None where the criterion has none.
        double: The verdict's word under double the tolerance; None where the criterion has none.
        margin: How many half-widths of their intervals the quantities lie inside of their limits, at least.
        measurement: What was measured, or None.
    """

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
        return Verdict(
            "measured", ("it is a measurement: it decides nothing",), profile, measurement=measured
        )
    word, reasons = _word(claim, claim.criterion, measured)
    half = double = None
    if claim.criterion.scalable:
        half, double = (_word(claim, claim.criterion.scaled(factor), measured)[0] for factor in (0.5, 2.0))
    margin = min(
        claim.criterion.margin(name, measured.value[name], *measured.interval[name])
        for name in claim.criterion.quantities
    )
    return Verdict(word, reasons, profile, half, double, margin, measured)


def _word(claim: Claim, criterion: Criterion, measured: Measurement) -> tuple[str, tuple[str, ...]]:
    void = _void(claim, criterion, measured)
    if void:
        return "void", void
    match criterion.evaluate(measured.interval):
        case "satisfied" if claim.misprint is None:
            return "reproduced", (f"the whole interval satisfies {criterion}",)
        case "satisfied":
            reason = (
                f"the whole interval satisfies {criterion}, for the claim as {claim.misprint} corrects it"
            )
            return "reproduced after correction", (reason,)
        case "violated":
            return "contradicted", (f"the whole interval violates {criterion}",)
        case _:
            return "not settled", (f"the interval straddles {criterion}",)


def _void(claim: Claim, criterion: Criterion, measured: Measurement) -> tuple[str, ...]:
    """Return why the control did not fail as it must; nothing when it did, or when there is none."""
    if claim.control.reason is not None:
        return ()
    if measured.control_interval is None:
        return ("no control was recorded, and the record demands one",)
    reasons = []
    for name in criterion.quantities:
        if name in claim.control.spared:
            continue
        judged = {name: measured.control_interval[name]} if name in measured.control_interval else {}
        if not judged:
            reasons.append(f"the control measures no {name}, and the record does not spare it")
        elif criterion.evaluate(judged, partial=True) != "violated":
            reasons.append(f"the control's {name} does not violate {criterion} over its whole interval")
    own = claim.control.criterion
    if own is not None:
        judged = {name: ends for name, ends in measured.control_interval.items() if name in own.quantities}
        if own.evaluate(judged, partial=True) != "satisfied":
            reasons.append(f"the control does not satisfy {own} over its whole interval")
    return tuple(reasons)


def _named(claim: Claim, data: Any) -> dict[str, float]:
    """Return ``data`` as a mapping from quantities to numbers."""
    if isinstance(data, Mapping):
        return {str(name): float(number) for name, number in data.items()}
    names = list(claim.quantities)
    if len(names) != 1:
        raise ValueError(
            f"{claim.id}: one number was recorded, but its record in {claim.file}:{claim.line} "
            f"has the quantities {names}; record a mapping from each of them to its value"
        )
    return {names[0]: float(data)}
