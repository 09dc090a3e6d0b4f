"""The whole run: every race and every curve, printed and stored."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.growth import measure, slopes
from benchmarks.gsl import descents, recoveries
from benchmarks.kept import Kept
from benchmarks.machinery import costs
from benchmarks.memory import peak_memory
from benchmarks.race import Task, lacking, race
from benchmarks.sparse_relu import forwards
from benchmarks.store import Provenance, store
from benchmarks.tables import Table, Tables, missed, runs, summary, text
from benchmarks.tasks import FULL, QUICK, Scale, curves, tasks
from bindery.figures import text_table
from bindery.root import require_root

__all__ = ["main"]

_HEAD = """\
Processor seconds of one thread: the median of {seeds} seeds and their range, with the ratio to the best
peer that reaches the goal, and to the floor (operations over the rate of matrix products).
Errors are the largest.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmarks.

    A whole run keeps each table as it comes; after it was cut off, the same command goes on.

    Args:
        words: The command line.

    Returns:
        0, or 1 where a method of the book's own missed its goal.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny problems, nothing stored without --into")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="these tables only, nothing stored")
    parser.add_argument(
        "--into", metavar="FOLDER", type=Path, help="store under FOLDER instead, tiny problems too"
    )
    args = parser.parse_args(words)
    scale = QUICK if args.quick else FULL
    races = {task.name: task for task in tasks(scale)}
    parts = _parts(races, scale)
    wanted = list(parts) if args.only is None else args.only
    strangers = sorted(set(wanted) - parts.keys())
    if strangers:
        parser.error(f"there is no table {', '.join(strangers)}; there are {', '.join(parts)}")
    root = require_root()
    whole = args.only is None and (args.into is not None or not args.quick)
    target = root if args.into is None else args.into.resolve()
    kept, provenance = (Kept(root, target, scale), Provenance(root, scale)) if whole else (None, None)
    print(_HEAD.format(seeds=len(scale.seeds)))
    every: Tables = {}
    for name in wanted:
        before = kept.get(name) if kept else None
        found = parts[name]() if before is None else before
        if kept:
            kept.put(name, found)
        every |= found
        print(_shown(name, found, races))
        print("(from a run that was cut off)\n" if before else "", flush=True)
    if kept and provenance:
        absent = {task.name: lacking(task) for task in races.values()}
        print(f"stored in {store(target, every, scale.seeds, provenance.end(absent)).parent}")
        kept.clear()
    complaints = [line for name in wanted if name in races for line in missed(races[name], every[name][1])]
    for line in complaints:
        print(f"MISSED: {line}")
    return int(bool(complaints))


def _parts(races: dict[str, Task], scale: Scale) -> dict[str, Callable[[], Tables]]:
    """Every part of a run by its name: what measures it."""
    parts: dict[str, Callable[[], Tables]] = {
        name: partial(_race, task, scale) for name, task in races.items()
    }
    return parts | {
        "memory": partial(_memory, scale),
        "growth": partial(_growth, scale),
        "gsl": partial(_recoveries, scale),
        "gsl-descent": partial(_descents, scale),
        "sparse-relu": partial(_forwards, scale),
        "machinery": partial(_machinery, scale),
    }


def _race(task: Task, scale: Scale) -> Tables:
    rows = race(task, scale.seeds)
    return {
        task.name: (task.title, summary(rows)),
        f"{task.name}-runs": (f"{task.title}: every run", runs(rows)),
    }


def _memory(scale: Scale) -> Tables:
    size = asdict(scale.generative) | {"steps": 5}
    return {"memory": ("Largest memory of a CSGM run, MiB", _columns(peak_memory(size)))}


def _growth(scale: Scale) -> Tables:
    measured = measure(curves(scale), scale.growth_seeds)
    title = "Growth: exponent of the time in the size, with its 99 % interval over seeds"
    return {
        "growth-slopes": (title, _columns(slopes(measured))),
        "growth": ("Processor seconds by size", _columns(measured)),
    }


def _recoveries(scale: Scale) -> Tables:
    title = "Sparse latent vectors: SRNR in dB and processor seconds"
    return {"gsl": (title, _columns(recoveries(scale.sparse, scale.seeds)))}


def _descents(scale: Scale) -> Tables:
    title = "Adam through a RealNVP, processor seconds"
    return {"gsl-descent": (title, _columns(descents(scale.sparse, scale.seeds)))}


def _forwards(scale: Scale) -> Tables:
    title = "The sparse ReLU network beside writing its output, processor seconds"
    return {"sparse-relu": (title, _columns(forwards(scale.wide, scale.seeds)))}


def _machinery(scale: Scale) -> Tables:
    return {"machinery": ("Before anything is done, processor seconds", _columns(costs(len(scale.seeds))))}


def _columns(records: Sequence[Any]) -> Table:
    rows = [asdict(record) for record in records]
    return {name: [row[name] for row in rows] for name in rows[0]}


_ROUNDED = ("slope", "low", "high")


def _shown(name: str, found: Tables, races: dict[str, Task]) -> str:
    """The first table of a part as text, and who was not raced."""
    title, table = next(iter(found.values()))
    if name in races:
        absent = [f"not raced: {method}" for method in lacking(races[name])]
        return "\n".join([text(races[name], table), *absent])
    formats = {heading: ".4g" for heading, column in table.items() if isinstance(column[0], float)}
    formats |= dict.fromkeys((heading for heading in table if heading in _ROUNDED), ".2f")
    return f"{title}\n{text_table(table, formats)}"
