"""Where l1 minimisation starts to work: the statistical dimension of its descent cone, and its curve."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gsl_utils.common import checks

__all__ = ["l1_statistical_dimension", "weak_threshold"]

# Sixty halvings of an interval leave less than a unit in the last place of a float64.
_HALVINGS = 60
# A Gaussian entry above this threshold has a probability below 1e-300: no share of non-zeros is that small.
_LARGEST = 38.0


def l1_statistical_dimension(share: Tensor) -> Tensor:
    r"""Statistical dimension of the l1 norm's descent cone at a sparse vector, per entry of the vector.

    .. math::

        \psi(s) = \min_{\tau\ge 0}\; s\,(1+\tau^2) + (1-s)\operatorname{E}\big(|g|-\tau\big)_+^2,
        \qquad g\sim\mathcal N(0, 1)

    About :math:`n\,\psi(k/n)` Gaussian measurements recover a vector of ``n`` entries with ``k`` non-zeros
    half of the time. The minimum is where the derivative in :math:`\tau` vanishes, found by bisection.

    Args:
        share: The share of non-zeros :math:`s = k/n`, any shape, float64, in [0, 1].

    Returns:
        Of the same shape, in [0, 1] and increasing from 0 to 1.

    Raises:
        TypeError: ``share`` is not a float64 tensor.
        ValueError: ``share`` has an entry outside of [0, 1].

    Amelunxen, Lotz, McCoy and Tropp (2014), Proposition 4.5. Taught in chapter 1.

    >>> l1_statistical_dimension(torch.tensor([0.0, 0.1, 1.0], dtype=torch.float64)).round(decimals=4)
    tensor([0.0000, 0.3288, 1.0000], dtype=torch.float64)
    """
    share = _shares("share", share, closed=True)
    # Half the derivative in tau, which increases.
    tau = _bisect(lambda t: share * t - 2 * (1 - share) * _density(t) * (1 - t * _mills(t)), share)
    tail = 2 * _density(tau) * ((1 + tau.square()) * _mills(tau) - tau)
    inside = share * (1 + tau.square()) + (1 - share) * tail
    return torch.where(share == 0, 0.0, torch.where(share == 1, 1.0, inside))


def weak_threshold(delta: Tensor) -> Tensor:
    r"""Donoho and Tanner's weak threshold: the largest share of non-zeros, of any sign, that l1 recovers.

    .. math::

        \delta = \frac{2\varphi(\tau)}{\tau + 2\varphi(\tau) - 2\tau\,\Phi(-\tau)}, \qquad
        \rho_W(\delta) = 1 - \frac{\tau\,\Phi(-\tau)}{\varphi(\tau)}

    with the normal density :math:`\varphi` and distribution function :math:`\Phi`. For large ``n``, basis
    pursuit recovers most ``k``-sparse vectors from ``m`` Gaussian measurements when
    :math:`k/m < \rho_W(m/n)`, and few when :math:`k/m > \rho_W(m/n)`. The curve satisfies
    :math:`\psi(\rho_W\,\delta) = \delta` with the function :math:`\psi` of ``l1_statistical_dimension``.

    Args:
        delta: The share of measurements :math:`\delta = m/n`, any shape, float64, in (0, 1].

    Returns:
        :math:`\rho_W(\delta) = k/m`, of the same shape, in (0, 1].

    Raises:
        TypeError: ``delta`` is not a float64 tensor.
        ValueError: ``delta`` has an entry outside of (0, 1].

    Donoho and Tanner (2009); in this form Donoho, Maleki and Montanari (2009). Taught in chapter 1.

    >>> weak_threshold(torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)).round(decimals=4)
    tensor([0.1894, 0.3857, 1.0000], dtype=torch.float64)
    """
    delta = _shares("delta", delta, closed=False)
    # Times the denominator: decreasing in tau on the left, so its negative increases.
    tau = _bisect(lambda t: delta * (t + 2 * _density(t) * (1 - t * _mills(t))) - 2 * _density(t), delta)
    return torch.where(delta == 1, 1.0, 1 - tau * _mills(tau))


def _shares(name: str, value: object, *, closed: bool) -> Tensor:
    tensor = checks.floats(name, value).detach()
    if tensor.dtype != torch.float64:
        raise TypeError(f"{name} has dtype {tensor.dtype}; it must be torch.float64.")
    low, high = float(tensor.min()), float(tensor.max())
    if low < 0 or high > 1 or (low == 0 and not closed):
        allowed = "[0, 1]" if closed else "(0, 1]"
        raise ValueError(f"{name} ranges from {low} to {high}; all of its entries must be in {allowed}.")
    return tensor


def _density(t: Tensor) -> Tensor:
    return torch.exp(-t.square() / 2) / math.sqrt(2 * math.pi)


def _mills(t: Tensor) -> Tensor:
    """Upper tail over density of the standard normal, without the underflow that both have far out."""
    return math.sqrt(math.pi / 2) * torch.special.erfcx(t / math.sqrt(2))


def _bisect(increasing: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """The root in [0, _LARGEST] of a function that increases in each entry."""
    low, high = torch.zeros_like(like), torch.full_like(like, _LARGEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = increasing(middle) > 0
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return (low + high) / 2
