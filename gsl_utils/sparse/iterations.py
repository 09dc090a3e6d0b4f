"""The two iterations for l1 problems, a batch of signals at a time: a splitting, and an interior point."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import linear
from gsl_utils.common.linear import square_root

__all__ = ["MOST_STEPS", "InteriorPoint", "Splitting", "spectral_rows"]

# A dozen or two of steps are enough for anything; after these, rounding allows no more.
MOST_STEPS = 100
_TO_THE_BOUNDARY = 0.995
# How far each step of the splitting goes: between 0 and 2 it converges.
_RELAXATION = 1.8


def spectral_rows(A: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Least squares with orthogonal rows instead: ``|Ax - y|^2`` and ``|Bx - b|^2`` differ by a constant.

    Returns ``B``, ``b`` and the squared norms of the rows of B in ascending order; as many rows as A has rows
    or columns, whichever are fewer.
    """
    if A.shape[-2] <= A.shape[-1]:
        energy, rotation = torch.linalg.eigh(A @ A.mT)
        return rotation.mT @ A, linear.adjoint(rotation, y), energy.clamp(min=0)
    energy, rotation = torch.linalg.eigh(A.mT @ A)
    energy = energy.clamp(min=0)
    length = square_root(energy)
    present = length > torch.finfo(A.dtype).eps * length[..., -1:]
    inverse = torch.where(present, 1 / length, torch.zeros_like(length))
    b = linear.adjoint(rotation, linear.adjoint(A, y)) * inverse
    return rotation.mT * length.unsqueeze(-1), b, energy


class Splitting:
    r"""Douglas-Rachford splitting for orthogonal rows, to find the support, for which float32 is enough.

    .. math:: z = S_t(p),\qquad p \leftarrow p + 1.8\,\big(\operatorname{prox}(2z - p) - z\big),\qquad
        \operatorname{prox}(v) = v + B^\top W(b - Bv)

    with the proximal operator of the data term, for which W is diagonal: with the squared norms E of the rows
    of B, :math:`W = (E + \lambda/t)^{-1}`. The threshold t ``(N, 1)`` sets the speed, not the solution.
    """

    def __init__(
        self, B: Tensor, b: Tensor, weight: Tensor, threshold: Tensor, *, nonnegative: bool = False
    ) -> None:
        self.B, self.weight, self.threshold = (
            state.float() for state in (B, -_RELAXATION * weight, threshold)
        )
        self.start = linear.adjoint(self.B, (b * weight).float())
        self.lowest = torch.full_like(self.threshold, -torch.inf) if nonnegative else -self.threshold
        self.p = self.start

    @property
    def z(self) -> Tensor:
        """The sparse point."""
        return self.p - self._clipped()

    def _clipped(self) -> Tensor:
        """What the threshold cuts off."""
        return torch.clamp(self.p, self.lowest, self.threshold)

    def step(self) -> None:
        """One step."""
        clipped = self._clipped()
        image = linear.forward(self.B, self.p - 2 * clipped) * self.weight
        change = linear.adjoint(self.B, image)
        self.p = change.add_(self.p).add_(self.start - clipped, alpha=_RELAXATION)

    def select(self, chosen: Tensor) -> None:
        """Go on with these signals only."""
        self.weight, self.start, self.threshold, self.lowest, self.p = (
            state[chosen] for state in (self.weight, self.start, self.threshold, self.lowest, self.p)
        )
        self.B = linear.rows(self.B, chosen)


