"""Sweeps: one function over a grid of settings and many seeds, on processes of this machine or a cluster."""

import contextlib
import itertools
import operator
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from tqdm import tqdm

from bindery.runs.rowfile import RowFile, Scalar, from_text, to_text

Row = dict[str, Scalar]
Grid = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]
Function = Callable[..., Mapping[str, Any]]
# A point by the text that identifies it in a store.
Key = tuple[str, ...]
_SHOWN = 10
# Seconds to wait for a scheduler to answer.
_PATIENCE = 10.0


@dataclass(frozen=True)
class Failure:
    """A point of a sweep that raised."""

    point: Mapping[str, Any]
    error: str
    trace: str

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.point.items())
        return f"{settings}: {self.error}"


class SweepError(Exception):
    """Some points of a sweep raised; all others were computed, and stored where there is a store."""

    def __init__(self, failures: Sequence[Failure], rows: Sequence[Row]) -> None:
        self.failures = tuple(failures)
        self.rows = list(rows)
        listed = [f"  {failure}" for failure in self.failures[:_SHOWN]]
        more = len(self.failures) - len(listed)
        listed += [f"  and {more} more"] if more else []
        done = f"{len(self.rows)} of {len(self.rows) + len(self.failures)} points are computed"
        super().__init__("\n".join([f"{done}; these raised:", *listed]))


def sweep(
    fn: Function,
    grid: Grid,
    seeds: Sequence[int],
    *,
    n_jobs: int = 1,
    store: Path | str | None = None,
    scheduler: str | None = None,
) -> list[Row]:
    """Evaluate a function at every point of a grid with every seed, and return one row for each.

    With a store, each row is on the disk as soon as it is computed, and a later call computes what is
    missing, or raised. The store knows the settings by name and value, and not the function: after a change
    of the function, move the file away. A point that raises does not stop the others.

    >>> sweep(lambda m, seed: {"error": seed / m}, {"m": [10, 20]}, seeds=[1])
    [{'m': 10, 'seed': 1, 'error': 0.1}, {'m': 20, 'seed': 1, 'error': 0.05}]
    """
    if not callable(fn):
        raise TypeError(f"fn is {fn!r}; it must be callable")
    points = _points(grid, seeds)
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0 or n_jobs < -1:
        raise ValueError(f"n_jobs is {n_jobs!r}; it must be a number of processes, or -1 for all cores")
    keys = list(next(iter(points.values())))
    failures: dict[Key, Failure] = {}
    with contextlib.ExitStack() as stack:
        stored = stack.enter_context(contextlib.closing(RowFile(Path(store), keys))) if store else None
        rows = {key: row for key, row in stored.rows.items() if key in points} if stored else {}
        columns = stored.columns if stored else None
        missing = {key: point for key, point in points.items() if key not in rows}
        bar = tqdm(total=len(points), initial=len(rows), disable=None)
        stack.enter_context(contextlib.closing(bar))
        for key, outcome in _run(fn, missing, n_jobs, scheduler):
            bar.update()
            row = _judge(points[key], outcome, columns)
            if isinstance(row, Failure):
                failures[key] = row
                continue
            columns, rows[key] = tuple(row), row
            if stored is not None:
                stored.append(row)
    ordered = [rows[key] for key in points if key in rows]
    if failures:
        raise SweepError([failures[key] for key in points if key in failures], ordered)
    return ordered


def _points(grid: Grid, seeds: Sequence[int]) -> dict[Key, dict[str, Any]]:
    if isinstance(grid, Mapping):
        columns = [_listed(f"grid's {name}", values, f"[{values!r}]") for name, values in grid.items()]
        settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*columns)]
    else:
        listed = _listed("grid", grid, '{"m": [10, 20]}')
        if stray := [point for point in listed if not isinstance(point, Mapping)]:
            raise TypeError(f"grid holds {stray[0]!r}; each of its points must be a mapping of settings")
        settings = [dict(point) for point in listed]
    seeds = _listed("seeds", seeds, "range(3)")
    if not settings:
        raise ValueError("grid has no point; it must have at least one value for each setting")
    names = list(settings[0])
    if "seed" in names or not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise ValueError(f"grid has the settings {names}; each must be a name of an argument other than seed")
    if len(seeds) == 0:
        raise ValueError("seeds is empty; it must hold at least one whole number")
    points: dict[Key, dict[str, Any]] = {}
    for point, seed in itertools.product(settings, seeds):
        if set(point) != set(names):
            raise ValueError(f"grid has a point with the settings {list(point)}, the first has {names}")
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise TypeError(f"seeds holds {seed!r}; it must hold whole numbers")
        full = {name: point[name] for name in names} | {"seed": operator.index(seed)}
        key = tuple(_text("grid", name, value) for name, value in full.items())
        if key in points:
            raise ValueError(f"grid and seeds hold {full} twice; each point must be there once")
        points[key] = full
    return points


def _listed(name: str, values: Any, example: str) -> list[Any]:
    """Several values; one alone would be taken apart, or be none, and a word is one."""
    with contextlib.suppress(TypeError):
        if not isinstance(values, str | bytes | Mapping):
            return list(values)
    raise TypeError(f"{name} is {values!r}; it must be a list or the like, such as {example}")


def _text(where: str, name: str, value: Any) -> str:
    try:
        return to_text(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where} has {name}={error}") from None


def _attempt(key: Key, fn: Function, point: Mapping[str, Any]) -> tuple[Key, Mapping[str, Any] | Failure]:
    """Evaluate one point, on whatever process; an error comes back as a value, so that the others go on."""
    try:
        return key, dict(fn(**point))
    except Exception as error:
        line = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return key, Failure(point, line, traceback.format_exc())


def _run(
    fn: Function, points: Mapping[Key, Mapping[str, Any]], n_jobs: int, scheduler: str | None
) -> Iterator[tuple[Key, Mapping[str, Any] | Failure]]:
    if not points:
        return
    tasks = (joblib.delayed(_attempt)(key, fn, point) for key, point in points.items())
    with _workers(n_jobs, scheduler):
        # One point at a time: a batch would keep rows back that a kill would lose.
        yield from joblib.Parallel(return_as="generator_unordered", batch_size=1)(tasks)


@contextlib.contextmanager
def _workers(n_jobs: int, scheduler: str | None) -> Iterator[None]:
    """Make joblib use this machine's processes, one thread each, or the workers of a Dask scheduler."""
    if scheduler is None:
        with joblib.parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
            yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("scheduler needs the extra dask: pip install 'gsl-utils[dask]'") from error
    try:
        client = Client(scheduler, set_as_default=False, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client, joblib.parallel_config(backend="dask", client=client):
        yield


def _judge(
    point: Mapping[str, Any], outcome: Mapping[str, Any] | Failure, columns: tuple[str, ...] | None
) -> Row | Failure:
    if isinstance(outcome, Failure):
        return outcome
    bad = [name for name in outcome if name in point or not isinstance(name, str) or not name.isidentifier()]
    if bad:
        return Failure(point, f"fn returned {bad}; a result's name must be a word, and no setting's", "")
    try:
        row = {name: from_text(_text("the row", name, value)) for name, value in {**point, **outcome}.items()}
    except (TypeError, ValueError) as error:
        return Failure(point, str(error), "")
    if columns is None:
        return row
    if set(row) != set(columns):
        others = list(columns[len(point) :])
        return Failure(point, f"fn returned {list(outcome)}; other points have {others}", "")
    return {name: row[name] for name in columns}
