import json

import nbformat
import pytest

from bindery.page import notebooks
from bindery.root import BookError


@pytest.fixture
def book(toy):
    for stem in ("02_beta", "01_alpha", "02_beth"):
        toy.notebook(stem, "x = 1")
    return toy


def test_notebooks_and_pages_are_listed_in_order(book):
    (book.root / "notebooks/.ipynb_checkpoints").mkdir()
    (book.root / "notebooks/.ipynb_checkpoints/01_alpha-checkpoint.ipynb").touch()
    (book.root / "book/intro.md").touch()
    book.page("01_alpha").touch()
    assert notebooks.stems(book.root) == ["01_alpha", "02_beta", "02_beth"]
    assert notebooks.stems(book.root, "book") == ["01_alpha"]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([], ["01_alpha", "02_beta", "02_beth"]),
        (["01"], ["01_alpha"]),
        (["02_beta"], ["02_beta"]),
        (["book/02_beth.ipynb", "notebooks/01_alpha.ipynb"], ["01_alpha", "02_beth"]),
    ],
)
def test_a_person_may_name_notebooks_in_several_ways(book, names, chosen):
    assert notebooks.select(book.root, names) == chosen


@pytest.mark.parametrize(("name", "fits"), [("03", "no notebook"), ("02", "02_beta"), ("", "no notebook")])
def test_a_name_must_fit_exactly_one_notebook(book, name, fits):
    with pytest.raises(BookError, match=f"{name!r} fits .*{fits}.*must fit one of .*01_alpha"):
        notebooks.select(book.root, [name])


def test_a_notebook_reads_as_nbformat_reads_it(book):
    path = book.notebook("03_c", "x = 1\ny = 2\n", "#:# Title\n\nText")
    assert notebooks.read(path) == nbformat.read(path, as_version=4)


def drop_id(raw):
    del raw["cells"][0]["id"]


def repeat_id(raw):
    raw["cells"][0]["id"] = raw["cells"][1]["id"]


def drop_source(raw):
    del raw["cells"][0]["source"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_id, "each with its own id"),
        (repeat_id, "each with its own id"),
        (lambda raw: raw["cells"].clear(), "must have cells"),
        (drop_source, "is not a notebook: 'source' is a required property"),
    ],
)
def test_a_notebook_that_is_none_is_refused_by_name(book, spoil, message):
    path = book.root / "notebooks/01_alpha.ipynb"
    raw = json.loads(path.read_text())
    spoil(raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(BookError, match=f"^notebooks/01_alpha.ipynb .*{message}"):
        notebooks.read(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_file_that_is_no_notebook_is_refused_by_name(book, text):
    path = book.root / "notebooks/01_alpha.ipynb"
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(BookError, match=r"^notebooks/01_alpha\.ipynb "):
        notebooks.read(path)


def test_a_missing_notebook_is_refused_by_name(book):
    with pytest.raises(BookError, match=r"notebooks/09\.ipynb does not exist"):
        notebooks.read(book.root / "notebooks/09.ipynb")


def test_parameters_are_read_from_their_cell(book):
    path = book.notebook(
        "03_c", "seed = 9", parameters='profile = "quick"  # or paper\nseed = 7\nother = f(1)'
    )
    assert notebooks.default_parameters(notebooks.read(path), "c") == {"profile": "quick", "seed": 7}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (None, "c has no cell tagged 'parameters'"),
        ("seed = 0", "c sets profile to None"),
        ('profile = "quick"\nseed = True', "c sets seed to True.*literal int"),
        ('profile = "quick"\nseed = int(3)', "c sets seed to None"),
    ],
)
def test_parameters_must_be_there(book, parameters, message):
    path = book.notebook("03_c", "x = 1", parameters=parameters)
    with pytest.raises(BookError, match=message):
        notebooks.default_parameters(notebooks.read(path), "c")


def test_writing_replaces_the_file_whole_or_not_at_all(book, monkeypatch):
    notebook = notebooks.read(book.root / "notebooks/01_alpha.ipynb")
    target = book.root / "book/deep/01_alpha.ipynb"
    notebooks.write(notebook, target)
    old = target.read_bytes()
    assert old.endswith(b"}\n")
    assert notebooks.read(target) == notebook

    def torn(*args, **kwargs):
        raise OSError("no space left on device")

    notebook.cells[0].source = "# Another"
    monkeypatch.setattr("pathlib.Path.replace", torn)
    with pytest.raises(OSError, match="no space"):
        notebooks.write(notebook, target)
    assert target.read_bytes() == old
    assert [path.name for path in target.parent.iterdir()] == ["01_alpha.ipynb"]
