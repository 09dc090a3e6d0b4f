"""The second-order expansion of a generator about a point, with a proved bound on what it leaves out.

A search for the worst point of a set can only say what it found. These bounds hold for every point of a ball,
up to the rounding of float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gsl_utils.common.generator_checks import Trusted
from gsl_utils.common.jacobian import Tangents
from gsl_utils.common.linear import square_root
from gsl_utils.generators.by_hand import is_as_written
from gsl_utils.generators.vae import VAE

__all__ = ["Expansion", "expander", "largest", "smallest"]

# Eigenvalues of Gram matrices are known to this share of the largest, with much room.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Expansion:
    r"""A map about P points c, on the balls of radius h around them, for inputs of k entries.

    .. math:: \sup_{\|z - c\| \le h}\ \sup_{\|w\| = 1} \|D^2 G(z)[w, w] - D^2 G(c)[w, w]\|_2 \le \text{rest}

    ``value (P, n)``, ``slope (P, n, k)`` and ``bend (P, n, k, k)`` are G and its derivatives at c, and
    ``rest (P,)`` is the bound. By Taylor's theorem with the remainder as an integral

    .. math:: \|G(z) - G(c) - J(z - c)\| \le \tfrac12(\|D^2G(c)\| + \text{rest})\,h^2, \qquad
              \|DG(z) - J - D^2G(c)[z - c]\| \le \text{rest}\; h
    """

    value: Tensor
    slope: Tensor
    bend: Tensor
    rest: Tensor

    def through(self, A: Tensor, norm: Tensor) -> Expansion:
        """The same of A G; ``norm`` is the spectral norm of A."""
        bend = (A @ self.bend.flatten(2)).unflatten(2, self.bend.shape[2:])
        return Expansion(self.value @ A.mT, A @ self.slope, bend, norm * self.rest)

    def curvature(self) -> Tensor:
        """The norm of the second derivative at the points themselves: ``(P,)``."""
        return largest(self.bend.flatten(2))


def largest(table: Tensor) -> Tensor:
    """The largest singular value of each ``(..., n, p)`` with few columns, and not less.

    For the second derivative as ``(n, k * k)`` it is a bound of its norm: a symmetric bilinear map is largest
    on equal arguments, by Banach (1938), and those are vectors of length 1 of the k * k entries.
    """
    values = torch.linalg.eigvalsh(table.mT @ table)
    return square_root((values[..., -1] * (1 + _ROUNDING)).clamp(min=0))


def smallest(table: Tensor) -> Tensor:
    """The smallest singular value of each ``(..., n, p)`` with few columns, and not more."""
    values = torch.linalg.eigvalsh(table.mT @ table)
    return square_root((values[..., 0] - _ROUNDING * values[..., -1]).clamp(min=0))


Expander = Callable[[Tensor, Tensor], Expansion]


def expander(G: Callable[[Tensor], Tensor], curvature: float | None) -> Expander:
    r"""What expands a generator about ``c (P, k)`` on balls of radius ``h (P,)``, all in float64.

    A network of linear layers, softplus, sigmoid and tanh is expanded layer by layer; any other generator
    needs a bound ``curvature`` on its second derivatives.

    A linear layer takes u to Wu + b, and the bound to at most :math:`\|W\|` times itself. After an activation
    f, entry by entry,

    .. math:: D^2 f(u)[w, w] = f''(u)\,(Du\,w)^2 + f'(u)\,D^2u[w, w].

    Let J, M and V be slope, bend and rest before it. On the ball, :math:`\|Du - J\| \le K = (\|M\| + V)h` and
    :math:`|u_s - u_s(c)| \le d_s = \|J_s\| h + (\|M_s\| + V)h^2/2`, so that :math:`f''` changes by at most
    :math:`\omega_s = L d_s`, where L bounds :math:`|f'''|`, and :math:`f'` by
    :math:`\nu_s = |f''|d_s + L d_s^2/2`. With :math:`Du\,w = Jw + r`, :math:`\|r\| \le K`, the
    sum changes by at most

    .. math:: \|(\omega_s \|J_s\|^2)_s\| + 2K\max_s(|f''| + \omega_s)\|J_s\| + K^2 \max_s(|f''| + \omega_s)
              + \|(\nu_s \|M_s\|)_s\| + V \max_s (|f'| + \nu_s).

    Raises:
        ValueError: ``curvature`` is None and G is no such network.
    """
    if curvature is not None:
        return _Bounded(G, curvature)
    layers = _layers(G.decoder if isinstance(G, VAE) and is_as_written(G, VAE) else G)
    return lambda c, h: _through_layers(layers, c, h)


class _Bounded:
    """Any generator, with a bound on its second derivatives."""

    def __init__(self, G: Callable[[Tensor], Tensor], curvature: float) -> None:
        self.G, self.curvature = Trusted(G), curvature

    def __call__(self, c: Tensor, h: Tensor) -> Expansion:  # noqa: ARG002 (the bound is that of all balls)
        value = self.G(c)
        slope = Tangents.of(self.G, c[:1], columns=True).columns(c).mT
        k = c.shape[-1]
        return Expansion(
            value, slope, value.new_zeros(*value.shape, k, k), torch.full_like(c[:, 0], self.curvature)
        )


def _softplus(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    s = u.sigmoid()
    return nn.functional.softplus(u), s, s * (1 - s)


def _sigmoid(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    s = u.sigmoid()
    return s, s * (1 - s), s * (1 - s) * (1 - 2 * s)


def _tanh(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    t = u.tanh()
    return t, 1 - t * t, -2 * t * (1 - t * t)


# A function with its first two derivatives, and the largest magnitude of its third.
_ACTIVATIONS: dict[type[nn.Module], tuple[Callable[[Tensor], tuple[Tensor, Tensor, Tensor]], float]] = {
    nn.Softplus: (_softplus, 1 / (6 * 3**0.5)),
    nn.Sigmoid: (_sigmoid, 1 / 8),
    nn.Tanh: (_tanh, 2.0),
}


def _layers(G: Any) -> list[nn.Module]:
    """The layers of a network, in their order."""
    if is_as_written(G, nn.Sequential):
        return [layer for part in G for layer in _layers(part)]
    known = is_as_written(G, nn.Linear) or (type(G) in _ACTIVATIONS and is_as_written(G, type(G)))
    if not known or (isinstance(G, nn.Softplus) and (G.beta, G.threshold) != (1, 20)):
        raise ValueError(
            f"curvature is None and G is, or has, {G!r}; of anything but Linear, Softplus, Sigmoid and Tanh "
            "layers, as torch has them by default, the curvature must be given."
        )
    return [G]


def _through_layers(layers: list[nn.Module], c: Tensor, h: Tensor) -> Expansion:
    count, k = c.shape
    slope = torch.eye(k, dtype=c.dtype, device=c.device).expand(count, k, k)
    at = Expansion(c, slope, c.new_zeros(count, k, k, k), c.new_zeros(count))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            W = layer.weight.double()
            at = at.through(W, torch.linalg.matrix_norm(W, 2))
            if layer.bias is not None:
                at = Expansion(at.value + layer.bias.double(), at.slope, at.bend, at.rest)
        else:
            at = _activated(*_ACTIVATIONS[type(layer)], at, h.unsqueeze(-1))
    return at


def _activated(
    f: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]], third: float, at: Expansion, h: Tensor
) -> Expansion:
    rest = at.rest.unsqueeze(-1)
    slopes, bends = at.slope.norm(dim=-1), at.bend.flatten(2).norm(dim=-1)
    turn = (at.curvature().unsqueeze(-1) + rest) * h
    away = slopes * h + (bends + rest) * h.square() / 2
    value, first, second = f(at.value)
    second_moves = third * away
    first_moves = second.abs() * away + third * away.square() / 2
    second_most, first_most = second.abs() + second_moves, first.abs() + first_moves
    left_out = (
        (second_moves * slopes.square()).norm(dim=-1)
        + 2 * turn.squeeze(-1) * (second_most * slopes).amax(-1)
        + turn.squeeze(-1).square() * second_most.amax(-1)
        + (first_moves * bends).norm(dim=-1)
        + at.rest * first_most.amax(-1)
    )
    outer = at.slope.unsqueeze(-1) * at.slope.unsqueeze(-2)
    bend = second[..., None, None] * outer + first[..., None, None] * at.bend
    return Expansion(value, first.unsqueeze(-1) * at.slope, bend, left_out)
