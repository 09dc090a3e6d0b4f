"""The codes behind the separated set: words of signs, and Reed-Solomon words over a prime field."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gsl_utils.common import checks

__all__ = [
    "hamming_distances",
    "largest_prime",
    "reed_solomon",
    "reed_solomon_word",
    "sign_code",
    "sylvester",
]

_MOST_SYMBOLS = 10**8
# Horner's rule holds q (q - 1) in an int64.
_LARGEST_FIELD = 2**31
_BLOCK = 1024


def reed_solomon_word(q: int, message: Tensor, length: int) -> Tensor:
    r"""The Reed-Solomon word of a message: its polynomial at 0, 1, ..., length - 1, modulo the prime q.

    .. math:: w_i = \sum_{l} a_l\, i^l \bmod q,\qquad i = 0, \dots, \text{length} - 1

    Two words of one message length K agree in at most K - 1 places, since their difference is a polynomial of
    degree below K: their Hamming distance is at least length - K + 1, and some two are as close as that.

    Args:
        q: A prime, at least ``length``, so that the points are distinct.
        message: The coefficients ``(..., K)``, integers from 0 to q - 1, that of the constant first; K is at
            most ``length``.
        length: The number of symbols of a word.

    Returns:
        The words ``(..., length)``, int64.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: q is not a prime, a size does not fit, or a symbol is not in the field.

    Source: the outer code of Kamath, Karmalkar and Price (2020), proof of Theorem 2.1. Taught in chapter 3.

    >>> reed_solomon_word(5, torch.tensor([[1, 2], [1, 3]]), 4)
    tensor([[1, 3, 0, 2],
            [1, 4, 2, 0]])
    """
    q, length = _field(q, length)
    if not isinstance(message, Tensor):
        raise TypeError(f"message is a {type(message).__name__}; it must be a torch.Tensor of integers.")
    if message.dtype.is_floating_point or message.dtype.is_complex or message.dtype == torch.bool:
        raise TypeError(f"message has dtype {message.dtype}; it must be one of integers.")
    if message.ndim < 1 or not 1 <= message.shape[-1] <= length:
        raise ValueError(
            f"message has shape {tuple(message.shape)}; its last dimension must be between 1 and "
            f"length = {length}."
        )
    symbols = message.long()
    if bool(((symbols < 0) | (symbols >= q)).any()):
        raise ValueError(f"message holds a symbol outside of 0, ..., {q - 1}; all must be in the field.")
    points = torch.arange(length, device=message.device)
    word = torch.zeros(*message.shape[:-1], length, dtype=torch.int64, device=message.device)
    for coefficient in symbols.flip(-1).unbind(-1):
        word = (word * points + coefficient.unsqueeze(-1)) % q
    return word


def reed_solomon(q: int, k: int, length: int) -> Tensor:
    r"""All :math:`q^k` Reed-Solomon words with messages of length k, in the order of the messages.

    Message number i has the digits of i in base q for its coefficients, the lowest digit that of the
    constant.

    Args:
        q: A prime, at least ``length``.
        k: The length of a message, from 1 to ``length``.
        length: The number of symbols of a word.

    Returns:
        The words ``(q ** k, length)``, int64; any two differ in at least ``length - k + 1`` places.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: q is not a prime, a size does not fit, or there are more than 1e8 symbols in all.

    Source: the outer code of Kamath, Karmalkar and Price (2020), proof of Theorem 2.1. Taught in chapter 3.

    >>> reed_solomon(3, 1, 2).tolist(), len(reed_solomon(5, 2, 4))
    ([[0, 0], [1, 1], [2, 2]], 25)
    """
    q, length = _field(q, length)
    k = checks.integer("k", k, 1, length, "the length of a word")
    if q**k * length > _MOST_SYMBOLS:
        raise ValueError(
            f"q is {q}, k is {k} and length is {length}, a code of {q**k * length} symbols; it must have "
            f"at most {_MOST_SYMBOLS:.0e}: reed_solomon_word gives single words."
        )
    number = torch.arange(q**k).unsqueeze(-1)
    return reed_solomon_word(q, number // q ** torch.arange(k) % q, length)


def sylvester(n: int) -> Tensor:
    """The Sylvester-Hadamard matrix of n signs a row, int8; any two of its rows differ in n / 2 places."""
    if checks.integer("n", n, 1) & (n - 1):
        raise ValueError(f"n is {n}; it must be a power of two, for Hadamard words.")
    H = torch.ones(1, 1, dtype=torch.int8)
    while len(H) < n:
        H = torch.cat([torch.cat([H, H], dim=-1), torch.cat([H, -H], dim=-1)])
    return H


def sign_code(n: int, most: int, *, generator: torch.Generator | None = None) -> Tensor:
    r"""Random words of signs whose Hamming distances are all from n/3 to 2n/3.

    Words are drawn one after another, until there are ``most`` of them or the next one would fall outside of
    that interval with one drawn before. Their number grows exponentially with n, some :math:`2^{0.041 n}`:
    half of :math:`1 - H(1/3)`, because the first of many pairs ends it.

    Args:
        n: The length of a word.
        most: The most words.
        generator: The source of randomness.

    Returns:
        The words ``(N, n)``, int8 of -1 and 1, with N from 1 to ``most``.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A size is below 1.

    Source: Kamath, Karmalkar and Price (2020), Lemma 3.3, which takes a balanced linear code instead.
    Taught in chapter 3.

    >>> words = sign_code(64, 5, generator=torch.Generator().manual_seed(0))
    >>> distances = hamming_distances(words, words)[*torch.triu_indices(5, 5, 1)]
    >>> bool((3 * distances >= 64).all() and (3 * distances <= 128).all())
    True
    """
    n, most = checks.integer("n", n, 1), checks.integer("most", most, 1)
    source = checks.random_source(generator)
    place = torch.device("cpu") if source is None else source.device
    words = torch.empty(0, n, dtype=torch.int8, device=place)
    while len(words) < most:
        drawn = torch.randint(2, (min(_BLOCK, most - len(words)), n), generator=generator, device=place)
        new = (2 * drawn - 1).to(torch.int8)
        apart = 3 * hamming_distances(new, torch.cat([words, new]))
        earlier = torch.ones_like(apart, dtype=torch.bool).tril(len(words) - 1)
        outside = (((apart < n) | (apart > 2 * n)) & earlier).any(-1)
        if bool(outside.any()):
            return torch.cat([words, new[: int(outside.int().argmax())]])
        words = torch.cat([words, new])
    return words


def hamming_distances(a: Tensor, b: Tensor) -> Tensor:
    """In how many places each word of signs of ``a (M, n)`` differs from each of ``b (N, n)``: ``(M, N)``."""
    # Products of signs and their sums are whole numbers, exact in float64.
    return ((a.shape[-1] - a.double() @ b.double().mT) / 2).long()


def largest_prime(low: int, high: int) -> int | None:
    """The largest prime from ``low`` to ``high``, or None where there is none."""
    return next((number for number in range(high, max(low, 2) - 1, -1) if _is_prime(number)), None)


def _field(q: int, length: int) -> tuple[int, int]:
    """A prime field and a length of its words that fits."""
    q = checks.integer("q", q, 2, _LARGEST_FIELD, "so that products fit in 64 bits")
    length = checks.integer("length", length, 1)
    if not _is_prime(q):
        raise ValueError(f"q is {q}; it must be a prime.")
    if length > q:
        raise ValueError(
            f"length is {length} and q is {q}; a field of q numbers has q points to evaluate at, and length "
            "must be at most q."
        )
    return q, length


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
