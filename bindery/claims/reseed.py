"""Do the verdicts depend on the seed? Every page executed with other seeds, and its verdicts compared."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from bindery.page import notebooks
from bindery.page.execute import Progress, add_workers
from bindery.page.kernels import Job, run_all
from bindery.page.pages import build_page
from bindery.root import BookError, require_root

__all__ = ["add_arguments", "disagreements", "run", "table", "verdicts"]

Verdicts = dict[str, str]


def verdicts(root: Path, page: Path) -> tuple[Verdicts, list[str]]:
    """Return what an executed page says of the claims that it records.

    Args:
        root: The book's root, whose records judge.
        page: An executed page of any seed, named like its chapter.

    Returns:
        Claim id to the verdict's word, and what could not be read, one sentence each.
    """
    from bindery.claims.recorded import from_page
    from bindery.claims.records import read
    from bindery.claims.verdicts import decide

    records = read(root)
    recorded = from_page(root, page, records, profile=None)
    found = {
        claim: decide(records.claims[claim], measured).word
        for claim, measured in sorted(recorded.measurements.items())
    }
    return found, recorded.problems


def disagreements(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the claims whose verdicts are not the same under every seed.

    Args:
        found: Claim id to a mapping from the run's name to its verdict.

    Returns:
        Claim ids, sorted; one that a run did not record disagrees.

    >>> disagreements({"a": {"seed 0": "reproduced", "seed 1": "not settled"}, "b": {"seed 0": "void"}})
    ['a']
    """
    return sorted(claim for claim, words in found.items() if len(set(words.values())) > 1)


def table(found: Mapping[str, Mapping[str, str]], runs: Sequence[str]) -> str:
    """Return the verdicts as a table in plain text.

    Args:
        found: Claim id to a mapping from the run's name to its verdict.
        runs: The runs, in the order of the columns.

    Returns:
        One line per claim below a header; a claim whose verdicts differ is marked with an asterisk.

    >>> print(table({"a": {"seed 0": "reproduced", "seed 1": "void"}}, ["seed 0", "seed 1"]))
      claim  seed 0      seed 1
    * a      reproduced  void
    """
    rows = [["claim", *runs], *([claim, *(found[claim][run] for run in runs)] for claim in sorted(found))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    marked = dict.fromkeys(disagreements(found), "* ")
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(
        f"{marked.get(row[0], '  ')}{line}".rstrip() for row, line in zip(rows, lines, strict=True)
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the ``seeds`` command.

    Args:
        parser: Its parser.
    """
    parser.add_argument("names", nargs="*", help="notebooks, such as 01_classical_cs or 01 (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="the other seeds (default: 1 2)")
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Execute every page with other seeds and print which verdicts do not agree with the committed page's.

    Nothing in the book is changed: the other pages are kept in a temporary folder.

    Args:
        args: The parsed command line.

    Returns:
        0 when all verdicts agree, 1 when one does not or a notebook failed.

    Raises:
        BookError: A page was never executed, or a name fits no notebook.
    """
    root = require_root()
    stems = notebooks.select(root, args.names)
    missing = [stem for stem in stems if not notebooks.page_path(root, stem).is_file()]
    if missing:
        raise BookError(f"{', '.join(missing)} must be executed first: python -m bindery execute")
    runs = ["page", *(f"seed {seed}" for seed in args.seeds)]
    with tempfile.TemporaryDirectory(prefix="seeds-") as scratch:
        pages = {"page": {stem: notebooks.page_path(root, stem) for stem in stems}}
        executed, failed = _execute(root, stems, args.seeds, args.workers, Path(scratch))
        pages |= executed
        # A notebook that failed has been reported; its claims cannot be compared.
        whole = [stem for stem in stems if all(stem in files for files in pages.values())]
        found, troubles = _compare(
            root, {name: [files[stem] for stem in whole] for name, files in pages.items()}
        )
    for line in [*failed, *troubles]:
        print(line)
    differ = disagreements(found)
    if found:
        print(table(found, runs))
    print(f"{len(differ)} of {len(found)} verdicts depend on the seed" if found else "no verdicts to compare")
    return int(bool(differ or failed or troubles))


def _execute(
    root: Path, stems: Sequence[str], seeds: Sequence[int], workers: int, folder: Path
) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Return the pages of each seed, and a line for each notebook that failed."""
    sources = {stem: notebooks.read(notebooks.notebook_path(root, stem)) for stem in stems}
    jobs = []
    for seed in seeds:
        for stem, source in sources.items():
            parameters = {**notebooks.default_parameters(source, f"notebooks/{stem}.ipynb"), "seed": seed}
            jobs.append(Job(root, stem, parameters))
    pages: dict[str, dict[str, Path]] = {f"seed {seed}": {} for seed in seeds}
    failed = []
    cells = sum(1 + len(notebooks.code_cells(source)) for source in sources.values())
    with (
        closing(Progress(cells * len(seeds))) as progress,
        closing(run_all(jobs, workers, on_cell=progress.cell)) as running,
    ):
        for outcome in running:
            stem, name = outcome.job.stem, f"seed {outcome.job.parameters['seed']}"
            if outcome.executed is None:
                failed.append(f"{stem} with {name} failed: {outcome.failure}")
            else:
                page = build_page(
                    outcome.source, outcome.executed, {"parameters": dict(outcome.job.parameters)}
                )
                pages[name][stem] = folder / name / f"{stem}.ipynb"
                notebooks.write(page, pages[name][stem])
                progress.say(f"{stem} with {name} executed in {outcome.seconds:.1f} s")
    return pages, failed


def _compare(root: Path, pages: Mapping[str, Sequence[Path]]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return claim to run to verdict, and what could not be read."""
    by_run: dict[str, Verdicts] = {name: {} for name in pages}
    troubles = []
    for name, files in pages.items():
        for page in files:
            words, problems = verdicts(root, page)
            by_run[name] |= words
            troubles += [f"{name}: {problem}" for problem in problems]
    claims = sorted(set().union(*by_run.values()))
    return {claim: {name: by_run[name].get(claim, "-") for name in pages} for claim in claims}, troubles
