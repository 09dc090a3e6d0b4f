"""The best linear or affine map from samples of inputs to outputs, and what it leaves over, without bias."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.linear import unit

__all__ = ["linear_r2", "nnlm", "pairs"]


def nnlm(u: Tensor, x: Tensor, *, estimator: str = "affine", normalise: str = "energy") -> float:
    r"""Estimate the normalised non-linearity measure: the share of x that no linear map of u explains.

    .. math:: \mathrm{NNLM} = \frac{\min_L \operatorname{E}\|x - L(u)\|_2^2}{\operatorname{E}\|x\|_2^2}

    ``"affine"`` minimises over maps :math:`L(u) = Wu + b`, ``"linear"`` over those with :math:`b = 0`;
    ``"variance"`` divides by :math:`\operatorname{E}\|x - \operatorname{E}x\|_2^2` instead. Which is meant
    matters wherever x has a mean: the definition as printed leaves it open.

    Fitted residuals :math:`e_i` are too small, and those of a fit without their own sample,
    :math:`e_i/(1-h_i)` with the leverage :math:`h_i`, too large, by the same first-order term. The estimate
    uses their products,

    .. math:: \frac1N\sum_{i=1}^N \frac{\|e_i\|_2^2}{1-h_i}\,,

    free of bias in the order :math:`1/N` for every law with enough moments, and altogether where the residual
    is independent of u. It needs samples that show the tails: exponentials of sparse Gaussian vectors are
    underestimated. It is not clipped: where nothing can be explained it varies around 1.

    Args:
        u: Inputs ``(N, p)``, one sample a row; N at least p + 2 (p + 1 without intercept), better 10 p.
        x: Their outputs ``(N, n)``, of the same dtype and device.
        estimator: ``"affine"`` or ``"linear"``.
        normalise: ``"energy"``, as printed, or ``"variance"``, with ``"affine"`` only: a linear map cannot
            follow a mean, so that its error is not bounded by the variance.

    Returns:
        The estimate: 0 for a map that is linear (affine), 1 for one of which nothing is.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device.
        ValueError: Shapes do not fit, there are too few samples, u does not vary in all its directions, a
            direction is seen in one sample only, x has nothing to explain, an option is unknown, or
            ``"linear"`` meets ``"variance"``.

    Defined by Honoré, Ghosh and Chatterjee (2023), without saying which; the weights :math:`1/(1-h_i)` are
    those of Horn, Horn and Duncan (1975). Taught in chapter 7.

    >>> u = torch.linspace(-1, 1, 100, dtype=torch.float64)[:, None]
    >>> round(nnlm(u, 3 * u + 1), 6), round(nnlm(u, u**2, normalise="variance"), 2)
    (0.0, 1.02)
    """
    u, x = pairs(u, x)
    affine = checks.choice("estimator", estimator, ("affine", "linear")) == "affine"
    centred = checks.choice("normalise", normalise, ("energy", "variance")) == "variance"
    if centred and not affine:
        raise ValueError(
            "normalise is 'variance' with estimator 'linear', whose error holds the mean of x and is not "
            "bounded by the variance; it must be 'energy', or estimator must be 'affine'."
        )
    x, _ = unit(x, (0, 1))
    unexplained = _unexplained(u, x, affine=affine).sum()
    return float(unexplained / _total(x, centred=centred).sum())


def linear_r2(u: Tensor, x: Tensor) -> float:
    r"""Estimate what an affine map of u explains of an entry of x: the mean over entries of R squared.

    .. math:: R^2 = \frac1n\sum_{j=1}^n\Bigl(1 -
              \frac{\min_{w,b}\operatorname{E}(x_j - \langle w,u\rangle - b)^2}{\operatorname{Var}(x_j)}\Bigr)

    Weighted by the variances of the entries, the mean would be one less ``nnlm`` over the variance. Without
    weights small entries count as much as large ones. The same correction for finite samples.

    Args:
        u: Inputs ``(N, p)``, one sample a row; N at least p + 2, better 10 p.
        x: Their outputs ``(N, n)``, of the same dtype and device.

    Returns:
        The estimate: 1 for an affine map, about 0 where nothing is explained.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device.
        ValueError: Shapes do not fit, there are too few samples, u does not vary in all its directions, or an
            entry of x is constant.

    Taught in chapter 7.

    >>> u = torch.linspace(-1, 1, 100, dtype=torch.float64)[:, None]
    >>> round(linear_r2(u, torch.cat([u, 5 * u], dim=1)), 6)
    1.0
    """
    u, x = pairs(u, x)
    x, _ = unit(x, 0)
    unexplained = _unexplained(u, x, affine=True)
    return float(1 - (unexplained / _total(x, centred=True, each=True)).mean())


def pairs(u: object, x: object) -> tuple[Tensor, Tensor]:
    """Samples of inputs ``(N, p)`` and of their outputs ``(N, n)``."""
    inputs, outputs = checks.floats("u", u), checks.floats("x", x)
    checks.same_kind(u=inputs, x=outputs)
    for name, tensor, letter in (("u", inputs, "p"), ("x", outputs, "n")):
        if tensor.ndim != 2:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}; it must be (N, {letter}), one sample a row."
            )
    if len(inputs) != len(outputs):
        raise ValueError(f"u has {len(inputs)} rows and x has {len(outputs)}; they must be the same samples.")
    return inputs.detach(), outputs.detach()


def _unexplained(u: Tensor, x: Tensor, *, affine: bool) -> Tensor:
    """The mean squared error of the best map, for each entry of x: ``(n,)``."""
    count, p = u.shape
    if count < p + 1 + affine:
        raise ValueError(
            f"u has {count} samples of {p} entries; there must be at least {p + 1 + affine}, better {10 * p}."
        )
    u, _ = unit(u, 0)
    # What the intercept takes is taken out first, so that a large mean costs no digits.
    design = u - u.mean(dim=0) if affine else u
    basis = _orthonormal(design, u, affine=affine)
    leverage = basis.square().sum(dim=1) + affine / count
    room = 1 - leverage
    if bool((room <= _noise(u)).any()):
        alone = int(room.argmin())
        raise ValueError(
            f"u has a sample, number {alone}, that is alone in one of its directions, so that nothing tells "
            "how well that direction is fitted; there must be more samples."
        )
    target = x - x.mean(dim=0) if affine else x
    residual = target - basis @ (basis.mT @ target)
    return (residual.square() / room[:, None]).mean(dim=0)


def _orthonormal(design: Tensor, u: Tensor, *, affine: bool) -> Tensor:
    """An orthonormal basis ``(N, p)`` of the columns of the design, which must be independent."""
    p, scale = u.shape[1], design.norm(dim=0)
    # Centring leaves a constant column its rounding, which must not be blown up to a direction.
    empty = scale <= _noise(u) * u.norm(dim=0)
    basis, triangle = torch.linalg.qr(design / torch.where(empty, torch.inf, scale))
    strength = torch.linalg.svdvals(triangle)
    rank = int((strength > _noise(u) * strength[0]).sum())
    if rank < p:
        raise ValueError(
            f"u has {p} columns, of which {rank} are linearly independent{' of a constant' * affine}; all of "
            "them must be: leave out those that follow from the others."
        )
    return basis


def _noise(table: Tensor) -> float:
    """Below which share a direction of a table is rounding."""
    return max(table.shape) * torch.finfo(table.dtype).eps


def _total(x: Tensor, *, centred: bool, each: bool = False) -> Tensor:
    """The energy or the variance of each entry of x, some of which must be there."""
    energy = x.square().mean(dim=0)
    if not centred:
        if not bool(energy.any()):
            raise ValueError("x is zero in all of its samples; it must have some energy to be explained.")
        return energy
    variance = x.var(dim=0)
    # Rounding of the mean alone leaves this much of a constant.
    constant = variance <= (_noise(x) ** 2) * energy
    if bool(constant.any() if each else constant.all()):
        which = f"has the constant entry {int(constant.long().argmax())}" if each else "is constant"
        raise ValueError(f"x {which}; it must vary, for its variance is what is to be explained.")
    return variance
