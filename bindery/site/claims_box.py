"""Sphinx directives: a chapter's claims in full or as a table, and what all verdicts amount to."""

import html
from typing import Any
from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx

from bindery.claims.entries import COUNTED, Entry, expected_misses
from bindery.site.facts import page_of, sources, strength, units, verdict, write_facts, write_values
from bindery.site.markup import BookDirective, Markup, element


class ClaimsBox(BookDirective):
    """Every claim of one chapter: what was said, what was measured, the verdicts, its row in the ledger."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        out = Markup(self).open("div", class_="claims-box")
        for entry in chapter_entries(self):
            self._claim(out, entry)
        return out.close("div").result()

    def _claim(self, out: Markup, entry: Entry) -> None:
        claim = entry.record
        title = f"claim-{claim.id}-title"
        out.open("section", class_="claim", id=f"claim-{claim.id}", aria_labelledby=title)
        ledger = element("a", href=self.address(f"book/ledger.html#{claim.id}"))
        out.html(f'<h3 id="{title}">{ledger}{claim.id}</a> {verdict(entry.deciding.word)}</h3>')
        out.tag("p", claim.proposition, markup=True, class_="claim-text")
        out.open("dl", class_="claim-facts")
        out.html("<dt>source</dt><dd>").text(sources(claim)).close("dd")
        out.html(f"<dt>verdicts</dt><dd>{', '.join(verdicts(entry))}</dd>").close("dl")
        if entry.quick is not None or entry.paper is not None:
            write_values(out, entry)
        out.html("<details><summary>How it is tested</summary>")
        write_facts(out, entry)
        out.html("</details></section>")


class ClaimsTable(BookDirective):
    """What was claimed and found in one chapter: a row for each proposition, with a link to its evidence."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        out = Markup(self)
        out.html('<div class="scroll-x" tabindex="0" role="region" aria-label="Claims and verdicts">')
        out.html('<table class="book-table"><thead><tr>')
        for head in ("what was claimed", "verdict", "evidence"):
            out.tag("th", head, scope="col")
        out.html("</tr></thead><tbody>")
        for entry in chapter_entries(self):
            claim, page = entry.record, page_of(entry.record, self.env.found_docs)
            run = f" ({entry.deciding.profile})" if entry.deciding.profile else ""
            out.html("<tr><td>").text(claim.proposition).html("</td>")
            out.html(f"<td>{verdict(entry.deciding.word)}{run}</td><td>")
            target = element("a", href=self.address(page or f"book/ledger.html#{claim.id}"))
            out.html(f"{target}{claim.id}</a></td></tr>")
        return out.html("</tbody></table></div>").result()


def chapter_entries(directive: BookDirective) -> tuple[Entry, ...]:
    """Return the claims of the chapter that a directive names, or refuse."""
    stem = directive.arguments[0]
    entries = directive.ledger.chapter(stem)
    if not entries:
        known = ", ".join(dict.fromkeys(entry.record.chapter for entry in directive.ledger.entries))
        raise directive.error(
            f"{directive.name} is for {stem!r}; it must name a chapter with claims: {known}."
        )
    return entries


def verdicts(entry: Entry) -> list[str]:
    """Write every verdict on a claim as HTML: by profile, then how firmly the deciding one stands."""
    written = []
    for settled in (entry.quick, entry.paper):
        if settled is not None:
            decides = ", decides" if settled is entry.deciding else ""
            size = f", {html.escape(units(settled.measurement))}" if settled.measurement else ""
            stale = ", stale" if settled.profile == "paper" and entry.stale else ""
            written.append(f"{verdict(settled.word)} ({settled.profile}{decides}{size}{stale})")
    return [*(written or [verdict(entry.deciding.word)]), *strength(entry)]


class LedgerSummary(BookDirective):
    """For each group of claims how many were run, and one number for each verdict, with links to the rows."""

    def run(self) -> list[nodes.Node]:
        out = Markup(self)
        for group, counts in self.ledger.groups().items():
            run = sum(counts[word] for word in COUNTED)
            of = (
                f"{sum(counts.values())} claims of {group}"
                if group != "theorem checks"
                else (f"{sum(counts.values())} theorem checks, which test the code")
            )
            out.html(f'<p class="verdict-total">{of}; {run} were run and stand:</p>')
            out.html('<ul class="verdict-counts">')
            for word, count in counts.items():
                if count:
                    link = element(
                        "a",
                        href=self.address(f"book/ledger.html?verdict={quote(word)}&counted={quote(group)}"),
                    )
                    out.html(f'<li>{link}<span class="count">{count}</span>{verdict(word)}</a></li>')
            out.html("</ul>")
        return out.result()


class LedgerFacts(BookDirective):
    """What a referee asks of all verdicts together: chance, looks, converging and depending ones."""

    def run(self) -> list[nodes.Node]:
        entries = self.ledger.entries
        wide, misses = expected_misses(self.ledger)
        looks = sum(entry.record.after_look for entry in entries if entry.deciding.word in COUNTED)
        seeded = [entry for entry in entries if entry.seeds and entry.quick is not None]
        moved = sum(len({entry.quick.word, *entry.seeds.values()}) > 1 for entry in seeded if entry.quick)
        without = sum(
            entry.record.control.reason is not None for entry in entries if entry.deciding.word in COUNTED
        )
        out = Markup(self).html("<ul>")
        out.tag(
            "li",
            f"{wide} intervals decide; at 99 % some {misses:.1f} of them can be expected to miss by chance.",
        )
        out.tag("li", f"{looks} of the verdicts that stand rest on something that was changed after a look.")
        out.tag("li", f"{without} of them have no control, with the reason in their record.")
        if seeded:
            out.tag("li", f"{moved} of {len(seeded)} quick verdicts are others under one of two other seeds.")
        return out.html("</ul>").result()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("claims-box", ClaimsBox)
    app.add_directive("claims-table", ClaimsTable)
    app.add_directive("ledger-summary", LedgerSummary)
    app.add_directive("ledger-facts", LedgerFacts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
