"""The ledger: read from pages and stored results, every disagreement a problem, and the `claim` command."""

import json

import nbformat
import pytest
import yaml

import toys
from bindery.claims import ledger
from bindery.claims.entries import expected_misses, report, to_json
from bindery.claims.ledger import collect, problems
from bindery.emit import CLAIM_MIME
from bindery.root import BookError
from bindery.runs.results import store

CHAPTER = "01_classical_cs"
CLAIM = toys.CLAIM | {"accepted": {"verdict": "reproduced", "reason": "seen"}}
BIG = CLAIM | {"id": "toy-big"}


def recorded(claim_id="toy-slope", low=0.95, high=1.05, control=(0.1, 0.0, 0.2), profile="quick"):
    value, control_low, control_high = control or (None,) * 3
    return {
        "id": claim_id,
        "value": (low + high) / 2,
        "low": low,
        "high": high,
        "control_value": value,
        "control_low": control_low,
        "control_high": control_high,
        "n": 10,
        "unit": "seed",
        "profile": profile,
        "seed": 0,
        "note": "",
    }


def page(*records):
    outputs = [
        nbformat.v4.new_output("display_data", {CLAIM_MIME: json.dumps(record, sort_keys=True)})
        for record in records
    ]
    cell = nbformat.v4.new_code_cell("...", outputs=outputs, execution_count=1, id="cell")
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title", id="title"), cell])


@pytest.fixture
def book(toy):
    """A toy book with two claims of chapter 1; `write` replaces its claims and its page."""

    def write(*records, claims=(CLAIM,), stem=CHAPTER, **files):
        document = {"paper": "A paper", "key": "toy2020", "claims": list(claims)}
        files = {"toy": document, "index": {CHAPTER: [claim["id"] for claim in claims]}} | files
        for name, content in files.items():
            path = toy.root / f"claims/{name}.yml"
            path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        if records:
            nbformat.write(page(*records), toy.page(stem))
        return toy.root

    toy.write = write
    toy.notebook(CHAPTER)
    return toy


def stored(root, *records):
    provenance = dict.fromkeys(("commit", "device", "parameters", "versions"), "x")
    provenance |= {"sources": {"code cells": "old"}, "seconds": 1, "peak_memory_mib": 1}
    store(page(*records), CHAPTER, provenance, root)


def test_a_book_in_order_has_no_problems(book):
    root = book.write(recorded())
    assert problems(root) == []
    (entry,) = collect(root).entries
    assert (entry.deciding.word, entry.deciding.half, entry.deciding.double) == (
        "reproduced",
        "reproduced",
        "reproduced",
    )
    assert (entry.quick.profile, entry.paper, entry.agreement, entry.stale) == ("quick", None, None, False)
    assert entry.quick.measurement.values["slope"][1:] == (0.95, 1.05)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.85, 1.0, "not settled"), (2.0, 3.0, "contradicted")],
)
def test_a_verdict_that_turns_is_a_problem_that_says_how_to_accept(book, low, high, word):
    (problem,) = problems(book.write(recorded(low=low, high=high)))
    assert problem.startswith(
        "claims/toy.yml:4: toy-slope: its verdict was accepted as 'reproduced' and is now"
    )
    assert f"now {word!r} (" in problem
    assert 'python -m bindery accept toy-slope --reason "..."' in problem


@pytest.mark.parametrize("verdict", ["reproduced", "contradicted", "void"])
@pytest.mark.parametrize("control", [(1.0, 0.95, 1.05), (0.9, 0.5, 1.3), None])
def test_a_void_verdict_is_a_problem_whatever_was_accepted(book, verdict, control):
    claim = CLAIM | {"accepted": {"verdict": verdict, "reason": "seen"}}
    (problem,) = problems(book.write(recorded(control=control), claims=[claim]))
    assert "toy-slope: its verdict in the quick profile is void: " in problem
    assert "control" in problem


def test_a_changed_criterion_turns_the_verdict_too(book):
    claim = CLAIM | {"criterion": "slope = 1 +- 0.01~"}
    assert "is now 'not settled'" in problems(book.write(recorded(), claims=[claim]))[0]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (
            [recorded("toy-slop")],
            f"book/{CHAPTER}.ipynb: records toy-slop, which has no sound record in claims/",
        ),
        ([recorded("toy-slop")], "did it mean toy-slope?"),
        ([recorded(), recorded()], "records toy-slope more than once"),
        ([recorded(profile="paper")], "records toy-slope in the paper profile, not in quick"),
        ([recorded() | {"value": {"a": 1}}], "toy-slope: the value had the quantities ['a']"),
        ([{"id": "toy-slope", "profile": "quick"}], "toy-slope is recorded incompletely"),
        (["text"], "records None, which has no sound record"),
        (
            [recorded("toy-slop")],
            "toy-slope: its verdict was accepted as 'reproduced' and is now 'not run'",
        ),
    ],
)
def test_what_a_page_records_wrongly_is_a_problem(book, records, message):
    assert message in "\n".join(problems(book.write(*records)))


