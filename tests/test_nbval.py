"""nbval over a toy book: what it lets pass and what it does not."""

import copy
import io
import json
import os
import re
import subprocess
import sys

import pytest

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
from gsl_utils.book.payload import BUNDLE_MIME, from_columns, from_images
table = from_columns("noise", {"m": [10, 20], "error": [0.5, 0.75]}, profile=profile, seeds=[seed])
publish_display_data({BUNDLE_MIME: table.to_json()})
""",
    """
images = from_images("digits", {"x": [[0.5, 0.75]]}, profile=profile, seeds=[seed])
publish_display_data({BUNDLE_MIME: images.to_json()})
""",
    """
publish_display_data({"application/papermill.record/text/plain": "'0.125'"}, {"scrapbook": {"name": "noise"}})
publish_display_data({"application/vnd.gsl.claim+json": '{"high": 1.5, "id": "cs-noise"}'})
""",
    """
publish_display_data({"text/html": '<p>0.5</p> <svg width="1.5"></svg>'})
""",
)
# The page's code cells, counted from 0 as nbval does, come after the parameters and the injected ones.
FIRST = 2


# What is spoilt, the cell whose stored outputs hold it, what is replaced by what, and whether that must fail.
SPOILT = [
    ("stream", 0, "error 0.125", "error 0.126", True),
    ("result", 1, "0.25", "0.26", True),
    ("picture", 2, "M 0.5", "M 0.6", False),
    ("beside the picture", 2, "2 axes", "3 axes", True),
    ("table", 3, "20,0.75", "20,0.76", False),
    ("name of the table", 3, '"noise"', '"nose"', True),
    ("columns of the table", 3, '"columns": ["m"', '"columns": ["k"', True),
    ("profile of the table", 3, '"quick"', '"paper"', True),
    ("seeds of the table", 3, '"seeds": [0]', '"seeds": [1]', True),
    ("images", 4, '"npz": "UEsD', '"npz": "UEsX', False),
    ("name of the images", 4, '"digits"', '"digit"', True),
    ("glue", 5, "'0.125'", "'0.126'", True),
    ("claim", 5, '"high": 1.5', '"high": 1.6', True),
    ("html with svg", 6, 'width="1.5"', 'width="1.6"', True),
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


@pytest.fixture(scope="module")
def checked(new_toy, root):
    """The toy book's pages as nbval judges them: page to the cells that failed."""
    toy = new_toy("nbval")
    toy.machinery()
    toy.notebook("00_page", *CELLS)
    done = toy.command("execute")
    assert done.returncode == 0, done.stderr
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
        "--nbval",
        "--nbval-sanitize-with",
        root / "tests/nbval_sanitize.cfg",
        "-rA",
        "-q",
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
    return found


@pytest.mark.parametrize(("what", "fails"), [(what, fails) for what, *_, fails in SPOILT])
def test_a_changed_output_fails_at_its_cell_and_only_what_is_excused_passes(checked, what, fails):
    for number, changes in enumerate(pages()):
        for cell, (changed, _, _) in changes.items():
            if changed == what:
                assert (cell in checked[f"spoilt_{number}"]) == fails


def test_no_cell_fails_that_was_not_changed(checked):
    for number, changes in enumerate(pages()):
        assert set(checked[f"spoilt_{number}"]) <= set(changes)


def test_an_untouched_page_passes(checked):
    assert checked["00_page"] == []


def test_a_lost_output_fails_unless_the_cell_says_that_it_never_ran(checked):
    """Which is why tests/notebooks asserts that every cell of a page has an execution count."""
    assert checked["lost_output"] == [len(CELLS) - 1]
    assert checked["lost_count"] == []


def patterns(root):
    text = (root / "tests/nbval_sanitize.cfg").read_text()
    return re.findall("^regex: (.*)$\n^replace: (.*)$", text, flags=re.MULTILINE)


def test_each_pattern_has_its_reason(root):
    text = (root / "tests/nbval_sanitize.cfg").read_text()
    assert len(patterns(root)) == text.count("regex: ") == text.count("\n[")
    assert (
        text.index("# A picture: ")
        < text.index("[picture]")
        < text.index("# The numbers ")
        < text.index("[table")
    )


def test_what_matplotlib_draws_is_a_picture(root):
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots()
    ax.plot([1, 2])
    ax.set_title("<svg></svg> & more")
    drawn = io.StringIO()
    fig.savefig(drawn, format="svg")
    plt.close(fig)
    for text in (
        drawn.getvalue(),
        drawn.getvalue().partition("<svg")[1] + drawn.getvalue().partition("<svg")[2],
    ):
        for regex, new in patterns(root):
            text = re.sub(regex, new, text)
        assert text == "picture"
