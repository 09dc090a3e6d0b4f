"""Mehrotra's predictor-corrector method for basis pursuit, a batch of signals at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils import _batched

__all__ = ["InteriorPoint"]

_TO_THE_BOUNDARY = 0.995


class InteriorPoint:
    r"""The primal-dual path of ``min |x|_1 s.t. Qx = b`` written as a linear program with x = u - v.

    The dual point nu has the slacks ``1 - Q'nu`` and ``1 + Q'nu``; both start at 1, and the primal start is
    feasible, so that every step keeps both sides feasible up to rounding.

    Args:
        Q: Rows that are orthonormal, or zero where the system has less than full rank: ``(r, n)`` or ``(N, r,
            n)``.
        b: ``(N, r)``, zero where the row is.
    """

    def __init__(self, Q: Tensor, b: Tensor) -> None:
        self.Q, self.b = Q, b
        self.empty_rows = torch.diag_embed((Q.abs().amax(-1) == 0).to(Q.dtype))
        x = _batched.adjoint(Q, b)
        offset = (x.abs() + x.abs().mean(-1, keepdim=True)) / 2
        self.u, self.v = offset + x.clamp(min=0), offset - x.clamp(max=0)
        self.nu = torch.zeros_like(b)
        # False once the equations of a step could not be solved: rounding has taken over.
        self.sound = torch.ones(len(b), dtype=torch.bool, device=b.device)

    @property
    def x(self) -> Tensor:
        """The primal point, moved onto the constraints."""
        x = self.u - self.v
        return x + _batched.adjoint(self.Q, self.b - _batched.forward(self.Q, x))

    @property
    def support(self) -> Tensor:
        """Where the primal variable is larger than its slack: near the end, the support of the solution."""
        slack_u, slack_v = self._slacks()
        return (self.u > slack_u) | (self.v > slack_v)

    def select(self, chosen: Tensor) -> None:
        """Go on with these signals only."""
        self.u, self.v, self.nu, self.b, self.sound = (
            state[chosen] for state in (self.u, self.v, self.nu, self.b, self.sound)
        )
        if self.Q.ndim > 2:
            self.Q, self.empty_rows = self.Q[chosen], self.empty_rows[chosen]

    def step(self) -> None:
        """One predictor, one corrector, and as far along the latter as both sides allow."""
        u, v, (slack_u, slack_v) = self.u, self.v, self._slacks()
        residual = self.b - _batched.forward(self.Q, u - v)
        weight = u / slack_u + v / slack_v
        normal = (self.Q * weight.unsqueeze(-2)) @ self.Q.mT + self.empty_rows
        factor, info = torch.linalg.cholesky_ex(normal)

        def direction(right_u: Tensor, right_v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            """Solve slack du + u dslack = right for both halves; returns dnu, Q'dnu, du and dv."""
            right = residual - _batched.forward(self.Q, right_u / slack_u - right_v / slack_v)
            d = torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
            back = _batched.adjoint(self.Q, d)
            return d, back, (right_u + u * back) / slack_u, (right_v - v * back) / slack_v

        product = _mean_product(u, slack_u, v, slack_v)
        _, back, du, dv = direction(-u * slack_u, -v * slack_v)
        primal, dual = _longest(u, du, v, dv), _longest(slack_u, -back, slack_v, back)
        reached = _mean_product(
            u + primal * du, slack_u - dual * back, v + primal * dv, slack_v + dual * back
        )
        target = reached**3 / product**2
        d, back, du, dv = direction(target - u * slack_u + du * back, target - v * slack_v - dv * back)
        primal = _TO_THE_BOUNDARY * _longest(u, du, v, dv)
        dual = _TO_THE_BOUNDARY * _longest(slack_u, -back, slack_v, back)
        self.sound = (info == 0) & torch.isfinite(d).all(-1)
        moving = self.sound.unsqueeze(-1)
        self.u = torch.where(moving, u + primal * du, u)
        self.v = torch.where(moving, v + primal * dv, v)
        self.nu = torch.where(moving, self.nu + dual * d, self.nu)

    def _slacks(self) -> tuple[Tensor, Tensor]:
        correlation = _batched.adjoint(self.Q, self.nu)
        smallest = torch.finfo(correlation.dtype).eps
        return (1 - correlation).clamp(min=smallest), (1 + correlation).clamp(min=smallest)


def _mean_product(u: Tensor, slack_u: Tensor, v: Tensor, slack_v: Tensor) -> Tensor:
    return (u * slack_u + v * slack_v).mean(-1, keepdim=True) / 2


def _longest(first: Tensor, first_change: Tensor, second: Tensor, second_change: Tensor) -> Tensor:
    """The longest step up to 1 that keeps both non-negative, per signal."""
    first_limit = torch.where(first_change < 0, -first / first_change, torch.inf).amin(-1, keepdim=True)
    second_limit = torch.where(second_change < 0, -second / second_change, torch.inf).amin(-1, keepdim=True)
    return torch.minimum(first_limit, second_limit).clamp(max=1)