def test_a_claim_recorded_by_another_chapters_page_is_a_problem(book):
    root = book.write(recorded(), stem="02_sparse_relu_generators")
    assert f"records toy-slope, which belongs to {CHAPTER} (claims/toy.yml)" in "\n".join(problems(root))
    assert collect(root).entries[0].quick is None


def test_a_page_of_no_chapter_may_record_nothing(book):
    book.write(recorded())
    root = book.write(recorded(), stem="how_fast")
    (problem,) = problems(root)
    assert problem.startswith("book/how_fast.ipynb: records toy-slope, which belongs to")


@pytest.mark.parametrize(
    "text", ["{", "[]", json.dumps({"cells": [{"outputs": [{"data": {CLAIM_MIME: "{"}}]}]})]
)
def test_a_page_that_cannot_be_read_is_a_problem(book, text):
    root = book.write(claims=[CLAIM])
    book.page(CHAPTER).write_text(text)
    assert f"book/{CHAPTER}.ipynb: is not a notebook that can be read" in problems(root)


def test_a_chapter_without_a_page_is_not_run(book):
    claim = CLAIM | {"accepted": {"verdict": "not run", "reason": "no chapter has run it yet"}}
    root = book.write(claims=[claim])
    assert problems(root) == []
    assert collect(root).counts()["not run"] == 1
    # A verdict that was accepted does not outlive the page that it was read from.
    assert "accepted as 'reproduced' and is now 'not run'" in problems(book.write(claims=[CLAIM]))[0]


def test_a_claim_that_is_not_testable_needs_no_page(book):
    claim = CLAIM | {"id": "toy-mri", "testable": False, "reason": "no scanner", "criterion": None}
    claim |= {"tolerance": None, "quantity": {}, "control": {"none": "no test"}}
    claim |= {"accepted": {"verdict": "not testable", "reason": "no scanner"}}
    root = book.write(recorded(), claims=[CLAIM, claim])
    assert problems(root) == []
    assert [entry.deciding.word for entry in collect(root).entries] == ["reproduced", "not testable"]


def test_an_unsound_record_and_a_list_that_disagrees_are_problems(book):
    root = book.write(recorded(), claims=[CLAIM | {"criterion": "slope <"}])
    assert problems(root)[0].startswith(
        "claims/toy.yml:13: toy-slope: criterion: criterion 'slope <': 'slope <' must be like"
    )
    root = book.write(recorded(), index={CHAPTER: ["toy-slope", "toy-gone"]})
    assert problems(root) == ["claims/index.yml:1: toy-gone: is on the list but has no record"]


def test_the_strongest_run_decides_whichever_way_it_comes_out(book):
    root = book.write(recorded("toy-big", 0.85, 1.0), claims=[BIG])
    assert "is now 'not settled' (" in problems(root)[0]
    stored(root, recorded("toy-big", profile="paper"))
    (entry,) = collect(root).entries
    assert (entry.quick.word, entry.paper.word, entry.deciding.word) == ("not settled",) + ("reproduced",) * 2
    assert entry.agreement is False
    assert problems(root) == []
    # What is stored was computed with other code than today's.
    assert entry.stale
    book.write(recorded("toy-big"), claims=[BIG])
    assert collect(root).entries[0].agreement is True
    stored(root, recorded("toy-big", 2, 3, profile="paper"))
    assert collect(root).entries[0].deciding.word == "contradicted"


def test_a_void_paper_verdict_is_a_problem(book):
    root = book.write(recorded())
    stored(root, recorded(control=(1.0, 0.9, 1.1), profile="paper"))
    (problem,) = problems(root)
    assert "its verdict in the paper profile is void" in problem


def test_edited_results_are_refused(book):
    root = book.write(recorded())
    stored(root, recorded(profile="paper"))
    path = root / f"results/{CHAPTER}/paper.json"
    path.write_text(path.read_text().replace("0.95", "0.96"))
    (problem,) = problems(root)
    assert problem.startswith(f"results/{CHAPTER}/paper.json was edited")
    assert collect(root).entries[0].paper is None


def test_entries_are_in_the_order_of_the_list(book):
    claims = [CLAIM | {"id": f"toy-{word}"} for word in ("one", "two", "three")]
    index = {CHAPTER: ["toy-three", "toy-one", "toy-two"]}
    root = book.write(claims=claims, index=index)
    assert [entry.record.id for entry in collect(root).chapter(CHAPTER)] == index[CHAPTER]
    assert collect(root).chapter("07_nnlm") == ()


