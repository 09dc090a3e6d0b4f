"""The entries of the ledger, and how they are written: as JSON for machines, as text on a terminal."""

import json
import math
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bindery.claims.commits import Commits
from bindery.claims.model import Claim, Erratum
from bindery.claims.schema import SOURCES, THEOREM, VERDICTS
from bindery.claims.verdicts import Measurement, Verdict, decide

# Verdicts on a claim whose test was run and stands.
COUNTED = ("reproduced", "reproduced after correction", "contradicted", "not settled")
# Of two-sided intervals at 99 %, so many miss what they are intervals of.
_MISS = 0.01


@dataclass(frozen=True)
class Entry:
    """One claim with its verdicts.

    Args:
        record: The claim's record.
        quick: The verdict of the quick profile, read from the page; None where the page records nothing.
        paper: The verdict of the paper profile, read from stored results; None where nothing is stored.
        stale: Whether the stored results are older than the code or data that they are computed with.
        seeds: The quick verdict's word under other seeds, as ``make seeds`` stored them.
        commits: The commits of the criterion and of the first value.
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
        if self.quick is None or self.paper is None:
            return None
        return self.quick.word == self.paper.word

    @property
    def group(self) -> str:
        """What the claim is counted among: theorem checks, or claims by who makes them."""
        if self.record.kind == THEOREM:
            return "theorem checks"
        if self.record.standing in SOURCES:
            return "the papers"
        return {"summary": "a machine-written summary", "ours": "our own questions"}[self.record.standing]


@dataclass(frozen=True)
class Ledger:
    """All claims in the order of the chapters and of the list, and the misprints that were found."""

    entries: tuple[Entry, ...]
    errata: tuple[Erratum, ...]

    def chapter(self, stem: str) -> tuple[Entry, ...]:
        """Return the entries of one chapter."""
        return tuple(entry for entry in self.entries if entry.record.chapter == stem)

    def counts(self) -> dict[str, int]:
        """Return how many claims have each verdict, for every verdict there is."""
        return _counts(self.entries)

    def groups(self) -> dict[str, dict[str, int]]:
        """Return the same for each group: the papers, a summary, our questions, theorem checks."""
        names = ("the papers", "a machine-written summary", "our own questions", "theorem checks")
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
        "errata": [_erratum_json(erratum) for erratum in ledger.errata],
    }
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _entry_json(entry: Entry) -> dict[str, Any]:
    claim, deciding = entry.record, entry.deciding
    control: dict[str, Any] = {"none": claim.control.reason}
    if claim.control.reason is None:
        own = claim.control.criterion
        control = {"variant": claim.control.variant, "expect": claim.control.expect}
        control |= {"criterion": own.text if own else None, "spared": dict(claim.control.spared)}
        control |= {"by_construction": claim.control.by_construction}
    words = ("id", "paper", "key", "locus", "standing", "claim", "proposition", "kind", "chapter")
    return {
        **{name: getattr(claim, name) for name in (*words, "tolerance", "misprint", "unpublished", "again")},
        "quantity": dict(claim.quantity),
        "criterion": claim.criterion.text if claim.criterion else None,
        "control": control,
        "history": [vars(change) for change in claim.history],
        "after_look": claim.after_look,
        "accepted": vars(claim.accepted),
        "verdict": deciding.word,
        "decided_by": deciding.profile or None,
        "reasons": list(deciding.reasons),
        "half": deciding.half,
        "double": deciding.double,
        "margin": _finite(deciding.margin),
        "seeds": dict(entry.seeds),
        "commits": vars(entry.commits),
        "quick": _verdict_json(entry.quick),
        "paper": _verdict_json(entry.paper),
        "agreement": entry.agreement,
        "stale": entry.stale,
    }


def _erratum_json(erratum: Erratum) -> dict[str, Any]:
    return {name: value for name, value in vars(erratum).items() if name not in {"file", "line"}}


def _finite(margin: float | None) -> float | None:
    """A margin as JSON has it: none for a count, whose interval has no width."""
    return None if margin is None or math.isinf(margin) else round(margin, 3)


def _verdict_json(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    words = {"verdict": verdict.word, "half": verdict.half, "double": verdict.double}
    more = {"margin": _finite(verdict.margin), "measured": _measured_json(verdict.measurement)}
    return {**words, **more, "reasons": list(verdict.reasons)}


def _measured_json(measured: Measurement | None) -> dict[str, Any] | None:
    if measured is None:
        return None
    words = {name: getattr(measured, name) for name in ("n", "unit", "profile", "seed", "note")}
    quantities = {name: estimate._asdict() for name, estimate in measured.values.items()}
    broken = measured.control
    control = None if broken is None else {name: estimate._asdict() for name, estimate in broken.items()}
    return {**words, "quantities": quantities, "control": control}


def report(entry: Entry) -> str:
    """Return a claim's record, what was measured and the verdict as text for a terminal."""
    claim, control, deciding = entry.record, entry.record.control, entry.deciding
    rows = [
        ("claim", f"{claim.id} ({claim.chapter}, {claim.standing}, {claim.kind}): {claim.claim}"),
        ("proposition", claim.proposition),
        ("source", f"{claim.paper}: {claim.locus}"),
        *[("quantity", f"{name}: {text}") for name, text in claim.quantity.items()],
        ("criterion", claim.criterion.text if claim.criterion else "none"),
        ("tolerance", claim.tolerance or "none"),
        ("control", f"none: {control.reason}" if control.reason else f"{control.variant}; {control.expect}"),
        *[("", f"the control spares {name}: {reason}") for name, reason in control.spared.items()],
    ]
    for verdict in (entry.quick, entry.paper):
        if verdict is not None:
            rows += _measured_rows(verdict)
    run = f", decided by the {deciding.profile} profile" if deciding.profile else ""
    rows.append(("verdict", f"{deciding.word}{run}"))
    rows += [("", reason) for reason in deciding.reasons]
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
    rows.append(("accepted", f"{claim.accepted.verdict}: {claim.accepted.reason}"))
    return "\n".join(_row(name, text) for name, text in rows)


def _measured_rows(verdict: Verdict) -> list[tuple[str, str]]:
    measured = verdict.measurement
    if measured is None:
        return []
    units = f"{measured.n} {measured.unit}{'s' if measured.n > 1 else ''}, seed {measured.seed}"
    rows = [(verdict.profile, f"{verdict.word} ({units}){f'; {measured.note}' if measured.note else ''}")]
    rows += [
        ("", f"{label}{name} = {value:g}, 99 % interval [{low:g}, {high:g}]")
        for label, name, (value, low, high) in measured.parts
    ]
    return rows


def _row(name: str, text: str) -> str:
    """Return a labelled paragraph with a hanging indent."""
    indent = " " * 14
    return textwrap.fill(text, 100, initial_indent=f"{name:<13} ", subsequent_indent=indent)
