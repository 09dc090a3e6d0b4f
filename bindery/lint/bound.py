"""Values that prose takes from executed pages: they must be there, and what is published must be used."""

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bindery.emit import CLAIM_MIME, GLUE_PREFIX

__all__ = ["Bound", "PageValues", "page_values"]

_ENDS = re.compile(r"-(?:low|high)$")
# What a glue role names: `key`, `key:.2f`, or `01_page.ipynb::key:.2f` from another page.
_REFERENCE = re.compile(r"(?:(?P<page>[^:]+)::)?(?P<key>[^:]+)(?::(?P<format>.*))?")
_ZERO_WITH_SIGN = re.compile(r"-0(\.0*)?%?")
# What results.publish glues wholesale, as it stands in a stored run: no page can use all of it.
_STORED = "paper."


@dataclass(frozen=True)
class PageValues:
    """The values that an executed page publishes, and its own keys: those that prose must use."""

    values: Mapping[str, Any]
    own: frozenset[str]


def page_values(page: Path | Mapping[str, Any]) -> PageValues:
    """Return what a page publishes."""
    notebook = json.loads(page.read_text(encoding="utf-8")) if isinstance(page, Path) else page
    values: dict[str, Any] = {}
    claims: set[str] = set()
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name is not None:
                values[name] = _value(data.get(f"{GLUE_PREFIX}text/plain", ""))
            if CLAIM_MIME in data:
                claims.add(json.loads("".join(data[CLAIM_MIME]))["id"])
    others = (_STORED, *(f"{claim}." for claim in claims))
    return PageValues(values, frozenset(key for key in values.keys() - claims if not key.startswith(others)))


def _value(text: str | list[str]) -> Any:
    whole = "".join(text)
    try:
        return ast.literal_eval(whole)
    except (ValueError, SyntaxError):
        return whole


@dataclass
class Bound:
    """Checks the references of a book, one after the other, and remembers what was used."""

    folder: Path
    _pages: dict[str, PageValues | None] = field(default_factory=dict, repr=False)
    _used: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def problem(self, text: str, page: str) -> str | None:
        """Return what is wrong with a reference, or ``None``."""
        reference = _REFERENCE.fullmatch(text.strip())
        if reference is None:
            return f"{text!r} is not a reference to a value; it must be key:format or page.ipynb::key:format"
        target, key, form = reference["page"] or page, reference["key"], reference["format"] or ""
        if not target.endswith(".ipynb"):
            return f"{text!r} must name the page that publishes the value, as in 01_page.ipynb::key:format"
        values = self._read(target)
        if values is None:
            return f"{text!r} is taken from book/{target}, which does not exist: make execute writes it"
        if key not in values.values:
            return f"{text!r} is taken from book/{target}, which publishes no {key!r}"
        self._used.add((target, key))
        value = values.values[key]
        try:
            written = format(value, form)
        except ValueError:
            return f"{text!r} has the format {form!r}, which does not fit the value {value!r}"
        if _ZERO_WITH_SIGN.fullmatch(written):
            return f"{text!r} is written {written!r}; put a z before the format's point: it drops the sign"
        return None

    def unused(self) -> list[str]:
        """Return a sentence for each value that a page publishes and no prose used.

        The ends of a value's interval say how well it is known, also where the prose has no room for them.
        """
        pages = {path.name: self._read(path.name) for path in sorted(self.folder.glob("*.ipynb"))}
        return [
            f"book/{name}: publishes {key!r}, which no prose uses"
            for name, values in pages.items()
            if values is not None
            for key in sorted(values.own)
            if not {(name, key), (name, _ENDS.sub("", key))} & self._used
        ]

    def _read(self, name: str) -> PageValues | None:
        if name not in self._pages:
            path = self.folder / name
            self._pages[name] = page_values(path) if path.is_file() else None
        return self._pages[name]
