"""The code of the package and what goes with it, read from its files and never imported."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from bindery.page.syntax import code_digest, imports, strings
from bindery.root import BookError

__all__ = ["PACKAGE", "Sources", "sha256"]

PACKAGE = "gsl_utils"


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes.

    Args:
        content: The bytes.

    Returns:
        64 hexadecimal digits.

    >>> sha256(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(content).hexdigest()


class Sources:
    """The code of ``gsl_utils`` and the claims, each file read at most once.

    Args:
        root: The book's root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._trees: dict[str, ast.Module] = {}
        self._digests: dict[str, str] = {}
        self._words: dict[str, set[str]] = {}

    def path(self, module: str) -> Path | None:
        """Return the file of a module.

        Args:
            module: A dotted name.

        Returns:
            Its file, or ``None`` where there is no such module.
        """
        stem = self.root.joinpath(*module.split("."))
        return next(
            (file for file in (stem / "__init__.py", stem.with_suffix(".py")) if file.is_file()), None
        )

    def tree(self, module: str) -> ast.Module:
        """Return the syntax tree of a module.

        Args:
            module: The dotted name of a module that exists.

        Returns:
            Its tree.

        Raises:
            BookError: The module is missing or is not Python.
        """
        if module not in self._trees:
            file = self.path(module)
            if file is None:
                raise BookError(f"there is no module {module}")
            try:
                self._trees[module] = ast.parse(file.read_bytes())
            except SyntaxError as error:
                raise BookError(f"{file.relative_to(self.root)}, line {error.lineno}: {error.msg}") from None
        return self._trees[module]

    def digest(self, module: str) -> str:
        """Return the digest of what a module's code says, without comments and docstrings.

        Args:
            module: The dotted name of a module that exists.

        Returns:
            64 hexadecimal digits.

        Raises:
            BookError: The module is missing or is not Python.
        """
        if module not in self._digests:
            self._digests[module] = code_digest([self.tree(module)])
        return self._digests[module]

    def words(self, module: str) -> set[str]:
        """Return the string literals of a module.

        Args:
            module: The dotted name of a module that exists.

        Returns:
            The strings.

        Raises:
            BookError: The module is missing or is not Python.
        """
        if module not in self._words:
            self._words[module] = strings(self.tree(module))
        return self._words[module]

    def closure(self, trees: Iterable[ast.AST]) -> list[str]:
        """Return the modules of the package that some code loads, directly or through others.

        Args:
            trees: The code, such as a notebook's cells.

        Returns:
            Dotted names, sorted.

        Raises:
            BookError: A module is not Python.
        """
        waiting = [name for tree in trees for name in self._loaded(tree, "")]
        seen: set[str] = set()
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting.extend(self._loaded(self.tree(module), self._package(module)))
        return sorted(seen)

    def _loaded(self, tree: ast.AST, package: str) -> Iterator[str]:
        """Yield the modules that a tree's imports load: each package on the way, too."""
        for _, dotted in imports(tree, package):
            parts = dotted.split(".")
            for end in range(1, len(parts) + 1):
                module = ".".join(parts[:end])
                if parts[0] == PACKAGE and self.path(module):
                    yield module

    def _package(self, module: str) -> str:
        file = self.path(module)
        return module if file is not None and file.name == "__init__.py" else module.rpartition(".")[0]

    @cached_property
    def registered(self) -> dict[str, str]:
        """The data sets with published sums, each with what ``gsl_utils.datasets.digest`` gives."""
        if self.path("gsl_utils.datasets") is None:
            return {}
        for node in self.tree("gsl_utils.datasets").body:
            if isinstance(node, ast.Assign) and any(ast.unparse(name) == "_SHA256" for name in node.targets):
                table = ast.literal_eval(node.value)
                return {
                    name: sha256(
                        "\n".join(f"{file} {known}" for file, known in sorted(files.items())).encode()
                    )
                    for name, files in table.items()
                }
        return {}

    @cached_property
    def shipped(self) -> dict[str, Path]:
        """What ships inside the package and is not code, such as weights, by its path in the package."""
        folder = self.root / PACKAGE
        files = (
            file
            for file in folder.rglob("*")
            if file.is_file() and file.suffix not in (".py", ".pyc", ".typed")
        )
        return {file.relative_to(folder).as_posix(): file for file in sorted(files)}

    def claims(self, stem: str) -> dict[str, str]:
        """Return a chapter's claims, each with a digest of the fields that decide its verdict.

        Args:
            stem: The chapter's name.

        Returns:
            Claim id to digest.
        """
        # Here, because only those who ask for claims should wait for the YAML and JSON-schema libraries.
        from bindery.claims.records import deciding_fields

        fields = deciding_fields(self.root, stem)
        return {claim: sha256(json.dumps(value, sort_keys=True).encode()) for claim, value in fields.items()}
