import json
import subprocess

import pytest

from bindery.page.dependencies import paper_dependencies
from bindery.runs import kept, paper

RECORD = """
import os
from bindery import Page
from gsl_utils.metrics import error
page = Page(profile, seed)
page.value("error", error(seed))
page.value("threads", os.environ["OMP_NUM_THREADS"])
page.value("rows", 400 if page.paper else 200)
"""


@pytest.fixture
def book(toy):
    toy.machinery()
    toy.claim("cs-noise")
    toy.module("metrics", "def error(x):\n    return 2 * x + 1\n")
    toy.notebook("01_classical_cs", RECORD)
    return toy


def stored(book):
    return json.loads((book.root / "results/01_classical_cs/paper.json").read_text())


def test_a_run_is_stored_with_where_it_came_from(book):
    done = book.command("paper", "01", "--seed", "3", "--threads", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"stored in {book.root / 'results/01_classical_cs'}"
    result = stored(book)
    assert result["published"] == {"error": 7, "threads": "2", "rows": 400}
    origin = result["provenance"]
    assert origin["parameters"] == {"profile": "paper", "seed": 3}
    assert origin["threads"] == 2
    assert origin["sources"] == paper_dependencies(book.root, "01_classical_cs")
    assert set(origin["sources"]) == {"code cells", "gsl_utils", "gsl_utils.metrics"}
    assert {"python", "torch", "numpy"} <= set(origin["versions"])
    assert origin["device"].startswith(("cpu", "cuda ("))
    assert origin["seconds"] > 0
    assert origin["peak_memory_mib"] > 10
    # Nothing of it reaches the pages.
    assert book.pages() == {}
    assert not (book.root / "results/run_times.json").exists()


def test_a_failing_run_stores_nothing(book):
    book.notebook("01_classical_cs", RECORD, "raise ValueError('late')")
    done = book.command("paper", "01_classical_cs")
    assert done.returncode == 1
    assert "01_classical_cs failed: cell 4 `raise ValueError('late')`: ValueError: late" in done.stderr
    assert list((book.root / "results").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["02"], "error: '02' fits no notebook; it must fit one of ['01_classical_cs']"),
        (["01", "--threads", "0"], "error: --threads is 0; it must be at least 1"),
        ([], "required: name"),
    ],
)
def test_a_wrong_request_is_refused(book, words, message):
    done = book.command("paper", *words)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_page_that_is_no_chapter_has_nothing_to_store(book):
    book.notebook("10_speed", "x = 1")
    done = book.command("paper", "10")
    assert done.returncode == 2
    assert "10_speed is of no chapter of the claims" in done.stderr
    assert not (book.root / "results/10_speed").exists()


SWEEP = """
from bindery import Page
from gsl_utils.metrics import error
page = Page(profile, seed)
def one(m, seed):
    open("calls", "a").write(f"{m} {seed}\\n")
    return {"error": error(m + 0.1 * seed)}
rows = page.sweep(one, {"m": [10, 20]}, [0, 1, 2], name="errors")
page.value("sum", sum(row["error"] for row in rows))
"""


@pytest.fixture
def swept(book):
    book.notebook("01_classical_cs", SWEEP)
    assert book.command("paper", "01").returncode == 0
    return book


def test_checkpoints_are_kept_until_the_results_are_stored(book):
    cell = """
from bindery import Page
page = Page(profile, seed)
folder = page.checkpoints("decoder")
page.value("epoch", int((folder / "epoch").read_text()) if (folder / "epoch").is_file() else 0)
(folder / "epoch").write_text("7")
"""
    book.notebook("01_classical_cs", cell, "raise ValueError('killed')")
    assert book.command("paper", "01").returncode == 1
    book.notebook("01_classical_cs", cell, "raise ValueError('killed')", "#: prose changes no code")
    assert book.command("paper", "01").returncode == 1
    assert "killed" in book.command("paper", "01").stderr
    (kept_file,) = (book.root / "results/rows.part").glob("*/decoder/epoch")
    assert kept_file.read_text() == "7"
    book.notebook("01_classical_cs", cell)
    assert book.command("paper", "01").returncode == 0
    # Other code, another folder; all go with the results.
    assert stored(book)["published"] == {"epoch": 0}
    assert not list((book.root / "results").glob("rows.part/*"))


