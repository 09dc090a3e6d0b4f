"""Sparse-Gen: LASSO at one end, CSGM at the other, planted deviations between, and every refusal."""

from dataclasses import replace

import pytest
import torch

from gsl_utils.generators import VAE, RealNVP
from gsl_utils.recovery import L1, csgm, recover, sparse_gen
from gsl_utils.sparse import lasso

D = torch.float64


def normal(*shape, seed=0, dtype=D):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


class Nothing(torch.nn.Module):
    """The generator that gives zero for every z."""

    latent_dim = 2

    def forward(self, z):
        return 0 * z.sum(-1, keepdim=True).expand(*z.shape[:-1], N)


N, K, M = 24, 3, 18
G = VAE(N, K, hidden=(16,), generator=source())
for weight in G.parameters():  # images that differ
    weight.data *= 3
A = normal(M, N, seed=1) / M**0.5
# Near the range, but for an entry of each signal; and some noise.
SEEN = G(normal(4, K, seed=2)).detach() + 0.7 * torch.eye(N, dtype=D)[:4]
Y = SEEN @ A.T + 0.05 * normal(4, M, seed=3)


def value(found, y, l1, l2=0.0, table=A):
    z, v = found.z[..., :K], found.z[..., K:]
    misfit = (y - (G(z) + v) @ table.mT).square().sum(-1)
    return misfit + l1 * v.abs().sum(-1) + l2 * z.square().sum(-1)


def test_without_a_generator_it_is_lasso():
    found = sparse_gen(Nothing(), A, Y, l1=0.3, restarts=1, steps=3000, alone=0, generator=source())
    expected = lasso(A, Y, 0.15, tol=1e-12)
    assert found.converged.all()
    torch.testing.assert_close(found.x, expected.x, rtol=0, atol=1e-4)
    assert ((found.x == 0) == (expected.x == 0)).all()
    torch.testing.assert_close(found.objective, 2 * expected.objective, rtol=1e-9, atol=0)


def test_with_a_large_weight_it_is_csgm():
    found = sparse_gen(G, A, Y, l1=1e4, restarts=3, steps=300, alone=299, generator=source(3))
    expected = csgm(G, A, Y, restarts=3, steps=299, generator=source(3))
    assert not found.z[..., K:].any()
    assert (found.n_iter == 300).all()
    assert (found.objective <= expected.objective).all()
    torch.testing.assert_close(found.x, expected.x, rtol=0, atol=0.1)
    long = sparse_gen(G, A, Y, l1=1e4, l2=0.1, restarts=3, generator=source(3))
    assert long.converged.all()
    exact = csgm(G, A, Y, l2=0.1, restarts=3, steps=2000, lr=0.03, generator=source(3))
    torch.testing.assert_close(long.objective, exact.objective, rtol=1e-6, atol=0)


def test_a_planted_deviation_is_found():
    x = G(normal(4, K, seed=5)).detach()
    spikes = torch.zeros(4, N, dtype=D)
    for i in range(4):
        spikes[i, [i, 2 * i + 9]] = torch.tensor([0.8, -0.6], dtype=D)
    y = (x + spikes) @ A.T
    found = sparse_gen(G, A, y, l1=1e-3, steps=4000, alone=500, lr=0.05, generator=source(6))
    torch.testing.assert_close(found.x, x + spikes, rtol=0, atol=0.01)
    assert ((found.z[..., K:].abs() > 0.1) == (spikes != 0)).all()
    assert ((csgm(G, A, y, lr=0.05, generator=source(6)).x - x - spikes).norm(dim=-1) > 0.5).all()
    assert ((lasso(A, y, 5e-4).x - x - spikes).norm(dim=-1) > 0.5).all()


