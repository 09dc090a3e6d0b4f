"""One chapter at the papers' scale: run by hand, stored with where its numbers came from."""

import argparse
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bindery.claims.recorded import chapter_of
from bindery.claims.records import read
from bindery.page import notebooks, run_times
from bindery.page.dependencies import combined, paper_dependencies, wanted
from bindery.page.execute import tell, watched
from bindery.page.kernels import Job, Outcome
from bindery.page.pages import build_page
from bindery.page.sources import Sources
from bindery.root import BookError, git_if_there, require_root


def commit(root: Path) -> dict[str, Any]:
    """Return the commit that a run starts from, and whether a file that git knows differs from it."""
    head = git_if_there(root, "rev-parse", "HEAD")
    changed = git_if_there(root, "status", "--porcelain", "--untracked-files=no")
    if head is None or changed is None:
        return {"commit": None, "dirty": None}
    return {"commit": head.strip(), "dirty": bool(changed.strip())}


def provenance(outcome: Outcome, sources: dict[str, str], state: dict[str, Any]) -> dict[str, Any]:
    """Return where the numbers of a run came from: what it was made of, and what it took."""
    import torch

    return {
        **state,
        "sources": sources,
        "parameters": dict(outcome.job.parameters),
        "versions": run_times.versions(),
        "machine": run_times.machine(),
        "device": f"cuda ({torch.cuda.get_device_name()})" if torch.cuda.is_available() else "cpu",
        "threads": outcome.job.threads,
        "seconds": round(outcome.seconds, 1),
        "cpu_seconds": round(outcome.cpu_seconds, 1),
        "peak_memory_mib": round(outcome.peak_bytes / 2**20),
    }


def replayed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of a run that was replayed: its own, with today's sources, and the replay's."""
    words = ("commit", "dirty", "versions", "machine", "device", "seconds", "cpu_seconds")
    return {**old, "sources": new["sources"], "replay": {word: new[word] for word in words}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the notebook, such as 01_classical_cs_evidence")
    parser.add_argument("--seed", type=int, help="seed to use instead of the notebook's own")
    threads = "threads of the kernel (default: 1)"
    parser.add_argument("--threads", type=int, default=1, metavar="N", help=threads)
    replay = "try one seed of each sweep, and renew the stamp where it agrees"
    parser.add_argument("--replay", action="store_true", help=replay)


def run(args: argparse.Namespace) -> int:
    # Imported here: pages and `--help` need neither figures nor stored results.
    from bindery.runs import kept, results, stored

    root = require_root()
    if args.threads < 1:
        raise BookError(f"--threads is {args.threads}; it must be at least 1")
    (stem,) = notebooks.select(root, [args.name])
    if chapter_of(stem) not in read(root).chapters:
        raise BookError(f"{stem} is of no chapter of the claims; it has no results at the papers' scale")
    before = stored.read(root, stem)
    if args.replay and before is None:
        raise BookError(f"results/{stem} holds nothing to replay; run it")
    book = Sources(root)
    parameters = wanted(book, stem, {"profile": "paper"} | ({} if args.seed is None else {"seed": args.seed}))
    sources, state = paper_dependencies(root, stem, book), commit(root)
    code = combined(sources)
    os.environ[kept.RUN] = f"{stem} {code}"
    if args.replay:
        os.environ[kept.REPLAY] = "1"
    # Hours long, and compared with nothing to the byte: in whatever arithmetic is fastest here.
    job = Job(root, stem, book.notebook(stem), parameters, args.threads, arithmetic="own")
    (outcome,) = watched([job], 1)
    tell(stem, outcome)
    if outcome.executed is None:
        return 1
    page = build_page(job.source, outcome.executed, {"parameters": parameters})
    told, computed = provenance(outcome, sources, state), kept.unfinished(root, stem, code).glob("*.csv")
    rows = {file.stem: file.read_bytes() for file in computed}
    if args.replay and before is not None:
        told = replayed(before.provenance, told)
        files = (name for name in before.files if name.startswith(f"{stored.ROWS}/"))
        rows = {Path(name).stem: (before.folder / name).read_bytes() for name in files}
    results.store(page, stem, told, root, rows)
    for folder in (root / "results" / kept.PARTS).glob(f"{stem}-*"):
        shutil.rmtree(folder)
    print(f"stored in {root / 'results' / stem}")
    return 0
