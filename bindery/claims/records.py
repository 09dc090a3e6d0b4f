"""The records of ``claims/``: what each paper claims, how it is tested, and which verdict was accepted.

A record that is wrong in any way is a problem with a place: the file, the line, the claim's id and the field.
"""

import datetime
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bindery.claims.criterion import Criterion, CriterionError, parse
from bindery.claims.model import Change, Claim, Control, Erratum, Records
from bindery.claims.schema import CLAIMS_SCHEMA, ERRATA_SCHEMA, INDEX_SCHEMA, MEASUREMENT
from bindery.claims.yamlfile import Place, Problem, YamlFile


def read(root: Path) -> Records:
    """Read every record, leaving out those with a problem and saying what it is.

    Nothing is raised for a bad record: a page can be executed while another paper's record is being written.
    """
    files = sorted((root / "claims").glob("*.yml"))
    stamps = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    return _read(root, stamps)


@functools.lru_cache(maxsize=4)
def _read(root: Path, stamps: tuple[tuple[Path, int, int], ...]) -> Records:
    claims: dict[str, Claim] = {}
    errata: dict[str, Erratum] = {}
    index: dict[str, str] = {}
    files: dict[str, YamlFile] = {}
    for path, _, _ in stamps:
        schema = {"errata.yml": ERRATA_SCHEMA, "index.yml": INDEX_SCHEMA}.get(path.name, CLAIMS_SCHEMA)
        file = files[path.name] = YamlFile(root, path, schema)
        if path.name == "index.yml":
            listed = file.data if isinstance(file.data, dict) and not file.problems else {}
            for chapter, ids in listed.items():
                for number, claim_id in enumerate(ids):
                    if claim_id in index:
                        file.report((chapter, number), f"{claim_id} is on the list twice")
                    index[claim_id] = chapter
        elif path.name == "errata.yml":
            for place, record in _entries(file, "errata"):
                _add(file, place, errata, _erratum(file, place, record))
        else:
            for place, record in _entries(file, "claims"):
                _add(file, place, claims, _claim(file, place, record))
    problems = [problem for file in files.values() for problem in file.problems]
    # A record that is there but not sound has been reported; what misses it need not be.
    broken = {problem.id for problem in problems}
    between = _between(claims, errata, index, has_index="index.yml" in files)
    problems += [problem for problem, missed in between if "" not in broken and missed not in broken]
    return Records(claims, errata, index, tuple(problems))


def deciding_fields(root: Path, chapter: str) -> dict[str, dict[str, Any]]:
    """Return, for each claim of a chapter, the part of its record that its executed page depends on.

    A page prints the verdict of what it records; a record's prose and its accepted verdict are not in it.
    """
    claims = sorted(read(root).claims.values(), key=lambda claim: claim.id)
    return {
        claim.id: {
            "again": claim.again is not None,
            "control": claim.control.criterion.text if claim.control.criterion else None,
            "criterion": claim.criterion.text if claim.criterion else None,
            "has_control": claim.control.reason is None,
            "measurement": claim.kind == MEASUREMENT,
            "misprint": claim.misprint,
            "quantities": sorted(claim.quantity),
            "spared": sorted(claim.control.spared),
            "testable": claim.testable,
        }
        for claim in claims
        if claim.chapter == chapter
    }


def _entries(file: YamlFile, name: str) -> list[tuple[Place, dict[str, Any]]]:
    """Return the records of a file that follow the schema, each with its place."""
    items = file.data.get(name) if isinstance(file.data, dict) else None
    places = {(name, number): item for number, item in enumerate(items if isinstance(items, list) else [])}
    return [(place, item) for place, item in places.items() if file.sound(place)]


def _add(file: YamlFile, place: Place, known: dict[str, Any], record: Any) -> None:
    if record is not None and known.setdefault(record.id, record) is not record:
        other = known[record.id]
        file.report((*place, "id"), f"is taken already, in {other.file}:{other.line}; ids must be unique")


def _erratum(file: YamlFile, place: Place, record: dict[str, Any]) -> Erratum:
    fields = {**record, **record["counterexample"], "claims": tuple(record["claims"])}
    del fields["counterexample"]
    return Erratum(file.name, file.line(place), **fields)


