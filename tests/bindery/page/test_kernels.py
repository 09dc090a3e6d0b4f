import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from bindery.page.arithmetic import CHOICE
from bindery.page.kernels import Job, environment, run_all
from bindery.page.notebooks import notebook_path, read


def job(root, stem, parameters):
    return Job(root, stem, read(notebook_path(root, stem)), parameters)


def test_the_environment_is_what_the_book_prescribes(tmp_path):
    variables = environment(tmp_path, threads=3)
    assert (
        variables["OMP_NUM_THREADS"]
        == variables["MKL_NUM_THREADS"]
        == variables["OPENBLAS_NUM_THREADS"]
        == "3"
    )
    assert variables["PYTHONHASHSEED"] == "0"
    assert variables["OMP_WAIT_POLICY"] == "PASSIVE"
    assert variables["MPLBACKEND"] is None
    assert variables["PYTHONPATH"] == str(tmp_path)
    assert Path(variables["MATPLOTLIBRC"]).is_file()


def test_the_tests_themselves_run_in_it(root):
    for name, value in environment(root, arithmetic=os.environ[CHOICE]).items():
        if name != "PYTHONPATH":
            assert os.environ.get(name) == value


@pytest.mark.parametrize("workers", [0, -1])
def test_at_least_one_worker(toy, workers):
    with pytest.raises(ValueError, match=f"workers is {workers}; it must be at least 1"):
        next(run_all([], workers))


def test_a_failure_reads_as_one_message(toy):
    """A cell is counted without the injected one, and named by its first line that is not blank."""
    toy.notebook("01_bad", "x = 1", "\nx / 0", "y = 2")
    (outcome,) = run_all([job(toy.root, "01_bad", {"profile": "quick", "seed": 0})], 1)
    first, *trace = outcome.failure.split("\n    ")
    number = next(i for i, cell in enumerate(outcome.job.source.cells, 1) if cell.source == "\nx / 0")
    assert first == f"cell {number} `x / 0`: ZeroDivisionError: division by zero"
    assert trace[-1] == "ZeroDivisionError: division by zero"


def test_cells_are_reported_and_usage_is_measured(toy):
    # 300 MB that are really written to.
    toy.notebook("01_big", "x = bytearray(300_000_000)\nx[::4096] = b'1' * len(x[::4096])", "len(x)")
    seen = []
    (outcome,) = run_all([job(toy.root, "01_big", {"profile": "quick", "seed": 2})], 1, on_cell=seen.append)
    assert outcome.failure is None
    assert [cell.source for cell in outcome.executed.cells if "injected" in str(cell.metadata)] == [
        '# Parameters\nprofile = "quick"\nseed = 2\n'
    ]
    assert len(seen) == 4
    assert 300e6 < outcome.peak_bytes < 800e6
    assert outcome.cpu_seconds > 0
    assert outcome.seconds > 0


def test_a_process_that_dies_takes_no_other_notebook_with_it(toy):
    """A cell that kills the process which runs it stands for a system that runs out of memory."""
    toy.notebook(
        "01_killer",
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time; time.sleep(100_000)",
    )
    toy.notebook("02_good", "1 + 1")
    jobs = [job(toy.root, stem, {"profile": "quick", "seed": 0}) for stem in ("01_killer", "02_good")]
    # Had it waited for the kernel of the dead, it would wait still.
    outcomes = {outcome.job.stem: outcome for outcome in run_all(jobs, 2)}
    assert "ended with status -9" in outcomes["01_killer"].failure
    assert outcomes["02_good"].failure is None


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_interrupted_run_leaves_no_process_behind(toy):
    pids = toy.root / "pids"
    toy.notebook(
        "01_slow",
        "import os, time",
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}')",
        "time.sleep(60)",
    )
    process = toy.start("execute")
    deadline = time.monotonic() + 30
    while not (pids.is_file() and len(pids.read_text().split()) == 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped"
    while any(map(is_running, map(int, pids.read_text().split()))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not toy.page("01_slow").exists()


def test_what_a_user_likes_does_not_reach_a_page(toy, monkeypatch, tmp_path):
    """Ticks that point inwards, and a start-up file that changes how arrays are printed."""
    (tmp_path / "matplotlibrc").write_text("xtick.direction: in\n")
    start = tmp_path / "ipython/profile_default/startup/00-mine.py"
    start.parent.mkdir(parents=True)
    start.write_text("import numpy\nnumpy.set_printoptions(precision=1)\n")
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path / "matplotlibrc"))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    toy.notebook(
        "01_a",
        "import matplotlib, numpy\nprint(matplotlib.rcParams['xtick.direction'], numpy.array([0.125]))",
    )
    (outcome,) = run_all([job(toy.root, "01_a", {"profile": "quick", "seed": 0})], 1)
    assert outcome.failure is None
    assert outcome.executed.cells[-1].outputs[0].text == "out [0.125]\n"
