"""Two executions of one output in two arithmetics: what counts as agreement, and what does not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bindery.emit import CLAIM_MIME
from bindery.figures.encoding import BUNDLE_MIME, from_columns, from_images
from bindery.page.compare import CLAIM_LINE, differences, figure_differences, picture_differences

DATA = {"m": [10, 20], "error": [1.0, 2e-9], "method": ["omp", "lasso"], "gap": [np.nan, 3.0]}


def table(name="a-line", profile="quick", **changes):
    return from_columns(name, DATA | changes, profile=profile, seeds=[0])


def images(array, name="x"):
    return from_images("digits", {name: np.array(array)}, profile="quick", seeds=[0])


TABLE, IMAGES = table(), images([[0.0, 200.0], [0.5, 3.0]])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"error": [1.0009, 2e-9]},
        {"error": [1.0, -9e-7]},  # far below the column's scale
        {"m": [10.0, 20.01]},
    ],
)
def test_rounding_is_no_difference(changes):
    assert figure_differences(TABLE, table(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"error": [1.002, 2e-9]}, "a-line: column error, row 1: page 1, execution 1.002"),
        ({"error": [1.0, 2e-6]}, "a-line: column error, row 2: page 2e-09, execution 2e-06"),
        ({"m": [10, 21]}, "a-line: column m, row 2: page 20, execution 21"),
        ({"method": ["omp", "iht"]}, "a-line: column method, row 2: page lasso, execution iht"),
        ({"gap": [3.0, 3.0]}, "a-line: column gap, row 1: page nan, execution 3"),
        ({"gap": [np.nan, np.nan]}, "a-line: column gap, row 2: page 3, execution nan"),
    ],
)
def test_a_changed_value_is_named_with_column_and_row(changes, message):
    assert figure_differences(TABLE, table(**changes)) == [message]


def test_other_columns_rows_names_profiles_or_kinds_are_a_difference():
    (problem,) = figure_differences(TABLE, table(more=[1, 2]))
    assert "the execution ('m', 'error', 'method', 'gap', 'more')" in problem
    (problem,) = figure_differences(TABLE, table(**{key: [*value, value[0]] for key, value in DATA.items()}))
    assert problem == "a-line: the page has 2 rows, the execution 3"
    (problem,) = figure_differences(TABLE, table(name="another"))
    assert problem == "a-line: the page has the name a-line, the execution another"
    (problem,) = figure_differences(TABLE, table(profile="paper"))
    assert problem == "a-line: the page has the profile quick, the execution paper"
    lines = from_columns("digits", {"x": [1.0]}, profile="quick", seeds=[0])
    assert figure_differences(IMAGES, lines) == [
        "digits: one of page and execution has a table, the other images"
    ]


def test_many_differences_are_counted():
    many = from_columns("many", {"x": np.zeros(20) + 1}, profile="quick", seeds=[0])
    found = figure_differences(many, from_columns("many", {"x": np.zeros(20)}, profile="quick", seeds=[0]))
    assert len(found) == 6
    assert found[-1] == "many: and 15 more"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([[0.0, 200.0], [0.5, 3.0]], None),
        ([[0.1, 200.1], [0.5, 3.0]], None),
        ([[0.0, 200.0], [0.5, 3.5]], "digits: array x, entry (1, 1): page 3, execution 3.5"),
        ([[0.0, np.nan], [0.5, 3.0]], "digits: array x, entry (0, 1): page 200, execution nan"),
        ([0.0, 200.0], "digits: array x: shapes: page (2, 2), execution (2,)"),
    ],
)
def test_arrays(array, message):
    assert figure_differences(IMAGES, images(array)) == ([message] if message else [])


def test_other_arrays_are_a_difference():
    (problem,) = figure_differences(IMAGES, images(np.eye(2), name="y"))
    assert problem == "digits: the page has the columns ('x',), the execution ('y',)"


SVG = (
    '<svg><defs><path id="m0123456789" d="M 0 0 L 1 1"/></defs><!-- error -->'
    '<use xlink:href="#m0123456789" x="10.5" y="20"/><path d="M 0 0 L 5 5 L 10 10"/>'
    '<image xlink:href="data:image/png;base64,AAAA"/></svg>'
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("m0123456789", "mabcdef0123"),  # a name that is made of coordinates
        ("L 5 5 ", ""),  # a point in line with its neighbours
        ('x="10.5"', 'x="11.1"'),
        ("AAAA", "AAAB"),  # its numbers travel beside it
    ],
)
def test_a_picture_may_differ_by_less_than_a_line(old, new):
    assert old in SVG
    assert picture_differences(SVG, SVG.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("error", "success", "the execution draws other elements, or writes other words, than the page"),
        ("<path d", "<line d", "the execution draws other elements, or writes other words, than the page"),
        ('x="10.5"', 'x="11.5"', "the execution draws 1 points away from the page"),
        ("L 10 10", "L 10 12", "the execution draws 2 points away from the page"),
    ],
)
def test_a_picture_that_looks_otherwise_is_a_difference(old, new, message):
    assert picture_differences(SVG, SVG.replace(old, new)) == [message]


GLUE = "application/papermill.record/text/plain"
VALUES = {
    "slope": "1.0", "slope.low": "0.9", "slope.high": "1.1", "slope.control": "0.5",
    "slope.control-low": "0.4", "slope.control-high": "0.6", "share": "0.5", "share-low": "0.3",
    "share-high": "0.7", "mean": "2.0", "worst": "'seed 3'", "slope.verdict": "'reproduced'",
}  # fmt: skip


def glued(**changes):
    values = VALUES | {key.replace("_", "-"): value for key, value in changes.items()}
    return [(GLUE, text, name) for name, text in values.items()]


@pytest.mark.parametrize(
    ("name", "near", "far"),
    [
        ("slope", "1.009", "1.011"),  # a tenth of the half-width: 0.01
        ("slope.high", "1.109", "1.111"),
        ("slope.control", "0.491", "0.489"),
        ("slope.control-low", "0.409", "0.411"),
        ("share", "0.519", "0.521"),
        ("share-low", "0.281", "0.279"),
        ("mean", "2.00019", "2.00021"),  # no interval: a ten-thousandth
        ("worst", None, "'seed 4'"),
        ("slope.verdict", None, "'not settled'"),
    ],
)
def test_values_agree_to_a_tenth_of_their_intervals_half_width(name, near, far):
    for text, agree in ((near, True), (far, False)):
        if text is not None:
            found = differences(
                glued(), [(GLUE, text if key == name else old, key) for _, old, key in glued()]
            )
            assert (found == []) == agree
            assert agree or found[0].startswith(f"{name}: page {VALUES[name]}, execution {text}")


def claim(**changes):
    fields = {
        "id": "cs-noise", "n": 8, "unit": "seed", "profile": "quick", "seed": 0, "note": "",
        "value": {"slope": 1.0}, "low": {"slope": 0.9}, "high": {"slope": 1.1},
        "control_value": {"slope": 0.0}, "control_low": {"slope": -0.02}, "control_high": {"slope": 0.02},
    } | changes  # fmt: skip
    slope = fields["value"] if isinstance(fields["value"], float) else fields["value"].get("slope", 0)
    line = f"cs-noise: slope = {slope:.3g} [0.9, 1.1]; {fields['n']} seeds, quick profile: reproduced"
    return [(CLAIM_MIME, json.dumps(fields, sort_keys=True), ""), ("text/plain", line, CLAIM_LINE)]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"value": {"slope": 1.009}}, None),
        (
            {"value": {"slope": 1.02}},
            "cs-noise.slope: page 1.0, execution 1.02; they may differ by 0.01",
        ),
        ({"high": {"slope": 1.12}}, "cs-noise.slope.high: page 1.1, execution 1.12"),
        ({"control_value": {"slope": 0.001}}, None),
        ({"control_value": {"slope": 0.003}}, "cs-noise.slope.control: page 0.0, execution 0.003"),
        ({"value": {"rate": 1.0}}, "cs-noise: the page has the quantities ['cs-noise.slope', "),
        ({"n": 9}, "cs-noise, n: page 8, execution 9"),
        ({"control_value": None, "control_low": None, "control_high": None}, "cs-noise: the page has the"),
    ],
)
def test_a_recorded_claim_agrees_to_a_tenth_of_its_half_width(changes, problem):
    found = differences(claim(), claim(**changes))
    assert (found == []) if problem is None else found[0].startswith(problem)


def test_a_claim_of_one_quantity_agrees_likewise():
    alone = {"value": 1.0, "low": 1.0, "high": 1.0, "control_value": None, "control_low": None,
             "control_high": None}  # fmt: skip
    assert differences(claim(**alone), claim(**alone | {"value": 1.00009})) == []
    (found,) = differences(claim(**alone), claim(**alone | {"value": 1.0002}))
    assert found.startswith("cs-noise: page 1.0, execution 1.0002")


def test_another_verdict_is_a_difference():
    old, (mime, line, name) = claim()
    (found,) = differences([old, (mime, line, name)], [old, (mime, line.replace("reproduced", "void"), name)])
    assert "void" in found


def test_text_is_the_same_everywhere_and_so_are_kinds_names_and_their_order():
    page = [("stdout", "3 of 20", ""), ("text/html", "<p>0.5</p>", ""), (GLUE, "1", "a")]
    assert differences(page, page) == []
    (found,) = differences(page, [("stdout", "4 of 20", ""), *page[1:]])
    assert found == "stdout: page '3 of 20', execution '4 of 20'"
    assert differences(page, [page[0], ("text/html", "<p>0.6</p>", ""), page[2]])
    assert differences(page, [*page[:2], (GLUE, "1", "b")])[0].startswith("the page has the outputs stdout, ")
    assert differences(page, page[:2])[0].endswith("the execution stdout, text/html")


def test_what_a_figure_shows_is_compared_by_kind():
    page = [(BUNDLE_MIME, TABLE.to_json(), ""), ("image/svg+xml", SVG, "")]
    near = [(BUNDLE_MIME, table(error=[1.0009, 2e-9]).to_json(), ""), page[1]]
    far = [
        (BUNDLE_MIME, table(error=[1.1, 2e-9]).to_json(), ""),
        ("image/svg+xml", SVG.replace("error", "x"), ""),
    ]
    assert differences(page, near) == []
    assert len(differences(page, far)) == 2


def test_numbers_that_a_table_says_may_move_may_and_no_others():
    data = {"gain": [1, 2], "srnr": [20.0, 10.0], "share": [0.5, 0.5]}

    def moved(**changes):
        far = {"srnr": [0.5, 0.0]}
        return from_columns("a-line", data | changes, profile="quick", seeds=[0], moves=far)

    assert figure_differences(moved(), moved(srnr=[20.4, 10.0])) == []
    assert len(figure_differences(moved(), moved(srnr=[20.6, 10.0]))) == 1
    assert len(figure_differences(moved(), moved(srnr=[20.0, 10.4]))) == 1
    assert len(figure_differences(moved(), moved(share=[0.6, 0.5]))) == 1
    assert json.loads(moved().to_json())["moves"] == {"srnr": [0.5, 0.0]}
    # The picture goes with the numbers: its words are held to, and not where it draws.
    page = [(BUNDLE_MIME, moved().to_json(), ""), ("image/svg+xml", SVG, "")]
    for svg, agree in ((SVG.replace("L 10 10", "L 90 90"), True), (SVG.replace("error", "success"), False)):
        assert (differences(page, [page[0], ("image/svg+xml", svg, "")]) == []) == agree


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ({"other": 1.0}, "moves has 'other'; it must have columns of the table"),
        ({"x": -1.0}, r"moves\['x'\] must be a number that is not negative, or 2 of them"),
        ({"x": [1.0]}, r"moves\['x'\] must be"),
        ({"x": [1.0, np.nan]}, r"moves\['x'\] must be"),
    ],
)
def test_moves_go_with_their_table(moves, words):
    with pytest.raises(ValueError, match=words):
        from_columns("a-line", {"x": [1.0, 2.0]}, profile="quick", seeds=[0], moves=moves)
