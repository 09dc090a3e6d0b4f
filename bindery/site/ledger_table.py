"""Directives of the ledger: all claims in a table, how often each verdict fell, and what that is worth."""

from collections.abc import Sequence
from urllib.parse import quote

from docutils import nodes

from bindery.claims.entries import COUNTED, Entry, expected_misses
from bindery.claims.schema import THEOREM, VERDICTS
from bindery.site.facts import chapter_number, measured_text, page_of, sources, strength, verdict, write_facts
from bindery.site.markup import BookDirective, Markup, element, link

# Each column's name, and what the script of the page sorts it by: text, numbers, or not at all.
COLUMNS = {"Id": "text", "Proposition": None, "Chapter": "number", "Measured": None}
COLUMNS |= {"Quick": "number", "Paper": "number"}
NONE_STORED = "No results at the scale of the papers are stored yet."


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
        claims = link(self.address("claims.json"), "claims.json")
        return out.html(f"<p>The same for programs: {claims}.</p>").nodes

    def _row(self, out: Markup, entry: Entry) -> None:
        claim, shown = entry.record, entry.deciding.measurement
        chapter = chapter_number(claim.chapter)
        marks = {"data_verdict": entry.deciding.word, "data_chapter": str(chapter)}
        out.open("tr", id=claim.id, role="row", **marks, data_counted=entry.group)
        own = link(f"#{claim.id}", claim.id)
        out.html(f'<th scope="row" role="rowheader" data-key="{claim.id}">{own}</th>')
        out.html(f"{_cell('Proposition')}<p>").text(claim.proposition).html("</p>")
        out.html('<span class="aside">').text(sources(claim)).html("</span>")
        if claim.kind == THEOREM:
            out.tag("span", "theorem check: it tests the code", class_="aside")
        if claim.after_look:
            out.tag("span", "changed after a look", class_="aside look")
        out.html("<details><summary>How it is tested</summary>")
        write_facts(out, entry)
        out.html("</details></td>")
        page = page_of(claim, self.env.found_docs)
        number = link(self.address(page), str(chapter)) if page else str(chapter)
        out.html(f"{_cell('Chapter', chapter)}{number}</td>")
        out.html(_cell("Measured")).html("<br>".join(measured_text(shown)) if shown else "–")
        if shown is not None:
            out.tag("span", f"{shown.profile}, {shown.units}", class_="aside")
        out.close("td").html(verdict_cell(entry, "quick")).html(verdict_cell(entry, "paper")).close("tr")


def _cell(label: str, key: int | None = None) -> str:
    return element("td", role="cell", data_label=label, data_key=None if key is None else str(key))


def verdict_cell(entry: Entry, profile: str) -> str:
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


_NAMES = {"our own questions": "questions of our own", "theorem checks": "theorem checks, of the code"}


class LedgerSummary(BookDirective):
    """For each group of claims how many were run, and one number for each verdict, with links to the rows."""

    def run(self) -> list[nodes.Node]:
        out = Markup(self)
        for group, counts in self.ledger.groups().items():
            run = sum(counts[word] for word in COUNTED)
            name = _NAMES.get(group, f"claims of {group}")
            line = f"{sum(counts.values())} {name}; verdicts that stand: {run}"
            out.tag("p", line, class_="verdict-total")
            out.html('<ul class="verdict-counts">')
            for word, count in counts.items():
                if count:
                    rows = f"book/ledger.html?verdict={quote(word)}&counted={quote(group)}"
                    shown = f'<span class="count">{count}</span>{verdict(word)}'
                    out.html(f"<li>{link(self.address(rows), shown)}</li>")
            out.html("</ul>")
        return out.nodes


class LedgerFacts(BookDirective):
    """What a referee asks of all verdicts together: chance, looks, converging and depending ones."""

    def run(self) -> list[nodes.Node]:
        counted = [one.record for one in self.ledger.entries if one.deciding.word in COUNTED]
        wide, misses = expected_misses(self.ledger)
        looks = sum(record.after_look for record in counted)
        without = sum(record.control.reason is not None for record in counted)
        # What is judged again, or only measured, has the same word under every seed: it could not differ.
        words = [
            {one.quick.word, *one.seeds.values()}
            for one in self.ledger.entries
            if one.seeds and one.quick and one.quick.word in COUNTED
        ]
        said = [
            f"Intervals that decide: {wide}; at 99 % some {misses:.1f} of them miss by chance.",
            f"Verdicts that stand: {len(counted)}; with something that was changed after a look: {looks}; "
            f"without a control, for a reason that their record gives: {without}.",
        ]
        if words:
            moved = sum(len(one) > 1 for one in words)
            said.append(f"Quick verdicts tried with two other seeds: {len(words)}; others then: {moved}.")
        out = Markup(self).html("<ul>")
        for line in said:
            out.tag("li", line)
        return out.html("</ul>").nodes


class Agreement(BookDirective):
    """A row for each claim with stored results, and a sentence that counts them."""

    def run(self) -> list[nodes.Node]:
        stored = [entry for entry in self.ledger.entries if entry.paper]
        if not stored:
            return [nodes.paragraph("", NONE_STORED)]
        out = Markup(self)
        out.tag("p", agreement_summary(stored))
        out.table("Agreement of profiles", ["claim", "quick", "paper", "agree", "stored result stale"])
        for entry in stored:
            out.html(agreement_row(entry, self.address(f"book/ledger.html#{entry.record.id}")))
        return out.end_table().nodes


def agreement_summary(stored: Sequence[Entry]) -> str:
    both = [entry.agreement for entry in stored if entry.agreement is not None]
    return f"Both profiles measured {len(both)} of the claims; they agree on {sum(both)}."


def agreement_row(entry: Entry, address: str) -> str:
    quick, paper = ("–" if one is None else verdict(one.word) for one in (entry.quick, entry.paper))
    agree = "–" if entry.agreement is None else "yes" if entry.agreement else "no"
    stale = "yes, run it again" if entry.stale else "no"
    cells = "".join(f"<td>{cell}</td>" for cell in (quick, paper, agree, stale))
    return f'<tr><th scope="row">{link(address, entry.record.id)}</th>{cells}</tr>'
