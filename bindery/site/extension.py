"""The book's own Sphinx extension: the one place where what takes part in a build is registered."""

from typing import Any

from sphinx.application import Sphinx

from bindery.site import agreement, claims_box, directives, errata, finish, ledger_table, pages
from bindery.site.markup import Fragment, nothing

DIRECTIVES = {
    "agreement": agreement.Agreement,
    "api-pages": directives.ApiPages,
    "citation": directives.Citation,
    "claims-box": claims_box.ClaimsBox,
    "claims-table": claims_box.ClaimsTable,
    "errata": errata.Errata,
    "ledger": ledger_table.LedgerTable,
    "ledger-facts": claims_box.LedgerFacts,
    "ledger-summary": claims_box.LedgerSummary,
    "run-times": directives.RunTimes,
}
# Who listens to which event, and how late: Sphinx and its theme listen at 500.
LISTENERS = (
    ("source-read", pages.prepare_source, 500),
    ("doctree-read", pages.add_links, 500),
    ("env-get-updated", pages.renumber, 900),
    ("html-page-context", pages.complete, 600),
    ("build-finished", finish.finish, 500),
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything with Sphinx."""
    # Jupyter Book sets it for sphinx_comments, which this book leaves out; unknown values would be warnings.
    app.add_config_value("comments_config", {}, "html", types=[dict])
    app.add_js_file(None, body=pages.RESOLVE_THEME.strip(), priority=10)
    app.add_node(Fragment, html=(nothing, nothing))
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive)
    for event, listener, priority in LISTENERS:
        app.connect(event, listener, priority)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
