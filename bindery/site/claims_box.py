"""Directives of chapters: their claims in full or as a table, and the misprints that they have shown."""

import html

from docutils import nodes

from bindery.claims.entries import Entry
from bindery.claims.model import Erratum
from bindery.site import facts
from bindery.site.facts import verdict
from bindery.site.markup import BookDirective, Markup, link


class OfChapter(BookDirective):
    """A directive that names a chapter, and shows its claims."""

    required_arguments = 1

    def entries(self) -> tuple[Entry, ...]:
        stem = self.arguments[0]
        entries = self.ledger.chapter(stem)
        if not entries:
            known = ", ".join(dict.fromkeys(entry.record.chapter for entry in self.ledger.entries))
            raise self.error(f"{self.name} is for {stem!r}; it must name a chapter with claims: {known}.")
        return entries


class ClaimsBox(OfChapter):
    """Every claim of one chapter: what was said, what was measured, the verdicts, its row in the ledger."""

    def run(self) -> list[nodes.Node]:
        out = Markup(self).open("div", class_="claims-box")
        for entry in self.entries():
            self._claim(out, entry)
        return out.close("div").nodes

    def _claim(self, out: Markup, entry: Entry) -> None:
        claim = entry.record
        title = f"claim-{claim.id}-title"
        out.open("section", class_="claim", id=f"claim-{claim.id}", aria_labelledby=title)
        ledger = link(self.address(f"book/ledger.html#{claim.id}"), claim.id)
        out.html(f'<h3 id="{title}">{ledger} {verdict(entry.deciding.word)}</h3>')
        out.tag("p", claim.proposition, markup=True, class_="claim-text")
        out.open("dl", class_="claim-facts")
        out.html("<dt>source</dt><dd>").text(facts.sources(claim)).close("dd")
        out.html(f"<dt>verdicts</dt><dd>{', '.join(verdicts(entry))}</dd>").close("dl")
        if entry.quick is not None or entry.paper is not None:
            facts.write_values(out, entry)
        out.html("<details><summary>How it is tested</summary>")
        facts.write_facts(out, entry)
        out.html("</details></section>")


class ClaimsTable(OfChapter):
    """What was claimed and found in one chapter: a row for each proposition, with a link to its evidence."""

    def run(self) -> list[nodes.Node]:
        out = Markup(self).table("Claims and verdicts", ["what was claimed", "verdict", "evidence"])
        for entry in self.entries():
            claim, page = entry.record, facts.page_of(entry.record, self.env.found_docs)
            run = f" ({entry.deciding.profile})" if entry.deciding.profile else ""
            out.html('<tr><td class="prose">').text(claim.proposition).html("</td>")
            out.html(f"<td>{verdict(entry.deciding.word)}{run}</td><td>")
            out.html(f"{link(self.address(page or f'book/ledger.html#{claim.id}'), claim.id)}</td></tr>")
        return out.end_table().nodes


def verdicts(entry: Entry) -> list[str]:
    """Write every verdict on a claim as HTML: by profile, then how firmly the deciding one stands."""
    written = []
    for settled in (entry.quick, entry.paper):
        if settled is not None:
            decides = ", decides" if settled is entry.deciding else ""
            size = f", {html.escape(settled.measurement.units)}" if settled.measurement else ""
            stale = ", stale" if settled.profile == "paper" and entry.stale else ""
            written.append(f"{verdict(settled.word)} ({settled.profile}{decides}{size}{stale})")
    return [*(written or [verdict(entry.deciding.word)]), *facts.strength(entry)]


class Errata(BookDirective):
    """A section for each source, and in it one for each misprint whose counterexample was run."""

    def run(self) -> list[nodes.Node]:
        # A claim whose record is not sound is left out of the ledger; `make check` names it.
        run = {entry.record.id: entry for entry in self.ledger.entries if entry.quick or entry.paper}
        shown = [(erratum, run[erratum.claim]) for erratum in self.ledger.errata if erratum.claim in run]
        waiting = len(self.ledger.errata) - len(shown)
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
            section += [self._erratum(*one) for one in shown if one[0].source == source]
            result.append(section)
        return result

    def _erratum(self, erratum: Erratum, entry: Entry) -> nodes.section:
        section = nodes.section("", nodes.title("", erratum.locus), ids=[erratum.id], names=[erratum.id])
        out = Markup(self).open("dl", class_="claim-facts")
        for name, text in (("printed", erratum.printed), ("corrected", erratum.corrected)):
            out.tag("dt", name).tag("dd", text, markup=True)
        page = self.address(facts.page_of(entry.record, self.env.found_docs))
        chapter = link(page, f"chapter {facts.chapter_number(erratum.page)}")
        out.html(f"<dt>counterexample</dt><dd>{chapter}: ")
        settled = entry.quick or entry.paper
        if settled is not None and settled.measurement is not None:
            out.html("; ".join(facts.measured_text(settled.measurement)))
        out.html(f" ({verdict(entry.deciding.word)})</dd>")
        out.tag("dt", "what survives").tag("dd", erratum.survives, markup=True)
        ledger = self.address("book/ledger.html")
        rows = [link(f"{ledger}#{name}", name) for name in erratum.claims]
        if rows:
            out.html(f"<dt>in the ledger</dt><dd>{', '.join(rows)}</dd>")
        section += out.close("dl").nodes
        return section
