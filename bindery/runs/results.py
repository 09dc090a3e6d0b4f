"""Results of the paper profile: stored after a long run, shown beside the quick result of a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bindery import record
from bindery.figures import bundle
from bindery.lint.bound import page_values
from bindery.root import BENCHMARKS, find_root, require_root
from bindery.runs import stored
from bindery.runs.stored import ResultsError, Stored

if TYPE_CHECKING:
    from bindery.claims.entries import Ledger

__all__ = [
    "ResultsError",
    "Stored",
    "agreement",
    "load",
    "problems",
    "publish",
    "rows",
    "stale",
    "store",
]

_PROVENANCE = ("commit", "device", "parameters", "peak_memory_mib", "seconds", "sources", "versions")
_PREFIX = "paper."
# Git ignores it: rows of runs that have not reached their end.
_ROWS = "rows.part"


def store(
    page: Mapping[str, Any], stem: str, provenance: Mapping[str, Any], root: Path | None = None
) -> Path:
    """Store what a page, executed with the paper profile, recorded, published and drew.

    Each file is replaced as a whole and the manifest last: a run that is cut off leaves the old results, or
    results that ``load`` refuses. Rows that the run's sweeps kept for its resumption are removed.

    Args:
        page: The executed notebook.
        stem: The chapter's stem.
        provenance: At least ``commit``, ``sources`` (name to digest), ``parameters``, ``versions``,
            ``device``, ``seconds`` and ``peak_memory_mib``.
        root: The book's root; by default found from the working directory.

    Returns:
        The path of the manifest, ``results/<stem>/paper.json``.

    Raises:
        BookError: There is no book here.
        ValueError: ``provenance`` is incomplete, or the page was executed with another profile or has nothing
            to store.
    """
    root = root or require_root()
    lacking = [key for key in _PROVENANCE if key not in provenance]
    if lacking:
        raise ValueError(f"provenance lacks {lacking}; it must say where the numbers came from")
    claims, figures, values = list(_claims(page)), bundle.read(page), page_values(page).values
    profiles = {claim["id"]: claim["profile"] for claim in claims}
    profiles |= {figure.bundle.name: figure.bundle.profile for figure in figures}
    wrong = [f"{name} ({profile})" for name, profile in profiles.items() if profile != "paper"]
    if wrong:
        raise ValueError(f"page holds {', '.join(wrong)}; it must be executed with the paper profile")
    if not profiles and not values:
        raise ValueError("page holds no claim, figure or published value; there is nothing to store")
    files: dict[str, bytes] = {}
    described = []
    for figure in figures:
        data, content = figure.bundle.file()
        own = {f"{figure.bundle.name}.svg": figure.svg.encode(), data: content}
        files |= own
        described.append(
            {
                "name": figure.bundle.name,
                "profile": figure.bundle.profile,
                "seeds": list(figure.bundle.seeds),
                "columns": list(figure.bundle.columns),
                "caption": figure.caption,
                "alt": figure.alt,
                "files": {name: stored.digest(part) for name, part in own.items()},
            }
        )
    verdicts = {f"{claim['id']}.verdict" for claim in claims}
    fields = {
        "claims": claims,
        # A verdict follows from the claim's record, which may change after the run.
        "published": {key: value for key, value in values.items() if key not in verdicts},
        "figures": described,
        "provenance": dict(provenance),
    }
    path = stored.write(root, stem, fields, files)
    for left in (root / "results" / _ROWS).glob(f"{stem}-*"):
        shutil.rmtree(left)
    return path


def _claims(page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for cell in page["cells"]:
        for output in cell.get("outputs", []):
            if record.CLAIM_MIME in output.get("data", {}):
                yield json.loads("".join(output["data"][record.CLAIM_MIME]))


def load(stem: str, root: Path | None = None) -> Stored | None:
    """Return the stored results of a chapter, for its page to show beside the quick ones.

    A page that is being executed with the paper profile gets none: it makes them anew, and must not store old
    ones as its own. What the benchmarks measured no page makes anew.

    Args:
        stem: The chapter's stem, or ``benchmarks``.
        root: The book's root; by default found from the working directory.

    Returns:
        The results; ``None`` where nothing is stored, or away from the book.

    Raises:
        ResultsError: They are torn, edited or incomplete; the message names the file and what to do.
    """
    root = root or find_root()
    if root is None or (record.configured()[0] == "paper" and stem != BENCHMARKS):
        return None
    return stored.read(root, stem)


def stale(results: Stored) -> list[str]:
    """Return what changed since a stored run, one phrase each.

    Args:
        results: The stored results.

    Returns:
        Phrases such as ``"gsl_utils.sparse changed"``; empty when the run would give the same numbers today.
    """
    return results.stale


def publish(results: Stored) -> None:
    """Make every stored value available to the prose of a page, under its key with ``paper.`` before it.

    The verdicts of the stored claims, ``paper.<id>.verdict``, are those that their records give today; a
    claim whose record has changed in what it measures has none.

    Args:
        results: The stored results.

    Raises:
        ValueError: A key is published already.
    """
    from bindery.claims.records import read
    from bindery.claims.verdicts import Measurement, decide

    for key, value in results.published.items():
        record.publish(f"{_PREFIX}{key}", value)
    known = read(results.root).claims
    for data in results.claims:
        claim = known.get(data["id"])
        if claim is None:
            continue
        try:
            measurement = Measurement.from_json(data, claim)
        except (ValueError, KeyError, TypeError):
            # Its record asks for something else by now, as the ledger reports: there is no verdict.
            continue
        record.publish(f"{_PREFIX}{claim.id}.verdict", decide(claim, measurement).word)


def rows(stem: str, name: str) -> Path | None:
    """Return where a sweep of a paper run keeps its rows, so that a run which was killed goes on.

    The place depends on the code that the run's numbers depend on: after a change of it, the sweep starts
    anew. The rows are removed when the run's results are stored. The wall time that is stored with a resumed
    run is that of its last part.

    Args:
        stem: The chapter's stem.
        name: The sweep's name, a word.

    Returns:
        A path for ``sweep(..., store=...)``; ``None`` with the quick profile and away from the book.

    Raises:
        ValueError: ``name`` is not a word.
    """
    from bindery.page.dependencies import combined, paper_dependencies

    if not name.replace("-", "_").isidentifier():
        raise ValueError(f"name is {name!r}; it must be a word such as 'phase-diagram'")
    root = find_root()
    if root is None or record.configured()[0] != "paper":
        return None
    code = combined(paper_dependencies(root, stem))[:12]
    return root / "results" / _ROWS / f"{stem}-{code}" / f"{name}.csv"


def agreement(ledger: Ledger) -> list[dict[str, str]]:
    """Return the rows of a table of what the quick and the paper profile say of each claim.

    Args:
        ledger: The ledger.

    Returns:
        One row per claim with stored results, with ``claim``, ``chapter``, ``quick`` and ``paper``
        (verdicts), ``agree`` (yes, no, or a dash where the quick profile measures nothing), ``stale``.
    """
    words = {True: "yes", False: "no", None: "–"}
    return [
        {
            "claim": entry.record.id,
            "chapter": entry.record.chapter,
            "quick": entry.quick.word if entry.quick is not None else "–",
            "paper": entry.paper.word,
            "agree": words[entry.agreement],
            "stale": words[entry.stale],
        }
        for entry in ledger.entries
        if entry.paper is not None
    ]


def problems(root: Path) -> list[str]:
    """Say which stored results cannot be used: torn, edited, incomplete, or of a chapter that is not there.

    Args:
        root: The book's root.

    Returns:
        One sentence per problem.
    """
    found = []
    for folder in sorted((root / "results").glob("*/")):
        stem = folder.name
        if stem == _ROWS:
            continue
        if stem != BENCHMARKS and not (root / "notebooks" / f"{stem}.ipynb").is_file():
            found.append(f"results/{stem} is of no chapter: there is no notebooks/{stem}.ipynb")
        try:
            results = stored.read(root, stem)
        except ResultsError as error:
            found.append(str(error))
            continue
        if results is None:
            found.append(f"results/{stem} has no {stored.MANIFEST}: {stored.again(stem)} writes it")
            continue
        known = {stored.MANIFEST, *(name for figure in results.figures.values() for name in figure["files"])}
        strays = sorted(path.name for path in folder.iterdir() if path.name not in known)
        found += [f"results/{stem}/{name} is not listed in {stored.MANIFEST}: remove it" for name in strays]
    return found
