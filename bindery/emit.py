"""How a value leaves a notebook: rounded, once per page, as an output that the rendered book can read.

Outputs are emitted directly, so that a kernel needs nothing of the tools that render the book.
"""

import math
import re
import sys
from collections.abc import Iterable
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
        """Note that ``keys`` are published.

        A reader who runs a cell again, unchanged, publishes its keys again; anything else is a second value
        for the same name.
        """
        cell, keys = _cell(), list(keys)
        for key in keys:
            if key in self.taken:
                run, source = self.taken[key]
                if run == cell[0] or source != cell[1]:
                    raise ValueError(
                        f"key was {key!r}, which this page has published already; each key is published once "
                        "(after editing the cell, run the page's first cells again)"
                    )
        self.taken.update(dict.fromkeys(keys, cell))


def rounded(name: str, value: Any) -> float | int:
    """Return a number rounded to six significant digits; whole numbers stay exact.

    >>> rounded("slope", 1.00000049), rounded("count", 12345678)
    (1.0, 12345678)
    """
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


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number of at least ``least``.

    >>> whole("seed", 3, least=0)
    3
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} was {value!r}; it must be a whole number")
    if value < least:
        raise ValueError(f"{name} was {value}; it must be at least {least}")
    return int(value)


def one_line(name: str, value: Any, *, empty: bool = False) -> str:
    """Return text that is one line, and not empty unless ``empty`` allows it.

    >>> one_line("unit", "seed")
    'seed'
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} was {value!r}; it must be text")
    if "\n" in value or not (empty or value.strip()):
        raise ValueError(f"{name} was {value!r}; it must be one line{'' if empty else ', and not empty'}")
    return value


def glue_text(key: str, value: float | int | str) -> str:
    """Return the text that myst-nb reads back: the representation of a number or of a line of text.

    >>> glue_text("slope", 1.23456789), glue_text("slope.verdict", "reproduced")
    ('1.23457', "'reproduced'")
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(
            f"key was {key!r}; it must be lower-case letters, digits, dots, hyphens and underscores"
        )
    if isinstance(value, str):
        return repr(one_line(f"the value of {key}", value))
    return repr(rounded(f"the value of {key}", value))


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


def _cell() -> tuple[int | None, str]:
    """Return the number and the source of the cell that is running; (None, "") outside of IPython."""
    shell = _shell()
    if shell is None:
        return None, ""
    history = shell.user_ns.get("In") or [""]
    return shell.execution_count, str(history[-1])


def _shell() -> Any:
    """Return the running IPython shell, or None; IPython is not imported only to ask."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None
