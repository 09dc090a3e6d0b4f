"""What Python code says, apart from how it is written: its digest and its imports, from the syntax tree."""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bindery.root import BookError

_MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
_SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Fields that hold nothing of what the code does.
_SILENT = {"ctx", "kind", "type_comment", "lineno", "col_offset"}


def parse_cell(source: str) -> ast.Module:
    """Return the syntax tree of a notebook's code cell, whose magics and shell lines are left out."""
    return ast.parse(_python(source))


def _python(source: str) -> str:
    return _MAGIC.sub(r"\1pass", source)


def parsed(source: str | bytes, place: str) -> ast.Module:
    """Return the syntax tree of what stands at a place of the book, or say there what is wrong with it."""
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise BookError(f"{place}, line {error.lineno}: {error.msg}") from None


def parsed_cells(notebook: Mapping[str, Any], name: str) -> list[tuple[str, ast.Module]]:
    """Return the place and the syntax tree of each code cell of a notebook."""
    places = [(f"{name}, cell {number}", cell) for number, cell in enumerate(notebook["cells"], start=1)]
    code = [(place, _python(cell["source"])) for place, cell in places if cell["cell_type"] == "code"]
    return [(place, parsed(source, place)) for place, source in code]


def code_digest(trees: Iterable[ast.AST]) -> str:
    """Return the SHA-256 of what code says, without its comments, docstrings, layout and ``__version__``.

    It is the same under every Python that can read the code: the tree's fields are gone through by name, and
    the empty ones skipped, because newer Pythons have more of them.
    """
    return hashlib.sha256("".join(map(_described, trees)).encode()).hexdigest()


def _described(node: object) -> str:
    if isinstance(node, list):
        return f"[{''.join(f'{_described(item)},' for item in node)}]"
    if not isinstance(node, ast.AST):
        # ascii, not repr: which characters repr escapes depends on the Python's Unicode tables.
        return ascii(node)
    parts = []
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or value == [] or name in _SILENT:
            continue
        if name == "body" and isinstance(node, _SCOPES):
            said = value[int(ast.get_docstring(node, clean=False) is not None) :]
            # A release changes no result.
            value = [
                one for one in said if "__version__" not in map(ast.unparse, getattr(one, "targets", []))
            ]
        if isinstance(node, ast.JoinedStr):
            value = list(_joined(value))
        parts.append(f"{name}={_described(value)}")
    return f"{type(node).__name__}({''.join(parts)})"


def _joined(values: list[ast.expr]) -> Iterator[ast.expr]:
    """Merge neighbouring texts of an f-string, which Pythons before and after 3.12 cut differently."""
    text = ""
    for value in [*values, None]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            text += value.value
            continue
        if text:
            yield ast.Constant(text)
            text = ""
        if value is not None:
            yield value


def imports(tree: ast.AST, package: str = "") -> list[tuple[str, str]]:
    """Return what code imports, functions included: pairs of the bound name and the dotted name behind it.

    ``import a.b`` binds ``a`` and is listed under ``a.b`` as well: the dotted names are all that is loaded.
    What stands under ``if TYPE_CHECKING:`` does not run, and does not count.
    """
    found: list[tuple[str, str]] = []
    for node in _running(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name.partition(".")[0]
                found.append((alias.name, alias.name))
                found.append((alias.asname, alias.name) if alias.asname else (head, head))
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = [*parents[: len(parents) - node.level + 1]] if node.level else []
            base += [node.module] if node.module else []
            found.extend((alias.asname or alias.name, ".".join([*base, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func).endswith("import_module") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                found.append((name.value, name.value))
    return found


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without the branches that only type checkers see."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(tree, ast.If) and child in tree.body and dotted(tree.test).endswith("TYPE_CHECKING"):
            continue
        yield from _running(child)


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for a chain of attributes, or an empty string for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    base = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{base}.{node.attr}" if isinstance(node, ast.Attribute) and base else ""


def strings(tree: ast.AST) -> set[str]:
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}
