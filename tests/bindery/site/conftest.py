"""What the tests of the site share: the rendered book, its server, a browser, and a book of three claims."""

import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from bindery.emit import CLAIM_MIME
from bindery.figures.encoding import BUNDLE_MIME
from bindery.site.render import OUTPUT, render
from bindery.site.serve import served

ROOT = Path(__file__).parents[3]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def toc_pages():
    """The pages of the table of contents, such as ``book/ledger``, in its order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def pytest_generate_tests(metafunc):
    """Run a test for every page, for every page and those that Sphinx makes, or for every chapter."""
    pages = [f"{name}.html" for name in toc_pages()]
    chosen = {
        "page_name": pages,
        "any_page": [*pages, "search.html", "index.html"],
        "opened_page": [*pages, "search.html"],
        "chapter": [name for name in pages if re.search(r"/\d\d_", name)],
    }
    for argument, names in chosen.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, names)


@pytest.fixture(scope="session")
def page_names():
    """Every page of the table of contents, as a file of the site."""
    return [f"{name}.html" for name in toc_pages()]


@pytest.fixture(scope="session")
def site():
    """The folder of the rendered book, made by the command's own function where it is not up to date."""
    render(ROOT)
    return ROOT / OUTPUT


@pytest.fixture(scope="session")
def soup(site):
    """A function that parses one page of the site."""
    parsed = {}

    def parse(name):
        if name not in parsed:
            parsed[name] = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        return parsed[name]

    return parse


@pytest.fixture(scope="session")
def address(site):
    """The address of a server of the site."""
    with served(site) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium, driven by playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("BROWSER") or next(filter(None, map(shutil.which, BROWSERS)))
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


CLAIMS = """
paper: "A paper of *three* claims"
key: kamath2020
claims:
- {id: cs-noise, locus: "Section 1", standing: stated, claim: "The error follows $\\\\sigma$.", kind: trend,
   proposition: "The slope in $\\\\sigma$ is 1.", chapter: 01_classical_cs, quantity: {slope: "a slope"},
   criterion: "slope = 1 +- 0.1~", tolerance: "0.1: a choice", unpublished: "the constant",
   control: {variant: "too few rows", expect: "a small slope", criterion: "slope < 0.5"},
   accepted: {verdict: reproduced, reason: "run"}}
- {id: cs-p0, locus: "Section 2 & 3", standing: ours, claim: "It is <so>.", kind: number,
   proposition: "The rate is <high>.", chapter: 01_classical_cs, quantity: {rate: "a rate"},
   criterion: "rate > 0.9", tolerance: null, control: {none: "a count"}, misprint: a-slip, unpublished: null,
   accepted: {verdict: "reproduced after correction", reason: "run"}}
- {id: cs-tight, locus: "Section 4", standing: stated, claim: "Nothing yet.", kind: bound,
   proposition: "Nothing.", chapter: 02_sparse_relu_generators, quantity: {rate: "a rate"},
   criterion: "rate > 0.9", tolerance: null, control: {none: "a count"}, unpublished: null,
   accepted: {verdict: "not run", reason: "not yet"}}
"""
ERRATA = """
errata:
- {id: a-slip, source: "A paper", locus: "Section 2", printed: "It is $2$.", corrected: "It is $1$.",
   counterexample: {page: 01_classical_cs, claim: cs-p0}, survives: "Everything.", claims: [cs-p0]}
- {id: another, source: "A paper", locus: "Section 9", printed: "a", corrected: "b",
   counterexample: {page: 02_sparse_relu_generators, claim: cs-tight}, survives: "All.", claims: []}
"""
TOC = """
format: jb-book
root: book/index
parts:
  - caption: Chapters
    numbered: true
    chapters:
      - file: book/01_classical_cs
  - caption: More
    chapters: [{file: book/ledger}, {file: book/errata}, {file: book/made}]
"""
PAGE = """---
myst:
  html_meta:
    description: A page.
---

# {title}

{body}
"""
RUNS = {
    "01_classical_cs": {
        "seconds": 3.21,
        "cpu_seconds": None,
        "units": 41.8,
        "change_me": None,
        "peak_memory_mib": 311.9,
        "machine": "Linux <x>",
        "versions": {"python": "3.11.7"},
    }
}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"><path d="M0 0h2v1z"/></svg>\n'


def _record(claim, value, low, high, control=(None, None, None)):
    names = ("control_value", "control_low", "control_high")
    data = {"id": claim, "value": value, "low": low, "high": high, **dict(zip(names, control, strict=True))}
    data |= {"n": 10, "unit": "seed", "profile": "quick", "seed": 0, "note": ""}
    return nbformat.v4.new_output(
        "display_data", data={CLAIM_MIME: json.dumps(data), "text/plain": f"{claim}: {value}"}
    )


def _chapter():
    bundle = {"name": "a-wedge", "profile": "quick", "seeds": [0], "columns": ["m"], "csv": "m\n10\n"}
    figure = nbformat.v4.new_output(
        "display_data", data={"image/svg+xml": SVG, BUNDLE_MIME: json.dumps(bundle)}
    )
    described = {"image": {"alt": "A wedge."}, "figure": {"caption": "A wedge of $m$.", "name": "a-wedge"}}
    cells = [
        nbformat.v4.new_markdown_cell("# A chapter\n\nA word that is nowhere else: idiosyncratic."),
        nbformat.v4.new_code_cell(
            "show(...)", execution_count=1, outputs=[figure], metadata={"mystnb": described}
        ),
        nbformat.v4.new_code_cell(
            "record(...)",
            execution_count=2,
            outputs=[
                _record("cs-noise", 0.97, 0.93, 1.02, (0.2, 0.1, 0.3)),
                _record("cs-p0", 1.0, 0.95, 1.0),
            ],
        ),
        nbformat.v4.new_markdown_cell("## Claims\n\n```{claims-box} 01_classical_cs\n```"),
    ]
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
        "myst": {"html_meta": {"description": "A chapter."}},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


@pytest.fixture(scope="session")
def write_tiny():
    """A function that writes a book of one chapter and three claims, configured like the real one."""

    def write(root):
        (root / "book").mkdir(parents=True)
        (root / "claims").mkdir()
        (root / "results").mkdir()
        shutil.copy(ROOT / "_config.yml", root)
        shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
        (root / "_toc.yml").write_text(TOC)
        (root / "references.bib").touch()
        # What tools leave in a repository is no page.
        for stray in (".pytest_cache", "tests/data"):
            (root / stray).mkdir(parents=True)
            (root / stray / "README.md").write_text("# A stray file\n")
        (root / "claims" / "paper.yml").write_text(CLAIMS)
        (root / "claims" / "errata.yml").write_text(ERRATA)
        (root / "results" / "run_times.json").write_text(json.dumps(RUNS))
        (root / "CITATION.cff").write_text("title: A Book\nauthors: [{name: The authors}]\nversion: 0.1.0\n")
        bodies = {
            "index": "```{ledger-summary}\n```",
            "ledger": "```{ledger}\n```\n\n```{agreement}\n```",
            "errata": "```{errata}\n```",
            "made": "```{run-times}\n```\n\n```{citation}\n```",
        }
        for name, body in bodies.items():
            (root / "book" / f"{name}.md").write_text(PAGE.format(title=name.capitalize(), body=body))
        (root / "notebooks").mkdir()
        chapter = _chapter()
        nbformat.write(chapter, root / "notebooks" / "01_classical_cs.ipynb")
        del chapter.metadata["myst"]
        nbformat.write(chapter, root / "book" / "01_classical_cs.ipynb")
        return root

    return write
