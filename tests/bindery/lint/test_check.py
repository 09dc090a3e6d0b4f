import argparse
import json
import threading

import nbformat
import pytest

from bindery.lint import check


def saying(*lines):
    return lambda _root: list(lines)


def test_every_check_of_the_book_is_there():
    joined = " ".join(check.CHECKS)
    for word in (
        "ruff",
        "mypy",
        "nbstripout",
        "pages",
        "ledger",
        "prose",
        "figures",
        "results",
        "environment",
    ):
        assert word in joined


def test_problems_are_kept_apart_and_in_order(toy):
    found = check.check(toy.root, {"b": saying("one", "two"), "a": saying(), "c": lambda root: [root.name]})
    assert list(found.items()) == [("b", ["one", "two"]), ("a", []), ("c", ["toy"])]


def test_a_check_that_breaks_is_a_problem_and_stops_no_other(toy):
    def broken(root):
        raise KeyError("lost")

    found = check.check(toy.root, {"broken": broken, "well": saying()})
    assert found == {"broken": ["the check itself broke: KeyError: 'lost'"], "well": []}


def test_checks_run_side_by_side(toy):
    both = threading.Barrier(2, timeout=20)
    found = check.check(toy.root, {name: lambda _root: [] if both.wait() >= 0 else None for name in "ab"})
    assert found == {"a": [], "b": []}


@pytest.fixture
def chosen(monkeypatch):
    def choose(checks):
        monkeypatch.setattr(check, "CHECKS", checks)

    return choose


def run(toy, monkeypatch, *words):
    monkeypatch.chdir(toy.root)
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(words))


def test_one_line_a_problem_grouped_by_check(toy, monkeypatch, capsys, chosen):
    chosen(
        {
            "pages": saying("01 is stale", "02 is stale"),
            "types": saying(),
            "style": saying("x"),
        }
    )
    assert run(toy, monkeypatch) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == [
        "pages: 2 problems",
        "  01 is stale",
        "  02 is stale",
        "types: well",
        "style: 1 problem",
        "  x",
    ]
    assert lines[-1].startswith("problems in 2 of 3 checks (")


def test_all_is_well(toy, monkeypatch, capsys, chosen):
    chosen({"pages": saying()})
    assert run(toy, monkeypatch) == 0
    assert capsys.readouterr().out.splitlines() == ["pages: well", "1 checks, all well (0 s)"]
    assert run(toy, monkeypatch, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_notebooks_with_outputs_are_found(toy):
    stripped = check.CHECKS["notebooks without outputs (nbstripout)"]
    assert stripped(toy.root) == []
    toy.notebook("01_clean", "x = 1")
    path = toy.notebook("02_dirty", "x = 1")
    assert stripped(toy.root) == []
    notebook = json.loads(path.read_text())
    notebook["cells"][2]["execution_count"] = 3
    path.write_text(json.dumps(notebook, indent=1))
    (problem,) = stripped(toy.root)
    assert "02_dirty.ipynb" in problem
    notebook["cells"][2]["execution_count"] = None
    notebook["cells"][2]["outputs"] = [nbformat.v4.new_output("stream", text="x")]
    path.write_text(json.dumps(notebook, indent=1))
    assert len(stripped(toy.root)) == 1


def test_tools_report_what_they_find_line_by_line(toy):
    toy.module("bad", "import os\nx: int = 'a'\n")
    (toy.root / "pyproject.toml").write_text(
        '[tool.mypy]\nfiles = ["gsl_utils"]\n[tool.ruff.lint]\nselect = ["F"]\n'
    )
    (style,) = check.CHECKS["style (ruff check)"](toy.root)
    assert style.startswith("gsl_utils/bad.py:1:8: F401")
    (types,) = check.CHECKS["types (mypy)"](toy.root)
    assert types.startswith("gsl_utils/bad.py:2: error: Incompatible types in assignment")
    toy.module("bad", "x: int = 1\n")
    assert check.CHECKS["style (ruff check)"](toy.root) == []
    assert check.CHECKS["types (mypy)"](toy.root) == []


def test_a_tool_that_is_not_there_is_a_problem(toy):
    (problem,) = check._tool("no_such_tool")(toy.root)
    assert "No module named no_such_tool" in problem


def test_an_edited_module_is_named_with_the_pages_that_use_it(toy):
    toy.notebook("01_a", "x = 1")
    assert check.CHECKS["fresh pages"](toy.root) == ["01_a is stale: it was never executed"]
