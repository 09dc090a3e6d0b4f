"""Sphinx extension: ``{run-times}``, what the last execution of each chapter took, with what, and where."""

from __future__ import annotations

__all__ = ["amount", "setup"]

import html
from collections.abc import Mapping
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from bindery.page.run_times import RunTime, read
from bindery.site.markup import BookDirective, Markup, element


def amount(value: float | None, unit: str) -> str:
    """Write an amount as a reader wants it: one decimal when it is small, none when it is large.

    >>> amount(3.217, "s"), amount(41.8, ""), amount(None, "MiB")
    ('3.2 s', '42', 'unknown')
    """
    if value is None:
        return "unknown"
    return f"{value:.1f} {unit}".rstrip() if value < 10 else f"{value:.0f} {unit}".rstrip()


class RunTimes(BookDirective):
    """A row for each executed page, then each machine and set of versions that they were executed with."""

    def run(self) -> list[nodes.Node]:
        runs = read(self.root)
        if not runs:
            return [nodes.paragraph("", "No page has been executed yet.")]
        out = Markup(self)
        out.html('<div class="scroll-x" tabindex="0" role="region" aria-label="Run times">')
        out.html('<table class="book-table"><thead><tr>')
        out.tag("th", "page", scope="col")
        for head in ("wall time", "processor time", "units", "largest memory"):
            out.tag("th", head, scope="col", class_="number")
        out.html("</tr></thead><tbody>")
        for stem, run in runs.items():
            link = element("a", href=self.address(f"book/{stem}.html"))
            name = f"{link}{stem}</a>" if f"book/{stem}" in self.env.found_docs else stem
            amounts = (
                (run.seconds, "s"), (run.cpu_seconds, "s"), (run.units, ""), (run.peak_memory_mib, "MiB"),
            )  # fmt: skip
            numbers = "".join(f'<td class="number">{amount(*pair)}</td>' for pair in amounts)
            out.html(f'<tr><th scope="row">{name}</th>{numbers}</tr>')
        out.html("</tbody></table></div>")
        _write_machines(out, runs)
        return out.result()


def _write_machines(out: Markup, runs: Mapping[str, RunTime]) -> None:
    settings: dict[tuple[str, str], list[str]] = {}
    for stem, run in runs.items():
        versions = ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))
        settings.setdefault((run.machine, versions), []).append(stem)
    for (machine, versions), stems in settings.items():
        which = "All pages" if len(settings) == 1 else ", ".join(stems)
        out.html(f"<p>{html.escape(which)}: {html.escape(machine)}; {html.escape(versions)}.</p>")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("run-times", RunTimes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
