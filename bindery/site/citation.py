"""Sphinx extension: ``{citation}``, how to cite the book, from CITATION.cff and nothing else."""

from __future__ import annotations

__all__ = ["bibtex", "plain", "setup"]

from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx

from bindery.site.markup import BookDirective


def _author(person: dict[str, str]) -> str:
    if "name" in person:
        return person["name"]
    return f"{person['family-names']}, {person['given-names']}"


def _year(data: dict[str, Any]) -> str | None:
    date = data.get("date-released")
    return None if date is None else str(date)[:4]


def _address(data: dict[str, Any]) -> str | None:
    return data.get("url") or data.get("repository-code")


def plain(data: dict[str, Any]) -> str:
    """Write the citation as one sentence.

    Args:
        data: The content of CITATION.cff.

    >>> plain({"title": "A Book", "authors": [{"name": "The contributors"}], "version": "1.0"})
    'The contributors. A Book. Version 1.0.'
    """
    authors = " and ".join(_author(person) for person in data["authors"])
    year = _year(data)
    parts = [f"{authors} ({year})" if year else authors, data["title"]]
    if "version" in data:
        parts.append(f"Version {data['version']}")
    parts += [part for part in (data.get("doi"), _address(data)) if part]
    return ". ".join(part.rstrip(".") for part in parts) + "."


def bibtex(data: dict[str, Any]) -> str:
    """Write the citation as a BibTeX entry.

    Args:
        data: The content of CITATION.cff.
    """
    # A name in double braces is one name, not a first and a family name.
    authors = [f"{{{_author(p)}}}" if "name" in p else _author(p) for p in data["authors"]]
    fields = {
        "author": " and ".join(authors),
        "title": f"{{{data['title']}}}",
        "year": _year(data),
        "version": data.get("version"),
        "doi": data.get("doi"),
        "url": _address(data),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value is not None]
    return "\n".join(["@software{gsl_book,", *lines, "}"])


class Citation(BookDirective):
    """The sentence and the BibTeX entry."""

    def run(self) -> list[nodes.Node]:
        path = self.root / "CITATION.cff"
        self.env.note_dependency(str(path))
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        code = bibtex(data)
        sentence = nodes.block_quote("", nodes.paragraph("", plain(data)))
        return [sentence, nodes.literal_block(code, code, language="bibtex")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("citation", Citation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
