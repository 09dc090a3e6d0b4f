import pytest

from bindery.figures import text_table


def test_text_stands_left_and_numbers_right_under_their_headings():
    table = {"method": ["a", "longest"], "seconds": [1.25, 100.0], "same": [True, False], "x": ["–", 3.0]}
    assert text_table(table, {"seconds": ".1f", "x": ".2f"}).splitlines() == [
        "method   seconds   same     x",
        "a            1.2   True     –",
        "longest    100.0  False  3.00",
    ]


@pytest.mark.parametrize(
    ("columns", "formats", "message"),
    [
        ({}, {}, "there must be columns"),
        ({"a": [1], "b": []}, {}, r"lengths \{'a': 1, 'b': 0\}"),
        ({"a": [1]}, {"b": ".1f"}, r"formats has \['b'\]"),
    ],
)
def test_what_is_no_table_is_refused(columns, formats, message):
    with pytest.raises(ValueError, match=message):
        text_table(columns, formats)
