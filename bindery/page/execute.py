"""Executing notebooks into pages: what is stale, in parallel, with the same bytes every time."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bindery.page import arithmetic, notebooks, run_times
from bindery.page.dependencies import combined, page_dependencies, stale, wanted
from bindery.page.kernels import Job, Outcome, environment, run_all
from bindery.page.pages import build_page
from bindery.page.sources import Sources
from bindery.root import BookError, require_root


def watched(jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Run notebooks and yield each outcome; on a terminal, under a bar over the cells of all."""
    # The injected cells count, too.
    cells = sum(1 + len(notebooks.code_cells(job.source)) for job in jobs)
    bar = tqdm(total=cells, unit="cell", leave=False, disable=None)

    def on_cell(job: Job) -> None:
        bar.set_description(job.stem, refresh=False)
        bar.update()

    # An interrupted run closes them, and its kernels are stopped.
    with closing(bar), closing(run_all(jobs, workers, on_cell=on_cell)) as running:
        yield from running


def tell(name: str, outcome: Outcome) -> None:
    """Say what became of a notebook, above the bar where there is one."""
    how = f"failed: {outcome.failure}" if outcome.failure else f"executed in {outcome.seconds:.1f} s"
    tqdm.write(f"{name} {how}", file=sys.stderr)


def execute(
    root: Path,
    stems: Sequence[str],
    *,
    parameters: Mapping[str, Any] | None = None,
    workers: int = 1,
    sources: Sources | None = None,
) -> list[Outcome]:
    """Execute notebooks into pages, which have the same bytes with any number of workers.

    A page is replaced when its notebook has run to its end; one that fails leaves its old page as it is and
    does not stop the others. Outcomes come in the order in which they ended.
    """
    sources = sources or Sources(root)
    jobs, carried = [], {}
    for stem in stems:
        own = wanted(sources, stem, parameters or {})
        jobs.append(Job(root, stem, sources.notebook(stem), own))
        # Read before the run: what is edited meanwhile makes the page stale.
        depends = page_dependencies(root, stem, sources)
        carried[stem] = {"dependencies": depends, "digest": combined(depends), "parameters": own}
    outcomes = []
    unit = run_times.seconds_of_a_unit(environment(root), min(workers, len(jobs))) if jobs else 1.0
    try:
        for outcome in watched(jobs, workers):
            outcomes.append(outcome)
            stem = outcome.job.stem
            if outcome.executed is not None:
                page = build_page(outcome.job.source, outcome.executed, carried[stem])
                notebooks.write(page, notebooks.page_path(root, stem))
            tell(stem, outcome)
    finally:
        _record_times(root, outcomes, unit)
    return outcomes


def _record_times(root: Path, outcomes: Iterable[Outcome], unit: float) -> None:
    done = {
        outcome.job.stem: run_times.RunTime(
            seconds=round(outcome.seconds, 1),
            cpu_seconds=round(outcome.cpu_seconds, 1),
            units=round(outcome.cpu_seconds / unit, 1),
            change_me=next(
                (
                    round(cell.metadata["papermill"]["duration"] / unit, 2)
                    for cell in notebooks.inviting(outcome.executed)
                ),
                None,
            ),
            peak_memory_mib=round(outcome.peak_bytes / 2**20),
            machine=run_times.machine(),
            versions=run_times.versions(),
        )
        for outcome in outcomes
        if outcome.executed is not None
    }
    if done:
        run_times.record(root, done)


def add_workers(parser: argparse.ArgumentParser) -> None:
    help_ = "notebooks that run at once (default: one per processor)"
    parser.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help=help_)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", help="notebooks, such as 01_classical_cs or 01 (default: all)")
    add_workers(parser)
    parser.add_argument("--all", action="store_true", help="execute also what is fresh")
    parser.add_argument("--profile", help="profile to use instead of the notebooks' own")
    parser.add_argument("--seed", type=int, help="seed to use instead of the notebooks' own")


def run(args: argparse.Namespace) -> int:
    root = require_root()
    given = {"profile": args.profile, "seed": args.seed}
    parameters = {key: value for key, value in given.items() if value is not None}
    chosen = notebooks.select(root, args.names)
    if not chosen:
        raise BookError("there are no notebooks: notebooks/ holds no .ipynb file")
    sources = Sources(root)
    why = stale(root, chosen, parameters, sources)
    todo = [stem for stem in chosen if args.all or stem in why]
    if not todo:
        print("every page is fresh" if not args.names else f"fresh already: {', '.join(chosen)}")
        return 0
    for stem in todo:
        print(f"{stem}: {'; '.join(why.get(stem, ['asked for']))}", flush=True)
    outcomes = execute(root, todo, parameters=parameters, workers=args.workers, sources=sources)
    if arithmetic.stored(root) and (parts := arithmetic.differing(root, environment(root))):
        print(f"{arithmetic.sentence(parts)}; to the byte these pages are this machine's only")
    return int(any(outcome.failure for outcome in outcomes))
