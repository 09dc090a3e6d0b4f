"""A signal is recovered alone as in any company: a batch, another order, its own matrix, two threads."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsl_utils.generators import VAE, RealNVP, Sigmoid, Synthesis
from gsl_utils.recovery import L1, L2, HardSparsity, gsl_best, gsl_rls, recover, support_oracle
from toys import threads


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=torch.float64)


N, M, SIGNALS = 12, 9, 4
WEIGHTS = [normal(8, 4, seed=1) / 8**0.5, normal(N, 8, seed=2) / N**0.5]


def network(z):
    """A random ReLU network of two layers."""
    for weight in WEIGHTS:
        z = (z @ weight.T).relu()
    return z


GENERATORS = {
    "vae": (VAE(N, 3, hidden=(8,), generator=source(3)), 3),
    "relu": (network, 4),
    "flow": (RealNVP(N, 2, hidden=8, generator=source(4)), N),
    # No more latents than measurements: along flat directions rounding may lead anywhere.
    "sigmoid": (Synthesis(Sigmoid(), normal(N, 8, seed=5) / 3), 8),
}
PENALTIES = {"none": None, "l1": L1(0.02), "l2": L2(0.02), "hard": HardSparsity(3)}
METHODS = [
    ("gd", "none", {}), ("gd", "l2", {}), ("gd", "none", {"lr": 0.02}),
    ("adam", "none", {"lr": 0.05}), ("adam", "l1", {"lr": 0.05}), ("adam", "l2", {"lr": 0.05}),
    ("prox", "none", {}), ("prox", "l1", {}), ("prox", "l2", {}), ("prox", "hard", {}),
    ("lm", "none", {}), ("lm", "l2", {}),
]  # fmt: skip


def companies(solve, A, y, *given, order):
    """What becomes of the first signal, by the company that it is in; all arguments but A are per signal."""
    own = A.expand(len(y), *A.shape).contiguous()
    with threads(1):
        yield "batch", pick(solve(A, y, *given), 0)
        yield "alone", pick(solve(A, y[:1], *(one[:1] for one in given)), 0)
        yield "no batch", solve(A, y[0], *(one[0] for one in given))
        yield "another order", pick(solve(A, y[order], *(one[order] for one in given)), order.index(0))
        yield "a matrix of its own", pick(solve(own, y, *given), 0)
    with threads(2):
        yield "two threads", pick(solve(A, y, *given), 0)


def pick(found, i):
    return type(found)(found.x[i], found.z[i], found.objective[i], found.n_iter[i], found.converged[i])


def problem(name, seed, loss):
    G, k = GENERATORS[name]
    A = normal(M, N, seed=6) / M**0.5
    y = G(normal(SIGNALS, k, seed=seed)).detach() @ A.T + 0.05 * normal(SIGNALS, M, seed=seed + 1)
    return G, A, y.abs() if loss == "amplitude" else y, 0.5 * normal(SIGNALS, k, seed=seed + 2)


seeds, orders = st.integers(0, 10**6), st.permutations(range(SIGNALS))


@pytest.mark.parametrize(("method", "penalty", "options"), METHODS)
@pytest.mark.parametrize("name", GENERATORS)
@settings(max_examples=2)
@given(seed=seeds, order=orders, loss=st.sampled_from(["linear", "amplitude"]))
def test_after_twenty_steps_company_has_changed_nothing(name, method, penalty, options, seed, order, loss):
    G, A, y, z0 = problem(name, seed, loss)

    def solve(A, y, z0):
        keep = {"penalty": PENALTIES[penalty], "method": method, "loss": loss, **options}
        return recover(G, A, y, z0=z0, steps=20, **keep)

    (_, together), *others = companies(solve, A, y, z0, order=order)
    for company, found in others:
        # A descent that has come to rest is somewhere within its tolerance, and rounding decides where.
        rests = bool(found.converged & together.converged)
        assert (found.z - together.z).norm() <= (1e-6 if rests else 1e-9) * together.z.norm(), company
        assert (found.objective - together.objective).abs() <= 1e-9 * y[0].square().sum(), company


@pytest.mark.parametrize(("method", "penalty", "options"), [METHODS[i] for i in (0, 4, 7, 10)])
@pytest.mark.parametrize("name", GENERATORS)
@settings(max_examples=2)
@given(seed=seeds, order=orders)
def test_at_their_end_the_objectives_agree_or_what_is_said_of_them(
    name, method, penalty, options, seed, order
):
    """A descent may be chaotic: rounding alone can lead it to another end, and is no leak."""
    G, A, y, z0 = problem(name, seed, "linear")

    def solve(A, y, z0):
        return recover(G, A, y, z0=z0, steps=120, penalty=PENALTIES[penalty], method=method, **options)

    (_, together), *others = companies(solve, A, y, z0, order=order)
    for company, found in others:
        near = (found.objective - together.objective).abs() <= 1e-6 * y[0].square().sum()
        assert near or bool(found.converged == together.converged), company


@pytest.mark.parametrize("name", ["flow", "sigmoid"])
@settings(max_examples=2)
@given(seed=seeds, order=orders)
def test_searches_of_supports_do_not_see_their_company(name, seed, order):
    f = GENERATORS["flow"][0] if name == "flow" else Sigmoid()
    B, A = normal(N, N, seed=7) / N**0.5, normal(M, N, seed=6) / M**0.5
    z = torch.zeros(SIGNALS, N, dtype=torch.float64)
    z = z.scatter(1, torch.rand(SIGNALS, N, generator=source(seed)).argsort(-1)[:, :2], 1.0)
    y = f(z @ B.T).detach() @ A.T + 0.01 * normal(SIGNALS, M, seed=seed)
    latents = normal(50, N, seed=8)
    searches = {
        "oracle": lambda A, y, z: support_oracle(f, B, A, y, z != 0),
        "least squares": lambda A, y, z: gsl_rls(f, B, A, y, latents),
        "search": lambda A, y, z: gsl_best(f, B, A, y, without=("rescue",)),
    }
    for search, solve in searches.items():
        (_, together), *others = companies(solve, A, y, z, order=order)
        for company, found in others:
            assert torch.equal(found.z != 0, together.z != 0), (search, company)
            assert (found.z - together.z).norm() <= 1e-7 * together.z.norm(), (search, company)
