"""Every support of a size: how far a search among supports stays from the best of all."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from itertools import combinations

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.jacobian import Generator
from gsl_utils.common.result import Recovery
from gsl_utils.recovery.gsl.supports import Fit, SparseModel, refit
from gsl_utils.recovery.problem import Given

__all__ = ["exhaustive_support"]

_MOST = 10**5  # supports of one signal
_ROWS = 4096  # supports that are fitted at once
_STEPS, _TOL = 30, 1e-6  # of each fit


def exhaustive_support(G: Generator, B: Tensor, A: Tensor, y: Tensor, sparsity: int) -> Recovery:
    r"""The best latent vector with a given number of non-zeros, from a descent on every support.

    .. math:: \min_{\|z\|_0 \le K}\ \|y - A f(Bz)\|_2^2

    For each signal, Levenberg-Marquardt starts from zero on each of the supports: none is missed, though for
    a non-linear f the best point of one may be. A and y times c give the same z and x.

    Args:
        G: The non-linear part f: any callable ``u (..., dim) -> x (..., n)``.
        B: The linear part ``(dim, p)``.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; A, B and G's weights share its dtype and device.
        sparsity: The number K of non-zeros.

    Returns:
        A recovery; ``objective`` is the squared residual, and ``n_iter`` and ``converged`` are those of the
        best support.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or there are more than 1e5 supports.

    Taught in chapter 6.

    >>> eye = torch.eye(4, dtype=torch.float64)
    >>> y = torch.tensor([1.0, torch.e, 1.0, 5.0], dtype=torch.float64)
    >>> exhaustive_support(torch.exp, eye, eye, y, 2).z.nonzero().flatten().tolist()
    [1, 3]
    """
    given = Given.of(G, A, y, B)
    model = SparseModel.of(G, B, given)
    p = B.shape[1]
    sparsity = checks.integer("sparsity", sparsity, 1, p, "the length of z")
    if math.comb(p, sparsity) > _MOST:
        raise ValueError(
            f"sparsity is {sparsity}; there are {math.comb(p, sparsity)} supports of that size among {p} "
            f"entries, and there must be at most {_MOST}."
        )
    with torch.inference_mode(False), torch.no_grad():
        supports = torch.tensor(list(combinations(range(p), sparsity)), device=y.device)
        masks = torch.zeros(len(supports), p, dtype=torch.bool, device=y.device).scatter(1, supports, True)
        everyone = torch.arange(len(model.y), device=y.device)
        fits = [_best(model.select(row), masks) for row in everyone.split(1)]
        fit = Fit(*(torch.cat([getattr(one, field.name) for one in fits]) for field in fields(Fit)))
        return model.recovery(fit, fit.energy)


def _best(one: SparseModel, masks: Tensor) -> Fit:
    """The best of all supports of the one signal of a model."""
    A = one.given.A
    # One matrix for all supports.
    one = replace(one, given=replace(one.given, A=A.reshape(A.shape[-2:])))
    fits = []
    for some in masks.split(_ROWS):
        many = one.select(torch.zeros(len(some), dtype=torch.int64, device=some.device))
        fits.append(refit(many, torch.zeros_like(some, dtype=one.y.dtype), some, steps=_STEPS, tol=_TOL))
    energy = torch.stack([fit.energy.min() for fit in fits])
    fit = fits[int(energy.argmin())]
    least = fit.energy.argmin(keepdim=True)
    return Fit(fit.z[least], fit.energy[least], fit.n_iter[least], fit.converged[least])
