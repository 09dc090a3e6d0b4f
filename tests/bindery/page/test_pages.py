import copy
import itertools

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from bindery.page.pages import INJECTED_ID, build_page, differences, outputs_digest


def stream(name, text):
    return new_output("stream", name=name, text=text)


def shown(text):
    return new_output("display_data", data={"text/plain": text})


def source_notebook():
    given_cell = new_code_cell("seed = 0", id="given", metadata={"tags": ["parameters"]})
    return new_notebook(cells=[new_markdown_cell("# T", id="t"), given_cell, new_code_cell("go()", id="go")])


def executed_notebook(outputs, **noise):
    executed = copy.deepcopy(source_notebook())
    executed.cells.insert(2, new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}))
    for count, cell in enumerate(executed.cells[1:], start=1):
        cell.execution_count = count
    executed.cells[3].outputs = outputs
    executed.metadata.papermill = {"start_time": "now", **noise}
    executed.metadata.language_info = {"name": "python", "version": "3.99"}
    for cell in executed.cells:
        cell.metadata.papermill = {"duration": 1.0, **noise}
        cell.metadata.execution = {"iopub.status.busy": "now"}
    return executed


def page_with(outputs, **noise):
    return build_page(source_notebook(), executed_notebook(outputs, **noise), {"digest": "d"})


def outputs_of(page):
    return [
        (o.name, o.text) if o.output_type == "stream" else o.data["text/plain"] for o in page.cells[3].outputs
    ]


def test_a_page_is_its_notebook_with_outputs_and_the_injected_parameters():
    page = page_with([shown("a")])
    nbformat.validate(page)
    assert [cell.id for cell in page.cells] == ["t", "given", INJECTED_ID, "go"]
    assert page.cells[2].source == "seed = 1"
    assert [cell.get("execution_count") for cell in page.cells] == [None, 1, 2, 3]
    assert [cell.metadata for cell in page.cells] == [
        {},
        {"tags": ["parameters"]},
        {"tags": ["injected-parameters"]},
        {},
    ]
    assert page.metadata.gsl == {"digest": "d", "outputs": outputs_digest(page.cells)}
    assert differences(source_notebook(), page) == []


def test_a_description_reaches_the_page():
    source, executed = source_notebook(), executed_notebook([])
    source.metadata.myst = {"html_meta": {"description": "What it is about."}}
    page = build_page(source, executed, {})
    assert page.metadata.myst == source.metadata.myst
    assert differences(source, page) == []
    source.metadata.myst = {"html_meta": {"description": "Another."}}
    assert differences(source, page) == ["it has another description"]


def test_what_differs_between_runs_does_not_reach_the_page():
    first, second = (page_with([shown("a")], run=run) for run in ("one", "two"))
    assert nbformat.writes(first) == nbformat.writes(second)
    assert "papermill" not in nbformat.writes(first)
    assert "3.99" not in nbformat.writes(first)


def test_the_given_notebooks_are_not_changed():
    source, executed = source_notebook(), executed_notebook([stream("stdout", "a"), stream("stdout", "b")])
    before = copy.deepcopy((source, executed))
    build_page(source, executed, {})
    assert (source, executed) == before


def test_streams_are_joined_between_other_outputs_and_not_across_them():
    page = page_with(
        [
            stream("stdout", "a"),
            stream("stdout", "b\n"),
            shown("figure"),
            stream("stdout", "c"),
            stream("stdout", "d"),
        ]
    )
    assert outputs_of(page) == [("stdout", "ab\n"), "figure", ("stdout", "cd")]


def test_standard_output_comes_before_standard_error():
    pieces = [("stdout", "a"), ("stdout", "b"), ("stderr", "x"), ("stderr", "y")]
    for order in itertools.permutations(pieces):
        if order.index(pieces[0]) < order.index(pieces[1]) and order.index(pieces[2]) < order.index(
            pieces[3]
        ):
            page = page_with([stream(name, text) for name, text in order])
            assert outputs_of(page) == [("stdout", "ab"), ("stderr", "xy")]


@given(
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr", "display"]), st.text("abc\n", min_size=1)), max_size=8
    )
)
def test_however_timing_cuts_the_streams_the_page_is_the_same(printed):
    def outputs(cut):
        for name, text in printed:
            pieces = list(text) if cut else [text]
            yield from (shown(piece) if name == "display" else stream(name, piece) for piece in pieces)

    whole = page_with(list(outputs(cut=False)))
    if all(name != "display" or len(text) == 1 for name, text in printed):
        assert whole == page_with(list(outputs(cut=True)))
    for name in ("stdout", "stderr"):
        text = "".join(text for stream_name, text in printed if stream_name == name)
        assert "".join(o[1] for o in outputs_of(whole) if isinstance(o, tuple) and o[0] == name) == text


def test_an_expected_error_keeps_its_last_line_only():
    error = new_output(
        "error", ename="ValueError", evalue="no", traceback=["/home/me/file.py", "ValueError: no"]
    )
    page = page_with([error])
    assert page.cells[3].outputs[0].traceback == ["ValueError: no"]
    assert len(error.traceback) == 2


def test_a_notebook_without_parameters_gets_no_injected_cell():
    source = new_notebook(cells=[new_code_cell("go()", id="go")])
    assert [cell.id for cell in build_page(source, source, {}).cells] == ["go"]


@pytest.mark.parametrize(
    ("spoil", "phrase"),
    [
        (lambda page: page.cells[3].update(source="stop()"), "cell 3 has another source"),
        (lambda page: page.cells[0].metadata.update(tags=["x"]), "cell 1 has another metadata"),
        (lambda page: page.cells[0].update(id="u"), "cell 1 has another id"),
        (lambda page: page.cells.pop(), "it has 2 cells and the notebook 3"),
        (lambda page: page.cells.append(new_markdown_cell("more")), "it has 4 cells and the notebook 3"),
    ],
)
def test_an_edited_page_is_told_from_its_notebook(spoil, phrase):
    page = page_with([])
    spoil(page)
    assert differences(source_notebook(), page) == [phrase]
