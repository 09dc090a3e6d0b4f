"""The nearest point of the set and of the image: against trying all, and against a fine grid."""

import math

import pytest
import torch

from gsl_utils.generators import CodewordPath, Sigmoid
from gsl_utils.lower_bound import decoders, nearest_image, nearest_word, orthonormal_rows

D = torch.float64


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=D)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("table", [1, 1 << 22])
def test_the_nearest_word_is_the_best_of_all(own, table, monkeypatch):
    monkeypatch.setattr(decoders, "_TABLE", table)
    G = CodewordPath(4, 32, 3.0, 1.0)
    A = normal(9, 3, 32) if own else normal(3, 32)
    y = 0.2 * normal(9, 3, seed=1)
    found = nearest_word(G, A, y)
    for i in range(9):
        matrix = A[i] if own else A
        best = min(G.codewords, key=lambda word: float((y[i] - matrix @ word).norm()))
        assert torch.equal(found[i], best)


@pytest.mark.parametrize("p", [1, 2])
def test_the_nearest_index_is_that_of_the_norm_and_every_signal_has_one(p, monkeypatch):
    monkeypatch.setattr(decoders, "_TABLE", 20)
    points, x = normal(10, 4), normal(7, 4, seed=1)
    by_hand = [min(range(10), key=lambda i: float((points[i] - one).norm(p=p))) for one in x]
    assert decoders.nearest_index(points, x, p).tolist() == by_hand


def test_batches_keep_their_shape_and_signals_do_not_see_each_other():
    G, A, y = CodewordPath(4, 64, 3.0, 1.0), normal(2, 1, 6, 64), 0.1 * normal(5, 6, seed=1)
    for decode in (nearest_word, nearest_image):
        found = decode(G, A, y)
        assert found.shape == (2, 5, 64)
        torch.testing.assert_close(found[1, 3], decode(G, A[1, 0], y[3]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("own", [False, True])
def test_one_block_is_searched_exactly(own):
    G = CodewordPath(1, 16, 2.0, 1.0)
    A = normal(20, 3, 16) if own else normal(3, 16)
    y = 0.3 * normal(20, 3, seed=1)
    found = nearest_image(G, A, y)
    z = torch.linspace(0, 1, 20001, dtype=D).unsqueeze(-1)
    grid = (
        y.unsqueeze(1) - (A @ G(z).mT).mT.expand(20, -1, -1) if not own else y.unsqueeze(1) - G(z) @ A.mT
    ).norm(dim=-1)
    cost = (y - (A @ found.unsqueeze(-1)).squeeze(-1)).norm(dim=-1)
    assert bool((cost <= grid.amin(-1) + 1e-12).all())
    assert bool((cost >= grid.amin(-1) - 1e-3).all())


def test_two_blocks_reach_the_best_of_a_grid_of_all_pairs():
    G, A, y = CodewordPath(2, 16, 2.0, 1.0), normal(4, 16), 0.3 * normal(30, 4, seed=1)
    found = nearest_image(G, A, y, starts=G.size)
    line = torch.linspace(0, 8 * G.spacing, 400, dtype=D)
    z = torch.cartesian_prod(line, line)
    grid = torch.cdist(y, G(z) @ A.mT).amin(-1)
    cost = (y - found @ A.mT).norm(dim=-1)
    assert bool((cost <= grid + 1e-3).all())


def test_the_image_is_in_the_image_and_fits_no_worse_than_the_words():
    G, y = CodewordPath(4, 64, 3.0, 1.0), 0.3 * normal(50, 8, seed=1)
    A, _ = orthonormal_rows(normal(8, 64))
    word, image = nearest_word(G, A, y), nearest_image(G, A, y)
    costs = [(y - x @ A.mT).norm(dim=-1) for x in (word, image, nearest_image(G, A, y, starts=1, sweeps=1))]
    assert bool((costs[1] <= costs[0] + 1e-12).all())
    assert bool((costs[1] <= costs[2] + 1e-12).all())
    assert bool((costs[1] < costs[0] - 1e-3).any())
    # Of each block: one of the path's segments, and a share of it.
    eye = torch.eye(64, dtype=D)
    torch.testing.assert_close(nearest_image(G, eye, image), image, rtol=1e-9, atol=1e-12)


def test_of_places_that_fit_alike_the_first_is_taken():
    G, A = CodewordPath(1, 16, 2.0, 1.0), normal(1, 16)
    # One row along a path: it takes this value on several segments.
    path = (G.words @ A.mT).squeeze(-1)
    y = path[3:5].mean().reshape(1)
    crossed = ((path[:-1] - y) * (path[1:] - y) <= 0).nonzero().flatten()
    assert len(crossed) > 1
    first = int(crossed[0])
    share = (y - path[first]) / (path[first + 1] - path[first])
    by_hand = G.words[first] + share * (G.words[first + 1] - G.words[first])
    for scale in (1.0, 3.0, 1e-3):
        torch.testing.assert_close(nearest_image(G, scale * A, scale * y), by_hand)


def test_a_signal_of_the_image_comes_back():
    G = CodewordPath(3, 48, 3.0, 1.0)
    z = torch.rand(40, 3, generator=source(), dtype=D)
    x = G(z)
    A, _ = orthonormal_rows(normal(30, 48))
    torch.testing.assert_close(nearest_image(G, A, x @ A.mT, starts=20), x, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("decode", [nearest_word, nearest_image])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (Sigmoid(), torch.ones(2, 8), torch.ones(2)),
            TypeError,
            "G is a Sigmoid; it must be a CodewordPath",
        ),
        ((torch.ones(2, 8, dtype=D), torch.ones(3, dtype=D)), ValueError, r"y has shape \(3,\) and A has"),
        (
            (torch.ones(2, 9, dtype=D), torch.ones(2, dtype=D)),
            ValueError,
            "its last dimension must be n = 8, G's",
        ),
        ((torch.ones(2, 8), torch.ones(2)), TypeError, "y has dtype torch.float32 and G has torch.float64"),
    ],
)
def test_bad_systems_are_refused(decode, arguments, error, message):
    if len(arguments) == 2:
        arguments = (CodewordPath(2, 8, 1.0, 1.0), *arguments)
    with pytest.raises(error, match=message):
        decode(*arguments)


