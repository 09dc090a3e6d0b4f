"""Verdicts: whole intervals, controls that must fail, tolerance halved and doubled."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindery.claims.criterion import parse
from bindery.claims.intervals import Estimate, by_seed
from bindery.claims.model import Claim, Control
from bindery.claims.verdicts import Measurement, decide

SLOPE = Claim(
    file="claims/toy.yml",
    line=4,
    paper="A paper",
    key="toy2020",
    id="toy-slope",
    locus="Theorem 1",
    standing="stated",
    claim="The error grows in proportion to the noise.",
    proposition="The error grows in proportion to the noise, within a tenth in the exponent.",
    kind="trend",
    chapter="01_classical_cs",
    quantity={"slope": "log-log slope, one per seed"},
    criterion=parse("slope = 1 +- 0.1~"),
    tolerance="0.1: the spread over seeds",
    control=Control("too few rows", "a slope below 0.5"),
    testable=True,
    reason=None,
    misprint=None,
    unpublished=None,
    again=None,
    accepted={"verdict": "not run", "reason": "no chapter has run it yet"},
)
FAILED = (0.1, 0.0, 0.2)


def measured(low, high, control=FAILED, claim=SLOPE, **fields):
    name = claim.criterion.quantities[0]
    return Measurement(
        id=claim.id,
        values={name: Estimate((low + high) / 2, low, high)},
        control=None if control is None else {name: Estimate(*control)},
        n=10,
        unit="seed",
        profile="quick",
        seed=0,
        **fields,
    )


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.95, 1.05, "reproduced"),
        (0.9, 1.1, "reproduced"),
        (0.85, 0.95, "not settled"),
        (0.8, 1.2, "not settled"),
        (1.05, 1.15, "not settled"),
        (1.2, 1.3, "contradicted"),
        (-1.0, 0.0, "contradicted"),
    ],
)
def test_the_whole_interval_decides(low, high, word):
    assert decide(SLOPE, measured(low, high)).word == word


def test_a_mended_misprint_is_told():
    verdict = decide(replace(SLOPE, misprint="toy-misprint"), measured(0.95, 1.05))
    assert verdict.word == "reproduced after correction"
    assert "toy-misprint" in verdict.reasons[0]
    assert decide(replace(SLOPE, misprint="toy-misprint"), measured(2, 3)).word == "contradicted"


@pytest.mark.parametrize("control", [(1.0, 0.95, 1.05), (0.9, 0.8, 1.0), (0.5, 0.0, 0.9), None])
@pytest.mark.parametrize(("low", "high"), [(0.95, 1.05), (0.8, 1.2), (2.0, 3.0)])
def test_a_control_that_does_not_fail_over_its_whole_interval_makes_void(low, high, control):
    verdict = decide(SLOPE, measured(low, high, control))
    assert verdict.word == "void"
    assert "control" in verdict.reasons[0]


def test_a_control_must_also_meet_its_own_criterion():
    claim = replace(SLOPE, control=Control("too few rows", "below 0.5", parse("slope < 0.5")))
    assert decide(claim, measured(0.95, 1.05)).word == "reproduced"
    # Far from 1 on the wrong side: the criterion fails, but not for the reason that the control stands for.
    verdict = decide(claim, measured(0.95, 1.05, (3.0, 2.9, 3.1)))
    assert verdict.word == "void"
    assert verdict.reasons == ("the control does not satisfy slope < 0.5 over its whole interval",)


def test_a_claim_without_control_needs_none():
    claim = replace(SLOPE, control=Control(reason="a count"))
    assert decide(claim, measured(0.95, 1.05, None)).word == "reproduced"


def test_not_run_and_not_testable():
    verdict = decide(SLOPE, None)
    assert (verdict.word, verdict.half, verdict.double, verdict.profile) == ("not run", None, None, "")
    claim = replace(SLOPE, testable=False, reason="the data are not published")
    assert decide(claim, None).word == "not testable"
    assert decide(claim, measured(0.95, 1.05)).reasons == ("the data are not published",)


def test_a_claim_to_be_judged_again_has_no_verdict_and_keeps_its_numbers():
    claim = replace(SLOPE, again="slope = 1 +- 0.05~ on fresh seeds")
    verdict = decide(claim, measured(0.95, 1.05))
    assert (verdict.word, verdict.half, verdict.profile) == ("being judged again", None, "quick")
    assert verdict.measurement.values["slope"][1:] == (0.95, 1.05)
    assert decide(claim, None).word == "being judged again"


def test_a_measurement_is_measured_whatever_comes_out():
    claim = replace(SLOPE, kind="measurement", criterion=None, control=Control(reason="a curve"))
    value = replace(measured(5.0, 6.0, None), id="toy-slope")
    assert decide(claim, value).word == "measured"
    assert decide(claim, None).word == "not run"


@pytest.mark.parametrize(
    ("value", "low", "high", "margin"),
    [
        (1.0, 0.95, 1.05, 2.0),  # a tenth to either limit, and a half-width of .05
        (1.05, 1.0, 1.10, 1.0),
        (1.15, 1.05, 1.25, -0.5),
        (1.3, 1.2, 1.4, -2.0),
        (0.95, 0.93, 0.99, 2.5),  # of a lopsided interval the half towards the limit
        (1.3, 1.3, 1.3, -np.inf),
        (1.0, 1.0, 1.0, np.inf),
    ],
)
def test_the_margin_is_the_distance_to_the_limit_in_half_widths(value, low, high, margin):
    told = replace(measured(low, high), values={"slope": Estimate(value, low, high)})
    assert decide(SLOPE, told).margin == pytest.approx(margin)


@given(st.floats(-3, 3), st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_margin_tells_the_verdict(value, below, above):
    made = {"slope": Estimate(value, value - below, value + above)}
    told = decide(SLOPE, replace(measured(0, 0), values=made))
    wanted = {"reproduced": told.margin >= 1 - 1e-9, "contradicted": told.margin <= -1 + 1e-9}
    assert wanted.get(told.word, -1 - 1e-9 <= told.margin <= 1 + 1e-9)


@pytest.mark.parametrize(
    ("low", "high", "half", "word", "double"),
    [
        (0.97, 1.02, "reproduced", "reproduced", "reproduced"),
        (0.93, 1.02, "not settled", "reproduced", "reproduced"),
        (0.92, 0.94, "contradicted", "reproduced", "reproduced"),
        (0.82, 0.88, "contradicted", "contradicted", "reproduced"),
        (0.5, 0.6, "contradicted", "contradicted", "contradicted"),
    ],
)
def test_half_and_double_tolerance(low, high, half, word, double):
    verdict = decide(SLOPE, measured(low, high))
    assert (verdict.half, verdict.word, verdict.double) == (half, word, double)


def test_a_control_that_fails_only_at_this_tolerance_is_told():
    verdict = decide(SLOPE, measured(0.95, 1.05, (0.84, 0.82, 0.86)))
    assert (verdict.half, verdict.word, verdict.double) == ("reproduced", "reproduced", "void")


def test_no_tolerance_no_half_and_double():
    claim = replace(SLOPE, criterion=parse("slope > 0.5"))
    verdict = decide(claim, measured(0.95, 1.05))
    assert (verdict.word, verdict.half, verdict.double) == ("reproduced", None, None)


def test_a_control_may_measure_some_quantities_and_others():
    claim = replace(
        SLOPE,
        quantity={"n": "", "k": "", "smallest": ""},
        criterion=parse("n < 0.3 and k = 1 +- 0.2"),
        control=Control("dense", "n above 0.8", parse("smallest > 1"), {"k": "density changes no k"}),
    )
    data = {"value": {"n": 0.1, "k": 1.0}, "low": {"n": 0.0, "k": 0.9}, "high": {"n": 0.2, "k": 1.1}}
    data |= {"n": 3, "unit": "seed", "profile": "quick", "seed": 0, "note": ""}

    def verdict(**control):
        parts = {
            f"control_{part}": {name: ends[place] for name, ends in control.items()}
            for place, part in enumerate(("value", "low", "high"))
        }
        return decide(claim, Measurement.from_json(data | parts, claim))

    assert verdict(n=(0.9, 0.8, 1.0), smallest=(2.0, 1.5, 2.5)).word == "reproduced"
    assert verdict(n=(0.2, 0.1, 0.3), smallest=(2.0, 1.5, 2.5)).word == "void"
    assert len(verdict(n=(0.2, 0.1, 0.3)).reasons) == 2
    # What is not spared must fail too: the one quantity does not answer for the other.
    strict = replace(claim, control=replace(claim.control, spared={}))
    parts = {f"control_{part}": {"n": 0.9, "smallest": 2.0} for part in ("value", "low", "high")}
    told = decide(strict, Measurement.from_json(data | parts, strict))
    assert told.word == "void"
    assert told.reasons == ("the control measures no k, and the record does not spare it",)
    for part in parts.values():
        part["k"] = 1.0
    told = decide(strict, Measurement.from_json(data | parts, strict))
    assert told.reasons == (
        "the control's k does not violate n < 0.3 and k = 1 +- 0.2 over its whole interval",
    )


def test_a_recorded_number_needs_one_quantity():
    base = {"n": 3, "unit": "seed", "profile": "quick", "seed": 0, "note": ""}
    base |= {"control_value": None, "control_low": None, "control_high": None}
    number = base | {"value": 1.0, "low": 0.9, "high": 1.1}
    assert Measurement.from_json(number, SLOPE).values == {"slope": (1.0, 0.9, 1.1)}
    two = replace(SLOPE, criterion=parse("n < 1 and k < 1"), quantity={"n": "", "k": ""})
    with pytest.raises(
        ValueError, match=r"toy-slope: one number was recorded, .*claims/toy.yml:4 .*'n', 'k'"
    ):
        Measurement.from_json(number, two)
    with pytest.raises(ValueError, match=r"the value had the quantities \['n'\]"):
        Measurement.from_json(base | {"value": {"n": 1}, "low": {"n": 1}, "high": {"n": 1}}, two)
    foreign = {"control_value": {"z": 1}, "control_low": {"z": 1}, "control_high": {"z": 1}}
    with pytest.raises(ValueError, match=r"the control had the quantities \['z'\]"):
        Measurement.from_json(number | foreign, SLOPE)


ENDS = st.tuples(st.floats(-3, 3), st.floats(-3, 3)).map(sorted)


@given(ENDS, ENDS)
def test_verdicts_follow_the_rules_and_order(ends, control):
    verdict = decide(SLOPE, measured(*ends, (control[0], *control)))
    failed = control[1] < 0.9 or control[0] > 1.1
    inside = ends[0] >= 0.9 and ends[1] <= 1.1
    outside = ends[1] < 0.9 or ends[0] > 1.1
    wanted = "reproduced" if inside else "contradicted" if outside else "not settled"
    assert verdict.word == (wanted if failed else "void")
    if verdict.half == "reproduced" and failed:
        assert verdict.word == "reproduced"
    if verdict.double == "contradicted":
        assert verdict.word == "contradicted"


def shrink(u, t):
    return np.sign(u) * np.maximum(np.abs(u) - t, 0)


def broken_shrink(u, t):
    """The soft threshold with a sign error: it pushes values away from zero."""
    return np.sign(u) * np.maximum(np.abs(u) + t, 0)


def recovery_error(threshold, rows, seeds=4, lam=1e-3):
    """Return the relative error of l1 recovery by iterated thresholding, noiseless, with its interval."""
    errors = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        A = rng.normal(size=(rows, 60)) / np.sqrt(rows)
        x = np.zeros(60)
        x[rng.choice(60, 3, replace=False)] = rng.choice([-1, 1], 3)
        estimate, step = np.zeros(60), 1 / np.linalg.norm(A, 2) ** 2
        for _ in range(1500):
            estimate = threshold(estimate + step * A.T @ (A @ (x - estimate)), step * lam)
        errors.append(np.linalg.norm(estimate - x) / np.linalg.norm(x))
    return by_seed(errors)


def test_a_broken_solver_turns_the_verdict():
    """The same experiment with a sign error in the soft threshold does not pass."""
    claim = replace(SLOPE, quantity={"error": "relative"}, criterion=parse("error < 0.05~"))
    control = recovery_error(shrink, rows=5)
    words = {}
    for name, threshold in (("right", shrink), ("broken", broken_shrink)):
        _, low, high = recovery_error(threshold, rows=40)
        words[name] = decide(claim, measured(low, high, control, claim)).word
    assert words == {"right": "reproduced", "broken": "contradicted"}
    # A control that is not broken does not fail, and nothing is proved.
    right = recovery_error(shrink, rows=40)
    assert decide(claim, measured(*right[1:], right, claim)).word == "void"
