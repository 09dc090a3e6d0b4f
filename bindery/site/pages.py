"""What becomes of each page in a build: how it is read, numbered, linked, described."""

import html
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from bindery.figures.encoding import BUNDLE_MIME
from bindery.root import EVIDENCE
from bindery.site.facts import chapter_number
from bindery.site.markup import element, relative
from bindery.site.render import FIGURES
from bindery.site.repository import buttons, find_address

_CHAPTER = re.compile(r"book/(\d\d_\w+)")
LOGGER = logging.getLogger(__name__)
_address = cache(find_address)

# What the pages carry for programs: records of claims and bundles of figures.
OWN_TYPES = "application/vnd.gsl."
# The ending of each file of a bundle, and what the link to it says.
FILES = {"svg": "Picture (SVG)", "csv": "numbers (CSV)", "npz": "arrays (NPZ)", "json": "description (JSON)"}
# Pages that Sphinx makes by itself, and that no front matter can describe.
MADE_BY_SPHINX = {"search": "Search the text of every page of the book."}
# The page with a script of its own, which sorts and filters its table.
SCRIPTS = {"book/ledger": "ledger.js"}

# The theme resolves "auto" when its own script arrives; until then a page has no colours, and two logos.
RESOLVE_THEME = """
(() => {
  const root = document.documentElement.dataset;
  if (root.theme === "light" || root.theme === "dark") return;
  root.theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
})();
"""


def prepare(page: str, notebook: str | None) -> str:
    """Drop what only programs read, which the renderer warns about, and add what the notebook says to it."""
    content = json.loads(page)
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for mime in [mime for mime in data if mime.startswith(OWN_TYPES)]:
                del data[mime]
    said = {} if notebook is None else json.loads(notebook)["metadata"]
    if "myst" in said:
        content["metadata"].setdefault("myst", said["myst"])
    return json.dumps(content, ensure_ascii=False)


def prepare_source(app: Sphinx, page: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(page))
    if path.suffix == ".ipynb":
        notebook = Path(app.srcdir) / "notebooks" / path.name
        source[0] = prepare(source[0], notebook.read_text(encoding="utf-8") if notebook.is_file() else None)


def links_html(page: str, folder: Path, name: str) -> str:
    there = [ending for ending in FILES if (folder / f"{name}.{ending}").is_file()]
    if "svg" not in there or "json" not in there:
        raise FileNotFoundError(f"{folder.name}: the bundle of the figure {name!r} was not extracted")
    address = relative(page, f"figures/{page.split('/')[-1]}/{name}")
    links = (f"{element('a', href=f'{address}.{end}', download='')}{FILES[end]}</a>" for end in there)
    return f'<p class="bundle-links"><span class="bundle-label">This figure:</span> {", ".join(links)}</p>'


def add_links(app: Sphinx, doctree: nodes.document) -> None:
    """Put links to its picture, its numbers and their description under each figure of an executed page."""
    page = app.env.docname
    source = Path(app.env.doc2path(page))
    if source.suffix != ".ipynb":
        return
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    for shown in list(doctree.findall(nodes.container)):
        if shown.get("nb_element") == "cell_code":
            for output in cells[shown["cell_index"]].get("outputs", []):
                if BUNDLE_MIME in output.get("data", {}):
                    name = json.loads("".join(output["data"][BUNDLE_MIME]))["name"]
                    links = links_html(page, Path(app.srcdir) / FIGURES / source.stem, name)
                    shown.append(nodes.raw("", links, format="html"))


def of_file(page: str, number: tuple[int, ...]) -> tuple[int, ...]:
    """Return a section's or figure's number with the number of the page's file in the first place."""
    chapter = _CHAPTER.fullmatch(page)
    return number if chapter is None or not number else (chapter_number(chapter[1]), *number[1:])


def renumber(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Number a chapter's sections, titles and figures like its file, after Sphinx has counted them.

    The ledger and the claims name chapters by number, which must not change when a page is added before one.
    """
    for page, sections in env.toc_secnumbers.items():
        for anchor, number in sections.items():
            sections[anchor] = of_file(page, number)
        for title in [*env.tocs[page].findall(nodes.reference), env.titles[page]]:
            if title.get("secnumber"):
                title["secnumber"] = list(of_file(page, tuple(title["secnumber"])))
    # Each part of the book counts its pages from 1, and pages of one count share Sphinx's counter.
    first = {
        (page, kind): min(number[-1] for number in figures.values())
        for page, kinds in env.toc_fignumbers.items()
        for kind, figures in kinds.items()
        if figures
    }
    for page, kinds in env.toc_fignumbers.items():
        # On a page without a number, figures and equations are counted through the whole book.
        for kind, figures in kinds.items() if any(env.toc_secnumbers.get(page, {}).values()) else ():
            # Evidence counts on where its lesson ended: no number stands twice in a chapter.
            begins = first.get((page.removesuffix(EVIDENCE), kind), first.get((page, kind), 1))
            for name, number in figures.items():
                figures[name] = of_file(page, (*number[:-1], number[-1] - begins + 1))
    return []


def describe(page: str, metatags: str) -> str:
    """Return the meta tags of a page with a description among them; a LookupError where it has none."""
    if 'name="description"' in metatags:
        return metatags
    text = MADE_BY_SPHINX[page]
    return f'{metatags}\n<meta name="description" content="{html.escape(text)}" />'


def complete(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give a page its description, its script, and the buttons that lead to its repository."""
    try:
        context["metatags"] = describe(page, context.get("metatags", ""))
    except LookupError:
        LOGGER.warning("%s has no description (myst: html_meta: description: in its front matter)", page)
    if page in SCRIPTS:
        app.add_js_file(SCRIPTS[page], defer="defer")
    if doctree is not None:
        suffix = context.get("page_source_suffix") or ""
        context["header_buttons"] += buttons(_address(Path(app.srcdir)), page, suffix)
