"""The one arithmetic of the pages: its variables, its fingerprint, and who gets it."""

import json
import os
import subprocess
import sys

import pytest

from bindery.page import arithmetic, notebooks
from bindery.page.arithmetic import CHOICE, VARIABLES, differing, fingerprint, sentence, variables, wished
from bindery.page.fingerprint import PARTS
from bindery.page.kernels import environment
from bindery.root import BookError

ours = pytest.mark.skipif(
    variables("book")["MKL_CBWR"] is None, reason="the book's arithmetic is for x86-64 with AVX2, under Linux"
)


def run_in(variables, code):
    """What a fresh Python prints in an environment."""
    kept = {name: value for name, value in os.environ.items() if name not in variables}
    given = {name: value for name, value in variables.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=kept | given,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_an_arithmetic_sets_all_of_its_variables_or_none():
    assert set(variables("own")) == set(VARIABLES)
    assert set(variables("own").values()) == {None}
    assert set(variables("book")) == set(VARIABLES)


@ours
def test_settings_differ_from_the_books():
    assert variables("book") == VARIABLES
    chosen = variables("MKL_CBWR=;OPENBLAS_CORETYPE=Prescott")
    assert chosen == VARIABLES | {"MKL_CBWR": None, "OPENBLAS_CORETYPE": "Prescott"}
    for wrong in ("MKL", "OMP_NUM_THREADS=2", "own;MKL_CBWR="):
        with pytest.raises(
            BookError, match=r"BOOK_ARITHMETIC holds .*; it must be book, own, or settings of ATEN"
        ):
            variables(wrong)


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ({}, "book"),
        (dict(VARIABLES), "book"),
        ({"MKL_CBWR": ""}, "MKL_CBWR="),
        (
            {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott"},
            "ATEN_CPU_CAPABILITY=default;OPENBLAS_CORETYPE=Prescott",
        ),
        # Said outright it counts, whatever the variables have become since.
        ({CHOICE: "own", "MKL_CBWR": "AVX2"}, "own"),
    ],
)
def test_what_somebody_sets_counts_for_the_tests(given, choice):
    assert wished(given) == choice


def test_this_test_runs_in_the_arithmetic_that_was_wished(root):
    assert os.environ[CHOICE]
    for name, value in variables(os.environ[CHOICE]).items():
        assert os.environ.get(name) == value


@ours
def test_pages_run_in_the_books_arithmetic_whatever_is_set(toy):
    toy.machinery()
    toy.notebook(
        "01_a",
        "import os\nfrom bindery.page.arithmetic import VARIABLES\n"
        "print({name: os.environ.get(name) == value for name, value in VARIABLES.items()})",
    )
    done = toy.command("execute", **{CHOICE: "own", "MKL_CBWR": "AVX2"})
    assert done.returncode == 0, done.stderr
    assert str(dict.fromkeys(VARIABLES, True)) in toy.page("01_a").read_text()


@ours
def test_numpy_and_torch_do_what_the_variables_say(root):
    code = (
        "import numpy, torch\n"
        "from numpy._core._multiarray_umath import __cpu_features__, __cpu_dispatch__\n"
        "on = [name for name in __cpu_dispatch__ if __cpu_features__[name]]\n"
        "print(on, torch.backends.cpu.get_cpu_capability())"
    )
    # Each dispatched code path beyond AVX2 is off: numpy ignores a name that it does not know without a word.
    assert run_in(environment(root), code) == "['X86_V3'] AVX2"


def test_two_processes_leave_one_fingerprint(root):
    first, second = (fingerprint(environment(root)) for _ in range(2))
    assert set(first) == set(PARTS)
    assert first == second
    assert len(set(first.values())) == len(PARTS)


def test_the_fingerprint_is_the_books_or_says_in_which_part_it_is_not(root):
    parts = differing(root, environment(root))
    if parts:
        pytest.skip(sentence(parts))
    assert fingerprint(environment(root)) == arithmetic.stored(root)


@ours
def test_other_variables_leave_another_fingerprint(root):
    if differing(root, environment(root)):
        pytest.skip("this machine's is another already")
    plainest = environment(root, arithmetic="ATEN_CPU_CAPABILITY=default")
    parts = differing(root, plainest)
    assert {"draws", "sums in float32", "elementwise functions in float64"} <= set(parts)
    assert "products in numpy" not in parts
    assert differing(root, environment(root, arithmetic="OPENBLAS_CORETYPE=Prescott"))[0].endswith("in numpy")


def test_a_torn_fingerprint_is_named(toy):
    assert arithmetic.stored(toy.root) == {}
    (toy.root / "results/fingerprint.json").write_text("{")
    with pytest.raises(BookError, match=r"results/fingerprint\.json is torn"):
        arithmetic.stored(toy.root)


def test_libraries_that_cannot_be_run_are_named(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BookError, match="the fingerprint cannot be taken"):
        fingerprint({})


def test_what_differs_is_said(toy, root, monkeypatch, capsys):
    monkeypatch.setattr(arithmetic, "fingerprint", lambda environment: {"sums": "1", "draws": "2"})
    monkeypatch.chdir(toy.root)
    (toy.root / "results/fingerprint.json").write_text(json.dumps({"sums": "1", "draws": "3", "roots": "4"}))
    assert arithmetic.run(type("Arguments", (), {"store": False})) == 0
    assert capsys.readouterr().out == (
        "elsewhere, by the fingerprint of draws, roots: numbers must agree to their tolerance\n"
    )
    assert arithmetic.run(type("Arguments", (), {"store": True})) == 0
    assert capsys.readouterr().out == "the fingerprint is the book's: pages must have the same bytes\n"


def test_every_lesson_and_each_evidence_page_has_its_turn():
    pages = ["01_a", "01_a_evidence", "02_b", "02_b_evidence", "10_c"]
    turns = [notebooks.turn_of(pages, number) for number in range(4)]
    assert turns[0] == turns[2] == ["01_a", "02_b", "10_c", "01_a_evidence"]
    assert turns[1] == turns[3] == ["01_a", "02_b", "10_c", "02_b_evidence"]
    assert notebooks.turn_of(["01_a"], 7) == ["01_a"]


def test_turn_names_files_that_nbval_can_run(root):
    named = subprocess.run(
        [sys.executable, "-m", "bindery", "turn"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split()
    assert named
    assert all((root / name).is_file() for name in named)
