"""What the package and the book's own commands cost before they do anything: processes, in units."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bindery.page.kernels import environment
from bindery.page.run_times import seconds_of_a_unit

__all__ = ["Cost", "costs"]

_ROOT = Path(__file__).parents[1]
_WORK = {
    "python": ("-c", "pass"),
    "import gsl_utils": ("-c", "import gsl_utils"),
    "import gsl_utils.recovery": ("-c", "import gsl_utils.recovery"),
    "status of all pages": ("-m", "bindery", "status"),
}


@dataclass(frozen=True)
class Cost:
    """The least processor seconds of a fresh process over a few runs, and the same in units.

    Attributes:
        work: What it did.
        seconds: Processor seconds, the start of Python included.
        units: The same over those of a unit.
    """

    work: str
    seconds: float
    units: float


def costs(repeats: int) -> list[Cost]:
    """Run each piece of work in fresh processes.

    Args:
        repeats: How often; the least counts.
    """
    unit = seconds_of_a_unit(environment(_ROOT))
    found = []
    for work, words in _WORK.items():
        seconds = min(_seconds([sys.executable, *words]) for _ in range(repeats))
        found.append(Cost(work, round(seconds, 3), round(seconds / unit, 3)))
    return found


def _seconds(command: Sequence[str]) -> float:
    before = _children()
    subprocess.run(command, cwd=_ROOT, env=dict(os.environ), capture_output=True, check=False)
    return _children() - before


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
