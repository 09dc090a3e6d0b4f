"""The whole run: every race and every curve, printed and stored."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.growth import measure, slopes
from benchmarks.memory import peak_memory
from benchmarks.race import Row, Task, lacking, race
from benchmarks.store import Provenance, store
from benchmarks.tables import Table, runs, summary, text
from benchmarks.tasks import FULL, QUICK, Scale, curves, tasks
from gsl_utils.book.root import require_root
from gsl_utils.book.text_table import text_table

__all__ = ["main"]

_HEAD = """\
Processor seconds of one thread: the median of {seeds} seeds and their range, with the ratio to the best
peer that reaches the goal, and to the floor (operations over the rate of matrix products).
Errors are the largest.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmarks.

    Args:
        words: The command line.

    Returns:
        0, or 1 where a method of the book's own missed its goal.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny problems, nothing stored")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="these tables only, nothing stored")
    args = parser.parse_args(words)
    scale = QUICK if args.quick else FULL
    chosen = {task.name: task for task in tasks(scale)}
    names = [*chosen, "memory", "growth"]
    wanted = names if args.only is None else args.only
    strangers = sorted(set(wanted) - set(names))
    if strangers:
        parser.error(f"there is no table {', '.join(strangers)}; there are {', '.join(names)}")
    root = require_root()
    kept = not args.quick and args.only is None
    provenance = Provenance(root, scale) if kept else None
    print(_HEAD.format(seeds=len(scale.seeds)))
    tables: dict[str, tuple[str, Table]] = {}
    missed: list[str] = []
    for name in wanted:
        if name in chosen:
            missed += _race(chosen[name], scale, tables)
    if "memory" in wanted:
        _memory(scale, tables)
    if "growth" in wanted:
        _growth(scale, tables)
    if provenance is not None:
        absent = {task.name: lacking(task) for task in chosen.values()}
        print(f"stored in {store(root, tables, scale.seeds, provenance.end(absent)).parent}")
    for line in missed:
        print(f"MISSED: {line}")
    return int(bool(missed))


def _race(task: Task, scale: Scale, tables: dict[str, tuple[str, Table]]) -> list[str]:
    """Run one race; return which of our own methods missed its goal."""
    rows = race(task, scale.seeds)
    tables[task.name] = task.title, summary(rows)
    tables[f"{task.name}-runs"] = f"{task.title}: every run", runs(rows)
    print(text(task, tables[task.name][1]))
    for absent in lacking(task):
        print(f"not raced: {absent}")
    print(flush=True)
    return [_complaint(task, row) for row in rows if row.method.ours and not row.reached]


def _complaint(task: Task, row: Row) -> str:
    errors = ", ".join(f"{name} {value:.1e}" for name, value in row.errors.items())
    return f"{task.name}, {row.method.name}, seed {row.seed}: {errors}"


def _memory(scale: Scale, tables: dict[str, tuple[str, Table]]) -> None:
    size = asdict(scale.generative) | {"steps": 5}
    _print(tables, "memory", "Largest memory of a CSGM run, MiB", _columns(peak_memory(size)), {})


def _growth(scale: Scale, tables: dict[str, tuple[str, Table]]) -> None:
    measured = measure(curves(scale), scale.growth_seeds)
    tables["growth"] = "Processor seconds by size", _columns(measured)
    formats = dict.fromkeys(("slope", "low", "high"), ".2f")
    title = "Growth: exponent of the time in the size, with its 99 % interval over seeds"
    _print(tables, "growth-slopes", title, _columns(slopes(measured)), formats)


def _columns(records: Sequence[Any]) -> Table:
    rows = [asdict(record) for record in records]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _print(
    tables: dict[str, tuple[str, Table]], name: str, title: str, table: Table, formats: dict[str, str]
) -> None:
    tables[name] = title, table
    print(f"{title}\n{text_table(table, formats)}\n", flush=True)
