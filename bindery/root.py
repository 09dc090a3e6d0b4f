"""Where the book is, the folder that everything else is relative to, and how its files are replaced."""

import subprocess
from pathlib import Path

# The package of the science, which bindery reads and never imports.
PACKAGE = "gsl_utils"

# The evidence of a chapter stands beside its lesson, under the same name with this ending.
EVIDENCE = "_evidence"

# The folder of the benchmarks, and under results/ that of what they measured: of no chapter.
BENCHMARKS = "benchmarks"


class BookError(Exception):
    """Something that the person at the keyboard can mend: shown as one sentence, without a traceback."""


def find_root() -> Path | None:
    """Return the nearest folder, from the working directory up, with _toc.yml and claims/."""
    folders = (Path.cwd(), *Path.cwd().parents)
    return next((one for one in folders if (one / "_toc.yml").is_file() and (one / "claims").is_dir()), None)


def require_root() -> Path:
    """Return the book's root, or raise a BookError that says that there is none."""
    if root := find_root():
        return root
    where = f"{Path.cwd()} is not inside the book"
    raise BookError(f"{where}: no folder from there up holds _toc.yml and claims/")


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=True)
    return done.stdout.decode("utf-8", errors="replace")


def git_if_there(root: Path, *words: str) -> str | None:
    """Return what git says; None where there is no git, no repository, or not what is asked for."""
    try:
        return git(root, *words)
    except (OSError, subprocess.CalledProcessError):
        return None


def replace(path: Path, content: str | bytes) -> None:
    """Write a file, its folder too, so that at every moment it is either the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.tmp")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
