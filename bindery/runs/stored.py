"""Stored results as they stand on the disk: written, read, and refused when they are not what was written.

They are in ``results/<page>/``: ``paper.json``, the figures' files, and under ``rows/`` those of the sweeps.
``paper.json`` holds the digest of each of these files and of itself. What the benchmarks measured is in
``results/benchmarks/``, in the same form.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bindery.figures.encoding import decode_csv
from bindery.page.sources import sha256
from bindery.root import BENCHMARKS, BookError, replace
from bindery.runs.rowfile import from_text

FORMAT = 1
MANIFEST = "paper.json"
ROWS = "rows"
_PARTS = {"chapter": str, "claims": list, "digest": str, "figures": list, "format": int}
_PARTS |= {"provenance": dict, "published": dict}


class ResultsError(BookError, ValueError):
    """Stored results that cannot be used, and what to do about it."""


@dataclass(frozen=True)
class Stored:
    """The stored results of one chapter."""

    chapter: str
    claims: tuple[Mapping[str, Any], ...]
    published: Mapping[str, float | int | str]
    figures: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]
    root: Path
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.root / "results" / self.chapter

    @property
    def stale(self) -> list[str]:
        """What changed since the run, one phrase each; empty when it would give the same numbers today."""
        # Here, because it reads the notebook and the code, which few users of stored results ask for.
        from bindery.page.dependencies import paper_dependencies, reasons

        try:
            return reasons(self.provenance["sources"], paper_dependencies(self.root, self.chapter))
        except BookError as error:
            return [str(error)]

    def table(self, figure: str) -> dict[str, np.ndarray]:
        """Return the columns that a figure was drawn from; those of numbers as numbers."""
        name = f"{figure}.csv"
        if name not in self.files:
            raise ValueError(f"figure is {figure!r}; no stored figure of that name has a .csv file")
        columns = decode_csv((self.folder / name).read_text(encoding="utf-8"))
        numbers = {name: [from_text(entry) for entry in entries] for name, entries in columns.items()}
        words = {name for name, found in numbers.items() if any(isinstance(one, str) for one in found)}
        return {name: np.array((columns if name in words else numbers)[name]) for name in columns}


def again(stem: str) -> str:
    return "make bench" if stem == BENCHMARKS else f"make paper CHAPTER={stem}"


def seal(fields: Mapping[str, Any]) -> str:
    """Return the digest of a manifest: of everything in it but the digest itself, over canonical JSON."""
    rest = {key: value for key, value in fields.items() if key != "digest"}
    return sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def write(root: Path, stem: str, fields: Mapping[str, Any], files: Mapping[str, bytes]) -> Path:
    """Write results; files of an earlier run go. One that is cut off leaves what ``read`` refuses."""
    sealed = {**fields, "format": FORMAT, "chapter": stem}
    sealed["digest"] = seal(sealed)
    manifest = json.dumps(sealed, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    folder = root / "results" / stem
    path = folder / MANIFEST
    try:
        listed = set(_files(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError):
        listed = set()
    for name, content in {**files, path.name: manifest.encode()}.items():
        replace(folder / name, content)
    for name in listed - set(files):
        (folder / name).unlink(missing_ok=True)
    return path


def _files(fields: Mapping[str, Any]) -> dict[str, str]:
    found = {name: known for figure in fields["figures"] for name, known in figure["files"].items()}
    return found | fields.get("rows", {})


def read(root: Path, stem: str) -> Stored | None:
    folder = root / "results" / stem
    path = folder / MANIFEST
    name = path.relative_to(root).as_posix()
    remedy = f"bring it back (git checkout -- results/{stem}) or run again ({again(stem)})"
    if not path.is_file():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{name} is torn: it is not whole JSON ({error}); {remedy}") from None
    parts = fields if isinstance(fields, dict) else {}
    lacking = [key for key, kind in _PARTS.items() if not isinstance(parts.get(key), kind)]
    if lacking:
        raise ResultsError(f"{name} is incomplete: it lacks {', '.join(lacking)}; {remedy}")
    if fields["format"] != FORMAT:
        raise ResultsError(f"{name} has format {fields['format']}, this code reads {FORMAT}; {remedy}")
    if fields["digest"] != seal(fields):
        raise ResultsError(f"{name} was edited: it does not match the digest that it holds; {remedy}")
    if fields["chapter"] != stem:
        raise ResultsError(f"{name} is of the chapter {fields['chapter']}, not of {stem}; {remedy}")
    files = _files(fields)
    for file, expected in files.items():
        part = folder / file
        if not part.is_file():
            raise ResultsError(f"results/{stem}/{file} is missing, which {name} lists; {remedy}")
        if sha256(part.read_bytes()) != expected:
            was = "was edited or is of another run: it does not match the digest in"
            raise ResultsError(f"results/{stem}/{file} {was} {name}; {remedy}")
    told = {key: fields[key] for key in ("published", "provenance")}
    figures = {figure["name"]: figure for figure in fields["figures"]}
    return Stored(stem, tuple(fields["claims"]), figures=figures, root=root, files=files, **told)
