"""Augmented indexing with measurements for a message: exact fractions, both ends of its success, refusals."""

import math
from fractions import Fraction

import pytest
import torch

from gsl_utils.generators import CodewordPath, Sigmoid
from gsl_utils.lower_bound import (
    augmented_indexing,
    discretise,
    nearest_image,
    nearest_word,
    orthonormal_rows,
)

D = torch.float64


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def game(k=4, n=64, runs=60, m=6, chunks=6, p=2, seed=0, inner="hadamard"):
    draw = source(seed)
    G = CodewordPath(k, n, 8.0, 2.0, p=p, inner=inner, generator=draw)
    A, _ = orthonormal_rows(torch.randn(runs, m, n, generator=draw, dtype=D))
    d = chunks * (G.size.bit_length() - 1)
    strings = torch.randint(2, (runs, d), generator=draw)
    return G, A, strings, torch.randint(d, (runs,), generator=draw)


@pytest.mark.parametrize("rounding", ["down", "nearest"])
@pytest.mark.parametrize("chunks", [1, 3, 12])
def test_the_message_is_the_one_of_exact_fractions(chunks, rounding):
    G, A, strings, index = game(k=2, n=16, runs=5, m=3, chunks=chunks)
    seen = {}

    def listen(G, A, y):
        seen["y"] = y
        return nearest_word(G, A, y)

    bits, per = 20, 2
    run = augmented_indexing(
        G, A, strings, index, bits=bits, algorithm=listen, rounding=rounding, smoothing=False
    )
    rounded = discretise(A, bits, rounding=rounding)
    for r in range(5):
        words = [
            G.codeword(int("".join(map(str, strings[r, per * j : per * j + per].tolist())), 2)).sign()
            for j in range(chunks)
        ]
        j = int(index[r]) // per
        for i in range(3):
            row = [Fraction(value) for value in rounded[r, i].tolist()]
            dots = [sum(a * int(s) for a, s in zip(row, word.tolist(), strict=True)) for word in words]
            whole = sum(96 ** (c + 1) * dot for c, dot in enumerate(dots))
            held = sum(96 ** (c + 1) * dot for c, dot in enumerate(dots) if c <= j)
            assert run.message[r, i] == whole * 2**bits
            assert run.residuals[r, i] == held * 2**bits
            exact = held / 96 ** (j + 1)
            assert seen["y"][r, i].item() == pytest.approx(float(exact) * G.norm / 4, rel=1e-14)
            assert abs(run.message[r, i]) <= 2 ** (run.message_bits[r] // 3 - 1)
    assert run.chunk.tolist() == (index // per).tolist()
    assert run.base == 96


def test_a_message_has_room_for_all_strings_and_is_not_longer_than_that_takes():
    G, A, strings, index = game(k=2, n=16, runs=1, m=2, chunks=3)
    run = augmented_indexing(G, A, strings, index, bits=7)
    largest = int((discretise(A[0], 7) * 128).abs().sum(-1).max()) * (96 + 96**2 + 96**3)
    assert run.message_bits == (2 * (2 * largest).bit_length(),)
    shared = augmented_indexing(G, A[0], strings, index, bits=7)
    assert shared.message_bits == run.message_bits


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("inner", ["hadamard", "random"])
@pytest.mark.parametrize("algorithm", [nearest_word, nearest_image])
def test_bob_reads_every_bit_from_enough_rows_of_enough_bits(p, inner, algorithm):
    k, n = (4, 64) if inner == "hadamard" else (2, 256)
    G, A, strings, index = game(k=k, n=n, p=p, runs=40, m=16, inner=inner)
    run = augmented_indexing(G, A, strings, index, bits=70, algorithm=algorithm, generator=source())
    assert bool(run.right.all())
    assert bool((run.decoding_error < G.separation / 2).all())
    asked = strings.gather(1, index.unsqueeze(-1)).squeeze(-1)
    assert torch.equal(run.bit, asked)
    assert torch.equal(run.answer, asked)


def test_bob_guesses_when_an_entry_has_too_few_bits():
    G, A, strings, index = game(runs=400, m=6)
    run = augmented_indexing(G, A, strings, index, bits=0, rounding="nearest", generator=source())
    assert (run.residuals == 0).mean() > 0.99
    assert 0.4 < float(run.right.double().mean()) < 0.6


def test_what_is_right_is_what_the_answers_say():
    G, A, strings, index = game(runs=100, m=1)
    run = augmented_indexing(G, A, strings, index, bits=8, algorithm=nearest_image, generator=source())
    assert torch.equal(run.right, run.answer == run.bit)
    assert 0 < int(run.right.sum()) < 100
    near = run.decoding_error < G.separation / 2
    assert bool(run.right[near].all())


def test_the_smoothing_is_a_point_of_the_ball_of_the_chunk():
    G, A, strings, index = game(runs=50, m=64, k=4, n=64)
    seen = []

    def listen(G, A, y):
        seen.append(y)
        return nearest_word(G, A, y)

    for smoothing in (False, True):
        augmented_indexing(
            G, A, strings, index, bits=50, algorithm=listen, smoothing=smoothing, generator=source()
        )
    # A has an inverse here: u itself is seen.
    u = ((seen[0] - seen[1]).unsqueeze(-2) @ A).squeeze(-2)
    radius = G.norm / 96.0 ** (index // 7 + 1)
    share = u.norm(dim=-1) / radius
    first = index // 7 < 4  # later ones are below the roundings of y
    assert bool((share[first] <= 1 + 1e-6).all())
    assert float(share[first].mean()) == pytest.approx(64 / 65, abs=0.02)


def test_runs_do_not_see_each_other_and_their_source_decides():
    G, A, strings, index = game(runs=6)
    whole = augmented_indexing(G, A, strings, index, bits=40, smoothing=False)
    part = augmented_indexing(G, A[2:3], strings[2:3], index[2:3], bits=40, smoothing=False)
    assert (whole.message[2:3] == part.message).all()
    assert whole.decoded[2] == part.decoded[0]
    one, two = (augmented_indexing(G, A, strings, index, bits=40, generator=source(3)) for _ in range(2))
    assert torch.equal(one.decoding_error, two.decoding_error)
    # What Bob must not see does not change what he is left with: the chunks behind his are taken away.
    other = strings.clone()
    later = torch.arange(strings.shape[1]) >= 7 * (index // 7 + 1).unsqueeze(-1)
    other[later] = 1 - other[later]
    assert (
        augmented_indexing(G, A, other, index, bits=40, smoothing=False).residuals == whole.residuals
    ).all()


@pytest.mark.parametrize("p", [1, 2])
def test_the_decoding_error_is_in_the_norm_of_the_generator(p):
    G, A, strings, index = game(p=p, runs=3)
    run = augmented_indexing(
        G, A, strings, index, bits=40, algorithm=lambda G, A, y: torch.zeros(3, 64, dtype=D)
    )
    torch.testing.assert_close(run.decoding_error, torch.full((3,), G.norm, dtype=D))


def test_a_larger_factor_takes_a_larger_base():
    G, A, strings, index = game(runs=2)
    assert augmented_indexing(G, A, strings, index, bits=40, factor=3.01).base == math.ceil(48 * 4.01)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"G": Sigmoid()}, TypeError, "G is a Sigmoid; it must be a CodewordPath"),
        ({"A": torch.ones(6, 64, dtype=D)}, ValueError, "A has rows that are not orthonormal"),
        ({"A": torch.eye(64)[:3]}, TypeError, "G has dtype torch.float64 and A has torch.float32"),
        ({"A": torch.eye(63, dtype=D)}, ValueError, r"A has shape \(63, 63\); it must be \(m, 64\), or"),
        (
            {"A": torch.eye(64, dtype=D).expand(3, 64, 64)},
            ValueError,
            r"it must be \(m, 64\), or \(2, m, 64\)",
        ),
        ({"strings": [[0]]}, TypeError, "strings is a list"),
        ({"strings": torch.zeros(2, 14)}, TypeError, "strings has dtype torch.float32"),
        (
            {"strings": torch.zeros(14).long()},
            ValueError,
            r"strings has shape \(14,\); it must be \(runs, d\)",
        ),
        (
            {"strings": torch.zeros(2, 13).long()},
            ValueError,
            "strings have 13 bits; it must be a multiple of 7",
        ),
        (
            {"strings": torch.zeros(2, 0).long()},
            ValueError,
            "strings have 0 bits; it must be a multiple of 7",
        ),
        ({"strings": 2 * torch.ones(2, 14).long()}, ValueError, "strings hold other numbers than 0 and 1"),
        ({"index": torch.tensor([0, 14])}, ValueError, "index has shape .* from 0 to 13"),
        ({"index": torch.tensor([0, -1])}, ValueError, "index has shape .* from 0 to 13"),
        ({"index": torch.tensor([0])}, ValueError, "it must have one entry for each of the 2 strings"),
        ({"index": torch.tensor(0)}, ValueError, r"index has shape \(\); it must be \(runs,\)"),
        ({"bits": -1}, ValueError, "bits is -1; it must be between 0 and 1000"),
        ({"factor": 0.5}, ValueError, "factor is 0.5; it must be at least 1"),
        ({"algorithm": None}, TypeError, "algorithm is None; it must be callable"),
        ({"rounding": "up"}, ValueError, "rounding is 'up'; it must be one of"),
        ({"smoothing": 1}, TypeError, "smoothing is 1; it must be True or False"),
    ],
)
def test_bad_runs_are_refused(change, error, message):
    arguments = {
        "G": CodewordPath(4, 64, 8.0, 2.0),
        "A": torch.eye(64, dtype=D)[:6],
        "strings": torch.zeros(2, 14).long(),
        "index": torch.tensor([0, 13]),
        "bits": 40,
    } | change
    with pytest.raises(error, match=message):
        augmented_indexing(**arguments)
