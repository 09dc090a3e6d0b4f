import json
import subprocess

import pytest

from bindery.page.dependencies import paper_dependencies
from bindery.runs import paper

RECORD = """
import os
from bindery.record import configure, publish
from gsl_utils.metrics import error
configure(profile, seed)
publish("error", error(seed))
publish("threads", os.environ["OMP_NUM_THREADS"])
publish("rows", 400 if profile == "paper" else 200)
"""


@pytest.fixture
def book(toy):
    toy.machinery()
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
        ([], "required: chapter"),
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
    assert "10_speed is no chapter of the claims" in done.stderr
    assert not (book.root / "results/10_speed").exists()


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
