"""Basis pursuit for a batch of signals: splitting for the easy ones, an interior point for the rest, exact finish."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils import _batched, _checks
from gsl_utils._thresholds import shrink
from gsl_utils.recovery import Recovery

__all__ = ["basis_pursuit"]

_CHECK_EVERY = 20
_SPLITTING_STEPS = 200
_POLISHED = 1e-9
_ELEMENTS = 2**23


def basis_pursuit(A: Tensor, y: Tensor, *, tol: float = 1e-6, max_iter: int = 1000) -> Recovery:
    r"""The solution of least l1 norm, with a dual certificate for every signal.

    .. math:: \min_x\ \|x\|_1 \quad\text{subject to}\quad Ax = y
    """
    A, y, batch = _checks.linear_system("A", A, "y", y, "rows")
    tol = _checks.real("tol", tol, above=0.0)
    max_iter = _checks.integer("max_iter", max_iter, 1)
    flat_a, flat_y = _batched.flatten(A, y, batch)
    found = _Solver(flat_a.double(), flat_y.double(), tol, max_iter).run()
    x = found["x"].to(y.dtype).reshape(*batch, A.shape[-1])
    scalars = {name: found[name].reshape(batch) for name in ("objective", "n_iter", "converged", "gap")}
    scalars |= {name: scalars[name].to(y.dtype) for name in ("objective", "gap")}
    return Recovery(x=x, z=x, **scalars)


class _Solver:
    def __init__(self, A: Tensor, y: Tensor, tol: float, max_iter: int) -> None:
        self.tol, self.max_iter = tol, max_iter
        self.Q, self.b, self.feasible = _orthonormal_rows(A, y)
        count, n = len(y), A.shape[-1]
        self.x = _batched.adjoint(self.Q, self.b)
        self.objective = self.x.abs().sum(-1)
        self.gap = torch.full_like(self.objective, float("inf"))
        self.n_iter = torch.zeros(count, dtype=torch.int64, device=y.device)
        self.exact = torch.zeros(count, dtype=torch.bool, device=y.device)

    def run(self) -> dict[str, Tensor]:
        everyone = torch.arange(len(self.b), device=self.b.device)
        zero = self.b.abs().amax(-1) == 0
        self.gap[zero] = 0
        left = everyone[~zero & self.feasible]
        left = self._split(left, min(_SPLITTING_STEPS, self.max_iter))
        if len(left) and self.max_iter > _SPLITTING_STEPS:
            size = max(1, _ELEMENTS // (self.Q.shape[-1] * self.Q.shape[-2]))
            for part in left.split(size):
                self._interior(part, self.max_iter - _SPLITTING_STEPS)
        return {
            "x": self.x,
            "objective": self.objective,
            "n_iter": self.n_iter,
            "converged": self.feasible & (self.gap <= self.tol * self.objective),
            "gap": self.gap,
        }

    def _split(self, active: Tensor, steps: int) -> Tensor:
        """Douglas-Rachford splitting; returns the signals that it did not finish."""
        z = self.x[active]
        gamma = 0.3 * z.abs().amax(-1, keepdim=True)
        for iteration in range(1, steps + 1):
            if not len(active):
                break
            Q, b = _batched.rows(self.Q, active), self.b[active]
            s = shrink(z, gamma)
            reflected = 2 * s - z
            z = z - s + reflected + _batched.adjoint(Q, b - _batched.forward(Q, reflected))
            self.n_iter[active] = iteration
            if iteration % _CHECK_EVERY and iteration != steps:
                continue
            s = shrink(z, gamma)
            self._certify(active, s != 0, _batched.forward(Q, (z - s) / gamma))
            staying = self.gap[active] > min(self.tol, _POLISHED) * self.objective[active]
            active, z, gamma = active[staying], z[staying], gamma[staying]
        return active

    def _certify(self, chosen: Tensor, support: Tensor, dual: Tensor) -> None:
        """Least squares on the support and the nearest dual point to it; kept where the gap is the best yet."""
        near = support.sum(-1) <= self.Q.shape[-2]
        chosen, support, dual = chosen[near], support[near], dual[near]
        if not len(chosen):
            return
        Q, b = _batched.rows(self.Q, chosen), self.b[chosen]
        indices, real = _batched.support_indices(support)
        columns = _batched.gather_columns(Q, indices, real)
        values, _ = _batched.solve_normal(columns, real, (columns @ b.unsqueeze(-1)).squeeze(-1))
        x = torch.zeros_like(support, dtype=b.dtype).scatter_add_(-1, indices, values)
        residual = b - _batched.forward(Q, x)
        fits = residual.abs().amax(-1) <= 1e-10 * b.abs().amax(-1)
        # The smallest change of the dual point that makes its correlations the signs on the support.
        short = (values.sign() - (columns @ dual.unsqueeze(-1)).squeeze(-1)) * real
        change, _ = _batched.solve_normal(columns, real, short)
        dual = dual + (columns.mT @ change.unsqueeze(-1)).squeeze(-1)
        self._keep(chosen[fits], x[fits], dual[fits])

    def _keep(self, chosen: Tensor, x: Tensor, dual: Tensor) -> None:
        Q, b = _batched.rows(self.Q, chosen), self.b[chosen]
        peak = _batched.adjoint(Q, dual).abs().amax(-1)
        objective = x.abs().sum(-1)
        gap = (objective - (b * dual).sum(-1) / peak.clamp(min=1)).clamp(min=0)
        better = gap < self.gap[chosen]
        kept = chosen[better]
        self.x[kept], self.objective[kept], self.gap[kept] = x[better], objective[better], gap[better]

    def _interior(self, active: Tensor, steps: int) -> None:
        """Mehrotra's predictor and corrector on x = u - v with u, v > 0."""
        before = int(self.n_iter[active].max())
        x = _batched.adjoint(_batched.rows(self.Q, active), self.b[active])
        start = x.abs().mean(-1, keepdim=True) + x.abs()
        u, v = start + x.clamp(min=0), start - x.clamp(max=0)
        u, v = u - torch.minimum(u, v) / 2, v - torch.minimum(u, v) / 2
        nu = torch.zeros_like(self.b[active])
        for iteration in range(1, min(steps, 60) + 1):
            if not len(active):
                return
            Q, b = _batched.rows(self.Q, active), self.b[active]
            c = _batched.adjoint(Q, nu)
            su, sv = 1 - c, 1 + c
            n = x.shape[-1]
            mu = ((u * su).sum(-1) + (v * sv).sum(-1)) / (2 * n)
            residual = b - _batched.forward(Q, u - v)
            weight = u / su + v / sv
            normal = (Q * weight.unsqueeze(-2)) @ Q.mT
            factor, info = torch.linalg.cholesky_ex(normal)

            def direction(ru: Tensor, rv: Tensor) -> tuple[Tensor, ...]:
                # u ds + s du = ru with ds_u = -Q'd, ds_v = Q'd.
                right = residual - _batched.forward(Q, ru / su - rv / sv)
                d = torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
                qd = _batched.adjoint(Q, d)
                return d, qd, (ru + u * qd) / su, (rv - v * qd) / sv

            d, qd, du, dv = direction(-u * su, -v * sv)
            primal, dual_step = _step((u, v), (du, dv)), _step((su, sv), (-qd, qd))
            after = ((u + primal * du) * (su - dual_step * qd) + (v + primal * dv) * (sv + dual_step * qd)).sum(-1)
            sigma = (after / (2 * n) / mu) ** 3
            target = (sigma * mu).unsqueeze(-1)
            d, qd, du, dv = direction(target - u * su + du * qd, target - v * sv - dv * qd)
            primal = 0.995 * _step((u, v), (du, dv))
            dual_step = 0.995 * _step((su, sv), (-qd, qd))
            u, v, nu = u + primal * du, v + primal * dv, nu + dual_step * d
            self.n_iter[active] = before + iteration
            relative = ((u * su).sum(-1) + (v * sv).sum(-1)) / (u + v).sum(-1)
            if float(relative.min()) < 1e-3:
                self._certify(active, (u - v).abs() > torch.minimum(1 - _batched.adjoint(Q, nu), 1 + _batched.adjoint(Q, nu)), nu)
            staying = (self.gap[active] > min(self.tol, _POLISHED) * self.objective[active]) & (info == 0)
            active, u, v, nu, x = active[staying], u[staying], v[staying], nu[staying], x[staying]


def _step(values: tuple[Tensor, Tensor], changes: tuple[Tensor, Tensor]) -> Tensor:
    """The largest step in (0, 1] that keeps all values non-negative, per signal."""
    ratios = [
        torch.where(change < 0, -value / change, torch.full_like(value, float("inf"))).amin(-1, keepdim=True)
        for value, change in zip(values, changes, strict=True)
    ]
    return torch.minimum(*ratios).clamp(max=1)


def _orthonormal_rows(A: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same affine space as ``Ax = y``, written with orthonormal rows: ``Qx = b``; and whether it has a point."""
    u, s, vt = torch.linalg.svd(A, full_matrices=False)
    limit = max(A.shape[-2:]) * torch.finfo(A.dtype).eps * s.amax(-1, keepdim=True)
    inverse = torch.where(s > limit, 1 / s, torch.zeros_like(s))
    Q = vt * (s > limit).unsqueeze(-1)
    b = _batched.adjoint(u, y) * inverse
    residual = y - _batched.forward(A, _batched.adjoint(Q, b))
    feasible = residual.abs().amax(-1) <= 1e-8 * y.abs().amax(-1)
    return Q, b, feasible
