"""Sphinx extension: ``{errata}``, the misprints that an executed page has shown."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from bindery.claims.entries import Entry, Ledger
from bindery.claims.model import Erratum
from bindery.site.facts import chapter_number, measured_text, page_of, verdict
from bindery.site.markup import BookDirective, Markup, element


def shown_errata(ledger: Ledger) -> list[tuple[Erratum, Entry]]:
    """List the misprints whose counterexample was run, each with the claim that holds its value."""
    by_id = {entry.record.id: entry for entry in ledger.entries}
    # A claim whose record is not sound is left out of the ledger; `make check` names it.
    with_entry = [(erratum, by_id[erratum.claim]) for erratum in ledger.errata if erratum.claim in by_id]
    return [(erratum, entry) for erratum, entry in with_entry if entry.quick or entry.paper]


class Errata(BookDirective):
    """A section for each source, and in it one for each misprint."""

    def run(self) -> list[nodes.Node]:
        ledger = self.ledger
        shown = shown_errata(ledger)
        waiting = len(ledger.errata) - len(shown)
        said = []
        if not shown:
            said.append("No chapter with a counterexample has been run yet, so this page is still empty.")
        if waiting:
            noun = "misprint is" if waiting == 1 else "misprints are"
            said.append(f"{waiting} {noun} on record and will appear here with the chapter that shows it.")
        result: list[nodes.Node] = [nodes.paragraph("", " ".join(said))] if said else []
        for source in dict.fromkeys(erratum.source for erratum, _ in shown):
            name = nodes.make_id(source)
            section = nodes.section("", nodes.title("", source), ids=[name], names=[name])
            for erratum, entry in shown:
                if erratum.source == source:
                    section += self._erratum(erratum, entry)
            result.append(section)
        return result

    def _erratum(self, erratum: Erratum, entry: Entry) -> nodes.section:
        section = nodes.section("", nodes.title("", erratum.locus), ids=[erratum.id], names=[erratum.id])
        out = Markup(self).open("dl", class_="claim-facts")
        for name, text in (("printed", erratum.printed), ("corrected", erratum.corrected)):
            out.tag("dt", name).tag("dd", text, markup=True)
        page = element("a", href=self.address(page_of(entry.record, self.env.found_docs)))
        out.html(f"<dt>counterexample</dt><dd>{page}chapter {chapter_number(erratum.page)}</a>: ")
        settled = entry.quick or entry.paper
        if settled is not None and settled.measurement is not None:
            out.html("; ".join(measured_text(settled.measurement)))
        out.html(f" ({verdict(entry.deciding.word)})</dd>")
        out.tag("dt", "what survives").tag("dd", erratum.survives, markup=True)
        ledger = self.address("book/ledger.html")
        rows = [f"{element('a', href=f'{ledger}#{name}')}{name}</a>" for name in erratum.claims]
        if rows:
            out.html(f"<dt>in the ledger</dt><dd>{', '.join(rows)}</dd>")
        section += out.close("dl").result()
        return section


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("errata", Errata)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
