import ast
import json
from collections import Counter

import nbformat
import pytest

from bindery.claims import records
from bindery.page import dependencies, notebooks
from bindery.page.dependencies import combined, page_dependencies
from bindery.page.pages import build_page


def pretend_execution(book, stem):
    """Write the page that an execution without outputs would."""
    source = notebooks.read(notebooks.notebook_path(book.root, stem))
    depends = page_dependencies(book.root, stem)
    gsl = {
        "dependencies": depends,
        "digest": combined(depends),
        "parameters": notebooks.default_parameters(source, stem),
    }
    notebooks.write(build_page(source, source, gsl), book.page(stem))


@pytest.fixture
def book(toy):
    """Three fresh pages: 01 and 02 use metrics, 01 through sparse, 03 does not."""
    toy.module("metrics", 'def error(x):\n    """What."""\n    return 2 * x\n')
    toy.module("sparse", "from gsl_utils.metrics import error\n")
    toy.module("sensing", "def measure(x):\n    return x\n")
    toy.notebook("01_classical_cs", "from gsl_utils.sparse import error")
    toy.notebook("02_sparse", "from gsl_utils.metrics import error")
    toy.notebook("03_lower", "from gsl_utils.sensing import measure")
    for stem in notebooks.stems(toy.root):
        pretend_execution(toy, stem)
    return toy


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_fresh_pages_are_no_problem(book):
    assert dependencies.problems(book.root) == []
    assert dependencies.stale(book.root) == {}


def test_an_edited_line_names_the_pages_that_use_it_and_no_others(book):
    rewrite(book.root / "gsl_utils/metrics.py", "2 * x", "3 * x")
    assert dependencies.problems(book.root) == [
        "01_classical_cs is stale: gsl_utils.metrics changed",
        "02_sparse is stale: gsl_utils.metrics changed",
    ]


def test_an_edited_comment_or_docstring_names_none(book):
    rewrite(book.root / "gsl_utils/metrics.py", '"""What."""', '"""Why."""  # and how')
    assert dependencies.problems(book.root) == []


def test_everything_that_changed_is_named(book):
    book.notebook("03_lower", "from gsl_utils.metrics import error")
    rewrite(book.root / "constraints.txt", "2.4.6", "2.4.7")
    expected = [
        "constraints.txt changed",
        "gsl_utils.metrics is new",
        "notebook changed",
    ]
    assert dependencies.problems(book.root)[2] == f"03_lower is stale: {'; '.join(expected)}"
    assert dependencies.stale(book.root, ["03_lower"]) == {"03_lower": expected}


def test_missing_pages_and_pages_without_a_notebook_are_named(book):
    book.page("01_classical_cs").unlink()
    (book.root / "notebooks/02_sparse.ipynb").unlink()
    assert dependencies.problems(book.root) == [
        "01_classical_cs is stale: it was never executed",
        "book/02_sparse.ipynb has no notebook: remove it, or restore notebooks/02_sparse.ipynb",
    ]


def test_parameters_are_part_of_a_page(book):
    page = json.loads(book.page("02_sparse").read_text())
    page["metadata"]["gsl"]["parameters"]["seed"] = 3
    book.page("02_sparse").write_text(json.dumps(page))
    wanted = 'it was executed with profile "quick" and seed 3, not profile "quick" and seed 0'
    assert dependencies.problems(book.root) == [f"02_sparse is stale: {wanted}"]
    assert "02_sparse" not in dependencies.stale(book.root, parameters={"seed": 3})
    assert "01_classical_cs" in dependencies.stale(book.root, parameters={"seed": 3})


@pytest.mark.parametrize(
    ("spoil", "phrase"),
    [
        (
            lambda page: page.cells[-1].update(source="pass"),
            "the page was edited by hand: cell 3 has another source",
        ),
        (
            lambda page: page.cells[-1].outputs.append(nbformat.v4.new_output("stream", text="better")),
            "the page was edited by hand: its outputs are not those of its execution",
        ),
        (
            lambda page: page.cells[-1].update(execution_count=7),
            "the page was edited by hand: its outputs are not those of its execution",
        ),
        (lambda page: page.metadata.pop("gsl"), "notebook is new"),
        (lambda page: page.metadata.gsl.pop("parameters"), "it was executed with no parameters, not"),
    ],
)
def test_an_edited_page_is_stale(book, spoil, phrase):
    page = nbformat.read(book.page("03_lower"), as_version=4)
    spoil(page)
    nbformat.write(page, book.page("03_lower"))
    (problem,) = dependencies.problems(book.root)
    assert problem.startswith("03_lower is stale: ")
    assert phrase in problem


def test_a_torn_page_is_stale(book):
    text = book.page("03_lower").read_text()
    book.page("03_lower").write_text(text[: len(text) // 2])
    (problem,) = dependencies.problems(book.root)
    assert problem.startswith("03_lower is stale: book/03_lower.ipynb is not a notebook: ")


def test_what_cannot_be_read_is_a_problem_of_its_own_and_hides_no_other(book):
    book.notebook("01_classical_cs", "y = (")
    book.notebook("02_sparse", "x = 1", parameters=None)
    rewrite(book.root / "gsl_utils/sensing.py", "return x", "return 2 * x")
    broken, without, stale = dependencies.problems(book.root)
    assert broken.startswith("notebooks/01_classical_cs.ipynb, cell 3, line 1: ")
    assert without.startswith("notebooks/02_sparse.ipynb has no cell tagged 'parameters'")
    assert stale == "03_lower is stale: gsl_utils.sensing changed"


def test_status_prints_the_same(book, monkeypatch, capsys):
    monkeypatch.chdir(book.root / "book")
    assert dependencies.run(None) == 0
    assert capsys.readouterr().out == "3 pages, all fresh\n"
    book.page("01_classical_cs").unlink()
    assert dependencies.run(None) == 1
    assert capsys.readouterr().out == "01_classical_cs is stale: it was never executed\n"


def test_no_file_is_parsed_twice_however_many_pages_use_it(toy, root, monkeypatch):
    """Each of nine pages imports all of the science; the claims are the real ones."""
    (toy.root / "claims").rmdir()
    (toy.root / "claims").symlink_to(root / "claims")
    (toy.root / "gsl_utils/__init__.py").unlink()
    (toy.root / "gsl_utils").rmdir()
    (toy.root / "gsl_utils").symlink_to(root / "gsl_utils")
    science = [path.stem for path in (root / "gsl_utils").glob("*.py") if path.stem != "__init__"]
    imports = "\n".join(f"import gsl_utils.{name}" for name in [*science, "book.plotting", "book.results"])
    for number in range(9):
        toy.notebook(f"{number:02}_page", imports, *(f"x = {cell}" for cell in range(40)))
    parsed = Counter()
    parse, yaml_file = ast.parse, records.YamlFile

    def counted(source, *args, **kwargs):
        parsed[source] += 1
        return parse(source, *args, **kwargs)

    monkeypatch.setattr(ast, "parse", counted)
    monkeypatch.setattr(
        records,
        "YamlFile",
        lambda place, path, schema: parsed.update([path]) or yaml_file(place, path, schema),
    )
    assert len(dependencies.problems(toy.root)) == 9
    modules = {path.read_bytes() for path in (root / "gsl_utils").rglob("*.py")}
    assert len(parsed.keys() & modules) > len(science)
    assert {source: count for source, count in parsed.items() if count > 1 and source in modules} == {}
    claims = set((toy.root / "claims").glob("*.yml"))
    assert {parsed[path] for path in claims} == {1}
