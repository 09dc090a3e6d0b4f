"""The expected risk of a wide random ReLU network, with its gradient and its Hessian in closed form."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.linear import scaled, unit
from gsl_utils.landscape.angles import between, layered, leak_of, minus_sine, polar

__all__ = ["expected_gradient", "expected_hessian", "expected_risk"]


def expected_risk(z: Tensor, z_true: Tensor, d: int, *, loss: str = "linear", leak: float = 0.0) -> Tensor:
    r"""The risk that a random ReLU network of d wide layers has in expectation.

    .. math:: \mathbb E\,\tfrac12\|G(z) - G(z_*)\|_2^2 \;\to\;
              2^{-d}\Bigl(\tfrac12\|z\|^2 + \tfrac12\|z_*\|^2 - \|z\|\,\|z_*\|\cos\bar\theta_d\Bigr),
              \qquad \bar\theta_0 = \angle(z, z_*),\quad \bar\theta_{i+1} = g(\bar\theta_i)

    The scale is Hand and Voroninski's: weights N(0, 1/n_i), and half of the squared misfit; the objective of
    ``recover`` is twice that. Gaussian measurements with N(0, 1/m) entries change nothing in expectation. For
    one layer the formula is exact at every width, for more it is the limit of wide layers.

    Args:
        z: Latent vectors ``(..., k)``, float32 or float64.
        z_true: Those that are looked for, ``(..., k)``; leading dimensions broadcast.
        d: The number of layers, at least 1.
        loss: ``"linear"``, or ``"amplitude"`` for measurements without their signs, many of them: the cosine
            c is then replaced by :math:`\tfrac2\pi(\sqrt{1-c^2} + c\arcsin c)`.
        leak: The slope a of a leaky ReLU, from 0 to 1; a layer then keeps :math:`(1+a^2)/2` of the energy in
            place of 1/2.

    Returns:
        The risk ``(...)``.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, an argument is out of range, or a risk is
            beyond the largest number.

    Source: Hand and Voroninski (2018), eq. (1), in expectation; Hand, Leong and Voroninski (2018) for
    amplitudes. Taught in chapter 5.

    >>> z = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    >>> expected_risk(z, z[0], 1)
    tensor([0.0000, 0.5000], dtype=torch.float64)
    """
    at = _Pair.of(z, z_true, d, loss, leak)
    # One power of two for both lengths, so that their squares are of order one.
    lengths, power = unit(torch.stack([at.length, at.length_true], -1), -1)
    r, s = lengths.unbind(-1)
    # In this form nothing is lost near the signal, where the risk vanishes.
    risk = at.energy * ((r - s).square() / 2 + r * s * at.misses)
    return checks.representable("the expected risk", scaled(risk, 2 * power.squeeze(-1)))


def expected_gradient(
    z: Tensor, z_true: Tensor, d: int, *, loss: str = "linear", leak: float = 0.0
) -> Tensor:
    r"""The gradient of the expected risk: the field h of Hand and Voroninski.

    .. math:: h(z) = 2^{-d}\Bigl[z - \Pi\,z_* - \bigl(\cos\bar\theta_d - \Pi\cos\bar\theta_0\bigr)
              \frac{\|z_*\|}{\|z\|}\,z\Bigr], \qquad \Pi = \prod_{i=0}^{d-1}\frac{\pi-\bar\theta_i}{\pi}

    The printed sum over layers is the bracket :math:`\cos\bar\theta_d - \Pi\cos\bar\theta_0`, by the
    recursion in ``rho``. The field vanishes at :math:`z_*`, at :math:`-\rho_d z_*` and nowhere else, but for
    the origin, where the risk has no gradient; there 0 is given, as automatic differentiation does. The scale
    is that of ``expected_risk``: twice h belongs to the objective of ``recover``.

    Args:
        z: Latent vectors ``(..., k)``, float32 or float64.
        z_true: Those that are looked for, ``(..., k)``; leading dimensions broadcast.
        d: The number of layers, at least 1.
        loss: ``"linear"`` or ``"amplitude"``, as in ``expected_risk``; with
            :math:`\theta = \bar\theta_d`, the latter replaces :math:`\cos\theta` by
            :math:`\tfrac2\pi\sin\theta + \tfrac{\pi-2\theta}{\pi}\cos\theta`, and multiplies :math:`\Pi`
            by :math:`\tfrac{\pi-2\theta}{\pi}`.
        leak: The slope of a leaky ReLU, from 0 to 1.

    Returns:
        The gradient ``(..., k)``.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or an argument is out of range.

    Source: Hand and Voroninski (2018), eq. (9); Hand, Leong and Voroninski (2020) for amplitudes, whose
    misprinted signs are corrected here. Taught in chapter 5.

    >>> z_true = torch.tensor([1.0, 0.0], dtype=torch.float64)
    >>> float(expected_gradient(-z_true / torch.pi, z_true, 2).norm()) < 1e-15
    True
    """
    at = _Pair.of(z, z_true, d, loss, leak)
    along = at.length - at.length_true * (at.cosine - at.turn * torch.cos(at.theta))
    towards = at.length_true * at.turn
    field = along.unsqueeze(-1) * at.direction - towards.unsqueeze(-1) * at.direction_true
    return at.energy * torch.where(at.direction.any(-1, keepdim=True), field, 0)


def expected_hessian(z: Tensor, z_true: Tensor, d: int, *, leak: float = 0.0) -> Tensor:
    r"""The Hessian of the expected risk.

    .. math:: H(z) = 2^{-d}\Bigl[I - \frac{\|z_*\|}{\|z\|}\Bigl((C + C'')\,tt^\top
              + (C + C'\cot\theta)\,(I - \hat z\hat z^\top - tt^\top)\Bigr)\Bigr],
              \qquad C(\theta) = \cos\bar\theta_d

    Here :math:`\theta = \bar\theta_0` is the angle between z and :math:`z_*`, and t the unit vector in their
    plane that is orthogonal to z. At :math:`-\rho_d z_*` all that is left is
    :math:`2^{-d}\hat z\hat z^\top`: no curvature in any direction but that of the axis.

    Args:
        z: Latent vectors ``(..., k)``, float32 or float64, none of them zero.
        z_true: Those that are looked for, ``(..., k)``; leading dimensions broadcast.
        d: The number of layers, at least 1.
        leak: The slope of a leaky ReLU, from 0 to 1.

    Returns:
        The Hessian ``(..., k, k)``, in the scale of ``expected_risk``.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, a z is zero, or an argument is out of range.

    Source: differentiated from Hand and Voroninski (2018), eq. (9), which does not print it. Taught in
    chapter 5.

    >>> z_true = torch.tensor([1.0, 0.0], dtype=torch.float64)
    >>> expected_hessian(-2 / torch.pi * z_true, z_true, 2)
    tensor([[0.2500, 0.0000],
            [0.0000, 0.1250]], dtype=torch.float64)
    """
    at = _Pair.of(z, z_true, d, "linear", leak)
    if not bool(at.direction.any(-1).all()):
        raise ValueError("z has a row of zeros, where the risk has no gradient; every row must be non-zero.")
    cosine, sine = torch.cos(at.theta), torch.sin(at.theta)
    # C' = -turn sin, so that the cotangent goes; C'' by the product rule.
    within = at.cosine - at.turn * cosine - at.bend * sine
    across = at.cosine - at.turn * cosine
    t = at.direction_true - cosine.unsqueeze(-1) * at.direction
    length = t.norm(dim=-1, keepdim=True)
    t = t / torch.where(length > 0, length, 1)
    outer = [v.unsqueeze(-1) * v.unsqueeze(-2) for v in (at.direction, t)]
    identity = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    pull = (at.length_true / at.length).unsqueeze(-1).unsqueeze(-1)
    within, across = (w.unsqueeze(-1).unsqueeze(-1) for w in (within, across))
    bent = within * outer[1] + across * (identity - outer[0] - outer[1])
    return at.energy * (identity - pull * bent)


class _Pair(NamedTuple):
    """Two latent vectors: lengths, directions (zero has zero), and what the layers make of the angle.

    ``cosine`` is that of the measurements, ``misses`` one minus it, ``turn`` its derivative in the cosine
    before the first layer; ``energy`` is the share of a squared length that the layers keep.
    """

    length: Tensor
    length_true: Tensor
    direction: Tensor
    direction_true: Tensor
    theta: Tensor
    cosine: Tensor
    misses: Tensor
    turn: Tensor
    bend: Tensor
    energy: float

    @classmethod
    def of(cls, z: Tensor, z_true: Tensor, d: int, loss: str, leak: float) -> _Pair:
        z, z_true = checks.signals("z", z, "k"), checks.signals("z_true", z_true, "k")
        checks.same_kind(z=z, z_true=z_true)
        if z.shape[-1] != z_true.shape[-1]:
            raise ValueError(
                f"z has shape {tuple(z.shape)} and z_true has {tuple(z_true.shape)}; their last dimensions "
                "must be the same."
            )
        try:
            z, z_true = torch.broadcast_tensors(z, z_true)
        except RuntimeError:
            raise ValueError(
                f"z has shape {tuple(z.shape)} and z_true has {tuple(z_true.shape)}; their leading "
                "dimensions must broadcast."
            ) from None
        d, leak = checks.integer("d", d, 1), leak_of(leak)
        amplitude = checks.choice("loss", loss, ("linear", "amplitude")) == "amplitude"
        (length, direction), (length_true, direction_true) = polar(z), polar(z_true)
        theta = between(direction, direction_true)
        angle, cosine, turn, bend = layered(theta, d, leak)
        misses = 2 * torch.sin(angle / 2).square()
        if amplitude:
            # What is left of the cosine is its own image under a map that keeps 1; the slope is an arcsine.
            slope = 1 - 2 * angle / math.pi
            cosine, turn = 2 / math.pi * torch.sin(angle) + slope * cosine, turn * slope
            misses = slope * misses + 2 / math.pi * minus_sine(angle)
        energy = ((1 + leak**2) / 2) ** d
        return cls(length, length_true, direction, direction_true, theta, cosine, misses, turn, bend, energy)