def _claim(file: YamlFile, place: Place, record: dict[str, Any]) -> Claim | None:
    """Return the claim, or None after reporting what its fields demand of each other and do not get."""
    criterion = _criterion(file, (*place, "criterion"), record["criterion"])
    control = _control(file, (*place, "control"), record["control"])
    testable, reason = record.get("testable", True), record.get("reason")
    _report_kind(file, place, record, testable)
    if testable and reason is not None:
        file.report((*place, "reason"), "says why a claim is not testable, but testable is not false")
    if not testable and reason is None:
        file.report((*place, "reason"), "is missing; a claim that is not testable must say why")
    used = set(criterion.quantities if criterion else ())
    if control is not None:
        strangers = sorted(set(control.spared) - used)
        if strangers:
            file.report((*place, "control", "spared"), f"names {strangers}, not in the criterion")
        used |= set(control.criterion.quantities if control.criterion else ())
    if criterion is not None and used != set(record["quantity"]):
        uses = f"but the criterion and its control use {sorted(used)}"
        file.report((*place, "quantity"), f"names {sorted(record['quantity'])}, {uses}")
    if criterion is not None and criterion.scalable and record["tolerance"] is None:
        why = "is null, but the criterion has a tolerance; say where it comes from"
        file.report((*place, "tolerance"), why)
    for number, change in enumerate(record.get("history", [])):
        try:
            datetime.date.fromisoformat(change["date"])
        except ValueError:
            problem = f"was {change['date']!r}; it must be a date, YYYY-MM-DD"
            file.report((*place, "history", number, "date"), problem)
    header = {name: file.data.get(name) for name in ("paper", "key")}
    if control is None or None in header.values() or not file.sound(place):
        return None
    changes = tuple(Change(**change) for change in record.get("history", []))
    read = {"criterion": criterion, "control": control, "history": changes}
    return Claim(file.name, file.line(place), **{**record, **header, **read})


def _report_kind(file: YamlFile, place: Place, record: dict[str, Any], testable: bool) -> None:
    """Report a measurement that decides something, and anything else that has nothing to decide by."""
    if record["kind"] != MEASUREMENT:
        if testable and record["criterion"] is None:
            file.report((*place, "criterion"), "is null; a testable claim must have one")
        return
    if record["criterion"] is not None:
        file.report((*place, "criterion"), "is there; a measurement decides nothing and must have null")
    if set(record["control"]) != {"none"}:
        file.report((*place, "control"), "is there; a measurement has none, and says why")


def _criterion(file: YamlFile, place: Place, text: str | None) -> Criterion | None:
    try:
        return None if text is None else parse(text)
    except CriterionError as error:
        file.report(place, str(error))
        return None


def _control(file: YamlFile, place: Place, record: dict[str, Any]) -> Control | None:
    if set(record) == {"none"}:
        return Control(reason=record["none"])
    if not {"variant", "expect"} <= set(record) or "none" in record:
        must = "it must have variant and expect, or none with a reason"
        file.report(place, f"has the fields {sorted(record)}; {must}")
        return None
    criterion = _criterion(file, (*place, "criterion"), record.get("criterion"))
    return Control(**{**record, "criterion": criterion})


def _between(
    claims: Mapping[str, Claim], errata: Mapping[str, Erratum], index: Mapping[str, str], *, has_index: bool
) -> Iterator[tuple[Problem, str]]:
    """Yield where records, errata and the list contradict each other, with the id that is missed."""
    for claim in claims.values():
        if claim.misprint is not None and claim.id not in getattr(errata.get(claim.misprint), "claims", ()):
            message = f"was {claim.misprint}; claims/errata.yml has no such erratum that lists {claim.id}"
            yield Problem(claim.file, claim.line, claim.id, "misprint", message), claim.misprint
        if has_index and index.get(claim.id) != claim.chapter:
            listed = f"under {index[claim.id]}" if claim.id in index else "not at all"
            message = f"is {claim.chapter}, but claims/index.yml lists the claim {listed}"
            yield Problem(claim.file, claim.line, claim.id, "chapter", message), claim.id
    for claim_id in index:
        if claim_id not in claims:
            yield Problem("claims/index.yml", 1, claim_id, "", "is on the list but has no record"), claim_id
    for erratum in errata.values():
        for claim_id in dict.fromkeys([erratum.claim, *erratum.claims]):
            message = ""
            if claim_id not in claims:
                message = f"names {claim_id}, which has no record"
            elif claim_id in erratum.claims and claims[claim_id].misprint != erratum.id:
                message = f"names {claim_id}, whose record says misprint: {claims[claim_id].misprint}"
            if message:
                yield Problem(erratum.file, erratum.line, erratum.id, "claims", message), claim_id
