"""How long each page took, how much memory, with which versions and on what machine: kept beside the pages.

A page has the same bytes whenever it is executed, so none of this stands in it, and no digest covers it.
"""

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from bindery.root import BookError, replace

_FILE = "results/run_times.json"
_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "matplotlib")


@dataclass(frozen=True)
class RunTime:
    """What one execution of a page took; ``None`` is what is not known, or there is not.

    ``units`` are those of ``bindery.page.units``, which other machines share; ``change_me`` is what the cell
    took that a reader is invited to change, in units.
    """

    seconds: float
    cpu_seconds: float | None
    units: float | None
    change_me: float | None
    peak_memory_mib: float | None
    machine: str
    versions: dict[str, str]


def versions() -> dict[str, str]:
    """Return the versions of Python and of those packages, if installed, that decide what a page computes."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def machine() -> str:
    """Return what this machine is, without its name: ``"Linux x86_64, AMD EPYC 7B13, 2 cores, 24 GiB"``."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        chip = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        chip = platform.processor()
    parts = [f"{platform.system()} {platform.machine()}", chip, f"{os.cpu_count()} cores"]
    return ", ".join(part for part in [*parts, f"{memory:.0f} GiB"] if part)


def read(root: Path) -> dict[str, RunTime]:
    file = root / _FILE
    try:
        table = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return {stem: RunTime(**fields) for stem, fields in table.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BookError(f"{_FILE} is torn ({error}): remove it, and execute writes it anew") from None


def record(root: Path, runs: Mapping[str, RunTime]) -> None:
    """Write down the runs of some pages; those of other notebooks stay, of notebooks that are gone go."""
    known = {**read(root), **runs}
    table = {stem: asdict(run) for stem, run in known.items() if (root / f"notebooks/{stem}.ipynb").is_file()}
    replace(root / _FILE, json.dumps(table, indent=1, sort_keys=True) + "\n")
