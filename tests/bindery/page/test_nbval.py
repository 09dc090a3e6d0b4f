"""nbval over a toy book: what it lets pass and what it does not."""

import copy
import json
import os
import re
import subprocess
import sys

import pytest

from bindery.page.arithmetic import CHOICE, fingerprint
from bindery.page.kernels import environment

CELLS = (
    'print("error 0.125")\nprint("second line")',
    "0.25",
    """
from IPython.display import publish_display_data
head = '<?xml version="1.0" encoding="utf-8"?>\\n<!DOCTYPE svg PUBLIC "x">\\n'
svg = head + '<svg width="1.5">\\n<path d="M 0.5"/>\\n</svg>\\n'
publish_display_data({"image/svg+xml": svg, "text/plain": "Figure of 2 axes"})
""",
    """
from bindery.figures.encoding import BUNDLE_MIME, from_columns, from_images
table = from_columns("noise", {"m": [10, 20], "error": [0.5, 0.75]}, profile=profile, seeds=[seed])
publish_display_data({BUNDLE_MIME: table.to_json()})
""",
    """
images = from_images("digits", {"x": [[0.5, 0.75]]}, profile=profile, seeds=[seed])
publish_display_data({BUNDLE_MIME: images.to_json()})
""",
    """
publish_display_data({"application/papermill.record/text/plain": "'0.125'"}, {"scrapbook": {"name": "word"}})
""",
    """
for name, text in {"noise": "0.125", "noise-low": "0.1", "noise-high": "0.2"}.items():
    publish_display_data({"application/papermill.record/text/plain": text}, {"scrapbook": {"name": name}})
""",
    """
import json
claim = {"id": "cs-noise", "value": 1.5, "low": 1.4, "high": 1.6}
claim |= dict.fromkeys(["control_value", "control_low", "control_high"])
publish_display_data({"application/vnd.gsl.claim+json": json.dumps(claim), "text/plain": "cs-noise: 1.5"})
""",
    """
publish_display_data({"text/html": '<p>0.5</p> <svg width="1.5"></svg>'})
""",
)
# The page's code cells, counted from 0 as nbval does, come after the parameters and the injected ones.
FIRST = 2


# What is spoilt, the cell whose stored outputs hold it, what is replaced by what, and whether that fails in
# another arithmetic too; in the book's own everything does.
SPOILT = [
    ("stream", 0, "error 0.125", "error 0.126", True),
    ("result", 1, "0.25", "0.26", True),
    ("picture, a little", 2, "M 0.5", "M 0.6", False),
    ("picture", 2, "M 0.5", "M 3.5", True),
    ("beside the picture", 2, "2 axes", "3 axes", True),
    ("table, the last digit", 3, "20,0.75", "20,0.7501", False),
    ("table", 3, "20,0.75", "20,0.76", True),
    ("name of the table", 3, '"noise"', '"nose"', True),
    ("columns of the table", 3, '"columns": ["m"', '"columns": ["k"', True),
    ("profile of the table", 3, '"quick"', '"paper"', True),
    ("seeds of the table", 3, '"seeds": [0]', '"seeds": [1]', True),
    ("name of the images", 4, '"digits"', '"digit"', True),
    ("value, the last digit", 5, "'0.125'", "'0.125001'", True),
    ("value of an interval, a little", 6, "0.125", "0.1251", False),
    ("value of an interval", 6, "0.125", "0.14", True),
    ("name of a value", 6, "noise-low", "noise-least", True),
    ("claim, a little", 7, '"value": 1.5', '"value": 1.501', False),
    ("claim", 7, '"value": 1.5', '"value": 1.6', True),
    ("html with svg", 8, 'width="1.5"', 'width="1.6"', True),
]


def pages():
    """Spread what is spoilt over as few pages as can be: at most one change to a cell."""
    laid = []
    for what, cell, old, new, _ in SPOILT:
        free = next((page for page in laid if cell not in page), None)
        if free is None:
            laid.append(free := {})
        free[cell] = (what, old, new)
    return laid


