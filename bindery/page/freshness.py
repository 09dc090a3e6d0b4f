"""Which pages are stale, and what made them so."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bindery.page import notebooks
from bindery.page.dependencies import page_dependencies, reasons
from bindery.page.pages import differences, outputs_digest
from bindery.page.sources import Sources
from bindery.root import BookError, require_root


def wanted(sources: Sources, stem: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a page: its notebook's own, but for those that are given."""
    own = notebooks.default_parameters(sources.notebook(stem), f"notebooks/{stem}.ipynb")
    return {**own, **parameters}


def stale(
    root: Path,
    stems: list[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    sources: Sources | None = None,
) -> dict[str, list[str]]:
    """Return the pages, of all or of some, that must be executed, each with phrases that say why."""
    sources = sources or Sources(root)
    chosen = notebooks.stems(root) if stems is None else stems
    found = {stem: _reasons(stem, sources, parameters or {}) for stem in chosen}
    return {stem: why for stem, why in found.items() if why}


def _reasons(stem: str, sources: Sources, parameters: Mapping[str, Any]) -> list[str]:
    ought = wanted(sources, stem, parameters)
    current = page_dependencies(sources.root, stem, sources)
    path = notebooks.page_path(sources.root, stem)
    if not path.is_file():
        return ["it was never executed"]
    try:
        page = notebooks.read(path)
    except BookError as error:
        return [str(error)]
    gsl = page.metadata.get("gsl", {})
    found = reasons(gsl.get("dependencies", {}), current)
    if gsl.get("parameters") != ought:
        found.append(f"it was executed with {_listed(gsl.get('parameters', {}))}, not {_listed(ought)}")
    # An edited notebook explains every difference; without one, somebody edited the page.
    if "notebook changed" not in found:
        edited = differences(sources.notebook(stem), page)
        if gsl.get("outputs", "") != outputs_digest(page.cells):
            edited.append("its outputs are not those of its execution")
        found += [f"the page was edited by hand: {phrase}" for phrase in edited]
    return found


def _listed(parameters: Mapping[str, Any]) -> str:
    return " and ".join(f"{key} {json.dumps(value)}" for key, value in parameters.items()) or "no parameters"


def problems(root: Path) -> list[str]:
    sources = Sources(root)
    found = []
    for stem in notebooks.stems(root):
        try:
            why = _reasons(stem, sources, {})
        except BookError as error:
            found.append(str(error))
            continue
        if why:
            found.append(f"{stem} is stale: {'; '.join(why)}")
    orphans = sorted(set(notebooks.page_stems(root)) - set(notebooks.stems(root)))
    remedy = "has no notebook: remove it, or restore"
    return found + [f"book/{stem}.ipynb {remedy} notebooks/{stem}.ipynb" for stem in orphans]


def run(_args: argparse.Namespace) -> int:
    root = require_root()
    found = problems(root)
    print("\n".join(found) or f"{len(notebooks.stems(root))} pages, all fresh")
    return int(bool(found))
