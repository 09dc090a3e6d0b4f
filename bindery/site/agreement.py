"""Sphinx extension: ``{agreement}``, whether the quick and the paper profile say the same of each claim."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from bindery.runs.results import agreement
from bindery.site.facts import verdict
from bindery.site.markup import BookDirective, Markup, element

NONE_STORED = "No results at the scale of the papers are stored yet."


def summary(rows: Sequence[Mapping[str, str]]) -> str:
    """Say in a sentence how often the two profiles agree.

    >>> summary([{"agree": "yes"}, {"agree": "no"}, {"agree": "–"}])
    'Both profiles measured 2 of the claims; they agree on 1.'
    """
    both = [row for row in rows if row["agree"] != "–"]
    same = sum(row["agree"] == "yes" for row in both)
    return f"Both profiles measured {len(both)} of the claims; they agree on {same}."


def rows_html(rows: Sequence[Mapping[str, str]], address: Callable[[str], str]) -> str:
    """Write the rows of the table as HTML."""
    written = []
    for row in rows:
        link = f"{element('a', href=address(row['claim']))}{escape(row['claim'])}</a>"
        words = [row[name] if row[name] == "–" else verdict(row[name]) for name in ("quick", "paper")]
        stale = "yes, run it again" if row["stale"] == "yes" else "no"
        cells = "".join(f"<td>{cell}</td>" for cell in (*words, row["agree"], stale))
        written.append(f'<tr><th scope="row">{link}</th>{cells}</tr>')
    return "".join(written)


class Agreement(BookDirective):
    """A row for each claim with stored results, and a sentence that counts them."""

    def run(self) -> list[nodes.Node]:
        rows = agreement(self.ledger)
        if not rows:
            return [nodes.paragraph("", NONE_STORED)]
        out = Markup(self)
        out.tag("p", summary(rows))
        out.html('<div class="scroll-x" tabindex="0" role="region" aria-label="Agreement of profiles">')
        out.html('<table class="book-table"><thead><tr>')
        for head in ("claim", "quick", "paper", "agree", "stored result stale"):
            out.tag("th", head, scope="col")
        out.html("</tr></thead><tbody>")
        out.html(rows_html(rows, lambda claim: self.address(f"book/ledger.html#{claim}")))
        out.html("</tbody></table></div>")
        return out.result()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("agreement", Agreement)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
