"""The entries of the ledger, and how they are written: as JSON for machines, as text on a terminal."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

from bindery.claims.model import Claim, Erratum
from bindery.claims.schema import VERDICTS
from bindery.claims.verdicts import Measurement, Verdict, decide

__all__ = ["Entry", "Ledger", "report", "to_json"]


@dataclass(frozen=True)
class Entry:
    """One claim with its verdicts.

    Args:
        record: The claim's record.
        quick: The verdict of the quick profile, read from the page; None where the page records nothing.
        paper: The verdict of the paper profile, read from stored results; None where nothing is stored.
        stale: Whether the stored results are older than the code or data that they are computed with.
    """

    record: Claim
    quick: Verdict | None
    paper: Verdict | None
    stale: bool = False

    @property
    def deciding(self) -> Verdict:
        """The verdict that counts: that of the profile which the record names, or "not run"."""
        verdict = self.quick if self.record.profile == "quick" else self.paper
        return decide(self.record, None) if verdict is None else verdict

    @property
    def half(self) -> str | None:
        """The deciding verdict's word under half the tolerance; None where there is no tolerance."""
        return self.deciding.half

    @property
    def double(self) -> str | None:
        """The deciding verdict's word under double the tolerance; None where there is no tolerance."""
        return self.deciding.double

    @property
    def agreement(self) -> bool | None:
        """Whether the quick and the paper profile agree; None where one of them was not run."""
        if self.quick is None or self.paper is None:
            return None
        return self.quick.word == self.paper.word


@dataclass(frozen=True)
class Ledger:
    """All claims in the order of the chapters and of the list, and the misprints that were found.

    Args:
        entries: The claims with their verdicts.
        errata: The misprints.
    """

    entries: tuple[Entry, ...]
    errata: tuple[Erratum, ...]

    def chapter(self, stem: str) -> tuple[Entry, ...]:
        """Return the entries of one chapter."""
        return tuple(entry for entry in self.entries if entry.record.chapter == stem)

    def counts(self) -> dict[str, int]:
        """Return how many claims have each verdict, for every verdict there is."""
        words = [entry.deciding.word for entry in self.entries]
        return {word: words.count(word) for word in VERDICTS}


def to_json(ledger: Ledger) -> str:
    """Return the ledger as JSON text: the same bytes for the same ledger.

    Args:
        ledger: The ledger.

    Returns:
        An object with ``claims``, ``counts`` and ``errata``, ending in a newline.
    """
    data = {
        "claims": [_entry_json(entry) for entry in ledger.entries],
        "counts": ledger.counts(),
        "errata": [_erratum_json(erratum) for erratum in ledger.errata],
    }
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _entry_json(entry: Entry) -> dict[str, Any]:
    claim = entry.record
    control: dict[str, Any] = {"none": claim.control.reason}
    if claim.control.reason is None:
        own = claim.control.criterion
        control = {"variant": claim.control.variant, "expect": claim.control.expect}
        control |= {"criterion": own.text if own else None}
    words = ("id", "paper", "key", "locus", "standing", "claim", "kind", "chapter", "tolerance", "profile")
    return {
        **{name: getattr(claim, name) for name in (*words, "misprint", "unpublished")},
        "quantity": dict(claim.quantity),
        "criterion": claim.criterion.text if claim.criterion else None,
        "control": control,
        "history": [vars(change) for change in claim.history],
        "accepted": vars(claim.accepted),
        "verdict": entry.deciding.word,
        "reasons": list(entry.deciding.reasons),
        "half": entry.half,
        "double": entry.double,
        "quick": _verdict_json(entry.quick),
        "paper": _verdict_json(entry.paper),
        "agreement": entry.agreement,
        "stale": entry.stale,
    }


def _erratum_json(erratum: Erratum) -> dict[str, Any]:
    words = ("id", "source", "locus", "printed", "corrected", "page", "claim", "survives")
    return {**{name: getattr(erratum, name) for name in words}, "claims": list(erratum.claims)}


def _verdict_json(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    words = {"verdict": verdict.word, "half": verdict.half, "double": verdict.double}
    return {**words, "reasons": list(verdict.reasons), "measured": _measured_json(verdict.measurement)}


def _measured_json(measured: Measurement | None) -> dict[str, Any] | None:
    if measured is None:
        return None
    words = {name: getattr(measured, name) for name in ("n", "unit", "profile", "seed", "note")}
    quantities = {name: _number(measured.value[name], measured.interval[name]) for name in measured.value}
    controls = None
    if measured.control is not None and measured.control_interval is not None:
        controls = {
            name: _number(measured.control[name], measured.control_interval[name])
            for name in measured.control
        }
    return {**words, "quantities": quantities, "control": controls}


def _number(value: float, interval: tuple[float, float]) -> dict[str, float]:
    return {"value": value, "low": interval[0], "high": interval[1]}


def report(entry: Entry) -> str:
    """Return a claim's record, what was measured and the verdict as text for a terminal.

    Args:
        entry: The claim's entry.

    Returns:
        Several lines, without a newline at the end.
    """
    claim, control = entry.record, entry.record.control
    rows = [
        ("claim", f"{claim.id} ({claim.chapter}, {claim.standing}): {claim.claim}"),
        ("source", f"{claim.paper}: {claim.locus}"),
        *[("quantity", f"{name}: {text}") for name, text in claim.quantity.items()],
        ("criterion", claim.criterion.text if claim.criterion else "none"),
        ("tolerance", claim.tolerance or "none"),
        ("control", f"none: {control.reason}" if control.reason else f"{control.variant}; {control.expect}"),
    ]
    for verdict in (entry.quick, entry.paper):
        if verdict is not None:
            rows += _measured_rows(verdict)
    deciding = entry.deciding
    rows.append(("verdict", f"{deciding.word}, decided by the {claim.profile} profile"))
    rows += [("", reason) for reason in deciding.reasons]
    if deciding.half or deciding.double:
        rows.append(("tolerance", f"half: {deciding.half}; double: {deciding.double}"))
    if entry.stale:
        rows.append(("", "the stored paper result is stale: its code or data have changed since"))
    rows.append(("accepted", f"{claim.accepted.verdict}: {claim.accepted.reason}"))
    return "\n".join(_row(name, text) for name, text in rows)


def _measured_rows(verdict: Verdict) -> list[tuple[str, str]]:
    measured = verdict.measurement
    if measured is None:
        return []
    units = f"{measured.n} {measured.unit}{'s' if measured.n > 1 else ''}, seed {measured.seed}"
    rows = [(verdict.profile, f"{verdict.word} ({units}){f'; {measured.note}' if measured.note else ''}")]
    parts = [("", measured.value, measured.interval)]
    if measured.control is not None and measured.control_interval is not None:
        parts.append(("control ", measured.control, measured.control_interval))
    for label, values, intervals in parts:
        for name, value in values.items():
            low, high = intervals[name]
            rows.append(("", f"{label}{name} = {value:g}, 99 % interval [{low:g}, {high:g}]"))
    return rows


def _row(name: str, text: str) -> str:
    """Return a labelled paragraph with a hanging indent."""
    indent = " " * 14
    return textwrap.fill(text, 100, initial_indent=f"{name:<13} ", subsequent_indent=indent)
