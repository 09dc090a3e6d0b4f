"""The one record that every recovery in the book returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Recovery"]


@dataclass(frozen=True, eq=False)
class Recovery:
    r"""The result of recovering a batch of signals, with one entry per signal in everything that it says.

    The leading dimensions ``...`` are those of the measurements ``y (..., m)``, broadcast with those of
    ``A``.

    Attributes:
        x: The recovered signals, ``(..., n)``, in the dtype and on the device of ``y``.
        z: The latent vectors :math:`\hat z` with :math:`\hat x = G(\hat z)`, ``(..., k)``. For the classical
            solvers :math:`G` is the identity and ``z`` is ``x`` itself.
        objective: The value of the objective that the function's documentation states, ``(...)``, at ``z``.
        n_iter: How many iterations each signal took, ``(...)``, integers. A signal that has converged leaves
            the batch and stops counting.
        converged: Whether each signal met its stopping criterion, ``(...)``, booleans. False is said
            honestly: the iterations ran out, or the method stopped without reaching what it was asked for.
        gap: For convex problems an upper bound on ``objective`` minus its smallest possible value, ``(...)``,
            from a feasible dual point; None where no such bound is known.

    Taught in chapter 1.

    >>> import torch
    >>> from gsl_utils.sparse import lasso
    >>> found = lasso(torch.eye(2, dtype=torch.float64), torch.tensor([3.0, 0.5], dtype=torch.float64), 1.0)
    >>> found.x.tolist(), bool(found.converged)
    ([2.0, 0.0], True)
    """

    x: Tensor
    z: Tensor
    objective: Tensor
    n_iter: Tensor
    converged: Tensor
    gap: Tensor | None = None