def test_sets_too_large_to_list_and_bad_options_are_refused():
    y = torch.ones(2, dtype=D)
    with pytest.raises(ValueError, match="to be listed it must have at most"):
        nearest_word(CodewordPath(8, 1024, 1.0, 1.0), torch.ones(2, 1024, dtype=D), y)
    for option in ("starts", "sweeps"):
        with pytest.raises(ValueError, match=f"{option} is 0; it must be at least 1"):
            nearest_image(CodewordPath(2, 8, 1.0, 1.0), torch.ones(2, 8, dtype=D), y, **{option: 0})


def test_of_words_with_the_same_measurements_the_first_is_taken_however_they_are_rounded():
    # Two rows of signs tell few of the words of signs apart.
    G = CodewordPath(4, 64, 8.0, 2.0)
    A = torch.stack([torch.ones(64, dtype=D), torch.arange(64) % 2 * 2.0 - 1]) / 8
    y = (G.codewords + 0.01 * normal(G.size, 64)) @ A.mT
    misfit = (y.unsqueeze(1) - G.codewords @ A.mT).norm(dim=-1)
    first = (misfit <= misfit.amin(-1, keepdim=True) + 1e-6).int().argmax(-1)
    assert len(first.unique()) < G.size / 2
    for angle in (0.0, 0.3, 1.0, 2.0):
        c, s = math.cos(angle), math.sin(angle)
        turn = torch.tensor([[c, s], [-s, c]], dtype=D)
        assert torch.equal(nearest_word(G, turn @ A, y @ turn.mT), G.codeword(first))


def test_a_matrix_and_measurements_of_zeros_leave_the_first_word():
    G = CodewordPath(2, 8, 4.0, 1.0)
    found = nearest_word(G, torch.zeros(3, 8, dtype=D), torch.zeros(3, dtype=D))
    assert torch.equal(found, G.codeword(torch.tensor(0)))
