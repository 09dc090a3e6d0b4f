import argparse
import io
import json
import os
import sys
from collections import Counter

import nbformat
import pytest

from bindery.page import execute, notebooks
from bindery.page.kernels import Job, Outcome
from bindery.root import BookError

NOISY = """
import sys, time
for i in range(3):
    print("out", i)
    print("err", i, file=sys.stderr)
    sys.stdout.flush()
    time.sleep(0.05)
"""
SEEDED = (
    "import time\nfrom gsl_utils.metrics import error  # change me\ntime.sleep(0.3)\nerror(seed), profile"
)
# Sets of words come in an order that depends on PYTHONHASHSEED.
PLACE = """
import os
threads = [os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "MKL", "OPENBLAS")]
others = [os.environ.get(name) for name in ("OMP_WAIT_POLICY", "PYTHONWARNINGS")]
inline = "inline" in os.environ["MPLBACKEND"]
print(threads, others, inline, os.path.basename(os.getcwd()), {"a", "b", "c", "d", "e"})
"""
# What a careless user's shell may hold.
SHELL = {"OMP_NUM_THREADS": "7", "MPLBACKEND": "agg", "PYTHONWARNINGS": "error", "PYTHONHASHSEED": "3"}


def fill(toy):
    toy.module("metrics", "def error(x):\n    return 2 * x + 1\n")
    toy.notebook("01_noisy", NOISY)
    toy.notebook("02_seeded", "#:Some prose.", SEEDED)
    toy.notebook("03_place", PLACE)
    return toy


@pytest.fixture(scope="session")
def executed(new_toy):
    """A toy book whose pages were executed by two workers."""
    toy = fill(new_toy("executed"))
    done = toy.command("execute", "--workers", "2", **SHELL)
    assert done.returncode == 0, done.stderr
    toy.done = done
    return toy


@pytest.fixture
def book(executed, tmp_path):
    """A copy of the executed book, to be changed."""
    return executed.copy(tmp_path / "copy")


