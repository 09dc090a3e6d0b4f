"""The Lipschitz generator of Kamath, Karmalkar and Price that visits a large set of separated points."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import fed
from gsl_utils.generators.codes import (
    hamming_distances,
    largest_prime,
    reed_solomon_word,
    sign_code,
    sylvester,
)

__all__ = ["CodewordPath"]

_MOST_LISTED = 100_000
# Of the random code, whose size grows exponentially with the length of a block.
_MOST_WORDS = 4096
# A norm that was computed as a bound of this kind may be above it by a few roundings.
_ROUNDING = 1e-12


class CodewordPath(nn.Module):
    r"""A generator that runs along k paths through code words, and visits a large set of separated points.

    A signal has k blocks of :math:`n' = n/k` entries. The words of an inner code, M vectors of entries
    :math:`\pm R/n^{1/p}`, stand at equal steps on a line, and each latent coordinate moves a block along it:

    .. math:: G(z) = (g(z_1), \dots, g(z_k)),\qquad
              g \text{ linear between } g(j s) = c_j,\ j = 1, \dots, M,\qquad s = \frac{r}{k^{1/p} M},

    constant before the first word and after the last. Points that differ in one block only are close. So an
    outer code chooses which combinations count: Reed-Solomon words over the largest prime :math:`q \le M`,
    of length k and with messages of :math:`K = \lceil k/2 \rceil` symbols, of which any two differ in at
    least :math:`d = k - K + 1` blocks. Symbol s stands for word s + 1. These :math:`q^K` points of the
    l_p ball of radius r have images of norm R, at least ``separation`` apart.

    Args:
        k: The number of blocks; the latent dimension. For odd k the message is rounded up: the distance is
            still above k/2.
        n: The length of a signal, a multiple of k.
        lipschitz: L, the most that the Lipschitz constant in the l_p norm may be, above 0.
        radius: r, of the ball in which the points lie, above 0.
        norm: R, the norm of the points. By default the largest with which the path passes through all words
            of the inner code. A larger one leaves fewer words on it, as many as L allows; the printed
            hypothesis, R > 2Lr, leaves none.
        p: Of the norm, 1 or 2.
        inner: ``"hadamard"``, the n' rows of a Hadamard matrix, n' a power of two, any two at Hamming
            distance n'/2; or ``"random"``, up to 4096 words of ``sign_code``, from n'/3 to 2n'/3 apart.
        generator: The source of randomness of the random words.
        dtype: Of z and x.
        device: Of z and x.

    Attributes:
        latent_dim: k.
        alphabet: M, how many words are on the path of a block.
        q: The prime of the outer code.
        message_length: K.
        distance: d, in how many blocks two points differ at least.
        norm: R.
        spacing: s, the step from one word to the next.
        lipschitz: The Lipschitz constant in l_p, exactly: :math:`2 (h/n)^{1/p} R / s` with h the largest
            Hamming distance of two words that follow each other. By default it is L, with Hadamard words
            at :math:`R = Lr / (2^{1-1/p} M)`.
        radius: r.
        separation: :math:`2R (d h/n)^{1/p}` with h the least Hamming distance of two words in use: no two
            points are nearer. With Hadamard words it is :math:`2R (d/2k)^{1/p}`.
        size: How many points there are, :math:`q^K`, an integer of any length.
        log2_size: Its logarithm.

    Raises:
        TypeError: An argument has the wrong type; later, z has, or another dtype or device.
        ValueError: A size or a number is out of range, n is not a multiple of k, n/k is not a power of two
            for Hadamard words, the path has too few words for the outer code, or the device is not there;
            later, z has another length or is not finite, or an index is not that of a point.

    Source: Kamath, Karmalkar and Price (2020), Theorem 2.1 and its proof, corrected: the hypothesis is
    2R < Lr, the distances have a factor 2, g ends at its last word, and the outer code needs
    :math:`M \ge q \ge k`. Taught in chapter 3.

    >>> G = CodewordPath(4, 64, lipschitz=8.0, radius=2.0, norm=1.0, p=1)
    >>> G.size, G.separation, G.lipschitz
    (169, 0.75, 8.0)
    >>> torch.equal(G(G.knot(5)), G.codeword(5))
    True
    """

    words: Tensor

    def __init__(
        self,
        k: int,
        n: int,
        lipschitz: float,
        radius: float,
        *,
        norm: float | None = None,
        p: int = 2,
        inner: str = "hadamard",
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.latent_dim = self.k = checks.integer("k", k, 1)
        self.n = checks.integer("n", n, self.k)
        if self.n % self.k:
            raise ValueError(f"n is {n} and k is {k}; n must be a multiple of k, the number of blocks.")
        self.p, self.radius = checks.integer("p", p, 1, 2), checks.real("radius", radius, above=0.0)
        self.inner = checks.choice("inner", inner, ("hadamard", "random"))
        most = checks.real("lipschitz", lipschitz, above=0.0)
        checks.random_source(generator)
        checks.floating_dtype("dtype", dtype)
        place = checks.device("device", device, meta=True)
        # How far two words can be apart, as a share of a block: of all pairs, known before any is drawn.
        widest = 0.5 if inner == "hadamard" else 2 / 3
        allowed = None
        if norm is not None:
            wanted = checks.real("norm", norm, above=0.0)
            step = 2 * widest ** (1 / self.p) * wanted
            allowed = _allowed(most * self.radius / step, wanted, most, self.radius)
        code = _inner_code(self.inner, self.n // self.k, allowed, generator)
        self.alphabet = len(code)
        self.q = _prime(self.k, self.alphabet, self.inner)
        self.message_length = (self.k + 1) // 2
        self.distance = self.k - self.message_length + 1
        self.size = self.q**self.message_length
        self.log2_size = self.message_length * math.log2(self.q)
        self.spacing = self.radius / (self.k ** (1 / self.p) * self.alphabet)
        longest = int((code[1:] != code[:-1]).sum(-1).max())
        slope = 2 * (longest / self.n) ** (1 / self.p) / self.spacing
        self.norm = most / slope if norm is None else float(norm)
        self.lipschitz = slope * self.norm
        used = code[: self.q]
        least = int(hamming_distances(used, used).fill_diagonal_(self.n).min())
        self.separation = 2 * self.norm * (self.distance * least / self.n) ** (1 / self.p)
        entry = self.norm / self.n ** (1 / self.p)
        self.register_buffer("words", (code.double() * entry).to(place, dtype))

    def extra_repr(self) -> str:
        """What it is made of, for the module's ``repr``."""
        return (
            f"k={self.k}, n={self.n}, p={self.p}, inner={self.inner!r}, alphabet={self.alphabet}, "
            f"norm={self.norm:g}, radius={self.radius:g}"
        )

    def forward(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., k)``: shape ``(..., n)``."""
        z = fed("z", z, self.k, self.words)
        # Counted in words, the first at 1; outside of the first and the last nothing moves.
        place = (z / self.spacing).clamp(1, self.alphabet)
        before = place.detach().floor().clamp(1, self.alphabet - 1)
        left = self.words[before.long() - 1]
        right = self.words[before.long()]
        share = (place - before).unsqueeze(-1)
        return torch.lerp(left, right, share).flatten(-2)

    def symbols(self, index: int | Tensor) -> Tensor:
        """The outer word ``(..., k)`` of a point's index, int64 symbols from 0 to q - 1.

        The digits of the index in base q are the message, the lowest first.
        """
        return reed_solomon_word(self.q, self._message(index), self.k)

    def knot(self, index: int | Tensor) -> Tensor:
        """The latent point ``(..., k)`` of an index ``(...)``, an int or a tensor of them, below ``size``."""
        return (self.symbols(index) + 1).to(self.words.dtype) * self.spacing

    def codeword(self, index: int | Tensor) -> Tensor:
        """The image ``(..., n)`` of the point of an index ``(...)``: entries of one absolute value."""
        return self.words[self.symbols(index)].flatten(-2)

    @property
    def knots(self) -> Tensor:
        """All latent points, ``(size, k)``; refused above 1e5 of them."""
        return self.knot(self.indices)

    @property
    def codewords(self) -> Tensor:
        """All their images, ``(size, n)``; refused above 1e5 of them."""
        return self.codeword(self.indices)

    @property
    def indices(self) -> Tensor:
        """The indices of all points, ``(size,)``, int64; refused above 1e5 of them."""
        if self.size > _MOST_LISTED:
            raise ValueError(
                f"the set has 2^{self.log2_size:.1f} points; to be listed it must have at most "
                f"{_MOST_LISTED}: knot and codeword give single ones."
            )
        return torch.arange(self.size, device=self.words.device)

    def _message(self, index: int | Tensor) -> Tensor:
        """The digits ``(..., K)`` of an index in base q; of an int they are exact however long it is."""
        if not isinstance(index, Tensor):
            rest = checks.integer("index", index, 0, self.size - 1, "one less than the number of points")
            digits = []
            for _ in range(self.message_length):
                rest, digit = divmod(rest, self.q)
                digits.append(digit)
            return torch.tensor(digits, device=self.words.device)
        if index.dtype.is_floating_point or index.dtype.is_complex or index.dtype == torch.bool:
            raise TypeError(f"index has dtype {index.dtype}; it must be one of integers.")
        # Where there are more points than an int64 counts, all that it holds are among them.
        if bool(((index < 0) | (index.long() > min(self.size - 1, 2**63 - 1))).any()):
            raise ValueError(f"index has an entry outside of 0, ..., {self.size - 1}; all must be points.")
        left, found = index.long().to(self.words.device), []
        for _ in range(self.message_length):
            found.append(left % self.q)
            left = left // self.q
        return torch.stack(found, dim=-1)


def _allowed(share: float, norm: float, lipschitz: float, radius: float) -> int:
    """How many words of this norm the Lipschitz constant leaves on the path of a block."""
    number = math.floor(share * (1 + _ROUNDING))
    if number < 2:
        raise ValueError(
            f"norm is {norm:g} and lipschitz times radius is {lipschitz * radius:g}: the path has no room "
            f"for two words; norm must be at most {norm * share / 2:g}. (The theorem's printed hypothesis, "
            "R > 2Lr, is the wrong way round.)"
        )
    return number


def _inner_code(inner: str, length: int, allowed: int | None, generator: torch.Generator | None) -> Tensor:
    """The words on the path, signs: as many as the code has and the Lipschitz constant allows."""
    if inner == "hadamard":
        if length & (length - 1):
            raise ValueError(
                f"n / k is {length}; for Hadamard words it must be a power of two (inner='random' takes any)."
            )
        return sylvester(length)[:allowed]
    most = _MOST_WORDS if allowed is None else min(allowed, _MOST_WORDS)
    return sign_code(length, most, generator=generator)


def _prime(k: int, alphabet: int, inner: str) -> int:
    """The prime of the outer code: it needs as many symbols as there are blocks, to evaluate at."""
    if (prime := largest_prime(max(k, 2), alphabet)) is None:
        raise ValueError(
            f"the path of a block passes through {alphabet} {inner} words and k is {k}; there must be a "
            f"prime from {max(k, 2)} to the number of words, for the outer code: longer blocks have more "
            "words, and a smaller norm leaves more of them on the path."
        )
    return prime
