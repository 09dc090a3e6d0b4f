"""The records of claims: each mistake names file, line, id and field; the book's own are sound."""

import copy
import re
from pathlib import Path

import pytest
import yaml

import toys
from bindery.claims.records import deciding_fields, read

ROOT = Path(__file__).parents[3]
CLAIM = toys.CLAIM | {"control": toys.CLAIM["control"] | {"criterion": "slope < 0.5"}}
ERRATUM = {
    "id": "toy-misprint",
    "source": "A paper",
    "locus": "Lemma 2",
    "printed": "1 = 2",
    "corrected": "1 = 1",
    "counterexample": {"page": "01_classical_cs", "claim": "toy-slope"},
    "survives": "Everything else.",
    "claims": ["toy-slope"],
}


def write(root, *claims, name="toy.yml", **others):
    folder = root / "claims"
    folder.mkdir(exist_ok=True)
    document = {"paper": "A paper", "key": "toy2020", "claims": list(claims)}
    (folder / name).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    for stem, text in others.items():
        text = text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False)
        (folder / f"{stem}.yml").write_text(text, encoding="utf-8")
    return root


def changed(**fields):
    """Return the good record with some fields replaced; a field that is Ellipsis is left out."""
    claim = copy.deepcopy(CLAIM) | fields
    return {name: value for name, value in claim.items() if value is not ...}


def load(root):
    """Return the records of a book in which nothing is wrong."""
    records = read(root)
    assert records.problems == (), [str(problem) for problem in records.problems]
    return records


def only_problem(root):
    problems = read(root).problems
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def test_a_sound_record_is_read_whole(tmp_path):
    history = [{"date": "2026-01-31", "change": "tolerance halved", "why": "more seeds"}]
    (claim,) = load(write(tmp_path, changed(history=history))).claims.values()
    assert (claim.id, claim.paper, claim.key, claim.file) == (
        "toy-slope",
        "A paper",
        "toy2020",
        "claims/toy.yml",
    )
    assert claim.criterion.quantities == ("slope",)
    assert claim.control.criterion.text == "slope < 0.5"
    assert claim.control.reason is None
    assert claim.testable
    assert claim.misprint is None
    assert claim.accepted["verdict"] == "not run"
    assert claim.history[0].date == "2026-01-31"
    assert claim.line == 4


def test_a_control_may_be_left_out_with_a_reason(tmp_path):
    (claim,) = load(write(tmp_path, changed(control={"none": "a count"}))).claims.values()
    assert claim.control.reason == "a count"


def test_a_measurement_decides_nothing_and_needs_no_criterion(tmp_path):
    fields = {"kind": "measurement", "criterion": None, "tolerance": None, "control": {"none": "a curve"}}
    (claim,) = load(write(tmp_path, changed(**fields))).claims.values()
    assert claim.kind == "measurement"
    assert claim.quantities == ("slope",)


def test_what_is_spared_and_what_was_changed_after_a_look(tmp_path):
    change = {"date": "2030-01-01", "change": "c", "why": "w"}
    control = {"variant": "v", "expect": "e", "spared": {"slope": "why"}, "by_construction": "it is"}
    fields = {"control": control, "history": [change, change | {"after_look": True}]}
    (claim,) = load(write(tmp_path, changed(**fields))).claims.values()
    assert claim.control.spared == {"slope": "why"}
    assert claim.control.by_construction == "it is"
    assert [one.after_look for one in claim.history] == [False, True]
    assert claim.after_look
    (claim,) = load(write(tmp_path, changed(history=[change]))).claims.values()
    assert not claim.after_look


def test_a_control_may_measure_more_than_the_criterion(tmp_path):
    claim = changed(
        quantity={"slope": "a slope", "smallest": "judges the control only"},
        control={"variant": "v", "expect": "e", "criterion": "smallest > 1"},
    )
    assert load(write(tmp_path, claim)).claims


