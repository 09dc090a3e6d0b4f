"""A figure's numbers as bytes, and the bundle that carries them in the page beside its picture.

A rounded CSV, or a compressed file of arrays: both carry no date and no more digits than a reader can see, so
that the same figure gives the same bytes.
"""

import base64
import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

BUNDLE_MIME = "application/vnd.gsl.bundle+json"
MAX_BYTES = 400_000
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def _array(name: str, value: object) -> np.ndarray:
    """Return a numpy array of ``value``, which may be a torch tensor with a gradient."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    array = np.asarray(value)
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise ValueError(f"{name} has an infinite entry; nan says that there is no value")
    return array


def _cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        # Adding zero turns -0 into 0: the sign of a zero differs between machines.
        return "nan" if math.isnan(value) else f"{float(f'{value:.6g}') + 0.0:.6g}"
    return str(value)


def encode_csv(data: Mapping[str, Any]) -> str:
    """Return columns of equal length as a CSV with a header and six significant digits."""
    if not data:
        raise ValueError("data is empty; it must map at least one column name to its values")
    columns = {}
    for key, value in data.items():
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z_][\w .()/-]*", key):
            raise ValueError(f"data has a column named {key!r}; it must be a word that starts with a letter")
        column = columns[key] = _array(f"data[{key!r}]", value)
        if column.ndim != 1:
            raise ValueError(f"data[{key!r}] has shape {column.shape}; it must be 1-D (see plotting.tidy)")
        if column.dtype.kind not in "biufUO":
            must = "it must hold numbers, booleans or text"
            raise ValueError(f"data[{key!r}] has dtype {column.dtype}; {must}")
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"data has columns of lengths {lengths}; they must be equal")
    if not next(iter(lengths.values())):
        raise ValueError("data has columns without entries; a figure is drawn from at least one row")
    text = io.StringIO()
    rows = zip(*columns.values(), strict=True)
    csv.writer(text, lineterminator="\n").writerows([list(columns), *(map(_cell, row) for row in rows)])
    return text.getvalue()


def _quantise(array: np.ndarray) -> np.ndarray:
    """Round to four digits of the largest magnitude: finer than any screen shows, and it compresses."""
    if array.dtype.kind != "f":
        return array
    largest = float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
    if largest < np.finfo(np.float32).tiny:  # nothing that a float32 can say
        return np.where(np.isfinite(array), 0.0, array).astype(np.float32)
    digits = 3 - math.floor(math.log10(largest))
    return (np.round(array.astype(np.float64), digits) + 0.0).astype(np.float32)


def encode_npz(images: Mapping[str, Any]) -> str:
    """Return arrays as base64 of a compressed ``.npz`` file whose bytes depend on nothing but the arrays."""
    if not images:
        raise ValueError("images is empty; it must map at least one name to an array")
    arrays: dict[str, Any] = {}
    for key, value in images.items():
        if not isinstance(key, str) or not key.isidentifier():
            raise ValueError(f"images has an array named {key!r}; it must be an identifier")
        array = _array(f"images[{key!r}]", value)
        if array.dtype.kind not in "biuf" or array.size == 0:
            has = f"has shape {array.shape}, dtype {array.dtype}"
            raise ValueError(f"images[{key!r}] {has}; it must hold numbers")
        arrays[key] = np.ascontiguousarray(_quantise(array))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def decode_npz(text: str) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"not base64 of an npz file: {error}") from error


def decode_csv(text: str) -> dict[str, list[str]]:
    """Return the columns of a CSV, entries as text."""
    rows = list(csv.reader(io.StringIO(text)))
    if not rows:
        raise ValueError("the CSV is empty; it must begin with a header")
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(f"row {i} of the CSV has {len(row)} entries; the header has {len(rows[0])}")
    return {key: [row[j] for row in rows[1:]] for j, key in enumerate(rows[0])}


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

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name is {self.name!r}; it must be a string such as 'phase-diagram'")
        if not _SLUG.fullmatch(self.name):
            raise ValueError(f"name is {self.name!r}; it must be a slug such as 'phase-diagram'")
        size = len(self.to_json())
        if size > MAX_BYTES:
            must = f"they must take at most {MAX_BYTES}: store what is drawn, not what it was computed from"
            raise ValueError(f"the data of {self.name!r} take {size} bytes; {must}")

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
    return Bundle(name, profile, tuple(seeds), tuple(data), csv=csv, moves=far)


def _moves(column: str, given: Any, data: Mapping[str, Any], rows: int) -> list[float]:
    if column not in data:
        raise ValueError(f"moves has {column!r}; it must have columns of the table, {list(data)}")
    numbers = np.asarray(given, float)
    if numbers.shape not in ((), (rows,)) or not (np.isfinite(numbers).all() and (numbers >= 0).all()):
        raise ValueError(f"moves[{column!r}] must be a number that is not negative, or {rows} of them")
    return [float(f"{number:.2g}") for number in np.broadcast_to(numbers, rows)]


def from_images(name: str, images: Mapping[str, Any], *, profile: str, seeds: Sequence[int]) -> Bundle:
    return Bundle(name, profile, tuple(seeds), tuple(images), npz=encode_npz(images))
