"""Latent vectors with a support of each signal's own: what they measure, and the best ones on a support."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils.common import least_squares, linear
from gsl_utils.common.generator_checks import check_signals
from gsl_utils.common.jacobian import Generator, Tangents
from gsl_utils.common.linear import scaled
from gsl_utils.common.result import Recovery
from gsl_utils.generators.by_hand import ByHand
from gsl_utils.generators.synthesis import constant
from gsl_utils.recovery.problem import Given
from gsl_utils.recovery.steps import falls_nearby

__all__ = ["Fit", "SparseModel", "refit", "scattered"]

_START, _LESS, _MORE, _MOST = 1e-3, 1 / 5, 4.0, 1e8
_FLAT = 1e-10  # share of the largest curvature that also a flat direction is damped with


@dataclass(frozen=True, eq=False)
class SparseModel:
    """The measurements ``A f(Bz)`` of every row ``z (N, p)``, beside what was ``given``, a row per signal."""

    given: Given
    f: Generator
    B: Tensor
    tangents: Tangents

    @classmethod
    def of(cls, f: Generator, B: Tensor, given: Given) -> SparseModel:
        """The model of what was given, ``f(Bz)`` being its generator: one row per signal."""
        B = B.detach()
        with torch.inference_mode(False), torch.no_grad():
            check_signals(given.G, B.new_zeros(1, B.shape[1]), given.A.shape[-1])
            f = constant(f)
            tangents = Tangents.of(f, B.new_zeros(1, len(B)), columns=True)
        return cls(given, f, B, tangents)

    def select(self, rows: Tensor) -> SparseModel:
        """The model of the chosen rows."""
        return replace(self, given=self.given.select(rows))

    @property
    def y(self) -> Tensor:
        """What was measured, in the units of A: ``(N, m)``."""
        return self.given.y

    def signal(self, z: Tensor) -> Tensor:
        """The signals ``(N, n)``."""
        return self.f(z @ self.B.mT)

    def residual(self, z: Tensor) -> Tensor:
        """What is left unexplained, ``(N, m)``."""
        return self.y - linear.forward(self.given.A, self.signal(z))

    def columns(self, z: Tensor, indices: Tensor) -> Tensor:
        """How the measurements change with the entries ``indices (N, s)`` of z: ``(N, s, m)``."""
        A, u, directions = self.given.A, z @ self.B.mT, self.B.mT[indices]
        if not indices.numel():
            return z.new_zeros(*indices.shape, self.y.shape[-1])
        size = max(1, least_squares.ENTRIES // max(1, directions[0].numel()))
        if len(u) <= size:
            return self._pushed(u, directions) @ A.mT
        parts = torch.arange(len(u), device=u.device).split(size)
        made = [self._pushed(u[part], directions[part]) @ linear.rows(A, part).mT for part in parts]
        return torch.cat(made)

    def recovery(self, fit: Fit, objective: Tensor) -> Recovery:
        """What is returned to the caller, the objective in the caller's units."""
        batch, objective = self.given.batch, scaled(objective, 2 * self.given.power)
        return Recovery(
            x=self.signal(fit.z).reshape(*batch, -1),
            z=fit.z.reshape(*batch, -1),
            objective=objective.reshape(batch),
            n_iter=fit.n_iter.reshape(batch),
            converged=(fit.converged & torch.isfinite(objective)).reshape(batch),
        )

    def _pushed(self, u: Tensor, directions: Tensor) -> Tensor:
        """The derivatives ``(N, s, n)`` of f at ``u (N, dim)`` along ``directions (N, s, dim)``."""
        if isinstance(self.f, ByHand):
            return self.f.pushforward(u, directions)
        count, width, dim = directions.shape
        if not self.tangents.forward:
            many = self.tangents.along(u.repeat_interleave(width, 0), directions.reshape(-1, dim))
            return many.view(count, width, -1)

        def along(direction: Tensor) -> Tensor:
            return torch.func.jvp(self.f, (u,), (direction,))[1]

        return torch.func.vmap(along, in_dims=1, out_dims=1)(directions)


