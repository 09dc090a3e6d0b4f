import pytest

from bindery.claims.reseed import disagreements, table

# Reproduced up to seed 1, contradicted from seed 2 on.
RECORD = """
from bindery.record import configure, record
configure(profile, seed)
slope = 1.0 if seed < 2 else -1.0
record("cs-noise", slope, (slope - 0.1, slope + 0.1), n=10)
"""


@pytest.fixture(scope="module")
def executed(new_toy):
    toy = new_toy("seeds")
    toy.machinery()
    toy.claim("cs-noise")
    toy.notebook("01_classical_cs", RECORD)
    toy.notebook("02_plain", "seed")
    assert toy.command("execute").returncode == 0
    return toy


@pytest.fixture
def book(executed, tmp_path):
    return executed.copy(tmp_path / "copy")


def test_verdicts_that_depend_on_the_seed_are_reported(book):
    pages = book.pages()
    times = (book.root / "results/run_times.json").read_text()
    done = book.command("seeds")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "  claim     page        seed 1      seed 2",
        "* cs-noise  reproduced  reproduced  contradicted",
        "1 of 1 verdicts depend on the seed",
    ]
    assert sorted(line.split(" executed")[0] for line in done.stderr.splitlines()) == [
        f"{stem} with seed {seed}" for stem in ("01_classical_cs", "02_plain") for seed in (1, 2)
    ]
    # The book is as it was.
    assert book.pages() == pages
    assert (book.root / "results/run_times.json").read_text() == times


def test_verdicts_that_agree_are_no_problem(book):
    done = book.command("seeds", "01", "--seeds", "1")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "0 of 1 verdicts depend on the seed")


def test_a_notebook_that_fails_is_reported_and_its_claims_are_not_compared(book):
    book.notebook("01_classical_cs", RECORD, "1 / (seed - 2)")
    done = book.command("seeds", "01", "--seeds", "2")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    why = "cell 4 `1 / (seed - 2)`: ZeroDivisionError: division by zero"
    assert lines[0] == f"01_classical_cs with seed 2 failed: {why}"
    assert lines[-1] == "no verdicts to compare"


def test_pages_must_be_there(book):
    book.page("02_plain").unlink()
    done = book.command("seeds")
    assert done.returncode == 2
    assert done.stderr == "error: 02_plain must be executed first: python -m bindery execute\n"


def test_a_claim_that_a_run_did_not_record_disagrees():
    found = {
        "a": {"x": "void", "y": "void"},
        "b": {"x": "void", "y": "-"},
        "c": {"x": "-", "y": "not settled"},
    }
    assert disagreements(found) == ["b", "c"]
    assert [line[:3] for line in table(found, ["x", "y"]).splitlines()] == ["  c", "  a", "* b", "* c"]
