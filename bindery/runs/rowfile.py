"""A tidy CSV that rows are appended to as they come, so that a killed run loses none that it wrote."""

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bindery.root import BookError

Scalar = bool | int | float | str
_INTEGER = re.compile(r"-?\d+")


class RowFileError(BookError):
    """A file of rows that is another sweep's, or that was edited."""


def to_text(value: object) -> str:
    """Return a value as it stands in the file; ``from_text`` returns the same value."""
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, int | float):
        return repr(plain)
    if not isinstance(plain, str):
        raise TypeError(f"{value!r} is a {type(value).__name__}; it must be a number, a boolean or a word")
    if re.search(r"[\r\n\0]", plain) or not isinstance(from_text(plain), str):
        raise ValueError(f"{plain!r} cannot be told from a number or a boolean, or has a line break")
    return plain


def from_text(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


class RowFile:
    """A CSV with a header whose first columns say which point of a sweep a row belongs to.

    It is open until ``close`` is called; what a kill left of a last line is cut off at first, and its row is
    not among ``rows``. The header is written with the first row, since only that tells what is measured.
    """

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        self.path = path
        self.keys = tuple(keys)
        self.columns: tuple[str, ...] | None = None
        self.rows: dict[tuple[str, ...], dict[str, Scalar]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]
        self._read(whole)
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        self._file = path.open("ab")
        self.close = self._file.close

    def _read(self, content: bytes) -> None:
        try:
            lines = list(csv.reader(io.StringIO(content.decode()), strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise RowFileError(f"{self.path} is not a CSV ({error}); move it away to start anew") from error
        if not lines:
            return
        header = tuple(lines[0])
        if header[: len(self.keys)] != self.keys:
            begin = f"its columns begin with {list(header[: len(self.keys)])}, this sweep's with"
            remedy = "give another file or move this one away"
            raise RowFileError(f"{self.path} holds another sweep: {begin} {list(self.keys)}; {remedy}")
        self.columns = header
        for number, line in enumerate(lines[1:], start=2):
            if len(line) != len(header):
                has = f"has {len(line)} entries, its header {len(header)}"
                raise RowFileError(f"{self.path} line {number} {has}: it was edited; mend or remove the line")
            row = {column: from_text(text) for column, text in zip(header, line, strict=True)}
            self.rows.setdefault(tuple(line[: len(self.keys)]), row)

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row, so that it is on the disk when this returns."""
        lines = [] if self.columns else [list(row)]
        self.columns = self.columns or tuple(row)
        if tuple(row) != self.columns:
            raise ValueError(f"the row has the columns {list(row)}; {self.path} has {list(self.columns)}")
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([*lines, [to_text(value) for value in row.values()]])
        self._file.write(text.getvalue().encode())
        self._file.flush()
        os.fsync(self._file.fileno())