class InteriorPoint:
    r"""Mehrotra's path for basis pursuit, for LASSO, and for both with x non-negative.

    With x = u - v, and a dual vector nu whose slacks are ``1 - A'nu`` and ``1 + A'nu``, the optimal point has

    .. math:: Ax + D\nu = y,\qquad u_i(1 - A^\top\nu)_i = 0,\qquad v_i(1 + A^\top\nu)_i = 0,
        \qquad u, v, 1 \pm A^\top\nu \ge 0

    where the diagonal of D, the ``ridge (N, m)``, is zero for basis pursuit and lambda for LASSO; where a
    row of A is zero it must be positive. For x that is ``nonnegative`` v is zero.
    """

    def __init__(self, A: Tensor, y: Tensor, ridge: Tensor, *, nonnegative: bool = False) -> None:
        self.A, self.y, self.ridge = A, y, ridge
        back = linear.adjoint(A, y)
        image = linear.forward(A, back).square().sum(-1, keepdim=True)
        # The best multiple of A'y; with orthonormal rows it is the solution of least norm.
        x = back * back.square().sum(-1, keepdim=True) / image.clamp(min=torch.finfo(y.dtype).tiny)
        offset = (x.abs() + x.abs().mean(-1, keepdim=True)) / 2
        self.signed = 0.0 if nonnegative else 1.0
        self.u, self.v = offset + x.clamp(min=0), self.signed * (offset - x.clamp(max=0))
        self.nu = torch.zeros_like(y)
        # False once a step could not be computed: rounding has taken over.
        self.sound = torch.ones(len(y), dtype=torch.bool, device=y.device)

    @property
    def x(self) -> Tensor:
        """The primal point."""
        return self.u - self.v

    @property
    def support(self) -> Tensor:
        """Where the primal variable is larger than its slack: near the end, the support of the solution."""
        slack_u, slack_v = self._slacks()
        return (self.u > slack_u) | (self.v > slack_v)

    def select(self, chosen: Tensor) -> None:
        """Go on with these signals only."""
        self.u, self.v, self.nu, self.y, self.ridge, self.sound = (
            state[chosen] for state in (self.u, self.v, self.nu, self.y, self.ridge, self.sound)
        )
        self.A = linear.rows(self.A, chosen)

    def step(self) -> None:
        """One predictor, one corrector, and as far along the latter as both sides allow."""
        u, v, (slack_u, slack_v) = self.u, self.v, self._slacks()
        residual = self.y - linear.forward(self.A, u - v) - self.ridge * self.nu
        weight = u / slack_u + v / slack_v
        normal = (self.A * weight.unsqueeze(-2)) @ self.A.mT
        normal.diagonal(dim1=-2, dim2=-1).add_(self.ridge)
        factor, info = torch.linalg.cholesky_ex(normal)
        stiff = (info != 0).nonzero().squeeze(-1)
        if len(stiff):
            factor[stiff] = self._factor_of_root(stiff, weight[stiff])

        def direction(right_u: Tensor, right_v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            """Solve slack du + u dslack = right for both halves; returns dnu, Q'dnu, du and dv."""
            right = residual - linear.forward(self.A, right_u / slack_u - self.signed * right_v / slack_v)
            d = torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
            back = linear.adjoint(self.A, d)
            return d, back, (right_u + u * back) / slack_u, self.signed * (right_v - v * back) / slack_v

        product = _mean_product(u, slack_u, v, slack_v)
        _, back, du, dv = direction(-u * slack_u, -v * slack_v)
        primal, dual = _longest(u, du, v, dv), _longest(slack_u, -back, slack_v, self.signed * back)
        reached = _mean_product(
            u + primal * du, slack_u - dual * back, v + primal * dv, slack_v + dual * back
        )
        target = reached**3 / product**2
        d, back, du, dv = direction(target - u * slack_u + du * back, target - v * slack_v - dv * back)
        primal = _TO_THE_BOUNDARY * _longest(u, du, v, dv)
        dual = _TO_THE_BOUNDARY * _longest(slack_u, -back, slack_v, self.signed * back)
        self.sound = torch.isfinite(d).all(-1)
        moving = self.sound.unsqueeze(-1)
        self.u = torch.where(moving, u + primal * du, u)
        self.v = torch.where(moving, v + primal * dv, v)
        self.nu = torch.where(moving, self.nu + dual * d, self.nu)

    def _factor_of_root(self, chosen: Tensor, weight: Tensor) -> Tensor:
        """The triangular factor of the weighted normal matrix, by QR of its square root.

        Near the end a few weights dwarf the others so far that the matrix itself, once rounded, is no longer
        definite; its square root has half as many decades.
        """
        root = (linear.rows(self.A, chosen) * square_root(weight).unsqueeze(-2)).mT
        ridge = torch.diag_embed(square_root(self.ridge[chosen]))
        return torch.linalg.qr(torch.cat([root, ridge], dim=-2), mode="r").R.mT

    def _slacks(self) -> tuple[Tensor, Tensor]:
        correlation = linear.adjoint(self.A, self.nu)
        smallest = torch.finfo(correlation.dtype).eps
        return (1 - correlation).clamp(min=smallest), (1 + self.signed * correlation).clamp(min=smallest)


def _mean_product(u: Tensor, slack_u: Tensor, v: Tensor, slack_v: Tensor) -> Tensor:
    return (u * slack_u + v * slack_v).mean(-1, keepdim=True) / 2


def _longest(first: Tensor, first_change: Tensor, second: Tensor, second_change: Tensor) -> Tensor:
    """The longest step up to 1 that keeps both non-negative, per signal."""
    first_limit = torch.where(first_change < 0, -first / first_change, torch.inf).amin(-1, keepdim=True)
    second_limit = torch.where(second_change < 0, -second / second_change, torch.inf).amin(-1, keepdim=True)
    return torch.minimum(first_limit, second_limit).clamp(max=1)