def test_json_holds_everything_and_is_always_the_same(book):
    claims = [CLAIM | {"history": [{"date": "2026-01-31", "change": "c", "why": "w"}]}, BIG]
    root = book.write(recorded(), recorded("toy-big"), claims=claims)
    stored(root, recorded("toy-big", profile="paper"))
    text = to_json(collect(root))
    assert text == to_json(collect(root))
    data = json.loads(text)
    assert data["counts"]["reproduced"] == 2
    first, second = data["claims"]
    assert (first["id"], first["verdict"], first["half"]) == ("toy-slope", "reproduced", "reproduced")
    assert first["quick"]["measured"]["quantities"] == {"slope": {"value": 1.0, "low": 0.95, "high": 1.05}}
    assert first["quick"]["measured"]["control"]["slope"]["high"] == 0.2
    assert first["criterion"] == "slope = 1 +- 0.1~"
    assert first["control"]["variant"] == "too few rows"
    assert first["history"][0]["date"] == "2026-01-31"
    assert (second["paper"]["verdict"], second["agreement"], second["stale"]) == ("reproduced", True, True)


def test_a_report_says_what_was_measured(book):
    root = book.write(recorded("toy-big", 0.85, 1.0), claims=[BIG])
    stored(root, recorded("toy-big", profile="paper"))
    text = report(collect(root).entries[0])
    for part in (
        "toy-big (01_classical_cs, stated, trend): The error grows",
        "slope = 1 +- 0.1~",
        "too few rows; a slope below 0.5",
        "quick         not settled (10 seeds, seed 0)",
        "slope = 0.925, 99 % interval [0.85, 1]",
        "control slope = 0.1, 99 % interval [0, 0.2]",
        "reproduced, decided by the paper profile",
        "half: reproduced; double: reproduced",
        "the stored paper result is stale",
        "accepted      reproduced: seen",
    ):
        assert part in text


def test_the_claim_command_runs_the_page_and_prints_the_record(book):
    """The toy package has no machinery to record with: the page emits what recording emits."""
    book.write(claims=[CLAIM], index={})
    data = {CLAIM_MIME: json.dumps(recorded())}
    book.notebook(CHAPTER, f"from IPython.display import display\ndisplay({data!r}, raw=True)")
    done = book.command("claim", "toy-slope")
    assert done.returncode == 0, done.stderr
    assert "quick         reproduced (10 seeds, seed 0)" in done.stdout
    assert book.page(CHAPTER).is_file()
    book.notebook(CHAPTER, "1 / 0")
    done = book.command("claim", "toy-slope")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_the_claim_command_without_a_page_or_with_a_wrong_id(book, monkeypatch, capsys):
    claims = [CLAIM | {"id": "toy-new", "chapter": "07_nnlm"}, CLAIM | {"standing": "said"}]
    monkeypatch.chdir(book.write(claims=claims, index={}))

    def command(claim_id):
        import argparse

        parser = argparse.ArgumentParser()
        ledger.add_arguments(parser)
        return ledger.run(parser.parse_args([claim_id]))

    assert command("toy-new") == 0
    out = capsys.readouterr().out
    assert out.startswith("no notebook decides toy-new yet: there is no notebooks/07_nnlm.ipynb")
    assert "verdict       not run\n" in out
    for claim_id, message in (
        ("toy-nev", "there is no claim 'toy-nev'; did you mean toy-new"),
        ("zzz", "there is no claim 'zzz'$"),
        (
            "toy-slope",
            r"the record of toy-slope is not sound:\nclaims/toy.yml:\d+: toy-slope: standing: was 'said'",
        ),
    ):
        with pytest.raises(BookError, match=message):
            command(claim_id)


def test_a_lesson_and_its_evidence_are_one_chapter(book):
    root = book.write(recorded(), stem=f"{CHAPTER}_evidence")
    book.notebook(f"{CHAPTER}_evidence")
    assert problems(root) == []
    assert collect(root).entries[0].quick.word == "reproduced"
    book.write(recorded())
    (problem,) = problems(root)
    assert problem == (
        f"book/{CHAPTER}_evidence.ipynb: records toy-slope more than once, first in book/{CHAPTER}.ipynb"
    )


def test_claims_are_counted_by_who_makes_them_and_what_stands(book):
    kinds = [
        {"id": "toy-a"},
        {"id": "toy-b", "standing": "companion"},
        {"id": "toy-c", "standing": "summary"},
        {"id": "toy-d", "standing": "ours"},
        {"id": "toy-e", "kind": "theorem check"},
        {"id": "toy-f", "again": "sharper", "accepted": {"verdict": "being judged again", "reason": "r"}},
    ]
    claims = [CLAIM | more for more in kinds]
    root = book.write(*(recorded(claim["id"]) for claim in claims), claims=claims)
    assert problems(root) == []
    groups = collect(root).groups()
    assert {name: counts["reproduced"] for name, counts in groups.items()} == {
        "the papers": 2,
        "a machine-written summary": 1,
        "our own questions": 1,
        "theorem checks": 1,
    }
    assert groups["the papers"]["being judged again"] == 1
    # Five intervals with a width decide; the one that is judged again does not.
    assert expected_misses(collect(root)) == (5, pytest.approx(0.05))
