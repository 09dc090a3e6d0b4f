"""The benchmarks: every method in a race solves the problem it is timed on, and pays for its own time."""

import time

import numpy as np
import pytest

from benchmarks.race import race, table
from benchmarks.sparse import Size, races

TASKS = races(Size(signals=3, n=60, m=30, k=4), Size(signals=2, n=60, m=30, k=4))


@pytest.mark.parametrize("title", TASKS)
def test_every_method_solves_what_it_is_timed_on(title):
    problem, methods = TASKS[title]
    assert len(methods) >= 2
    for row in race(problem, methods, seeds=(0, 1)):
        assert row.seconds > 0
        assert row.error < 1e-5


def test_a_wrong_answer_has_an_error():
    for problem, _ in TASKS.values():
        given, judge = problem(0)
        assert judge(np.zeros((len(given[1]), 60))) > 0.1


def test_a_row_holds_the_median_time_and_the_largest_error():
    def work(seconds):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        return np.array([seconds])

    def problem(seed):
        return ((0.01, 0.02, 0.2)[seed],), lambda answer: float(answer[0])

    (row,) = race(problem, {"work": work}, seeds=(0, 1, 2))
    assert row.seconds == pytest.approx(0.02, abs=0.01)
    assert row.error == 0.2


def test_the_table_names_the_best_peer_and_not_ourselves():
    problem, methods = TASKS[next(iter(TASKS))]
    rows = race(problem, methods, seeds=(0,))
    lines = table("title", rows).splitlines()
    assert lines[0] == "title"
    assert " 1.00 x the best peer" in lines[2]
    ratio = float(lines[1].split()[-5])
    assert ratio == pytest.approx(rows[0].seconds / rows[1].seconds, abs=0.01)
