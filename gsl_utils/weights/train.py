"""The command that trains a VAE of ours: ``python -m gsl_utils.weights.train mnist --seed 0 --out FOLDER``.

A run that was killed goes on with the same command. To ship what it wrote, the weights and their card are
copied beside this file as ``vae-NAME.safetensors`` and ``vae-NAME.md``, and their sum is written into
``shipped.py``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gsl_utils.weights.recipes import RECIPES
from gsl_utils.weights.training import train

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> int:
    """Train what the words of the command line ask for, one seed after the other; returns the exit status.

    What is missing or wrong is said in one sentence on the standard error stream, with status 1.

    Described in the model cards.

    >>> main(["mnist", "--seed", "-1", "--out", "decoders"])
    1
    """
    parser = argparse.ArgumentParser(
        prog="python -m gsl_utils.weights.train", description="Train a VAE of ours."
    )
    parser.add_argument("name", choices=RECIPES, help="the recipe")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="one or more seeds (default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="the folder that the files go to")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    asked = parser.parse_args(words)
    for seed in asked.seed:
        try:
            path = train(asked.name, seed, asked.out, progress=not asked.quiet)
        except (ValueError, OSError, ImportError, FloatingPointError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
        sys.stdout.write(f"{path} and its card\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
