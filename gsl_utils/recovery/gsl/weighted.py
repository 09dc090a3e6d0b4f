"""Recovery of signals whose latent vector is sparse, as published for GSL: eq. (4) and its competitor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.jacobian import Generator
from gsl_utils.common.result import Recovery
from gsl_utils.recovery.penalties import L1, L2
from gsl_utils.recovery.problem import Given
from gsl_utils.recovery.recover import solve

__all__ = ["data_share", "gsl_l1", "gsl_l2"]

_RATE = 0.05  # of Adam


def gsl_l1(
    G: Generator,
    B: Tensor,
    A: Tensor,
    y: Tensor,
    *,
    lambda1: float | Tensor = 0.9,
    steps: int = 1000,
    lr: float | None = None,
    z0: Tensor | None = None,
    method: str = "adam",
    **options: Any,
) -> Recovery:
    r"""Recover signals :math:`f(Bz)` with a sparse z by a penalty on its :math:`\ell_1` norm.

    .. math:: \min_z\ \lambda_1 \|y - A f(Bz)\|_2^2 + (1 - \lambda_1)\|z\|_1

    The objective and Adam are as published; the start :math:`z = 0`, the rate and the number of steps are
    ours. Adam takes all of its steps and leaves no entry exactly zero: ``method="prox"`` solves the same
    problem to convergence, with exact zeros. For a linear f it is LASSO with
    :math:`\lambda = (1 - \lambda_1) / 2\lambda_1`. A and y times c, with
    :math:`(1 - \lambda_1) / \lambda_1` times c squared, give the same z and x.

    Args:
        G: The non-linear part f: any callable ``u (..., dim) -> x (..., n)``, as for ``recover``.
        B: The linear part ``(dim, p)``.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; A, B, z0 and G's weights share its dtype and
            device.
        lambda1: The weight of the data, above 0 and at most 1, where there is no penalty: a number, or one
            per signal ``(...)``.
        steps: The most steps.
        lr: The rate: 0.05 by default for ``"adam"``; ``"gd"`` backtracks without, others have none.
        z0: Where to start, as for ``recover``; by default at zero.
        method: As for ``recover``, where it goes with the penalty.
        **options: Of ``recover``, and of the method; for ``"adam"`` the default of ``tol`` is 0.

    Returns:
        A recovery. ``objective`` is the sum above; ``z`` is the latent vector ``(..., p)``.

    Raises:
        TypeError: As ``recover`` does.
        ValueError: As ``recover`` does, also for options without use, or B does not go with G, or ``lambda1``
            is out of range.

    Source: Honoré, Ghosh and Chatterjee (2023), eq. (4). Taught in chapter 6.

    >>> import torch
    >>> from gsl_utils.generators import Exponential
    >>> eye = torch.eye(3, dtype=torch.float64)
    >>> y = torch.tensor([1.0, 1.0, torch.e], dtype=torch.float64)
    >>> found = gsl_l1(Exponential(), eye, eye, y, lambda1=0.9, method="prox")
    >>> found.z.round(decimals=2).tolist()
    [0.0, 0.0, 0.99]
    """
    return _penalised(L1, G, B, A, y, lambda1, steps, lr, z0, method, options)


def gsl_l2(
    G: Generator,
    B: Tensor,
    A: Tensor,
    y: Tensor,
    *,
    lambda1: float | Tensor = 0.9,
    steps: int = 1000,
    lr: float | None = None,
    z0: Tensor | None = None,
    method: str = "adam",
    **options: Any,
) -> Recovery:
    r"""The competitor of ``gsl_l1``: a penalty on the squared :math:`\ell_2` norm, which knows no sparsity.

    .. math:: \min_z\ \lambda_1 \|y - A f(Bz)\|_2^2 + (1 - \lambda_1)\|z\|_2^2

    Units are as for ``gsl_l1``.

    Args:
        G: As for ``gsl_l1``.
        B: As for ``gsl_l1``.
        A: As for ``gsl_l1``.
        y: As for ``gsl_l1``.
        lambda1: As for ``gsl_l1``.
        steps: The most steps.
        lr: The rate: 0.05 by default for ``"adam"``; ``"gd"`` backtracks without, others have none.
        z0: Where to start, as for ``recover``; by default at zero.
        method: As for ``recover``, where it goes with the penalty.
        **options: Of ``recover``, and of the method; for ``"adam"`` the default of ``tol`` is 0.

    Returns:
        A recovery. ``objective`` is the sum above; ``z`` is the latent vector ``(..., p)``.

    Raises:
        TypeError: As ``recover`` does.
        ValueError: As ``gsl_l1`` does.

    Source: Honoré, Ghosh and Chatterjee (2023). Taught in chapter 6.

    >>> import torch
    >>> from gsl_utils.generators import Exponential
    >>> eye = torch.eye(3, dtype=torch.float64)
    >>> y = torch.tensor([1.0, 1.0, torch.e], dtype=torch.float64)
    >>> found = gsl_l2(Exponential(), eye, eye, y, lambda1=0.9, method="lm")
    >>> found.z.round(decimals=2).tolist()
    [0.0, 0.0, 0.98]
    """
    return _penalised(L2, G, B, A, y, lambda1, steps, lr, z0, method, options)


def _penalised(
    penalty: type[L1] | type[L2],
    G: Generator,
    B: Tensor,
    A: Tensor,
    y: Tensor,
    lambda1: float | Tensor,
    steps: int,
    lr: float | None,
    z0: Tensor | None,
    method: str,
    options: dict[str, Any],
) -> Recovery:
    """The engine's problem, whose data term has the weight 1, and the objective as it was asked for."""
    given = Given.of(G, A, y, B)
    share = data_share(lambda1, given)
    start = y.new_zeros(B.shape[1]) if z0 is None else z0
    weight = ((1 - share) / share).unsqueeze(-1)
    # Without a penalty the methods stay free of its restrictions.
    part = penalty(weight) if bool((weight > 0).any()) else None
    if "penalty" in options:
        raise ValueError(
            f"penalty is given; it must be left out, as lambda1 is the weight of {penalty.__name__}."
        )
    if method == "adam":
        options = {"lr": _RATE if lr is None else lr, "tol": 0.0} | options
    elif lr is not None:
        options = {"lr": lr} | options
    found = solve(given, penalty=part, method=method, z0=start, steps=steps, **options)
    return replace(found, objective=share * found.objective)


def data_share(lambda1: object, given: Given) -> Tensor:
    """The checked weight of the data for each signal."""
    lambda1 = lambda1.detach() if isinstance(lambda1, Tensor) else lambda1
    share = checks.per_signal("lambda1", lambda1, "y", given.y, given.batch, above=0.0)
    if bool((share > 1).any()):
        raise ValueError(f"lambda1 has the entry {float(share.max()):g}; all of them must be at most 1.")
    return share
