"""Pages are numbered like their files, in a site of two chapters that are not the first two, and a part."""

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from bindery.site.extension import LISTENERS
from bindery.site.pages import renumber

CHAPTER = """{title}
==========

First part
----------

See :numref:`{name}`.

.. _{name}:

.. figure:: /dot.svg

   A dot
"""
TOC = """Start
=====

.. toctree::
   :numbered:

   book/03_second
   book/06_third

.. toctree::
   :numbered:

   book/10_part

.. toctree::

   book/11_extra
"""
DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("numbering")
    (root / "book").mkdir()
    (root / "dot.svg").write_text(DOT)
    (root / "index.rst").write_text(TOC)
    for name in ("03_second", "03_second_evidence", "06_third", "10_part", "11_extra"):
        title = name[3:].partition("_")[2] or name[3:]
        text = CHAPTER.format(title=title.title(), name=name)
        below = "\n.. toctree::\n\n   03_second_evidence\n" if name == "03_second" else ""
        (root / "book" / f"{name}.rst").write_text(text + below)
    options = {"numfig": True, "html_theme": "basic"}
    out = root / "out"
    app = Sphinx(root, None, out, out / ".doctrees", "html", options, status=None, warningiserror=True)
    for event, listener, priority in LISTENERS:
        if listener is renumber:
            app.connect(event, listener, priority)
    app.build()

    def page(name):
        text = (out / f"{name}.html").read_text(encoding="utf-8")
        return BeautifulSoup(text, "html.parser")

    return page


@pytest.mark.parametrize(("name", "number"), [("03_second", 3), ("06_third", 6), ("10_part", 10)])
def test_titles_sections_and_figures_have_the_number_of_the_file(built, name, number):
    page = built(f"book/{name}")
    assert page.h1.get_text().startswith(f"{number}. ")
    assert page.h2.get_text().startswith(f"{number}.1. ")
    assert page.select_one(".caption-number").get_text().strip() == f"Fig. {number}.1"
    assert page.select_one("p a.reference").get_text() == f"Fig. {number}.1"


def test_evidence_counts_on_where_its_lesson_ended(built):
    page = built("book/03_second_evidence")
    assert page.select_one(".caption-number").get_text().strip() == "Fig. 3.2"


def test_the_table_of_contents_has_the_same_numbers(built):
    listed = [link.get_text() for link in built("index").select(".toctree-wrapper li.toctree-l1 > a")]
    assert listed == ["3. Second", "6. Third", "10. Part", "Extra"]


def test_a_page_without_a_number_gets_none(built):
    page = built("book/11_extra")
    assert page.h1.get_text().startswith("Extra")
    assert page.select_one(".caption-number").get_text().strip() == "Fig. 1"
