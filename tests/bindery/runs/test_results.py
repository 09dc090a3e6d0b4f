"""Stored results: written whole, refused when torn, edited or incomplete, marked when stale."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from bindery.emit import CLAIM_MIME, GLUE_PREFIX
from bindery.figures.encoding import BUNDLE_MIME, from_columns, from_images
from bindery.page.dependencies import paper_dependencies
from bindery.page.sources import sha256
from bindery.runs import results, stored
from bindery.runs.results import ResultsError

STEM = "01_classical_cs"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'
CLAIM = {
    "id": "cs-noise",
    "value": 1.01,
    "low": 0.99,
    "high": 1.03,
    "control_value": None,
    "control_low": None,
    "control_high": None,
    "n": 10,
    "unit": "seed",
    "profile": "paper",
    "seed": 0,
    "note": "",
}


def glue(key, value):
    metadata = {"scrapbook": {"mime_prefix": GLUE_PREFIX, "name": key}}
    return {
        "output_type": "display_data",
        "data": {f"{GLUE_PREFIX}text/plain": repr(value)},
        "metadata": metadata,
    }


def figure(made):
    data = {"image/svg+xml": SVG, BUNDLE_MIME: made.to_json()}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def claim(**changes):
    data = {CLAIM_MIME: json.dumps(CLAIM | changes), "text/plain": "a line"}
    return {"output_type": "display_data", "data": data, "metadata": {}}


TABLE = from_columns(
    "a-line",
    {"m": [1, 2], "error": [0.5, np.nan], "method": ["omp", "iht"], "ok": [True, False]},
    profile="paper",
    seeds=[0],
)
IMAGES = from_images("digits", {"x": np.eye(2)}, profile="paper", seeds=[0])
OUTPUTS = [
    claim(),
    glue("cs-noise", 1.01),
    glue("cs-noise.verdict", "reproduced"),
    glue("trials", 50),
    glue("device", "a cpu"),
    figure(TABLE),
    figure(IMAGES),
]


def page(outputs=OUTPUTS):
    return {
        "cells": [{"cell_type": "code", "id": "c", "metadata": {}, "source": "", "outputs": list(outputs)}]
    }


@pytest.fixture
def book(toy):
    toy.module("sparse", "def lasso():\n    return 1\n")
    toy.notebook(STEM, "from gsl_utils.sparse import lasso\nlasso()")
    return toy


def provenance(root):
    return {
        "commit": "0" * 40,
        "dirty": False,
        "sources": paper_dependencies(root, STEM),
        "parameters": {"profile": "paper", "seed": 0},
        "versions": {"numpy": "2.4.6"},
        "device": "cpu",
        "seconds": 12.5,
        "peak_memory_mib": 300,
    }


@pytest.fixture
def kept(book):
    results.store(page(), STEM, provenance(book.root), book.root)
    return book


def folder(book):
    return book.root / "results" / STEM


def test_what_is_stored_is_loaded(kept):
    loaded = results.load(STEM, kept.root)
    assert loaded.claims == (CLAIM,)
    # The verdict is not stored: it follows from the claim's record.
    assert loaded.published == {"cs-noise": 1.01, "trials": 50, "device": "a cpu"}
    assert loaded.provenance == provenance(kept.root)
    assert {name: made["seeds"] for name, made in loaded.figures.items()} == {"a-line": [0], "digits": [0]}
    assert sorted(path.name for path in folder(kept).iterdir()) == [
        "a-line.csv", "a-line.svg", "digits.npz", "digits.svg", "paper.json",
    ]  # fmt: skip
    assert (folder(kept) / "a-line.svg").read_text() == SVG


def test_tables_are_read_as_numbers(kept):
    loaded = results.load(STEM, kept.root)
    table = loaded.table("a-line")
    assert [column.dtype.kind for column in table.values()] == ["i", "f", "U", "b"]
    np.testing.assert_array_equal(table["error"], [0.5, np.nan])
    assert table["method"].tolist() == ["omp", "iht"]
    for wrong in ("nothing", "digits"):
        with pytest.raises(ValueError, match=rf"'{wrong}'; no stored figure of that name has a \.csv file"):
            loaded.table(wrong)


def test_storing_twice_gives_the_same_bytes(kept):
    first = {path.name: path.read_bytes() for path in folder(kept).iterdir()}
    results.store(page(), STEM, provenance(kept.root), kept.root)
    assert {path.name: path.read_bytes() for path in folder(kept).iterdir()} == first


def test_a_figure_that_is_gone_leaves_no_file(kept):
    results.store(page([claim(), figure(TABLE)]), STEM, provenance(kept.root), kept.root)
    assert sorted(path.name for path in folder(kept).iterdir()) == ["a-line.csv", "a-line.svg", "paper.json"]


def test_the_newcomer_finds_nothing(book, monkeypatch):
    assert results.load(STEM, book.root) is None
    monkeypatch.chdir("/")
    assert results.load(STEM) is None


def test_the_root_is_found_from_the_pages_folder(kept, monkeypatch):
    monkeypatch.chdir(kept.root / "book")
    assert results.load(STEM).chapter == STEM
    results.store(page(), STEM, provenance(kept.root), kept.root)


def test_a_page_that_makes_results_gets_no_old_ones(kept):
    assert results.load(STEM, kept.root, paper=True) is None


# Refusals of what is on the disk


def edit(path, change):
    path.write_bytes(change(path.read_bytes()))


def reseal(change):
    def edited(content):
        fields = json.loads(content)
        change(fields)
        fields["digest"] = stored.seal(fields)
        return json.dumps(fields).encode()

    return edited


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("paper.json", lambda content: content[: len(content) // 2], "paper.json is torn"),
        ("paper.json", lambda _: b"", "paper.json is torn"),
        ("paper.json", lambda content: b"\xff" + content, "paper.json is torn"),
        ("paper.json", lambda content: content.replace(b"1.03", b"1.02"), "paper.json was edited"),
        ("paper.json", lambda content: content.replace(b"12.5", b"12.6"), "paper.json was edited"),
        ("paper.json", lambda _: b"[]", "paper.json is incomplete"),
        ("paper.json", reseal(lambda f: f.pop("claims")), "is incomplete: it lacks claims"),
        ("paper.json", reseal(lambda f: f.update(published=[])), "it lacks published"),
        ("paper.json", reseal(lambda f: f.update(format=99)), "has format 99"),
        ("paper.json", reseal(lambda f: f.update(chapter="02_x")), "is of the chapter 02_x"),
        (
            "a-line.csv",
            lambda content: content.replace(b"0.5", b"0.4"),
            "a-line.csv was edited or is of another run",
        ),
        ("digits.npz", lambda content: content[:-1], "digits.npz was edited"),
        ("a-line.svg", None, "a-line.svg is missing"),
    ],
)
def test_a_torn_edited_or_missing_part_is_refused(kept, file, change, message):
    path = folder(kept) / file
    if change is None:
        path.unlink()
    else:
        edit(path, change)
    with pytest.raises(ResultsError, match=f"results/{STEM}/.*") as caught:
        results.load(STEM, kept.root)
    assert message in str(caught.value)
    assert f"make paper CHAPTER={STEM}" in str(caught.value)
    assert results.problems(kept.root) == [str(caught.value)]


@pytest.mark.parametrize("stop", range(1, 5))
def test_a_run_cut_off_while_storing_leaves_the_old_or_what_is_refused(kept, monkeypatch, stop):
    """The first file alone is written, then the first two, and so on: never a silent mixture."""
    old = (folder(kept) / "paper.json").read_bytes()
    changed = from_columns("a-line", {"m": [9]}, profile="paper", seeds=[0])
    replace, count = type(folder(kept)).replace, [0]

    def torn(path, target):
        count[0] += 1
        if count[0] > stop:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(type(folder(kept)), "replace", torn)
    with pytest.raises(KeyboardInterrupt):
        results.store(
            page([*OUTPUTS[:-2], figure(changed), figure(IMAGES)]), STEM, provenance(kept.root), kept.root
        )
    assert (folder(kept) / "paper.json").read_bytes() == old
    if stop == 1:
        # Only the picture was replaced, and it is the same: these are the old results.
        assert results.load(STEM, kept.root).table("a-line")["m"].tolist() == [1, 2]
    else:
        with pytest.raises(ResultsError, match=r"a-line\.csv was edited or is of another run"):
            results.load(STEM, kept.root)


def test_strays_and_strangers_are_problems(kept):
    (folder(kept) / "notes.txt").touch()
    (kept.root / "results" / "99_gone").mkdir()
    (kept.root / "results" / "rows.part").mkdir()
    assert results.problems(kept.root) == [
        f"results/{STEM}/notes.txt is not listed in paper.json: remove it",
        "results/99_gone is of no page: there is no notebooks/99_gone.ipynb",
        "results/99_gone has no paper.json: make paper CHAPTER=99_gone writes it",
    ]


def test_good_results_and_none_have_no_problem(kept, root):
    assert results.problems(kept.root) == []
    assert results.problems(root) == []


def test_what_the_benchmarks_measured_is_of_no_chapter(toy):
    table = {"lasso.csv": b"method,seconds\nours,0.1\n"}
    entry = {"name": "lasso", "files": {name: sha256(content) for name, content in table.items()}}
    fields = {"claims": [], "published": {}, "figures": [entry], "provenance": {"sources": {}}}
    path = stored.write(toy.root, "benchmarks", fields, table)
    assert results.problems(toy.root) == []
    assert results.load("benchmarks", toy.root, paper=True).table("lasso")["seconds"].tolist() == [0.1]
    (path.parent / "lasso.csv").write_bytes(b"method,seconds\nours,0.01\n")
    with pytest.raises(ResultsError, match=r"lasso\.csv was edited.*make bench"):
        results.load("benchmarks", toy.root)
    path.unlink()
    assert results.problems(toy.root) == ["results/benchmarks has no paper.json: make bench writes it"]


# Refusals of what is to be stored


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([], "nothing to store"),
        ([claim(profile="quick")], r"cs-noise \(quick\)"),
        ([figure(from_columns("f", {"x": [1]}, profile="quick", seeds=[0]))], r"f \(quick\)"),
    ],
)
def test_a_page_that_is_no_paper_run_is_refused(book, outputs, message):
    with pytest.raises(ValueError, match=message):
        results.store(page(outputs), STEM, provenance(book.root), book.root)
    assert not folder(book).exists()


def test_incomplete_provenance_is_refused(book):
    partial = {key: value for key, value in provenance(book.root).items() if key not in {"commit", "device"}}
    with pytest.raises(ValueError, match=r"provenance lacks \['commit', 'device'\]"):
        results.store(page(), STEM, partial, book.root)


# Staleness


def test_fresh_results_are_not_stale(kept):
    assert results.load(STEM, kept.root).stale == []


def test_a_change_of_the_code_is_named_and_a_comment_is_not(kept):
    kept.module("sparse", "# said again\ndef lasso():\n    return 1\n")
    assert results.load(STEM, kept.root).stale == []
    kept.module("sparse", "def lasso():\n    return 2\n")
    assert results.load(STEM, kept.root).stale == ["gsl_utils.sparse changed"]


def test_sources_that_came_and_went_are_named(kept):
    kept.module("metrics", "")
    kept.notebook(STEM, "import gsl_utils.metrics")
    changed = results.load(STEM, kept.root).stale
    assert changed == ["code cells changed", "gsl_utils.metrics is new"]
    (kept.root / "notebooks" / f"{STEM}.ipynb").unlink()
    assert results.load(STEM, kept.root).stale == [f"notebooks/{STEM}.ipynb does not exist"]


# Shown in a page


def published(kept, root, *claims):
    """Return what a page's prose can use of stored results, with the claims of the real book."""
    shutil.copytree(root / "claims", kept.root / "claims", dirs_exist_ok=True)
    results.store(
        page([*claims, glue("trials", 50), glue("device", "a cpu")]), STEM, provenance(kept.root), kept.root
    )
    return results.published(results.load(STEM, kept.root))


