"""The certified S-REC constant: closed forms, grids that find no violation, the book's decoder, refusals."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gsl_utils.datasets import load
from gsl_utils.generators import VAE
from gsl_utils.generators.expansion import expander
from gsl_utils.generators.training.vae import fit_vae
from gsl_utils.sensing import gaussian_matrix, srec_certified, srec_constant
from gsl_utils.sensing.srec_certified import _Cells

D = torch.float64


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=D)


def linear(B):
    G = nn.Sequential(nn.Linear(B.shape[1], B.shape[0], bias=False, dtype=D)).requires_grad_(False)
    G[0].weight.data = B
    return G


def ball(k, radius, across):
    axis = torch.linspace(-radius, radius, across, dtype=D)
    z = torch.cartesian_prod(*[axis] * k).reshape(-1, k)
    return z[z.norm(dim=-1) <= radius]


def smallest_on_a_grid(G, A, delta, k, radius, across):
    """The smallest ratio of all pairs of a grid of the ball."""
    x = G(ball(k, radius, across)).detach()
    apart = torch.pdist(x)
    return float(((torch.pdist(x @ A.T) + delta) / apart)[apart > 1e-9].min())


@pytest.mark.parametrize("k", [1, 2, 3])
def test_of_a_linear_generator_it_is_the_smallest_singular_value_on_its_range(k):
    B, A = normal(9, k, seed=1), normal(5, 9, seed=2)
    exact = float(torch.linalg.svdvals(A @ torch.linalg.qr(B).Q)[-1])
    lower, upper = srec_certified(linear(B), A, k=k, radius=1.0, delta=0.0, gap=0.05)
    assert 0.95 * upper <= lower <= exact * (1 + 1e-12)
    assert exact <= upper * (1 + 1e-12)


@pytest.mark.parametrize("delta", [0.1, 1.0])
def test_of_a_linear_generator_a_delta_counts_at_the_largest_distance(delta):
    """At the distance 2r in every direction, and there the smallest ratio is found by trying."""
    B, A, radius = normal(9, 2, seed=1), normal(5, 9, seed=2), 0.7
    angle = torch.linspace(0, math.pi, 10_000, dtype=D)
    w = 2 * radius * torch.stack([angle.cos(), angle.sin()], -1)
    exact = float((((w @ B.T @ A.T).norm(dim=-1) + delta) / (w @ B.T).norm(dim=-1)).min())
    lower, upper = srec_certified(linear(B), A, k=2, radius=radius, delta=delta, gap=0.05)
    assert 0.95 * upper <= lower <= exact * (1 + 1e-9)
    assert upper >= exact * (1 - 1e-6)


def test_of_an_arc_it_is_the_ratio_at_its_ends():
    r"""Chords of (cos z, sin z) have the direction (-sin, cos) of their middle."""

    def arc(z):
        return torch.cat([z.cos(), z.sin()], -1)

    A, radius = torch.diag(torch.tensor([1.0, 0.2], dtype=D)), 0.9
    exact = math.sqrt(math.sin(0) ** 2 + 0.04)
    lower, upper = srec_certified(arc, A, k=1, radius=radius, delta=0.0, curvature=1.0, gap=0.05)
    assert 0.95 * upper <= lower <= exact * (1 + 1e-12) <= upper * (1 + 1e-9)
    other = torch.diag(torch.tensor([0.2, 1.0], dtype=D))
    exact = math.hypot(0.2 * math.sin(radius), math.cos(radius))
    lower, upper = srec_certified(arc, other, k=1, radius=radius, delta=0.0, curvature=1.0, gap=0.05)
    assert 0.95 * upper <= lower <= exact <= upper


@settings(max_examples=20)
@given(
    st.integers(1, 2),
    st.integers(1, 4),
    st.sampled_from(["softplus", "tanh"]),
    st.sampled_from([0.0, 0.02, 0.3]),
    st.sampled_from([0.5, 2.0]),
    st.integers(0, 999),
)
def test_no_pair_of_a_finer_grid_is_below_what_is_proved(k, m, activation, delta, radius, seed):
    G = VAE(6, k, hidden=(5,), activation=activation, generator=source(seed)).requires_grad_(False)
    for weight in G.parameters():  # far from linear
        weight.mul_(3)
    A = normal(m, 6, seed=seed + 1)
    lower, upper = srec_certified(G, A, radius=radius, delta=delta, pairs=15_000)
    found = smallest_on_a_grid(G, A, delta, k, radius, 23 if k == 2 else 400)
    assert lower <= found
    assert 0 <= lower <= upper
    tighter = srec_constant(G, A, pairs=8, steps=30, radius=radius, generator=source(seed))
    assert delta > 0 or lower <= tighter


def test_a_weak_direction_that_turns_is_not_taken_for_a_strong_one():
    """A sees nothing of the second input where the first is 0.5, beside which the generator moves little."""

    def weak(z):
        return torch.stack([z[..., 0], 0.05 * z[..., 1], 0.1 * z.prod(-1)], -1)

    A = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]], dtype=D)
    lower, upper = srec_certified(weak, A, k=2, radius=1.0, delta=0.0, curvature=0.1, pairs=20_000)
    assert lower == 0
    assert upper < 0.1
    cells = _Cells(expander(weak, 0.1), A, 2, 1.0)
    one = (cells.at["centre"] - 0.4).norm(dim=-1).argmin().unsqueeze(0)
    assert (cells.together(one, one, 0.0) <= 0.1).all()


def some_points(cells, rows, seed):
    """Corners of cubes and points within, ``(30, P, k)``."""
    k = cells.k
    inside = 2 * torch.rand(30, len(rows), k, generator=source(seed), dtype=D) - 1
    inside[:20] = inside[:20].sign()
    return cells.at["centre"][rows] + inside * cells.at["half"][rows].unsqueeze(-1)


@settings(max_examples=30)
@given(
    st.integers(1, 2),
    st.integers(1, 3),
    st.sampled_from(["linear", "softplus", "tanh"]),
    st.sampled_from([0.0, 0.05, 0.5]),
    st.sampled_from([0.5, 2.0]),
    st.integers(0, 9999),
)
def test_each_step_of_the_proof_holds_for_the_points_of_its_cubes(k, m, kind, delta, radius, seed):
    """Pair by pair, where a bound is nearest to what it bounds, and each of the two kinds for itself."""
    if kind == "linear":
        G = linear(normal(3, k, seed=seed) * torch.tensor([1.0, 5.0], dtype=D)[:k])
    else:
        G = VAE(3, k, hidden=(4,), activation=kind, generator=source(seed)).decoder.requires_grad_(False)
        G[0].weight *= 3
        G[2].weight *= 4
    A = normal(m, 3, seed=seed + 1)
    cells = _Cells(expander(G, None), A, k, radius)
    count = len(cells.at["half"])
    a, b = (torch.randint(count, (400,), generator=source(seed + i)) for i in (2, 3))
    offset = (cells.at["centre"][a] - cells.at["centre"][b]).abs().amax(-1)
    near = (offset <= 8.5 * cells.at["half"][a]).nonzero().squeeze(-1)
    gamma = torch.stack([cells.apart(a, b, delta)[0], torch.zeros(400, dtype=D)])
    gamma[1, near] = cells.together(a[near], b[near], delta)
    for i in range(4):
        x1, x2 = (G(some_points(cells, rows, seed + 4 + i + 9 * j)) for j, rows in enumerate((a, b)))
        slack = ((x1 - x2) @ A.T).norm(dim=-1) + delta - gamma.unsqueeze(1) * (x1 - x2).norm(dim=-1)
        assert (slack[~slack.isnan()] >= -1e-9).all()


def test_it_is_close_to_what_a_grid_finds():
    G = VAE(6, 2, hidden=(5,), generator=source(3)).requires_grad_(False)
    A, delta = normal(4, 6, seed=4), 0.02
    lower, upper = srec_certified(G, A, radius=2.0, delta=delta, gap=0.05)
    found = smallest_on_a_grid(G, A, delta, 2, 2.0, 41)
    assert 0.93 * found < lower <= found
    assert lower >= 0.95 * upper
    assert upper < 1.05 * found


@pytest.fixture(scope="module")
def decoder():
    images = load("digits")[0]
    vae = VAE(64, 2, hidden=(32,), generator=source())
    return fit_vae(vae, images, epochs=10, lr=5e-3, beta=0.1, generator=source(1))[0].requires_grad_(False)


def test_of_a_decoder_a_constant_is_certified_and_of_rank_one_none_can_be(decoder):
    """The book's claim and its control, in small: k = 2, m = 8, delta 1 % of the diameter of the range."""
    diameter = float(torch.pdist(decoder(ball(2, 2.0, 21))).max())
    A = gaussian_matrix(8, 64, generator=source(1))
    lower, upper = srec_certified(decoder, A, radius=2.0, delta=0.01 * diameter, pairs=300_000)
    assert lower > 0.1
    assert lower <= smallest_on_a_grid(decoder, A, 0.01 * diameter, 2, 2.0, 31) <= 1.02 * upper
    control = normal(8, 1, seed=2) @ normal(1, 64, seed=3) / 8**0.5
    assert srec_certified(decoder, control, radius=2.0, delta=0.01 * diameter, pairs=50_000).upper < 0.05


