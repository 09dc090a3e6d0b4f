"""The two generators of GSL that act on every entry alone."""

from __future__ import annotations

from torch import Tensor, nn

from gsl_utils.common.generator_checks import fed

__all__ = ["Exponential", "Sigmoid"]


class Sigmoid(nn.Module):
    r"""The logistic function of every entry.

    .. math:: f(u)_i = \frac{1}{1 + e^{-u_i}}

    It has no weights, and works on ``u (..., n)`` for any n. What is no tensor of finite float32 or
    float64 is refused by name, with TypeError or ValueError.

    Source: named by Honoré, Ghosh and Chatterjee (2023), whose exact form could not be read. Taught in
    chapters 6 and 7.

    >>> import torch
    >>> Sigmoid()(torch.tensor([0.0, 100.0]))
    tensor([0.5000, 1.0000])
    """

    def forward(self, u: Tensor) -> Tensor:
        """The signal of ``u (..., n)``: the same shape, entries in (0, 1)."""
        return fed("u", u).sigmoid()


class Exponential(nn.Module):
    r"""The exponential of every entry.

    .. math:: f(u)_i = e^{u_i}

    It has no weights, and works on ``u (..., n)`` for any n. What is no tensor of finite float32 or
    float64 is refused by name, with TypeError or ValueError.

    Source: named by Honoré, Ghosh and Chatterjee (2023), whose exact form could not be read. Taught in
    chapters 6 and 7.

    >>> import torch
    >>> Exponential()(torch.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """

    def forward(self, u: Tensor) -> Tensor:
        """The signal of ``u (..., n)``: the same shape, entries above 0."""
        return fed("u", u).exp()