CONTROL = {"control_value": 0.1, "control_low": 0.0, "control_high": 0.2}


def test_every_value_is_published_with_todays_verdicts(kept, root):
    said = published(kept, root, claim(**CONTROL), glue("cs-noise", 1.01), glue("cs-noise.verdict", "void"))
    assert said == {
        "paper.cs-noise": 1.01,
        "paper.trials": 50,
        "paper.device": "a cpu",
        "paper.cs-noise.verdict": "reproduced",
    }


def test_a_stored_claim_that_its_record_has_outgrown_has_no_verdict(kept, root):
    said = published(kept, root, claim(**CONTROL, value={"other": 1.0}), claim(id="nobody"))
    assert said == {"paper.trials": 50, "paper.device": "a cpu"}


def test_rows_are_part_of_what_is_stored(book):
    rows = {"phase": b"m,seed,error\n10,0,1.5\n"}
    results.store(page(), STEM, provenance(book.root), book.root, rows)
    assert results.load(STEM, book.root).files["rows/phase.csv"] == sha256(rows["phase"])
    assert results.problems(book.root) == []
    file = folder(book) / "rows/phase.csv"
    file.write_bytes(b"m,seed,error\n10,0,1.4\n")
    with pytest.raises(ResultsError, match=r"rows/phase\.csv was edited or is of another run"):
        results.load(STEM, book.root)
    # Of a run without them none are left.
    results.store(page(), STEM, provenance(book.root), book.root)
    assert not file.exists()
