"""The linter of bound prose: typed numbers are named with page and cell, and so are values nobody uses."""

from __future__ import annotations

import json

import nbformat
import pytest

from bindery.emit import CLAIM_MIME, GLUE_PREFIX
from bindery.lint import literals

STEM = "01_page"
HERE = f"notebooks/{STEM}.ipynb"


class Book:
    def __init__(self, root):
        self.root = root
        for folder in ("notebooks", "book", "claims"):
            (root / folder).mkdir()
        self.cells = []

    def text(self, text):
        self.cells.append(nbformat.v4.new_markdown_cell(text))
        return self.write()

    def figure(self, caption="What to see.", alt="A line."):
        mystnb = {"figure": {"caption": caption, "name": "a"}, "image": {"alt": alt}}
        self.cells.append(nbformat.v4.new_code_cell("x = 0.1", metadata={"mystnb": mystnb}))
        return self.write()

    def write(self):
        text = nbformat.writes(nbformat.v4.new_notebook(cells=self.cells))
        (self.root / HERE).write_text(text)
        return self

    def page(self, values=(), claims=(), stem=STEM):
        outputs = []
        for key, value in dict(values).items():
            metadata = {"scrapbook": {"mime_prefix": GLUE_PREFIX, "name": key}}
            data = {f"{GLUE_PREFIX}text/plain": repr(value)}
            outputs.append(nbformat.v4.new_output("display_data", data, metadata=metadata))
        for claim in claims:
            data = {CLAIM_MIME: json.dumps({"id": claim}), "text/plain": "0.1"}
            outputs.append(nbformat.v4.new_output("display_data", data))
        cell = nbformat.v4.new_code_cell("", outputs=outputs, execution_count=1)
        page = nbformat.v4.new_notebook(cells=[cell])
        (self.root / "book" / f"{stem}.ipynb").write_text(nbformat.writes(page))
        return self

    def markdown(self, text, name="index.md"):
        path = self.root / "book" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return self

    def allow(self, text):
        (self.root / literals.ALLOWED).write_text(text)
        return self

    @property
    def problems(self):
        return literals.problems(self.root)


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def typed(place, literal):
    remedy = f"bind it with {{glue:text}}, or allow it with a reason in {literals.ALLOWED}"
    return f"{place}: {literal!r} is typed; {remedy}"


# Typed numbers


def test_a_typed_number_is_named_with_page_cell_and_literal(book):
    book.text("# Title").text("The slope is 0.97, as $a = 0.5$ says.")
    assert book.problems == [typed(f"{HERE} cell 2", "0.5"), typed(f"{HERE} cell 2", "0.97")]


def test_a_typed_number_of_a_page_is_named_with_its_line(book):
    book.markdown("# Title\n\n```{note}\nIt reaches 20 dB.\n```\n")
    assert book.problems == [typed("book/index.md line 4", "20 dB")]


def test_a_caption_is_prose(book):
    book.figure(caption="It falls to 3 %.")
    assert book.problems == [typed(f"{HERE} cell 1", "3 %")]


def test_code_is_not_prose(book):
    book.cells.append(nbformat.v4.new_code_cell("# 0.5\nx = 0.5"))
    book.text("`x = 0.5`").figure()
    assert book.problems == []


def test_folders_of_the_machinery_are_not_pages(book):
    book.markdown("0.5", "_static/a.md").markdown("0.5", "sub/b.md")
    assert book.problems == [typed("book/sub/b.md line 1", "0.5")]


@pytest.mark.parametrize("alt", ["It rises to 0.5.", "3 % of it", "24 of 30 points"])
def test_alt_text_holds_no_measured_number(book, alt):
    book.figure(alt=alt)
    (problem,) = book.problems
    assert problem.startswith(f"{HERE} cell 1: the alt text holds the number ")


def test_a_number_in_alt_text_cannot_be_allowed(book):
    book.figure(alt="It rises to 0.5.").allow(f'{HERE}:\n  "0.5": "the level that we set ourselves"\n')
    assert any("alt text holds the number '0.5'" in problem for problem in book.problems)


# The allow-list


