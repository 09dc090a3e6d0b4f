"""Sphinx extension: MathJax from the site itself, so that no page asks another host for anything."""

from __future__ import annotations

__all__ = ["copy_mathjax", "find_mathjax", "setup"]

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

# A folder with hyphens: it can be found as a package, but not imported.
PACKAGE = "sphinx-mathjax-offline"

# The program, its fonts, and the TeX extensions and accessibility module that it fetches when it needs them.
PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions", "a11y/assistive-mml.js")


def find_mathjax() -> Path:
    """Find MathJax 3 in the installed package ``sphinx-mathjax-offline``.

    Raises:
        RuntimeError: The package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(
            f"MathJax was not found: the package {PACKAGE} must be installed (it is in the extra 'book')."
        )
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(static: Path) -> None:
    """Copy what the pages need of MathJax into ``static/mathjax``."""
    source = find_mathjax()
    for part in PARTS:
        target = static / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / part, target)


def _when_finished(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        copy_mathjax(Path(app.outdir) / "_static")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("build-finished", _when_finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
