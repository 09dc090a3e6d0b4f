"""Running notebooks, each in a process of its own, several at once, all in the same environment."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from bindery.page import arithmetic as arithmetics


def environment(root: Path, threads: int = 1, arithmetic: str = "book") -> dict[str, str | None]:
    """Return the variables that every kernel and test runs under; ``None`` is one that must not be set.

    A page imports the book's packages from its root, whatever else is installed.
    """
    return {
        **arithmetics.variables(arithmetic),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        # Waiting threads that spin slow down the notebooks beside them.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(root),
        # A page shows its warnings and figures as they are, not as this machine's user likes them.
        "PYTHONWARNINGS": None,
        "MPLBACKEND": None,
        "MATPLOTLIBRC": str(distribution("matplotlib").locate_file("matplotlib/mpl-data/matplotlibrc")),
    }


@dataclass(frozen=True)
class Job:
    """A notebook to run with these parameters."""

    root: Path
    stem: str
    source: NotebookNode
    parameters: Mapping[str, Any]
    threads: int = 1
    # As for `bindery.page.arithmetic.variables`: pages have the book's.
    arithmetic: str = "book"


@dataclass(frozen=True)
class Outcome:
    """What became of a job: an executed notebook, or why it did not run to its end, and what it took."""

    job: Job
    executed: NotebookNode | None
    failure: str | None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0


def run_all(
    jobs: Sequence[Job], workers: int, *, on_cell: Callable[[Job], object] | None = None
) -> Generator[Outcome, None, None]:
    """Run notebooks and yield each outcome as it comes; one that fails does not stop the others."""
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    live: set[subprocess.Popen[str]] = set()
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(_run, job, on_cell, live) for job in jobs]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            # Only an interrupted run leaves anything to stop; a kernel ends when its process does.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in tuple(live):
                process.terminate()


def _run(job: Job, on_cell: Callable[[Job], object] | None, live: set[subprocess.Popen[str]]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="book-") as scratch:
        order, result, complaints = (Path(scratch, name) for name in ("job.json", "outcome.json", "stderr"))
        folder = job.root / "book"
        folder.mkdir(exist_ok=True)
        # An IPython profile of its own: start-up files of the machine's user must not reach the page.
        variables = {**environment(job.root, job.threads, job.arithmetic), "IPYTHONDIR": scratch}
        wanted = {"notebook": nbformat.v4.writes(job.source), "parameters": dict(job.parameters)}
        wanted |= {"folder": str(folder), "environment": variables}
        order.write_text(json.dumps(wanted), encoding="utf-8")
        # The machinery that runs the book may be another than the package that the book's pages import.
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
        with complaints.open("w", encoding="utf-8") as errors:
            words = [sys.executable, "-P", "-m", "bindery.page.worker", str(order), str(result)]
            own = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
            pipe, none = subprocess.PIPE, subprocess.DEVNULL
            process = subprocess.Popen(words, stdin=none, stdout=pipe, stderr=errors, text=True, env=own)
        with process:
            live.add(process)
            for _ in process.stdout or ():
                if on_cell is not None:
                    on_cell(job)
        live.discard(process)
        if process.returncode or not result.is_file():
            tail = complaints.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:]
            why = f"the process that ran it ended with status {process.returncode}"
            return Outcome(job, None, "\n    ".join([why, *tail]))
        raw = json.loads(result.read_text(encoding="utf-8"))
    text = raw.pop("notebook")
    return Outcome(job, nbformat.v4.reads(text) if text else None, **raw)
