"""The quick check of everything that can be checked without executing or rendering a page."""

import argparse
import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bindery.root import require_root

Check = Callable[[Path], list[str]]


def _tool(*command: str) -> Check:
    """Return a check that runs a Python tool in the book's root; what the tool prints are the problems."""

    def problems(root: Path) -> list[str]:
        whole = [sys.executable, "-m", *command]
        done = subprocess.run(whole, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return []
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        return lines or [f"{command[0]} ended with status {done.returncode}"]

    return problems


def _stripped(root: Path) -> list[str]:
    """Return the notebooks that hold outputs or execution counts; their cells' ids are kept."""
    files = sorted(str(path.relative_to(root)) for path in (root / "notebooks").glob("*.ipynb"))
    found = _tool("nbstripout", "--verify", "--keep-id", *files)(root) if files else []
    return [f"{line} (python -m nbstripout --keep-id FILE mends it)" for line in found]


def _module(name: str) -> Check:
    """Return a check that a module of the book makes; it is imported only when the check runs."""
    return lambda root: list(importlib.import_module(f"bindery.{name}").problems(root))


CHECKS: dict[str, Check] = {
    "types (mypy)": _tool("mypy", "--no-error-summary", "--no-color-output"),
    "style (ruff check)": _tool("ruff", "check", "--quiet", "--output-format", "concise", "."),
    "notebooks without outputs (nbstripout)": _stripped,
    "fresh pages": _module("page.dependencies"),
    "ledger of claims": _module("claims.ledger"),
    "histories of claims": _module("claims.history"),
    "numbers in prose": _module("lint.literals"),
    "figures and their numbers": _module("figures.bundle"),
    "stored results": _module("runs.results"),
    "environment files": _module("lint.environment"),
    "calls that a processor decides": _module("lint.vendor"),
    "lessons": _module("lint.lesson"),
}


def check(root: Path, checks: dict[str, Check] | None = None) -> dict[str, list[str]]:
    chosen = CHECKS if checks is None else checks
    with ThreadPoolExecutor(2) as pool:
        waiting = {name: pool.submit(_guarded, function, root) for name, function in chosen.items()}
        return {name: future.result() for name, future in waiting.items()}


def _guarded(function: Check, root: Path) -> list[str]:
    try:
        return function(root)
    except Exception as error:
        return [f"the check itself broke: {type(error).__name__}: {error}"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print problems only")


def run(args: argparse.Namespace) -> int:
    begun = time.perf_counter()
    found = check(require_root())
    for name, problems in found.items():
        if problems:
            print(f"{name}: {len(problems)} problem{'s' if len(problems) > 1 else ''}", *problems, sep="\n  ")
        elif not args.quiet:
            print(f"{name}: well")
    bad = [name for name, problems in found.items() if problems]
    if bad or not args.quiet:
        how = f"problems in {len(bad)} of {len(found)} checks" if bad else f"{len(found)} checks, all well"
        print(f"{how} ({time.perf_counter() - begun:.0f} s)")
    return int(bool(bad))
