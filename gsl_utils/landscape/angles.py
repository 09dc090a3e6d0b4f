"""What a wide random ReLU layer does to an angle, and the negative multiple that follows from it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.linear import scaled, square_root, unit

__all__ = [
    "Layered",
    "angle_map",
    "between",
    "layered",
    "leak_of",
    "minus_sine",
    "phase_retrieval_rho",
    "polar",
    "rho",
]

# Above it theta - sin(theta) loses few digits, below it a few terms of its series have all of them.
_SERIES_TO = 0.5
_FACTORS = (20, 42, 72, 110, 156)


def angle_map(theta: Tensor, *, leak: float = 0.0) -> Tensor:
    r"""The angle between two vectors after a wide random ReLU layer, from the angle before it.

    .. math:: g(\theta) = \arccos\frac{(\pi-\theta)\cos\theta + \sin\theta}{\pi}

    For W with N(0, 1/n) entries
    :math:`\mathbb E\langle\operatorname{relu}(Wx), \operatorname{relu}(Wy)\rangle
    = \tfrac12\|x\|\|y\|\cos g(\theta)`; the angle of one draw tends to g as n grows. Angles shrink,
    :math:`g(0) = 0` and :math:`g(\pi) = \pi/2`: opposite vectors become orthogonal. With a leaky ReLU of
    slope a the cosine after the layer is

    .. math:: \frac{(1-a)^2\cos g(\theta) + 2a\cos\theta}{1+a^2}

    Args:
        theta: Angles in radians, any shape, from 0 to :math:`\pi`, float32 or float64.
        leak: The slope a of a leaky ReLU for negative inputs, from 0 to 1.

    Returns:
        The angles after the layer, of the same shape; small ones with a small relative error.

    Raises:
        TypeError: ``theta`` is not a tensor of floats, or ``leak`` is not a number.
        ValueError: An angle or the leak is out of range.

    Source: Hand and Voroninski (2018), eq. (5) and figure 1; Cho and Saul (2009). Taught in chapter 5.

    >>> (angle_map(torch.tensor([0.0, torch.pi], dtype=torch.float64)) / torch.pi).tolist()
    [0.0, 0.5]
    """
    return _mapped(_angles("theta", theta), leak_of(leak))


def rho(d: int, *, leak: float = 0.0) -> float:
    r"""The multiple :math:`\rho_d`: the expected risk has a second critical point at :math:`-\rho_d z_*`.

    .. math:: \rho_d = \sum_{i=0}^{d-1}\frac{\sin\check\theta_i}{\pi}\prod_{j=i+1}^{d-1}
              \frac{\pi-\check\theta_j}{\pi} = \cos\check\theta_d,
              \qquad \check\theta_0 = \pi,\quad \check\theta_{i+1} = g(\check\theta_i)

    The sum is the printed one. Both sides follow the same recursion: one more layer takes :math:`c` to
    :math:`\bigl((\pi-\check\theta_d)\,c + \sin\check\theta_d\bigr)/\pi`, which for
    :math:`c = \cos\check\theta_d` is the angle map, and for d = 1 both are 0.

    Args:
        d: The number of layers, at least 1. For one layer the multiple is 0: the second point is the origin.
        leak: The slope of a leaky ReLU, from 0 to 1; the result is then :math:`\cos\check\theta_d`, and
            where it is not positive there is no second critical point.

    Returns:
        The multiple; it tends to 1 with d.

    Raises:
        TypeError: ``d`` is not an integer, or ``leak`` is not a number.
        ValueError: ``d`` is below 1, or the leak is out of range.

    Source: Hand and Voroninski (2018), theorem 1. Taught in chapter 5.

    >>> rho(1), round(rho(2), 6), round(rho(100), 6)
    (0.0, 0.31831, 0.996357)
    """
    return float(_negative(d, leak_of(leak)).cosine)


def phase_retrieval_rho(d: int) -> float:
    r"""The negative multiple for the amplitude loss, by the corrected formula.

    .. math:: \rho^{\mathrm{PR}}_d = \frac{2\sin\check\theta_d}{\pi}
              + \frac{\pi - 2\check\theta_d}{\pi}\,\rho_d

    The preprint prints the first term with a minus, which makes it negative for d up to 6.

    Args:
        d: The number of layers, at least 1.

    Returns:
        The multiple; it tends to 1 with d.

    Raises:
        TypeError: ``d`` is not an integer.
        ValueError: ``d`` is below 1.

    Source: Hand, Leong and Voroninski (2018), with the sign of the journal version (2020). Taught in
    chapter 5.

    >>> round(phase_retrieval_rho(2), 5), round(phase_retrieval_rho(10), 5)
    (0.66915, 0.88826)
    """
    found = _negative(d, 0.0)
    theta, cosine = float(found.angle), float(found.cosine)
    return 2 / math.pi * (math.sin(theta) + (math.pi / 2 - theta) * cosine)


class Layered(NamedTuple):
    """Two vectors after d layers.

    ``turn`` is the first derivative of the cosine in that before the first layer, the product of the layers'
    ``(pi - theta_i) / pi``; ``bend`` is the derivative of ``turn`` in the angle before the first layer.
    """

    angle: Tensor
    cosine: Tensor
    turn: Tensor
    bend: Tensor


def layered(theta: Tensor, d: int, leak: float) -> Layered:
    """What d layers make of angles ``theta``, checked before."""
    turn, bend = torch.ones_like(theta), torch.zeros_like(theta)
    speed = torch.ones_like(theta)  # of the angle before the layer, in the first one
    cosine = torch.cos(theta)
    for _ in range(d):
        slope, after = _slope(theta, leak), _mapped(theta, leak)
        bend = bend * slope - turn * speed * (1 - leak) ** 2 / (math.pi * (1 + leak**2))
        turn = turn * slope
        # Two equal vectors keep the angle zero, at the speed 1; with a leak two opposite ones keep pi, too.
        ratio = _sine(theta) / _sine(after)
        still = (after == 0) | (after == theta)
        speed = torch.where(still, 1, speed * slope * ratio)
        theta, cosine = after, _cosine(theta, leak)
    return Layered(theta, cosine, turn, bend)


def between(u: Tensor, v: Tensor) -> Tensor:
    """The angle between unit vectors ``(..., k)``, accurate near 0 and pi, too; with the zero vector 0."""
    angle = 2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1))
    return torch.where(u.any(-1) & v.any(-1), angle, 0)


def polar(vector: Tensor) -> tuple[Tensor, Tensor]:
    """The lengths ``(...)`` of vectors ``(..., k)`` of any unit, and their directions; zero has zero."""
    within, power = unit(vector, -1)
    length = within.norm(dim=-1, keepdim=True)
    return scaled(length, power).squeeze(-1), within / torch.where(length > 0, length, 1)


def leak_of(value: object) -> float:
    """The slope of a leaky ReLU."""
    leak = checks.real("leak", value, low=0.0)
    if leak > 1:
        raise ValueError(f"leak is {leak:g}; it must be at most 1.")
    return leak


def minus_sine(theta: Tensor) -> Tensor:
    """``theta - sin(theta)`` without the loss of digits at small angles."""
    series = torch.ones_like(theta)
    for factor in reversed(_FACTORS):
        series = 1 - theta.square() / factor * series
    return torch.where(theta < _SERIES_TO, theta**3 / 6 * series, theta - torch.sin(theta))


def _angles(name: str, value: Tensor) -> Tensor:
    theta = checks.floats(name, value)
    # The largest float32 below pi is above that of float64.
    most = torch.tensor(math.pi, dtype=theta.dtype, device=theta.device)
    if bool(((theta < 0) | (theta > most)).any()):
        worst = theta.flatten()[((theta < 0) | (theta > most)).flatten()][0]
        raise ValueError(f"{name} has the entry {float(worst):g}; all of its entries must be in [0, pi].")
    return theta


def _negative(d: int, leak: float) -> Layered:
    return layered(torch.tensor(math.pi, dtype=torch.float64), checks.integer("d", d, 1), leak)


def _slope(theta: Tensor, leak: float) -> Tensor:
    """The derivative of the cosine after a layer in that before it."""
    relu = (math.pi - theta).clamp(min=0) / math.pi
    return ((1 - leak) ** 2 * relu + 2 * leak) / (1 + leak**2)


def _cosine(theta: Tensor, leak: float) -> Tensor:
    return ((1 - leak) ** 2 * _relu_cosine(theta) + 2 * leak * torch.cos(theta)) / (1 + leak**2)


def _relu_cosine(theta: Tensor) -> Tensor:
    return ((math.pi - theta) * torch.cos(theta) + _sine(theta)).clamp(min=0) / math.pi


def _sine(theta: Tensor) -> Tensor:
    """The sine, zero at pi."""
    return torch.sin(torch.minimum(theta, math.pi - theta).clamp(min=0))


def _mapped(theta: Tensor, leak: float) -> Tensor:
    """The angle after a layer, from one minus and one plus its cosine: the smaller of them has its digits."""
    falls = 2 * torch.sin(theta / 2).square()  # 1 - cos(theta)
    relu = ((math.pi - theta) * falls + minus_sine(theta)) / math.pi
    below = ((1 - leak) ** 2 * relu + 2 * leak * falls) / (1 + leak**2)
    above = ((1 - leak) ** 2 * (1 + _relu_cosine(theta)) + 4 * leak * torch.cos(theta / 2).square()) / (
        1 + leak**2
    )
    return 2 * torch.atan2(square_root(below), square_root(above))