def test_more_pairs_prove_more_and_nothing_is_below_zero(decoder):
    A = gaussian_matrix(8, 64, generator=source(1))
    found = [
        srec_certified(decoder, A, radius=2.0, delta=0.02, pairs=pairs) for pairs in (1, 30_000, 300_000)
    ]
    assert 0 <= found[0].lower <= found[1].lower < found[2].lower
    assert found[2].upper <= found[1].upper <= found[0].upper


@pytest.mark.parametrize("factor", [2.0**-60, 1e-5, 1e5])
def test_units_of_the_matrix_change_nothing(factor):
    G = VAE(6, 2, hidden=(5,), generator=source(3)).requires_grad_(False)
    A = normal(4, 6, seed=4)
    plain = srec_certified(G, A, radius=1.0, delta=0.1)
    other = srec_certified(G, factor * A, radius=1.0, delta=0.1 * factor)
    for ours, theirs in zip(other, plain, strict=True):
        torch.testing.assert_close(ours / factor, theirs, rtol=1e-6, atol=0)


def test_a_generator_that_does_not_move_asks_nothing():
    constant = linear(torch.zeros(4, 2, dtype=D))
    assert srec_certified(constant, normal(3, 4), k=2, radius=1.0, delta=0.0) == (math.inf, math.inf)


