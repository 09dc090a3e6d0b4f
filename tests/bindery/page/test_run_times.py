import os
import platform

import pytest
import torch

from bindery.page import run_times
from bindery.page.run_times import RunTime
from bindery.root import BookError


def a_run(seconds, **changes):
    return RunTime(
        **{
            "seconds": seconds,
            "cpu_seconds": 1.0,
            "units": 2.0,
            "change_me": 0.1,
            "peak_memory_mib": 100,
            "machine": "m",
            "versions": {},
            **changes,
        }
    )


def test_versions_are_those_installed():
    found = run_times.versions()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["python"] == platform.python_version()


def test_the_machine_is_described_and_not_named():
    words = run_times.machine()
    assert words.startswith(f"{platform.system()} {platform.machine()}, ")
    assert f"{os.cpu_count()} cores" in words
    assert platform.node() not in words


def test_what_is_recorded_is_read(toy):
    toy.notebook("01_a", "x = 1")
    toy.notebook("02_b", "x = 1")
    assert run_times.read(toy.root) == {}
    run_times.record(toy.root, {"01_a": a_run(1.0), "02_b": a_run(2.0, cpu_seconds=None)})
    run_times.record(toy.root, {"01_a": a_run(3.0)})
    assert run_times.read(toy.root) == {"01_a": a_run(3.0), "02_b": a_run(2.0, cpu_seconds=None)}


def test_a_notebook_that_is_gone_is_forgotten(toy):
    path = toy.notebook("01_a", "x = 1")
    toy.notebook("02_b", "x = 1")
    run_times.record(toy.root, {"01_a": a_run(1.0), "02_b": a_run(2.0)})
    path.unlink()
    run_times.record(toy.root, {})
    assert list(run_times.read(toy.root)) == ["02_b"]


@pytest.mark.parametrize("text", ["{", "[]", '{"01_a": {}}', '{"01_a": {"hours": 3}}'])
def test_a_torn_file_is_refused(toy, text):
    (toy.root / "results/run_times.json").write_text(text)
    with pytest.raises(BookError, match=r"results/run_times\.json is torn .*: remove it"):
        run_times.read(toy.root)
