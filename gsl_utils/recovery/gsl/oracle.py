"""The ceiling of every method that must find a support: the best latent vector on the true one."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.jacobian import Generator
from gsl_utils.common.result import Recovery
from gsl_utils.recovery.gsl.supports import SparseModel, refit
from gsl_utils.recovery.problem import Given

__all__ = ["support_oracle"]

_STEPS = 50  # at most


def support_oracle(
    G: Generator,
    B: Tensor,
    A: Tensor,
    y: Tensor,
    support: Tensor,
    *,
    z0: Tensor | None = None,
) -> Recovery:
    r"""The best latent vector on a support that is told: the ceiling of methods that must find it.

    .. math:: \min_z\ \|y - A f(Bz)\|_2^2 \quad\text{subject to}\quad z_i = 0 \text{ for } i \notin S

    By Levenberg-Marquardt from zero. For a strongly non-linear f that may end in a local minimum; from the
    true latent vector it may find a lower one. A and y times c give the same z and x.

    Args:
        G: The non-linear part f: any callable ``u (..., dim) -> x (..., n)``.
        B: The linear part ``(dim, p)``.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; the other tensors share its dtype and device.
        support: Which entries may differ from zero: booleans ``(..., p)``.
        z0: Where to start, ``(..., p)``, its entries on the support; by default at zero.

    Returns:
        A recovery; ``objective`` is the squared residual.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, or entries are not finite.

    Taught in chapter 6.

    >>> eye = torch.eye(2, dtype=torch.float64)
    >>> y = torch.tensor([5.0, torch.e], dtype=torch.float64)
    >>> support_oracle(torch.exp, eye, eye, y, torch.tensor([False, True])).z.round(decimals=6).tolist()
    [0.0, 1.0]
    """
    if not isinstance(support, Tensor) or support.dtype != torch.bool:
        kind = (
            f"has dtype {support.dtype}" if isinstance(support, Tensor) else f"is a {type(support).__name__}"
        )
        raise TypeError(f"support {kind}; it must be a torch.Tensor of booleans.")
    given = Given.of(G, A, y, B)
    model = SparseModel.of(G, B, given)
    z0 = y.new_zeros(B.shape[1]) if z0 is None else checks.signals("z0", z0, "p").detach()
    checks.same_kind(y=y, z0=z0)
    shape = (*given.batch, B.shape[1])
    for name, value in (("support", support), ("z0", z0)):
        try:
            value.expand(shape)
        except RuntimeError:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}; it must broadcast to {shape}."
            ) from None
    z0, support = (value.expand(shape).reshape(-1, shape[-1]) for value in (z0, support))
    with torch.inference_mode(False), torch.no_grad():
        fit = refit(model, z0, support, steps=_STEPS, tol=torch.finfo(y.dtype).eps ** 0.5)
        return model.recovery(fit, fit.energy)
