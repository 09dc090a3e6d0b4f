"""Where the book is: the folder that everything else is relative to."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BENCHMARKS", "BookError", "find_root", "require_root"]

# The folder of the benchmarks, and under results/ that of what they measured: of no chapter.
BENCHMARKS = "benchmarks"


class BookError(Exception):
    """Something that the person at the keyboard can mend: shown as one sentence, without a traceback."""


def find_root(start: Path | str | None = None) -> Path | None:
    """Return the book's root: the nearest folder upwards that holds ``_toc.yml`` and ``claims/``.

    Args:
        start: A folder inside the book, such as ``book/`` where pages are executed; by default the
            working directory.

    Returns:
        The root as an absolute path, or ``None`` where ``start`` is not inside a book.

    >>> find_root("/") is None
    True
    """
    here = Path(start) if start is not None else Path.cwd()
    here = here.resolve()
    for folder in (here, *here.parents):
        if (folder / "_toc.yml").is_file() and (folder / "claims").is_dir():
            return folder
    return None


def require_root(start: Path | str | None = None) -> Path:
    """Return the book's root, or say that there is none.

    Args:
        start: A folder inside the book; by default the working directory.

    Returns:
        The root as an absolute path.

    Raises:
        BookError: ``start`` is not inside a book.
    """
    root = find_root(start)
    if root is None:
        here = Path(start) if start is not None else Path.cwd()
        raise BookError(
            f"{here.resolve()} is not inside the book: no folder from there up holds _toc.yml and claims/"
        )
    return root
