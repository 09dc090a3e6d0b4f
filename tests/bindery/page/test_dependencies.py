import ast
import importlib

import pytest

from bindery.page.dependencies import combined, page_dependencies, paper_dependencies, reasons
from bindery.page.pages import FORMAT
from bindery.page.sources import Sources
from bindery.page.syntax import imports
from bindery.root import BookError
from gsl_utils import datasets


@pytest.fixture
def book(toy):
    """Four modules: sensing alone, sparse over _shared, metrics, and the machinery."""
    toy.module("sensing", "def measure(x):\n    return x\n")
    toy.module("_shared", "LIMIT = 3\n")
    toy.module("sparse", "from ._shared import LIMIT\n\n\ndef lasso(x):\n    return x + LIMIT\n")
    toy.module(
        "metrics", "def error(x):\n    from gsl_utils import _shared\n\n    return x * _shared.LIMIT\n"
    )
    toy.module("generators/__init__", "from gsl_utils.generators.flow import flow\n")
    toy.module("generators/flow", "def flow(z):\n    return z\n")
    toy.machine("record", "from bindery.emit import show\n")
    toy.machine("emit", "def show():\n    pass\n")
    return toy


def modules(book, *cells):
    book.notebook("01_classical_cs", *cells)
    found = page_dependencies(book.root, "01_classical_cs")
    return {name for name in found if name.startswith("gsl_utils")}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1", set()),
        ("import torch", set()),
        ("from gsl_utils.sensing import measure", {"sensing"}),
        ("import gsl_utils.sensing", {"sensing"}),
        ("import gsl_utils.sensing as s", {"sensing"}),
        ("from gsl_utils import sensing", {"sensing"}),
        ("from gsl_utils.sparse import lasso", {"sparse", "_shared"}),
        ("def late():\n    from gsl_utils.metrics import error", {"metrics", "_shared"}),
        # A room that only hands names on is looked through; as a whole it is all that it hands on.
        ("from gsl_utils.generators import flow", {"generators.flow"}),
        ("from gsl_utils.generators.flow import flow", {"generators.flow"}),
        ("from gsl_utils.generators import *", {"generators", "generators.flow"}),
        ("import gsl_utils.generators", {"generators", "generators.flow"}),
        # The machinery makes no page stale: the tests execute each page again.
        ("from bindery.record import record", set()),
        ("import importlib\nimportlib.import_module('gsl_utils.sensing')", {"sensing"}),
    ],
)
def test_the_closure_of_imports(book, code, expected):
    package = {"gsl_utils"} if expected else set()
    assert modules(book, "%matplotlib inline", code) == package | {f"gsl_utils.{name}" for name in expected}


def test_a_further_name_of_a_room_makes_no_other_page_stale(book):
    room = (
        "from gsl_utils.generators.flow import Flow\nfrom gsl_utils.generators.wave import Wave\n"
        "\n__all__ = ['Flow', 'Wave']\n"
    )
    book.module("generators/__init__", room)
    book.module("generators/flow", "from gsl_utils.sparse import lasso\n\n\nclass Flow:\n    pass\n")
    book.module("generators/wave", "class Wave:\n    pass\n")
    book.notebook("01_classical_cs", "from gsl_utils.generators import Flow as F")
    found = {name for name in page_dependencies(book.root, "01_classical_cs") if name.startswith("gsl_utils")}
    reached = {"generators.flow", "sparse", "_shared"}
    assert found == {"gsl_utils"} | {f"gsl_utils.{name}" for name in reached}
    assert changes(book, lambda: rewrite(book.root / "gsl_utils/generators/wave.py", "Wave", "Wake")) == set()
    # A room that does more than hand on is a module like others.
    book.module("generators/__init__", room + "LIMIT = 3\n")
    assert "gsl_utils.generators.wave" in page_dependencies(book.root, "01_classical_cs")


