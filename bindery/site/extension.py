"""The book's own Sphinx extension: everything of ``bindery.site`` that takes part in a build."""

from __future__ import annotations

__all__ = ["setup"]

from typing import Any

from sphinx.application import Sphinx

PARTS = (
    "numbering",
    "offline",
    "theme",
    "markup",
    "agreement",
    "api",
    "bundle_links",
    "citation",
    "claims_box",
    "errata",
    "ledger_table",
    "page_source",
    "polish",
    "run_times",
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part with Sphinx."""
    for part in PARTS:
        app.setup_extension(f"bindery.site.{part}")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
