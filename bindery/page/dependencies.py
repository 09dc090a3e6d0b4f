"""What a page depends on, and which pages are stale for it: read from the code, never listed by hand.

Nothing of the book is imported.
"""

import argparse
import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bindery.page import notebooks
from bindery.page.pages import FORMAT, differences, outputs_digest
from bindery.page.sources import DATA, Sources, sha256
from bindery.page.syntax import code_digest, dotted, imports, parsed, parsed_cells, strings
from bindery.root import BENCHMARKS, PACKAGE, BookError, require_root

_LOAD_DATA = f"{DATA}.load"
# What loads stored results: this function, or a method of this name.
_LOAD_RESULTS, _STORED = "bindery.runs.results.load", "stored"


def combined(dependencies: Mapping[str, str]) -> str:
    return sha256(json.dumps(dict(dependencies), sort_keys=True).encode())


def reasons(recorded: Mapping[str, str], current: Mapping[str, str]) -> list[str]:
    """Return what sets two states of the dependencies apart, one phrase each."""
    # A module that is no longer reached decided nothing: whoever stops importing it is changed.
    new = dict.fromkeys(current.keys() - recorded.keys(), "is new")
    dropped = (name for name in recorded.keys() - current.keys() if name.partition(".")[0] != PACKAGE)
    gone = dict.fromkeys(dropped, "is no longer used")
    both = recorded.keys() & current.keys()
    changed = {name: "changed" for name in both if recorded[name] != current[name]}
    return [f"{name} {how}" for name, how in sorted((new | gone | changed).items())]


def page_dependencies(root: Path, stem: str, sources: Sources | None = None) -> dict[str, str]:
    """Return everything that decides what a page says, each by name with a digest of its content.

    These are its notebook, the modules of the science that it imports directly or through others, the data
    sets that it loads, the stored results that it shows, the deciding fields of its chapter's claims, the
    pinned versions, and bindery's page format: no module of bindery.
    """
    sources = sources or Sources(root)
    notebook = sources.notebook(stem)
    trees = _trees(notebook, stem)
    found = {"notebook": _notebook_digest(notebook), "page format": str(FORMAT)}
    found |= {"constraints.txt": _constraints_digest(root)} | _science(sources, trees)
    found |= _results(root, stem, trees, sources)
    found |= {f"claim {claim}": digest for claim, digest in sources.claims(stem).items()}
    return dict(sorted(found.items()))


def paper_dependencies(root: Path, stem: str, sources: Sources | None = None) -> dict[str, str]:
    """Return what decides the numbers of a stored run, of a notebook's or of the benchmarks' code.

    A run at the papers' scale takes hours; a comment, a caption or a new colour must not make it stale.
    """
    sources = sources or Sources(root)
    if stem == BENCHMARKS:
        files = sorted((root / stem).glob("*.py"))
        code, trees = stem, [parsed(file.read_bytes(), f"{stem}/{file.name}") for file in files]
    else:
        code, trees = "code cells", _trees(sources.notebook(stem), stem)
    return dict(sorted({code: code_digest(trees), **_science(sources, trees)}.items()))


def _trees(notebook: Mapping[str, Any], stem: str) -> list[ast.Module]:
    return [tree for _, tree in parsed_cells(notebook, f"notebooks/{stem}.ipynb")]


def _notebook_digest(notebook: Mapping[str, Any]) -> str:
    fields = ("cell_type", "id", "metadata", "source", "attachments")
    cells = [{field: cell[field] for field in fields if field in cell} for cell in notebook["cells"]]
    return sha256(json.dumps([cells, notebook.get("metadata", {}).get("myst")], sort_keys=True).encode())


def _constraints_digest(root: Path) -> str:
    """Digest the pinned versions; comments, blank lines and order say nothing."""
    file = root / "constraints.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    pins = sorted(filter(None, (line.partition("#")[0].strip() for line in lines)))
    return sha256("\n".join(pins).encode())


def _science(sources: Sources, trees: list[ast.Module]) -> dict[str, str]:
    """Return what code loads of the science: its modules, data sets (all where a name is computed), files."""
    modules = sources.closure(trees)
    found = {module: sources.digest(module) for module in modules}
    for arguments in _calls(trees, _LOAD_DATA):
        known = sources.registered
        found |= {f"data {name}": known[name] for name in known if name in arguments or not arguments}
    words = set().union(*map(strings, trees), *map(sources.words, modules))
    for name, file in sources.shipped.items():
        if words & {name, file.name, file.stem}:
            found[f"{PACKAGE}/{name}"] = sha256(file.read_bytes())
    return found


def _results(root: Path, stem: str, trees: list[ast.Module], sources: Sources) -> dict[str, str]:
    """Return the stored results that a notebook shows, and the code of benchmarks that it judges by."""
    found: dict[str, str] = {}
    for arguments in _calls(trees, _LOAD_RESULTS, _STORED):
        for chapter in arguments or {stem}:
            files = sorted(file for file in (root / "results" / chapter).glob("*") if file.is_file())
            found |= {file.relative_to(root).as_posix(): sha256(file.read_bytes()) for file in files}
            found |= {} if files else {f"results/{chapter}": "none"}
            found |= paper_dependencies(root, chapter, sources) if chapter == BENCHMARKS else {}
    return found


def _calls(trees: list[ast.Module], function: str, method: str | None = None) -> Iterator[set[str]]:
    """Yield the text that each call of a function, or of any method of a name, is given: none if computed."""
    names = dict(pair for tree in trees for pair in imports(tree))
    for call in (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)):
        head, dot, rest = dotted(call.func).partition(".")
        if names.get(head, head) + dot + rest == function or getattr(call.func, "attr", "") == method:
            by_name = (word.value for word in call.keywords if word.arg in ("name", "page_stem", "stem"))
            given = [node.value for node in (*call.args[:1], *by_name) if isinstance(node, ast.Constant)]
            yield {text for text in given if isinstance(text, str)}


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
    orphans = sorted(set(notebooks.stems(root, "book")) - set(notebooks.stems(root)))
    remedy = "has no notebook: remove it, or restore"
    return found + [f"book/{stem}.ipynb {remedy} notebooks/{stem}.ipynb" for stem in orphans]


def run(_args: argparse.Namespace) -> int:
    root = require_root()
    found = problems(root)
    print("\n".join(found) or f"{len(notebooks.stems(root))} pages, all fresh")
    return int(bool(found))
