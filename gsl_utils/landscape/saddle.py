"""What kind of point the negative multiple is: the expected risk expanded there, and how it lets go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.landscape.angles import layered, leak_of, rho

__all__ = ["Saddle", "escape_time", "saddle_expansion"]


@dataclass(frozen=True, eq=False)
class Saddle:
    """The expansion of the expected risk around a negative multiple, as ``saddle_expansion`` gives it.

    Attributes:
        rho: The multiple.
        curvature: Of the risk across the axis; its curvature along the axis is 1.
        cubic: What the cube of the distance from the axis is multiplied with, and the risk falls by.
    """

    rho: float
    curvature: float
    cubic: float


def saddle_expansion(d: int, *, leak: float = 0.0) -> Saddle:
    r"""Expand the expected risk around :math:`-\rho_d z_*`, along the axis and across it.

    .. math:: 2^d f\bigl((a - \rho_d)\,z_* + t\,u\bigr) = \text{const} + \tfrac12 a^2 + \tfrac12\lambda t^2
              - \kappa|t|^3 + \dots, \qquad \lambda = 0,\quad \kappa = \frac{1}{3\pi\rho_d^2}\prod_{i=1}^{d-1}
              \frac{\pi-\check\theta_i}{\pi}

    with :math:`\|z_*\| = 1` and any unit u orthogonal to :math:`z_*`. The point is a degenerate saddle: all
    directions across the axis lead down, from a curvature of zero. The angle :math:`\varphi` to
    :math:`-z_*` grows under the flow :math:`\dot z = -2^d h(z)` by :math:`\dot\varphi = 3\rho_d\kappa
    \varphi^2`, and the time to leave from a small one is :math:`1/(3\rho_d\kappa\varphi)`.

    With a leaky ReLU of slope a the curvature is negative, and the saddle is not degenerate:

    .. math:: \lambda = -\frac1\rho\prod_{i=0}^{d-1} \frac{(1-a)^2(1-\check\theta_i/\pi) + 2a}{1+a^2},
              \qquad \dot\varphi = -\lambda\varphi

    The time to leave then grows as a logarithm, and :math:`(2/(1+a^2))^d` stands in the place of :math:`2^d`.

    Args:
        d: The number of layers, at least 2.
        leak: The slope a of a leaky ReLU, from 0 to 1.

    Returns:
        The multiple, the curvature :math:`\lambda` across the axis, and :math:`\kappa`.

    Raises:
        TypeError: ``d`` is not an integer, or ``leak`` is not a number.
        ValueError: ``d`` is below 2, or the leak is out of range or so large that the multiple is not
            positive, and the risk has no such point.

    Source: the suspicion is that of the interview with Voroninski (2017); expanded from Hand and
    Voroninski (2018), eq. (9). Taught in chapter 5.

    >>> found = saddle_expansion(2)
    >>> found.curvature, round(1 / (3 * found.rho * found.cubic), 12)
    (0.0, 2.0)
    """
    d, leak = checks.integer("d", d, 2), leak_of(leak)
    multiple = rho(d, leak=leak)
    if not multiple > 0:
        raise ValueError(f"leak is {leak:g}, for which the multiple is {multiple:g}; it must be positive.")
    opposite = layered(torch.tensor(math.pi, dtype=torch.float64), d, leak)
    curvature = 0.0 - float(opposite.turn) / multiple
    cubic = -float(opposite.bend) / (3 * multiple**2)
    return Saddle(multiple, curvature, cubic)


def escape_time(
    angle: Tensor, d: int, *, until: float = math.pi / 2, leak: float = 0.0, intervals: int = 2000
) -> Tensor:
    r"""How long the flow of the expected gradient takes to leave the negative multiple.

    .. math:: \dot z = -2^d\,h(z), \qquad \|z(0)\| = \rho_d\|z_*\|, \qquad \angle(z(0), -z_*) = \varphi_0

    The flow stays in the plane of z and :math:`z_*`, where it is one of a length and an angle,
    :math:`\dot r = C(\varphi) - r` and :math:`\dot\varphi = C'(\varphi)/r` in units of :math:`\|z_*\|`, with
    C the cosine after d layers. The angle only grows. It is cut into intervals of equal ratio, on each of
    which the speeds are taken at both ends and the length, which follows quickly, is solved for exactly: the
    error falls with the square of their number. One step of gradient descent with the rate :math:`\eta` on
    half of the squared misfit takes the time :math:`2^{-d}\eta`.

    Args:
        angle: Starting angles :math:`\varphi_0` to :math:`-z_*` in radians, any shape, above 0 and below
            ``until``.
        d: The number of layers, at least 2.
        until: The angle at which it has left, below :math:`\pi`.
        leak: The slope a of a leaky ReLU, as in ``saddle_expansion``; the factor is then
            :math:`(2/(1+a^2))^d` in place of :math:`2^d`.
        intervals: How many.

    Returns:
        The times, of the shape of ``angle``.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or the leak is so large that there is no such point.

    Source: the interview with Voroninski (2017), which leaves open what kind of point it is. Taught in
    chapter 5.

    >>> angle = torch.tensor([1e-2, 1e-3, 1e-4], dtype=torch.float64)
    >>> [round(product, 2) for product in (angle * escape_time(angle, 2)).tolist()]
    [1.99, 2.0, 2.0]
    """
    angle = checks.floats("angle", angle)
    until = checks.real("until", until, above=0.0)
    if not until < math.pi:
        raise ValueError(f"until is {until:g}; it must be below pi, which the flow never reaches.")
    if not bool(((angle > 0) & (angle < until)).all()):
        raise ValueError(f"angle has an entry outside (0, {until:g}); the angle must grow to until.")
    intervals = checks.integer("intervals", intervals, 1)
    multiple = saddle_expansion(d, leak=leak).rho
    share = torch.linspace(0, 1, intervals + 1, dtype=angle.dtype, device=angle.device)
    share = share.reshape(-1, *(1,) * angle.ndim)
    angles = angle * (until / angle) ** share
    after = layered(math.pi - angles, d, leak)
    pull = after.turn * torch.sin(angles)
    time, r = torch.zeros_like(angle), torch.full_like(angle, multiple)
    for i in range(intervals):
        rise = after.cosine[i + 1] - after.cosine[i]
        # In the logarithm of the angle the speed changes least.
        growth = torch.log(angles[i + 1] / angles[i])
        begin, end = angles[i] / pull[i] * r, angles[i + 1] / pull[i + 1]
        step, ahead = growth * begin, r
        for _ in range(2):
            # The length, its target moving evenly: exact, and however long the step.
            ahead = (
                after.cosine[i + 1]
                + (r - after.cosine[i]) * torch.exp(-step)
                + (torch.expm1(-step) / step * rise)
            )
            step = growth * (begin + end * ahead) / 2
        time, r = time + step, ahead
    return time
