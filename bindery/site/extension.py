"""The book's own Sphinx extension: the one place where what takes part in a build is registered."""

from typing import Any

from sphinx.application import Sphinx

from bindery.site import claims_box, directives, finish, ledger_table, pages

DIRECTIVES = {
    "agreement": ledger_table.Agreement,
    "api-pages": directives.ApiPages,
    "citation": directives.Citation,
    "claims-box": claims_box.ClaimsBox,
    "claims-table": claims_box.ClaimsTable,
    "errata": claims_box.Errata,
    "ledger": ledger_table.LedgerTable,
    "ledger-facts": ledger_table.LedgerFacts,
    "ledger-summary": ledger_table.LedgerSummary,
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
    # Jupyter Book sets it for sphinx_comments, which this book leaves out; unknown values would be warnings.
    app.add_config_value("comments_config", {}, "html", types=[dict])
    app.add_js_file(None, body=pages.RESOLVE_THEME.strip(), priority=10)
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive)
    for event, listener, priority in LISTENERS:
        app.connect(event, listener, priority)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
