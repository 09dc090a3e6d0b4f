"""Sweeps: the same rows whatever computes them, nothing lost by a kill, failures named."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from bindery.runs import sweep as sweep_module
from bindery.runs.rowfile import RowFileError
from bindery.runs.sweep import SweepError, sweep

GRID = {"m": [10, 20, 40], "noise": [0.0, 0.1], "method": ["omp", "lasso"]}


def measured(m, noise, method, seed):
    draw = np.random.default_rng([m, seed]).standard_normal()
    return {"error": noise + len(method) * draw / m, "ok": bool(draw > 0), "word": f"{method}-{seed}"}


def expected(seeds):
    return [
        {"m": m, "noise": noise, "method": method, "seed": seed} | measured(m, noise, method, seed)
        for m, noise, method in itertools.product(*GRID.values())
        for seed in seeds
    ]


def test_rows_are_those_of_a_loop_in_its_order():
    assert sweep(measured, GRID, range(3)) == expected(range(3))


def test_processes_give_the_same_rows_in_the_same_order(tmp_path):
    assert sweep(measured, GRID, range(3), n_jobs=2, store=tmp_path / "rows.csv") == expected(range(3))
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert lines[0] == "m,noise,method,seed,error,ok,word"
    assert len(lines) == 1 + 36
    # Other processes may finish in another order; as a set the stored rows are the returned ones.
    again = sweep(refuse, GRID, range(3), store=tmp_path / "rows.csv")
    assert again == expected(range(3))


def refuse(**_):
    raise AssertionError("nothing is left to compute")


def test_processes_have_one_thread_each():
    rows = sweep(threads, {"m": [1, 2]}, [0], n_jobs=2)
    assert [row["threads"] for row in rows] == [1, 1]
    assert all(row["pid"] != os.getpid() for row in rows)


def threads(m, seed):
    return {"threads": int(os.environ["OMP_NUM_THREADS"]), "pid": os.getpid()}


def test_points_may_be_listed():
    rows = sweep(lambda a, b, **_: {"sum": a + b}, [{"a": 1, "b": 2}, {"b": 3, "a": 4}], [7])
    assert rows == [{"a": 1, "b": 2, "seed": 7, "sum": 3}, {"a": 4, "b": 3, "seed": 7, "sum": 7}]


def test_numpy_and_torch_scalars_are_plain_in_rows():
    fn = lambda **_: {"a": np.float32(0.5), "b": torch.tensor(2), "c": np.bool_(True), "d": float("nan")}  # noqa: E731
    (row,) = sweep(fn, {"m": np.array([3])}, np.array([1]))
    assert [type(value) for value in row.values()] == [int, int, float, int, bool, float]
    assert {key: row[key] for key in "abc"} == {"a": 0.5, "b": 2, "c": True}


def test_seeds_and_values_may_come_from_anything_that_lists_them():
    rows = sweep(lambda a, seed: {"sum": a + seed}, {"a": (i for i in (1, 2))}, iter([3, 4]))
    assert [row["sum"] for row in rows] == [4, 5, 5, 6]


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="fn is 3; it must be callable"):
        sweep(3, {"m": [1]}, [0])


# The store


def test_a_grid_that_grew_is_filled_up(tmp_path):
    store = tmp_path / "deep" / "rows.csv"
    calls = []

    def fn(m, seed):
        calls.append((m, seed))
        return {"y": m / 3 + seed}

    sweep(fn, {"m": [1, 2]}, [0], store=store)
    rows = sweep(fn, {"m": [0, 1, 2]}, [1, 0], store=store)
    assert rows == [{"m": m, "seed": s, "y": m / 3 + s} for m in (0, 1, 2) for s in (1, 0)]
    assert sorted(calls) == sorted({(m, s) for m in (0, 1, 2) for s in (1, 0)})


def test_a_grid_that_shrank_gives_its_own_rows(tmp_path, capsys, monkeypatch):
    store = tmp_path / "rows.csv"
    sweep(lambda m, **_: {"y": m}, {"m": [1, 2, 3]}, [0], store=store)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert sweep(refuse, {"m": [2]}, [0], store=store) == [{"m": 2, "seed": 0, "y": 2}]
    assert "1/1" in capsys.readouterr().err


@pytest.mark.parametrize("torn", ["2,0", "2,0,0.12", "m,se", '2,0,"ab', "\u00e9"])
def test_a_torn_last_line_is_redone(tmp_path, torn):
    store = tmp_path / "rows.csv"
    whole = "" if torn == "m,se" else "m,seed,y\n1,0,0.25\n"
    store.write_bytes((whole + torn).encode()[: None if torn != "\u00e9" else -1])
    rows = sweep(lambda m, **_: {"y": m / 4}, {"m": [1, 2]}, [0], store=store)
    assert rows == [{"m": 1, "seed": 0, "y": 0.25}, {"m": 2, "seed": 0, "y": 0.5}]
    assert store.read_text() == "m,seed,y\n1,0,0.25\n2,0,0.5\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("k,seed,y\n1,0,0.25\n", "another sweep"),
        ("m,y\n1,0.25\n", "another sweep"),
        ("m,seed,y\n1,0\n2,0,0.5\n", "line 2 has 2 entries"),
        ('m,seed,y\n1,0,"0.25\n2,0,0.5\n', "not a CSV"),
    ],
)
def test_another_sweeps_or_an_edited_store_is_refused_and_kept(tmp_path, content, message):
    store = tmp_path / "rows.csv"
    store.write_text(content)
    with pytest.raises(RowFileError, match=message):
        sweep(refuse, {"m": [1]}, [0], store=store)
    assert store.read_text() == content


SLOW = """
import sys, time
from pathlib import Path
from unittest.mock import patch
from bindery.runs.sweep import sweep

