"""Where the book is, the folder that everything else is relative to, and how its files are replaced."""

import subprocess
from pathlib import Path

# The package of the science, which bindery reads and never imports.
PACKAGE = "gsl_utils"

# The folder of the benchmarks, and under results/ that of what they measured: of no chapter.
BENCHMARKS = "benchmarks"


class BookError(Exception):
    """Something that the person at the keyboard can mend: shown as one sentence, without a traceback."""


def find_root(start: Path | str | None = None) -> Path | None:
    """Return the nearest folder, from ``start`` or the working directory up, with _toc.yml and claims/."""
    here = Path(start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "_toc.yml").is_file() and (folder / "claims").is_dir():
            return folder
    return None


def require_root(start: Path | str | None = None) -> Path:
    """Return the book's root, or raise a BookError that says that there is none."""
    if root := find_root(start):
        return root
    here = Path(start or Path.cwd()).resolve()
    raise BookError(f"{here} is not inside the book: no folder from there up holds _toc.yml and claims/")


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=True)
    return done.stdout.decode("utf-8", errors="replace")


def replace(path: Path, content: str | bytes) -> None:
    """Write a file, its folder too, so that at every moment it is either the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.tmp")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
