"""A figure's numbers as bytes: a rounded CSV, or a compressed file of arrays.

Both carry no date and no more digits than a reader can see, so that the same figure gives the same bytes.
"""

import base64
import csv
import io
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np


def _array(value: object) -> np.ndarray:
    """Return a numpy array of ``value``, which may be a torch tensor with a gradient."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def _without_infinity(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise ValueError(f"{name} has an infinite entry; nan says that there is no value")
    return array


def _cell(value: object) -> str:
    """Return one entry of the CSV, floats with six significant digits."""
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
        column = _array(value)
        if column.ndim != 1:
            raise ValueError(f"data[{key!r}] has shape {column.shape}; it must be 1-D (see plotting.tidy)")
        if column.dtype.kind not in "biufUO":
            must = "it must hold numbers, booleans or text"
            raise ValueError(f"data[{key!r}] has dtype {column.dtype}; {must}")
        columns[key] = _without_infinity(f"data[{key!r}]", column)
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
    if largest == 0.0:
        return array.astype(np.float32) + np.float32(0.0)
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
        array = _array(value)
        if array.dtype.kind not in "biuf" or array.size == 0:
            has = f"has shape {array.shape}, dtype {array.dtype}"
            raise ValueError(f"images[{key!r}] {has}; it must hold numbers")
        arrays[key] = np.ascontiguousarray(_quantise(_without_infinity(f"images[{key!r}]", array)))
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