def test_a_claim_that_is_not_testable_needs_no_criterion(tmp_path):
    fields = {"criterion": None, "quantity": {}, "tolerance": None, "control": {"none": "no test"}}
    (claim,) = load(write(tmp_path, changed(testable=False, reason="no data", **fields))).claims.values()
    assert (claim.testable, claim.reason, claim.criterion) == (False, "no data", None)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"control": ...}, "control", "is missing"),
        ({"control": {}}, "control", "it must have variant and expect, or none with a reason"),
        ({"control": {"variant": "broken"}}, "control", r"has the fields \['variant'\]"),
        (
            {"control": {"none": "a", "variant": "b", "expect": "c"}},
            "control",
            "it must have variant and expect",
        ),
        ({"control": {"none": " "}}, "control.none", "is empty"),
        ({"control": {"none": None}}, "control.none", "was None; it must be text"),
        ({"control": "none"}, "control", "was 'none'; it must be a mapping of fields"),
        (
            {"control": {"variant": "v", "expect": "e", "criterion": "slope <"}},
            "control.criterion",
            "must be like",
        ),
        ({"controll": {}}, "controll", "is not a field; did you mean control?"),
        ({"colour": "blue"}, "colour", "is not a field; the fields are id, locus"),
        ({"criterion": "slope << 1"}, "criterion", "must be like"),
        ({"criterion": "gap < 1~"}, "quantity", r"names \['slope'\], but .* use \['gap', 'slope'\]"),
        ({"quantity": {"slope": "s", "extra": "e"}}, "quantity", r"names \['extra', 'slope'\]"),
        ({"quantity": {"slope": ""}}, "quantity.slope", "is empty"),
        ({"quantity": {"Slope": "s"}}, "quantity", r"'Slope'; it must match"),
        ({"criterion": None}, "criterion", "is null; a testable claim must have one"),
        ({"tolerance": None}, "tolerance", "is null, but the criterion has a tolerance"),
        ({"standing": "said"}, "standing", "must be one of stated, quoted, summary, companion, ours"),
        ({"kind": "trends"}, "kind", "must be one of theorem check"),
        ({"proposition": ...}, "proposition", "is missing"),
        ({"again": 1}, "again", "was 1; it must be text"),
        (
            {"kind": "measurement", "control": {"none": "a curve"}},
            "criterion",
            "is there; a measurement decides nothing and must have null",
        ),
        (
            {"kind": "measurement", "criterion": None, "tolerance": None},
            "control",
            "is there; a measurement has none, and says why",
        ),
        (
            {"control": {"variant": "v", "expect": "e", "spared": {"gap": "why"}}},
            "control.spared",
            r"names \['gap'\], not in the criterion",
        ),
        (
            {"control": {"variant": "v", "expect": "e", "spared": {"slope": ""}}},
            "control.spared.slope",
            "is empty",
        ),
        ({"accepted": {"verdict": "ok", "reason": "r"}}, "accepted.verdict", "must be one of reproduced"),
        ({"accepted": {"verdict": "not run"}}, "accepted.reason", "is missing"),
        ({"claim": 3}, "claim", "was 3; it must be text"),
        ({"claim": "  "}, "claim", "is empty"),
        ({"testable": "no"}, "testable", "must be true or false"),
        ({"testable": False}, "reason", "is missing; a claim that is not testable must say why"),
        ({"reason": "why"}, "reason", "testable is not false"),
        ({"history": [{"date": "yesterday", "change": "c", "why": "w"}]}, "history.0.date", "must be a date"),
        ({"history": [{"change": "c", "why": "w"}]}, "history.0.date", "is missing"),
        (
            {"history": [{"date": "2030-01-01", "change": "c", "why": "w", "after_look": False}]},
            "history.0.after_look",
            "was False",
        ),
        ({"misprint": "toy-misprint"}, "misprint", "has no such erratum that lists toy-slope"),
    ],
)
def test_a_mistake_names_file_id_and_field(tmp_path, fields, field, message):
    problem = only_problem(write(tmp_path, changed(**fields)))
    assert (problem.file, problem.id, problem.field) == ("claims/toy.yml", "toy-slope", field)
    assert problem.line >= 4
    assert re.match(f"claims/toy.yml:{problem.line}: toy-slope: {field}: .*{message}", str(problem))


@pytest.mark.parametrize("bad", ["Toy", "toy_slope", "toy--slope", ""])
def test_an_id_is_lower_case_words_and_hyphens(tmp_path, bad):
    assert only_problem(write(tmp_path, changed(id=bad))).field == "id"


def test_the_line_is_that_of_the_field(tmp_path):
    root = write(tmp_path, changed(), changed(id="toy-other", standing="said"))
    lines = (root / "claims/toy.yml").read_text().splitlines()
    assert lines[only_problem(root).line - 1] == "  standing: said"


def test_a_bad_record_does_not_hide_the_good_ones(tmp_path):
    root = write(tmp_path, changed(id="toy-bad", control=...), changed())
    assert list(read(root).claims) == ["toy-slope"]


def test_an_unsound_record_is_reported_once(tmp_path):
    index, errata = {"01_classical_cs": ["toy-slope"]}, {"errata": [ERRATUM]}
    fields = {"misprint": "toy-misprint", "criterion": "slope <<"}
    assert only_problem(write(tmp_path, changed(**fields), index=index, errata=errata)).field == "criterion"


