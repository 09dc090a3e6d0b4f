"""Sphinx extension: an executed page as the renderer reads it."""

from __future__ import annotations

__all__ = ["prepare", "setup"]

import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

# What the pages carry for programs: records of claims and bundles of figures.
OWN_TYPES = "application/vnd.gsl."


def prepare(page: str, notebook: str | None) -> str:
    """Make a page readable for the renderer.

    Outputs that only programs read are dropped: it would warn about them. What the notebook says
    to the renderer (its description) is added: a page is made of cells and results and does not repeat it.

    Args:
        page: The page.
        notebook: The notebook that it was executed from, or None where there is none.

    Returns:
        The page, changed for the renderer's eyes only.
    """
    content = json.loads(page)
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for mime in [mime for mime in data if mime.startswith(OWN_TYPES)]:
                del data[mime]
    said = {} if notebook is None else json.loads(notebook)["metadata"]
    if "myst" in said:
        content["metadata"].setdefault("myst", said["myst"])
    return json.dumps(content, ensure_ascii=False)


def _read_source(app: Sphinx, page: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(page))
    if path.suffix == ".ipynb":
        notebook = Path(app.srcdir) / "notebooks" / path.name
        source[0] = prepare(source[0], notebook.read_text(encoding="utf-8") if notebook.is_file() else None)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", _read_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
