"""A figure's bundle: the numbers that it was drawn from, in the page beside its picture."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bindery.figures.encoding import encode_csv, encode_npz

__all__ = ["BUNDLE_MIME", "Bundle", "from_columns", "from_images"]

BUNDLE_MIME = "application/vnd.gsl.bundle+json"
MAX_BYTES = 400_000
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Bundle:
    """What a figure was drawn from.

    Args:
        name: The figure's name, a slug such as ``phase-diagram``; it is also the label that prose refers to.
        profile: The profile of the run, ``quick`` or ``paper``.
        seeds: The seeds of the run.
        columns: Names of the table's columns, or of the arrays.
        csv: The table, or ``None`` for a grid of images.
        npz: The arrays, base64 of an ``.npz`` file, or ``None`` for a table.
        moves: How far a column's numbers may be others in another arithmetic, one number for each row.
    """

    name: str
    profile: str
    seeds: tuple[int, ...]
    columns: tuple[str, ...]
    csv: str | None = None
    npz: str | None = field(default=None, repr=False)
    moves: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def file(self) -> tuple[str, bytes]:
        """Return the name and the content of the file that holds the numbers."""
        if self.csv is not None:
            return f"{self.name}.csv", self.csv.encode()
        return f"{self.name}.npz", base64.b64decode(self.npz or "")

    def to_json(self) -> str:
        """Return the bundle as one line of JSON with sorted keys."""
        fields: dict[str, Any] = {
            "name": self.name,
            "profile": self.profile,
            "seeds": list(self.seeds),
            "columns": list(self.columns),
        }
        fields |= {"csv": self.csv} if self.csv is not None else {"npz": self.npz}
        fields |= {"moves": {name: list(far) for name, far in self.moves.items()}} if self.moves else {}
        return json.dumps(fields, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Bundle:
        """Read a bundle back.

        Args:
            text: What ``to_json`` returned.

        Raises:
            ValueError: The text is not a bundle.
        """
        try:
            raw = json.loads(text)
            return cls(
                name=raw["name"],
                profile=raw["profile"],
                seeds=tuple(raw["seeds"]),
                columns=tuple(raw["columns"]),
                csv=raw.get("csv"),
                npz=raw.get("npz"),
                moves=raw.get("moves", {}),
            )
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"not a figure bundle: {error!r}") from error


def check_name(name: str) -> None:
    """Refuse a figure name that cannot be a label and a file name.

    Args:
        name: The name to check.

    Raises:
        TypeError: ``name`` is not a string.
        ValueError: ``name`` is not a slug.
    """
    if not isinstance(name, str):
        raise TypeError(f"name is {name!r}; it must be a string such as 'phase-diagram'")
    if not _SLUG.fullmatch(name):
        raise ValueError(f"name is {name!r}; it must be a slug such as 'phase-diagram'")


def _sized(bundle: Bundle) -> Bundle:
    size = len(bundle.to_json())
    if size > MAX_BYTES:
        raise ValueError(
            f"the data of {bundle.name!r} take {size} bytes; they must take at most {MAX_BYTES}: "
            "store what is drawn, not what it was computed from"
        )
    return bundle


def from_columns(
    name: str,
    data: Mapping[str, Any],
    *,
    profile: str,
    seeds: Sequence[int],
    moves: Mapping[str, Any] | None = None,
) -> Bundle:
    """Return the bundle of a figure drawn from a tidy table.

    Args:
        name: The figure's slug.
        data: Column name to a 1-D array-like, all of one length.
        profile: The profile of the run.
        seeds: The seeds of the run.
        moves: How far the numbers of some columns may be others in another arithmetic: a number, or one for
            each row. They are rounded to two digits.

    Raises:
        ValueError: A bad name or table, more than 400 kB of data, or ``moves`` that do not go with the table.
    """
    check_name(name)
    csv = encode_csv(data)
    rows = len(next(iter(data.values())))
    far = {column: _moves(column, given, data, rows) for column, given in (moves or {}).items()}
    return _sized(Bundle(name, profile, tuple(seeds), tuple(data), csv=csv, moves=far))


def _moves(column: str, given: Any, data: Mapping[str, Any], rows: int) -> list[float]:
    if column not in data:
        raise ValueError(f"moves has {column!r}; it must have columns of the table, {list(data)}")
    numbers = np.asarray(given, float)
    if numbers.shape not in ((), (rows,)) or not (np.isfinite(numbers).all() and (numbers >= 0).all()):
        raise ValueError(f"moves[{column!r}] must be a number that is not negative, or {rows} of them")
    return [float(f"{number:.2g}") for number in np.broadcast_to(numbers, rows)]


def from_images(name: str, images: Mapping[str, Any], *, profile: str, seeds: Sequence[int]) -> Bundle:
    """Return the bundle of a figure that is a grid of images.

    Args:
        name: The figure's slug.
        images: Name to an array of numbers.
        profile: The profile of the run.
        seeds: The seeds of the run.

    Raises:
        ValueError: A bad name or array, or more than 400 kB of data.
    """
    check_name(name)
    npz = encode_npz(images)
    return _sized(Bundle(name, profile, tuple(seeds), tuple(images), npz=npz))
