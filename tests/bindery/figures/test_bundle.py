"""Figures of a page: read, written out, and every way in which they can be wrong."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from bindery.figures import bundle
from bindery.figures.encoding import BUNDLE_MIME, Bundle, from_columns, from_images

SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'
TABLE = from_columns("a-line", {"x": [0, 1], "y": [0.0, 1 / 3]}, profile="quick", seeds=[3])
IMAGES = from_images("some-digits", {"digits": np.eye(3)}, profile="quick", seeds=[3, 4])


def output(data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


def shown(made):
    # On disk a text is a list of lines, while the bundle stays one string.
    return output({"image/svg+xml": [f"{SVG}\n", "<!-- -->"], BUNDLE_MIME: made.to_json()})


def cell(*outputs, caption="What to see.", alt="A line that rises.", name="a-line"):
    mystnb = {"figure": {"caption": caption, "name": name}, "image": {"alt": alt}}
    return {
        "cell_type": "code",
        "id": "c",
        "metadata": {"mystnb": mystnb},
        "source": "",
        "outputs": list(outputs),
    }


def write_page(root, *cells, stem="01_page"):
    (root / "book").mkdir(exist_ok=True)
    path = root / "book" / f"{stem}.ipynb"
    title = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# Title"}
    path.write_text(
        json.dumps({"cells": [title, *cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    return path


def good_page(root):
    return write_page(root, cell(shown(TABLE)), cell(shown(IMAGES), name="some-digits"))


@pytest.mark.parametrize("made", [TABLE, IMAGES])
def test_a_bundle_is_read_back(made):
    assert Bundle.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"name": "a"}', '{"name": "a", "profile": "quick", "seeds": 3, "columns": []}']
)
def test_what_is_no_bundle_is_refused(text):
    with pytest.raises(ValueError, match="not a figure bundle"):
        Bundle.from_json(text)


def test_figures_are_read_in_order_with_what_the_cell_says(tmp_path):
    line, images = bundle.read(good_page(tmp_path))
    assert (line.bundle, line.caption, line.alt, line.label) == (
        TABLE,
        "What to see.",
        "A line that rises.",
        "a-line",
    )
    assert line.svg == f"{SVG}\n<!-- -->"
    assert images.bundle == IMAGES


def test_extract_writes_picture_numbers_and_description(tmp_path):
    page = good_page(tmp_path)
    files = bundle.extract(page, tmp_path / "out")
    names = [
        "a-line.csv",
        "a-line.json",
        "a-line.svg",
        "some-digits.json",
        "some-digits.npz",
        "some-digits.svg",
    ]
    assert [path.relative_to(tmp_path / "out" / "01_page").as_posix() for path in files] == names
    folder = tmp_path / "out" / "01_page"
    assert (folder / "a-line.csv").read_text() == "x,y\n0,0\n1,0.333333\n"
    assert (folder / "a-line.svg").read_text().startswith(SVG)
    with np.load(folder / "some-digits.npz") as arrays:
        np.testing.assert_array_equal(arrays["digits"], np.eye(3))
    assert json.loads((folder / "some-digits.json").read_text()) == {
        "name": "some-digits",
        "chapter": "01_page",
        "profile": "quick",
        "seeds": [3, 4],
        "columns": ["digits"],
        "data": "some-digits.npz",
        "caption": "What to see.",
        "alt": "A line that rises.",
        "page_sha256": hashlib.sha256(page.read_bytes()).hexdigest(),
    }


def test_a_good_page_has_no_problem(tmp_path):
    good_page(tmp_path)
    assert bundle.problems(tmp_path) == []


BAD_CSV = json.dumps(json.loads(TABLE.to_json()) | {"csv": "x,y\n1\n"})
OTHER_COLUMNS = json.dumps(json.loads(TABLE.to_json()) | {"columns": ["x"]})


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (cell(shown(TABLE), caption=" "), "the figure 'a-line' has no caption"),
        (cell(shown(TABLE), alt=""), "the figure 'a-line' has no alt text"),
        (cell(shown(TABLE), name=None), "the figure 'a-line' has no label"),
        (cell(shown(TABLE), name="fig-a"), "the figure 'a-line' has the label 'fig-a'"),
        (cell(shown(TABLE)) | {"metadata": {}}, "has no caption"),
        (cell(shown(TABLE), shown(IMAGES)), "shows 2 pictures"),
        (cell(output({"image/png": "abc"})), "shows image/png without its numbers"),
        (cell(output({"image/svg+xml": SVG})), "shows image/svg+xml without its numbers"),
        (cell(output({"image/svg+xml": SVG, "image/png": "", BUNDLE_MIME: "{}"})), "image/png and image/svg"),
        (cell(output({"image/svg+xml": SVG, BUNDLE_MIME: "{}"})), "bundle cannot be read"),
        (
            cell(output({"image/svg+xml": SVG, BUNDLE_MIME: BAD_CSV})),
            "bundle cannot be read: row 1 of the CSV",
        ),
        (
            cell(output({"image/svg+xml": SVG, BUNDLE_MIME: OTHER_COLUMNS})),
            r"holds ['x', 'y'], but its bundle",
        ),
    ],
)
def test_a_problem_is_named_with_its_page_and_cell(tmp_path, broken, message):
    write_page(tmp_path, broken)
    found = bundle.problems(tmp_path)
    assert any(
        problem.startswith("book/01_page.ipynb cell 2: ") and message in problem for problem in found
    ), found


def test_two_figures_of_one_name_are_a_problem_across_pages(tmp_path):
    write_page(tmp_path, cell(shown(TABLE)), stem="01_page")
    write_page(tmp_path, cell(shown(TABLE)), stem="02_page")
    assert bundle.problems(tmp_path) == [
        "book/02_page.ipynb cell 2: the figure 'a-line' has the name of the one in book/01_page.ipynb cell 2"
    ]


def test_the_books_own_pages_have_no_problem(root):
    assert bundle.problems(root) == []
