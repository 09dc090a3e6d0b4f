"""Which pages are tried in a machine's own arithmetic: every lesson, and one evidence page in turn."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bindery.page import notebooks
from bindery.root import require_root

__all__ = ["add_arguments", "chosen", "run"]

_EVIDENCE = "_evidence"


def chosen(stems: Sequence[str], number: int) -> list[str]:
    """Return every lesson, and the evidence page whose turn it is.

    Args:
        stems: All pages.
        number: Whose turn it is: it goes round with this.

    >>> chosen(["01_a", "01_a_evidence", "02_b", "02_b_evidence"], 3)
    ['01_a', '02_b', '02_b_evidence']
    """
    evidence = [stem for stem in stems if stem.endswith(_EVIDENCE)]
    lessons = [stem for stem in stems if stem not in evidence]
    return [*lessons, evidence[number % len(evidence)]] if evidence else lessons


def _commits(root: Path) -> int:
    """How many commits led here: each change has its own turn, and everybody who checks it the same."""
    try:
        words = ["git", "rev-list", "--count", "HEAD"]
        return int(subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare that the command takes no arguments.

    Args:
        parser: The parser of the ``turn`` command.
    """
    parser.set_defaults(names=[])


def run(args: argparse.Namespace) -> int:
    """Print the files of the pages, for nbval.

    Args:
        args: The parsed command line.

    Returns:
        0.
    """
    del args
    root = require_root()
    stems = notebooks.page_stems(root)
    names = chosen(stems, _commits(root))
    print(" ".join(f"book/{stem}.ipynb" for stem in names))
    return 0
