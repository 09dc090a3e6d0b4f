"""Sphinx extension: under each figure of a page, links to its picture, its numbers and their description."""

from __future__ import annotations

__all__ = ["FILES", "copy_figures", "links_html", "setup"]

import json
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from bindery.figures.bundle import BUNDLE_MIME
from bindery.site.markup import element, relative

# The ending of each file of a bundle, and what the link to it says.
FILES = {"svg": "Picture (SVG)", "csv": "numbers (CSV)", "npz": "arrays (NPZ)", "json": "description (JSON)"}


def links_html(page: str, folder: Path, name: str) -> str:
    """Write the line of links under one figure.

    Args:
        page: The page's name, such as ``book/01_classical_cs``.
        folder: Where the bundles of the page were extracted to.
        name: The figure's name.

    Raises:
        FileNotFoundError: The bundle was not extracted.
    """
    there = [ending for ending in FILES if (folder / f"{name}.{ending}").is_file()]
    if "svg" not in there or "json" not in there:
        raise FileNotFoundError(f"{folder.name}: the bundle of the figure {name!r} was not extracted")
    address = relative(page, f"figures/{page.split('/')[-1]}/{name}")
    links = [
        f"{element('a', href=f'{address}.{ending}', download='')}{FILES[ending]}</a>" for ending in there
    ]
    return f'<p class="bundle-links"><span class="bundle-label">This figure:</span> {", ".join(links)}</p>'


def copy_figures(figures: Path, site: Path) -> None:
    """Copy the extracted bundles into the site's folder ``figures/``."""
    if figures.is_dir():
        shutil.copytree(figures, site / "figures", dirs_exist_ok=True)


def _names(output: dict[str, Any]) -> list[str]:
    payload = output.get("data", {}).get(BUNDLE_MIME)
    return [] if payload is None else [json.loads("".join(payload))["name"]]


def _add_links(app: Sphinx, doctree: nodes.document) -> None:
    page = app.env.docname
    source = Path(app.env.doc2path(page))
    if source.suffix != ".ipynb":
        return
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    folder = Path(app.srcdir) / "book" / "_figures" / source.stem
    for shown in list(doctree.findall(nodes.container)):
        if shown.get("nb_element") != "cell_code":
            continue
        outputs = cells[shown["cell_index"]].get("outputs", [])
        for name in [name for output in outputs for name in _names(output)]:
            shown.append(nodes.raw("", links_html(page, folder, name), format="html"))


def _when_finished(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        copy_figures(Path(app.srcdir) / "book" / "_figures", Path(app.outdir))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("doctree-read", _add_links)
    app.connect("build-finished", _when_finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
