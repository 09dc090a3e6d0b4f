"""Figures and tables, and the numbers that go with them: what a page's author draws with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bindery.figures.plotting import COLORS, GROUND, band, figsize, label_lines, tidy, use_style

__all__ = ["COLORS", "GROUND", "band", "figsize", "label_lines", "text_table", "tidy", "use_style"]


def __getattr__(name: str) -> Any:
    """Import matplotlib only for those who draw."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("bindery.figures.plotting"), name)


def __dir__() -> list[str]:
    """List what is imported late, too, for those who document it."""
    return sorted({*globals(), *__all__})


def text_table(columns: Mapping[str, Sequence[Any]], formats: Mapping[str, str] | None = None) -> str:
    """Return columns of equal length as lines of text; text stands left, numbers right.

    A page prints rounded numbers: give each column of floats a format.

    Args:
        columns: Heading to entries.
        formats: Heading to a format, as in Python's ``format``; it is for numbers, and text passes it by.

    Returns:
        A line of headings and one for each row.

    Raises:
        ValueError: There is no column, or lengths differ, or a format is for no column.

    >>> print(text_table({"method": ["ours", "theirs"], "seconds": [0.123, 12.0]}, {"seconds": ".2f"}))
    method  seconds
    ours       0.12
    theirs    12.00
    """
    formats = formats or {}
    strangers = sorted(formats.keys() - columns.keys())
    if strangers:
        raise ValueError(f"formats has {strangers}; columns has {list(columns)} only")
    if not columns or len({len(entries) for entries in columns.values()}) != 1:
        lengths = {heading: len(entries) for heading, entries in columns.items()}
        raise ValueError(f"columns has the lengths {lengths}; there must be columns, all of one length")
    laid_out = [_column(name, entries, formats.get(name, "")) for name, entries in columns.items()]
    return "\n".join("  ".join(line).rstrip() for line in zip(*laid_out, strict=True))


def _column(heading: str, entries: Sequence[Any], form: str) -> list[str]:
    words = all(isinstance(entry, str) for entry in entries)
    texts = [heading, *(entry if isinstance(entry, str) else format(entry, form) for entry in entries)]
    width = max(map(len, texts))
    return [text.ljust(width) if words else text.rjust(width) for text in texts]
