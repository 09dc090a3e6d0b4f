"""Sphinx extension: ``{api-pages}``, the documentation of every public module from its docstrings."""

from __future__ import annotations

__all__ = ["documented_modules", "setup"]

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from gsl_utils.book.site.markup import BookDirective

# Of the book's machinery, what a page calls: the rest is for those who work on the book.
FOR_PAGES = ("plotting", "record", "intervals", "results", "sweep")


def documented_modules(package: Path) -> list[str]:
    """List the modules of the science, then those of the book that a page calls; new ones join by themselves.

    Args:
        package: The folder of ``gsl_utils``.

    Returns:
        Dotted names, in the order of the page.
    """
    science = [path for path in package.glob("*.py") if not path.stem.startswith("_")]
    packages = [path.parent for path in package.glob("*/__init__.py") if path.parent.name != "book"]
    names = sorted(f"{package.name}.{path.stem}" for path in [*science, *packages])
    called = [name for name in FOR_PAGES if (package / "book" / f"{name}.py").is_file()]
    return names + [f"{package.name}.book.{name}" for name in called]


class ApiPages(BookDirective):
    """One section for each documented module."""

    def run(self) -> list[nodes.Node]:
        modules = documented_modules(self.root / "gsl_utils")
        text = "\n\n".join(f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n```" for name in modules)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("api-pages", ApiPages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