def test_it_is_the_engine_on_a_wider_generator():
    z0 = torch.randn(4 * 2, K, generator=source(7), dtype=D).view(4, 2, K)
    start = torch.cat([z0, torch.zeros(4, 2, N, dtype=D)], -1)
    weight = torch.cat([torch.zeros(K, dtype=D), torch.full((N,), 0.2, dtype=D)])
    expected = recover(
        lambda w: G(w[..., :K]) + w[..., K:],
        A,
        Y,
        penalty=L1(weight),
        method="prox",
        z0=start,
        restarts=2,
        steps=40,
    )
    found = sparse_gen(G, A, Y, l1=0.2, restarts=2, steps=40, alone=0, generator=source(7))
    for name in ("x", "z", "objective", "n_iter", "converged"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize("l2", [0.0, 0.2])
def test_the_first_phase_is_csgms(l2):
    found = sparse_gen(G, A, Y, l1=1e4, l2=l2, restarts=1, steps=301, alone=300, generator=source(3))
    first = csgm(G, A, Y, l2=l2, restarts=1, steps=300, generator=source(3))
    other = csgm(G, A, Y, l2=0.2 - l2, restarts=1, steps=300, generator=source(3))
    step = (found.z[..., :K] - first.z).norm(dim=-1)
    assert (step < 0.1 * (other.z - first.z).norm(dim=-1)).all()


def test_the_first_phase_keeps_every_restart():
    """What is best after it need not be in the end: the second phase begins where each restart ended."""
    z0 = torch.randn(4 * 5, K, generator=source(8), dtype=D).view(4, 5, K)
    ends = torch.stack(
        [csgm_end(z0[:, r], steps=20) for r in range(5)],
        dim=1,
    )
    start = torch.cat([ends, torch.zeros(4, 5, N, dtype=D)], -1)
    weight = torch.cat([torch.zeros(K, dtype=D), torch.full((N,), 0.05, dtype=D)])
    expected = recover(
        lambda w: G(w[..., :K]) + w[..., K:],
        A,
        Y,
        penalty=L1(weight),
        method="prox",
        z0=start,
        restarts=5,
        steps=60,
    )
    found = sparse_gen(G, A, Y, l1=0.05, restarts=5, steps=80, alone=20, generator=source(8))
    torch.testing.assert_close(found.z, expected.z, rtol=1e-6, atol=1e-8)
    assert torch.equal(found.n_iter, expected.n_iter + 20)


def csgm_end(z0, steps):
    return recover(G, A, Y, z0=z0, steps=steps, lr=0.01, tol=0.0).z


@pytest.mark.parametrize("l2", [0.0, 0.2])
def test_the_end_is_stationary_in_the_objective_that_is_documented(l2):
    l1 = 0.3
    found = sparse_gen(G, A, Y, l1=l1, l2=l2, restarts=2, steps=3000, alone=200, generator=source(4))
    torch.testing.assert_close(found.objective, value(found, Y, l1, l2).detach())
    torch.testing.assert_close(found.x, (G(found.z[..., :K]) + found.z[..., K:]).detach())
    assert found.converged.all()
    z, v = found.z[..., :K].clone().requires_grad_(), found.z[..., K:]
    (slope,) = torch.autograd.grad(value(replace(found, z=torch.cat([z, v], -1)), Y, l1, l2).sum(), z)
    assert slope.abs().max() < 1e-3
    pull = 2 * (Y - found.x @ A.T) @ A
    assert (v == 0).any(-1).all()
    assert (v != 0).any()
    torch.testing.assert_close(pull[v != 0], l1 * v[v != 0].sign(), rtol=0, atol=1e-3)
    assert pull[v == 0].abs().max() <= l1 + 1e-3


@pytest.mark.parametrize("factor", [2.0**-40, 1e-6, 1e6])
@pytest.mark.parametrize("l2", [0.0, 0.2])
def test_units_change_nothing(factor, l2):
    plain = sparse_gen(G, A, Y, l1=0.3, l2=l2, restarts=2, steps=30, generator=source(4))
    other = sparse_gen(
        G,
        factor * A,
        factor * Y,
        l1=0.3 * factor**2,
        l2=l2 * factor**2,
        restarts=2,
        steps=30,
        generator=source(4),
    )
    torch.testing.assert_close(other.z, plain.z, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(other.objective / factor**2, plain.objective, rtol=1e-5, atol=0)


@pytest.mark.parametrize("l2", [0.0, 0.2])
def test_signals_do_not_leak_and_may_have_matrices_of_their_own(l2):
    tables = normal(2, 2, M, N, seed=9) / M**0.5
    y = Y.view(2, 2, M)
    found = sparse_gen(G, tables, y, l1=0.3, l2=l2, restarts=2, steps=60, generator=source(4))
    assert found.z.shape == (2, 2, K + N)
    assert found.x.shape == (2, 2, N)
    torch.testing.assert_close(found.objective[1, 1], value(found, y, 0.3, l2, tables[1, 1])[1, 1].detach())
    y, tables = y.clone(), tables.clone()
    y[0, 1], tables[1] = 3.0, tables[1] + 1
    other = sparse_gen(G, tables, y, l1=0.3, l2=l2, restarts=2, steps=60, generator=source(4))
    torch.testing.assert_close(other.z[0, 0], found.z[0, 0], rtol=1e-6, atol=1e-8)
    assert not torch.allclose(other.z, found.z)


def test_other_generators_and_float32():
    flow = RealNVP(N, 2, generator=source())
    found = sparse_gen(flow, A, Y, l1=0.3, restarts=1, steps=20, generator=source())
    z, v = found.z[..., :N], found.z[..., N:]
    torch.testing.assert_close(found.x, (flow(z) + v).detach())
    single = VAE(N, K, hidden=(16,), generator=source(), dtype=torch.float32)
    found = sparse_gen(single, A.float(), Y.float(), l1=0.3, l2=0.1, steps=20, generator=source())
    assert found.x.dtype == found.objective.dtype == torch.float32


def test_nothing_outside_is_touched():
    state, before = torch.get_rng_state(), {name: part.clone() for name, part in G.state_dict().items()}
    first, same = (sparse_gen(G, A, Y, l1=0.3, steps=10, generator=source(3)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.z, same.z)
    assert all(torch.equal(part, before[name]) for name, part in G.state_dict().items())
    assert all(part.grad is None for part in G.parameters())
    with torch.inference_mode():
        assert torch.equal(sparse_gen(G, A, Y, l1=0.3, steps=10, generator=source(3)).z, first.z)


def test_as_published_eight_fifteenths_of_the_steps_are_without_a_deviation():
    found = sparse_gen(G, A, Y, l1=1e-9, restarts=1, steps=15, generator=source())
    assert (found.n_iter == 15).all()
    same = sparse_gen(G, A, Y, l1=1e-9, restarts=1, steps=15, alone=8, generator=source())
    assert torch.equal(found.z, same.z)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"l1": -0.1}, ValueError, "l1 is -0.1; it must be at least 0"),
        ({"l1": "a"}, TypeError, "l1 is 'a'; it must be a number"),
        ({"l1": torch.ones(3, dtype=D)}, ValueError, r"l1 has shape \(3,\); it must be a number"),
        ({"l2": -0.1}, ValueError, "l2 is -0.1; it must be at least 0"),
        ({"restarts": 0}, ValueError, "restarts is 0; it must be at least 1"),
        ({"steps": 0}, ValueError, "steps is 0; it must be at least 1"),
        ({"steps": 5, "alone": 5}, ValueError, "alone is 5; it must be between 0 and 4, less than steps"),
        ({"lr": 0.0}, ValueError, "lr is 0; it must be above 0"),
        ({"G": torch.exp}, ValueError, "G has no latent_dim"),
        ({"G": VAE(N - 1, K)}, ValueError, rf"G gives \(1, {N - 1}\)"),
        ({"y": Y.float()}, TypeError, "y has dtype torch.float32 and A has torch.float64"),
        ({"y": Y * torch.nan}, ValueError, "y holds NaN"),
        ({"generator": 3}, TypeError, "generator is a int; it must be a torch.Generator"),
    ],
)
def test_bad_input_is_named(change, error, message):
    arguments = {"G": G, "A": A, "y": Y, "l1": 0.1} | change
    with pytest.raises(error, match=message):
        sparse_gen(arguments.pop("G"), arguments.pop("A"), arguments.pop("y"), **arguments)
