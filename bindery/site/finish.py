"""What is done to the finished site: MathJax and the figures' files are added, its pages repaired."""

import html
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx

from bindery.site.render import FIGURES

# A folder with hyphens: it can be found as a package, but not imported.
MATHJAX = "sphinx-mathjax-offline"
# The program, its fonts, and the TeX extensions and accessibility module that it fetches when it needs them.
PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions", "a11y/assistive-mml.js")

# The theme sends every icon there is twice: as a font, which it uses, and as a script of half a megabyte.
_ICON_SCRIPT = re.compile(r'\s*<script[^>]*src="[^"]*/fontawesome\.js[^"]*"[^>]*></script>')
_SVG_IMAGE = re.compile(r'<img(?P<before>[^>]*)src="(?P<src>[^":]+\.svg)"(?P<after>[^>]*?)(?P<end>\s*/?>)')
# sphinx-proof and sphinx-exercise give one and the same id to all of their boxes without a label.
_SHARED_ID = re.compile(r'(<(?:div|section)[^>]*) id="(?:proof|(?:proof|exercise|solution)-content)"')
_VIEW_BOX = re.compile(r'<svg[^>]*\sviewBox="\s*\S+\s+\S+\s+(\S+)\s+(\S+)\s*"', re.DOTALL)
# A figure's unit is the point; a browser's is the pixel of 1/96 inch.
_PIXELS_PER_POINT = 96 / 72


def finish(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    site, figures = Path(app.outdir), Path(app.srcdir) / FIGURES
    copy_mathjax(site / "_static")
    if figures.is_dir():
        shutil.copytree(figures, site / "figures", dirs_exist_ok=True)
    title = app.config.html_title
    page = redirect_page(f"{app.config.root_doc}.html", title, f"{title}: the first page of the book.")
    (site / "index.html").write_text(page, encoding="utf-8")
    for path in site.rglob("*.html"):
        path.write_text(polish(path.read_text(encoding="utf-8"), path.parent), encoding="utf-8")


def copy_mathjax(static: Path) -> None:
    """Copy what the pages need of MathJax 3 into ``static/mathjax``: no page asks another host for it."""
    spec = find_spec(MATHJAX)
    if spec is None or spec.origin is None:
        must = f"the package {MATHJAX} must be installed (it is in the extra 'book')."
        raise RuntimeError(f"MathJax was not found: {must}")
    source = Path(spec.origin).parent / "static" / "mathjax"
    for part in PARTS:
        target = static / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / part, target)


def svg_size(path: Path) -> tuple[int, int] | None:
    found = _VIEW_BOX.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    if found is None:
        return None
    return round(float(found[1]) * _PIXELS_PER_POINT), round(float(found[2]) * _PIXELS_PER_POINT)


def polish(text: str, folder: Path) -> str:
    """Repair what the theme and Sphinx write on a page, which is in a folder.

    The icon script goes, and so do ids that several boxes share. Pictures get their size, so that the text
    below does not jump when they arrive. The entries of a bibliography get the role that their list asks for.
    """

    def with_size(match: re.Match[str]) -> str:
        known = None if "width=" in match[0] or "logo" in match[0] else svg_size(folder / match["src"])
        if known is None:
            return match[0]
        measured = f'src="{match["src"]}" width="{known[0]}" height="{known[1]}"'
        return f"<img{match['before']}{measured}{match['after']}{match['end']}"

    text = _SHARED_ID.sub(r"\1", _ICON_SCRIPT.sub("", text))
    return _SVG_IMAGE.sub(with_size, text.replace('role="doc-biblioentry"', 'role="listitem"'))


def redirect_page(first_page: str, title: str, description: str) -> str:
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
