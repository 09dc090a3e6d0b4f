"""All critical points of the risk of a bias-free ReLU network whose latent space is a plane, exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.generators.random_relu import RandomReLU

__all__ = ["PlanarPoints", "planar_critical_points"]

_ROUNDING = 1000  # machine precisions


@dataclass(frozen=True, eq=False)
class PlanarPoints:
    """Critical points ``(C, 2)`` by ascending angle, as ``planar_critical_points`` gives them.

    Attributes:
        z: Where they are.
        risk: The squared misfit there, ``(C,)``.
        saddle: Whether each is a saddle; the others are local minima.
        kink: Whether each lies on a ray across which the risk has no gradient.
    """

    z: Tensor
    risk: Tensor
    saddle: Tensor
    kink: Tensor


@torch.no_grad()
def planar_critical_points(G: RandomReLU, y: Tensor, *, A: Tensor | None = None) -> PlanarPoints:
    r"""Find every critical point of :math:`\|AG(z) - y\|_2^2` but the origin, for two latent dimensions.

    Without biases the regions on which G is linear are sectors, bounded by rays. Inside a sector the risk is
    a convex parabola, so that a smooth critical point is a local minimum, and there is at most one. On a ray
    the best length is known, and the slopes to both sides say whether it is a minimum or a saddle: a minimum
    along the ray, and lower on both sides of it. Each saddle is on a ray: the gradient jumps there, and never
    vanishes nearby, so that a search for zeros of the gradient finds none of them.

    Args:
        G: A network with ``latent_dim`` 2.
        y: What was measured, ``(m,)``, in the dtype and on the device of G's weights.
        A: The matrix ``(m, n)``; by default the identity, every entry being measured.

    Returns:
        The points, their risks and their kinds. Sectors in which AG is constant in some direction have no
        isolated critical point, and give none.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: The latent dimension is not 2, shapes do not fit, or entries are not finite.

    Source: the "potentially two critical points" of the interview with Voroninski (2017), which does not say
    how they were found. Taught in chapter 5.

    >>> G = RandomReLU((2, 40, 100), generator=torch.Generator().manual_seed(0))
    >>> y = G(torch.tensor([0.0, 1.0], dtype=torch.float64)).detach()
    >>> found = planar_critical_points(G, y)
    >>> best = int(found.risk.argmin())
    >>> [round(entry, 9) for entry in found.z[best].tolist()], bool(found.saddle[best])
    ([0.0, 1.0], False)
    """
    if not isinstance(G, RandomReLU):
        raise TypeError(f"G is a {type(G).__name__}; it must be a RandomReLU.")
    if G.latent_dim != 2:
        raise ValueError(f"G has latent_dim {G.latent_dim}; it must be 2.")
    y = checks.signals("y", y, "m")
    if y.ndim != 1:
        raise ValueError(f"y has shape {tuple(y.shape)}; it must be (m,), one signal.")
    weights: list[Tensor] = list(G.parameters())
    checks.same_kind(y=y, **{"G's weights": weights[0]})
    if A is None:
        if len(y) != G.n:
            raise ValueError(f"y has {len(y)} entries; without A it must have {G.n}, as G(z).")
    else:
        A, y, _ = checks.linear_system("A", A, "y", y, "rows")
        if A.shape != (len(y), G.n):
            raise ValueError(f"A has shape {tuple(A.shape)}; it must be {(len(y), G.n)}.")
    rays = _rays(weights)
    jacobians = _jacobians(weights, rays)
    if A is not None:
        jacobians = A @ jacobians
    points = [_inside(rays, jacobians, y), *_on_rays(rays, jacobians, y)]
    z = torch.cat(points)
    kinds = torch.arange(3, device=z.device).repeat_interleave(torch.tensor([len(p) for p in points]))
    order = torch.atan2(z[:, 1], z[:, 0]).argsort()
    z, kinds = z[order], kinds[order]
    x = G(z) if A is None else G(z) @ A.mT
    return PlanarPoints(z, (x - y).square().sum(-1), kinds == 2, kinds > 0)


def _rays(weights: list[Tensor]) -> Tensor:
    """Unit vectors ``(R, 2)`` by ascending angle, between neighbours of which the network is linear."""
    first = weights[0]
    kinks = torch.stack([-first[:, 1], first[:, 0]], -1)
    # Four rays cut what would be sectors of half a turn, on which nothing can be interpolated. They are none
    # that a signal is likely to lie on: what is smooth must be inside a sector.
    cosine, sine = math.cos(1), math.sin(1)
    cross = torch.tensor([[cosine, sine], [-sine, cosine]], dtype=first.dtype, device=first.device)
    half = torch.cat([cross, kinks[kinks.any(-1)]])
    rays = _ordered(torch.cat([half, -half]))
    hidden = rays
    for depth, weight in enumerate(weights):
        before = hidden @ weight.mT
        if depth:
            ahead = before.roll(-1, 0)
            sector, unit = (before * ahead < 0).nonzero(as_tuple=True)
            share, rest = before[sector, unit].abs(), ahead[sector, unit].abs()
            new = rest.unsqueeze(-1) * rays[sector] + share.unsqueeze(-1) * rays.roll(-1, 0)[sector]
            rays = _ordered(torch.cat([rays, new]))
            hidden = rays
            for earlier in weights[:depth]:
                hidden = torch.relu(hidden @ earlier.mT)
            before = hidden @ weight.mT
        hidden = torch.relu(before)
    return rays


def _ordered(rays: Tensor) -> Tensor:
    rays = rays / rays.norm(dim=-1, keepdim=True)
    return rays[torch.atan2(rays[:, 1], rays[:, 0]).argsort()]


def _jacobians(weights: list[Tensor], rays: Tensor) -> Tensor:
    """The network's matrix on each sector, ``(R, n, 2)``: sector i follows ray i."""
    hidden = rays + rays.roll(-1, 0)
    matrix = torch.eye(2, dtype=rays.dtype, device=rays.device).expand(len(rays), 2, 2)
    for weight in weights:
        hidden, matrix = hidden @ weight.mT, weight @ matrix
        matrix = matrix * (hidden > 0).unsqueeze(-1)
        hidden = torch.relu(hidden)
    return matrix


