"""Sphinx extension: ``{claims-box}``, a chapter's claims, and ``{ledger-summary}``, how many per verdict."""

from __future__ import annotations

__all__ = ["setup", "verdicts"]

import html
from typing import Any
from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx

from bindery.claims.entries import Entry
from bindery.claims.schema import CHAPTERS
from bindery.site.facts import sources, units, verdict, write_facts, write_values
from bindery.site.markup import BookDirective, Markup, element


class ClaimsBox(BookDirective):
    """Every claim of one chapter: what was said, what was measured, the verdicts, its row in the ledger."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        stem = self.arguments[0]
        entries = self.ledger.chapter(stem)
        if stem not in CHAPTERS or not entries:
            known = ", ".join(CHAPTERS)
            raise self.error(f"claims-box is for {stem!r}; it must name a chapter with claims: {known}.")
        out = Markup(self)
        out.open("div", class_="claims-box")
        for entry in entries:
            self._claim(out, entry)
        return out.close("div").result()

    def _claim(self, out: Markup, entry: Entry) -> None:
        claim = entry.record
        title = f"claim-{claim.id}-title"
        out.open("section", class_="claim", id=f"claim-{claim.id}", aria_labelledby=title)
        ledger = element("a", href=self.address(f"book/ledger.html#{claim.id}"))
        out.html(f'<h3 id="{title}">{ledger}{claim.id}</a> {verdict(entry.deciding.word)}</h3>')
        out.tag("p", claim.claim, markup=True, class_="claim-text")
        out.open("dl", class_="claim-facts")
        out.html("<dt>source</dt><dd>").text(sources(claim)).close("dd")
        out.html(f"<dt>verdicts</dt><dd>{', '.join(verdicts(entry))}</dd>").close("dl")
        if entry.quick is not None or entry.paper is not None:
            write_values(out, entry)
        out.html("<details><summary>How it is tested</summary>")
        write_facts(out, entry)
        out.html("</details></section>")


def verdicts(entry: Entry) -> list[str]:
    """Write every verdict that there is on a claim as HTML: by profile, and by tolerance where one decides.

    Args:
        entry: The claim with its verdicts.
    """
    deciding = entry.record.profile
    written = []
    for settled in (entry.quick, entry.paper):
        if settled is not None:
            decides = ", decides" if settled.profile == deciding else ""
            size = f", {html.escape(units(settled.measurement))}" if settled.measurement else ""
            stale = ", stale" if settled.profile == "paper" and entry.stale else ""
            written.append(f"{verdict(settled.word)} ({settled.profile}{decides}{size}{stale})")
    if not any(settled and settled.profile == deciding for settled in (entry.quick, entry.paper)):
        written.append(f"{verdict(entry.deciding.word)} ({deciding}, decides)")
    for name, word in (("half the tolerance", entry.half), ("double the tolerance", entry.double)):
        if word is not None:
            written.append(f"{verdict(word)} ({name})")
    return written


class LedgerSummary(BookDirective):
    """One number for each verdict, with a link to the ledger's rows that have it."""

    def run(self) -> list[nodes.Node]:
        counts = self.ledger.counts()
        items = [
            f"<li>{element('a', href=self.address(f'book/ledger.html?verdict={quote(word)}'))}"
            f'<span class="count">{count}</span>{verdict(word)}</a></li>'
            for word, count in counts.items()
            if count
        ]
        claims = f'<p class="verdict-total">{sum(counts.values())} claims, by verdict:</p>'
        return Markup(self).html(f'{claims}<ul class="verdict-counts">{"".join(items)}</ul>').result()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("claims-box", ClaimsBox)
    app.add_directive("ledger-summary", LedgerSummary)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
