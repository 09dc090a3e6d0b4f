"""What a small step moves in the first layer, and for which multiple nothing is to be gained by moving it."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.landscape.angles import between, layered, leak_of, polar

__all__ = ["moved_units", "undisturbed_radius", "vanishing_multiple"]


def moved_units(W: Tensor, z: Tensor, step: Tensor, *, leak: float = 0.0) -> tuple[Tensor, Tensor]:
    r"""Count the units of a first layer whose output a step of the latent vector changes.

    .. math:: \#\{i : a(w_i\cdot(z + s)) \ne a(w_i\cdot z)\},
              \qquad\text{among } w_i\cdot z > 0 \text{ and among the others}

    Args:
        W: The first layer's weights ``(n, k)``, float32 or float64.
        z: Latent vectors ``(..., k)``.
        step: What is added to them, ``(..., k)``.
        leak: The slope of the activation a for negative inputs, from 0, a ReLU, to 1.

    Returns:
        The number of active units that change and that of silent ones, ``(...)`` each. With a ReLU and a step
        shorter than ``undisturbed_radius`` no silent unit changes.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or the leak is out of range.

    Source: the interview with Voroninski (2017), the "more technical explanation". Taught in chapter 5.

    >>> W = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    >>> active, silent = moved_units(W, torch.tensor([2.0, 3.0]), torch.tensor([0.1, 0.0]))
    >>> int(active), int(silent)
    (1, 0)
    """
    W, z = _first_layer(W, z, "z")
    step = checks.signals("step", step, "k")
    checks.same_shape(z=z, step=step)
    leak = leak_of(leak)
    before, after = z @ W.mT, (z + step) @ W.mT
    changed = _activated(before, leak) != _activated(after, leak)
    active = before > 0
    return (changed & active).sum(-1), (changed & ~active).sum(-1)


def undisturbed_radius(W: Tensor, z: Tensor) -> Tensor:
    r"""How far a latent vector may move before any unit of the first layer can switch.

    .. math:: \min_i\frac{|w_i\cdot z|}{\|w_i\|_2}

    Args:
        W: The first layer's weights ``(n, k)``, float32 or float64; units without weights never switch.
        z: Latent vectors ``(..., k)``.

    Returns:
        The radius ``(...)`` of the largest open ball around z in which no unit switches.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, or entries are not finite.

    Taught in chapter 5.

    >>> undisturbed_radius(torch.tensor([[3.0, 4.0], [0.0, -1.0]]), torch.tensor([2.0, 0.5]))
    tensor(0.5000)
    """
    W, z = _first_layer(W, z, "z")
    _, directions = polar(W)
    distance = (z @ directions.mT).abs()
    return torch.where(directions.any(-1), distance, torch.inf).amin(-1)


def vanishing_multiple(W: Tensor, z_true: Tensor, d: int, *, leak: float = 0.0) -> Tensor:
    r"""The multiple at which moving the active units of the first layer gains nothing in expectation.

    .. math:: c = \rho_d\,\frac{\|\operatorname{relu}(Wz_*)\|_2}{\|\operatorname{relu}(-Wz_*)\|_2}

    W is given and the other layers are random and wide: the risk is then the expected one of d - 1 layers,
    between the first layer's outputs :math:`a = \operatorname{relu}(-cWz_*)` and
    :math:`b = \operatorname{relu}(Wz_*)`. Both have different supports, hence are orthogonal, and on the
    units that are active for a the gradient is a multiple of
    :math:`a\,(1 - \rho_d\|b\|/\|a\|)`. It is zero there for one c alone. On the silent units it is not, but
    those no small step of the latent vector moves.

    Args:
        W: The first layer's weights ``(n, k)``, float32 or float64.
        z_true: Latent vectors ``(..., k)`` that are looked for.
        d: The number of layers, at least 2.
        leak: The slope of a leaky ReLU, from 0 to 1. All units are active then, and c is where the gradient
            along a itself vanishes, :math:`\cos\theta\,\|b\|/\|a(1)\|` with :math:`\theta` what d - 1 layers
            make of the angle between a and b.

    Returns:
        The multiple c, ``(...)``; 0 where the gradient vanishes for no positive one, and infinity where no
        unit is active for a.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or an argument is out of range.

    Source: the interview with Voroninski (2017), the "more technical explanation"; Hand and Voroninski
    (2018), eq. (9). Taught in chapter 5.

    >>> W = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    >>> vanishing_multiple(W, torch.tensor([1.0, 0.0]), 2) * torch.pi
    tensor(0.7071)
    """
    W, z_true = _first_layer(W, z_true, "z_true")
    d, leak = checks.integer("d", d, 2), leak_of(leak)
    before = z_true @ W.mT
    (length_b, b), (length_a, a) = polar(_activated(before, leak)), polar(_activated(-before, leak))
    cosine = layered(between(a, b), d - 1, leak).cosine.clamp(min=0)
    return torch.where(length_a > 0, cosine * length_b / length_a, torch.inf)


def _first_layer(W: Tensor, z: Tensor, name: str) -> tuple[Tensor, Tensor]:
    W, z, _ = checks.linear_system("W", W, name, z, "columns")
    if W.ndim != 2:
        raise ValueError(f"W has shape {tuple(W.shape)}; it must be a single matrix (n, k).")
    return W, z


def _activated(values: Tensor, leak: float) -> Tensor:
    return torch.where(values > 0, values, leak * values if leak else 0)
