"""Sphinx extension: ``{api-pages}``, the documentation of every public module from its docstrings."""

from __future__ import annotations

__all__ = ["documented_modules", "setup"]

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from bindery.site.markup import BookDirective

# Of the book's machinery, what a page calls: the rest is for those who work on the book.
FOR_PAGES = ("figures/plotting", "record", "claims/intervals", "runs/results", "runs/sweep")


# What the rooms share, and no reader calls.
NOT_FOR_READERS = ("common",)


def documented_modules(root: Path) -> list[str]:
    """List the modules of the science, then those of the book that a page calls; new ones join by themselves.

    Args:
        root: The book's root.

    Returns:
        Dotted names, in the order of the page.
    """
    science = [path for path in (root / "gsl_utils").glob("*.py") if not path.stem.startswith("_")]
    rooms = [path.parent for path in (root / "gsl_utils").glob("*/__init__.py")]
    stems = {path.stem for path in [*science, *rooms]} - set(NOT_FOR_READERS)
    names = [f"gsl_utils.{stem}" for stem in sorted(stems)]
    there = [name for name in FOR_PAGES if (root / "bindery" / f"{name}.py").is_file()]
    return names + [f"bindery.{name.replace('/', '.')}" for name in there]


class ApiPages(BookDirective):
    """One section for each documented module."""

    def run(self) -> list[nodes.Node]:
        modules = documented_modules(self.root)
        text = "\n\n".join(f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n```" for name in modules)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("api-pages", ApiPages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
