"""What a run has measured so far, so that one that is cut off goes on where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from benchmarks.tables import Tables
from benchmarks.tasks import Scale
from bindery.page.dependencies import combined, paper_dependencies
from bindery.root import BENCHMARKS

__all__ = ["Kept"]


class Kept:
    """Tables on the disk, one file for each part of a run, of today's code and these sizes only.

    Args:
        root: The book's root.
        target: The folder that holds ``results/``: the root, or another for a trial.
        scale: How large everything is.
    """

    def __init__(self, root: Path, target: Path, scale: Scale) -> None:
        # Git and the checks of stored results pass this folder by.
        self._parent = target / "results" / "rows.part"
        what = combined({**paper_dependencies(root, BENCHMARKS), "scale": repr(scale)})
        self._folder = self._parent / f"{BENCHMARKS}-{what[:12]}"

    def get(self, part: str) -> Tables | None:
        """Return the tables of a part; None where it was not finished.

        Args:
            part: Its name.
        """
        path = self._folder / f"{part}.json"
        if not path.is_file():
            return None
        return {name: (title, table) for name, (title, table) in json.loads(path.read_text()).items()}

    def put(self, part: str, tables: Tables) -> None:
        """Keep the tables of a part that is finished.

        Args:
            part: Its name.
            tables: Name to title and columns.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f"{part}.tmp"
        draft.write_text(json.dumps(tables))
        draft.replace(self._folder / f"{part}.json")

    def clear(self) -> None:
        """Forget everything, also what earlier code measured."""
        for folder in self._parent.glob(f"{BENCHMARKS}-*"):
            shutil.rmtree(folder)
