"""What an author of a page writes with: one object that draws, measures, claims and shows.

Everything travels in the page's own outputs. A value is a glue output, which prose reads with
``{glue:text}``; a claim is an output of its own kind, which the ledger reads from the executed page; a figure
stands beside the numbers that it was drawn from. Outside of a notebook the same calls print.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bindery.claims.schema import PROFILES
from bindery.claims.statement import Datum, statement
from bindery.emit import CLAIM_MIME, Registry, display, glue, glue_text

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from matplotlib.figure import Figure

    from bindery.runs.stored import Stored
    from bindery.runs.sweep import Grid, Row

__all__ = ["Page"]


class Page:
    """A page that is being executed: its randomness, and everything that it says.

    Sets the book's style for figures, and float64 as torch's default.

    Args:
        profile: ``"quick"`` or ``"paper"``.
        seed: The page's seed, at least 0.

    Raises:
        TypeError: ``seed`` is not a whole number.
        ValueError: ``profile`` is unknown, or ``seed`` is negative.

    >>> page = Page("quick", seed=0)
    >>> page.value("noise-slope", 1.00123456)
    noise-slope = 1.00123
    """

    def __init__(self, profile: str, seed: int) -> None:
        import torch

        from bindery.figures.plotting import use_style

        if profile not in PROFILES:
            raise ValueError(f"profile was {profile!r}; it must be 'quick' or 'paper'")
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise TypeError(f"seed was {seed!r}; it must be a whole number")
        if seed < 0:
            raise ValueError(f"seed was {seed}; it must be at least 0")
        self.profile, self.seed = profile, int(seed)
        self._registry = Registry()
        use_style()
        torch.set_default_dtype(torch.float64)

    @property
    def paper(self) -> bool:
        """Whether the page runs at the papers' scale."""
        return self.profile == "paper"

    def stream(self, name: str, replicate: int = 0) -> torch.Generator:
        """Return a generator of random numbers of its own for a purpose, and for a replicate of it.

        Its seed is a checksum of the page's seed, the name and the replicate, so that no experiment moves the
        numbers of another.

        Args:
            name: What the numbers are for, such as ``"noise"``.
            replicate: The seed or model that they belong to.

        >>> page = Page("quick", seed=0)
        >>> page.stream("noise").initial_seed() == page.stream("noise").initial_seed()
        True
        """
        import torch

        return torch.Generator().manual_seed(zlib.crc32(f"{self.seed} {name} {replicate}".encode()))

    def value(self, key: str, value: float | int | str | Sequence[float]) -> None:
        """Make a value available to the prose, as ``{glue:text}`` with its key and a format.

        Args:
            key: Lower-case letters, digits, dots, hyphens and underscores, such as ``"noise-slope"``.
            value: A number, rounded to six significant digits; one line of text; or ``(value, low, high)``,
                published under ``key``, ``key-low`` and ``key-high``.

        Raises:
            TypeError: ``value`` is none of these.
            ValueError: The key is malformed or published already, or a number is not finite, or the text is
                not one line.
        """
        values: dict[str, Any] = {key: value}
        if isinstance(value, tuple | list):
            if len(value) != 3:
                raise ValueError(f"the value of {key} was {value!r}; it must be (value, low, high)")
            values = dict(zip((key, f"{key}-low", f"{key}-high"), value, strict=True))
        texts = {name: glue_text(name, item) for name, item in values.items()}
        self._registry.take(texts)
        for name, text in texts.items():
            if not glue(name, text):
                print(f"{name} = {text}")

    def claim(
        self,
        claim_id: str,
        quantities: Datum | Mapping[str, Datum],
        control: Datum | Mapping[str, Datum] | None = None,
        *,
        unit: str = "seed",
        note: str = "",
    ) -> None:
        """Record what was measured for a claim; its verdict follows from the claim's record and this alone.

        Shows one readable line, stores the numbers in the page's outputs, and publishes for the prose
        ``<id>``, ``<id>.low``, ``<id>.high``, the same of the control (``<id>.control`` and so on; of a claim
        with several quantities ``<id>.<quantity>``), and ``<id>.verdict``.

        Args:
            claim_id: The id of a record in ``claims/``.
            quantities: The one measured quantity, or a mapping of all by name: an array with one value per
                seed, which gets Student's interval, or what ``counts``, ``slope``, ``by_seed``, ``exact`` or
                ``interval`` of ``bindery.claims.intervals`` make.
            control: The same of the broken variant at the same seeds and sizes; None for a claim without one.
            unit: What one unit is: ``"seed"``, ``"trained model"``, ``"trial"``.
            note: A remark that is stored with the value.

        Raises:
            TypeError: A number is not a number, or a text not text.
            ValueError: A number is not finite, the claim is unknown or recorded already, or its quantities or
                its control are not those of its record.
        """
        fields, keys, line = statement(
            claim_id, quantities, control, profile=self.profile, seed=self.seed, unit=unit, note=note
        )
        glued = {key: glue_text(key, item) for key, item in keys.items()}
        self._registry.take(glued)
        data = {CLAIM_MIME: json.dumps(fields, sort_keys=True, ensure_ascii=False), "text/plain": line}
        if not display(data):
            print(line)
            return
        for key, text in glued.items():
            glue(key, text)

    def figure(
        self,
        fig: Figure,
        name: str,
        table: Mapping[str, Any] | None = None,
        *,
        images: Mapping[str, Any] | None = None,
        moves: Mapping[str, Any] | None = None,
        profile: str | None = None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        """Show a figure together with the numbers that it was drawn from, and close it.

        Its caption, alt text and label (the same as ``name``) stand in the cell's metadata.

        Args:
            fig: The figure, at most 6.5 inches wide, all its text legible at 390 px.
            name: A slug that no other figure of the book has, such as ``phase-diagram``.
            table: Column name to a 1-D array-like, all of one length: what was drawn, tidy.
            images: For a grid of images instead of a table: name to an array.
            moves: Of columns that come from descents which are not at rest: how far their numbers may be
                others in another arithmetic.
            profile: The profile of what is drawn, where it is that of a stored run and not the page's.
            seeds: Its seeds, likewise.

        Raises:
            TypeError: ``fig`` is not a figure.
            ValueError: A bad name or table, both or neither of table and images, or a figure that is too
                wide or has text too small for a telephone.
        """
        from bindery.figures.plotting import show

        run = profile or self.profile
        drawn = [self.seed] if seeds is None else seeds
        show(fig, name, table, images=images, moves=moves, profile=run, seeds=drawn)

    def table(self, columns: Mapping[str, Sequence[Any]], formats: Mapping[str, str] | None = None) -> None:
        """Print columns of equal length as a table; text stands left, numbers right.

        Args:
            columns: Heading to entries.
            formats: Heading to a format of its numbers, as in Python's ``format``.

        >>> page = Page("quick", seed=0)
        >>> page.table({"method": ["ours", "theirs"], "seconds": [0.123, 12.0]}, {"seconds": ".2f"})
        method  seconds
        ours       0.12
        theirs    12.00
        """
        from bindery.figures import text_table

        print(text_table(columns, formats))

    def sweep(
        self,
        fn: Callable[..., Mapping[str, Any]],
        grid: Grid,
        seeds: Sequence[int],
        *,
        name: str | None = None,
        n_jobs: int = 1,
        scheduler: str | None = None,
    ) -> list[Row]:
        """Evaluate ``fn(seed=..., **point)`` at every point of a grid with every seed; one row for each.

        A paper run keeps the rows of a sweep with a name on the disk as they come, so that a run which was
        killed goes on, and stores them with its results, so that ``REPLAY=1`` can try one seed again.

        Args:
            fn: Returns names with numbers, booleans or words, the same names at every point.
            grid: Setting to its values, of which all combinations are taken; or a list of points.
            seeds: Different whole numbers.
            name: A word such as ``"phase-diagram"``, one for each sweep of the page.
            n_jobs: How many processes of this machine; -1 for all its cores.
            scheduler: The address of a Dask scheduler, whose workers are used then; needs the extra ``dask``.

        Returns:
            Rows with the settings, ``seed`` and what ``fn`` returned, in the order of grid and seeds.

        Raises:
            TypeError, ValueError: See ``bindery.runs.sweep.sweep``.
            SweepError: Some points raised; all others were computed.
        """
        from bindery.runs.kept import kept_sweep
        from bindery.runs.sweep import sweep

        if name is None or not self.paper:
            return sweep(fn, grid, seeds, n_jobs=n_jobs, scheduler=scheduler)
        return kept_sweep(fn, grid, seeds, name=name, n_jobs=n_jobs, scheduler=scheduler)

    def checkpoints(self, name: str) -> Path | None:
        """Return a folder where a long run may keep what it needs to go on after it was killed.

        Args:
            name: A word such as ``"decoder"``, one for each use.

        Returns:
            The folder, which is made; it is another one after a change of the page's code, and goes when the
            run's results are stored. None but in a run at the papers' scale.
        """
        from bindery.runs.kept import checkpoints

        return checkpoints(name) if self.paper else None

    def stored(self, stem: str) -> Stored | None:
        """Return the stored results of a paper run, and publish its values under ``paper.`` and their keys.

        A page that runs at the papers' scale itself gets none of its own: it makes them anew.

        Args:
            stem: The notebook that was run, without its ending; or ``benchmarks``.

        Returns:
            The results; None where nothing is stored, or away from the book.

        Raises:
            ResultsError: They are torn, edited or incomplete.
        """
        from bindery.runs import results

        found = results.load(stem, paper=self.paper)
        for key, value in (results.published(found) if found else {}).items():
            self.value(key, value)
        return found
