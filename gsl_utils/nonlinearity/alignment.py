"""Linear CKA: whether two sets of vectors have the same geometry, of which linearity is no part."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common.linear import square_root, unit
from gsl_utils.nonlinearity.linear_fit import pairs

__all__ = ["linear_cka"]

_FEWEST = 4


def linear_cka(u: Tensor, x: Tensor) -> float:
    r"""Estimate the linear centred kernel alignment of inputs and outputs.

    .. math:: \mathrm{CKA} = \frac{\|C_{ux}\|_F^2}{\|C_{uu}\|_F\,\|C_{xx}\|_F}\,, \qquad
              C_{ab} = \operatorname{Cov}(a, b)

    It is 1 exactly when the inner products between samples agree up to a factor, as after a rotation. That
    makes it unfit to measure linearity, for which it is sometimes taken: a linear map that is no rotation
    has less than 1, down to :math:`1/\sqrt p`, and entries of large variance hide what the others do.
    The three squared norms are estimated without bias, so that independent samples give about 0 and not
    :math:`\sqrt{pn}/N`.

    Args:
        u: Inputs ``(N, p)``, one sample a row; N at least 4.
        x: Their outputs ``(N, n)``, of the same dtype and device.

    Returns:
        The estimate, not clipped to [0, 1].

    Raises:
        TypeError: The tensors are not floats of one dtype on one device.
        ValueError: Shapes do not fit, there are fewer than 4 samples, or one of the two is constant or varies
            too little for its norm to be estimated.

    Sources: Kornblith, Norouzi, Lee and Hinton (2019); for the estimate Song, Smola, Gretton, Bedo and
    Borgwardt (2012). Taught in chapter 7.

    >>> u = torch.randn(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> stretch = torch.tensor([1.0, 10.0], dtype=torch.float64)
    >>> round(linear_cka(u, -u), 6), round(linear_cka(u, u * stretch), 2)
    (1.0, 0.71)
    """
    u, x = pairs(u, x)
    if len(u) < _FEWEST:
        raise ValueError(f"u has {len(u)} samples; there must be at least {_FEWEST}.")
    (u, _), (x, _) = unit(u, (0, 1)), unit(x, (0, 1))
    own_u, own_x = _covariance_energy(u, u), _covariance_energy(x, x)
    for name, own, table in (("u", own_u, u), ("x", own_x, x)):
        floor = torch.finfo(table.dtype).eps * table.square().sum(dim=1).mean() ** 2
        if not bool(own > floor):
            raise ValueError(f"{name} is constant, or there are too few samples to tell; it must vary.")
    return float(_covariance_energy(u, x) / square_root(own_u * own_x))


def _covariance_energy(a: Tensor, b: Tensor) -> Tensor:
    r"""Estimate the squared Frobenius norm of Cov(a, b) by a sum over four different samples, without bias.

    The kernels are inner products, and their diagonals are left out; what the formula asks for are sums that
    need no matrix of N times N.
    """
    count = len(a)
    a, b = a - a.mean(dim=0), b - b.mean(dim=0)
    own_a, own_b = a.square().sum(dim=1), b.square().sum(dim=1)
    both = (a.mT @ b).square().sum() - own_a @ own_b
    # Centred samples sum to zero: the rows of a kernel without its diagonal sum to minus the diagonal.
    totals = own_a.sum() * own_b.sum() / ((count - 1) * (count - 2))
    return (both + totals - 2 / (count - 2) * (own_a @ own_b)) / (count * (count - 3))
