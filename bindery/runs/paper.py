"""One chapter at the papers' scale: run by hand, stored with where its numbers came from."""

from __future__ import annotations

import argparse
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from bindery.claims.schema import CHAPTERS
from bindery.page import notebooks, run_times
from bindery.page.dependencies import paper_dependencies
from bindery.page.execute import Progress
from bindery.page.kernels import Job, Outcome, run_all
from bindery.page.pages import build_page
from bindery.root import BookError, require_root

__all__ = ["add_arguments", "commit", "provenance", "run"]


def commit(root: Path) -> dict[str, Any]:
    """Return the state of the repository that a run starts from.

    Args:
        root: The book's root.

    Returns:
        ``commit``, the full hash or ``None`` outside of a repository, and ``dirty``, whether a file that git
        knows differs from it.
    """
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": head.strip(), "dirty": bool(changed.strip())}


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout


def _device() -> str:
    """Return the device that torch would compute on."""
    import torch

    return f"cuda ({torch.cuda.get_device_name()})" if torch.cuda.is_available() else "cpu"


def provenance(outcome: Outcome, sources: dict[str, str], state: dict[str, Any]) -> dict[str, Any]:
    """Return where the numbers of a run came from.

    Args:
        outcome: A run that reached its end.
        sources: What the numbers depend on, each with its digest, as they were when the run began.
        state: The repository at that time, as ``commit`` returns it.

    Returns:
        ``commit``, ``dirty``, ``sources``, ``parameters`` (the seed among them), ``versions``, ``machine``,
        ``device``, ``threads``, ``seconds``, ``cpu_seconds`` and ``peak_memory_mib``.
    """
    cpu, peak = outcome.cpu_seconds, outcome.peak_bytes
    return {
        **state,
        "sources": sources,
        "parameters": dict(outcome.job.parameters),
        "versions": run_times.versions(),
        "machine": run_times.machine(),
        "device": _device(),
        "threads": outcome.job.threads,
        "seconds": round(outcome.seconds, 1),
        "cpu_seconds": None if cpu is None else round(cpu, 1),
        "peak_memory_mib": None if peak is None else round(peak / 2**20),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the ``paper`` command.

    Args:
        parser: Its parser.
    """
    parser.add_argument("chapter", help="the chapter, such as 01_classical_cs or 01")
    parser.add_argument("--seed", type=int, help="seed to use instead of the notebook's own")
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads of the kernel (default: 1, as for pages)"
    )


def run(args: argparse.Namespace) -> int:
    """Run a chapter at the papers' scale and store its results.

    Args:
        args: The parsed command line.

    Returns:
        0 when the results are stored, 1 when the notebook failed.

    Raises:
        BookError: No page, or more than one, has that name; it is no chapter; or ``--threads`` is below 1.
    """
    # Imported here: pages and `--help` need neither figures nor stored results.
    from bindery.runs import results

    root = require_root()
    if args.threads < 1:
        raise BookError(f"--threads is {args.threads}; it must be at least 1")
    (stem,) = notebooks.select(root, [args.chapter])
    if stem not in CHAPTERS:
        raise BookError(f"{stem} is no chapter of the claims; it has no results at the papers' scale")
    notebook = notebooks.read(notebooks.notebook_path(root, stem))
    parameters = {**notebooks.default_parameters(notebook, f"notebooks/{stem}.ipynb"), "profile": "paper"}
    if args.seed is not None:
        parameters["seed"] = args.seed
    sources, state = paper_dependencies(root, stem), commit(root)
    # Hours long, and compared with nothing to the byte: in whatever arithmetic is fastest here.
    job = Job(root, stem, parameters, args.threads, arithmetic="own")
    with closing(Progress(1 + len(notebooks.code_cells(notebook)))) as progress:
        (outcome,) = run_all([job], 1, on_cell=progress.cell)
        progress.done(outcome)
    if outcome.executed is None:
        return 1
    page = build_page(outcome.source, outcome.executed, {"parameters": parameters})
    results.store(page, stem, provenance(outcome, sources, state), root)
    print(f"stored in {root / 'results' / stem}")
    return 0