def texts(path):
    """What a page's cells show, one text per cell."""
    cells = json.loads(path.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return ["".join(output.get("text") or output["data"]["text/plain"]) for output in outputs]


def test_pages_show_what_the_notebooks_compute(executed):
    assert texts(executed.page("01_noisy")) == ["out 0\nout 1\nout 2\n", "err 0\nerr 1\nerr 2\n"]
    assert texts(executed.page("02_seeded")) == ["(1, 'quick')"]


def test_kernels_run_in_the_books_environment_and_folder(executed):
    (shown,) = texts(executed.page("03_place"))
    assert shown.startswith("['1', '1', '1'] ['PASSIVE', None] True book {")


def test_one_worker_writes_the_same_bytes_as_two(book, executed):
    pages = executed.pages()
    assert sorted(pages) == ["01_noisy", "02_seeded", "03_place"]
    for path in (book.root / "book").glob("*.ipynb"):
        path.unlink()
    done = book.command("execute", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert book.pages() == pages


def test_no_page_holds_a_time_or_a_place(executed):
    for page in executed.pages().values():
        text = page.decode()
        assert str(executed.root) not in text
        assert not {"papermill", "start_time", "iopub", "duration"} & set(text.replace('"', " ").split())


def test_elsewhere_than_on_a_terminal_there_is_one_line_a_notebook(executed):
    assert sorted(line.split(" in ")[0] for line in executed.done.stderr.splitlines()) == [
        "01_noisy executed",
        "02_seeded executed",
        "03_place executed",
    ]
    assert executed.done.stdout.splitlines()[0] == "01_noisy: it was never executed"


def test_only_what_is_stale_is_executed_unless_all_is_asked_for(book):
    fresh = book.command("execute")
    assert (fresh.returncode, fresh.stdout) == (0, "every page is fresh\n")
    (book.root / "gsl_utils/metrics.py").write_text("def error(x):\n    return 2 * x + 5\n")
    old = book.pages()
    stale = book.command("execute")
    assert stale.stdout == "02_seeded: gsl_utils.metrics changed\n"
    assert [stem for stem, page in book.pages().items() if page != old[stem]] == ["02_seeded"]
    assert texts(book.page("02_seeded")) == ["(5, 'quick')"]
    named = book.command("execute", "02")
    assert named.stdout == "fresh already: 02_seeded\n"
    again = book.command("execute", "02", "--all")
    assert again.stdout == "02_seeded: asked for\n"
    assert again.stderr.startswith("02_seeded executed in ")


def test_another_seed_reaches_the_page_and_makes_it_stale(book):
    done = book.command("execute", "02", "--seed", "4")
    assert done.stdout.startswith("02_seeded: it was executed with ")
    assert texts(book.page("02_seeded")) == ["(9, 'quick')"]
    status = book.command("status")
    assert status.returncode == 1
    assert 'seed 4, not profile "quick" and seed 0' in status.stdout


def test_run_times_are_kept_beside_the_pages(executed):
    table = json.loads((executed.root / "results/run_times.json").read_text())
    assert sorted(table) == ["01_noisy", "02_seeded", "03_place"]
    assert table["01_noisy"]["seconds"] > 0.15
    assert table["01_noisy"]["peak_memory_mib"] > 10
    # A unit is half a second there.
    cpu = table["01_noisy"]["cpu_seconds"]
    assert table["01_noisy"]["units"] == pytest.approx(2 * cpu, abs=0.2)
    assert [table[stem]["change_me"] is None for stem in sorted(table)] == [True, False, True]
    assert table["02_seeded"]["change_me"] > 0.6


def test_a_failing_cell_is_named_and_stops_nothing_else(book):
    pages = book.pages()
    book.notebook(
        "01_noisy", "x = 1", "\n\ndef f(x):\n    raise ValueError(f'x is {x}')", "f(x)\nx = 2", "print(x)"
    )
    book.notebook("03_place", "import os", "os._exit(1)")
    book.notebook("04_new", "print('here')")
    done = book.command("execute", "--workers", "2")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "01_noisy failed: cell 5 `f(x)`: ValueError: x is 1" in lines
    assert any("raise ValueError(f'x is {x}')" in line for line in lines)
    assert "    ValueError: x is 1" in lines
    died = "the kernel died; it may have run out of memory"
    assert f"03_place failed: cell 4 `os._exit(1)`: {died}" in lines
    assert any(line.startswith("04_new executed") for line in lines)
    # The pages of those that failed are the old ones, and no draft is left.
    assert {**book.pages(), "04_new": None} == {**pages, "04_new": None}
    assert texts(book.page("04_new")) == ["here\n"]
    assert sorted(path.name for path in (book.root / "book").iterdir()) == sorted(
        f"{stem}.ipynb" for stem in book.pages()
    )
    assert sorted(json.loads((book.root / "results/run_times.json").read_text())) == [
        *sorted(pages),
        "04_new",
    ]


def test_an_edit_while_a_page_is_executed_makes_it_stale(book):
    (book.root / "constraints.txt").write_text("numpy==2\n")
    edit = "open('../gsl_utils/metrics.py', 'a').write('LATE = 1\\n')"
    book.notebook("02_seeded", SEEDED, edit)
    assert book.command("execute", "02").returncode == 0
    assert "02_seeded is stale: gsl_utils.metrics changed" in book.command("status").stdout.splitlines()


def test_what_a_user_has_in_ipython_does_not_reach_the_page(book, tmp_path):
    startup = tmp_path / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("profile = 'mine'\nimport builtins\nbuiltins.mine = True\n")
    book.notebook("04_new", "import builtins\nhasattr(builtins, 'mine')")
    assert book.command("execute", "04", IPYTHONDIR=str(tmp_path / "ipython")).returncode == 0
    assert texts(book.page("04_new")) == ["False"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["09"], "error: '09' fits no notebook; it must fit one of ['01_noisy'"),
        (["--workers", "0"], "0 is not at least 1"),
        (["--workers", "two"], "invalid"),
    ],
)
def test_a_wrong_request_is_refused_before_any_work(book, words, message):
    done = book.command("execute", "--all", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "executed" not in done.stderr


def test_a_book_without_notebooks_says_so(toy):
    done = toy.command("execute")
    assert done.returncode == 2
    assert done.stderr == "error: there are no notebooks: notebooks/ holds no .ipynb file\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_a_bar_counts_the_cells(monkeypatch):
    def three_cells_run(jobs, workers, *, on_cell):
        for _ in range(3):
            on_cell(jobs[0])
        yield Outcome(jobs[0], None, "cell 2 `f(x)`: ValueError: no\n    last line")
        yield Outcome(jobs[0], {}, None, seconds=1.26)

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(execute, "run_all", three_cells_run)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    source = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(str(n)) for n in range(3)])
    for outcome in execute.watched([Job(None, "01_noisy", source, {})], 1):
        execute.tell("01_noisy", outcome)
    shown = screen.getvalue()
    assert "01_noisy:" in shown
    assert "3/4" in shown
    assert "01_noisy failed: cell 2 `f(x)`: ValueError: no\n    last line\n" in shown
    assert "01_noisy executed in 1.3 s\n" in shown


def test_a_notebook_is_read_once_for_one_execution(toy, monkeypatch):
    toy.notebook("01_a", "x = 1")
    read, reading, given = Counter(), notebooks.read, []
    monkeypatch.setattr(notebooks, "read", lambda path: read.update([path.name]) or reading(path))
    monkeypatch.setattr(execute, "run_all", lambda jobs, *_, **__: (job for job in jobs if given.append(job)))
    monkeypatch.setenv("BOOK_UNIT", "1")
    monkeypatch.chdir(toy.root)
    parser = argparse.ArgumentParser()
    execute.add_arguments(parser)
    assert execute.run(parser.parse_args([])) == 0
    assert read == {"01_a.ipynb": 1}
    assert given[0].source.cells[-1].source == "x = 1"


def test_a_module_that_cannot_be_read_stops_before_any_kernel(book):
    book.module("metrics", "def (")
    with pytest.raises(BookError, match=r"gsl_utils.metrics\.py, line 1"):
        execute.execute(book.root, notebooks.stems(book.root))


def test_the_default_is_one_worker_for_each_processor(capsys):
    parser = argparse.ArgumentParser()
    execute.add_arguments(parser)
    assert parser.parse_args([]).workers == os.cpu_count()
