"""Sphinx extension: what every page has (a description, its buttons), and the site's own first address."""

from __future__ import annotations

__all__ = ["describe", "redirect_page", "repository_buttons", "setup"]

import html
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from bindery.site.repository import binder_url, find_address

LOGGER = logging.getLogger(__name__)

# Pages that Sphinx makes by itself, and that no front matter can describe.
MADE_BY_SPHINX = {"search": "Search the text of every page of the book."}

# The theme resolves "auto" when its own script arrives; until then a page has no colours, and two logos.
RESOLVE_THEME = """
(() => {
  const root = document.documentElement.dataset;
  if (root.theme === "light" || root.theme === "dark") return;
  root.theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
})();
"""


def repository_buttons(address: str | None, page: str, suffix: str) -> list[dict[str, str]]:
    """Make the buttons that lead from a page to its repository: none without an address.

    Args:
        address: The repository, or None.
        page: The page's name, such as ``book/01_classical_cs``.
        suffix: The ending of its source, ``.ipynb`` or ``.md``; only a notebook can be launched.
    """
    if address is None:
        return []
    buttons = []
    if suffix == ".ipynb":
        buttons.append(
            {
                "type": "link",
                "url": binder_url(address, page + suffix),
                "tooltip": "Run this page in Binder",
                "icon": "fas fa-rocket",
                "label": "launch-binder",
            }
        )
    buttons.append(
        {
            "type": "link",
            "url": address,
            "tooltip": "Source repository",
            "icon": "fas fa-code-branch",
            "label": "source-repository",
        }
    )
    return buttons


def describe(page: str, metatags: str) -> str:
    """Return the meta tags of a page with a description among them.

    Args:
        page: The page's name.
        metatags: Its meta tags, as HTML.

    Raises:
        LookupError: The page has no description, and is not one that Sphinx makes by itself.
    """
    if 'name="description"' in metatags:
        return metatags
    text = MADE_BY_SPHINX[page]
    return f'{metatags}\n<meta name="description" content="{html.escape(text)}" />'


def redirect_page(first_page: str, title: str, description: str) -> str:
    """Write the page that leads from the site's address to the book's first page."""
    target, title, description = (html.escape(text) for text in (first_page, title, description))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="0; url={target}">
<meta name="description" content="{description}">
<link rel="canonical" href="{target}">
<link rel="icon" href="_static/favicon.svg">
<title>{title}</title>
</head>
<body><h1>{title}</h1><p><a href="{target}">Open the book</a></p></body>
</html>
"""


def _find_repository(app: Sphinx) -> None:
    app.book_repository = find_address(Path(app.srcdir))  # type: ignore[attr-defined]


def _complete_page(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    try:
        context["metatags"] = describe(page, context.get("metatags", ""))
    except LookupError:
        LOGGER.warning("%s has no description (myst: html_meta: description: in its front matter)", page)
    if doctree is not None:
        suffix = context.get("page_source_suffix") or ""
        address: str | None = app.book_repository  # type: ignore[attr-defined]
        context["header_buttons"] += repository_buttons(address, page, suffix)


def _write_first_page(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    root: str = app.config.root_doc
    target = Path(app.outdir) / "index.html"
    if root != "index":
        title = app.config.html_title
        page = redirect_page(f"{root}.html", title, f"{title}: the first page of the book.")
        target.write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    # Jupyter Book sets it for sphinx_comments, which this book leaves out; unknown values would be warnings.
    app.add_config_value("comments_config", {}, "html", types=[dict])
    app.add_js_file(None, body=RESOLVE_THEME.strip(), priority=10)
    app.connect("builder-inited", _find_repository)
    # After the theme has made its list of buttons.
    app.connect("html-page-context", _complete_page, priority=600)
    app.connect("build-finished", _write_first_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
