"""Which pages are stale, and what made them so."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bindery.page import notebooks
from bindery.page.dependencies import page_dependencies
from bindery.page.pages import differences, outputs_digest
from bindery.page.sources import Sources
from bindery.root import BookError, require_root

__all__ = ["add_arguments", "problems", "reasons", "run", "stale"]


def reasons(recorded: Mapping[str, str], current: Mapping[str, str]) -> list[str]:
    """Return what sets two states of a page's dependencies apart.

    Args:
        recorded: Name to digest, as the page carries them.
        current: Name to digest, as they are now.

    Returns:
        One phrase per difference; empty where there is none.

    >>> reasons({"notebook": "1", "gsl_utils.sparse": "2"}, {"notebook": "3", "gsl_utils.metrics": "4"})
    ['gsl_utils.metrics is new', 'gsl_utils.sparse is no longer used', 'notebook changed']
    """
    found = []
    for name in sorted(recorded.keys() | current.keys()):
        if name not in recorded:
            found.append(f"{name} is new")
        elif name not in current:
            found.append(f"{name} is no longer used")
        elif recorded[name] != current[name]:
            found.append(f"{name} changed")
    return found


def stale(
    root: Path, stems: list[str] | None = None, parameters: Mapping[str, Any] | None = None
) -> dict[str, list[str]]:
    """Return the pages that must be executed, each with the reasons.

    Args:
        root: The book's root.
        stems: The notebooks to look at; by default all.
        parameters: Parameters that differ from those that the notebooks set.

    Returns:
        Notebook name to phrases such as ``"gsl_utils.metrics changed"``; a fresh page is not in it.

    Raises:
        BookError: A notebook or a module cannot be read.
    """
    sources = Sources(root)
    chosen = notebooks.stems(root) if stems is None else stems
    found = {stem: _reasons(root, stem, sources, parameters or {}) for stem in chosen}
    return {stem: why for stem, why in found.items() if why}


def _reasons(root: Path, stem: str, sources: Sources, parameters: Mapping[str, Any]) -> list[str]:
    source = notebooks.read(notebooks.notebook_path(root, stem))
    wanted = {**notebooks.default_parameters(source, f"notebooks/{stem}.ipynb"), **parameters}
    current = page_dependencies(root, stem, sources)
    path = notebooks.page_path(root, stem)
    if not path.is_file():
        return ["it was never executed"]
    try:
        page = notebooks.read(path)
    except BookError as error:
        return [str(error)]
    gsl = page.metadata.get("gsl", {})
    found = reasons(gsl.get("dependencies", {}), current)
    if gsl.get("parameters") != wanted:
        found.append(f"it was executed with {_listed(gsl.get('parameters', {}))}, not {_listed(wanted)}")
    # An edited notebook explains every difference; without one, somebody edited the page.
    if "notebook changed" not in found:
        edited = differences(source, page)
        if gsl.get("outputs", "") != outputs_digest(page.cells):
            edited.append("its outputs are not those of its execution")
        found += [f"the page was edited by hand: {phrase}" for phrase in edited]
    return found


def _listed(parameters: Mapping[str, Any]) -> str:
    return " and ".join(f"{key} {json.dumps(value)}" for key, value in parameters.items()) or "no parameters"


def problems(root: Path) -> list[str]:
    """Return what keeps the pages from being what the notebooks and the code would make of them.

    Args:
        root: The book's root.

    Returns:
        One line per problem: a stale page with what made it so, a page without a notebook, or a notebook
        that cannot be read; empty where all is well.
    """
    sources = Sources(root)
    found = []
    for stem in notebooks.stems(root):
        try:
            why = _reasons(root, stem, sources, {})
        except BookError as error:
            found.append(str(error))
            continue
        if why:
            found.append(f"{stem} is stale: {'; '.join(why)}")
    orphans = sorted(set(notebooks.page_stems(root)) - set(notebooks.stems(root)))
    found += [
        f"book/{stem}.ipynb has no notebook: remove it, or restore notebooks/{stem}.ipynb" for stem in orphans
    ]
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare that the command takes no arguments.

    Args:
        parser: The parser of the ``status`` command.
    """
    parser.set_defaults(names=[])


def run(args: argparse.Namespace) -> int:
    """Print the state of every page.

    Args:
        args: The parsed command line.

    Returns:
        0 when every page is fresh, else 1.
    """
    del args
    root = require_root()
    found = problems(root)
    for line in found:
        print(line)
    if not found:
        print(f"{len(notebooks.stems(root))} pages, all fresh")
    return int(bool(found))
