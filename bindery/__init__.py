"""The machinery of the executable book: an author's ``Page``, and the commands of ``python -m bindery``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bindery.author import Page

__all__ = ["Page"]


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: the commands need none of what draws and computes.
    if name == "Page":
        from bindery.author import Page

        return Page
    raise AttributeError(f"module 'bindery' has no attribute {name!r}")
