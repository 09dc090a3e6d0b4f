"""What the races measured as tables: all of it, a line for each method, and text."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.race import Row, Task
from bindery.figures import text_table

__all__ = ["Table", "Tables", "best_peer", "missed", "runs", "summary", "text"]

# Heading to entries; and name to title and table.
Table = dict[str, list[Any]]
Tables = dict[str, tuple[str, Table]]


def runs(rows: Sequence[Row]) -> Table:
    """Return every run of one race, tidy: one row for each seed and method.

    Args:
        rows: What ``race`` returned.
    """
    table: Table = {
        "seed": [row.seed for row in rows],
        "method": [row.method.name for row in rows],
        "seconds": [row.seconds for row in rows],
        "floor": [row.floor for row in rows],
        "solved": [row.solved for row in rows],
        "reached": [row.reached for row in rows],
    }
    return table | {name: [row.errors[name] for row in rows] for name in rows[0].errors}


def best_peer(rows: Sequence[Row]) -> str:
    """Return the peer with the least median time, among those that reach the goal where any does.

    Args:
        rows: What ``race`` returned, with at least one peer's.
    """
    peers = [row for row in rows if not row.method.ours]
    good = {row.method.name for row in peers} - {row.method.name for row in peers if not row.reached}
    times = {name: _of(peers, name) for name in good or {row.method.name for row in peers}}
    return min(times, key=lambda name: statistics.median(row.seconds for row in times[name]))


def summary(rows: Sequence[Row]) -> Table:
    """Return one race, a row for each method.

    ``seconds`` is the median over the seeds, ``low`` and ``high`` its range; ``x peer`` (the best one) and
    ``x floor`` are medians of the ratios at each seed; each error is the largest.

    Args:
        rows: What ``race`` returned.
    """
    peer = best_peer(rows)
    best = {row.seed: row.seconds for row in _of(rows, peer)}
    table: Table = {}
    for name in dict.fromkeys(row.method.name for row in rows):
        own = _of(rows, name)
        seconds = [row.seconds for row in own]
        line: dict[str, Any] = {
            "method": name,
            "ours": own[0].method.ours,
            "best peer": name == peer,
            "seconds": statistics.median(seconds),
            "low": min(seconds),
            "high": max(seconds),
            "x peer": statistics.median(row.seconds / best[row.seed] for row in own),
            "x floor": statistics.median(row.seconds / row.floor for row in own),
            "solved": own[0].solved,
            "reached": all(row.reached for row in own),
            **{error: max(row.errors[error] for row in own) for error in own[0].errors},
            "setting": own[0].method.setting,
        }
        for heading, value in line.items():
            table.setdefault(heading, []).append(value)
    return table


def text(task: Task, table: Table) -> str:
    """Return a summary as text.

    Args:
        task: What was raced for.
        table: Its summary.
    """
    errors = {
        name: f".{0 if name in _COUNTS else 1}{'f' if name in _COUNTS else 'e'}" for name in _errors(table)
    }
    shown = {name: table[name] for name in ("method", "seconds", "low", "high", "x peer", "x floor", *errors)}
    shown["goal"] = ["reached" if reached else "MISSED" for reached in table["reached"]]
    shown["setting"] = [
        f"{setting} [{solved} signals]" if solved < max(table["solved"]) else setting
        for setting, solved in zip(table["setting"], table["solved"], strict=True)
    ]
    formats = dict.fromkeys(("seconds", "low", "high"), ".3f") | {"x peer": ".2f", "x floor": ".2f"}
    return f"{task.title}\n{text_table(shown, formats | errors)}"


def missed(task: Task, table: Table) -> list[str]:
    """Return which of the book's own methods missed the goal, each with its errors.

    Args:
        task: What was raced for.
        table: Its summary.
    """
    return [
        f"{task.name}, {method}: " + ", ".join(f"{name} {table[name][i]:.1e}" for name in _errors(table))
        for i, method in enumerate(table["method"])
        if table["ours"][i] and not table["reached"][i]
    ]


_COUNTS = ("other supports", "unexplained")
_OWN = (
    "method",
    "ours",
    "best peer",
    "seconds",
    "low",
    "high",
    "x peer",
    "x floor",
    "solved",
    "reached",
    "setting",
)


def _errors(table: Table) -> list[str]:
    return [name for name in table if name not in _OWN]


def _of(rows: Sequence[Row], name: str) -> list[Row]:
    return [row for row in rows if row.method.name == name]
