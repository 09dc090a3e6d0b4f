"""The largest memory that a CSGM run takes, in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Memory", "peak_memory"]


@dataclass(frozen=True)
class Memory:
    """The largest resident memory of a process, in MiB.

    Attributes:
        method: What ran in it.
        before: With everything imported and the problem drawn.
        peak: At the end.
    """

    method: str
    before: float
    peak: float


def peak_memory(size: dict[str, object]) -> list[Memory]:
    """Run CSGM in both ways of batching, each in a fresh process, for a few steps: later ones take no more.

    Args:
        size: The fields of ``benchmarks.csgm.CsgmSize``.
    """
    found = []
    for method in ("gsl_utils", "batch, published way"):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.memory", method, json.dumps(size)],
            cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.append(Memory(**json.loads(done.stdout)))
    return found


def _resident() -> float:
    """The largest resident memory so far in MiB.

    Where Linux tells it, that of this program alone: what the system counts for the process goes on from the
    parent's. macOS counts in bytes, other systems in KiB.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
    except (OSError, StopIteration):
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest / 2**20 if sys.platform == "darwin" else largest / 2**10


def _main(method: str, size: str) -> None:
    from benchmarks.csgm import CsgmSize, batch_as_published, csgm_problem, ours

    problem = csgm_problem(CsgmSize(**json.loads(size)), seed=1)
    before = _resident()
    {"gsl_utils": ours, "batch, published way": batch_as_published}[method](problem)
    print(json.dumps(asdict(Memory(method, round(before), round(_resident())))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
