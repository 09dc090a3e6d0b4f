"""The path through code words: closed forms, the path drawn by hand, gradients, batches, refusals."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.generators import CodewordPath, Synthesis
from gsl_utils.generators.codes import hamming_distances, reed_solomon, sylvester

D = torch.float64


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=source(seed), dtype=D)


def least_distance(points, p):
    return float(torch.cdist(points, points, p=float(p)).fill_diagonal_(math.inf).min())


# The printed table: (p, k, n, L, r) -> R, the number of points, the separation, the steepest slope


@pytest.mark.parametrize(
    ("p", "k", "n", "L", "size", "separation"),
    [
        (2, 4, 64, 8, 169, 2 * math.sqrt(3 / 8)),
        (2, 4, 128, 16, 961, 2 * math.sqrt(3 / 8)),
        (2, 6, 96, 8, 2197, 2 * math.sqrt(4 / 12)),
        (1, 4, 64, 8, 169, 3 / 4),
        (1, 4, 128, 16, 961, 3 / 4),
        (1, 6, 96, 8, 2197, 2 / 3),
    ],
)
def test_the_sets_are_those_that_were_worked_out(p, k, n, L, size, separation):
    # With R = Lr / M the construction as it is printed is 2 (1/2)^(1/p) times as steep as L.
    G = CodewordPath(k, n, 2 ** (1 - 1 / p) * L, 2.0, norm=1.0, p=p)
    assert G.norm == 1
    assert G.alphabet == n // k
    assert G.size == size
    assert G.separation == pytest.approx(separation, rel=1e-12)
    assert least_distance(G.codewords, p) == pytest.approx(separation, rel=1e-9)
    assert separation >= (1 / 6) ** (1 / p)
    assert G.lipschitz == pytest.approx(2 * 0.5 ** (1 / p) * L, rel=1e-12)
    assert G.log2_size == pytest.approx(math.log2(size), rel=1e-12)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("inner", ["hadamard", "random"])
def test_the_points_are_what_the_theorem_says(k, p, inner):
    blocks = 16 if inner == "hadamard" else 96
    G = CodewordPath(k, k * blocks, 3.0, 1.5, p=p, inner=inner, generator=source(3))
    index = torch.randint(G.size, (300,), generator=source()).unique()
    z, x = G.knot(index), G.codeword(index)
    torch.testing.assert_close(x.abs(), torch.full_like(x, G.norm / G.n ** (1 / p)), rtol=1e-15, atol=0)
    torch.testing.assert_close(x.norm(p=p, dim=-1), torch.full((len(x),), G.norm, dtype=D))
    torch.testing.assert_close(G(z), x, rtol=1e-12, atol=0)
    assert float(z.norm(p=p, dim=-1).max()) <= 1.5 * (1 + 1e-12)
    assert len(x.unique(dim=0)) == len(index)
    assert least_distance(x, p) >= G.separation * (1 - 1e-9)
    assert G.distance > k / 2
    assert G.separation > G.norm / 6 ** (1 / p)
    assert G.lipschitz == pytest.approx(3.0, rel=1e-12)
    if inner == "hadamard":
        assert G.norm == pytest.approx(3.0 * 1.5 / (2 ** (1 - 1 / p) * blocks), rel=1e-12)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("inner", ["hadamard", "random"])
def test_no_pair_of_inputs_is_stretched_by_more_than_the_constant_and_one_is(p, inner):
    G = CodewordPath(3, 96, 2.0, 4.0, p=p, inner=inner, generator=source(1))
    a, b = (8 * uniform(2000, 3, seed=seed) - 2 for seed in (0, 1))
    b = torch.cat([b[:1000], a[1000:] + 1e-3 * (b[1000:] - 2)])
    stretch = (G(a) - G(b)).norm(p=p, dim=-1) / (a - b).norm(p=p, dim=-1)
    assert float(stretch.max()) <= G.lipschitz * (1 + 1e-9)
    middles = (torch.arange(1, G.alphabet, dtype=D) + 0.5) * G.spacing
    along = torch.stack([middles, middles, middles], -1)
    slopes = torch.func.vmap(torch.func.jacfwd(G))(along)[:, :, 0].norm(p=p, dim=-1)
    assert float(slopes.max()) == pytest.approx(G.lipschitz, rel=1e-12)


def test_the_path_of_one_block_by_hand():
    G = CodewordPath(1, 4, 1.0, 4.0, p=1)
    # Four words of norm 1 at 1, 2, 3 and 4: each step changes two entries of four from 1/4 to -1/4.
    assert (G.norm, G.spacing, G.size, G.q) == (1.0, 1.0, 3, 3)
    z = torch.tensor([[-7.0], [0.0], [1.0], [1.5], [2.0], [2.25], [3.0], [4.0], [9.0]], dtype=D)
    words = sylvester(4).double() / 4
    by_hand = [
        words[0],
        words[0],
        words[0],
        torch.tensor([0.25, 0.0, 0.25, 0.0], dtype=D),
        words[1],
        torch.tensor([0.25, -0.125, 0.125, -0.25], dtype=D),
        words[2],
        words[3],
        words[3],
    ]
    torch.testing.assert_close(G(z), torch.stack(by_hand), rtol=0, atol=0)


def test_points_are_the_words_of_the_outer_code():
    G = CodewordPath(4, 64, 1.0, 1.0)
    outer = reed_solomon(13, 2, 4)
    assert torch.equal(G.symbols(torch.arange(169)), outer)
    assert torch.equal(G.knots, (outer + 1).double() * G.spacing)
    assert torch.equal(G.codewords, (sylvester(16).double()[outer] * G.norm / 8).flatten(-2))
    picked = torch.tensor([[5, 168], [0, 77]])
    assert torch.equal(G.codeword(picked), G.codewords[picked])
    assert torch.equal(G.knot(77), G.knots[77])
    assert torch.equal(G.codeword(torch.tensor(77)), G.codewords[77])


def test_a_point_of_a_set_that_no_int64_counts():
    G = CodewordPath(64, 64 * 128, 1.0, 1.0)
    assert (G.size, G.q) == (127**32, 127)
    index = 3 + 5 * 127 + 126 * 127**31
    points = range(64)
    assert G.symbols(index).tolist() == [(3 + 5 * i + 126 * pow(i, 31, 127)) % 127 for i in points]
    assert G.symbols(torch.tensor(2**62)).tolist() == G.symbols(2**62).tolist()
    torch.testing.assert_close(G(G.knot(index)), G.codeword(index), rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match=r"the set has 2\^223.6 points; to be listed it must have at most"):
        _ = G.knots


@given(share=st.floats(1.0, 40.0), p=st.sampled_from([1, 2]), L=st.floats(1e-3, 1e3), r=st.floats(1e-3, 1e3))
def test_a_given_norm_leaves_as_many_words_as_the_constant_allows(share, p, L, r):
    R = L * r / (2 ** (1 - 1 / p) * share)
    if share < 2:
        with pytest.raises(ValueError, match="the path has no room for two words; norm must be at most"):
            CodewordPath(1, 16, L, r, norm=R, p=p)
        return
    G = CodewordPath(1, 16, L, r, norm=R, p=p)
    assert G.norm == R
    assert G.alphabet <= 16
    assert G.lipschitz <= L * (1 + 1e-9)
    assert G.alphabet == 16 or G.lipschitz * (G.alphabet + 1) / G.alphabet > L * (1 - 1e-9)


@pytest.mark.parametrize("above", [1.0, 2.0, 10.0])
def test_the_printed_hypothesis_leaves_no_path(above):
    with pytest.raises(ValueError, match="The theorem's printed hypothesis, R > 2Lr, is the wrong way round"):
        CodewordPath(4, 64, 8.0, 2.0, norm=above * 2 * 16.0 * 1.001)


def test_gradients_are_the_slope_of_the_segment_and_zero_outside():
    G = CodewordPath(2, 16, 5.0, 2.0)
    z = G.spacing * torch.tensor([[1.5, 4.25], [0.5, 9.0]], dtype=D)
    slope = torch.func.vmap(torch.func.jacrev(G))(z)
    words = sylvester(8).double() * G.norm / 4
    expected = torch.zeros(2, 16, 2, dtype=D)
    expected[0, :8, 0] = (words[1] - words[0]) / G.spacing
    expected[0, 8:, 1] = (words[4] - words[3]) / G.spacing
    torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(G, (z.requires_grad_(True),))


def test_signals_do_not_see_each_other_and_shapes_are_kept():
    G = CodewordPath(4, 64, 8.0, 2.0)
    z = 2 * uniform(3, 5, 4)
    together = G(z)
    assert together.shape == (3, 5, 64)
    assert torch.equal(together[1, 2], G(z[1, 2]))
    assert torch.equal(torch.func.vmap(G)(z[0]), together[0])
    assert G(z[:0]).shape == (0, 5, 64)
    other = z.clone()
    other[0, 0] = 1.0
    assert torch.equal(G(other)[0, 1:], together[0, 1:])
    # A block sees its own coordinate only.
    moved = z.clone()
    moved[..., 2] += 0.1
    assert torch.equal(
        (G(moved) != together).unflatten(-1, (4, 16)).any(-1)[..., [0, 1, 3]].any(), torch.tensor(False)
    )


def test_it_is_a_generator_like_the_others():
    G = CodewordPath(2, 8, 1.0, 1.0, dtype=torch.float32)
    assert G(torch.zeros(3, 2)).dtype == torch.float32
    assert G.to(D)(torch.zeros(3, 2, dtype=D)).dtype == D
    assert Synthesis(G, torch.ones(2, 5, dtype=D))(torch.ones(5, dtype=D)).shape == (8,)
    assert "inner='hadamard', alphabet=4" in repr(G)
    assert not list(G.parameters())
    assert CodewordPath(2, 8, 1.0, 1.0, device="meta")(torch.zeros(3, 2, dtype=D, device="meta")).shape == (
        3,
        8,
    )


def test_random_words_come_from_the_source_only():
    first, again, other = (
        CodewordPath(2, 400, 1.0, 1.0, inner="random", norm=0.01, generator=source(seed)).words
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    # A longer path begins with the same words.
    longer = CodewordPath(2, 400, 1.0, 1.0, inner="random", norm=0.005, generator=source())
    assert longer.alphabet - 2 * len(first) in (0, 1)
    assert longer.lipschitz <= 1
    assert torch.equal(longer.words[: len(first)].sign(), first.sign())
    distances = hamming_distances(first.sign(), first.sign())[*torch.triu_indices(len(first), len(first), 1)]
    assert bool(((3 * distances >= 200) & (3 * distances <= 400)).all())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: CodewordPath(0, 8, 1.0, 1.0), ValueError, "k is 0; it must be at least 1"),
        (lambda: CodewordPath(3, 2, 1.0, 1.0), ValueError, "n is 2; it must be at least 3"),
        (lambda: CodewordPath(3, 8, 1.0, 1.0), ValueError, "n is 8 and k is 3; n must be a multiple of k"),
        (
            lambda: CodewordPath(1, 12, 1.0, 1.0),
            ValueError,
            "n / k is 12; for Hadamard words it must be a power",
        ),
        (lambda: CodewordPath(1, 8, 0.0, 1.0), ValueError, "lipschitz is 0; it must be above 0"),
        (lambda: CodewordPath(1, 8, 1.0, -1.0), ValueError, "radius is -1; it must be above 0"),
        (lambda: CodewordPath(1, 8, 1.0, 1.0, norm=0.0), ValueError, "norm is 0; it must be above 0"),
        (lambda: CodewordPath(1, 8, 1.0, 1.0, p=3), ValueError, "p is 3; it must be between 1 and 2"),
        (
            lambda: CodewordPath(1, 8, 1.0, 1.0, inner="gray"),
            ValueError,
            "inner is 'gray'; it must be one of",
        ),
        (lambda: CodewordPath(1, 8, 1.0, 1.0, generator=0), TypeError, "generator is a int"),
        (lambda: CodewordPath(1, 8, 1.0, 1.0, dtype=torch.int64), TypeError, "dtype is torch.int64"),
        (
            lambda: CodewordPath(8, 32, 1.0, 1.0),
            ValueError,
            "passes through 4 hadamard words and k is 8; there must",
        ),
        (lambda: CodewordPath(1, 1, 1.0, 1.0), ValueError, "passes through 1 hadamard words and k is 1"),
        (lambda: CodewordPath(1, 8, 1.0, 1.0)(torch.zeros(2, dtype=D)), ValueError, r"z has shape \(2,\)"),
        (lambda: CodewordPath(1, 8, 1.0, 1.0)(torch.zeros(1)), TypeError, "z has dtype torch.float32"),
        (
            lambda: CodewordPath(1, 8, 1.0, 1.0)(torch.full((1,), math.nan, dtype=D)),
            ValueError,
            "z holds NaN",
        ),
        (lambda: CodewordPath(1, 8, 1.0, 1.0).knot(7), ValueError, "index is 7; it must be between 0 and 6"),
        (lambda: CodewordPath(1, 8, 1.0, 1.0).knot(1.0), TypeError, "index is 1.0; it must be an integer"),
        (
            lambda: CodewordPath(1, 8, 1.0, 1.0).codeword(torch.tensor([0, 7])),
            ValueError,
            "outside of 0, ..., 6",
        ),
        (
            lambda: CodewordPath(1, 8, 1.0, 1.0).codeword(torch.tensor([-1])),
            ValueError,
            "outside of 0, ..., 6",
        ),
        (
            lambda: CodewordPath(1, 8, 1.0, 1.0).codeword(torch.ones(1)),
            TypeError,
            "index has dtype torch.float32",
        ),
    ],
)
def test_bad_paths_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
