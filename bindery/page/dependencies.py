"""What a page depends on: read from the code, never listed by hand, and nothing is imported for it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bindery.page import notebooks
from bindery.page.pages import FORMAT
from bindery.page.sources import PACKAGE, Sources, sha256
from bindery.page.syntax import code_digest, dotted_calls, imports, parse_cell, strings
from bindery.root import BENCHMARKS, BookError

__all__ = ["combined", "page_dependencies", "paper_dependencies"]

_LOAD_DATA = "gsl_utils.datasets.load"
_LOAD_RESULTS = "bindery.runs.results.load"


def combined(dependencies: Mapping[str, str]) -> str:
    """Return one digest of all dependencies.

    Args:
        dependencies: Name to digest.

    Returns:
        64 hexadecimal digits.
    """
    return sha256(json.dumps(dict(dependencies), sort_keys=True).encode())


def page_dependencies(root: Path, stem: str, sources: Sources | None = None) -> dict[str, str]:
    """Return everything that decides what a page says, each with a digest of its content.

    Args:
        root: The book's root.
        stem: The notebook's name without its ending.
        sources: The book's code, to be shared between pages; by default it is read anew.

    Returns:
        Name to digest: ``notebook`` (all its cells), each module of ``gsl_utils`` that it imports directly or
        through others, the data sets that it loads, the stored results that it shows, the deciding fields of
        its chapter's claims, and ``constraints.txt``.

    Raises:
        BookError: The notebook or a module cannot be read.
    """
    sources = sources or Sources(root)
    notebook = notebooks.read(notebooks.notebook_path(root, stem))
    trees = _cell_trees(notebook, stem)
    found = {"notebook": _notebook_digest(notebook), "constraints.txt": _constraints_digest(root)}
    found |= {"page format": str(FORMAT)}
    modules = sources.closure(trees)
    found |= {module: sources.digest(module) for module in modules}
    found |= _data(sources, modules, trees)
    found |= _results(root, stem, trees, sources)
    found |= {f"claim {claim}": digest for claim, digest in sources.claims(stem).items()}
    return dict(sorted(found.items()))


def paper_dependencies(root: Path, stem: str, sources: Sources | None = None) -> dict[str, str]:
    """Return what decides the numbers of a stored run: code, without prose, figures and the book's machinery.

    A run at the papers' scale takes hours; a comment, a caption or a new colour must not make it stale.

    Args:
        root: The book's root.
        stem: The notebook's name without its ending; or ``benchmarks``, whose code is that folder's.
        sources: The book's code, to be shared between pages; by default it is read anew.

    Returns:
        Name to digest: ``code cells`` (or ``benchmarks``), the modules of the science, and the data sets.

    Raises:
        BookError: The notebook or a module cannot be read.
    """
    sources = sources or Sources(root)
    if stem == BENCHMARKS:
        code, trees = stem, _module_trees(root / stem)
    else:
        code, trees = "code cells", _cell_trees(notebooks.read(notebooks.notebook_path(root, stem)), stem)
    modules = sources.closure(trees)
    found = {code: code_digest(trees)}
    found |= {module: sources.digest(module) for module in modules}
    found |= _data(sources, modules, trees)
    return dict(sorted(found.items()))


def _cell_trees(notebook: Mapping[str, Any], stem: str) -> list[ast.Module]:
    trees = []
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] == "code":
            try:
                trees.append(parse_cell(cell["source"]))
            except SyntaxError as error:
                raise BookError(
                    f"notebooks/{stem}.ipynb, cell {number}, line {error.lineno}: {error.msg}"
                ) from None
    return trees


def _module_trees(folder: Path) -> list[ast.Module]:
    trees = []
    for file in sorted(folder.glob("*.py")):
        try:
            trees.append(ast.parse(file.read_text(encoding="utf-8")))
        except SyntaxError as error:
            raise BookError(f"{folder.name}/{file.name}, line {error.lineno}: {error.msg}") from None
    return trees


def _notebook_digest(notebook: Mapping[str, Any]) -> str:
    fields = ("cell_type", "id", "metadata", "source", "attachments")
    cells = [{field: cell[field] for field in fields if field in cell} for cell in notebook["cells"]]
    return sha256(json.dumps([cells, notebook.get("metadata", {}).get("myst")], sort_keys=True).encode())


def _constraints_digest(root: Path) -> str:
    """Digest the pinned versions; comments, blank lines and order say nothing."""
    file = root / "constraints.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    pins = sorted(line.partition("#")[0].strip() for line in lines)
    return sha256("\n".join(pin for pin in pins if pin).encode())


def _data(sources: Sources, modules: list[str], trees: list[ast.Module]) -> dict[str, str]:
    """Return the data sets that a notebook loads by name and the shipped files that it or its modules name.

    Digits have no entry: they ship with scikit-learn, whose version is pinned. Where a name is computed
    rather than written, every data set counts.
    """
    found: dict[str, str] = {}
    for arguments in _calls(trees, _LOAD_DATA):
        known = sources.registered
        names = arguments & known.keys() if arguments else known.keys()
        found |= {f"data {name}": known[name] for name in names}
    words = set().union(*map(strings, trees), *map(sources.words, modules))
    for name, file in sources.shipped.items():
        if words & {name, file.name, file.stem}:
            found[f"{PACKAGE}/{name}"] = sha256(file.read_bytes())
    return found


def _results(root: Path, stem: str, trees: list[ast.Module], sources: Sources) -> dict[str, str]:
    """Return the stored results that a notebook shows: a chapter without any is a dependency as well.

    A page that shows the benchmarks says whether they are of today's code, which it need not import itself.
    """
    found: dict[str, str] = {}
    for arguments in _calls(trees, _LOAD_RESULTS):
        for chapter in arguments or {stem}:
            files = sorted(file for file in (root / "results" / chapter).glob("*") if file.is_file())
            found |= {file.relative_to(root).as_posix(): sha256(file.read_bytes()) for file in files}
            found |= {} if files else {f"results/{chapter}": "none"}
            found |= paper_dependencies(root, chapter, sources) if chapter == BENCHMARKS else {}
    return found


def _calls(trees: list[ast.Module], function: str) -> Iterator[set[str]]:
    """Yield what is given first to each call of a function, in a set that is empty where it is computed."""
    names = dict(pair for tree in trees for pair in imports(tree))
    for name, call in dotted_calls(trees, names):
        if name == function:
            first = [
                *call.args[:1],
                *(word.value for word in call.keywords if word.arg in ("name", "page_stem", "stem")),
            ]
            yield {
                node.value for node in first if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
