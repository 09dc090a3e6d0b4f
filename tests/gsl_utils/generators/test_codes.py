"""Reed-Solomon words and random words of signs: distances by brute force, a second method, refusals."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.generators.codes import (
    hamming_distances,
    largest_prime,
    reed_solomon,
    reed_solomon_word,
    sign_code,
    sylvester,
)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("q", "k", "length"), [(2, 1, 2), (3, 2, 3), (5, 1, 5), (5, 2, 4), (7, 3, 7), (11, 2, 6)]
)
def test_no_two_words_are_closer_than_singleton_allows_and_some_are_as_close(q, k, length):
    words = reed_solomon(q, k, length)
    assert len({tuple(word) for word in words.tolist()}) == q**k
    closest = min(int((a != b).sum()) for a, b in itertools.combinations(words, 2))
    assert closest == length - k + 1


@given(data=st.data())
def test_words_are_those_of_a_second_way_to_evaluate(data):
    q = data.draw(st.sampled_from([2, 3, 5, 13, 97, 2**31 - 1]))
    length = data.draw(st.integers(1, min(q, 12)))
    message = data.draw(st.lists(st.integers(0, q - 1), min_size=1, max_size=length))
    # Python's whole numbers, and the highest coefficient first.
    exact = np.polyval(np.array(message[::-1], dtype=object), np.array(range(length), dtype=object))
    assert reed_solomon_word(q, torch.tensor(message), length).tolist() == [int(value) % q for value in exact]


def test_all_words_come_in_the_order_of_their_messages():
    words = reed_solomon(5, 3, 4)
    i = torch.arange(125)
    message = torch.stack([i % 5, i // 5 % 5, i // 25], -1)
    assert torch.equal(words, reed_solomon_word(5, message, 4))
    assert reed_solomon_word(5, message.reshape(5, 25, 3), 4).shape == (5, 25, 4)


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_hadamard_words_are_orthogonal(n):
    H = sylvester(n)
    assert torch.equal(H.double() @ H.double().mT, n * torch.eye(n, dtype=torch.float64))


@pytest.mark.parametrize(("n", "seed"), [(9, 3), (64, 0), (100, 1), (128, 2)])
def test_all_pairs_of_random_words_are_in_the_interval_and_the_next_word_is_not(n, seed):
    words = sign_code(n, 10**4, generator=source(seed))
    assert set(words.unique().tolist()) <= {-1, 1}
    distances = torch.tensor([int((a != b).sum()) for a, b in itertools.combinations(words, 2)] or [n / 2])
    assert bool((3 * distances >= n).all())
    assert bool((3 * distances <= 2 * n).all())
    # The same stream again: one word more leaves the interval.
    drawn = (2 * torch.randint(2, (1024, n), generator=source(seed)) - 1)[: len(words) + 1]
    assert torch.equal(drawn[:-1], words.long())
    last = (drawn[:-1] != drawn[-1]).sum(-1)
    assert bool(((3 * last < n) | (3 * last > 2 * n)).any())


def test_random_words_go_on_over_blocks_and_stop_when_there_are_enough():
    words = sign_code(400, 1500, generator=source())
    assert words.shape == (1500, 400)
    distances = hamming_distances(words, words)[*torch.triu_indices(1500, 1500, 1)]
    assert bool(((3 * distances >= 400) & (3 * distances <= 800)).all())
    assert len(sign_code(400, 7, generator=source())) == 7


def test_a_later_block_is_held_against_all_words_before():
    words = sign_code(256, 4096, generator=source(6))
    assert 2048 < len(words) < 4096
    drawn = (2 * torch.randint(2, (len(words) + 1, 256), generator=source(6)) - 1).double()
    assert torch.equal(drawn[:-1], words.double())
    products = (drawn[:-1] @ drawn.mT).triu(1)
    # The inner product of two words is 256 less twice their distance.
    assert float(products[:, :-1].abs().max()) <= 256 / 3 < float(products[:, -1].abs().max())


def test_hamming_distances_are_counts_of_places():
    a, b = sign_code(30, 3, generator=source(4)), -sign_code(30, 3, generator=source(5))
    counted = torch.stack([torch.stack([(x != y).sum() for y in b]) for x in a])
    assert torch.equal(hamming_distances(a, b), counted)


@given(low=st.integers(0, 400), high=st.integers(-5, 400))
def test_the_largest_prime_is_found(low, high):
    sieve = [m for m in range(max(low, 2), high + 1) if not any(m % d == 0 for d in range(2, m))]
    assert largest_prime(low, high) == (max(sieve) if sieve else None)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: reed_solomon(6, 1, 2), ValueError, "q is 6; it must be a prime"),
        (lambda: reed_solomon(5, 1, 6), ValueError, "length is 6 and q is 5; a field of q numbers"),
        (lambda: reed_solomon(5, 3, 2), ValueError, "k is 3; it must be between 1 and 2"),
        (lambda: reed_solomon(101, 6, 6), ValueError, "it must have at most 1e"),
        (lambda: reed_solomon(2.0, 1, 2), TypeError, "q is 2.0; it must be an integer"),
        (lambda: reed_solomon_word(5, [1], 2), TypeError, "message is a list; it must be a torch.Tensor"),
        (lambda: reed_solomon_word(5, torch.ones(1), 2), TypeError, "message has dtype torch.float32"),
        (lambda: reed_solomon_word(5, torch.tensor(1), 2), ValueError, r"message has shape \(\)"),
        (lambda: reed_solomon_word(5, torch.ones(3).int(), 2), ValueError, r"message has shape \(3,\)"),
        (
            lambda: reed_solomon_word(5, torch.tensor([5]), 2),
            ValueError,
            "message holds a symbol outside of 0",
        ),
        (
            lambda: reed_solomon_word(5, torch.tensor([-1]), 2),
            ValueError,
            "message holds a symbol outside of 0",
        ),
        (lambda: sylvester(12), ValueError, "n is 12; it must be a power of two"),
        (lambda: sign_code(0, 1), ValueError, "n is 0; it must be at least 1"),
        (lambda: sign_code(4, 0), ValueError, "most is 0; it must be at least 1"),
        (lambda: sign_code(4, 1, generator=3), TypeError, "generator is a int"),
    ],
)
def test_bad_codes_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