def fn(m, seed):
    time.sleep(0.02)
    return {"y": m / 7 + seed, "word": f"w-{m}"}

if __name__ == "__main__":
    for row in sweep(fn, {"m": list(range(20))}, [0, 1], store=Path(sys.argv[1]), n_jobs=int(sys.argv[2])):
        print(row)
"""


@pytest.mark.parametrize("n_jobs", ["1", "2"])
def test_a_killed_sweep_resumes_and_loses_nothing(tmp_path, n_jobs):
    script, store, whole = tmp_path / "slow.py", tmp_path / "rows.csv", tmp_path / "whole.csv"
    script.write_text(SLOW)
    command = [sys.executable, str(script)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        [*command, str(store), n_jobs], env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (store.is_file() and store.read_bytes().count(b"\n") > 5):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        # Workers of a killed sweep end by themselves, but only after minutes.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    left = store.read_bytes()
    before = left[: left.rfind(b"\n") + 1].splitlines(keepends=True)
    assert 5 < len(before) < 41

    def run(path):
        return subprocess.run(
            [*command, str(path), n_jobs], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert run(store) == run(whole)
    after = store.read_bytes().splitlines(keepends=True)
    assert after[: len(before)] == before
    assert sorted(after) == sorted(whole.read_bytes().splitlines(keepends=True))
    assert len(after) == 41


# Failures


def fails(m, seed):
    if m == 2:
        raise ZeroDivisionError(f"m is {m}\nreally")
    return {"y": m}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_failing_point_is_named_and_stops_no_other(tmp_path, n_jobs):
    store = tmp_path / "rows.csv"
    with pytest.raises(SweepError) as caught:
        sweep(fails, {"m": [1, 2, 3]}, [0, 1], n_jobs=n_jobs, store=store)
    assert str(caught.value) == (
        "4 of 6 points are computed; these raised:\n"
        "  m=2, seed=0: ZeroDivisionError: m is 2 really\n"
        "  m=2, seed=1: ZeroDivisionError: m is 2 really"
    )
    assert caught.value.rows == [{"m": m, "seed": seed, "y": m} for m in (1, 3) for seed in (0, 1)]
    assert "raise ZeroDivisionError" in caught.value.failures[0].trace
    # The next call tries only those that raised.
    rows = sweep(lambda m, **_: {"y": m} if m == 2 else refuse(), {"m": [1, 2, 3]}, [0, 1], store=store)
    assert [row["y"] for row in rows] == [1, 1, 2, 2, 3, 3]


def test_many_failures_are_counted():
    with pytest.raises(SweepError, match=r"0 of 30 points[\s\S]*and 20 more"):
        sweep(fails, {"m": [2]}, range(30))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (3, "TypeError"),
        ({"m": 1}, r"\['m'\]; a result's name"),
        ({"a b": 1}, r"\['a b'\]"),
        ({3: 1}, r"\[3\]"),
        ({"y": None}, "y=None is a NoneType"),
        ({"y": [1.0]}, "list"),
        ({"y": torch.zeros(1)}, "Tensor"),
        ({"y": "1.5"}, "cannot be told from a number"),
        ({"y": "true"}, "cannot be told from"),
        ({"y": "two\nlines"}, "line break"),
    ],
)
def test_a_result_that_is_no_row_is_a_failure_of_its_point(result, message):
    with pytest.raises(SweepError, match=message):
        sweep(lambda **_: result, {"m": [1]}, [0])


def test_points_with_other_results_fail(tmp_path):
    fn = lambda m, **_: {"y": m} if m < 3 else {"z": m}  # noqa: E731
    with pytest.raises(SweepError, match=r"m=3, seed=0: fn returned \['z'\]; other points have \['y'\]"):
        sweep(fn, {"m": [1, 2, 3]}, [0], store=tmp_path / "rows.csv")


def test_results_in_another_order_are_the_same_row():
    fn = lambda m, **_: {"y": 1, "z": 2} if m == 1 else {"z": 2, "y": 1}  # noqa: E731
    assert [list(row) for row in sweep(fn, {"m": [1, 2]}, [0])] == [["m", "seed", "y", "z"]] * 2


# Bad input, before any work


@pytest.mark.parametrize(
    ("grid", "seeds", "options", "error", "message"),
    [
        ({"m": []}, [0], {}, ValueError, "grid has no point"),
        ([], [0], {}, ValueError, "grid has no point"),
        ({"seed": [1]}, [0], {}, ValueError, "other than seed"),
        ({"a b": [1]}, [0], {}, ValueError, "a b"),
        ([{"a": 1}, {"b": 1}], [0], {}, ValueError, r"\['b'\], the first has \['a'\]"),
        ({"m": [1, 1]}, [0], {}, ValueError, "twice"),
        ({"m": [1]}, [0, 0], {}, ValueError, "twice"),
        ({"m": [1]}, [], {}, ValueError, "seeds is empty"),
        ({"m": [1]}, 3, {}, TypeError, r"seeds is 3; it must be a list or the like, such as range\(3\)"),
        ({"m": [1]}, "012", {}, TypeError, "seeds is '012'; it must be a list"),
        ({"m": [1]}, None, {}, TypeError, "seeds is None; it must be a list"),
        ({"m": [1]}, np.array(3), {}, TypeError, r"seeds is array\(3\); it must be a list"),
        ("omp", [0], {}, TypeError, "grid is 'omp'; it must be a list or the like, such as"),
        (3, [0], {}, TypeError, "grid is 3; it must be a list or the like"),
        (["omp"], [0], {}, TypeError, "grid holds 'omp'; each of its points must be a mapping"),
        ({"method": "omp"}, [0], {}, TypeError, r"grid's method is 'omp'; it must .* such as \['omp'\]"),
        ({"m": 10}, [0], {}, TypeError, r"grid's m is 10; it must be a list .* such as \[10\]"),
        ({"m": {"a": 1}}, [0], {}, TypeError, "grid's m is {'a': 1}; it must be a list"),
        ({"m": [1]}, [0.5], {}, TypeError, "seeds holds 0.5"),
        ({"m": [1]}, [True], {}, TypeError, "seeds holds True"),
        ({"m": [[1]]}, [0], {}, TypeError, "grid has m="),
        ({"m": ["1"]}, [0], {}, ValueError, "grid has m='1' cannot"),
        ({"m": [1]}, [0], {"n_jobs": 0}, ValueError, "n_jobs is 0"),
        ({"m": [1]}, [0], {"n_jobs": -2}, ValueError, "n_jobs is -2"),
        ({"m": [1]}, [0], {"n_jobs": 1.5}, ValueError, "n_jobs is 1.5"),
    ],
)
def test_bad_input_is_refused(grid, seeds, options, error, message):
    with pytest.raises(error, match=message):
        sweep(refuse, grid, seeds, **options)


# Progress


def test_a_bar_is_shown_on_a_terminal_and_nowhere_else(capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys.stderr, "isatty", lambda: True)
        sweep(lambda **_: {"y": 1}, {"m": [1, 2]}, [0])
    assert "2/2" in capsys.readouterr().err
    sweep(lambda **_: {"y": 1}, {"m": [1, 2]}, [0])
    assert capsys.readouterr().err == ""


# A cluster


def test_a_scheduler_with_two_workers_gives_the_same_rows(tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    # Workers are processes of their own, which find this file's functions by value. What starts them sets
    # PYTHONHASHSEED in this process too, and leaves it there.
    with (
        patch.dict(os.environ),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
    ):
        rows = sweep(
            by_value(), GRID, range(3), scheduler=cluster.scheduler_address, store=tmp_path / "rows.csv"
        )
        assert len({row.pop("pid") for row in rows}) == 2
        with pytest.raises(SweepError, match="m=2, seed=0: ZeroDivisionError"):
            sweep(by_value("fails"), {"m": [1, 2]}, [0], scheduler=cluster.scheduler_address)
    assert rows == expected(range(3))
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + 36


def by_value(which="measured"):
    """Return a function that a process without this file can run, and that says which process did."""

    def run_measured(m, noise, method, seed):
        import os
        import time

        import numpy as np

        time.sleep(0.01)
        draw = np.random.default_rng([m, seed]).standard_normal()
        word = f"{method}-{seed}"
        return {
            "error": noise + len(method) * draw / m,
            "ok": bool(draw > 0),
            "word": word,
            "pid": os.getpid(),
        }

    def run_fails(m, seed):
        return {"y": m / (m - 2)}

    return run_measured if which == "measured" else run_fails


def test_a_scheduler_that_does_not_answer_is_an_error(monkeypatch):
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr(sweep_module, "_PATIENCE", 0.5)
    with pytest.raises(ConnectionError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        sweep(refuse, {"m": [1]}, [0], scheduler="tcp://127.0.0.1:9")
    assert distributed


def test_a_scheduler_without_dask_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match="extra dask"):
        sweep(refuse, {"m": [1]}, [0], scheduler="tcp://127.0.0.1:9")
