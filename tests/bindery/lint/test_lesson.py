"""Lessons: each limit is broken once, and found; the letters of formulas are found and nothing else."""

import copy

import nbformat
import pytest

from bindery.lint.lesson import problems, symbols
from bindery.page import run_times

SETUP = "import numpy as np\nscale = 2"
CHANGE = "# Change me: any number.\nn = 3\nfor i in range(n):\n    print(np.ones(i) * scale)"
EXERCISE = "```{exercise}\n```\n```{solution}\n```\n"
ROWS = "* - $x$, $\\hat x$\n  - a signal, not $q$\n* - $\\mathbb R$\n  -\n* - $\\lambda$\n  -\n"


@pytest.fixture
def lesson(toy):
    """Write a lesson that keeps every limit; what is given is added to it or takes its place."""

    def write(*cells, prose=EXERCISE * 5, setup=SETUP, change=CHANGE):
        made = [
            nbformat.v4.new_code_cell('profile = "quick"\nseed = 0', metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(setup, metadata={"tags": ["setup", "hide-input"]}),
            nbformat.v4.new_code_cell(change, metadata={"tags": ["change-me"]}),
            nbformat.v4.new_markdown_cell("Let $x \\in \\mathbb R$, $\\hat x_\\lambda$. " + prose),
            *map(copy.deepcopy, cells),
        ]
        for number, cell in enumerate(made):
            cell["id"] = f"cell-{number}"
        path = toy.root / "notebooks/01_a.ipynb"
        path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=made)))
        return [one.removeprefix("notebooks/01_a.ipynb: ") for one in problems(toy.root)]

    toy.notebook("01_a_evidence")
    (toy.root / "book/notation.md").write_text(ROWS)
    return write


def code(source, *tags):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


def test_a_lesson_that_keeps_every_limit_has_no_problem(lesson):
    assert lesson() == []
    assert lesson(code("x = 1\n" * 30, "hide-input")) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cells": [code("x = 1\n" * 9)] * 3}, "its visible cells have a median of 9 lines; at most 8"),
        ({"cells": [code("x = 1\n" * 21)]}, "cell cell-4 has 21 lines; at most 20, or fold it"),
        ({"cells": [code("x = 1")] * 57}, "it has 61 cells; at most 60"),
        ({"prose": EXERCISE * 5 + " word" * 5000}, "words; at most 5000"),
        ({"prose": EXERCISE * 5 + "{glue:text}`a` " * 3}, "holds 3 measured numbers; at most 2"),
        ({"cells": [code('page.claim("a", x)', "hide-input")]}, "cell cell-4 calls the ledger"),
        ({"prose": EXERCISE * 4}, "it has 4 exercises; two warm-ups and three real ones"),
        ({"prose": EXERCISE * 5 + "```{exercise}\n```\n"}, "it has 6 exercises and 5 solutions"),
        ({"change": "n = 3"}, "cell cell-2 must begin by saying '# Change me'"),
        ({"setup": "import math"}, "cell cell-2 uses np, scale, which no cell tagged setup defines"),
        ({"cells": [code("# Change me", "change-me")]}, "it has 2 cells tagged change-me"),
        ({"prose": EXERCISE * 5 + "and $q$"}, "the symbol q has no row in book/notation.md"),
    ],
)
def test_each_limit_is_held(lesson, given, message):
    found = lesson(*given.pop("cells", []), **given)
    assert [one for one in found if message in one], found


def test_times_are_held_in_units(lesson, toy):
    assert lesson() == []

    def ran(stem, units, change=1.0):
        run_times.record(
            toy.root, {stem: run_times.RunTime(1.0, 1.0, units, change, 1, "a machine", {"python": "3"})}
        )
        return problems(toy.root)

    assert ran("01_a", 21.0) == []
    assert "01_a took 30 units; a lesson some 20" in ran("01_a", 30.0)[0]
    assert "change-me took 12 units; under 10" in ran("01_a", 20.0, 12.0)[0]
    assert "01_a_evidence took 50 units" in "".join(ran("01_a_evidence", 50.0))


def test_a_notebook_without_evidence_is_no_lesson(toy):
    toy.notebook("06_b", "x = 1\n" * 50)
    assert problems(toy.root) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"$\sum_i \lvert x_i \rvert \le \sqrt{k}\,\text{for all } k$", {"x", "i", "k"}),
        (r"$$\mathcal N(0, \sigma^2) \qquad \operatorname{sign} u$$", {"mathcal N", "sigma", "u"}),
        ("```{math}\n:label: eq-a\ny = Ax\n```", {"y", "A", "x"}),
        ("no formula: x, `$y$`, \\alpha", set()),
    ],
)
def test_symbols_are_the_letters_of_formulas(text, found):
    assert symbols(text) == found
