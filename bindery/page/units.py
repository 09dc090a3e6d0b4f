"""What a second is worth on this machine: ``python -m bindery.page.units`` times a fixed loop.

Processor seconds of two machines differ by a factor of three. A budget is therefore in units: processor
seconds over those of this loop, in the same environment and beside the same load. One unit is about a second
of the machine that the first pages were made on.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping

from bindery.page.arithmetic import applied
from bindery.root import BookError

# Seconds of a unit where they have been measured already in this run.
GIVEN = "BOOK_UNIT"
# So many rounds are one unit; a third of them is timed, the least of three times.
_ROUNDS, _TIMED, _REPEATS = 600, 200, 3


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
    words = [sys.executable, "-P", "-m", "bindery.page.units"]
    pipe = subprocess.PIPE
    own = applied(environment)
    started = [subprocess.Popen(words, env=own, stdout=pipe, stderr=pipe, text=True) for _ in range(copies)]
    said = [process.communicate() for process in started]
    if any(process.returncode for process in started):
        raise BookError(f"the calibration loop cannot be run: {said[0][1].strip()[-300:]}")
    return sum(float(output) for output, _ in said) / copies


def main() -> None:
    loop(_TIMED // 20)
    times = []
    for _ in range(_REPEATS):
        begun = time.process_time()
        loop(_TIMED)
        times.append(time.process_time() - begun)
    print(min(times) * _ROUNDS / _TIMED)


if __name__ == "__main__":
    main()
