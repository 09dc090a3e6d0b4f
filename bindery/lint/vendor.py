"""Calls whose answer is the processor's, or chance, whatever variables are set: pages avoid them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from bindery.page import notebooks
from bindery.page.syntax import parse_cell
from bindery.root import PACKAGE, BookError

_STREAM = "its stream is another on another vendor's processor: draw with rand and randn"
_ROOT = f"its last digit is the processor's: use {PACKAGE}' square_root, norm, or rsqrt"
_REFUSED = {
    **dict.fromkeys(("bernoulli", "bernoulli_", "exponential_", "multinomial", "dropout"), _STREAM),
    **dict.fromkeys(("sqrt", "sqrt_"), _ROOT),
}
# Roots of numbers are rounded as IEEE 754 prescribes.
_NUMBERS = {"math", "np", "numpy", "mp", "mpmath"}
_PIVOTS = 'without driver="gels" it starts from memory that nobody has set, and its last digits are chance'
_FUSED = "without fused=True it takes roots whose last digit is the processor's"
# Calls that must name an option with one value.
_WITH = {
    "lstsq": ("driver", "gels", _PIVOTS),
    "Adam": ("fused", True, _FUSED),
    "AdamW": ("fused", True, _FUSED),
}


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line of each such call, and what is wrong with it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name, owner = _called(node.func)
        if owner.split(".")[0] in _NUMBERS:
            continue
        if name in _REFUSED:
            yield node.lineno, f"{name}: {_REFUSED[name]}"
        elif name in _WITH and owner.split(".")[-1] in ("linalg", "optim"):
            option, value, why = _WITH[name]
            given = {word.arg: word.value for word in node.keywords}.get(option)
            if not (isinstance(given, ast.Constant) and given.value == value):
                yield node.lineno, f"{name}: {why}"


def _called(function: ast.Attribute | ast.Name) -> tuple[str, str]:
    """The last name of what is called, and what stands before its last dot."""
    if isinstance(function, ast.Name):
        return function.id, ""
    return function.attr, ast.unparse(function.value)


def problems(root: Path) -> list[str]:
    """Say where the science or a notebook makes such a call."""
    found = []
    for file in sorted((root / PACKAGE).rglob("*.py")):
        tree = ast.parse(file.read_bytes())
        found += [f"{file.relative_to(root)}:{line}: {why}" for line, why in calls(tree)]
    for stem in notebooks.stems(root):
        for number, cell in enumerate(notebooks.read(notebooks.notebook_path(root, stem)).cells, start=1):
            if cell.cell_type == "code":
                try:
                    tree = parse_cell(cell.source)
                except SyntaxError as error:
                    raise BookError(f"notebooks/{stem}.ipynb, cell {number}: {error.msg}") from None
                found += [
                    f"notebooks/{stem}.ipynb, cell {number}, line {line}: {why}" for line, why in calls(tree)
                ]
    return found
