"""Where the benchmarks keep what they measured: in ``results/benchmarks/``, like a chapter's results."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks.tables import Tables
from benchmarks.tasks import Scale
from benchmarks.timing import product_rate
from bindery.figures.encoding import encode_csv
from bindery.page import run_times
from bindery.page.dependencies import paper_dependencies
from bindery.page.sources import sha256
from bindery.root import BENCHMARKS
from bindery.runs import stored
from bindery.runs.paper import commit

__all__ = ["Provenance", "store"]

_PEERS = ("celer", "deepinv", "numba", "skglm", "spgl1", "torchvision")


class Provenance:
    """Where the numbers come from; made when the run begins.

    Args:
        root: The book's root.
        scale: How large everything is.
    """

    def __init__(self, root: Path, scale: Scale) -> None:
        self._begun, self._load = time.perf_counter(), _load()
        self._fields: dict[str, Any] = {
            **commit(root),
            "sources": paper_dependencies(root, BENCHMARKS),
            "parameters": asdict(scale),
            "versions": run_times.versions() | _installed(_PEERS),
            "machine": run_times.machine(),
            "device": "cpu",
            "threads": torch.get_num_threads(),
        }

    def end(self, lacking: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Return all of it, when the run is over.

        Args:
            lacking: Task to the methods that could not run here.
        """
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            **self._fields,
            "lacking": {task: list(names) for task, names in lacking.items() if names},
            "gigaflops": {
                str(dtype).removeprefix("torch."): round(product_rate(dtype) / 1e9, 1)
                for dtype in (torch.float32, torch.float64)
            },
            # Other processes on the same cores slow this one down, and its processor time with it.
            "load": {"begin": self._load, "end": _load()},
            "seconds": round(time.perf_counter() - self._begun, 1),
            "cpu_seconds": round(time.process_time(), 1),
            "peak_memory_mib": round(peak / (2**20 if sys.platform == "darwin" else 2**10)),
        }


def _load() -> float | None:
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def _installed(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def store(
    root: Path,
    tables: Tables,
    seeds: Sequence[int],
    provenance: Mapping[str, Any],
) -> Path:
    """Store tables, in place of those of the last run.

    Args:
        root: The book's root.
        tables: Name to title and columns.
        seeds: The seeds of the run.
        provenance: Where the numbers come from.

    Returns:
        The path of the manifest.
    """
    files = {f"{name}.csv": encode_csv(columns).encode() for name, (_, columns) in tables.items()}
    entries = [
        {
            "name": name,
            "profile": "paper",
            "seeds": list(seeds),
            "columns": list(columns),
            "caption": title,
            "alt": "",
            "files": {f"{name}.csv": sha256(files[f"{name}.csv"])},
        }
        for name, (title, columns) in tables.items()
    ]
    fields = {"claims": [], "published": {}, "figures": entries, "provenance": dict(provenance)}
    return stored.write(root, BENCHMARKS, fields, files)
