"""Sphinx extension: small repairs of the HTML that the theme and Sphinx write, made in the finished pages."""

from __future__ import annotations

__all__ = ["polish", "setup", "svg_size"]

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

Size = tuple[int, int]

# The theme sends every icon there is twice: as a font, which it uses, and as a script of half a megabyte.
_ICON_SCRIPT = re.compile(r'\s*<script[^>]*src="[^"]*/fontawesome\.js[^"]*"[^>]*></script>')
_SVG_IMAGE = re.compile(r'<img(?P<before>[^>]*)src="(?P<src>[^":]+\.svg)"(?P<after>[^>]*?)(?P<end>\s*/?>)')
# sphinx-proof and sphinx-exercise give one and the same id to all of their boxes without a label.
_SHARED_ID = re.compile(r'(<(?:div|section)[^>]*) id="(?:proof|(?:proof|exercise|solution)-content)"')
_VIEW_BOX = re.compile(r'<svg[^>]*\sviewBox="\s*\S+\s+\S+\s+(\S+)\s+(\S+)\s*"', re.DOTALL)
# A figure's unit is the point; a browser's is the pixel of 1/96 inch.
_PIXELS_PER_POINT = 96 / 72


def svg_size(path: Path) -> Size | None:
    """Read the size of a picture in pixels from its SVG.

    Args:
        path: The file, drawn in points.

    Returns:
        Width and height, or None where the file says neither.
    """
    found = _VIEW_BOX.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    if found is None:
        return None
    return round(float(found[1]) * _PIXELS_PER_POINT), round(float(found[2]) * _PIXELS_PER_POINT)


def polish(text: str, size: Callable[[str], Size | None]) -> str:
    """Repair one page.

    The icon script goes, and so do ids that several boxes share. Pictures get their size, so that the text
    below does not jump when they arrive. The entries of a bibliography get the role that their list asks for.

    Args:
        text: The page.
        size: Gives the size of a picture by its address in the page, or None.
    """

    def with_size(match: re.Match[str]) -> str:
        known = None if "width=" in match[0] or "logo" in match[0] else size(match["src"])
        if known is None:
            return match[0]
        measured = f'src="{match["src"]}" width="{known[0]}" height="{known[1]}"'
        return f"<img{match['before']}{measured}{match['after']}{match['end']}"

    text = _ICON_SCRIPT.sub("", text)
    text = _SHARED_ID.sub(r"\1", text)
    text = text.replace('role="doc-biblioentry"', 'role="listitem"')
    return _SVG_IMAGE.sub(with_size, text)


def _size_beside(folder: Path, address: str) -> Size | None:
    return svg_size(folder / address)


def _when_finished(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        polished = polish(text, partial(_size_beside, page.parent))
        if polished != text:
            page.write_text(polished, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("build-finished", _when_finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
