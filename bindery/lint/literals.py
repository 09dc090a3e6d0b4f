"""The linter of bound prose: every measured number in prose comes from a recorded value, not from typing.

A number that is not measured (a constant of a theorem, a criterion fixed before the run) is allowed by name,
with a reason, in ``notebooks/allowed_literals.yml``::

    notebooks/01_classical_cs.ipynb:
      "20 dB": the signal-to-noise ratio that the experiment sets
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bindery.lint.bound import Bound
from bindery.lint.numbers import math_numbers, numbers
from bindery.lint.prose import Piece, pieces

__all__ = ["ALLOWED", "problems"]

ALLOWED = "notebooks/allowed_literals.yml"


@dataclass(frozen=True)
class _Said:
    """One piece of prose with its file, its place there, and the page that it is shown on."""

    file: str
    place: str
    page: str
    piece: Piece


def problems(root: Path) -> list[str]:
    """Say which measured numbers in the book's prose are typed rather than bound.

    Read are the Markdown cells, captions and alt texts of ``notebooks/`` and the Markdown pages of ``book/``.
    Also reported: references to values that no page publishes, published values that no prose uses, entries
    of the allow-list that are not needed or have no reason.

    Args:
        root: The book's root.

    Returns:
        One sentence per problem, naming the file, the cell or line, and the literal.
    """
    allowed, found = _allowed(root)
    needed: set[tuple[str, str]] = set()
    bound = Bound(root / "book")
    for said in _everything(root):
        where = f"{said.file} {said.place}"
        if said.piece.kind == "glue":
            problem = bound.problem(said.piece.text, said.page)
            found += [f"{where}: {problem}"] if problem else []
            continue
        search = math_numbers if said.piece.kind == "math" else numbers
        for literal in search(said.piece.text):
            if said.piece.kind == "alt":
                found.append(f"{where}: the alt text holds the number {literal!r}; it must describe shape")
            elif (said.file, literal) in allowed:
                needed.add((said.file, literal))
            else:
                found.append(
                    f"{where}: {literal!r} is typed; bind it with {{glue:text}}, or allow it with a reason "
                    f"in {ALLOWED}"
                )
    unneeded = sorted(allowed - needed)
    found += [f"{ALLOWED}: {file}: {literal!r} is not in its prose" for file, literal in unneeded]
    return found + bound.unused()


def _everything(root: Path) -> Iterator[_Said]:
    """Yield all that the book says in prose."""
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        file = path.relative_to(root).as_posix()
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], start=1):
            for piece in _of_cell(cell):
                yield _Said(file, f"cell {number}", path.name, piece)
    for path in sorted((root / "book").rglob("*.md")):
        relative = path.relative_to(root)
        if not any(part.startswith(("_", ".")) for part in relative.parts):
            for piece in pieces(path.read_text(encoding="utf-8")):
                yield _Said(relative.as_posix(), f"line {piece.line}", path.name, piece)


def _of_cell(cell: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield what a Markdown cell says, or the caption and the alt text of a figure's cell."""
    if cell["cell_type"] == "markdown":
        yield from pieces("".join(cell["source"]))
    mystnb = cell.get("metadata", {}).get("mystnb", {})
    yield from pieces(str((mystnb.get("figure") or {}).get("caption") or ""))
    yield Piece("alt", str((mystnb.get("image") or {}).get("alt") or ""), 1)


def _allowed(root: Path) -> tuple[set[tuple[str, str]], list[str]]:
    """Return the allowed literals with their files, and what is wrong with the list."""
    path = root / ALLOWED
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    except yaml.YAMLError as error:
        return set(), [f"{ALLOWED}: not YAML: {' '.join(str(error).split())}"]
    if not isinstance(listed or {}, dict):
        return set(), [f"{ALLOWED}: must map each file to its literals, each with a reason"]
    allowed: set[tuple[str, str]] = set()
    found: list[str] = []
    for file, entries in (listed or {}).items():
        if not (root / str(file)).is_file():
            found.append(f"{ALLOWED}: {file} does not exist")
        elif not isinstance(entries, dict):
            found.append(f"{ALLOWED}: {file} must map literals to reasons")
        else:
            for literal, reason in entries.items():
                if not isinstance(literal, str):
                    found.append(f"{ALLOWED}: {file}: {literal!r} must be in quotation marks")
                elif not isinstance(reason, str) or len(reason.split()) < 3:
                    found.append(f"{ALLOWED}: {file}: {literal!r} needs a reason, in a sentence")
                else:
                    allowed.add((str(file), literal))
    return allowed, found