def test_a_module_that_is_no_longer_reached_is_no_reason():
    old = {"notebook": "a", "gsl_utils.generators": "b", "claim cs-noise": "c"}
    assert reasons(old, {"notebook": "a"}) == ["claim cs-noise is no longer used"]
    assert reasons(old, old | {"notebook": "d"}) == ["notebook changed"]


def test_modules_that_import_each_other_end(book):
    book.module("sensing", "from gsl_utils import sparse\n")
    book.module("sparse", "from gsl_utils import sensing\n")
    assert modules(book, "import gsl_utils.sparse") == {"gsl_utils", "gsl_utils.sensing", "gsl_utils.sparse"}


def test_every_dependency_has_a_name_and_a_digest(book):
    book.notebook("01_classical_cs", "from gsl_utils.sparse import lasso")
    found = page_dependencies(book.root, "01_classical_cs")
    modules = {"gsl_utils", "gsl_utils._shared", "gsl_utils.sparse"}
    assert set(found) == modules | {"constraints.txt", "notebook", "page format"}
    assert found["page format"] == str(FORMAT)
    assert all(len(digest) == 64 for name, digest in found.items() if name != "page format")
    assert len(set(found.values())) == len(found)
    assert page_dependencies(book.root, "01_classical_cs") == found


def changes(book, edit, dependencies=page_dependencies):
    """Which dependencies of the page an edit changes."""
    before = dependencies(book.root, "01_classical_cs")
    edit()
    after = dependencies(book.root, "01_classical_cs")
    assert (combined(before) == combined(after)) == (before == after)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("gsl_utils/_shared.py", "3", "4", {"gsl_utils._shared"}),
        ("gsl_utils/_shared.py", "LIMIT = 3", '"""Why."""\n\n# three\nLIMIT = 3', set()),
        ("gsl_utils/metrics.py", "x *", "x +", set()),
        ("gsl_utils/__init__.py", '"1"', '"2"', set()),
        ("constraints.txt", "2.4.6", "2.4.7", {"constraints.txt"}),
        ("constraints.txt", "numpy==2.4.6\n", "# pins\n\nnumpy==2.4.6  # of today\n", set()),
        ("notebooks/01_classical_cs.ipynb", "lasso(1)", "lasso(2)", {"notebook"}),
        ("notebooks/01_classical_cs.ipynb", "# 01_classical_cs", "# Another", {"notebook"}),
        ("notebooks/01_classical_cs.ipynb", "remove-cell", "hide-cell", {"notebook"}),
    ],
)
def test_what_is_edited_is_what_changed(book, file, old, new, changed):
    book.notebook("01_classical_cs", "from gsl_utils.sparse import lasso", "lasso(1)")
    assert changes(book, lambda: rewrite(book.root / file, old, new)) == changed


def test_only_the_deciding_fields_of_the_chapters_claims_count(book):
    book.notebook("01_classical_cs", "x = 1")
    file = book.claim("cs-noise")
    assert "claim cs-noise" in page_dependencies(book.root, "01_classical_cs")
    assert changes(book, lambda: rewrite(file, "A claim.", "The same in other words.")) == set()
    assert changes(book, lambda: rewrite(file, "slope > 0", "slope > 1")) == {"claim cs-noise"}
    assert changes(book, lambda: rewrite(file, "01_classical_cs", "05_landscape")) == {"claim cs-noise"}


