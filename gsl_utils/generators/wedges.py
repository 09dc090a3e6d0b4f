"""Neurons of the plane that are active between two angles, made of ReLUs without bias."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import fed

__all__ = ["along_across", "double_wedge", "ridge", "wedge"]


def wedge(x: Tensor, start: float, stop: float) -> Tensor:
    r"""A neuron that is active exactly between two angles, and there linear in the radius.

    Angles are :math:`\theta` in :math:`x = t(\sin\theta, \cos\theta)`, and w is ``stop - start``. The value
    is t at the mid-angle. Below half a turn it takes two hidden layers, of two units and of one,

    .. math:: a_1 = t[\sin(\theta - \text{start})]_+,\quad a_2 = t[\sin(\theta - \text{mid})]_+,\qquad
              b = \Big[\frac{a_1 - 2\cos(w/2)\,a_2}{\sin(w/2)}\Big]_+ ,

    and from half a turn on ONE hidden layer, whose three units are active in the sector only and cover it:

    .. math:: b = t\,\frac{[\sin(\theta - \text{start})]_+ + [\sin(\text{stop} - \theta)]_+
              + [\cos(\theta - \text{mid})]_+}{1 + 2\sin(w/2)}.

    One layer without bias has no narrower neuron: since :math:`[s]_+ - [-s]_+ = s`, the difference
    :math:`f(x) - f(-x)` is linear, and can be zero on one side of a line only if it is zero everywhere. The
    third unit is for sectors near the whole turn, in the middle of which the first two vanish.

    Args:
        x: Points ``(..., 2)``, float32 or float64.
        start: Where the sector begins, in radians.
        stop: Where it ends: above ``start``, and by no more than a whole turn.

    Returns:
        The values ``(...)``, not negative, zero outside of the sector up to rounding: of the point's norm,
        times ``1 / sin(w/2)``.

    Raises:
        TypeError: ``x`` is no dense tensor of floats, or an angle is no number.
        ValueError: ``x`` is not ``(..., 2)`` or not finite, or the angles are no sector.

    Source: Kamath, Karmalkar and Price (2020), sections 2.2 and 4.1; they write down the gadget of equal
    narrow sectors only, without the factor that makes the value t. Taught in chapter 2.

    >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0]])  # at 45 and at 135 degrees
    >>> wedge(x, 0.0, math.pi / 2)
    tensor([1.4142, 0.0000])
    """
    x = fed("x", x, 2)
    start, stop = checks.real("start", start), checks.real("stop", stop)
    width = stop - start
    if not 0 < width <= 2 * math.pi * (1 + torch.finfo(torch.float64).eps):
        raise ValueError(
            f"stop is {stop:g} and start {start:g}; stop must be above start, by at most a whole turn, 2 pi."
        )
    middle = start + width / 2
    if width < math.pi:
        first, second = _beyond(x, start), _beyond(x, middle)
        return ((first - 2 * math.cos(width / 2) * second) / math.sin(width / 2)).relu()
    # cos(theta - mid) is sin(theta - (mid - pi/2)), and sin(stop - theta) is sin(theta - (stop - pi)).
    units = (_beyond(x, angle) for angle in (start, stop - math.pi, middle - math.pi / 2))
    return sum(units, torch.zeros_like(x[..., 0])) / (1 + 2 * math.sin(width / 2))


def double_wedge(x: Tensor, centre: float, half_angle: float) -> Tensor:
    r"""An even neuron, active within an angle of a line, in both directions.

    With a the component of x across the line, and b that along it times :math:`\tan h`,

    .. math:: f(x) = \Big[|\text{along}| - \frac{|\text{across}|}{\tan h}\Big]_+
              = \frac{[a + b]_+ - 2[a]_+ + [a - b]_+}{\tan h}:

    three ReLUs without bias in ONE hidden layer. (Where :math:`|a| > |b|` they cancel; elsewhere one of the
    outer two is silent.) It is even, so that nothing keeps it from being silent elsewhere, as it would a
    one-sided wedge.
    The value is t at radius t on the line.

    Args:
        x: Points ``(..., 2)``, float32 or float64, as :math:`t(\sin\theta, \cos\theta)`.
        centre: The angle of the line, in radians.
        half_angle: The angle h, between 0 and a quarter of a turn.

    Returns:
        The values ``(...)``, not negative.

    Raises:
        TypeError: ``x`` is no dense tensor of floats, or an angle is no number.
        ValueError: ``x`` is not ``(..., 2)`` or not finite, or ``half_angle`` is out of range.

    Source: this book; half of the corrected unit of Kamath, Karmalkar and Price (2020), section 4.2, in the
    plane.
    Taught in chapter 2.

    >>> double_wedge(torch.tensor([[0.0, 2.0], [0.0, -2.0], [2.0, 0.0]]), 0.0, 0.5)
    tensor([2., 2., 0.])
    """
    x = fed("x", x, 2)
    centre = checks.real("centre", centre)
    half_angle = checks.real("half_angle", half_angle, above=0.0)
    if not half_angle < math.pi / 2:
        raise ValueError(f"half_angle is {half_angle:g}; it must be below a quarter of a turn, pi / 2.")
    along, across = along_across(x, torch.tensor(centre, dtype=x.dtype, device=x.device))
    return ridge(along.abs(), across, half_angle)


def along_across(x: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """The components of points ``x (..., 2)`` along the direction of each ``angle (...)`` and across it."""
    sine, cosine = angle.sin(), angle.cos()
    return x[..., 0] * sine + x[..., 1] * cosine, x[..., 0] * cosine - x[..., 1] * sine


def ridge(along: Tensor, across: Tensor, half_angle: float) -> Tensor:
    r""":math:`[\text{along} - |\text{across}| / \tan h]_+`: what a wedge of half-angle h is in its sector.

    There :math:`\sin(h - |\delta|) / \sin h = \cos\delta - |\sin\delta| / \tan h`, at the angle
    :math:`\delta` from the middle.
    """
    return (along - across.abs() / math.tan(half_angle)).relu()


def _beyond(x: Tensor, angle: float) -> Tensor:
    """The first-layer unit that is active on the half turn that begins at an angle."""
    return (math.cos(angle) * x[..., 0] - math.sin(angle) * x[..., 1]).relu()
