"""Results of the paper profile: stored after a long run, shown beside the quick result of a page."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bindery.claims.records import read
from bindery.claims.verdicts import Measurement, decide
from bindery.emit import claims_of, values_of
from bindery.figures import bundle
from bindery.page.sources import sha256
from bindery.root import BENCHMARKS, find_root
from bindery.runs import stored
from bindery.runs.kept import PARTS
from bindery.runs.stored import ResultsError, Stored

_PROVENANCE = ("commit", "device", "parameters", "peak_memory_mib", "seconds", "sources", "versions")
_PREFIX = "paper."


def store(
    page: Mapping[str, Any],
    stem: str,
    provenance: Mapping[str, Any],
    root: Path,
    rows: Mapping[str, bytes] | None = None,
) -> Path:
    """Store what a page, executed with the paper profile, recorded, published and drew."""
    lacking = [key for key in _PROVENANCE if key not in provenance]
    if lacking:
        raise ValueError(f"provenance lacks {lacking}; it must say where the numbers came from")
    claims, figures, values = list(claims_of(page)), bundle.read(page), values_of(page)
    profiles = {claim["id"]: claim["profile"] for claim in claims}
    profiles |= {figure.bundle.name: figure.bundle.profile for figure in figures}
    wrong = [f"{name} ({profile})" for name, profile in profiles.items() if profile != "paper"]
    if wrong:
        raise ValueError(f"page holds {', '.join(wrong)}; it must be executed with the paper profile")
    if not profiles and not values:
        raise ValueError("page holds no claim, figure or published value; there is nothing to store")
    files = {f"{stored.ROWS}/{name}.csv": content for name, content in (rows or {}).items()}
    kept = {name: sha256(content) for name, content in files.items()}
    described = []
    for figure in figures:
        data, content = figure.bundle.file()
        own = {f"{figure.bundle.name}.svg": figure.svg.encode(), data: content}
        files |= own
        told = {name: getattr(figure.bundle, name) for name in ("name", "profile", "seeds", "columns")}
        told |= {"caption": figure.caption, "alt": figure.alt}
        described.append(told | {"files": {name: sha256(part) for name, part in own.items()}})
    verdicts = {f"{claim['id']}.verdict" for claim in claims}
    fields = {
        "claims": claims,
        # A verdict follows from the claim's record, which may change after the run.
        "published": {key: value for key, value in values.items() if key not in verdicts},
        "figures": described,
        "rows": kept,
        "provenance": dict(provenance),
    }
    return stored.write(root, stem, fields, files)


def load(stem: str, root: Path | None = None, *, paper: bool = False) -> Stored | None:
    """Return the stored results of a notebook; None where nothing is stored, or away from the book.

    A page that is being executed with the ``paper`` profile gets none: it makes them anew, and must not store
    old ones as its own. What the benchmarks measured no page makes anew.
    """
    root = root or find_root()
    return None if root is None or (paper and stem != BENCHMARKS) else stored.read(root, stem)


def published(results: Stored) -> dict[str, Any]:
    """Return every stored value for the prose of a page, under its key with ``paper.`` before it.

    The verdicts of the stored claims, ``paper.<id>.verdict``, are those that their records give today; a
    claim whose record has changed in what it measures has none, which the ledger reports.
    """
    found = {f"{_PREFIX}{key}": value for key, value in results.published.items()}
    known = read(results.root).claims
    for data in results.claims:
        if claim := known.get(data["id"]):
            with suppress(ValueError, KeyError, TypeError):
                word = decide(claim, Measurement.from_json(data, claim)).word
                found[f"{_PREFIX}{claim.id}.verdict"] = word
    return found


def problems(root: Path) -> list[str]:
    """Say which stored results cannot be used: torn, edited, incomplete, or of a page that is not there."""
    found = []
    for folder in sorted((root / "results").glob("*/")):
        stem = folder.name
        if stem == PARTS:
            continue
        if stem != BENCHMARKS and not (root / "notebooks" / f"{stem}.ipynb").is_file():
            found.append(f"results/{stem} is of no page: there is no notebooks/{stem}.ipynb")
        try:
            results = stored.read(root, stem)
        except ResultsError as error:
            found.append(str(error))
            continue
        if results is None:
            found.append(f"results/{stem} has no {stored.MANIFEST}: {stored.again(stem)} writes it")
            continue
        known = {stored.MANIFEST, *results.files}
        there = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        strays = sorted(name for name in there if name not in known)
        found += [f"results/{stem}/{name} is not listed in {stored.MANIFEST}: remove it" for name in strays]
    return found
