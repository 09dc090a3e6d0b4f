"""Mixed markup for directives: HTML of our own around text that may hold formulas and code."""

import html
import posixpath
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Self

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from bindery.claims.entries import Ledger
from bindery.claims.ledger import collect

_ledger = cache(collect)
# A record's "<" is a relation, never the start of a tag.
_FORMULA_CODE_OR_LESS = re.compile(r"(\$[^$]*\$|`[^`]*`)|<")


def element(tag: str, **attributes: str | None) -> str:
    """Write an opening tag; a name's last underscore is dropped, others become hyphens, None is left out.

    >>> element("a", class_="row", href="x.html?a=1&b=2", data_label="Claim", id=None)
    '<a class="row" href="x.html?a=1&amp;b=2" data-label="Claim">'
    """
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    written = (f' {name}="{html.escape(value)}"' for name, value in given.items() if value is not None)
    return f"<{tag}{''.join(written)}>"


def link(address: str, text: str) -> str:
    return f"{element('a', href=address)}{text}</a>"


def relative(page: str, target: str) -> str:
    """Write the address of ``target``, a file of the site, as seen from ``page`` (a name without ending).

    >>> relative("book/ledger", "claims.json"), relative("book/ledger", "book/01_a.html#x")
    ('../claims.json', '01_a.html#x')
    """
    return posixpath.relpath(target, posixpath.dirname(page))


class BookDirective(SphinxDirective):
    """A directive that knows where the book is."""

    @property
    def root(self) -> Path:
        return Path(self.env.srcdir)

    @property
    def ledger(self) -> Ledger:
        """The ledger, read once in a build."""
        return _ledger(self.root)

    def address(self, target: str) -> str:
        return relative(self.env.docname, target)

    def inline(self, text: str) -> list[nodes.Node]:
        """Parse one line of the page's own markup: formulas, code, emphasis, but no HTML."""
        escaped = _FORMULA_CODE_OR_LESS.sub(lambda match: match[1] or r"\<", text)
        parsed, messages = self.parse_inline(escaped, lineno=self.lineno)
        return [*parsed, *messages]


class Markup:
    """Collects HTML and parsed text into a list of nodes, in the order in which they come."""

    def __init__(self, directive: BookDirective) -> None:
        self._directive = directive
        self.nodes: list[nodes.Node] = []

    def open(self, tag: str, **attributes: str | None) -> Self:
        return self.html(element(tag, **attributes))

    def close(self, *tags: str) -> Self:
        return self.html("".join(f"</{tag}>" for tag in tags))

    def html(self, text: str) -> Self:
        self.nodes.append(nodes.raw("", text, format="html"))
        return self

    def text(self, text: str) -> Self:
        self.nodes.extend(self._directive.inline(text))
        return self

    def tag(self, tag: str, text: str, *, markup: bool = False, **attributes: str | None) -> Self:
        """Add an element that holds text, read as markup or as it stands."""
        self.open(tag, **attributes)
        self.nodes += self._directive.inline(text) if markup else [nodes.Text(text)]
        return self.close(tag)

    def table(self, label: str, heads: Sequence[str], numbers: Sequence[str] = ()) -> Self:
        self.open("div", class_="scroll-x", tabindex="0", role="region", aria_label=label)
        self.html('<table class="book-table"><thead><tr>')
        for head in (*heads, *numbers):
            self.tag("th", head, scope="col", class_="number" if head in numbers else None)
        return self.html("</tr></thead><tbody>")

    def end_table(self) -> Self:
        return self.html("</tbody></table></div>")
