"""What augmented indexing costs: the best of all protocols of a given length, by linear programming."""

from __future__ import annotations

import numpy as np

from gsl_utils.common import checks

__all__ = ["best_protocol"]

_MOST_PROTOCOLS = 1_000_000


def best_protocol(d: int, bits: int) -> float:
    r"""The best success on the worst input that augmented indexing of d bits has with a message of b bits.

    Alice holds a string of d bits and sends b bits. Bob is asked for bit i; he holds the message, i, and the
    bits behind the i-th. They share random bits, so that a protocol is a mixture of deterministic ones, and

    .. math:: p^* = \max_{\text{mixtures}}\ \min_{i}\
              \mathbb{E}_{f}\ \frac{1}{2^d} \sum_{\mu,\,\text{suffix}}
              \max_{\beta}\, \#\{y : f(y) = \mu,\ y_i = \beta,\ (y_{i+1}, \dots, y_d) = \text{suffix}\}.

    The formula says what is left to choose. A shared random mask, added to Alice's string, makes
    success the same for all strings, without loss; and for a given message function f Bob answers
    each of his questions by itself, with the bit that is right more often. Left is the mixture of functions
    f, a linear program with one variable for each vector of d successes that some f has.

    Args:
        d: The length of the string, from 1 to 4.
        bits: b, from 0 to d; there must be at most a million functions f, :math:`2^{b 2^d}` of them: any b
            up to d = 3, and for d = 4 one of 0, 1 and 4.

    Returns:
        The success probability, from 1/2 to 1.

    Raises:
        TypeError: An argument is not an integer.
        ValueError: An argument is out of range, or there are too many functions.
        ImportError: scipy is not installed.

    Source: Kamath, Karmalkar and Price (2020), Theorem 3.2, after Miltersen et al. (1998). Taught in
    chapter 3.

    >>> round(best_protocol(2, 1), 9), best_protocol(2, 0), best_protocol(2, 2)
    (0.75, 0.5, 1.0)
    """
    d = checks.integer("d", d, 1, 4, "above which there are too many protocols")
    bits = checks.integer("bits", bits, 0, d, "the length of the string")
    if bits == d:
        return 1.0
    if 2 ** (bits * 2**d) > _MOST_PROTOCOLS:
        raise ValueError(
            f"bits is {bits} and d is {d}, with 2^{bits * 2**d} message functions; there must be "
            f"at most {_MOST_PROTOCOLS}."
        )
    return _best_mixture(np.unique(_successes(d, 2**bits), axis=0) / 2**d)


def _successes(d: int, messages: int) -> np.ndarray:
    """For every message function, of how many strings Bob gets bit i right: ``(functions, d)``, integers."""
    strings = np.arange(2**d)
    # f(y) is digit y of the function's number, in base `messages`; the first bit of a string is its highest.
    functions = np.arange(messages ** len(strings))[:, None] // messages**strings % messages
    right = np.zeros((len(functions), d), dtype=np.int64)
    for i in range(d):
        behind = strings % 2 ** (d - 1 - i)
        bit = strings >> (d - 1 - i) & 1
        for suffix in range(2 ** (d - 1 - i)):
            for message in range(messages):
                held = (functions == message) & (behind == suffix)
                ones = (held & (bit == 1)).sum(-1)
                right[:, i] += np.maximum(ones, held.sum(-1) - ones)
    return right


def _best_mixture(successes: np.ndarray) -> float:
    """The largest least entry that a convex combination of rows has."""
    try:
        from scipy.optimize import linprog
    except ImportError as error:
        raise ImportError(
            "best_protocol solves a linear program and needs scipy: pip install scipy."
        ) from error
    rows, d = successes.shape
    gain = np.append(np.zeros(rows), -1.0)
    below = np.hstack([-successes.T, np.ones((d, 1))])
    whole = np.append(np.ones(rows), 0.0)[None]
    solved = linprog(gain, A_ub=below, b_ub=np.zeros(d), A_eq=whole, b_eq=[1.0], method="highs")
    return float(-solved.fun)
