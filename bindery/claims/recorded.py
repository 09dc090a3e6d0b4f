"""What executed pages and stored results recorded: the one place where the ledger finds its numbers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bindery.claims.model import Records
from bindery.claims.verdicts import Measurement
from bindery.emit import CLAIM_MIME
from bindery.runs import stored

# The evidence of a chapter stands beside its lesson, under the same name with this ending.
EVIDENCE = "_evidence"


@dataclass
class Recorded:
    """The measurements of one page or one set of stored results."""

    where: str
    measurements: dict[str, Measurement] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    stale: set[str] = field(default_factory=set)


def from_page(root: Path, page: Path, records: Records, *, profile: str | None = "quick") -> Recorded:
    """Read the claims that an executed page recorded, with this profile or any, and what does not fit."""
    where = page.relative_to(root).as_posix() if page.is_relative_to(root) else page.as_posix()
    recorded = Recorded(where)
    try:
        found = list(claims_of(json.loads(page.read_text(encoding="utf-8"))))
    except (ValueError, KeyError, TypeError, AttributeError):
        recorded.problems.append(f"{where}: is not a notebook that can be read")
        return recorded
    _add(recorded, found, page.stem, records, profile)
    return recorded


def from_results(root: Path, stem: str, records: Records) -> Recorded | None:
    """Read the claims of a page's stored results at the papers' scale; None where nothing is stored."""
    recorded = Recorded(f"results/{stem}/{stored.MANIFEST}")
    try:
        results = stored.read(root, stem)
    except stored.ResultsError as error:
        recorded.problems.append(str(error))
        return recorded
    if results is None:
        return None
    _add(recorded, results.claims, stem, records, "paper")
    recorded.stale = set(recorded.measurements) if results.stale else set()
    return recorded


def chapter_of(stem: str) -> str:
    """Return the chapter of a page: its own name, or that of the lesson whose evidence it is.

    >>> chapter_of("01_classical_cs_evidence")
    '01_classical_cs'
    """
    return stem.removesuffix(EVIDENCE)


def claims_of(notebook: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what a page records for claims, as it stands in its outputs."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if CLAIM_MIME in output.get("data", {}):
                data = output["data"][CLAIM_MIME]
                yield data if isinstance(data, Mapping) else json.loads("".join(data))


def _add(recorded: Recorded, found: Iterable[Any], stem: str, records: Records, profile: str | None) -> None:
    for data in found:
        claim_id = data.get("id") if isinstance(data, Mapping) else None
        claim = records.claims.get(str(claim_id))
        problem = f"records {claim_id}"
        if claim is None:
            close = records.closest(str(claim_id))
            hint = f"; did it mean {close}?" if close else ""
            problem += f", which has no sound record in claims/{hint}"
        elif claim_id in recorded.measurements:
            problem += " more than once"
        elif claim.chapter != chapter_of(stem):
            problem += f", which belongs to {claim.chapter} ({claim.file})"
        elif profile is not None and data.get("profile") != profile:
            problem += f" in the {data.get('profile')} profile, not in {profile}"
        else:
            try:
                recorded.measurements[claim.id] = Measurement.from_json(data, claim)
                continue
            except ValueError as error:
                problem = str(error)
            except (KeyError, TypeError) as error:
                problem = f"{claim_id} is recorded incompletely ({error})"
        recorded.problems.append(f"{recorded.where}: {problem}")
