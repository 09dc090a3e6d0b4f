"""The criterion language: what it accepts, what it says of intervals, and how it refuses."""

import math
import operator
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bindery.claims.criterion import CriterionError, parse

# A dozen criteria over x and y, each beside the same thing said in Python.
EXAMPLES = {
    "x < 0.3": "x < 0.3",
    "x <= 0.3": "x <= 0.3",
    "x > -1": "x > -1",
    "x >= 2/3": "x >= 2 / 3",
    "x = 1 +- 0.1~": "0.9 <= x <= 1.1",
    "x = 1 +- 0.1": "0.9 <= x <= 1.1",
    "x = 3": "x == 3",
    "x in [0.85, 1.15]": "0.85 <= x <= 1.15",
    "0.8 <= x < 1.2": "0.8 <= x < 1.2",
    "1.2 >= x > 0.8": "1.2 >= x > 0.8",
    "0.5 < x": "0.5 < x",
    "x < 0.03~": "x < 0.03",
    "-0.1~ <= x <= 0.1~": "-0.1 <= x <= 0.1",
    "x >= 1 - 0.05~": "x >= 0.95",
    "x >= 0.8 and x > 0.8 and x <= 1.1 and x < 1.1": "0.8 < x < 1.1",
    "x < 0.3 and 0.8 <= y <= 1.2": "x < 0.3 and 0.8 <= y <= 1.2",
    "x > 0 and x < 2 and y > 1e-1": "0 < x < 2 and y > 0.1",
}
TEXTS = st.sampled_from(sorted(EXAMPLES))
# Among the points are the limits of the examples themselves, where strict and non-strict part ways.
LIMITS = [0.3, 0.8, 0.85, 0.9, 0.95, 1.1, 1.15, 1.2, 2 / 3, 0.5, 0.03, 0.1, -0.1, 0.0, -1.0, 2.0, 3.0]
POINTS = st.one_of(st.floats(-4, 4), st.sampled_from(LIMITS))
INTERVALS = st.tuples(POINTS, POINTS).map(lambda ends: (min(ends), max(ends)))


def truth(text, x, y):
    return eval(EXAMPLES[text], {"x": x, "y": y})


def intervals_for(criterion, x, y):
    return {name: ends for name, ends in {"x": x, "y": y}.items() if name in criterion.quantities}


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_limit_is_in_or_out_as_python_says(text):
    criterion = parse(text)
    for x in LIMITS:
        for y in (0.1, 0.5, 0.8, 1.2):
            wanted = "satisfied" if truth(text, x, y) else "violated"
            assert criterion.evaluate(intervals_for(criterion, (x, x), (y, y))) == wanted


@given(TEXTS, POINTS, POINTS)
def test_a_point_is_satisfied_as_python_says(text, x, y):
    criterion = parse(text)
    wanted = "satisfied" if truth(text, x, y) else "violated"
    assert criterion.evaluate(intervals_for(criterion, (x, x), (y, y))) == wanted


@given(TEXTS, INTERVALS, INTERVALS, st.floats(0, 1), st.floats(0, 1))
def test_a_settled_interval_settles_every_point_in_it(text, x, y, across, along):
    criterion = parse(text)
    outcome = criterion.evaluate(intervals_for(criterion, x, y))
    point = [
        min(max(low + share * (high - low), low), high) for (low, high), share in ((x, across), (y, along))
    ]
    if outcome != "straddles":
        assert truth(text, *point) == (outcome == "satisfied")


@given(TEXTS, INTERVALS, INTERVALS)
def test_a_straddling_interval_holds_points_of_both_kinds(text, x, y):
    """Among the ends and the limits inside there is one that satisfies and one that violates."""
    criterion = parse(text)
    assume(criterion.evaluate(intervals_for(criterion, x, y)) == "straddles")
    grids = [sorted({low, high, *_near(low, high)}) for low, high in (x, y)]
    answers = {truth(text, first, second) for first in grids[0] for second in grids[1]}
    assert answers == {True, False}


