import pytest

from bindery.claims.reseed import depending, stored
from bindery.root import BookError

# Reproduced up to seed 1, contradicted from seed 2 on.
RECORD = """
from bindery import Page
from bindery.claims.intervals import interval
page = Page(profile, seed)
slope = 1.0 if seed < 2 else -1.0
page.claim("cs-noise", interval(slope, slope - 0.1, slope + 0.1, n=10))
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
        "cs-noise: page reproduced, 1 reproduced, 2 contradicted",
        "1 of 1 verdicts depend on the seed",
    ]
    assert sorted(line.split(" executed")[0] for line in done.stderr.splitlines()) == [
        f"{stem} with seed {seed}" for stem in ("01_classical_cs", "02_plain") for seed in (1, 2)
    ]
    assert stored(book.root) == {"cs-noise": {"1": "reproduced", "2": "contradicted"}}
    # The pages are as they were.
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
    assert lines[-1] == "0 of 1 verdicts depend on the seed"
    # What did not run to its end is not stored.
    assert stored(book.root) == {}


def test_pages_must_be_there(book):
    for stem in ("01_classical_cs", "02_plain"):
        book.page(stem).unlink()
    done = book.command("seeds")
    assert done.returncode == 2
    assert done.stderr == "error: no page was executed: python -m bindery execute\n"


def test_a_page_that_changed_since_is_told_and_a_torn_file_refused(book):
    assert book.command("seeds", "01", "--seeds", "1").returncode == 0
    book.notebook("01_classical_cs", RECORD, "#: Another sentence.")
    assert stored(book.root) == {"cs-noise": {"1": "reproduced"}}
    book.notebook("01_classical_cs", RECORD, "other = 1")
    assert stored(book.root) == {"cs-noise": {"1, of an older page": "reproduced"}}
    file = book.root / "results/seeds.json"
    file.write_text(file.read_text()[:-20])
    with pytest.raises(BookError, match=r"results/seeds.json is torn .*: bring it back, or run make seeds"):
        stored(book.root)


def test_a_claim_whose_words_differ_depends_on_the_seed():
    words = {"a": {"page": "void", "1": "void"}, "b": {"page": "void", "1": "not settled"}}
    assert depending(words) == ["b"]