def test_an_allowed_literal_is_allowed_on_its_page_only(book):
    book.text("We set 20 dB, twice 20 dB, and see 21 dB.").markdown("20 dB")
    book.allow(f'{HERE}:\n  "20 dB": "the noise level that the experiment sets"\n')
    assert book.problems == [typed(f"{HERE} cell 1", "21 dB"), typed("book/index.md line 1", "20 dB")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{HERE}:\n  "0.7": "a constant of the theorem"', f"{HERE}: '0.7' is not in its prose"),
        (f'{HERE}:\n  "20 dB": ""', f"{HERE}: '20 dB' needs a reason"),
        (f'{HERE}:\n  "20 dB": "because"', f"{HERE}: '20 dB' needs a reason"),
        (f'{HERE}:\n  "20 dB": 3', f"{HERE}: '20 dB' needs a reason"),
        (f'{HERE}:\n  0.5: "a constant of the theorem"', f"{HERE}: 0.5 must be in quotation marks"),
        (f"{HERE}: all of it", f"{HERE} must map literals to reasons"),
        ('book/gone.md:\n  "0.5": "a constant of the theorem"', "book/gone.md does not exist"),
        ("- 0.5", "must map each file"),
        ("a: [", "not YAML"),
    ],
)
def test_a_bad_allow_list_is_a_problem(book, text, message):
    book.text("Nothing, or 20 dB.").allow(text)
    assert any(problem.startswith(f"{literals.ALLOWED}: {message}") for problem in book.problems), (
        book.problems
    )


def test_an_empty_allow_list_is_fine(book):
    book.text("Nothing.").allow("# nothing yet\n")
    assert book.problems == []


# Bound values


def test_a_bound_value_is_used_on_its_page_in_a_caption_and_on_another(book):
    book.text("It is {glue:text}`slope:.2f`, {glue:text}`a-b`.").figure(caption="See {glue:text}`share:.0%`.")
    book.markdown(f"{{glue:text}}`{STEM}.ipynb::word:s` and {{glue:text}}`{STEM}.ipynb::a.b-c:,.0f`")
    book.page({"slope": 0.97, "a-b": 1, "share": 0.5, "word": "reproduced", "a.b-c": 3})
    assert book.problems == []


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("gone:.2f", "which publishes no 'gone'"),
        ("02_gone.ipynb::slope:.2f", "book/02_gone.ipynb, which does not exist"),
        ("slope:.2q", "the format '.2q', which does not fit the value 0.97"),
        ("word:.2f", "the format '.2f', which does not fit the value 'yes'"),
        ("tiny:.2f", "is written '-0.00'; put a z before the format's point"),
        ("::slope", "is not a reference"),
        (":.2f", "is not a reference"),
    ],
)
def test_a_broken_reference_is_a_problem(book, role, message):
    others = " ".join(f"{{glue:text}}`{one}`" for one in ("slope:.2f", "word:s", "tiny:z.2f"))
    book.text(f"It is {{glue:text}}`{role}`, {others}.")
    book.page({"slope": 0.97, "word": "yes", "tiny": -0.004})
    (problem,) = book.problems
    assert problem.startswith(f"{HERE} cell 1: {role!r} ")
    assert message in problem


def test_a_page_that_was_never_executed_is_a_problem(book):
    book.text("{glue:text}`slope:.2f`")
    (problem,) = book.problems
    assert f"book/{STEM}.ipynb, which does not exist: make execute" in problem


def test_a_markdown_page_must_say_where_its_values_are_from(book):
    book.markdown("{glue:text}`slope:.2f`")
    (problem,) = book.problems
    assert problem.startswith("book/index.md line 1: 'slope:.2f' must name the page")


def test_a_value_that_no_prose_uses_is_a_problem(book):
    book.text("{glue:text}`used:.2f`").page({"used": 1.0, "unused": 2.0})
    assert book.problems == [f"book/{STEM}.ipynb: publishes 'unused', which no prose uses"]


def test_the_ends_of_an_interval_may_stay_unused_where_its_value_is_used(book):
    values = {"slope": 1.0, "slope-low": 0.9, "slope-high": 1.1, "x-low": 2.0}
    book.text("{glue:text}`slope:.2f`").page(values)
    assert book.problems == [f"book/{STEM}.ipynb: publishes 'x-low', which no prose uses"]


def test_what_record_and_stored_results_publish_may_stay_unused(book):
    keys = ["cs-noise", "cs-noise.low", "cs-noise.verdict", "cs-noise.slope.high", "paper.trials"]
    book.text("# Title").page(dict.fromkeys(keys, 1.0), claims=["cs-noise"])
    assert book.problems == []
    book.page(dict.fromkeys(["cs-noise", "cs-noise-level"], 1.0), claims=["cs-noise"])
    assert book.problems == [f"book/{STEM}.ipynb: publishes 'cs-noise-level', which no prose uses"]


def test_the_books_own_prose_is_bound(root):
    assert literals.problems(root) == []
