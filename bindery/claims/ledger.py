"""The ledger: every claim with the verdict that its record, its page and stored results give it today."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from bindery.claims import reseed
from bindery.claims.entries import Entry, Ledger, report
from bindery.claims.history import Commits, commits
from bindery.claims.model import Records
from bindery.claims.recorded import Recorded, chapter_of
from bindery.claims.records import read
from bindery.claims.verdicts import decide
from bindery.root import EVIDENCE, require_root


def collect(root: Path) -> Ledger:
    """Read every record, page and stored result, and settle every claim.

    What is wrong with a record or a page is left out of it, and named by ``problems``.
    """
    records = read(root)
    return _settle(records, _recorded(root, records), commits(root), reseed.stored(root))


def problems(root: Path) -> list[str]:
    """Return everything that keeps the ledger from being the one that was accepted, one sentence each.

    A record or list that is not sound; a page that records what it should not; a void verdict; a verdict
    that is not the accepted one, as that of a claim which its page does not record any more.
    """
    records = read(root)
    recorded = _recorded(root, records)
    found = [str(problem) for problem in records.problems]
    found += [problem for pair in recorded.values() for part in pair for problem in part.problems]
    for entry in _settle(records, recorded, {}, {}).entries:
        claim, deciding = entry.record, entry.deciding
        place = f"{claim.file}:{claim.line}: {claim.id}"
        for verdict in (entry.quick, entry.paper):
            if verdict is not None and verdict.word == "void":
                why = "; ".join(verdict.reasons)
                found.append(f"{place}: its verdict in the {verdict.profile} profile is void: {why}")
        if deciding.word not in {claim.accepted["verdict"], "void"}:
            found.append(
                f"{place}: its verdict was accepted as {claim.accepted['verdict']!r} and is now "
                f"{deciding.word!r} ({'; '.join(deciding.reasons)}); if that is right, say why: "
                f'python -m bindery accept {claim.id} --reason "..."'
            )
    return found


Pair = tuple[Recorded, Recorded]


def _recorded(root: Path, records: Records) -> dict[str, Pair]:
    """For each chapter what its pages, a lesson and its evidence, and their stored results recorded."""
    pages = {page.stem: page for page in sorted((root / "book").glob("*.ipynb"))}
    found: dict[str, Pair] = {}
    chapters = records.chapters
    for stem in dict.fromkeys([*chapters, *(f"{chapter}{EVIDENCE}" for chapter in chapters), *pages]):
        quick, paper = found.setdefault(chapter_of(stem), (Recorded(), Recorded()))
        if stem in pages:
            quick.add_page(root, pages[stem], records)
        if chapter_of(stem) in chapters:
            paper.add_results(root, stem, records)
    return found


def _settle(
    records: Records,
    recorded: Mapping[str, Pair],
    written: Mapping[str, Commits],
    seeds: Mapping[str, Mapping[str, str]],
) -> Ledger:
    order = [*records.index, *records.claims]
    entries = []
    for claim in sorted(
        records.claims.values(), key=lambda one: (records.chapters.index(one.chapter), order.index(one.id))
    ):
        pair = recorded[claim.chapter]
        measured = [part.measurements.get(claim.id) for part in pair]
        quick, paper = (None if one is None else decide(claim, one) for one in measured)
        more = (seeds.get(claim.id, {}), written.get(claim.id, Commits()))
        entries.append(Entry(claim, quick, paper, claim.id in pair[1].stale, *more))
    return Ledger(tuple(entries), tuple(records.errata.values()))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="the claim's id, such as cs-noise")


def run(args: argparse.Namespace) -> int:
    from bindery.page.execute import execute
    from bindery.page.notebooks import notebook_path

    root = require_root()
    claim = read(root).known(args.id)
    names = (f"{claim.chapter}{EVIDENCE}", claim.chapter)
    stems = [stem for stem in names if notebook_path(root, stem).is_file()]
    if not stems:
        print(f"no notebook decides {claim.id} yet: there is no notebooks/{claim.chapter}.ipynb\n")
    elif any(outcome.failure for outcome in execute(root, stems[:1])):
        return 1
    print(report(collect(root).entry(claim.id)))
    return 0
