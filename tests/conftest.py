"""What the tests share: hypothesis without chance, tests that need more than the package, and toy books."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

settings.register_profile("book", derandomize=True, deadline=None, database=None)
settings.load_profile("book")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def lacking(marker):
    """What a marked test lacks on this machine, in words; None where it can run."""
    if marker == "browser":
        if not importlib.util.find_spec("playwright"):
            return "playwright is not installed"
        return None if any(map(shutil.which, BROWSERS)) else f"none of {', '.join(BROWSERS)} is installed"
    folder = os.environ.get("GSL_DATA_DIR", "")
    files = ("mnist/train-images-idx3-ubyte.gz", "fashion-mnist/train-images-idx3-ubyte.gz")
    there = bool(folder) and all(Path(folder, file).is_file() for file in files)
    return None if there else "GSL_DATA_DIR names no folder with the original MNIST and Fashion-MNIST files"


def pytest_collection_modifyitems(items):
    for item in items:
        for marker in ("browser", "mnist"):
            if item.get_closest_marker(marker) and (reason := lacking(marker)):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def root():
    """The book's root."""
    return ROOT


CLAIM = """
paper: "A paper"
key: someone2020
claims:
  - id: {id}
    locus: "Section 1"
    standing: stated
    claim: "A claim."
    proposition: "The slope is positive."
    kind: trend
    chapter: 01_classical_cs
    quantity: {{slope: "a slope"}}
    criterion: "slope > 0"
    tolerance: null
    control: {{none: "a reason"}}
    testable: true
    misprint: null
    unpublished: null
    accepted: {{verdict: "not run", reason: "not yet"}}
    history: []
"""


class ToyBook:
    """A book of a few lines, with a package of its own and none of the machinery in it."""

    def __init__(self, root):
        self.root = root
        for folder in ("claims", "notebooks", "book", "results", "gsl_utils"):
            (root / folder).mkdir(parents=True)
        (root / "_toc.yml").touch()
        (root / "constraints.txt").write_text("numpy==2.4.6\n")
        self.module("__init__", '"""A toy."""\n\n__version__ = "1"\n')

    def copy(self, target):
        """Copy the book to a new folder."""
        shutil.copytree(self.root, target, symlinks=True)
        twin = object.__new__(ToyBook)
        twin.root = target
        return twin

    def machinery(self):
        """Let the pages import the real `bindery`, whatever is installed."""
        (self.root / "bindery").symlink_to(ROOT / "bindery")

    def claim(self, name):
        """Write the record of a claim of chapter 01: a slope is positive."""
        path = self.root / "claims" / f"{name}.yml"
        path.write_text(CLAIM.format(id=name))
        return path

    def module(self, name, text):
        path = self.root / "gsl_utils" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def machine(self, name, text):
        """Write a module of a machinery of the toy's own."""
        path = self.root / "bindery" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def notebook(self, stem, *cells, parameters='profile = "quick"\nseed = 0'):
        """Write a notebook of code cells; one that starts with `#:` is prose."""
        made = [nbformat.v4.new_markdown_cell(f"# {stem}", id="title")]
        if parameters is not None:
            made.append(nbformat.v4.new_code_cell(parameters, id="given"))
            made[-1].metadata["tags"] = ["parameters", "remove-cell"]
        for number, source in enumerate(cells):
            make = nbformat.v4.new_markdown_cell if source.startswith("#:") else nbformat.v4.new_code_cell
            made.append(make(source.removeprefix("#:"), id=f"cell-{number}"))
        path = self.root / "notebooks" / f"{stem}.ipynb"
        path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=made)) + "\n")
        return path

    def page(self, stem):
        return self.root / "book" / f"{stem}.ipynb"

    def pages(self):
        return {path.stem: path.read_bytes() for path in sorted((self.root / "book").glob("*.ipynb"))}

    def command(self, *words, **variables):
        """Run `python -m bindery` inside the toy book, with the real machinery."""
        with self.start(*words, **variables) as process:
            try:
                output, errors = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(words, process.returncode, output, errors)

    def start(self, *words, **variables):
        """Start the same, and return at once."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "bindery", *words],
            cwd=self.root,
            # What a unit is worth need not be measured for each toy.
            env={**os.environ, "PYTHONPATH": str(ROOT), "BOOK_UNIT": "0.5", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def toy(tmp_path):
    """An empty toy book."""
    return ToyBook(tmp_path / "toy")


@pytest.fixture(scope="session")
def new_toy(tmp_path_factory):
    """A function that makes toy books which outlive one test."""
    return lambda name: ToyBook(tmp_path_factory.mktemp(name) / "toy")