def _near(low, high):
    limits = [0.3, -1, 2 / 3, 0.9, 1.1, 3, 0.85, 1.15, 0.8, 1.2, 0.5, 0.03, -0.1, 0.1, 0.95, 0, 2]
    around = [math.nextafter(limit, side) for limit in limits for side in (-math.inf, math.inf)]
    return [limit for limit in [*limits, *around] if low <= limit <= high]


@given(TEXTS, INTERVALS, INTERVALS, st.floats(0.01, 100), st.floats(0.01, 100))
def test_a_larger_tolerance_is_never_harder_to_satisfy(text, x, y, one, other):
    criterion = parse(text)
    intervals = intervals_for(criterion, x, y)
    tight, loose = (criterion.scaled(factor).evaluate(intervals) for factor in sorted((one, other)))
    order = ["violated", "straddles", "satisfied"]
    assert order.index(tight) <= order.index(loose)


@pytest.mark.parametrize(
    ("text", "low", "high", "half", "full", "double"),
    [
        ("x = 1 +- 0.1~", 0.93, 1.0, "straddles", "satisfied", "satisfied"),
        ("x = 1 +- 0.1", 1.06, 1.08, "violated", "satisfied", "satisfied"),
        ("x < 0.03~", 0.04, 0.05, "violated", "violated", "satisfied"),
        ("x >= 1 - 0.05~", 0.96, 0.99, "straddles", "satisfied", "satisfied"),
        ("x > -0.2~", -0.3, 0.0, "straddles", "straddles", "satisfied"),
        ("x < 3 + 1~", 3.6, 3.9, "violated", "satisfied", "satisfied"),
        ("x in [1 - 0.1~, 2]", 0.85, 1.5, "straddles", "straddles", "satisfied"),
    ],
)
def test_half_and_double_tolerance(text, low, high, half, full, double):
    criterion = parse(text)
    outcomes = [criterion.scaled(factor).evaluate({"x": (low, high)}) for factor in (0.5, 1, 2)]
    assert outcomes == [half, full, double]
    assert criterion.scalable


def test_only_a_tolerance_scales():
    for text in ("x < 0.3", "x in [0.85, 1.15]", "x = 3", "0.8 <= x <= 1.2"):
        criterion = parse(text)
        assert not criterion.scalable
        assert criterion.scaled(0.5).evaluate({"x": (0.9, 1.1)}) == criterion.evaluate({"x": (0.9, 1.1)})


def test_scaling_multiplies_and_is_told():
    assert parse("x < 1~").scaled(2).scaled(0.5) == parse("x < 1~")
    assert str(parse("x < 1~").scaled(0.5)) == "x < 1~ (tolerance times 0.5)"
    assert str(parse("x < 1~")) == "x < 1~"


def test_a_tolerance_too_small_for_both_conditions_violates():
    """Half the tolerance can leave nothing that satisfies: then everything violates."""
    criterion = parse("x >= 1 - 0.5~ and x <= 0.7")
    assert criterion.evaluate({"x": (0.55, 0.65)}) == "satisfied"
    assert criterion.scaled(0.5).evaluate({"x": (0.55, 0.9)}) == "violated"


def test_one_violated_condition_violates_the_whole():
    criterion = parse("x < 1 and y < 1")
    assert criterion.evaluate({"x": (2, 3), "y": (0, 2)}) == "violated"
    assert criterion.evaluate({"x": (0, 0.5), "y": (0, 2)}) == "straddles"
    assert criterion.evaluate({"x": (2, 3)}, partial=True) == "violated"
    assert criterion.evaluate({"x": (0, 0.5)}, partial=True) == "straddles"