def _inside(rays: Tensor, jacobians: Tensor, y: Tensor) -> Tensor:
    """The least-squares solutions of the sectors that lie in their own sector."""
    (a, b), c = (jacobians.mT @ jacobians).unbind(-1), jacobians.mT @ y
    determinant = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    # By Cramer's rule; what is divided by zero lies in no sector.
    z = torch.stack([_cross(c, b), _cross(a, c)], -1) / determinant.unsqueeze(-1)
    return z[(_cross(rays, z) > 0) & (_cross(z, rays.roll(-1, 0)) > 0)]


def _on_rays(rays: Tensor, jacobians: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The best points of the rays that are minima, and those that are saddles."""
    left = jacobians.roll(1, 0)
    image = (jacobians @ rays.unsqueeze(-1)).squeeze(-1)
    energy = image.square().sum(-1)
    length = (image @ y) / energy
    residual = length.unsqueeze(-1) * image - y
    across = torch.stack([-rays[:, 1], rays[:, 0]], -1)
    slopes = [((side @ across.unsqueeze(-1)).squeeze(-1) * residual).sum(-1) for side in (left, jacobians)]
    z = length.unsqueeze(-1) * rays
    # Nearer to the origin than rounding tells is the origin; where a ray's image is zero no comparison holds.
    there = length.square() * energy > (_ROUNDING * torch.finfo(y.dtype).eps) ** 2 * y.square().sum()
    there &= length > 0
    up = (slopes[0] < 0) & (slopes[1] > 0) & there
    down = (slopes[0] > 0) & (slopes[1] < 0) & there
    return z[up], z[down]


def _cross(u: Tensor, v: Tensor) -> Tensor:
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
