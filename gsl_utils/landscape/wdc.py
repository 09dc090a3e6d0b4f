"""How far a layer's weights are from what the theory asks of them: the weight distribution condition."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.linear import square_root
from gsl_utils.landscape.angles import between, polar

__all__ = ["wdc_constant", "wdc_deviation"]

_POWERS = 3  # of the squared matrix, applied to a vector that was its leading one a small step ago
_WIDEST, _NARROWEST = 1.0, 0.02  # steps of the search, as shares of a unit vector


def wdc_deviation(W: Tensor, x: Tensor, y: Tensor) -> Tensor:
    r"""How far a layer's Gram matrix on the rows active for two vectors is from its expectation.

    .. math:: \Bigl\|\sum_{i:\ w_i\cdot x > 0,\ w_i\cdot y > 0} w_iw_i^\top - Q_{x,y}\Bigr\|_2,\qquad
              Q_{x,y} = \frac{\pi-\theta}{2\pi} I + \frac{\sin\theta}{2\pi} M_{\hat x\leftrightarrow\hat y}

    :math:`\theta` is the angle between x and y, and M exchanges their directions and takes to zero what is
    orthogonal to both. Rows that are N(0, I/n) have the expectation Q.

    Args:
        W: The layer's weights ``(n, k)``, float32 or float64, in units in which their squares sum to about k:
            the condition is about rows of variance 1/n.
        x: Vectors ``(..., k)``, none of them zero.
        y: Vectors of the same shape, none of them zero.

    Returns:
        The deviation of every pair, ``(...)``.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or a vector is zero.

    Source: Hand and Voroninski (2018), definition 2. Taught in chapter 5.

    >>> W = torch.eye(2, dtype=torch.float64)
    >>> wdc_deviation(W, torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    tensor(0.5000, dtype=torch.float64)
    """
    W = _layer(W)
    x, y = checks.signals("x", x, "k"), checks.signals("y", y, "k")
    checks.same_shape(x=x, y=y)
    checks.same_kind(W=W, x=x)
    if x.shape[-1] != W.shape[1]:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and W has {tuple(W.shape)}; the last dimension of x must be "
            f"{W.shape[1]}, the number of columns of W."
        )
    for name, vector in (("x", x), ("y", y)):
        if not bool(vector.any(-1).all()):
            raise ValueError(f"{name} has a row of zeros; every row must be non-zero.")
    shape, k = x.shape[:-1], W.shape[1]
    x, y = (polar(v.reshape(-1, k))[1] for v in (x, y))
    # One pair at a time: their matrices together would not fit for wide layers.
    found = [_Gap.of(W, a, b).dense().abs().amax() for a, b in zip(x.split(1), y.split(1), strict=True)]
    return torch.stack(found).reshape(shape)


def wdc_constant(
    W: Tensor, *, pairs: int = 32, steps: int = 200, generator: torch.Generator | None = None
) -> Tensor:
    r"""The largest deviation found over pairs of vectors, a lower bound on the layer's WDC constant.

    .. math:: \max_{x, y \ne 0}\ \Bigl\|\sum_{i:\ w_i\cdot x > 0,\ w_i\cdot y > 0} w_iw_i^\top
              - Q_{x,y}\Bigr\|_2

    The rows that are active change in jumps, so that there is no slope to follow: every pair tries small
    random steps, ever smaller ones, and keeps those that raise its deviation. Half of the pairs start as two
    equal vectors. Random pairs alone, ``steps=0``, are an optimistic bound.

    Args:
        W: The layer's weights ``(n, k)``, in the units of ``wdc_deviation``.
        pairs: How many pairs are searched from, at least 1.
        steps: How many steps each of them tries, at least 0.
        generator: The source of randomness.

    Returns:
        A scalar tensor; the deviation of a pair, exactly.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: ``W`` is not one finite matrix, or an argument is out of range.

    Source: Hand and Voroninski (2018), definition 2. Taught in chapter 5.

    >>> W = torch.ones(3, 1, dtype=torch.float64)
    >>> wdc_constant(W, pairs=4, steps=0, generator=torch.Generator().manual_seed(0))
    tensor(2.5000, dtype=torch.float64)
    """
    W = _layer(W)
    pairs, steps = checks.integer("pairs", pairs, 1), checks.integer("steps", steps, 0)
    checks.random_source(generator)
    device = W.device if generator is None else generator.device

    def draw(count: int) -> Tensor:
        shape = (count, pairs, W.shape[1])
        return torch.randn(shape, generator=generator, dtype=W.dtype, device=device).to(W.device)

    x, y, v = polar(draw(3))[1]
    y[::2] = x[::2]
    best, v = _Gap.of(W, x, y).lengthened(v, _POWERS * 10)
    for step in range(steps):
        size = _WIDEST * (_NARROWEST / _WIDEST) ** (step / steps)
        a, b = polar(torch.stack([x, y]) + size * polar(draw(2))[1])[1]
        found, u = _Gap.of(W, a, b).lengthened(v, _POWERS)
        better = (found > best).unsqueeze(-1)
        x, y, v = (torch.where(better, new, old) for new, old in ((a, x), (b, y), (u, v)))
        best = torch.maximum(best, found)
    return wdc_deviation(W, x, y).amax()


class _Gap:
    """The difference of the two matrices for pairs of unit vectors ``(P, k)``, which is never formed."""

    def __init__(self, W: Tensor, active: Tensor, share: Tensor, planes: list[tuple[Tensor, Tensor]]) -> None:
        self.W, self.active, self.share, self.planes = W, active, share, planes

    @classmethod
    def of(cls, W: Tensor, x: Tensor, y: Tensor) -> _Gap:
        theta = between(x, y)
        active = ((x @ W.mT > 0) & (y @ W.mT > 0)).to(W.dtype)
        share = (math.pi - theta).clamp(min=0) / (2 * math.pi)
        # The exchange is a reflection in the plane of both: it keeps their sum and turns their difference.
        turned = torch.sin(theta) / (2 * math.pi)
        planes = [(turned, polar(x + y)[1]), (-turned, polar(x - y)[1])]
        return cls(W, active, share, planes)

    def __call__(self, v: Tensor) -> Tensor:
        """The difference applied to vectors ``(..., P, k)``."""
        out = (self.active * (v @ self.W.mT)) @ self.W - self.share.unsqueeze(-1) * v
        for factor, direction in self.planes:
            out = out - (factor * (direction * v).sum(-1)).unsqueeze(-1) * direction
        return out

    def lengthened(self, v: Tensor, powers: int) -> tuple[Tensor, Tensor]:
        """A lower bound on the norm ``(P,)``, by a power iteration from ``v (P, k)``, and its vector."""
        for _ in range(powers):
            w = self(self(v))
            length = w.norm(dim=-1, keepdim=True)
            v = torch.where(length > 0, w / torch.where(length > 0, length, 1), v)
        # Of the square: a vector between two eigenvectors of opposite signs counts in full.
        return square_root((v * self(self(v))).sum(-1).clamp(min=0)), v

    def dense(self) -> Tensor:
        """The eigenvalues ``(P, k)``."""
        identity = torch.eye(self.W.shape[1], dtype=self.W.dtype, device=self.W.device)
        matrix = self(identity.unsqueeze(-2)).transpose(0, 1)
        return torch.linalg.eigvalsh((matrix + matrix.mT) / 2)


def _layer(value: Tensor) -> Tensor:
    W = checks.matrix("W", value).detach()
    if W.ndim != 2:
        raise ValueError(f"W has shape {tuple(W.shape)}; it must be a single matrix (n, k).")
    return W
