"""Two executions of one figure: its numbers must agree, to a tolerance that machines need."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gsl_utils.book.encoding import decode_csv, decode_npz
from gsl_utils.book.payload import Bundle
from gsl_utils.book.rowfile import from_text

__all__ = ["differences"]

# Processors round sums differently, and an iteration that stops early magnifies it; this is still far below
# what a reader sees. The first is relative to the number, the second to the largest one of its column.
RTOL = 1e-3
ATOL = 1e-6
_SHOWN = 5


def differences(stored: Bundle, folder: Path) -> list[str]:
    """Say where a figure's numbers in a page differ from those that another execution wrote.

    Args:
        stored: The bundle that the page holds.
        folder: Where the other execution wrote its files, by ``GSL_BUNDLE_DIR``.

    Returns:
        One sentence per difference, naming figure, column and row, at most five and their count.
    """
    name = stored.file()[0]
    path = folder / name
    if not path.is_file():
        return [f"{stored.name}: the execution wrote no {name}"]
    other = path.read_bytes()
    try:
        found = list(_tables(stored, other.decode()) if stored.csv is not None else _arrays(stored, other))
    except ValueError as error:
        return [f"{stored.name}: {name} cannot be read: {error}"]
    more = [f"{stored.name}: and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return found[:_SHOWN] + more


def _tables(stored: Bundle, other: str) -> Iterator[str]:
    ours, theirs = decode_csv(stored.csv or ""), decode_csv(other)
    if list(ours) != list(theirs):
        yield f"{stored.name}: the page has the columns {list(ours)}, the execution {list(theirs)}"
        return
    lengths = len(next(iter(ours.values()))), len(next(iter(theirs.values())))
    if lengths[0] != lengths[1]:
        yield f"{stored.name}: the page has {lengths[0]} rows, the execution {lengths[1]}"
        return
    for column in ours:
        slack = ATOL * max(
            (abs(value) for value in map(_number, ours[column]) if math.isfinite(value)), default=0.0
        )
        for row, (mine, new) in enumerate(zip(ours[column], theirs[column], strict=True), start=1):
            if mine != new and not _close(_number(mine), _number(new), slack):
                yield f"{stored.name}: column {column}, row {row}: page {mine}, execution {new}"


def _number(text: str) -> float:
    """Return a number; not-a-number for a word, which is close to nothing but itself."""
    value = from_text(text)
    return math.nan if isinstance(value, str | bool) else float(value)


def _close(mine: float, new: float, slack: float) -> bool:
    return abs(mine - new) <= slack + RTOL * abs(mine)


def _arrays(stored: Bundle, other: bytes) -> Iterator[str]:
    ours, theirs = decode_npz(stored.npz or ""), decode_npz(base64.b64encode(other).decode())
    if list(ours) != list(theirs):
        yield f"{stored.name}: the page has the arrays {list(ours)}, the execution {list(theirs)}"
        return
    for name, array in ours.items():
        new = theirs[name]
        if array.shape != new.shape:
            yield f"{stored.name}: array {name}: shapes: page {array.shape}, execution {new.shape}"
            continue
        # They are stored to four digits of the largest entry: the last may be rounded the other way.
        slack = RTOL * float(np.nanmax(np.abs(array), initial=0.0))
        bad = ~np.isclose(array, new, rtol=RTOL, atol=slack, equal_nan=True)
        for place in np.argwhere(bad):
            where = tuple(int(index) for index in place)
            mine_new = f"page {array[where]:.6g}, execution {new[where]:.6g}"
            yield f"{stored.name}: array {name}, entry {where}: {mine_new}"
