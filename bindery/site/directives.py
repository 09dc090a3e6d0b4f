"""Directives of the pages about the book: ``{api-pages}``, ``{citation}`` and ``{run-times}``."""

import html
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes

from bindery.page.run_times import read
from bindery.root import PACKAGE
from bindery.site.markup import BookDirective, Markup, link

# Of the machinery, what a page's author calls: the rest is for those who work on the book.
FOR_PAGES = ("author", "claims.intervals", "figures")
# What the rooms of the science share, and no reader calls.
NOT_FOR_READERS = ("common",)


def documented_modules(root: Path) -> list[str]:
    """List the modules of the science, then those that an author calls; new ones join by themselves."""
    science = [path for path in (root / PACKAGE).glob("*.py") if not path.stem.startswith("_")]
    rooms = [path.parent for path in (root / PACKAGE).glob("*/__init__.py")]
    stems = {path.stem for path in [*science, *rooms]} - set(NOT_FOR_READERS)
    bindery = root / "bindery"
    files = {name: bindery.joinpath(*name.split(".")) for name in FOR_PAGES}
    there = [name for name, path in files.items() if path.is_dir() or path.with_suffix(".py").is_file()]
    return [*(f"{PACKAGE}.{stem}" for stem in sorted(stems)), *(f"bindery.{name}" for name in there)]


class ApiPages(BookDirective):
    """One section for each documented module, from its docstrings."""

    def run(self) -> list[nodes.Node]:
        modules = documented_modules(self.root)
        text = "\n\n".join(f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n```" for name in modules)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _author(person: dict[str, str]) -> str:
    return person.get("name") or f"{person['family-names']}, {person['given-names']}"


def _year_and_address(data: dict[str, Any]) -> tuple[str, str | None]:
    return str(data.get("date-released", ""))[:4], data.get("url") or data.get("repository-code")


def plain(data: dict[str, Any]) -> str:
    authors = " and ".join(_author(person) for person in data["authors"])
    year, address = _year_and_address(data)
    parts = [f"{authors} ({year})" if year else authors, data["title"]]
    parts += [f"Version {data['version']}" if "version" in data else None, data.get("doi"), address]
    return ". ".join(part.rstrip(".") for part in parts if part) + "."


def bibtex(data: dict[str, Any]) -> str:
    # A name in double braces is one name, not a first and a family name.
    authors = [f"{{{_author(p)}}}" if "name" in p else _author(p) for p in data["authors"]]
    year, address = _year_and_address(data)
    fields: dict[str, str | None] = {"author": " and ".join(authors), "title": f"{{{data['title']}}}"}
    fields |= {"year": year, "version": data.get("version"), "doi": data.get("doi"), "url": address}
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join(["@software{gsl_book,", *lines, "}"])


class Citation(BookDirective):
    """How to cite the book: the sentence and the BibTeX entry, from CITATION.cff and nothing else."""

    def run(self) -> list[nodes.Node]:
        path = self.root / "CITATION.cff"
        self.env.note_dependency(str(path))
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        code = bibtex(data)
        sentence = nodes.block_quote("", nodes.paragraph("", plain(data)))
        return [sentence, nodes.literal_block(code, code, language="bibtex")]


def amount(value: float | None, unit: str) -> str:
    """Write an amount as a reader wants it: one decimal when it is small, none when it is large.

    >>> amount(3.217, "s"), amount(41.8, ""), amount(None, "MiB")
    ('3.2 s', '42', 'unknown')
    """
    return "unknown" if value is None else f"{value:.{int(value < 10)}f} {unit}".rstrip()


class RunTimes(BookDirective):
    """A row for each executed page, then each machine and set of versions that they were executed with."""

    def run(self) -> list[nodes.Node]:
        runs = read(self.root)
        if not runs:
            return [nodes.paragraph("", "No page has been executed yet.")]
        heads = ["wall time", "processor time", "units", "largest memory"]
        out = Markup(self).table("Run times", ["page"], heads)
        settings: dict[str, list[str]] = {}
        for stem, run in runs.items():
            shown = f"book/{stem}" in self.env.found_docs
            name = link(self.address(f"book/{stem}.html"), stem) if shown else stem
            amounts = [amount(run.seconds, "s"), amount(run.cpu_seconds, "s"), amount(run.units, "")]
            amounts.append(amount(run.peak_memory_mib, "MiB"))
            numbers = "".join(f'<td class="number">{one}</td>' for one in amounts)
            out.html(f'<tr><th scope="row">{name}</th>{numbers}</tr>')
            versions = ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))
            settings.setdefault(f"{run.machine}; {versions}", []).append(stem)
        out.end_table()
        for setting, stems in settings.items():
            which = "All pages" if len(settings) == 1 else ", ".join(stems)
            out.html(f"<p>{html.escape(f'{which}: {setting}')}.</p>")
        return out.nodes
