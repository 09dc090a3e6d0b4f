"""The best protocols: against all deterministic ones, written out, and the bound of the entropy."""

import itertools
import math
import sys

import numpy as np
import pytest
from scipy.optimize import linprog

from gsl_utils.lower_bound import best_protocol


def entropy(p):
    return 0.0 if p in (0, 1) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def written_out(d, bits):
    """The same game with every protocol of Alice and Bob a column and every input a row: no symmetry used."""
    strings = list(itertools.product((0, 1), repeat=d))
    questions = [(i, s) for i in range(d) for s in itertools.product((0, 1), repeat=d - 1 - i)]
    inputs = [(y, i) for y in strings for i in range(d)]
    columns = set()
    for f in itertools.product(range(2**bits), repeat=len(strings)):
        told = dict(zip(strings, f, strict=True))
        for answers in itertools.product((0, 1), repeat=len(questions) * 2**bits):
            book = dict(zip(itertools.product(questions, range(2**bits)), answers, strict=True))
            columns.add(tuple(book[(i, y[i + 1 :]), told[y]] == y[i] for y, i in inputs))
    wins = np.array(sorted(columns), dtype=float).T
    rows, count = wins.shape
    solved = linprog(
        np.append(np.zeros(count), -1),
        A_ub=np.hstack([-wins, np.ones((rows, 1))]),
        b_ub=np.zeros(rows),
        A_eq=np.append(np.ones(count), 0)[None],
        b_eq=[1],
    )
    return -solved.fun


@pytest.mark.parametrize(("d", "bits"), [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0)])
def test_symmetry_costs_nothing(d, bits):
    assert best_protocol(d, bits) == pytest.approx(written_out(d, bits), abs=1e-9)


@pytest.mark.parametrize(
    ("d", "bits", "best"),
    [
        (1, 0, 1 / 2),
        (2, 1, 3 / 4),
        (3, 1, 3 / 4),
        (3, 2, 5 / 6),
        (3, 3, 1),
        (4, 0, 1 / 2),
        (4, 1, 11 / 16),
        (4, 4, 1),
    ],
)
def test_known_values_and_the_bound_of_the_entropy(d, bits, best):
    found = best_protocol(d, bits)
    assert found == pytest.approx(best, abs=1e-9)
    assert d * (1 - entropy(found)) <= bits + 1e-9


@pytest.mark.parametrize(
    ("d", "bits", "error", "message"),
    [
        (5, 1, ValueError, "d is 5; it must be between 1 and 4, above which"),
        (3, 4, ValueError, "bits is 4; it must be between 0 and 3, the length of the string"),
        (4, 2, ValueError, r"bits is 2 and d is 4, with 2\^32 message functions; there must be at most"),
        (2.0, 1, TypeError, "d is 2.0; it must be an integer"),
    ],
)
def test_games_that_are_too_large_are_refused(d, bits, error, message):
    with pytest.raises(error, match=message):
        best_protocol(d, bits)


def test_the_sentence_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match="needs scipy: pip install scipy"):
        best_protocol(2, 1)