@pytest.mark.parametrize("relation", ["<", "<=", ">", ">="])
def test_an_infinite_end_is_an_end(relation):
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[relation]
    wanted = {(True, True): "satisfied", (False, False): "violated"}.get(
        (compare(2, 1), compare(math.inf, 1)), "straddles"
    )
    assert parse(f"x {relation} 1").evaluate({"x": (2, math.inf)}) == wanted
    assert parse(f"x {relation} 1").evaluate({"x": (-math.inf, math.inf)}) == "straddles"


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ({"x": (math.nan, 1)}, "interval of x was .*not NaN"),
        ({"x": (0, math.nan)}, "interval of x was .*not NaN"),
        ({"x": (1, 0)}, "low must not exceed high"),
        ({}, r"intervals lacked \['x'\]"),
        ({"x": (0, 1), "z": (0, 1)}, r"intervals had \['z'\]"),
    ],
)
def test_bad_intervals_are_refused(ends, message):
    with pytest.raises(ValueError, match=message):
        parse("x < 1").evaluate(ends)


@pytest.mark.parametrize("factor", [0, -1, math.inf, math.nan])
def test_a_bad_factor_is_refused(factor):
    with pytest.raises(ValueError, match=r"factor was .*above 0"):
        parse("x < 1~").scaled(factor)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (text, text.strip())
        for text in (
            "", "slope << 1", "slope", "slope 1", "slope < ", "slope < one", "slope < 1 or slope > 2",
            "slope == 1", "slope != 1", "Slope < 1", "slope in 1, 2", "slope in [1 2]", "slope in [1, 2",
            "1 < slope > 2", "1 <= 2", "slope = 1 +- -1", "slope < 1 + 0.1", "slope < __import__",
            "slope < 1; x",
        )
    ] + [("slope < 1 and", ""), ("x < 1 and y <", "y <")],
)  # fmt: skip
def test_a_malformed_criterion_says_which_condition_and_what_it_must_be_like(text, named):
    with pytest.raises(CriterionError) as caught:
        parse(text)
    assert f"criterion {text!r}: {named!r} must be like 'x < 0.3'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slope = 1 +- 0", "must have a tolerance above 0"),
        ("slope > 0.5~", "the tolerance of '0.5~' must loosen"),
        ("slope < 1 - 0.5~", "the tolerance of '1 - 0.5~' must loosen"),
        ("slope < -1~", "the tolerance of '-1~' must loosen"),
        ("slope < 0~", "the tolerance of '0~' must loosen"),
        ("slope < 1/0", "'1/0' must have a divisor other than 0"),
        ("slope < 1e999", "'1e999' must be a number that a float64 can hold"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(text, message):
    with pytest.raises(CriterionError, match=re.escape(message)):
        parse(text)


@pytest.mark.parametrize(
    "text", ["2 <= x <= 1", "x in [2, 1]", "x < 1 and x > 1", "1 < x <= 1", "x > 3 and x < 1"]
)
def test_a_criterion_that_nothing_satisfies_is_refused(text):
    with pytest.raises(CriterionError, match="no value of x can satisfy it"):
        parse(text)


def test_a_criterion_is_text():
    with pytest.raises(TypeError, match="text was 1; a criterion must be a string"):
        parse(1)


@given(st.text(alphabet="xy 01.~<>=+-/[],andi", max_size=20))
def test_any_text_parses_or_is_refused(text):
    try:
        criterion = parse(text)
    except CriterionError as error:
        assert "must" in str(error) or "can satisfy it" in str(error)  # noqa: PT017
    else:
        assert criterion.quantities


def test_a_count_on_its_exact_target_has_no_end_of_margin():
    """On both sides: a zero with a sign would put one of them infinitely far outside."""
    assert parse("x = 0").margin("x", 0.0, 0.0, 0.0) == math.inf
    assert parse("x = 0").margin("x", 1.0, 1.0, 1.0) == -math.inf
    assert parse("x >= 2").margin("x", 2.0, 1.0, 4.0) == 0.0
