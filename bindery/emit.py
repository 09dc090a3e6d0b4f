"""How a value leaves a notebook: rounded, once per page, as an output that others read in the page.

Outputs are emitted directly, so that a kernel needs nothing of the tools that render the book.
"""

import ast
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

# A recorded claim is an output of this kind.
CLAIM_MIME = "application/vnd.gsl.claim+json"
# What myst-nb 1.x looks for: its reader cuts the prefix off and keeps the output out of the rendered page.
GLUE_PREFIX = "application/papermill.record/"
_DIGITS = 6
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass
class Registry:
    """The keys that the page being executed has published, each with the run of the cell that did it."""

    taken: dict[str, tuple[int | None, str]] = field(default_factory=dict)

    def take(self, keys: Iterable[str]) -> None:
        """Note that ``keys`` are published, again only where a reader runs an unchanged cell again."""
        shell, keys = _shell(), list(keys)
        # The number and the source of the cell that is running; outside of IPython there is none.
        cell = (shell.execution_count, str((shell.user_ns.get("In") or [""])[-1])) if shell else (None, "")
        for key in keys:
            if key in self.taken:
                run, source = self.taken[key]
                if run == cell[0] or source != cell[1]:
                    remedy = "(after editing the cell, run the page's first cells again)"
                    twice = "which this page has published already; each key is published once"
                    raise ValueError(f"key was {key!r}, {twice} {remedy}")
        self.taken.update(dict.fromkeys(keys, cell))


def rounded(name: str, value: Any) -> float | int:
    """Return a number rounded to six significant digits; whole numbers stay exact."""
    if not isinstance(value, Real) and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} was {value!r}; it must be a number")
    if isinstance(value, Integral):
        return int(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} was {number}; it must be finite")
    # Adding zero turns -0.0, which would differ from 0.0 as text, into 0.0.
    return float(f"{number:.{_DIGITS}g}") + 0.0


def one_line(name: str, value: Any, *, empty: bool = False) -> str:
    """Return text that is one line, and not empty unless ``empty`` allows it."""
    if not isinstance(value, str):
        raise TypeError(f"{name} was {value!r}; it must be text")
    if "\n" in value or not (empty or value.strip()):
        raise ValueError(f"{name} was {value!r}; it must be one line{'' if empty else ', and not empty'}")
    return value


def glue_text(key: str, value: float | int | str) -> str:
    """Return the text that myst-nb reads back: the representation of a number or of a line of text."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        must = "it must be lower-case letters, digits, dots, hyphens and underscores"
        raise ValueError(f"key was {key!r}; {must}")
    return repr((one_line if isinstance(value, str) else rounded)(f"the value of {key}", value))


def glue(key: str, text: str) -> bool:
    """Emit what ``glue_text`` returned for ``key``; False where there is no notebook to emit it to."""
    metadata = {"scrapbook": {"mime_prefix": GLUE_PREFIX, "name": key}}
    return display({f"{GLUE_PREFIX}text/plain": text}, metadata)


def display(data: dict[str, str], metadata: dict[str, Any] | None = None) -> bool:
    """Emit one output with its MIME types; False where there is no notebook to emit it to."""
    if _shell() is None:
        return False
    from IPython.display import display as emit

    emit(data, raw=True, metadata=metadata or {})
    return True


def _shell() -> Any:
    """Return the running IPython shell, or None; IPython is not imported only to ask."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def text_of(held: object) -> str:
    """Return a MIME entry as text: a notebook on disk may hold it as a list of lines."""
    return "".join(held) if isinstance(held, list) else str(held)


def outputs(page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for cell in page["cells"]:
        yield from cell.get("outputs", [])


def claims_of(page: Mapping[str, Any]) -> Iterator[Any]:
    for data in (output.get("data", {}) for output in outputs(page)):
        if CLAIM_MIME in data:
            held = data[CLAIM_MIME]
            yield held if isinstance(held, Mapping) else json.loads("".join(held))


def values_of(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a page publishes for prose to take, by key."""
    values: dict[str, Any] = {}
    for output in outputs(page):
        name = output.get("metadata", {}).get("scrapbook", {}).get("name")
        if name is not None:
            text = "".join(output.get("data", {}).get(f"{GLUE_PREFIX}text/plain", ""))
            with suppress(ValueError, SyntaxError):
                text = ast.literal_eval(text)
            values[name] = text
    return values
