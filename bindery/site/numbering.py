"""A chapter has the number of its file, whichever other chapters are there yet.

Sphinx counts the pages of a table of contents. The ledger and the claims name chapters by number, and the
number of a chapter must not change when a page is added before it.
"""

from __future__ import annotations

__all__ = ["of_file", "renumber"]

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from bindery.site.facts import chapter_number

_CHAPTER = re.compile(r"book/(\d\d_\w+)")


def of_file(page: str, number: tuple[int, ...]) -> tuple[int, ...]:
    """Return a section's or figure's number with the chapter's own number in the first place.

    >>> of_file("book/06_gsl_reconstruction", (2, 3)), of_file("book/06_gsl_reconstruction", ())
    ((6, 3), ())
    """
    chapter = _CHAPTER.fullmatch(page)
    return number if chapter is None or not number else (chapter_number(chapter[1]), *number[1:])


def renumber(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Renumber sections, titles and figures, after Sphinx has counted them."""
    for page, sections in env.toc_secnumbers.items():
        for anchor, number in sections.items():
            sections[anchor] = of_file(page, number)
        titles = [*env.tocs[page].findall(nodes.reference), env.titles[page]]
        for title in titles:
            if title.get("secnumber"):
                title["secnumber"] = list(of_file(page, tuple(title["secnumber"])))
    for page, kinds in env.toc_fignumbers.items():
        # On a page without a number, figures and equations are counted through the whole book.
        numbered = kinds.values() if any(env.toc_secnumbers.get(page, {}).values()) else ()
        for figures in numbered:
            # Each part of the book counts its pages from 1, and pages of one count share Sphinx's counter.
            first = min(number[-1] for number in figures.values())
            for name, number in figures.items():
                figures[name] = of_file(page, (*number[:-1], number[-1] - first + 1))
    return []