DATASETS = """
_SHA256 = {"mnist": {"a.gz": "1", "b.gz": "2"}, "fashion-mnist": {"a.gz": "3"}}


def load(name):
    pass
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("load('mnist')", {"data mnist"}),
        ("load(name='fashion-mnist')", {"data fashion-mnist"}),
        ("[load('mnist', 'test'), load('fashion-mnist')]", {"data mnist", "data fashion-mnist"}),
        ("load('digits')", set()),
        ("[load(name) for name in names]", {"data mnist", "data fashion-mnist"}),
        ("'mnist'", set()),
    ],
)
def test_data_are_read_from_the_calls(book, code, expected):
    book.module("datasets", DATASETS)
    book.notebook("01_classical_cs", "from gsl_utils.datasets import load", code)
    for dependencies in (page_dependencies, paper_dependencies):
        found = dependencies(book.root, "01_classical_cs")
        assert {name for name in found if name.startswith("data ")} == expected


@pytest.mark.parametrize(
    "code",
    [
        "from gsl_utils.datasets import load as get\nget('mnist')",
        "from gsl_utils import datasets as d\nd.load('mnist')",
        "import gsl_utils.datasets\ngsl_utils.datasets.load('mnist')",
        "import gsl_utils.datasets as d\nprint(d.load('mnist')[0])\nf()()\nx[0]()",
    ],
)
def test_data_are_found_under_every_name_of_the_call(book, code):
    book.module("datasets", DATASETS)
    book.notebook("01_classical_cs", code)
    found = page_dependencies(book.root, "01_classical_cs")
    assert [name for name in found if name.startswith("data ")] == ["data mnist"]


def test_the_digest_of_data_is_that_of_the_package(root):
    known = Sources(root).registered
    assert set(known) == {"mnist", "fashion-mnist"}
    assert known == {name: datasets.digest(name) for name in known}


def test_shipped_files_count_for_those_who_name_them(book):
    weights = book.root / "gsl_utils/weights/vae.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"1")
    book.module("vae", 'def load(name):\n    return open(f"weights/{name}.safetensors")\n')
    book.notebook("01_classical_cs", "import gsl_utils.vae", "gsl_utils.vae.load('vae')")
    name = "gsl_utils/weights/vae.safetensors"
    assert changes(book, lambda: weights.write_bytes(b"2")) == {name}
    assert changes(book, lambda: weights.write_bytes(b"3"), paper_dependencies) == {name}
    book.notebook("01_classical_cs", "import gsl_utils.vae", "'', 'vae.txt'")
    assert name not in page_dependencies(book.root, "01_classical_cs")


@pytest.mark.parametrize(
    "call",
    [
        "load('01_classical_cs')",
        "load(stem)",
        "load(page_stem='01_classical_cs')",
        "page.stored('01_classical_cs')",
        "Page(profile, seed).stored('01_classical_cs')",
    ],
)
def test_stored_results_count_for_the_page_that_shows_them(book, call):
    book.notebook("01_classical_cs", f"from bindery.runs.results import load\nkept = {call}")
    assert page_dependencies(book.root, "01_classical_cs")["results/01_classical_cs"] == "none"
    folder = book.root / "results/01_classical_cs"
    folder.mkdir()
    stored = folder / "paper.json"
    names = {"results/01_classical_cs", "results/01_classical_cs/paper.json"}
    assert changes(book, lambda: stored.write_text("{}")) == names
    assert changes(book, lambda: stored.write_text("{ }")) == {"results/01_classical_cs/paper.json"}
    other = book.root / "results/02_other"
    other.mkdir()
    assert changes(book, lambda: (other / "paper.json").write_text("{}")) == set()


def test_the_page_of_the_benchmarks_depends_on_what_they_measure(book):
    book.notebook("01_classical_cs", "page.stored('benchmarks')")
    folder = book.root / "benchmarks"
    folder.mkdir()
    race = folder / "race.py"
    race.write_text("from gsl_utils.sparse import lasso\nfrom bindery.record import show\n")
    measured = {"benchmarks", "gsl_utils", "gsl_utils._shared", "gsl_utils.sparse"}
    assert set(paper_dependencies(book.root, "benchmarks")) == measured
    assert measured < set(page_dependencies(book.root, "01_classical_cs"))
    assert changes(book, lambda: race.write_text(race.read_text() + "# why\n")) == set()
    assert changes(book, lambda: race.write_text(race.read_text() + "lasso(1)\n")) == {"benchmarks"}
    race.write_text("import (")
    with pytest.raises(BookError, match=r"benchmarks/race\.py, line 1"):
        paper_dependencies(book.root, "benchmarks")


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("gsl_utils/_shared.py", "3", "4", {"gsl_utils._shared"}),
        ("bindery/emit.py", "pass", "return 1", set()),
        ("constraints.txt", "2.4.6", "2.4.7", set()),
        ("notebooks/01_classical_cs.ipynb", "lasso(1)", "lasso(2)", {"code cells"}),
        ("notebooks/01_classical_cs.ipynb", "lasso(1)", "lasso(1)  # why", set()),
        ("notebooks/01_classical_cs.ipynb", "# 01_classical_cs", "# Another", set()),
    ],
)
def test_a_stored_run_depends_on_what_decides_its_numbers(book, file, old, new, changed):
    book.notebook(
        "01_classical_cs",
        "from gsl_utils.sparse import lasso\nfrom bindery.record import show",
        "lasso(1)",
    )
    assert changes(book, lambda: rewrite(book.root / file, old, new), paper_dependencies) == changed


def test_a_cell_that_is_not_python_is_named(book):
    book.notebook("01_classical_cs", "x = 1", "y = (")
    with pytest.raises(
        BookError, match=r"notebooks/01_classical_cs.ipynb, cell 4, line 1: '\(' was never closed"
    ):
        page_dependencies(book.root, "01_classical_cs")


def test_a_module_that_is_not_python_is_named(book):
    book.module("sparse", "\ndef broken(:\n")
    book.notebook("01_classical_cs", "import gsl_utils.sparse")
    with pytest.raises(BookError, match=r"gsl_utils.sparse.py, line 2: invalid syntax"):
        page_dependencies(book.root, "01_classical_cs")


def test_an_unknown_module_is_refused(book):
    with pytest.raises(BookError, match=r"there is no module gsl_utils\.nowhere"):
        Sources(book.root).digest("gsl_utils.nowhere")


def test_nothing_of_the_package_is_imported(book):
    for module in ("sensing", "_shared", "sparse"):
        path = book.root / f"gsl_utils/{module}.py"
        path.write_text(path.read_text() + "raise RuntimeError('imported')\n")
    assert modules(book, "from gsl_utils.sparse import lasso") == {
        "gsl_utils",
        "gsl_utils._shared",
        "gsl_utils.sparse",
    }


@pytest.mark.parametrize("code", ["sparse import lasso", "recovery import csgm, gsl_best"])
def test_what_the_code_imports_comes_from_the_modules_that_were_read(root, code):
    """Python says of each function and class where it was written: that module is in the closure."""
    sources = Sources(root)
    closure = sources.closure([ast.parse(f"from gsl_utils.{code}")])
    found = 0
    for module in closure:
        package = importlib.import_module(module).__package__
        for _, name in imports(sources.tree(module), package):
            holder, _, attribute = name.rpartition(".")
            if holder.startswith("gsl_utils"):
                source = importlib.import_module(holder)
                imported = getattr(source, attribute, None) or importlib.import_module(name)
                owner = getattr(imported, "__module__", getattr(imported, "__name__", ""))
                found += owner.startswith("gsl_utils")
                assert not owner.startswith("gsl_utils") or owner in closure, (module, name, owner)
    assert found > 5


def test_neither_package_imports_the_other(root):
    for package, other in (("gsl_utils", "bindery"), ("bindery", "gsl_utils")):
        files = sorted((root / package).rglob("*.py"))
        assert files
        for file in files:
            found = {dotted.partition(".")[0] for _, dotted in imports(ast.parse(file.read_bytes()))}
            assert other not in found, file


def test_combined_depends_on_names_and_digests():
    assert combined({"a": "1", "b": "2"}) == combined({"b": "2", "a": "1"})
    others = [{"a": "2", "b": "1"}, {"a": "1"}, {"a": "1", "c": "2"}, {}]
    assert len({combined(other) for other in [*others, {"a": "1", "b": "2"}]}) == 5
