"""The number of rows that the proof of the lower bound forces, with all of its constants."""

from __future__ import annotations

import math

import numpy as np

from gsl_utils.common import checks

__all__ = ["forced_rows"]

_SUCCESS = 2 / 3


def forced_rows(n: int, *, factor: float = 1.0) -> float:
    r"""The most rows that the proof of Theorem 1.1 forces on signals of length n, over all k, L, r and delta.

    Where the paper says "of the order of" this takes, at each step, what the step needs or something more
    favourable to the bound:

    1. An inner code of length :math:`n' = n/k` with distances from n'/3 to 2n'/3, of the size that the
       argument of Gilbert and Varshamov gives: :math:`M = 2^{n'}` over the number of words outside of those
       distances from one. (A larger one is not known to exist.) L, r and delta are such that the path passes
       through all.
    2. An outer code with messages of :math:`\lceil k/2 \rceil` symbols, if :math:`M \ge k`:
       :math:`\log_2|X| = \lceil k/2 \rceil \log_2 M`, the step down to a prime forgiven.
    3. :math:`t = \lfloor \log_2 n \rfloor` chunks: strings of :math:`d = t \log_2 |X|` bits, rounding
       forgiven.
    4. A message that lets Bob succeed with 2/3 has at least :math:`d\,(1 - H(2/3))` bits, H the binary
       entropy: every bit of the string that is found with 2/3, given those behind it, is worth that share.
    5. The rounding error is hidden if :math:`\|s\| \le R/(D^t n^2)`, which with Lemma 3.1 and
       :math:`\|w\| \le RD/(D - 1)` takes the least b with :math:`2^b \ge n^4 D^{t+1}/(D - 1)`, where
       :math:`D = 48 (C + 1)`.
    6. An entry of :math:`A'x`, a whole number in units of :math:`2^{-b} R/n^{1/p}`, is at most
       :math:`2^b (\sqrt n + n 2^{-b}) \sum_{j \le t} D^j` in absolute value, which takes :math:`\beta` bits.

    The rows are then at least :math:`m \ge d\,(1 - H(2/3))/\beta`.

    Args:
        n: The length of a signal, at least 2.
        factor: C, of the recovery guarantee, at least 1.

    Returns:
        The bound on m, not rounded up: below one it says nothing.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: Kamath, Karmalkar and Price (2020), Section 3; the constants are put together here. Taught in
    chapter 3.

    >>> forced_rows(999) < 1 < forced_rows(10**5)
    True
    """
    n, factor = checks.integer("n", n, 2), checks.real("factor", factor, low=1.0)
    chunks, base = n.bit_length() - 1, math.ceil(48 * (factor + 1))
    bits = _least_bits(n**4 * base ** (chunks + 1), base - 1)
    weights = base * (base**chunks - 1) // (base - 1)
    entry = 1 + bits + math.log2(weights) + math.log2(math.sqrt(n) + n / 2**bits)
    entropy = -_SUCCESS * math.log2(_SUCCESS) - (1 - _SUCCESS) * math.log2(1 - _SUCCESS)
    return chunks * _log2_set(n) * (1 - entropy) / entry


def _least_bits(above: int, below: int) -> int:
    """The least b with 2^b at least above / below."""
    return ((above - 1) // below).bit_length()


def _log2_set(n: int) -> float:
    """The largest log2 of the size of the separated set, over all numbers of blocks that divide n."""
    best = 0.0
    for k in (k for k in range(1, n + 1) if n % k == 0):
        words = _log2_words(n // k)
        if words >= math.log2(k):
            best = max(best, (k + 1) // 2 * words)
    return best


def _log2_words(length: int) -> float:
    """The log2 of the words that Gilbert and Varshamov's argument gives at distances from 1/3 to 2/3."""
    near = np.arange((length + 2) // 3)
    # Words nearer than a third, from the logarithms of binomial coefficients; as many are farther than two.
    logs = np.array([math.lgamma(h + 1) + math.lgamma(length - h + 1) for h in near])
    logs = math.lgamma(length + 1) - logs
    total = logs.max() + math.log(np.exp(logs - logs.max()).sum())
    return float(length - 1 - total / math.log(2))