def calls(book):
    path = book.root / "book/calls"
    made = path.read_text().split("\n")[:-1]
    path.unlink()
    return made


def test_the_rows_of_a_run_are_stored_with_it(swept):
    assert len(calls(swept)) == 6
    rows = (swept.root / "results/01_classical_cs/rows/errors.csv").read_text().splitlines()
    assert rows[:2] == ["m,seed,error", "10,0,21.0"]
    assert len(rows) == 7
    assert list(stored(swept)["rows"]) == ["rows/errors.csv"]
    assert not list((swept.root / "results").glob("rows.part/*"))


def test_a_replay_tries_one_seed_of_each_sweep_and_renews_the_stamp(swept):
    before = stored(swept)
    calls(swept)
    # Said in other words: the numbers are the same, the digest is not.
    swept.module("metrics", "def error(x):\n    return x + x + 1\n")
    assert stored(swept)["provenance"]["sources"] != paper_dependencies(swept.root, "01_classical_cs")
    done = swept.command("paper", "01", "--replay")
    assert done.returncode == 0, done.stderr
    assert calls(swept) == ["10 0", "20 0"]
    after = stored(swept)
    assert after["published"] == before["published"]
    assert after["rows"] == before["rows"]
    origin = after["provenance"]
    assert origin["sources"] == paper_dependencies(swept.root, "01_classical_cs")
    assert origin["seconds"] == before["provenance"]["seconds"]
    assert set(origin["replay"]) >= {"commit", "versions", "machine", "seconds"}


@pytest.mark.parametrize(
    ("module", "cells", "message"),
    [
        (
            "def error(x):\n    return 2.01 * x + 1\n",
            SWEEP,
            "does not give the stored rows: m 10, seed 0: error is",
        ),
        (None, SWEEP.replace("[10, 20]", "[10, 30]"), "m 30, seed 0: no such row is stored"),
        (None, SWEEP.replace("[0, 1, 2]", "[0, 1, 2, 3]"), "asks for (10, 3), of which no row is stored"),
        (None, SWEEP.replace('"errors"', '"others"'), "holds no rows of others"),
    ],
)
def test_a_replay_that_does_not_agree_leaves_everything(swept, module, cells, message):
    before = stored(swept)
    if module:
        swept.module("metrics", module)
    swept.notebook("01_classical_cs", cells)
    done = swept.command("paper", "01", "--replay")
    assert done.returncode == 1
    assert message in done.stderr
    assert stored(swept) == before


def test_nothing_to_replay(book):
    done = book.command("paper", "01", "--replay")
    assert done.returncode == 2
    assert "results/01_classical_cs holds nothing to replay; run it" in done.stderr


def test_rows_agree_within_a_thousandth_or_a_tenth_of_their_spread():
    rows = [{"m": 1, "seed": s, "error": value, "word": "a"} for s, value in enumerate((1.0, 2.0, 3.0))]

    def wrong(**changes):
        return kept.disagreements(rows, [rows[0] | changes])

    assert wrong() == wrong(error=1.09) == wrong(error=0.91) == []
    assert wrong(error=1.11) == ["m 1, seed 0: error is 1.11 and was 1.0"]
    assert wrong(word="b") == ["m 1, seed 0: word is b and was a"]
    assert wrong(error=float("nan")) != []
    alike = [row | {"error": 1.0} for row in rows]
    assert kept.disagreements(alike, [alike[0] | {"error": 1.0009}]) == []
    assert kept.disagreements(alike, [alike[0] | {"error": 1.0011}]) != []


def git(folder, *words):
    name = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", *name, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def test_the_commit_and_whether_it_was_changed(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    assert paper.commit(tmp_path) == {"commit": head, "dirty": False}
    (tmp_path / "new").write_text("2")
    assert paper.commit(tmp_path) == {"commit": head, "dirty": False}
    (tmp_path / "file").write_text("2")
    assert paper.commit(tmp_path) == {"commit": head, "dirty": True}


def test_outside_of_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    assert paper.commit(tmp_path) == {"commit": None, "dirty": None}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert paper.commit(tmp_path) == {"commit": None, "dirty": None}
