"""Regularised least squares, the method that GSL's authors tried and left out, as we read its name."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks, linear
from gsl_utils.common.jacobian import Generator
from gsl_utils.common.linear import scaled
from gsl_utils.common.result import Recovery
from gsl_utils.linear_estimates import affine_fit
from gsl_utils.recovery.gsl.supports import Fit, SparseModel
from gsl_utils.recovery.gsl.weighted import data_share
from gsl_utils.recovery.problem import Given

__all__ = ["gsl_rls"]


def gsl_rls(
    G: Generator, B: Tensor, A: Tensor, y: Tensor, latents: Tensor, *, lambda1: float | Tensor = 0.9
) -> Recovery:
    r"""Regularised least squares: ridge regression through the best affine approximation of the generator.

    .. math:: \min_z\ \lambda_1 \|y - A (M B z + c)\|_2^2 + (1 - \lambda_1)\|z\|_2^2, \qquad
              (M, c) = \arg\min_{M, c} \sum_i \|f(B z_i) - M B z_i - c\|_2^2

    The estimate is :math:`\hat x = f(B\hat z)`. Units are as for ``gsl_l1``. The paper tried a
    "regularized least-squares (6)" and left it out; the equation could not be read, and this is our reading
    of its name.

    Args:
        G: The non-linear part f: any callable ``u (..., dim) -> x (..., n)``.
        B: The linear part ``(dim, p)``.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; the other tensors share its dtype and device.
        latents: Latent vectors ``(N, p)`` such as the signals have, with N above dim, to which the affine
            map is fitted.
        lambda1: The weight of the data, above 0 and at most 1: a number, or one per signal ``(...)``.

    Returns:
        A recovery; ``objective`` is the sum above, whose minimiser is exact.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or ``lambda1`` is out of range.

    Source: named by Honoré, Ghosh and Chatterjee (2023), eq. (6). Taught in chapter 6.

    >>> eye = torch.eye(2, dtype=torch.float64)
    >>> latents = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> y = torch.tensor([1.0, -2.0], dtype=torch.float64)
    >>> gsl_rls(torch.nn.Identity(), eye, eye, y, latents, lambda1=0.8).z.round(decimals=4).tolist()
    [0.8, -1.6]
    """
    latents = checks.signals("latents", latents, "p")
    given = Given.of(G, A, y, B)
    model = SparseModel.of(G, B, given)
    checks.same_kind(y=y, latents=latents)
    if latents.ndim != 2 or latents.shape[1] != B.shape[1]:
        raise ValueError(f"latents has shape {tuple(latents.shape)}; it must be (N, {B.shape[1]}).")
    share = data_share(lambda1, given).flatten()
    with torch.inference_mode(False), torch.no_grad():
        u = latents.detach() @ model.B.mT
        M, c = affine_fit(u, G(u))
        C = given.A @ (M @ model.B)
        target = given.y - given.A @ c
        weight = scaled((1 - share) / share, -2 * given.power)
        z = _ridge(C, target, weight.unsqueeze(-1))
        misfit = (target - linear.forward(C, z)).square().sum(-1)
        objective = share * (misfit + weight * z.square().sum(-1))
        fit = Fit(
            z, misfit, torch.ones_like(share, dtype=torch.int64), torch.ones_like(share, dtype=torch.bool)
        )
        return model.recovery(fit, objective)


def _ridge(C: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The z of least ``|target - Cz|^2 + weight |z|^2``; the shortest where the weight is zero."""
    U, values, Vh = torch.linalg.svd(C, full_matrices=False)
    least = torch.finfo(C.dtype).eps * max(C.shape[-2:]) * values.amax(-1, keepdim=True)
    shrunk = torch.where(values > least, values / (values.square() + weight), 0)
    return linear.adjoint(Vh, shrunk * linear.adjoint(U, target))
