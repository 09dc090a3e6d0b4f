"""The rows of a paper run's sweeps: kept while it runs, stored with its results, and tried again by a replay.

A run that was killed goes on from its rows. A replay computes one seed of each sweep again and takes the
others from the stored rows: where the new ones agree, what changed since the run (a check, a comment, a
name) changed no number, and the run is worth what it was.
"""

import csv
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import stdev
from typing import Any

from bindery.root import BookError, find_root
from bindery.runs import stored
from bindery.runs.rowfile import Scalar, from_text
from bindery.runs.sweep import Grid, Row, sweep

# Set for the kernel of a paper run: the page that it runs, and the digest of what its numbers depend on.
RUN = "BOOK_RUN"
# Set for that of a replay.
REPLAY = "BOOK_REPLAY"
# Git ignores it: rows of runs that have not reached their end.
PARTS = "rows.part"
# A row may differ by so much of its size, and by so much of the spread over seeds at its point.
_RELATIVE, _OF_SPREAD = 1e-3, 0.1


def unfinished(root: Path, stem: str, code: str) -> Path:
    """Return where a run keeps its rows; after a change of its code it starts anew."""
    return root / "results" / PARTS / f"{stem}-{code[:12]}"


def _running(name: str) -> tuple[Path, str, str] | None:
    """The book's root, the page that a paper run executes, and its code's digest; None away from one."""
    if not name.replace("-", "_").isidentifier():
        raise ValueError(f"name is {name!r}; it must be a word such as 'phase-diagram'")
    root, running = find_root(), os.environ.get(RUN, "")
    return (root, *running.split(" ")) if root and running else None  # type: ignore[return-value]


def checkpoints(name: str) -> Path | None:
    """Return the folder of a paper run's checkpoints, beside its rows; None away from a run."""
    running = _running(name)
    if running is None:
        return None
    folder = unfinished(*running) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept_sweep(
    fn: Callable[..., Mapping[str, Any]], grid: Grid, seeds: Sequence[int], *, name: str, **how: Any
) -> list[Row]:
    """Run a sweep of a paper run: resumed from its rows, or in a replay compared with those stored."""
    running = _running(name)
    if running is None:
        return sweep(fn, grid, seeds, **how)
    if not os.environ.get(REPLAY):
        return sweep(fn, grid, seeds, store=unfinished(*running) / f"{name}.csv", **how)
    rows = _stored_rows(*running[:2], name)
    again = sweep(fn, grid, list(seeds)[:1], **how)
    wrong = disagreements(rows, again)
    if wrong:
        raise BookError(f"{name} does not give the stored rows: {'; '.join(wrong[:5])}; run it anew")
    settings = list(again[0])[: list(again[0]).index("seed") + 1]
    known = {tuple(row[key] for key in settings): row for row in rows}
    wanted = [tuple((row | {"seed": int(seed)})[key] for key in settings) for row in again for seed in seeds]
    missing = [point for point in wanted if point not in known]
    if missing:
        raise BookError(f"{name} asks for {missing[0]}, of which no row is stored; run it anew")
    return [known[point] for point in wanted]


def _stored_rows(root: Path, stem: str, name: str) -> list[dict[str, Scalar]]:
    path = root / "results" / stem / stored.ROWS / f"{name}.csv"
    if not path.is_file():
        raise BookError(f"results/{stem} holds no rows of {name}; run it anew")
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return [{column: from_text(text) for column, text in row.items()} for row in rows]


def disagreements(rows: Sequence[Mapping[str, Any]], again: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say where rows that were computed again are not those that are stored, a phrase for each number.

    A number agrees within a thousandth of its size, or a tenth of the spread over the seeds at its point:
    another processor has other last digits, and descents that are not at rest carry them on.
    """
    names = list(again[0])
    settings = names[: names.index("seed")]
    found = []
    for row in again:
        same = [one for one in rows if all(one[key] == row[key] for key in settings)]
        old = next((one for one in same if one["seed"] == row["seed"]), None)
        where = ", ".join(f"{key} {row[key]}" for key in (*settings, "seed"))
        if old is None or set(old) != set(row):
            found.append(f"{where}: no such row is stored, or one with other columns")
            continue
        for key in names[len(settings) + 1 :]:
            if not _close(row[key], old[key], [one[key] for one in same]):
                found.append(f"{where}: {key} is {row[key]} and was {old[key]}")
    return found


def _close(new: Scalar, old: Scalar, all_seeds: Sequence[Scalar]) -> bool:
    if isinstance(new, str) or isinstance(old, str) or new == old:
        return new == old
    if math.isnan(new) or math.isnan(old):
        return math.isnan(new) and math.isnan(old)
    numbers = [float(one) for one in all_seeds if not isinstance(one, str)]
    spread = stdev(numbers) if len(numbers) > 1 else 0.0
    return abs(new - old) <= _RELATIVE * abs(old) + _OF_SPREAD * spread
