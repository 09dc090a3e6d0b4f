"""What executed pages and stored results recorded: the one place where the ledger finds its numbers."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bindery.claims.model import Records
from bindery.claims.verdicts import Measurement
from bindery.emit import claims_of
from bindery.root import EVIDENCE
from bindery.runs import stored


@dataclass
class Recorded:
    """The measurements of a chapter's pages or of their stored results, each with where it stands."""

    measurements: dict[str, Measurement] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    stale: set[str] = field(default_factory=set)

    def add_page(self, root: Path, page: Path, records: Records) -> None:
        """Read the claims that an executed page recorded, and what does not fit."""
        where = page.relative_to(root).as_posix()
        try:
            found = list(claims_of(json.loads(page.read_text(encoding="utf-8"))))
        except (ValueError, KeyError, TypeError, AttributeError):
            self.problems.append(f"{where}: is not a notebook that can be read")
        else:
            self.add(found, where, page.stem, records, "quick")

    def add_results(self, root: Path, stem: str, records: Records) -> None:
        """Read the claims of a page's stored results at the papers' scale, if there are any."""
        try:
            results = stored.read(root, stem)
        except stored.ResultsError as error:
            self.problems.append(str(error))
            return
        if results is not None:
            before = set(self.measurements)
            self.add(results.claims, f"results/{stem}/{stored.MANIFEST}", stem, records, "paper")
            self.stale |= self.measurements.keys() - before if results.stale else set()

    def add(self, found: Iterable[Any], where: str, stem: str, records: Records, profile: str | None) -> None:
        """Take what stands somewhere for the claims of a page, recorded in this profile or any."""
        for data in found:
            claim_id = data.get("id") if isinstance(data, Mapping) else None
            claim = records.claims.get(str(claim_id))
            problem = f"records {claim_id}"
            if claim is None:
                close = records.closest(str(claim_id))
                hint = f"; did it mean {close}?" if close else ""
                problem += f", which has no sound record in claims/{hint}"
            elif claim_id in self.measurements:
                problem += f" more than once, first in {self.places[claim.id]}"
            elif claim.chapter != chapter_of(stem):
                problem += f", which belongs to {claim.chapter} ({claim.file})"
            elif profile is not None and data.get("profile") != profile:
                problem += f" in the {data.get('profile')} profile, not in {profile}"
            else:
                try:
                    self.measurements[claim.id] = Measurement.from_json(data, claim)
                    self.places[claim.id] = where
                    continue
                except ValueError as error:
                    problem = str(error)
                except (KeyError, TypeError) as error:
                    problem = f"{claim_id} is recorded incompletely ({error})"
            self.problems.append(f"{where}: {problem}")


def chapter_of(stem: str) -> str:
    """Return the chapter of a page: its own name, or that of the lesson whose evidence it is."""
    return stem.removesuffix(EVIDENCE)
