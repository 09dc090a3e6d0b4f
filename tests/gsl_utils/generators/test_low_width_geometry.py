"""Where wedges meet: null vectors, the safe angle by going through all sets, silent directions."""

import itertools

import numpy as np
import pytest
import torch

from gsl_utils.generators import low_width_geometry as geometry
from gsl_utils.generators.low_width_geometry import (
    crossing_tangent,
    near_crossings,
    null_basis,
    reaching_tangent,
)
from gsl_utils.generators.low_width_preimage import silent_directions

D = torch.float64


def directions(count, dim, seed=0):
    source = torch.Generator().manual_seed(seed)
    drawn = torch.randn(2, count, dim, generator=source, dtype=D)
    v = drawn[0] / drawn[0].norm(dim=-1, keepdim=True)
    v_prime = drawn[1] - (drawn[1] * v).sum(-1, keepdim=True) * v
    return v, v_prime / v_prime.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_the_last_columns_of_a_basis_are_orthogonal_to_the_rows(rank):
    rows = directions(5 * 3, 4)[0].reshape(5, 3, 4).clone()
    rows[:, rank:] = 0
    basis = null_basis(rows)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(4, dtype=D).expand(5, 4, 4))
    assert (rows @ basis[..., rank:]).abs().max() < 1e-15 * 10


@pytest.mark.parametrize(("gadgets", "size"), [(8, 2), (9, 3), (8, 4)])
@pytest.mark.parametrize("chunk", [3, 1000])
def test_the_safe_angle_is_the_least_over_all_sets(gadgets, size, chunk, monkeypatch):
    monkeypatch.setattr(geometry, "_CHUNK", chunk)
    monkeypatch.setattr(geometry, "_FIRST", 1)
    for seed in range(5):
        v, v_prime = directions(gadgets, size, seed)
        want = min(
            np.linalg.svd(v.numpy()[list(J)])[1][-1] / np.linalg.norm(v_prime.numpy()[list(J)], 2)
            for J in itertools.combinations(range(gadgets), size)
        )
        assert crossing_tangent(v, v_prime) == pytest.approx(want, rel=1e-9)


def test_below_the_safe_angle_no_direction_is_in_too_many_wedges_and_above_some_is():
    v, v_prime = directions(12, 3)
    sets = torch.combinations(torch.arange(12))
    z = torch.cat([near_crossings(v, v_prime, sets), directions(100_000, 3, seed=1)[0]])
    ratio = (z @ v.mT).abs() / (z @ v_prime.mT).abs()
    third = ratio.sort(-1).values[:, 2].min()  # the angle from which on three wedges meet there
    assert crossing_tangent(v, v_prime) <= third < 3 * crossing_tangent(v, v_prime)


def test_near_crossings_are_where_a_set_and_its_nearest_gadget_come_closest():
    v, v_prime = directions(10, 3)
    sets = torch.tensor([[0, 1], [4, 7]])
    for gadgets, z in zip(sets.tolist(), near_crossings(v, v_prime, sets), strict=True):
        w = np.cross(*v[gadgets].numpy())
        angle = np.abs(v.numpy() @ w) / np.abs(v_prime.numpy() @ w)
        angle[gadgets] = np.inf
        met = v.numpy()[[*gadgets, int(angle.argmin())]]
        assert np.linalg.norm(met @ z.numpy()) == pytest.approx(np.linalg.svd(met)[1][-1], abs=1e-12)
        assert float(z.norm()) == pytest.approx(1)
        assert z[z.abs().argmax()] > 0


def test_silent_directions_are_common_to_the_support_and_far_from_other_wedges():
    v, v_prime = directions(40, 4)
    gadgets = torch.tensor([[3, 8, 20], [5, 0, 1], [9, 0, 1], [0, 1, 2]])
    used = torch.tensor([[True, True, True], [True, True, False], [True, False, False], [False] * 3])
    basis = null_basis(v[gadgets] * used.unsqueeze(-1))
    free = torch.arange(4) >= used.sum(-1, keepdim=True)
    w = silent_directions(basis, free, v, v_prime, gadgets, used)
    torch.testing.assert_close(w.norm(dim=-1), torch.ones(4, dtype=D))
    for direction, row, kept in zip(w, gadgets, used, strict=True):
        support = row[kept]
        assert not len(support) or (v[support] @ direction).abs().max() < 1e-14
        others = torch.ones(40, dtype=torch.bool).index_fill(0, support, False)
        if not kept.all():
            # One direction in forty wedges is some 1/100 from the nearest; the best of sixteen is farther.
            assert (v[others] @ direction).abs().min() > 0.02
    assert torch.equal(w[0], basis[0, :, -1])


def reached(v, v_prime, t):
    """Say of every support and sign whether the direction of its preimages is inside of all its wedges."""
    size, supports = v.shape[-1] - 1, itertools.combinations(range(len(v) // 2), v.shape[-1] - 1)
    for entries, signs in itertools.product(supports, itertools.product((0, 1), repeat=size)):
        S = [2 * entry + sign for entry, sign in zip(entries, signs, strict=True)]
        V, V_prime = v[S].numpy(), v_prime[S].numpy()
        w = np.linalg.svd(V)[2][-1]
        edges = np.sign(V_prime @ w)[:, None] * t * V_prime - V
        p = np.linalg.solve(np.vstack([edges, w]), np.eye(size + 1)[-1])
        yield bool((V @ p > 0).all()), V, V_prime, w


@pytest.mark.parametrize(("entries", "size"), [(5, 2), (5, 3), (4, 4)])
@pytest.mark.parametrize("chunk", [3, 1000])
def test_below_the_reaching_angle_every_support_has_its_direction(entries, size, chunk, monkeypatch):
    monkeypatch.setattr(geometry, "_CHUNK", chunk)
    for seed in range(5):
        v, v_prime = directions(2 * entries, size, seed)
        bound = reaching_tangent(v, v_prime)
        want = np.inf
        for inside, V, V_prime, w in reached(v, v_prime, 0.999 * bound):
            assert inside
            least = np.abs(V_prime @ w).min()
            want = min(want, least / (1 + least) * np.linalg.svd(V)[1][-1] / np.linalg.norm(V_prime, 2))
        assert bound == pytest.approx(want, rel=1e-9)


def test_a_safe_angle_that_only_keeps_wedges_apart_does_not_reach_every_target():
    # Seeds at which the first bound is the wider one: somewhere beyond the second a support is lost.
    lost = 0
    for seed in range(60):
        v, v_prime = directions(8, 3, seed)
        crossing, reaching = crossing_tangent(v, v_prime), reaching_tangent(v, v_prime)
        if reaching < crossing / 4:
            lost += not all(inside for inside, *_ in reached(v, v_prime, crossing))
    assert lost > 0
