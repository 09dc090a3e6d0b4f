"""Notebooks and pages as files: their names, reading and writing."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from bindery.page.syntax import parse_cell
from bindery.root import BookError

__all__ = [
    "INVITATION",
    "code_cells",
    "default_parameters",
    "notebook_path",
    "page_path",
    "page_stems",
    "read",
    "select",
    "stems",
    "tagged",
    "write",
]

# What stands, in small letters or large, in the cell that a reader is invited to change.
INVITATION = "change me"

_PARAMETERS = {"profile": str, "seed": int}


def notebook_path(root: Path, stem: str) -> Path:
    """Return where a notebook is.

    Args:
        root: The book's root.
        stem: The notebook's name without its ending, such as ``01_classical_cs``.

    Returns:
        Its path.
    """
    return root / "notebooks" / f"{stem}.ipynb"


def page_path(root: Path, stem: str) -> Path:
    """Return where an executed page is.

    Args:
        root: The book's root.
        stem: The page's name without its ending, the same as its notebook's.

    Returns:
        Its path, whether or not it exists.
    """
    return root / "book" / f"{stem}.ipynb"


def stems(root: Path) -> list[str]:
    """Return the names of all notebooks, sorted.

    Args:
        root: The book's root.

    Returns:
        Names without their ending.
    """
    return sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))


def page_stems(root: Path) -> list[str]:
    """Return the names of all executed pages, sorted.

    Args:
        root: The book's root.

    Returns:
        Names without their ending.
    """
    return sorted(path.stem for path in (root / "book").glob("*.ipynb"))


def select(root: Path, names: Sequence[str]) -> list[str]:
    """Return the notebooks that a person named.

    Args:
        root: The book's root.
        names: Each a notebook's name, the start of one such as ``01``, or its path; none means all.

    Returns:
        Names without their ending, in the book's order.

    Raises:
        BookError: A name fits no notebook, or more than one.
    """
    known = stems(root)
    chosen = set()
    for name in names:
        wanted = Path(name).name.removesuffix(".ipynb")
        fits = [wanted] if wanted in known else [stem for stem in known if wanted and stem.startswith(wanted)]
        if len(fits) != 1:
            raise BookError(f"{name!r} fits {fits or 'no notebook'}; it must fit one of {known}")
        chosen.update(fits)
    return [stem for stem in known if not names or stem in chosen]


def read(path: Path) -> NotebookNode:
    """Read a notebook or page whose cells have ids.

    Args:
        path: The file.

    Returns:
        The notebook.

    Raises:
        BookError: The file is missing, is no notebook, or has cells without an id of their own.
    """
    place = f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text)
    except FileNotFoundError:
        raise BookError(f"{place} does not exist") from None
    except ValueError as error:
        raise BookError(f"{place} is not a notebook: {error}") from None
    cells = raw.get("cells", []) if isinstance(raw, dict) else []
    ids = [cell.get("id") for cell in cells]
    if not ids or None in ids or len(set(ids)) < len(ids):
        raise BookError(f"{place} must have cells, each with its own id: save it in notebook format 4.5")
    notebook = nbformat.v4.reads(text)
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise BookError(f"{place} is not a notebook: {error.message}") from None
    return notebook


def code_cells(notebook: Mapping[str, Any]) -> list[Any]:
    """Return the code cells of a notebook, in order.

    Args:
        notebook: A notebook.

    Returns:
        Its code cells.
    """
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def tagged(notebook: Mapping[str, Any], tag: str) -> int | None:
    """Return the position of the first cell with a tag.

    Args:
        notebook: A notebook.
        tag: The tag, such as ``parameters``.

    Returns:
        The position among all cells, counted from 0, or ``None`` where no cell has the tag.
    """
    hits = (
        number for number, cell in enumerate(notebook["cells"]) if tag in cell["metadata"].get("tags", [])
    )
    return next(hits, None)


def default_parameters(notebook: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the profile and seed that a notebook's ``parameters`` cell sets.

    Args:
        notebook: The notebook.
        name: What to call it in an error.

    Returns:
        ``{"profile": ..., "seed": ...}``.

    Raises:
        BookError: There is no such cell, or it does not set both to literals of the right type.
    """
    position = tagged(notebook, "parameters")
    if position is None:
        raise BookError(
            f"{name} has no cell tagged 'parameters'; it must have one that sets profile and seed"
        )
    found = {}
    for node in parse_cell(notebook["cells"][position]["source"]).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found.update(
                {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
            )
    for key, kind in _PARAMETERS.items():
        if type(found.get(key)) is not kind:
            raise BookError(
                f"{name} sets {key} to {found.get(key)!r} in its 'parameters' cell; "
                f"it must be a literal {kind.__name__}"
            )
    return {key: found[key] for key in _PARAMETERS}


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook so that its file is at every moment either the old one or the new one.

    Args:
        notebook: The notebook.
        path: Where to; its folder is made when it is missing.

    Raises:
        OSError: The disk is full or the folder cannot be written; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.tmp")
    try:
        draft.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
