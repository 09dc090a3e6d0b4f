"""The rendered book: Sphinx extensions, directives, and the commands ``render`` and ``serve``."""

from pathlib import Path

__all__ = ["OUTPUT"]

OUTPUT = Path("_build") / "html"
"""Where the site is, from the book's root."""
