"""One call checks its system once, whatever it calls inside, and looks at each of its numbers once."""

import pytest
import torch

from gsl_utils.common import checks
from gsl_utils.generators import Exponential, SparseReLU, Synthesis
from gsl_utils.recovery import (
    L1,
    block_search,
    csgm,
    exhaustive_support,
    gsl_best,
    gsl_l1,
    gsl_l2,
    gsl_rls,
    recover,
    support_oracle,
)
from gsl_utils.sparse import basis_pursuit, cosamp, iht, lasso, omp

D = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


M, N, P, SIGNALS = 7, 9, 8, 3
F, B = Exponential(), normal(N, P, seed=1) / N**0.5
G = Synthesis(F, B)
SUPPORT = torch.arange(P) < 2

CALLS = {
    "recover": lambda A, y: recover(G, A, y, penalty=L1(0.1), restarts=2, steps=3),
    "csgm": lambda A, y: csgm(G, A, y, restarts=2, steps=3, l2=0.1),
    "gsl_l1": lambda A, y: gsl_l1(F, B, A, y, steps=3),
    "gsl_l2": lambda A, y: gsl_l2(F, B, A, y, steps=3),
    "gsl_rls": lambda A, y: gsl_rls(F, B, A, y, normal(30, P, seed=2)),
    "gsl_best": lambda A, y: gsl_best(F, B, A, y, noise_std=1e-9),
    "block_search": lambda A, y: block_search(SparseReLU(N, 2), A, y, restarts=2),
    "support_oracle": lambda A, y: support_oracle(F, B, A, y, SUPPORT),
    "exhaustive_support": lambda A, y: exhaustive_support(F, B, A, y, 1),
    "lasso": lambda A, y: lasso(A, y, 0.1),
    "basis_pursuit": lambda A, y: basis_pursuit(A, y),
    "omp": lambda A, y: omp(A, y, 2),
    "cosamp": lambda A, y: cosamp(A, y, 2),
    "iht": lambda A, y: iht(A, y, 2),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("own", [False, True])
def test_a_call_checks_its_system_once(name, own, monkeypatch):
    A = 3 * (normal(SIGNALS, M, N, seed=3) if own else normal(M, N, seed=3))
    y = normal(SIGNALS, M, seed=4)
    systems, looked, whole, each = [], [], checks.linear_system, checks.finite

    def linear_system(*arguments):
        systems.append(arguments)
        return whole(*arguments)

    def finite(label, tensor):
        # Copies in other units have another address, but are a matrix and measurements by their shapes.
        looked.extend(given for given, one in (("A", A), ("y", y)) if tensor.shape == one.shape)
        return each(label, tensor)

    monkeypatch.setattr(checks, "linear_system", linear_system)
    monkeypatch.setattr(checks, "finite", finite)
    CALLS[name](A, y)
    assert len(systems) == 1
    assert sorted(looked) == ["A", "y"]


def test_the_search_that_is_counted_goes_through_all_of_its_stages():
    """Noise that is too small to be reached sends every signal to the rescue, twice."""
    found = CALLS["gsl_best"](normal(M, N, seed=3), normal(SIGNALS, M, seed=4))
    assert (found.n_iter == 600 + 800 + 600).all()
