"""Expansions of generators: their derivatives by autograd, their bounds by points of the balls, refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gsl_utils.generators import VAE, RandomReLU
from gsl_utils.generators.expansion import Expansion, _activated, expander, largest, smallest

D = torch.float64
ZERO = torch.zeros(1, dtype=D)
ACTIVATIONS = {"softplus": nn.Softplus, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=D)


def network(k, widths, activation, seed, scale=1.0):
    layers = []
    for i, (before, after) in enumerate(zip([k, *widths], widths, strict=False)):
        layers += [nn.Linear(before, after, dtype=D, bias=i != 1), ACTIVATIONS[activation]()]
        layers[-2].weight.data = scale * normal(after, before, seed=seed + i)
    return nn.Sequential(*layers).requires_grad_(False)


def derivatives(G, z):
    slope = torch.func.vmap(torch.func.jacfwd(G))(z)
    return G(z), slope, torch.func.vmap(torch.func.jacfwd(torch.func.jacfwd(G)))(z)


def norms(bend):
    """Of second derivatives, by trying all directions of a circle, or by two for one entry."""
    k = bend.shape[-1]
    angle = torch.linspace(0, torch.pi, 200, dtype=D)
    w = torch.stack([angle.cos(), angle.sin()], -1) if k == 2 else torch.ones(1, k, dtype=D)
    return torch.einsum("...nij,qi,qj->...qn", bend, w, w).norm(dim=-1).amax(-1)


NETWORKS = st.tuples(
    st.integers(1, 2),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.sampled_from(sorted(ACTIVATIONS)),
    st.integers(0, 99),
    st.sampled_from([0.3, 1.0, 3.0]),
)


@settings(max_examples=25)
@given(NETWORKS, st.sampled_from([1e-3, 0.1, 0.5]))
def test_no_point_of_a_ball_is_beyond_the_bounds(parts, radius):
    k, widths, activation, seed, scale = parts
    G, c = network(k, widths, activation, seed, scale), normal(5, k, seed=seed + 10)
    at = expander(G, None)(c, torch.full((5,), radius, dtype=D))
    for found, exact in zip((at.value, at.slope, at.bend), derivatives(G, c), strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)
    assert (at.curvature() >= norms(at.bend) * (1 - 1e-9)).all()
    for i in range(8):
        way = normal(5, k, seed=seed + 20 + i)
        step = radius * way / way.norm(dim=-1, keepdim=True) * (1 if i % 2 else (i + 1) / 8)
        value, slope, bend = derivatives(G, c + step)
        rounding = 1e-9
        assert (norms(bend - at.bend) <= at.rest * (1 + rounding) + rounding).all()
        moved = torch.einsum("pnij,pj->pni", at.bend, step)
        left = torch.linalg.matrix_norm(slope - at.slope - moved, 2)
        assert (left <= at.rest * radius * (1 + rounding) + rounding).all()
        off = (value - at.value - torch.einsum("pni,pi->pn", at.slope, step)).norm(dim=-1)
        assert (off <= (at.curvature() + at.rest) * radius**2 / 2 * (1 + rounding) + rounding).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_bound_shrinks_with_the_ball_and_is_of_the_right_order(activation):
    G, c = network(2, [20, 30], activation, 3, 0.5), normal(4, 2, seed=1)
    bounds = [expander(G, None)(c, torch.full((4,), h, dtype=D)).rest for h in (1e-3, 1e-4)]
    torch.testing.assert_close(bounds[0] / 10, bounds[1], rtol=0.05, atol=0)
    third = torch.func.vmap(torch.func.jacfwd(torch.func.jacfwd(torch.func.jacfwd(G))))(c)
    assert (bounds[1] < 30 * 1e-4 * third.flatten(1).norm(dim=-1)).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_third_derivatives_are_at_most_what_the_bounds_take_them_for(activation):
    """One unit, on a small ball where its third derivative is largest: the bound is that, and not less."""
    f = ACTIVATIONS[activation]()
    unit = nn.Sequential(nn.Linear(1, 1, bias=False, dtype=D), f).requires_grad_(False)
    unit[0].weight.data.fill_(1.0)
    u = torch.linspace(-6, 6, 12001, dtype=D).unsqueeze(-1)
    third = torch.func.vmap(torch.func.jacfwd(torch.func.jacfwd(torch.func.jacfwd(f))))(u).flatten()
    h = 1e-6
    rest = expander(unit, None)(u, torch.full((len(u),), h, dtype=D)).rest
    assert (third.abs() * h <= rest).all()
    assert float((third.abs() * h / rest).max()) > 0.99


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.01, 2))
def test_every_term_of_the_bound_is_needed(slope, bend, h):
    """Half the square of a quadratic of one number, of which nothing is left out: the bound is exact."""

    def half_square(u):
        return u.square() / 2, u, torch.ones_like(u)

    at = Expansion(
        *(torch.full((1,) * (2 + i), part, dtype=D) for i, part in enumerate((0.0, slope, bend))), ZERO
    )
    found = _activated(half_square, 0.0, at, torch.full((1, 1), h, dtype=D))
    exact = 3 * abs(slope * bend) * h + 1.5 * bend**2 * h**2
    assert float(found.rest) == pytest.approx(exact, rel=1e-9, abs=1e-12)
    assert float(found.bend) == pytest.approx(slope**2, rel=1e-9, abs=1e-12)


def test_a_vae_is_expanded_by_its_decoder_and_a_matrix_goes_through():
    G, A, c = VAE(12, 2, hidden=(8, 6), generator=source()), normal(3, 12, seed=1), normal(5, 2, seed=2)
    h = torch.full((5,), 0.1, dtype=D)
    plain = expander(G, None)(c, h)
    assert torch.equal(plain.value, expander(G.decoder, None)(c, h).value)
    norm = torch.linalg.matrix_norm(A, 2)
    at = plain.through(A, norm)
    for found, exact in zip((at.value, at.slope, at.bend), derivatives(lambda z: G(z) @ A.T, c), strict=True):
        torch.testing.assert_close(found, exact.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(at.rest, norm * plain.rest)


def test_any_generator_has_the_bound_that_is_given():
    def circle(z):
        return torch.cat([z.cos(), z.sin()], -1)

    c = normal(5, 1)
    at = expander(circle, 1.0)(c, torch.full((5,), 0.1, dtype=D))
    torch.testing.assert_close(at.value, circle(c))
    torch.testing.assert_close(at.slope.squeeze(-1), torch.cat([-c.sin(), c.cos()], -1))
    assert not at.bend.any()
    assert (at.rest == 1).all()


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 99))
def test_singular_values_are_bounded_from_the_right_side(n, p, seed):
    table = normal(3, n, p, seed=seed)
    exact = torch.linalg.svdvals(table)
    assert (largest(table) >= exact[:, 0] * (1 - 1e-15)).all()
    torch.testing.assert_close(largest(table), exact[:, 0])
    least = exact[:, -1] if n >= p else torch.zeros(3, dtype=D)
    assert (smallest(table) <= least + 1e-15).all()
    torch.testing.assert_close(smallest(table), least, rtol=1e-5, atol=1e-5)


class Mine(nn.Linear):
    pass


HOOKED = nn.Sequential(nn.Linear(2, 3))
HOOKED.register_forward_hook(lambda *_: None)


@pytest.mark.parametrize(
    ("G", "named"),
    [
        (VAE(9, 2, activation="relu"), "ReLU"),
        (RandomReLU((2, 9)), "RandomReLU"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softplus(beta=2.0)), "Softplus"),
        (nn.Sequential(Mine(2, 3)), "Mine"),
        (HOOKED, "Sequential"),
        (torch.exp, "exp"),
    ],
)
def test_what_is_no_such_network_needs_a_bound(G, named):
    with pytest.raises(ValueError, match=f"curvature is None and G is, or has, [^;]*{named}"):
        expander(G, None)
