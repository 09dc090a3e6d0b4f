"""nbval's comparison of pages, a plugin of pytest: to the byte in the book's arithmetic, else to tolerance.

nbval executes each page once more and compares its outputs as text, pictures included, but never their
metadata, in which a bound value has its name: those names are compared here.
"""

import os
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from bindery.emit import CLAIM_MIME, text_of
from bindery.page.arithmetic import differing, sentence, wished
from bindery.page.compare import CLAIM_LINE, Output, differences
from bindery.page.kernels import environment

_PARTS: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Take the fingerprint once, and sharpen or widen nbval's comparison."""
    if not config.getoption("nbval", default=False):
        return
    # Started by the one process that hands out the tests, which has found it already.
    given = getattr(config, "workerinput", {}).get("elsewhere")
    # This process's environment is that of its kernels.
    here = environment(config.rootpath, arithmetic=wished(os.environ))
    config.stash[_PARTS] = differing(config.rootpath, here) if given is None else given
    if config.pluginmanager.hasplugin("xdist"):
        parts = config.stash[_PARTS]
        handing = SimpleNamespace(pytest_configure_node=lambda node: node.workerinput.update(elsewhere=parts))
        config.pluginmanager.register(handing, "handing the fingerprint on")
    _replace(bool(config.stash[_PARTS]))


def pytest_report_header(config: pytest.Config) -> str | None:
    return f"arithmetic: {sentence(config.stash[_PARTS])}" if _PARTS in config.stash else None


def _replace(elsewhere: bool) -> None:
    from nbval.plugin import IPyNbCell

    exact = IPyNbCell.compare_outputs

    def compare_outputs(cell: Any, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        mine, new = ([*compared(outputs)] for outputs in (ref, test))
        if elsewhere:
            found = differences(mine, new)
        else:
            old, now = ([(kind, name) for kind, _, name in outputs if name] for outputs in (mine, new))
            found = [] if old == now else [f"names of values: page {old}, execution {now}"]
            found += [] if exact(cell, test, ref, skip_compare) else ["the outputs have other bytes"]
        before = cell.comparison_traceback if not elsewhere else []
        cell.comparison_traceback = [*before, *found]
        return not found

    IPyNbCell.compare_outputs = compare_outputs


def compared(outputs: Sequence[Mapping[str, Any]]) -> list[Output]:
    """Return what a cell's outputs hold, flat: streams joined and first, then each output's data in order."""
    streams: dict[str, str] = {}
    data: list[Output] = []
    for output in outputs:
        if output["output_type"] == "stream":
            name = str(output["name"])
            streams[name] = streams.get(name, "") + "".join(output["text"])
        elif output["output_type"] == "error":
            data.append(("error", f"{output['ename']}: {output['evalue']}", ""))
        else:
            held = output["data"]
            line = CLAIM_LINE if CLAIM_MIME in held else ""
            name = str(output.get("metadata", {}).get("scrapbook", {}).get("name", line))
            data += [(kind, text_of(held[kind]), "" if kind == CLAIM_MIME else name) for kind in sorted(held)]
    return [*((name, streams[name], "") for name in sorted(streams)), *data]