def spoil(value, old, new):
    """Replace a text in everything that an output holds."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list):
        return [spoil(item, old, new) for item in value]
    return {key: spoil(item, old, new) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module", params=["here", "elsewhere"])
def checked(request, new_toy, root):
    """The toy book's pages as nbval judges them: where, page to the cells that failed, and the log."""
    toy = new_toy("nbval")
    toy.machinery()
    toy.notebook("00_page", *CELLS)
    done = toy.command("execute")
    assert done.returncode == 0, done.stderr
    mine = fingerprint(environment(root, arithmetic=os.environ[CHOICE]))
    if request.param == "elsewhere":
        mine["draws"] = "others"
    (toy.root / "results/fingerprint.json").write_text(json.dumps(mine))
    page = json.loads(toy.page("00_page").read_text())
    for number, changes in enumerate(pages()):
        changed = copy.deepcopy(page)
        cells = [cell for cell in changed["cells"] if cell["cell_type"] == "code"][FIRST:]
        for cell, (what, old, new) in changes.items():
            before = cells[cell]["outputs"]
            cells[cell]["outputs"] = spoil(before, old, new)
            assert cells[cell]["outputs"] != before, what
        toy.page(f"spoilt_{number}").write_text(json.dumps(changed))
    lost = copy.deepcopy(page)
    lost["cells"][-1]["outputs"] = []
    toy.page("lost_output").write_text(json.dumps(lost))
    lost["cells"][-1]["execution_count"] = None
    toy.page("lost_count").write_text(json.dumps(lost))
    words = (
        "-p",
        "bindery.page.validation",
        "--nbval",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "-rA",
        "--color=no",
        "book",
    )
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", ".", *words],
        cwd=toy.root,
        env={**os.environ, "PYTHONPATH": str(toy.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    verdicts = re.findall(r"^(PASSED|FAILED) book/(\w+)\.ipynb::Cell (\d+)", result.stdout, flags=re.M)
    assert len(verdicts) == (3 + len(pages())) * (len(CELLS) + FIRST)
    found = {stem: [] for _, stem, _ in verdicts}
    for verdict, stem, cell in verdicts:
        if verdict == "FAILED":
            found[stem].append(int(cell) - FIRST)
    return request.param, found, result.stdout


def test_a_changed_output_fails_at_its_cell_and_only_what_is_excused_passes(checked):
    where, failed, _ = checked
    for number, changes in enumerate(pages()):
        for cell, (changed, _, _) in changes.items():
            fails = next(row[-1] for row in SPOILT if row[0] == changed)
            assert (cell in failed[f"spoilt_{number}"]) == (fails or where == "here"), changed


def test_no_cell_fails_that_was_not_changed(checked):
    for number, changes in enumerate(pages()):
        assert set(checked[1][f"spoilt_{number}"]) <= set(changes)


def test_an_untouched_page_passes(checked):
    assert checked[1]["00_page"] == []


def test_a_lost_output_fails_unless_the_cell_says_that_it_never_ran(checked):
    """Which is why tests/notebooks asserts that every cell of a page has an execution count."""
    assert checked[1]["lost_output"] == [len(CELLS) - 1]
    assert checked[1]["lost_count"] == []


def test_the_log_names_the_verdict_and_what_differed(checked):
    where, _, log = checked
    said = {
        "here": "arithmetic: the fingerprint is the book's: pages must have the same bytes",
        "elsewhere": "arithmetic: elsewhere, by the fingerprint of draws: numbers must agree to",
    }
    assert said[where] in log
    assert "names of values: page" in log if where == "here" else "the page has the outputs" in log
    assert "the outputs have other bytes" in log if where == "here" else "execution" in log


def test_a_run_without_pages_takes_no_fingerprint(root):
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/bindery/test_root.py"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    assert "arithmetic:" not in done.stdout
