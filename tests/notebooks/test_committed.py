"""The notebooks and pages of the book as they are committed."""

import copy
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from bindery.claims.recorded import EVIDENCE
from bindery.page import dependencies, notebooks, run_times
from bindery.page.dependencies import combined, page_dependencies
from bindery.page.pages import INJECTED_ID, differences

ROOT = Path(__file__).parents[2]
STEMS = notebooks.stems(ROOT)
# Chapter 6 shows four figures at full scale beside its own, each with its table: 0.6 MB once rendered.
MOST_BYTES = 2_000_000
# The whole quick book, in units: minutes on any machine, and within Binder's memory.
MOST_UNITS, MOST_MIB = 600, 2048
# The cell that a reader is invited to change.
MOST_CHANGE_ME = 10
# What differs from run to run or from machine to machine: addresses in memory, and places of files.
PASSING = re.compile(r"0x[0-9a-f]{6,}|/tmp/|/home/|/Users/|/root/|ipykernel_\d")


@pytest.fixture(params=STEMS)
def stem(request):
    return request.param


@pytest.fixture
def notebook(stem):
    return notebooks.read(notebooks.notebook_path(ROOT, stem))


@pytest.fixture
def page(stem):
    return notebooks.read(notebooks.page_path(ROOT, stem))


def test_no_page_is_stale_missing_or_without_a_notebook():
    assert dependencies.problems(ROOT) == []


def test_notebooks_hold_no_outputs(notebook):
    assert [cell.id for cell in notebooks.code_cells(notebook) if cell.outputs or cell.execution_count] == []


def test_notebooks_hold_only_cells_that_are_executed_and_compared(notebook):
    for cell in notebooks.code_cells(notebook):
        assert cell.source.strip(), f"cell {cell.id} is empty: it would have no execution count"
        assert "NBVAL_" not in cell.source
        tags = cell.metadata.get("tags", [])
        assert [tag for tag in tags if tag.startswith(("nbval-", "skip-", "raises-"))] == []


def test_parameters_are_the_quick_profiles_and_hidden(notebook, stem):
    assert notebooks.default_parameters(notebook, stem) == {"profile": "quick", "seed": 0}
    given = notebook.cells[notebooks.tagged(notebook, "parameters")]
    assert "remove-cell" in given.metadata.tags


def test_every_code_cell_of_a_page_was_executed_in_order(page):
    counts = [cell.execution_count for cell in notebooks.code_cells(page)]
    assert counts == list(range(1, len(counts) + 1))


def test_page_and_notebook_have_the_same_cells(notebook, page):
    assert differences(notebook, page) == []
    assert [cell.id for cell in page.cells].count(INJECTED_ID) == 1


def test_a_page_carries_the_digest_of_what_it_depends_on(page, stem):
    gsl = page.metadata.gsl
    assert gsl.dependencies == page_dependencies(ROOT, stem)
    assert gsl.digest == combined(gsl.dependencies)
    assert gsl.parameters == {"profile": "quick", "seed": 0}


def test_a_page_is_small(stem):
    assert notebooks.page_path(ROOT, stem).stat().st_size < MOST_BYTES


def outputs(page):
    return [(cell, output) for cell in notebooks.code_cells(page) for output in cell.outputs]


def test_a_page_shows_no_warning_and_nothing_that_passes(page):
    for cell, output in outputs(page):
        assert output.get("name") != "stderr", f"cell {cell.id} warns: {output.text}"
        texts = {kind: text for kind, text in output.get("data", {}).items() if kind.startswith("text/")}
        for text in [*texts.values(), output.get("text", "")]:
            assert not PASSING.search(text), f"cell {cell.id} shows {PASSING.search(text)[0]!r}"


def test_each_page_has_its_run_time():
    times = run_times.read(ROOT)
    assert sorted(times) == STEMS
    assert all(run.seconds > 0 and run.versions["torch"] for run in times.values())


def test_the_last_executions_kept_to_their_budgets(notebook, stem):
    times = run_times.read(ROOT)
    assert sum(run.units for run in times.values()) <= MOST_UNITS
    assert times[stem].peak_memory_mib <= MOST_MIB
    # Evidence is for someone who doubts; what a reader changes is in the lesson.
    if not stem.endswith(EVIDENCE):
        change_me(notebook)
        assert times[stem].change_me <= MOST_CHANGE_ME


def change_me(page):
    """The cell that a reader is invited to change."""
    cells = notebooks.code_cells(page)
    inviting = [number for number, cell in enumerate(cells) if "change me" in cell.source.lower()]
    assert len(inviting) == 1
    assert inviting[0] < len(cells) / 2
    return cells[inviting[0]]


@pytest.mark.slow
def test_a_reader_changes_the_seed_and_runs_the_page_from_its_own_folder(page):
    """A fresh kernel, as a reader would have it; all cells run, and the results are really others."""
    mine = copy.deepcopy(page)
    injected = next(cell for cell in mine.cells if cell.id == INJECTED_ID)
    assert "seed = 0\n" in injected.source
    injected.source = injected.source.replace("seed = 0\n", "seed = 1\n")
    NotebookClient(
        mine, timeout=600, kernel_name="python3", resources={"metadata": {"path": ROOT / "book"}}
    ).execute()
    nbformat.validate(mine)
    shown = [json.dumps([output for _, output in outputs(each)], sort_keys=True) for each in (page, mine)]
    assert shown[0] != shown[1]
