"""What a lesson may ask of a student: short visible cells, few numbers, symbols that the notation page has.

A lesson is a notebook with an evidence sibling, `NN_topic.ipynb` beside `NN_topic_evidence.ipynb`.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bindery.page import notebooks, run_times
from bindery.page.notebooks import CHANGE_ME
from bindery.page.syntax import imports, parse_cell
from bindery.root import EVIDENCE

__all__ = ["lessons", "problems", "symbols"]

_MEDIAN_LINES, _MOST_LINES = 8, 20
_MOST_CELLS, _MOST_WORDS, _NUMBERS_A_PARAGRAPH = 60, 5000, 2
_WARM_UPS_AND_REAL_ONES = 5
# Units; what is written down is the last execution's, which wavers by a tenth.
_LESSON_UNITS, _EVIDENCE_UNITS, _CHANGE_ME_UNITS = 22.0, 44.0, 10.0
# A cell with one of these is folded or not shown at all.
_FOLDED = {"setup", "parameters", "hide-input", "hide-cell", "remove-input", "remove-cell"}
_CALL_OF_THE_LEDGER = re.compile(r"\.claim\(|\.stored\(")
_GLUE = re.compile(r"\{glue:text\}`")
_MATH = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|```\{math\}(.+?)```", re.DOTALL)
_WORDS = re.compile(r"\\(?:text|operatorname\*?|mathrm|label|tag|begin|end|qquad|quad)\s*\{[^}]*\}")
# A macro's name (with what it is put around, for an alphabet), or a single letter.
_SYMBOL = re.compile(r"\\(math(?:bb|cal|bf)\s*\{?\s*\w\}?)|\\([A-Za-z]+)|([A-Za-z])")
_GREEK = re.compile(
    r"(?:var)?(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau"
    r"|upsilon|phi|chi|psi|omega)",
    re.IGNORECASE,
)
_FILE = "book/notation.md"


def lessons(root: Path) -> list[str]:
    """Return the names of the notebooks that have an evidence sibling."""
    stems = notebooks.stems(root)
    return [stem for stem in stems if f"{stem}{EVIDENCE}" in stems]


def problems(root: Path) -> list[str]:
    """Say where a lesson is no lesson: one sentence for each limit that it does not keep."""
    known = symbols((root / _FILE).read_text(encoding="utf-8"), rows=True) if lessons(root) else set()
    return [f"notebooks/{stem}.ipynb: {one}" for stem in lessons(root) for one in _of(root, stem, known)]


def _of(root: Path, stem: str, known: set[str]) -> Iterator[str]:
    notebook = notebooks.read(notebooks.notebook_path(root, stem))
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    visible = [cell for cell in notebooks.code_cells(notebook) if not _FOLDED & notebooks.tags(cell)]
    lengths = {cell.id: len(cell.source.splitlines()) for cell in visible}
    middle = median(lengths.values() or [0])
    if middle > _MEDIAN_LINES:
        yield f"its visible cells have a median of {middle:g} lines; at most {_MEDIAN_LINES}"
    yield from (
        f"cell {name} has {size} lines; at most {_MOST_LINES}, or fold it"
        for name, size in lengths.items()
        if size > _MOST_LINES
    )
    if len(notebook.cells) > _MOST_CELLS:
        yield f"it has {len(notebook.cells)} cells; at most {_MOST_CELLS}"
    words = sum(len(text.split()) for text in prose)
    if words > _MOST_WORDS:
        yield f"it has {words} words; at most {_MOST_WORDS}"
    for paragraph in (one for text in prose for one in text.split("\n\n")):
        count = len(_GLUE.findall(paragraph))
        if count > _NUMBERS_A_PARAGRAPH:
            yield f"{paragraph[:40]!r}... holds {count} measured numbers; at most {_NUMBERS_A_PARAGRAPH}"
    for cell in notebooks.code_cells(notebook):
        if _CALL_OF_THE_LEDGER.search(cell.source):
            yield f"cell {cell.id} calls the ledger; a lesson's claims are recorded in its evidence"
    yield from _exercises("\n".join(prose))
    yield from _change_me(notebook)
    missing = sorted(set().union(*map(symbols, prose)) - known)
    yield from (f"the symbol {one} has no row in {_FILE}" for one in missing)
    yield from _times(root, stem)


def _exercises(text: str) -> Iterator[str]:
    given, solved = (len(re.findall(rf"\{{{name}\}}", text)) for name in ("exercise", "solution-start"))
    solved += len(re.findall(r"\{solution\}", text))
    if given < _WARM_UPS_AND_REAL_ONES:
        yield f"it has {given} exercises; two warm-ups and three real ones"
    if solved < given:
        yield f"it has {given} exercises and {solved} solutions"


def _change_me(notebook: Any) -> Iterator[str]:
    """The one cell that a reader is invited to change needs nothing but the set-up."""
    cells = notebooks.inviting(notebook)
    if len(cells) != 1:
        yield f"it has {len(cells)} cells tagged {CHANGE_ME}; one, near the top"
        return
    (cell,) = cells
    if not cell.source.startswith("# Change me"):
        yield f"cell {cell.id} must begin by saying '# Change me' and what may be put there"
    if CHANGE_ME not in notebooks.tags(cell):
        yield f"cell {cell.id} must be tagged {CHANGE_ME}"
    ready = {"profile", "seed", *dir(builtins)}
    for other in notebooks.code_cells(notebook):
        if {"setup", "parameters"} & notebooks.tags(other):
            ready |= _bound(parse_cell(other.source))
    tree = parse_cell(cell.source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    strangers = sorted(used - ready - _bound(tree))
    if strangers:
        yield f"cell {cell.id} uses {', '.join(strangers)}, which no cell tagged setup defines"


def _bound(tree: ast.AST) -> set[str]:
    """The names that code binds, at whatever depth."""
    found = {name.partition(".")[0] for name, _ in imports(tree)}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
    return found


def _times(root: Path, stem: str) -> Iterator[str]:
    runs = run_times.read(root)
    for name, most in ((stem, _LESSON_UNITS), (f"{stem}{EVIDENCE}", _EVIDENCE_UNITS)):
        run = runs.get(name)
        if run is not None and run.units is not None and run.units > most:
            yield f"{name} took {run.units:g} units; a lesson some 20, its evidence under 40"
    run = runs.get(stem)
    if run is not None and run.change_me is not None and run.change_me > _CHANGE_ME_UNITS:
        yield f"its cell tagged {CHANGE_ME} took {run.change_me:g} units; under {_CHANGE_ME_UNITS:g}"


def symbols(text: str, *, rows: bool = False) -> set[str]:
    r"""Return the letters that the formulas of a text use as symbols, without what decorates them.

    Args:
        text: Markdown.
        rows: Take only the first column of the tables, those of the notation page.

    >>> sorted(symbols(r"$\hat x_S = \operatorname{sign}(\lambda) \in \mathbb R^n$ and `$y$`"))
    ['S', 'lambda', 'mathbb R', 'n', 'x']
    """
    if rows:
        text = "\n".join(line for line in text.splitlines() if line.startswith("* - "))
    text = re.sub(r"(?<!`)`[^`\n]+`|^:\w+:.*$", "", text, flags=re.MULTILINE)
    found = set()
    for parts in _MATH.findall(text):
        for alphabet, macro, letter in _SYMBOL.findall(_WORDS.sub("", "".join(parts))):
            if alphabet:
                found.add(re.sub(r"[\s{}]+", " ", alphabet).strip())
            elif letter or _GREEK.fullmatch(macro):
                found.add(letter or macro)
    return found
