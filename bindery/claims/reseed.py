"""Do the verdicts depend on the seed? Every page executed with other seeds, and its verdicts stored."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bindery.claims.recorded import Recorded
from bindery.claims.records import read
from bindery.claims.verdicts import decide
from bindery.emit import claims_of
from bindery.page.dependencies import combined, paper_dependencies
from bindery.root import BookError, replace, require_root

FILE = "results/seeds.json"
# Claim id to seed to the verdict's word.
Words = dict[str, dict[str, str]]


def verdicts(root: Path, stem: str, page: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Return claim to verdict of a page executed with any seed, and what could not be read."""
    records, recorded = read(root), Recorded()
    recorded.add(claims_of(page), stem, stem, records, profile=None)
    measured = sorted(recorded.measurements.items())
    return {claim: decide(records.claims[claim], one).word for claim, one in measured}, recorded.problems


def depending(words: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the claims whose verdicts are not the same under every seed, sorted."""
    return sorted(claim for claim, said in words.items() if len(set(said.values())) > 1)


def stored(root: Path) -> Words:
    """Return what the last ``make seeds`` found; a seed's name says so where its page has changed since."""
    file = root / FILE
    if not file.is_file():
        return {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        pages = {stem: page["digest"] == _digest(root, stem) for stem, page in kept.items()}
        return {
            claim: {seed if pages[stem] else f"{seed}, of an older page": word for seed, word in said.items()}
            for stem, page in kept.items()
            for claim, said in page["claims"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BookError(f"{FILE} is torn ({error!r}): bring it back, or run make seeds") from None


def _digest(root: Path, stem: str) -> str:
    """The digest of what decides a page's numbers: another sentence on it makes no run an older one."""
    try:
        return combined(paper_dependencies(root, stem))
    except BookError:
        return ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from bindery.page.execute import add_workers

    parser.add_argument("names", nargs="*", help="notebooks, such as 01_classical_cs or 01 (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="the other seeds (default: 1 2)")
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    from bindery.page import notebooks
    from bindery.page.dependencies import wanted
    from bindery.page.execute import tell, watched
    from bindery.page.kernels import Job
    from bindery.page.sources import Sources

    root = require_root()
    sources = Sources(root)
    chosen = [(stem, notebooks.page_path(root, stem)) for stem in notebooks.select(root, args.names)]
    pages = {stem: verdicts(root, stem, notebooks.read(path))[0] for stem, path in chosen if path.is_file()}
    if not pages:
        raise BookError("no page was executed: python -m bindery execute")
    said = {stem: {claim: {"page": word} for claim, word in found.items()} for stem, found in pages.items()}
    jobs = [
        Job(root, stem, sources.notebook(stem), wanted(sources, stem, {"seed": seed}))
        for stem in pages
        for seed in args.seeds
    ]
    failed = []
    for outcome in watched(jobs, args.workers):
        stem, seed = outcome.job.stem, str(outcome.job.parameters["seed"])
        name = f"{stem} with seed {seed}"
        if outcome.executed is None:
            failed.append(f"{name} failed: {outcome.failure}")
            continue
        found, problems = verdicts(root, stem, outcome.executed)
        failed += [f"{name}: {problem}" for problem in problems]
        for claim, word in found.items():
            said[stem].setdefault(claim, {})[seed] = word
        tell(name, outcome)
    for line in failed:
        print(line)
    words = {claim: row for page in said.values() for claim, row in page.items()}
    differ = depending(words)
    for claim in differ:
        ran = [seed for seed in ("page", *map(str, args.seeds)) if seed in words[claim]]
        print(f"{claim}: " + ", ".join(f"{seed} {words[claim][seed]}" for seed in ran))
    print(f"{len(differ)} of {len(words)} verdicts depend on the seed")
    if not failed:
        _store(root, said)
    return int(bool(differ or failed))


def _store(root: Path, said: Mapping[str, Words]) -> None:
    file = root / FILE
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for stem, words in said.items():
        others = {
            claim: {seed: word for seed, word in row.items() if seed != "page"}
            for claim, row in words.items()
        }
        if others:
            kept[stem] = {"digest": _digest(root, stem), "claims": others}
    replace(file, json.dumps(kept, indent=1, sort_keys=True) + "\n")
