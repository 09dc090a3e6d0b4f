"""Sphinx extension: ``{ledger}``, every claim in one table, which a small script can sort and filter."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from bindery.claims.entries import Entry
from bindery.claims.schema import THEOREM, VERDICTS
from bindery.site.facts import (
    chapter_number,
    measured_text,
    page_of,
    sources,
    strength,
    units,
    verdict,
    write_facts,
)
from bindery.site.markup import BookDirective, Markup, element

# Each column's name, and what the script sorts it by: text, numbers, or not at all.
COLUMNS = {
    "Id": "text",
    "Proposition": None,
    "Chapter": "number",
    "Measured": None,
    "Quick": "number",
    "Paper": "number",
}


class LedgerTable(BookDirective):
    """The table. It is complete and readable without the script, in the order of the chapters."""

    def run(self) -> list[nodes.Node]:
        out = Markup(self)
        # The roles are written out because on a narrow screen the style sheet turns rows into cards, and a
        # browser then forgets them.
        out.html('<table class="book-table ledger" role="table" aria-label="All claims">')
        out.html('<thead role="rowgroup"><tr role="row">')
        for name, sort in COLUMNS.items():
            out.tag("th", name, scope="col", role="columnheader", data_sort=sort)
        out.html('</tr></thead><tbody role="rowgroup">')
        for entry in self.ledger.entries:
            self._row(out, entry)
        out.html("</tbody></table>")
        claims = element("a", href=self.address("claims.json"))
        out.html(f"<p>The same for programs: {claims}claims.json</a>.</p>")
        return out.result()

    def _row(self, out: Markup, entry: Entry) -> None:
        claim = entry.record
        chapter = chapter_number(claim.chapter)
        marks = {
            "data_verdict": entry.deciding.word,
            "data_chapter": str(chapter),
            "data_counted": entry.group,
        }
        out.open("tr", id=claim.id, role="row", **marks)
        link = element("a", href=f"#{claim.id}")
        out.html(f'<th scope="row" role="rowheader" data-key="{claim.id}">{link}{claim.id}</a></th>')
        out.html(f"{_cell('Proposition')}<p>").text(claim.proposition).html("</p>")
        out.html('<span class="aside">').text(sources(claim)).html("</span>")
        if claim.kind == THEOREM:
            out.tag("span", "theorem check: it tests the code", class_="aside")
        if claim.after_look:
            out.tag("span", "changed after a look", class_="aside look")
        out.html("<details><summary>How it is tested</summary>")
        write_facts(out, entry)
        out.html("</details></td>")
        out.html(_cell("Chapter", chapter))
        page = page_of(claim, self.env.found_docs)
        if page:
            out.tag("a", str(chapter), href=self.address(page)).close("td")
        else:
            out.plain(str(chapter)).close("td")
        shown = entry.deciding.measurement
        out.html(_cell("Measured")).html("<br>".join(measured_text(shown)) if shown else "–")
        if shown is not None:
            out.tag("span", f"{shown.profile}, {units(shown)}", class_="aside")
        out.close("td")
        out.html(verdict_cell(entry, "quick")).html(verdict_cell(entry, "paper"))
        out.close("tr")


def _cell(label: str, key: int | None = None) -> str:
    return element("td", role="cell", data_label=label, data_key=None if key is None else str(key))


def verdict_cell(entry: Entry, profile: str) -> str:
    """Write the cell of one profile's verdict as HTML."""
    settled = entry.quick if profile == "quick" else entry.paper
    neither = entry.quick is None and entry.paper is None
    shown = entry.deciding if neither and profile == "quick" else settled
    # Verdicts sort in the order in which they are defined; a profile that was not run comes last.
    key = len(VERDICTS) if shown is None else VERDICTS.index(shown.word)
    asides = ["decides", *strength(entry)] if settled is not None and settled is entry.deciding else []
    if profile == "paper" and entry.stale:
        asides.append("stale")
    written = "".join(f'<span class="aside">{text}</span>' for text in asides)
    return f"{_cell(profile.capitalize(), key)}{'–' if shown is None else verdict(shown.word)}{written}</td>"


def _add_script(app: Sphinx, page: str, *_rest: object) -> None:
    if page == "book/ledger":
        app.add_js_file("ledger.js", defer="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("ledger", LedgerTable)
    app.connect("html-page-context", _add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