def test_ids_are_unique_across_files(tmp_path):
    write(tmp_path, changed())
    problem = only_problem(write(tmp_path, changed(), name="tray.yml"))
    assert str(problem).startswith("claims/tray.yml:4: toy-slope: id: is taken already, in claims/toy.yml:4")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("key: a\npaper: a: b\n", 2, "is not valid YAML"),
        ("", 1, "was None; it must be a mapping of fields"),
        ("- 1\n", 1, "it must be a mapping of fields"),
        ("paper: A\nkey: a\nclaims: []\n", 3, "is empty; it must have at least one entry"),
        ("key: a\nclaims: [{id: x}]\n", 1, "is missing"),
        ("paper: A\npaper: B\n", 2, "appears twice, first on line 1"),
    ],
)
def test_a_file_that_is_no_file_of_claims(tmp_path, text, line, message):
    write(tmp_path, changed(), other=text)
    problems = [str(problem) for problem in read(tmp_path).problems]
    assert any(
        problem.startswith(f"claims/other.yml:{line}: ") and message in problem for problem in problems
    )
    assert list(read(tmp_path).claims) == ["toy-slope"]


def test_bytes_that_are_not_text(tmp_path):
    write(tmp_path, changed())
    (tmp_path / "claims/latin.yml").write_bytes("paper: Candès".encode("latin-1"))
    assert str(only_problem(tmp_path)).startswith("claims/latin.yml:1: is not UTF-8 text")


def test_a_claim_without_an_id_is_told_by_its_place(tmp_path):
    problem = only_problem(write(tmp_path, changed(id=...)))
    assert (problem.id, problem.field, problem.message) == ("claims[0]", "id", "is missing")


def test_misprint_and_erratum_name_each_other(tmp_path):
    root = write(tmp_path, changed(misprint="toy-misprint"), errata={"errata": [ERRATUM]})
    assert load(root).errata["toy-misprint"].page == "01_classical_cs"
    write(tmp_path, changed(), errata={"errata": [ERRATUM]})
    assert str(only_problem(root)) == (
        "claims/errata.yml:2: toy-misprint: claims: names toy-slope, whose record says misprint: None"
    )
    write(tmp_path, changed(), errata={"errata": [ERRATUM | {"claims": ["toy-gone"]}]})
    assert "names toy-gone, which has no record" in str(only_problem(root))


def test_list_and_records_must_agree(tmp_path):
    root = write(tmp_path, changed(), index={"01_classical_cs": ["toy-slope"]})
    assert load(root).index == {"toy-slope": "01_classical_cs"}
    for index, message in [
        ({"01_classical_cs": ["toy-slope", "toy-gone"]}, "toy-gone: is on the list but has no record"),
        ({"02_sparse_relu_generators": ["toy-slope"]}, "lists the claim under 02_sparse_relu_generators"),
        ({"01_classical_cs": ["toy-slope", "toy-slope"]}, "toy-slope is on the list twice"),
        ({"01_classical": ["toy-slope"]}, "lists the claim under 01_classical"),
        ({"classical": ["toy-slope"]}, "'classical'; it must match"),
    ]:
        write(tmp_path, changed(), index=index)
        assert message in "\n".join(map(str, read(root).problems))
    write(tmp_path, changed(), changed(id="toy-new"), index={"01_classical_cs": ["toy-slope"]})
    assert "toy-new: chapter: is 01_classical_cs, but claims/index.yml lists the claim not at all" in str(
        only_problem(root)
    )


def test_only_deciding_fields_make_a_page_stale(tmp_path):
    before = deciding_fields(write(tmp_path, changed()), "01_classical_cs")
    prose = changed(claim="In other words.", accepted={"verdict": "reproduced", "reason": "run"})
    assert deciding_fields(write(tmp_path, prose), "01_classical_cs") == before
    for fields in (
        {"criterion": "slope = 1 +- 0.2~"},
        {"control": {"none": "a reason"}},
        {"control": {"variant": "too few rows", "expect": "e", "criterion": "slope < 0.4"}},
        {"again": "by a sharper criterion"},
        {"control": CLAIM["control"] | {"spared": {"slope": "why"}}},
        {"kind": "measurement", "criterion": None, "tolerance": None, "control": {"none": "why"}},
    ):
        assert deciding_fields(write(tmp_path, changed(**fields)), "01_classical_cs") != before
    assert deciding_fields(tmp_path, "02_sparse_relu_generators") == {}


def test_the_books_own_records_are_sound_and_complete():
    records = load(ROOT)
    assert set(records.claims) == set(records.index)
    assert records.chapters == tuple(sorted(records.chapters))
    assert len(records.chapters) == 9
    bibliography = (ROOT / "references.bib").read_text(encoding="utf-8")
    assert [claim.id for claim in records.claims.values() if f"{{{claim.key}," not in bibliography] == []
