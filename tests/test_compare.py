"""Two executions of a figure: what counts as agreement, and that a changed value does not."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from gsl_utils.book.compare import differences
from gsl_utils.book.encoding import encode_csv, encode_npz
from gsl_utils.book.payload import Bundle, from_columns, from_images

DATA = {"m": [10, 20], "error": [1.0, 2e-9], "method": ["omp", "lasso"], "gap": [np.nan, 3.0]}
TABLE = from_columns("a-line", DATA, profile="quick", seeds=[0])
IMAGES = from_images("digits", {"x": np.array([[0.0, 200.0], [0.5, 3.0]])}, profile="quick", seeds=[0])


def against(tmp_path, **changes):
    (tmp_path / "a-line.csv").write_text(encode_csv(DATA | changes))
    return differences(TABLE, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"error": [1.0009, 2e-9]},
        {"error": [1.0, -9e-7]},  # far below the column's scale
        {"m": [10.0, 20.01]},
    ],
)
def test_rounding_is_no_difference(tmp_path, changes):
    assert against(tmp_path, **changes) == []


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
def test_a_changed_value_is_named_with_column_and_row(tmp_path, changes, message):
    assert against(tmp_path, **changes) == [message]


def test_other_columns_or_rows_are_a_difference(tmp_path):
    (problem,) = against(tmp_path, more=[1, 2])
    assert "the execution ['m', 'error', 'method', 'gap', 'more']" in problem
    (problem,) = against(tmp_path, **{key: [*value, value[0]] for key, value in DATA.items()})
    assert problem == "a-line: the page has 2 rows, the execution 3"


def test_a_file_that_was_not_written_or_is_torn_is_a_difference(tmp_path):
    assert differences(TABLE, tmp_path) == ["a-line: the execution wrote no a-line.csv"]
    (tmp_path / "a-line.csv").write_text("a,b\n1\n")
    (problem,) = differences(TABLE, tmp_path)
    assert "a-line.csv cannot be read" in problem
    (tmp_path / "digits.npz").write_bytes(b"PK")
    (problem,) = differences(IMAGES, tmp_path)
    assert "digits.npz cannot be read" in problem


def test_many_differences_are_counted(tmp_path):
    table = from_columns("many", {"x": np.zeros(20) + 1}, profile="quick", seeds=[0])
    (tmp_path / "many.csv").write_text(encode_csv({"x": np.zeros(20)}))
    found = differences(table, tmp_path)
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
def test_arrays(tmp_path, array, message):
    (tmp_path / "digits.npz").write_bytes(base64.b64decode(encode_npz({"x": np.array(array)})))
    assert differences(IMAGES, tmp_path) == ([message] if message else [])


def test_other_arrays_are_a_difference(tmp_path):
    (tmp_path / "digits.npz").write_bytes(base64.b64decode(encode_npz({"y": np.eye(2)})))
    assert differences(IMAGES, tmp_path) == ["digits: the page has the arrays ['x'], the execution ['y']"]


def test_what_a_bundle_writes_agrees_with_it(tmp_path):
    gaps = from_images("gaps", {"x": [np.nan, 1.0]}, profile="quick", seeds=[0])
    for made in (TABLE, IMAGES, gaps):
        made.write(tmp_path)
        assert differences(Bundle.from_json(json.dumps(json.loads(made.to_json()))), tmp_path) == []
