"""What Python code says, apart from how it is written: its digest and its imports, from the syntax tree."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator

__all__ = ["code_digest", "dotted_calls", "imports", "parse_cell", "strings"]

_MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
_SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Fields that hold nothing of what the code does.
_SILENT = {"ctx", "kind", "type_comment", "lineno", "col_offset"}


def parse_cell(source: str) -> ast.Module:
    r"""Return the syntax tree of a notebook's code cell, whose magics and shell lines are left out.

    Args:
        source: The cell's text.

    Returns:
        Its tree.

    Raises:
        SyntaxError: The rest is not Python.

    >>> ast.unparse(parse_cell("%matplotlib inline\nx = 1"))
    'pass\nx = 1'
    """
    return ast.parse(_MAGIC.sub(r"\1pass", source))


def code_digest(trees: Iterable[ast.AST]) -> str:
    r"""Return the SHA-256 of what code says, without its comments, docstrings, layout and ``__version__``.

    The digest is the same under every Python that can read the code: it goes through the tree's fields by
    name, and skips those that are empty, because newer Pythons have more of them.

    Args:
        trees: Syntax trees; they are not changed.

    Returns:
        64 hexadecimal digits.

    >>> tidy, terse = "def f(x):\n    'Double.'\n    return 2 * x  # why", "def f(x): return 2*x"
    >>> code_digest([ast.parse(tidy)]) == code_digest([ast.parse(terse)])
    True
    """
    parts: list[str] = []
    for tree in trees:
        _describe(tree, parts)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _describe(node: object, parts: list[str]) -> None:
    if isinstance(node, ast.AST):
        parts.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in _SILENT:
                continue
            if name == "body" and isinstance(node, _SCOPES):
                value = [statement for statement in value[_docstring(node) :] if not _is_version(statement)]
            if isinstance(node, ast.JoinedStr):
                value = list(_joined(value))
            parts.append(f"{name}=")
            _describe(value, parts)
        parts.append(")")
    elif isinstance(node, list):
        parts.append("[")
        for item in node:
            _describe(item, parts)
            parts.append(",")
        parts.append("]")
    else:
        # ascii, not repr: which characters repr escapes depends on the Python's Unicode tables.
        parts.append(ascii(node))


def _docstring(node: ast.AST) -> int:
    """Return 1 where the node's body opens with a docstring, else 0."""
    body = getattr(node, "body", [])
    first = body[0] if body else None
    is_text = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return int(is_text)


def _is_version(statement: ast.stmt) -> bool:
    """Say whether a statement sets ``__version__``: a release changes no result."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "__version__" for target in targets)


def _joined(values: list[ast.expr]) -> Iterator[ast.expr]:
    """Merge neighbouring texts of an f-string, which Pythons before and after 3.12 cut differently."""
    text = ""
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            text += value.value
            continue
        if text:
            yield ast.Constant(text)
            text = ""
        yield value
    if text:
        yield ast.Constant(text)


def imports(tree: ast.AST, package: str = "") -> list[tuple[str, str]]:
    """Return what a tree imports: each bound name with the dotted name that it stands for.

    Imports inside functions count; those under ``if TYPE_CHECKING:`` do not run and do not count.
    ``import a.b`` binds ``a`` and is listed under ``a.b`` as well: the dotted names are all that is loaded.

    Args:
        tree: A module's or a cell's tree.
        package: The package that relative imports start from.

    Returns:
        Pairs of bound name and dotted name, in the order of the code.

    >>> imports(ast.parse("from .metrics import srnr_db as db"), "gsl_utils")
    [('db', 'gsl_utils.metrics.srnr_db')]
    """
    found: list[tuple[str, str]] = []
    for node in _running(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name.partition(".")[0]
                found.append((alias.name, alias.name))
                found.append((alias.asname, alias.name) if alias.asname else (head, head))
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            found.extend((alias.asname or alias.name, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func).endswith("import_module") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                found.append((name.value, name.value))
    return found


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without the branches that only type checkers see."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(tree, ast.If) and child in tree.body and _name(tree.test).endswith("TYPE_CHECKING"):
            continue
        yield from _running(child)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parents = package.split(".")
    base = parents[: len(parents) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _name(node: ast.AST) -> str:
    """Return ``a.b.c`` for a chain of attributes, or an empty string for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _name(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def dotted_calls(trees: Iterable[ast.AST], names: dict[str, str]) -> Iterator[tuple[str, ast.Call]]:
    r"""Yield each call of something with a name, with that name in full.

    Args:
        trees: Syntax trees.
        names: Bound name to dotted name, as ``imports`` gives them.

    Yields:
        The dotted name and the call.

    >>> tree = ast.parse("from gsl_utils import datasets\ndatasets.load('digits')")
    >>> [name for name, _ in dotted_calls([tree], dict(imports(tree)))]
    ['gsl_utils.datasets.load']
    """
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                head, dot, rest = _name(node.func).partition(".")
                if head:
                    yield names.get(head, head) + dot + rest, node


def strings(tree: ast.AST) -> set[str]:
    """Return every string literal of a tree.

    Args:
        tree: A syntax tree.

    Returns:
        The strings.

    >>> sorted(strings(ast.parse("load('digits', split='test')")))
    ['digits', 'test']
    """
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
