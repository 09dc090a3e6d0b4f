"""Calls whose answer is the processor's, or chance, whatever variables are set: pages avoid them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from bindery.page import notebooks
from bindery.page.syntax import parsed_cells
from bindery.root import PACKAGE

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
_WITH = {"lstsq": ("driver", "gels", _PIVOTS)} | dict.fromkeys(("Adam", "AdamW"), ("fused", True, _FUSED))


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line of each such call, and what is wrong with it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        # The last name of what is called, and what stands before its last dot.
        owner, _, name = ast.unparse(node.func).rpartition(".")
        if owner.split(".")[0] in _NUMBERS:
            continue
        if name in _REFUSED:
            yield node.lineno, f"{name}: {_REFUSED[name]}"
        elif name in _WITH and owner.split(".")[-1] in ("linalg", "optim"):
            option, value, why = _WITH[name]
            given = {word.arg: word.value for word in node.keywords}.get(option)
            if not (isinstance(given, ast.Constant) and given.value == value):
                yield node.lineno, f"{name}: {why}"


def problems(root: Path) -> list[str]:
    found = []
    for file in sorted((root / PACKAGE).rglob("*.py")):
        tree = ast.parse(file.read_bytes())
        found += [f"{file.relative_to(root)}:{line}: {why}" for line, why in calls(tree)]
    for stem in notebooks.stems(root):
        notebook = notebooks.read(notebooks.notebook_path(root, stem))
        for place, tree in parsed_cells(notebook, f"notebooks/{stem}.ipynb"):
            found += [f"{place}, line {line}: {why}" for line, why in calls(tree)]
    return found
