"""Notebooks and pages as files: their names, reading and writing."""

import argparse
import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from bindery.page.syntax import parse_cell
from bindery.root import EVIDENCE, BookError, git_if_there, replace, require_root

# The tag of the cell that a reader is invited to change; older notebooks only say so.
CHANGE_ME = "change-me"
_PARAMETERS = {"profile": str, "seed": int}


def notebook_path(root: Path, stem: str) -> Path:
    """Return where a notebook is; its stem is its name without the ending, such as ``01_classical_cs``."""
    return root / "notebooks" / f"{stem}.ipynb"


def page_path(root: Path, stem: str) -> Path:
    return root / "book" / f"{stem}.ipynb"


def stems(root: Path, folder: str = "notebooks") -> list[str]:
    return sorted(path.stem for path in (root / folder).glob("*.ipynb"))


def select(root: Path, names: Sequence[str]) -> list[str]:
    """Return the stems that a person named by stem, path, or a start such as ``01``; no name means all."""
    known = stems(root)
    chosen = set()
    for name in names:
        wanted = Path(name).name.removesuffix(".ipynb")
        fits = [wanted] if wanted in known else [stem for stem in known if wanted and stem.startswith(wanted)]
        if len(fits) != 1:
            raise BookError(f"{name!r} fits {fits or 'no notebook'}; it must fit one of {known}")
        chosen.update(fits)
    return [stem for stem in known if not names or stem in chosen]


def turn_of(stems: Sequence[str], number: int) -> list[str]:
    """Return every lesson, and the one evidence page whose turn it is: it goes round with the number."""
    evidence = [stem for stem in stems if stem.endswith(EVIDENCE)]
    lessons = [stem for stem in stems if stem not in evidence]
    return [*lessons, evidence[number % len(evidence)]] if evidence else lessons


def turn(_args: argparse.Namespace) -> int:
    root = require_root()
    # Each change has its own turn, and everybody who checks it the same.
    commits = int(git_if_there(root, "rev-list", "--count", "HEAD") or 0)
    print(" ".join(f"book/{stem}.ipynb" for stem in turn_of(stems(root, "book"), commits)))
    return 0


def read(path: Path) -> NotebookNode:
    """Read and validate a notebook or page, whose cells must have ids of their own."""
    place = f"{path.parent.name}/{path.name}"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BookError(f"{place} does not exist") from None
    except ValueError as error:
        raise BookError(f"{place} is not a notebook: {error}") from None
    ids = [cell.get("id") for cell in raw.get("cells", [])] if isinstance(raw, dict) else []
    if not ids or None in ids or len(set(ids)) < len(ids):
        raise BookError(f"{place} must have cells, each with its own id: save it in notebook format 4.5")
    notebook: NotebookNode = nbformat.v4.to_notebook(raw)
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise BookError(f"{place} is not a notebook: {error.message}") from None
    return notebook


def code_cells(notebook: Mapping[str, Any]) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def tags(cell: Mapping[str, Any]) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def tagged(notebook: Mapping[str, Any], tag: str) -> int | None:
    """Return the position, counted from 0, of the first cell with a tag."""
    return next((number for number, cell in enumerate(notebook["cells"]) if tag in tags(cell)), None)


def inviting(notebook: Mapping[str, Any]) -> list[Any]:
    """Return the cells that invite a reader to change them, by their tag or by their words."""
    cells = code_cells(notebook)
    words = CHANGE_ME.replace("-", " ")
    return [one for one in cells if CHANGE_ME in tags(one) or words in one["source"].lower()]


def default_parameters(notebook: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the profile and the seed that a notebook's ``parameters`` cell sets; errors call it ``name``."""
    position = tagged(notebook, "parameters")
    if position is None:
        must = "it must have one that sets profile and seed"
        raise BookError(f"{name} has no cell tagged 'parameters'; {must}")
    found = {
        target.id: node.value.value
        for node in parse_cell(notebook["cells"][position]["source"]).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for key, kind in _PARAMETERS.items():
        if type(found.get(key)) is not kind:
            said = f"{name} sets {key} to {found.get(key)!r} in its 'parameters' cell"
            raise BookError(f"{said}; it must be a literal {kind.__name__}")
    return {key: found[key] for key in _PARAMETERS}


def write(notebook: NotebookNode, path: Path) -> None:
    replace(path, nbformat.v4.writes(notebook) + "\n")
