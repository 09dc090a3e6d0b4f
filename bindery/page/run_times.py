"""How long each page took, how much memory, with which versions and on what machine: kept beside the pages.

A page has the same bytes whenever it is executed, so none of this stands in it, and no digest covers it.

Processor seconds of two machines differ by a factor of three. A budget is therefore in units: processor
seconds over those of a fixed loop, in the same environment and beside the same load. One unit is about a
second of the machine that the first pages were made on; ``python -m bindery.page.run_times`` times it.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from bindery.page.arithmetic import applied
from bindery.root import BookError, replace

# Seconds of a unit where they have been measured already in this run.
GIVEN = "BOOK_UNIT"
# So many rounds are one unit; a third of them is timed, the least of three times.
_ROUNDS, _TIMED, _REPEATS = 600, 200, 3
_FILE = "results/run_times.json"
_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "matplotlib")


@dataclass(frozen=True)
class RunTime:
    """What one execution of a page took; ``None`` is what is not known, or there is not.

    ``change_me`` is what the cell took that a reader is invited to change, in units.
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


def loop(rounds: int) -> float:
    """Do what pages do: narrow products, elementwise functions, small systems, Python."""
    import torch

    source = torch.Generator().manual_seed(0)
    W = torch.randn(100, 40, generator=source, dtype=torch.float64) / 10
    z, total = torch.randn(64, 100, generator=source, dtype=torch.float64), 0.0
    for _ in range(rounds):
        for _ in range(10):
            h = (z @ W).tanh()
            z = (z + 0.01 * ((h * (1 - h * h)) @ W.mT).exp().clamp(max=2)) * 0.99
            z = z - 1e-6 * z.sign() * z.abs().clamp(min=1e-3)
        S = z[:30] @ z[:30].mT + 30 * torch.eye(30, dtype=torch.float64)
        total += float(torch.linalg.solve(S, z[:30]).sum()) + float(torch.linalg.eigvalsh(S).sum())
        total += sum(i * 0.5 for i in range(2000))
    return total


def seconds_of_a_unit(environment: Mapping[str, str | None], copies: int = 1) -> float:
    """Return the processor seconds of a unit, the mean of so many copies side by side, as notebooks run."""
    if GIVEN in os.environ:
        return float(os.environ[GIVEN])
    words = [sys.executable, "-P", "-m", "bindery.page.run_times"]
    pipe = subprocess.PIPE
    own = applied(environment)
    started = [subprocess.Popen(words, env=own, stdout=pipe, stderr=pipe, text=True) for _ in range(copies)]
    said = [process.communicate() for process in started]
    if any(process.returncode for process in started):
        raise BookError(f"the calibration loop cannot be run: {said[0][1].strip()[-300:]}")
    return sum(float(output) for output, _ in said) / copies


if __name__ == "__main__":
    loop(_TIMED // 20)
    times = []
    for _ in range(_REPEATS):
        begun = time.process_time()
        loop(_TIMED)
        times.append(time.process_time() - begun)
    print(min(times) * _ROUNDS / _TIMED)
