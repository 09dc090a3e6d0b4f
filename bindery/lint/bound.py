"""The values that an executed page publishes, for prose to take."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bindery.emit import CLAIM_MIME, GLUE_PREFIX

# What Page.stored glues wholesale, as it stands in a stored run: no page can use all of it.
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
                values[name] = _value("".join(data.get(f"{GLUE_PREFIX}text/plain", "")))
            if CLAIM_MIME in data:
                claims.add(json.loads("".join(data[CLAIM_MIME]))["id"])
    others = (_STORED, *(f"{claim}." for claim in claims))
    return PageValues(values, frozenset(key for key in values.keys() - claims if not key.startswith(others)))


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
