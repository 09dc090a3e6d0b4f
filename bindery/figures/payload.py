"""A figure's bundle: the numbers that it was drawn from, in the page beside its picture."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from bindery.figures.encoding import encode_csv, encode_npz

BUNDLE_MIME = "application/vnd.gsl.bundle+json"
MAX_BYTES = 400_000
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Bundle:
    """What a figure was drawn from, a table or arrays (base64 of an ``.npz`` file), and of which run.

    ``moves`` says how far a column's numbers may be others in another arithmetic, one number for each row.
    """

    name: str
    profile: str
    seeds: tuple[int, ...]
    columns: tuple[str, ...]
    csv: str | None = None
    npz: str | None = field(default=None, repr=False)
    moves: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def file(self) -> tuple[str, bytes]:
        if self.csv is not None:
            return f"{self.name}.csv", self.csv.encode()
        return f"{self.name}.npz", base64.b64decode(self.npz or "")

    def to_json(self) -> str:
        fields = {name: value for name, value in vars(self).items() if value is not None and value != {}}
        return json.dumps(fields, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        try:
            raw = json.loads(text)
            return cls(**{**raw, "seeds": tuple(raw["seeds"]), "columns": tuple(raw["columns"])})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"not a figure bundle: {error!r}") from error


def _checked(bundle: Bundle) -> Bundle:
    """Refuse a name that cannot be a label and a file name, and data that are too many for a page."""
    if not isinstance(bundle.name, str):
        raise TypeError(f"name is {bundle.name!r}; it must be a string such as 'phase-diagram'")
    if not _SLUG.fullmatch(bundle.name):
        raise ValueError(f"name is {bundle.name!r}; it must be a slug such as 'phase-diagram'")
    size = len(bundle.to_json())
    if size > MAX_BYTES:
        must = f"they must take at most {MAX_BYTES}: store what is drawn, not what it was computed from"
        raise ValueError(f"the data of {bundle.name!r} take {size} bytes; {must}")
    return bundle


def from_columns(
    name: str,
    data: Mapping[str, Any],
    *,
    profile: str,
    seeds: Sequence[int],
    moves: Mapping[str, Any] | None = None,
) -> Bundle:
    csv = encode_csv(data)
    rows = len(next(iter(data.values())))
    far = {column: _moves(column, given, data, rows) for column, given in (moves or {}).items()}
    return _checked(Bundle(name, profile, tuple(seeds), tuple(data), csv=csv, moves=far))


def _moves(column: str, given: Any, data: Mapping[str, Any], rows: int) -> list[float]:
    if column not in data:
        raise ValueError(f"moves has {column!r}; it must have columns of the table, {list(data)}")
    numbers = np.asarray(given, float)
    if numbers.shape not in ((), (rows,)) or not (np.isfinite(numbers).all() and (numbers >= 0).all()):
        raise ValueError(f"moves[{column!r}] must be a number that is not negative, or {rows} of them")
    return [float(f"{number:.2g}") for number in np.broadcast_to(numbers, rows)]


def from_images(name: str, images: Mapping[str, Any], *, profile: str, seeds: Sequence[int]) -> Bundle:
    npz = encode_npz(images)
    return _checked(Bundle(name, profile, tuple(seeds), tuple(images), npz=npz))
