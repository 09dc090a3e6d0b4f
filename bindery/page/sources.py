"""The book's code, notebooks and claims, read from their files; nothing of the book is imported."""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path

from bindery.page import notebooks
from bindery.page.syntax import code_digest, imports, parsed, strings
from bindery.root import PACKAGE, BookError

# The module with the published sums of the data sets, and the name that they have there.
DATA, _SUMS = f"{PACKAGE}.datasets", "_SHA256"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Sources:
    """What one command reads of a book: each file once, however many pages need it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notebook = cache(lambda stem: notebooks.read(notebooks.notebook_path(root, stem)))
        self.tree = cache(self._tree)
        # Of a module: its code without comments and docstrings, and its string literals.
        self.digest = cache(lambda module: code_digest([self.tree(module)]))
        self.words = cache(lambda module: strings(self.tree(module)))
        self.handed_on = cache(self._handed_on)

    def _tree(self, module: str) -> ast.Module:
        file = self.path(module)
        if file is None:
            raise BookError(f"there is no module {module}")
        return parsed(file.read_bytes(), str(file.relative_to(self.root)))

    def path(self, module: str) -> Path | None:
        stem = self.root.joinpath(*module.split("."))
        files = (stem / "__init__.py", stem.with_suffix(".py"))
        return next((file for file in files if file.is_file()), None)

    def closure(self, trees: Iterable[ast.AST], package: str = PACKAGE) -> list[str]:
        """Return the modules of a package that some code loads, directly or through others, sorted."""
        waiting = [name for tree in trees for name in self._loaded(tree, "", package)]
        seen: set[str] = set()
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                is_package = self.root.joinpath(*module.split(".")).is_dir()
                here = module if is_package else module.rpartition(".")[0]
                waiting.extend(self._loaded(self.tree(module), here, package))
        return sorted(seen)

    def _loaded(self, tree: ast.AST, here: str, package: str) -> Iterator[str]:
        """Yield the modules that a tree's imports reach."""
        for _, name in imports(tree, here):
            if name.partition(".")[0] == package:
                yield from self._behind(name)

    def _behind(self, name: str) -> Iterator[str]:
        """Yield the modules behind a dotted name: those on the way that do something, and the last."""
        # A room that only hands names on is looked through to the module of the one that is asked for: a
        # further generator must not make every page with a generator stale.
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            module, rest = ".".join(parts[:end]), parts[end : end + 1]
            if not self.path(module):
                return
            handed = self.handed_on(module)
            if rest and handed and self.path(f"{module}.{rest[0]}"):
                continue
            if rest and rest[0] in handed:
                yield from self._behind(handed[rest[0]])
                return
            yield module

    def _handed_on(self, module: str) -> dict[str, str]:
        """What an ``__init__`` that does nothing else hands on: names, with the dotted names behind them."""
        tree, silent = self.tree(module), (ast.Import, ast.ImportFrom, ast.Expr)
        quiet = all(isinstance(one, silent) or ast.unparse(one).startswith("__all__ =") for one in tree.body)
        is_room = self.root.joinpath(*module.split(".")).is_dir()
        return dict(imports(tree, module)) if quiet and is_room else {}

    @cached_property
    def registered(self) -> dict[str, str]:
        """The data sets with published sums, each with what the science's ``datasets.digest`` gives."""
        body = self.tree(DATA).body if self.path(DATA) else []
        for node in body:
            if isinstance(node, ast.Assign) and any(ast.unparse(name) == _SUMS for name in node.targets):
                sums = ast.literal_eval(node.value)
                lines = {name: [f"{file} {sums[name][file]}" for file in sorted(sums[name])] for name in sums}
                return {name: sha256("\n".join(lines[name]).encode()) for name in sums}
        return {}

    @cached_property
    def shipped(self) -> dict[str, Path]:
        """What ships inside the package and is not code, such as weights, by its path in the package."""
        folder = self.root / PACKAGE
        files = (file for file in folder.rglob("*") if file.suffix not in (".py", ".pyc", ".typed"))
        return {file.relative_to(folder).as_posix(): file for file in sorted(files) if file.is_file()}

    def claims(self, stem: str) -> dict[str, str]:
        """Return a chapter's claims, each with a digest of the fields that decide its verdict."""
        # Here, because only those who ask for claims should wait for the YAML and JSON-schema libraries.
        from bindery.claims.records import deciding_fields

        fields = deciding_fields(self.root, stem)
        return {claim: sha256(json.dumps(value, sort_keys=True).encode()) for claim, value in fields.items()}
