"""The command ``render``: make the site from the pages, or find that it is up to date."""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bindery.claims.entries import to_json
from bindery.claims.ledger import collect
from bindery.figures import bundle
from bindery.root import PACKAGE, BookError, require_root
from bindery.site.repository import find_address

# Where the site is, from the book's root.
OUTPUT, INDEX = Path("_build") / "html", "index.html"
STAGE = Path("_build") / "stage"
FIGURES = Path("book") / "_figures"
STAMP = ".inputs.sha256"
LOCK = Path("_build") / "render.lock"

# What the site is made from: single files, and folders with the endings that count in them.
FILES = ("_config.yml", "_toc.yml", "references.bib", "CITATION.cff", "constraints.txt")
FOLDERS = {
    "book": (".md", ".ipynb", ".css", ".js", ".svg"),
    "notebooks": (".ipynb",),
    "claims": (".yml",),
    "results": (".json", ".csv", ".svg"),
    # Their docstrings are on the page of the library; bindery makes the site, besides.
    PACKAGE: (".py",),
    "bindery": (".py",),
}
NO_INPUT = {"_figures", ".ipynb_checkpoints", "__pycache__"}


def _inputs(root: Path) -> Iterator[Path]:
    yield from (root / name for name in FILES if (root / name).is_file())
    for folder, endings in FOLDERS.items():
        for path in sorted((root / folder).rglob("*")):
            inside = path.relative_to(root).parts
            # Half-written results carry the ending .part, the folder of a running sweep too.
            made = NO_INPUT & set(inside) or any(part.endswith(".part") for part in inside)
            if path.suffix in endings and not made and path.is_file():
                yield path


def input_digest(root: Path) -> str:
    digest = hashlib.sha256(repr((find_address(root), sys.version_info[:2])).encode())
    for path in _inputs(root):
        content = path.read_bytes()
        digest.update(f"\n{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def render(root: Path, *, force: bool = False) -> bool:
    """Render the book to ``_build/html``, unless what is there is up to date; say whether it was rendered.

    The site is built in a folder of its own, always from nothing, so that a warning cannot hide in a page
    that was not read again; it replaces the old one only when the build has succeeded. One build at a time.
    """
    target, stage, figures = root / OUTPUT, root / STAGE, root / FIGURES
    target.parent.mkdir(exist_ok=True)
    with (root / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest, stamp = input_digest(root), target / STAMP
        if not force and (target / INDEX).is_file() and stamp.is_file() and stamp.read_text() == digest:
            return False
        for folder in (figures, stage):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for page in sorted((root / "book").glob("*.ipynb")):
            bundle.extract(page, figures)
        _build(root)
        built = stage / "_build" / "html"
        (built / "claims.json").write_text(to_json(collect(root)), encoding="utf-8")
        (built / STAMP).write_text(digest)
        shutil.rmtree(target, ignore_errors=True)
        built.rename(target)
        shutil.rmtree(stage)
    return True


def _build(root: Path) -> None:
    """Run Jupyter Book on the whole book, every warning an error."""
    call = ["build", ".", "--all", "-q", "-W", "-n", "--keep-going", "--path-output", str(STAGE)]
    program = "from jupyter_book.cli.main import main; main()"
    environment = os.environ | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    whole = [sys.executable, "-c", program, *call]
    done = subprocess.run(whole, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise BookError("Jupyter Book could not render the book; its messages are above.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="render although nothing has changed")


def run(args: argparse.Namespace) -> int:
    root = require_root()
    started = time.perf_counter()
    made = render(root, force=args.force)
    how = f"was rendered in {time.perf_counter() - started:.0f} s" if made else "is up to date"
    print(f"The book {how}. Open {root / OUTPUT / INDEX}, or call `make serve`.")
    return 0
