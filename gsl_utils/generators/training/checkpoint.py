"""The state of a training on disk: written whole or not at all, and only for the run that it is of."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

__all__ = ["Checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """A file that holds where a run stands.

    Args:
        path: Of the file; its folder must be there.
        run: All that decides the course of the run, each by name with a number or a text.

    Raises:
        TypeError: ``path`` is not a path.
        ValueError: Its folder is not there.
    """

    path: Path
    run: Mapping[str, str | float]

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise TypeError(f"checkpoint is a {type(self.path).__name__}; it must be a path or None.")
        object.__setattr__(self, "path", Path(self.path))
        if not self.path.parent.is_dir():
            raise ValueError(f"checkpoint is {self.path}, whose folder is not there; it must be.")

    def load(self) -> dict[str, Any] | None:
        """What ``save`` wrote last, or None where there is no file.

        Raises:
            ValueError: The file is torn, is no checkpoint, or is of another run; it is left as it is.
        """
        if not self.path.exists():
            return None
        content = io.BytesIO(self.path.read_bytes())
        left = "It is left as it is: name another path, or remove it to begin anew."
        try:
            kept = torch.load(content, map_location="cpu", weights_only=True)
            run, state = dict(kept["run"]), dict(kept["state"])
        except Exception as error:  # torch says in many ways that a file is not one of its own
            raise ValueError(f"checkpoint {self.path} is torn or is not a checkpoint. {left}") from error
        if other := [name for name in {**run, **self.run} if run.get(name) != self.run.get(name)]:
            raise ValueError(f"checkpoint {self.path} is of a run with other {', '.join(other)}. {left}")
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file in one stroke: whoever is killed meanwhile has the one of before."""
        part = self.path.with_name(f"{self.path.name}.part")
        with part.open("wb") as file:
            torch.save({"run": dict(self.run), "state": dict(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
