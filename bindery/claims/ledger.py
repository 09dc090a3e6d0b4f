"""The ledger: every claim of the sources with the verdict that its record and the recorded numbers give it.

It is read from the executed pages and the stored results each time, and kept nowhere else.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from bindery.claims.entries import Entry, Ledger, report, to_json
from bindery.claims.model import Claim, Records
from bindery.claims.recorded import Recorded, from_page, from_results
from bindery.claims.records import read
from bindery.claims.schema import CHAPTERS
from bindery.claims.verdicts import Verdict, decide
from bindery.root import BookError, require_root

__all__ = [
    "Entry",
    "Ledger",
    "add_arguments",
    "collect",
    "known_claim",
    "problems",
    "run",
    "to_json",
]


def collect(root: Path) -> Ledger:
    """Read every record, page and stored result, and settle every claim.

    Args:
        root: The book's root.

    Returns:
        The ledger. What is wrong with a record or a page is left out of it, and named by ``problems``.
    """
    return _settle(read(root), _recorded(root, read(root)))


def problems(root: Path) -> list[str]:
    """Return everything that keeps the ledger from being the one that was accepted, one sentence each.

    A record or list that is not sound; a page that records what it should not; a claim of a chapter that its
    page does not settle; a void verdict; a verdict that is not the accepted one.

    Args:
        root: The book's root.

    Returns:
        The problems; empty when all is well.
    """
    records = read(root)
    recorded = _recorded(root, records)
    found = [str(problem) for problem in records.problems]
    for quick, paper in recorded.values():
        found += [problem for part in (quick, paper) if part is not None for problem in part.problems]
    for entry in _settle(records, recorded).entries:
        page = recorded[entry.record.chapter][0]
        found += _entry_problems(entry, page)
    return found


def _entry_problems(entry: Entry, page: Recorded | None) -> list[str]:
    claim, word = entry.record, entry.deciding.word
    place = f"{claim.file}:{claim.line}: {claim.id}"
    found = []
    if page is not None and claim.testable and entry.quick is None and entry.paper is None:
        found.append(f"{place}: is a claim of {claim.chapter}, but {page.where} does not record it")
    for verdict in (entry.quick, entry.paper):
        if verdict is not None and verdict.word == "void":
            why = "; ".join(verdict.reasons)
            found.append(f"{place}: its verdict in the {verdict.profile} profile is void: {why}")
    if word not in {claim.accepted.verdict, "void"}:
        found.append(
            f"{place}: its verdict was accepted as {claim.accepted.verdict!r} and is now {word!r} "
            f"({'; '.join(entry.deciding.reasons)}); if that is right, say why: "
            f'python -m bindery accept {claim.id} --reason "..."'
        )
    return found


def _recorded(root: Path, records: Records) -> dict[str, tuple[Recorded | None, Recorded | None]]:
    """Return for each chapter what its page and its stored results recorded; also for pages of no chapter."""
    pages = {page.stem: page for page in sorted((root / "book").glob("*.ipynb"))}
    return {
        stem: (
            from_page(root, pages[stem], records) if stem in pages else None,
            from_results(root, stem, records) if stem in CHAPTERS else None,
        )
        for stem in dict.fromkeys([*CHAPTERS, *pages])
    }


def _settle(records: Records, recorded: Mapping[str, tuple[Recorded | None, Recorded | None]]) -> Ledger:
    order = {claim_id: place for place, claim_id in enumerate(records.index)}
    claims = sorted(
        records.claims.values(),
        key=lambda claim: (CHAPTERS.index(claim.chapter), order.get(claim.id, len(order))),
    )
    entries = []
    for claim in claims:
        quick, paper = recorded[claim.chapter]
        stale = paper is not None and paper.stale and claim.id in paper.measurements
        entries.append(Entry(claim, _verdict(claim, quick), _verdict(claim, paper), stale))
    return Ledger(tuple(entries), tuple(records.errata.values()))


def _verdict(claim: Claim, recorded: Recorded | None) -> Verdict | None:
    if recorded is None or claim.id not in recorded.measurements:
        return None
    return decide(claim, recorded.measurements[claim.id])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the ``claim`` command.

    Args:
        parser: Its parser.
    """
    parser.add_argument("id", help="the claim's id, such as cs-noise")


def run(args: argparse.Namespace) -> int:
    """Execute the page that decides one claim, and print its record with what was measured.

    Args:
        args: The parsed command line.

    Returns:
        0 when the page ran to its end, or there is none yet; 1 when it failed.

    Raises:
        BookError: There is no such claim.
    """
    from bindery.page.execute import execute
    from bindery.page.notebooks import notebook_path

    root = require_root()
    claim = known_claim(read(root), args.id)
    if notebook_path(root, claim.chapter).is_file():
        if any(outcome.failure for outcome in execute(root, [claim.chapter])):
            return 1
    else:
        print(f"no notebook decides {claim.id} yet: there is no notebooks/{claim.chapter}.ipynb\n")
    print(report(next(entry for entry in collect(root).entries if entry.record.id == claim.id)))
    return 0


def known_claim(records: Records, claim_id: str) -> Claim:
    """Return a claim's record.

    Args:
        records: The records of all claims.
        claim_id: The id.

    Returns:
        The record.

    Raises:
        BookError: There is no sound record of it; the message names the closest id, or what is wrong.
    """
    if claim_id in records.claims:
        return records.claims[claim_id]
    wrong = [str(problem) for problem in records.problems if problem.id == claim_id]
    if wrong:
        raise BookError(f"the record of {claim_id} is not sound:\n" + "\n".join(wrong))
    close = records.closest(claim_id)
    raise BookError(f"there is no claim {claim_id!r}{f'; did you mean {close}?' if close else ''}")
