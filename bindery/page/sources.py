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
        """Yield the modules that a tree's imports load: each package on the way, too."""
        for _, name in imports(tree, here):
            parts = name.split(".")
            loaded = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
            yield from (module for module in loaded if parts[0] == package and self.path(module))

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
