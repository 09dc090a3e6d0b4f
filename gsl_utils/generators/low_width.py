"""The randomised network of low width of Kamath, Karmalkar and Price, with its unit corrected."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import fed
from gsl_utils.generators.low_width_geometry import (
    common_direction,
    crossing_tangent,
    gadget_sets,
    inputs_to_try,
    reaching_tangent,
)
from gsl_utils.generators.low_width_layers import dense_network
from gsl_utils.generators.low_width_preimage import preimages

__all__ = ["LowWidthSparseReLU"]

_MOST_WEIGHTS = 100_000_000
_MOST_SUBSETS = 1_000_000


class LowWidthSparseReLU(nn.Module):
    r"""A ReLU network with k + 1 inputs and 6n units, whose range is the set of all k-sparse vectors.

    .. math:: G(z)_i = F_{2i-1}(z) - F_{2i}(z), \qquad
              F_j(z) = |b_j + a_j| + |b_j - a_j| - 2|a_j| = 2\,[\,|b_j| - |a_j|\,]_+,
              \qquad a_j = \langle z, v_j\rangle,\ b_j = \tan\alpha\,\langle z, v'_j\rangle

    Each of the 2n gadgets has its random unit vector :math:`v_j` and a random unit vector :math:`v'_j \perp
    v_j`. It is active in a double wedge: where z, projected on the plane of the two, lies within the angle
    alpha of :math:`\pm v'_j`. For each set S of k gadgets there is one direction, orthogonal to their
    vectors :math:`v_j`, along which all of them are active. Where no k + 1 wedges meet no image has more than
    k non-zeros; ``safe_tan_alpha`` ensures it, and that every k-sparse vector is an image.

    In the code gadgets are counted from 0: gadget ``2 i`` makes entry i positive and ``2 i + 1`` negative.

    Args:
        n: The length of a signal.
        k: The most non-zeros of a signal, from 1 to n.
        tan_alpha: The tangent of the wedges' half angle, above 0. In floating point an image is known to
            some 20 eps / ``tan_alpha`` of its norm, with eps the relative rounding of the dtype: at 1e-7, to
            4e-8 in float64, and not at all in float32. In float64 nothing is left below about 1e-14, so that
            the paper's own :math:`n^{-8k}` is out of reach for all but the smallest n and k.
        generator: The source of randomness of the vectors.
        dtype: Of the vectors. float32 needs wedges of 1e-3 and more, and k and n for which these are safe.
        device: Of the vectors.

    Raises:
        TypeError: An argument has the wrong type; later, z or x has, or another dtype or device than the
            vectors.
        ValueError: A size is below 1, k is above n, ``tan_alpha`` is not above 0, or the device is not there;
            later, z or x has another length, or NaN or infinite entries.

    Source: Kamath, Karmalkar and Price (2020), Theorem 2.2 and Section 4.2, whose printed unit lacks
    :math:`[-(b+a)]_+` and :math:`[-(b-a)]_+`. Taught in chapter 2.

    >>> G = LowWidthSparseReLU(6, 2, generator=torch.Generator().manual_seed(0))
    >>> x = torch.tensor([0.0, 3.0, 0.0, 0.0, -1.0, 0.0], dtype=torch.float64)
    >>> G.latent_dim, G(G.encode(x)).round(decimals=5)
    (3, tensor([ 0.,  3.,  0.,  0., -1.,  0.], dtype=torch.float64))
    """

    v: Tensor
    v_prime: Tensor

    def __init__(
        self,
        n: int,
        k: int,
        *,
        tan_alpha: float = 1e-7,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.n = checks.integer("n", n, 1)
        self.k = checks.integer("k", k, 1, self.n, "n")
        self.latent_dim = self.k + 1
        checks.random_source(generator)
        checks.floating_dtype("dtype", dtype)
        place = checks.device("device", device, meta=True)
        self.tan_alpha = _tangent(tan_alpha, dtype)
        # Drawn in double precision on the generator's device: the same vectors in either dtype and anywhere.
        origin = place if generator is None else generator.device
        drawn = torch.randn(2, 2 * n, k + 1, generator=generator, dtype=torch.float64, device=origin)
        v = drawn[0] / drawn[0].norm(dim=-1, keepdim=True)
        v_prime = drawn[1]
        for _ in range(2):  # the second time takes away what rounding left of the first
            v_prime = v_prime - (v_prime * v).sum(-1, keepdim=True) * v
            v_prime = v_prime / v_prime.norm(dim=-1, keepdim=True)
        self.register_buffer("v", v.to(place, dtype))
        self.register_buffer("v_prime", v_prime.to(place, dtype))

    def extra_repr(self) -> str:
        """The arguments, for the module's ``repr``."""
        return f"n={self.n}, k={self.k}, tan_alpha={self.tan_alpha:g}"

    def forward(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., k + 1)``: shape ``(..., n)``, exactly zero where no gadget is active."""
        z = fed("z", z, self.latent_dim, self.v)
        across, along = z @ self.v.mT, self.tan_alpha * (z @ self.v_prime.mT)
        F = 2 * (along.abs() - across.abs()).clamp(min=0)
        return F[..., 0::2] - F[..., 1::2]

    def with_tan_alpha(self, tan_alpha: float) -> LowWidthSparseReLU:
        """The same vectors with wedges of another half angle; ``tan_alpha`` is as for the class.

        >>> G = LowWidthSparseReLU(6, 2, generator=torch.Generator().manual_seed(0))
        >>> G.with_tan_alpha(0.5 * G.safe_tan_alpha()).tan_alpha > G.tan_alpha
        True
        """
        other = copy.deepcopy(self)
        other.tan_alpha = _tangent(tan_alpha, self.v.dtype)
        return other

    def as_sequential(self) -> nn.Sequential:
        r"""The same as a plain network: one hidden layer of 6n ReLUs, no bias.

        .. math:: F = 2\,\big([a+b]_+ + [a-b]_+ - 2[a]_+\big)

        Three units a gadget, and not one for each sign of the three magnitudes: with :math:`|u| = 2[u]_+ - u`
        the linear parts cancel. Outside of its wedge the sum is zero to rounding only, some eps of the
        input's norm.

        Raises:
            ValueError: The network would have more than 1e8 weights.

        Source: Section 4.2 of the paper, corrected. Taught in chapter 2.

        >>> network = LowWidthSparseReLU(6, 2, generator=torch.Generator().manual_seed(0)).as_sequential()
        >>> [tuple(layer.weight.shape) for layer in (network[0], network[2])]
        [(36, 3), (6, 36)]
        """
        if (weights := 6 * self.n * (self.latent_dim + self.n)) > _MOST_WEIGHTS:
            must = f"it must have at most {_MOST_WEIGHTS}: call the generator itself, which makes no matrix"
            raise ValueError(f"n is {self.n}: the dense network would have {weights} weights; {must}.")
        return dense_network(self.v, self.tan_alpha * self.v_prime)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        r"""An input whose image is ``x``, for every x with at most k non-zeros.

        The angle has to be small enough for that: ``safe_tan_alpha`` is.

        .. math:: \langle z, \sigma_i\tan\alpha\,v'_i - v_i\rangle = \tfrac12|x_i| \quad (i \in S), \qquad
                  \langle z, w\rangle = \lambda,
                  \qquad \sigma_i = \operatorname{sign}\langle v'_i, w\rangle

        S are the gadgets of the non-zeros, :math:`w` is their common direction, and lambda is the least with
        :math:`\langle z, v_i\rangle \ge 0` on S: one linear system of size k + 1 for each signal. Fewer
        than k non-zeros leave several common directions, of which w is the one, among some that are tried,
        farthest from the wedges of other gadgets. The input of 0 is 0.

        The system is solved in float64, to rounding. What rounds then is z, whose norm is some 10 to 1000
        times that of x over ``tan_alpha``: the image is off by a few eps of the norm of z, mostly some
        20 eps / ``tan_alpha`` of the norm of x, and entries smaller than this beside the largest are lost.
        Of k non-zeros all other gadgets are silent for sure below ``safe_tan_alpha``; wider wedges may leak.

        Args:
            x: ``(..., n)``, with at most k non-zeros each; z is ``(..., k + 1)``.

        Raises:
            TypeError: ``x`` is not a tensor of the vectors' dtype and device.
            ValueError: ``x`` has another length, is not finite, or has more than k non-zeros, or its z is
                beyond the largest number.

        Source: Section 4.3 of the paper, third statement; the system is ours. Taught in chapter 2.

        >>> G = LowWidthSparseReLU(6, 2, generator=torch.Generator().manual_seed(0))
        >>> G.encode(torch.eye(6, dtype=torch.float64)).shape
        torch.Size([6, 3])
        """
        x = fed("x", x, self.n, self.v)
        if not x.numel():
            return x.new_zeros(*x.shape[:-1], self.latent_dim)
        most = int((x != 0).sum(-1).amax())
        if most > self.k:
            raise ValueError(f"x has a signal with {most} non-zeros; it must have at most k = {self.k}.")
        signals = x.reshape(-1, self.n).double()
        z = preimages(self.v.double(), self.v_prime.double(), self.tan_alpha, signals)
        return checks.representable("z", z.to(self.v.dtype)).reshape(*x.shape[:-1], self.latent_dim)

    def point(self, S: Tensor) -> Tensor:
        r"""The direction that belongs to a set of k gadgets: orthogonal to all of their vectors :math:`v_j`.

        .. math:: \langle v_j, w_S\rangle = 0 \quad (j \in S), \qquad \|w_S\|_2 = 1

        Args:
            S: k different gadgets, integers from 0 to 2n - 1, ``(..., k)``: ``2 i`` makes entry i positive,
                ``2 i + 1`` negative.

        Returns:
            ``(..., k + 1)``, its largest entry positive.

        Raises:
            TypeError: ``S`` is not a tensor of integers.
            ValueError: ``S`` has not k entries, or names a gadget that is not there, or one twice.

        Source: Section 4.2 of the paper, before Fact 4.3. Taught in chapter 2.

        >>> G = LowWidthSparseReLU(6, 2, generator=torch.Generator().manual_seed(0))
        >>> bool((G.v[[0, 3]] @ G.point(torch.tensor([0, 3]))).abs().max() < 1e-15)
        True
        """
        S = gadget_sets(S, self.v)
        if S.shape[-1] != self.k:
            raise ValueError(f"S has {S.shape[-1]} gadgets in its last dimension; it must have k = {self.k}.")
        return common_direction(self.v[S])

    def in_region(self, S: Tensor, z: Tensor) -> Tensor:
        r"""Whether an input lies in the region of a set of gadgets: the cone in which all of them are active.

        .. math:: |\langle z, v_j\rangle| < \tan\alpha\,|\langle z, v'_j\rangle| \quad \text{for all } j \in S

        Args:
            S: One or more different gadgets, integers from 0 to 2n - 1, ``(..., size)``.
            z: ``(..., k + 1)``; the leading dimensions of the two broadcast.

        Returns:
            Booleans of the leading shape.

        Raises:
            TypeError: ``S`` is not a tensor of integers, or z not one of the vectors' dtype and device.
            ValueError: ``S`` names a gadget that is not there, or one twice, or z has another length or is
                not finite, or the two do not broadcast.

        Source: Section 4.2 of the paper, the sets W_S. Taught in chapter 2.

        >>> G = LowWidthSparseReLU(6, 2, generator=torch.Generator().manual_seed(0))
        >>> S = torch.tensor([[0, 3], [0, 4]])
        >>> G.in_region(S, G.point(S[0]))
        tensor([ True, False])
        """
        S, z = gadget_sets(S, self.v), fed("z", z, self.latent_dim, self.v)
        try:
            across, along = ((part[S] @ z.unsqueeze(-1)).squeeze(-1) for part in (self.v, self.v_prime))
        except RuntimeError:
            was = f"S has shape {tuple(S.shape)} and z has {tuple(z.shape)}"
            raise ValueError(f"{was}; their leading dimensions must broadcast.") from None
        return (across.abs() < self.tan_alpha * along.abs()).all(-1)

    def safe_tan_alpha(self) -> float:
        r"""The widest wedges for which we can prove that the range is the set of all k-sparse vectors.

        .. math:: \tan\alpha \le \min_{|J| = k+1} \frac{\sigma_{\min}(V_J)}{\|V'_J\|_2}, \qquad
                  \tan\alpha < \min_S \frac{a_S}{1 + a_S}\,\frac{\sigma_{\min}(V_S)}{\|V'_S\|_2},
                  \qquad a_S = \min_{i\in S}|\langle v'_i, w_S\rangle|

        The first: no k + 1 wedges meet. Where all gadgets of J are active, :math:`\|V_J z\| <
        \tan\alpha\,\|V'_J z\|`, which it rules out. The second, over all supports of k entries and all signs:
        every such vector has a preimage, as the direction in which that is sought stays inside of its wedges.
        The minima are exhaustive, in float64; half of the result leaves room for rounding.

        Raises:
            ValueError: There are more than 1e6 sets of k + 1 gadgets.

        Source: ours; the paper takes :math:`\alpha = n^{-8k}`, with its proof in an appendix. Taught in
        chapter 2.

        >>> 0 < LowWidthSparseReLU(6, 2, generator=torch.Generator().manual_seed(0)).safe_tan_alpha() < 0.1
        True
        """
        subsets = math.comb(2 * self.n, self.k + 1)
        if subsets > _MOST_SUBSETS:
            raise ValueError(
                f"n is {self.n} and k is {self.k}: there are {subsets} sets of k + 1 gadgets; there must be "
                f"at most {_MOST_SUBSETS} to go through them all: count_leaks tries some instead."
            )
        v, v_prime = self.v.double(), self.v_prime.double()
        return min(crossing_tangent(v, v_prime), reaching_tangent(v, v_prime))

    @torch.no_grad()
    def count_leaks(self, tries: int, *, generator: torch.Generator | None = None) -> int:
        """How many inputs have an image with more than k non-zeros, of ``2 tries`` that are tried.

        One half are Gaussian. The others are near places where k + 1 wedges come close to each other: for a
        random set of k gadgets, and that other gadget which is nearest to active at their point, the
        direction in which they come closest, moved at random by some ``tan_alpha``.

        Args:
            tries: How many of each half, at least 1.
            generator: The source of randomness.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: ``tries`` is below 1.

        Source: ours. Taught in chapter 2.

        >>> G = LowWidthSparseReLU(6, 2, generator=torch.Generator().manual_seed(0))
        >>> source = torch.Generator().manual_seed(1)
        >>> G.count_leaks(100, generator=source), G.with_tan_alpha(1e9).count_leaks(100, generator=source)
        (0, 200)
        """
        tries = checks.integer("tries", tries, 1)
        checks.random_source(generator)
        tried = inputs_to_try(self.v, self.v_prime, self.tan_alpha, tries, generator)
        return sum(int(((self(z) != 0).sum(-1) > self.k).sum()) for z in tried)


def _tangent(value: object, dtype: torch.dtype) -> float:
    """A tangent above 0, also in the dtype of the vectors."""
    number = checks.real("tan_alpha", value, above=0.0)
    if not float(torch.tensor(number, dtype=dtype)) > 0:
        raise ValueError(f"tan_alpha is {number:g}, which is 0 in {dtype}; it must be above 0.")
    return number
