"""The entries of the ledger, and how they are written: as JSON for machines, as text on a terminal."""

import json
import math
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bindery.claims.criterion import Criterion
from bindery.claims.history import Commits
from bindery.claims.intervals import Estimate
from bindery.claims.model import Claim, Erratum
from bindery.claims.schema import THEOREM, VERDICTS
from bindery.claims.verdicts import Verdict, decide

# Verdicts on a claim whose test was run and stands.
COUNTED = ("reproduced", "reproduced after correction", "contradicted", "not settled")
# What claims of each standing are counted among; theorem checks, which test the code, apart.
_GROUPS = dict.fromkeys(("stated", "quoted", "companion"), "the papers")
_GROUPS |= {"summary": "a machine-written summary", "ours": "our own questions"}
_THEOREMS = "theorem checks"
# Of two-sided intervals at 99 %, so many miss what they are intervals of.
_MISS = 0.01


@dataclass(frozen=True)
class Entry:
    """One claim with its verdicts: from the page, and from stored results, which may be older than the code.

    ``seeds`` holds the quick verdict's word under other seeds, as ``make seeds`` stored them.
    """

    record: Claim
    quick: Verdict | None
    paper: Verdict | None
    stale: bool = False
    seeds: Mapping[str, str] = field(default_factory=dict)
    commits: Commits = field(default_factory=Commits)

    @property
    def deciding(self) -> Verdict:
        """The verdict that counts: that of the strongest run, whichever way it came out."""
        return self.paper or self.quick or decide(self.record, None)

    @property
    def agreement(self) -> bool | None:
        """Whether the quick and the paper profile agree; None where one of them was not run."""
        return self.quick.word == self.paper.word if self.quick and self.paper else None

    @property
    def group(self) -> str:
        return _THEOREMS if self.record.kind == THEOREM else _GROUPS[self.record.standing]


@dataclass(frozen=True)
class Ledger:
    """All claims in the order of the chapters and of the list, and the misprints that were found."""

    entries: tuple[Entry, ...]
    errata: tuple[Erratum, ...]

    def entry(self, claim_id: str) -> Entry:
        return next(entry for entry in self.entries if entry.record.id == claim_id)

    def chapter(self, stem: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.record.chapter == stem)

    def counts(self) -> dict[str, int]:
        return _counts(self.entries)

    def groups(self) -> dict[str, dict[str, int]]:
        names = dict.fromkeys([*_GROUPS.values(), _THEOREMS])
        return {name: _counts(entry for entry in self.entries if entry.group == name) for name in names}


def _counts(entries: Iterable[Entry]) -> dict[str, int]:
    words = [entry.deciding.word for entry in entries]
    return {word: words.count(word) for word in VERDICTS}


def expected_misses(ledger: Ledger) -> tuple[int, float]:
    """Return how many intervals decide, and how many of them can be expected to miss by chance."""
    measured = [entry.deciding.measurement for entry in ledger.entries if entry.deciding.word in COUNTED]
    found = [estimate for one in measured if one is not None for estimate in one.values.values()]
    wide = sum(estimate.low < estimate.high for estimate in found)
    return wide, wide * _MISS


def to_json(ledger: Ledger) -> str:
    """Return the ledger as JSON text: the same bytes for the same ledger."""
    data = {
        "claims": [_entry_json(entry) for entry in ledger.entries],
        "counts": ledger.counts(),
        "counts_by_standing": ledger.groups(),
        "errata": [_without(erratum, "file", "line") for erratum in ledger.errata],
    }

    def plain(held: Any) -> Any:
        return held.text if isinstance(held, Criterion) else vars(held)

    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, default=plain) + "\n"


def _without(record: object, *names: str) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in names}


def _entry_json(entry: Entry) -> dict[str, Any]:
    control, deciding = entry.record.control, entry.deciding
    return {
        **_without(entry.record, "file", "line", "testable", "reason"),
        "control": {"none": control.reason} if control.reason is not None else _without(control, "reason"),
        "after_look": entry.record.after_look,
        **_verdict_json(deciding, "verdict", "reasons", "half", "double", "margin"),
        "decided_by": deciding.profile or None,
        **_without(entry, "record", "quick", "paper"),
        "quick": _verdict_json(entry.quick),
        "paper": _verdict_json(entry.paper),
        "agreement": entry.agreement,
    }


def _verdict_json(verdict: Verdict | None, *names: str) -> Any:
    """A verdict's fields, or some of them; a margin is none for a count, whose interval has no width."""
    if verdict is None:
        return None
    margin, measured = verdict.margin, None
    if one := verdict.measurement:
        measured = _without(one, "id", "values", "control")
        measured |= {"quantities": _numbers(one.values), "control": _numbers(one.control)}
    told = _without(verdict, "word", "profile", "measurement")
    told |= {"verdict": verdict.word, "measured": measured}
    told["margin"] = None if margin is None or math.isinf(margin) else round(margin, 3)
    return {name: told[name] for name in names or told}


def _numbers(held: Mapping[str, Estimate] | None) -> dict[str, Any] | None:
    return None if held is None else {name: estimate._asdict() for name, estimate in held.items()}


def report(entry: Entry) -> str:
    """Return a claim's record, what was measured and the verdict as text for a terminal."""
    claim, control, deciding = entry.record, entry.record.control, entry.deciding
    run = f", decided by the {deciding.profile} profile" if deciding.profile else ""
    rows = [
        ("claim", f"{claim.id} ({claim.chapter}, {claim.standing}, {claim.kind}): {claim.claim}"),
        ("proposition", claim.proposition),
        ("source", f"{claim.paper}: {claim.locus}"),
        *[("quantity", f"{name}: {text}") for name, text in claim.quantity.items()],
        ("criterion", claim.criterion.text if claim.criterion else "none"),
        ("tolerance", claim.tolerance or "none"),
        ("control", f"none: {control.reason}" if control.reason else f"{control.variant}; {control.expect}"),
        *[("", f"the control spares {name}: {reason}") for name, reason in control.spared.items()],
        *[row for verdict in (entry.quick, entry.paper) if verdict for row in _measured_rows(verdict)],
        ("verdict", f"{deciding.word}{run}"),
        *[("", reason) for reason in deciding.reasons],
    ]
    if deciding.half or deciding.double:
        rows.append(("tolerance", f"half: {deciding.half}; double: {deciding.double}"))
    if deciding.margin is not None and math.isfinite(deciding.margin):
        rows.append(("margin", f"{deciding.margin:.2g} half-widths inside the limit"))
    if entry.seeds:
        rows.append(("other seeds", ", ".join(f"{seed}: {word}" for seed, word in entry.seeds.items())))
    if claim.after_look:
        rows.append(("", "changed after a look: see its history"))
    if entry.stale:
        rows.append(("", "the stored paper result is stale: its code or data have changed since"))
    rows.append(("accepted", f"{claim.accepted['verdict']}: {claim.accepted['reason']}"))
    return "\n".join(
        textwrap.fill(text, 100, initial_indent=f"{name:<13} ", subsequent_indent=" " * 14)
        for name, text in rows
    )


def _measured_rows(verdict: Verdict) -> list[tuple[str, str]]:
    measured = verdict.measurement
    if measured is None:
        return []
    note = f"; {measured.note}" if measured.note else ""
    return [
        (verdict.profile, f"{verdict.word} ({measured.units}, seed {measured.seed}){note}"),
        *[
            ("", f"{label}{name} = {value:g}, 99 % interval [{low:g}, {high:g}]")
            for label, name, (value, low, high) in measured.parts
        ],
    ]