@dataclass(frozen=True, eq=False)
class Fit:
    """Latent vectors ``z (N, p)``, their squared residuals, and how they were reached, ``(N,)`` each."""

    z: Tensor
    energy: Tensor
    n_iter: Tensor
    converged: Tensor


def scattered(w: Tensor, indices: Tensor, p: int) -> Tensor:
    """The vectors ``(N, p)`` whose entries at ``indices (N, s)`` are ``w``; padding must be zero."""
    return w.new_zeros(len(w), p).scatter_add(-1, indices, w)


def refit(model: SparseModel, z: Tensor, support: Tensor, *, steps: int, tol: float) -> Fit:
    """The least residual on each row's ``support (N, p)``, by Levenberg-Marquardt from ``z`` there.

    A row has converged when a step promised less than the share ``tol`` of its squared residual, or less
    than what rounding hides. It then leaves the batch.
    """
    p = z.shape[-1]
    indices, real = least_squares.support_indices(support)
    final = z * support
    w = final.gather(-1, indices) * real
    r = model.residual(final)
    energies, damping = r.square().sum(-1), torch.full_like(r[:, 0], _START)
    n_iter = torch.zeros(len(z), dtype=torch.int64, device=z.device)
    converged = ~support.any(-1)
    rows = torch.arange(len(z), device=z.device)
    hidden = torch.finfo(z.dtype).eps ** 2 * model.y.square().sum(-1)
    for t in range(steps + 1):
        going = (~converged[rows] & (damping < _MOST)).nonzero().squeeze(-1)
        if t == steps or not len(going):
            break
        if len(going) < len(rows):
            rows, w, r, damping, hidden = (v[going] for v in (rows, w, r, damping, hidden))
            indices, real, model = indices[going], real[going], model.select(going)
        here = scattered(w, indices, p)
        J = model.columns(here, indices) * real.unsqueeze(-1)
        slope = (J @ r.unsqueeze(-1)).squeeze(-1)
        move = _damped_solution(J @ J.mT, slope, real, damping)
        # Damping promises little whatever there is to gain: what it holds back counts.
        energy, promised = r.square().sum(-1), (slope * move).sum(-1) * (1 + damping)
        there = scattered(w + move, indices, p)
        trial = model.residual(there)
        lower = trial.square().sum(-1)
        better = lower < energy
        w, r = (torch.where(better.unsqueeze(-1), new, old) for new, old in ((w + move, w), (trial, r)))
        damping = damping * torch.where(better, _LESS, _MORE)
        final[rows] = torch.where(better.unsqueeze(-1), there, here)
        energies[rows] = torch.where(better, lower, energy)
        n_iter[rows] += 1
        done = promised <= tol * energy + hidden
        converged[rows] = done & ~_overlooked(model, here, support[rows], slope, energy, tol)
    return Fit(final, energies, n_iter, converged)


def _overlooked(
    model: SparseModel, z: Tensor, support: Tensor, slope: Tensor, energy: Tensor, tol: float
) -> Tensor:
    """Which rows show no slope at all and yet can gain by a short step on their supports, as at a kink."""
    flat = ~slope.any(-1) & support.any(-1)
    if not bool(flat.any()):
        return flat

    def value(near: Tensor) -> Tensor:
        return model.residual(near * support).square().sum(-1)

    return flat & falls_nearby(value, z, energy, tol * energy)


def _damped_solution(H: Tensor, slope: Tensor, real: Tensor, damping: Tensor) -> Tensor:
    """The step of Levenberg and Marquardt; zero where padded."""
    diagonal = H.diagonal(dim1=-2, dim2=-1)
    least = _FLAT * diagonal.amax(-1, keepdim=True) + torch.finfo(H.dtype).tiny
    added = damping.unsqueeze(-1) * diagonal + torch.where(real, least, 1)
    factor, _ = torch.linalg.cholesky_ex(H + torch.diag_embed(added))
    return torch.cholesky_solve(slope.unsqueeze(-1), factor).squeeze(-1) * real