def test_a_matrix_that_sees_nothing_proves_nothing():
    lower, upper = srec_certified(
        linear(normal(4, 2)), torch.zeros(3, 4, dtype=D), k=2, radius=1.0, delta=0.0
    )
    assert (lower, upper) == (0, 0)


def test_directions_in_which_the_generator_stands_still_are_no_obstacle():
    """The second input does nothing, and two inputs may give one signal: such pairs ask nothing."""
    B = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]], dtype=D)
    A = normal(3, 3, seed=1)
    exact = float((A @ B[:, 0]).norm() / B[:, 0].norm())
    lower, upper = srec_certified(linear(B), A, k=2, radius=1.0, delta=0.2, gap=0.1, pairs=400_000)
    assert 0 < lower <= exact + 0.2 / (2 * 5**0.5) <= upper * (1 + 1e-3)


def test_nothing_outside_is_touched(decoder):
    before, state = {name: part.clone() for name, part in decoder.state_dict().items()}, torch.get_rng_state()
    first, second = (
        srec_certified(decoder, gaussian_matrix(8, 64, generator=source(1)), radius=1.0, delta=0.1, pairs=1)
        for _ in range(2)
    )
    assert first == second
    assert not first.lower.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(part, before[name]) for name, part in decoder.state_dict().items())


SMALL = VAE(6, 2, hidden=(5,), generator=source())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"G": VAE(6, 4, hidden=(5,))}, ValueError, "k is 4; it must be between 1 and 3"),
        ({"k": 4}, ValueError, "k is 4; it must be between 1 and 3"),
        ({"k": 0}, ValueError, "k is 0"),
        ({"G": SMALL.decoder}, ValueError, "k is None and G has no latent_dim"),
        ({"G": VAE(6, 2, activation="relu")}, ValueError, r"curvature is None and G is, or has, ReLU\(\)"),
        ({"G": torch.exp, "k": 2}, ValueError, "curvature is None and G is, or has"),
        ({"G": 3, "k": 2}, TypeError, "G is a int; it must be callable"),
        ({"G": VAE(5, 2)}, ValueError, r"G gives \(1, 5\)"),
        ({"G": VAE(6, 2, dtype=torch.float32)}, TypeError, "it must have A's, torch.float64"),
        (
            {"G": lambda z: z.repeat(1, 3) + z.sum(), "k": 2, "curvature": 1.0},
            ValueError,
            "its rows must not see",
        ),
        ({"A": normal(3, 6).float()}, TypeError, "A has dtype torch.float32; it must be torch.float64"),
        ({"A": normal(2, 3, 6)}, ValueError, r"A has shape \(2, 3, 6\); it must be a single matrix"),
        ({"A": normal(3, 6) * torch.nan}, ValueError, "A holds NaN"),
        ({"radius": 0.0}, ValueError, "radius is 0; it must be above 0"),
        ({"delta": -1.0}, ValueError, "delta is -1; it must be at least 0"),
        ({"curvature": -1.0}, ValueError, "curvature is -1; it must be at least 0"),
        ({"gap": 0.0}, ValueError, "gap is 0; it must be above 0"),
        ({"pairs": 0}, ValueError, "pairs is 0; it must be at least 1"),
        (
            {"G": lambda z: 1e300 * z.repeat(1, 3) ** 3, "k": 2, "radius": 1e9, "curvature": 1.0},
            ValueError,
            "G leaves the",
        ),
    ],
)
def test_bad_input_is_named(change, error, message):
    arguments = {"G": SMALL, "A": normal(3, 6), "radius": 1.0, "delta": 0.1} | change
    with pytest.raises(error, match=message):
        srec_certified(arguments.pop("G"), arguments.pop("A"), **arguments)
