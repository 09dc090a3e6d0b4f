"""RealNVP: an invertible generator of affine couplings, whose density is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import fed
from gsl_utils.generators.by_hand import ByHand, is_as_written
from gsl_utils.generators.couplings import ConstantFlow

__all__ = ["RealNVP", "constant_flow"]


class RealNVP(nn.Module):
    r"""A normalising flow of affine couplings, each of which changes one half of the vector by the other.

    .. math:: b \leftarrow b \odot e^{\tanh s(a)} + t(a), \qquad
              \begin{pmatrix} s(a) \\ t(a) \end{pmatrix} = W_2 \tanh(W_1 a + c_1) + c_2

    The first coupling reads the first ``dim // 2`` entries and changes the rest, the second the other way
    round, and so on. Every weight and bias is drawn as torch draws those of a linear layer, uniformly up to
    one over the root of the layer's inputs, and multiplied by ``gain``: the larger, the less linear.

    Args:
        dim: The length of a signal and of z, at least 2.
        n_coupling: The number of couplings.
        hidden: The width of each conditioner.
        gain: What weights and biases are multiplied by, non-negative; 0 makes the flow the identity.
        generator: The source of randomness of the weights.
        dtype: Of the weights.
        device: Of the weights.

    Raises:
        TypeError: An argument has the wrong type; later, x or z has, or another dtype or device than the
            weights.
        ValueError: A size is too small, ``gain`` is negative or not finite, or the device is not there;
            later, x or z has another length, or NaN or infinite entries.

    Source: Dinh, Sohl-Dickstein and Bengio (2017); named by Honoré, Ghosh and Chatterjee (2023), whose widths
    could not be read. Taught in chapters 6 and 7.

    >>> flow = RealNVP(6, 4, generator=torch.Generator().manual_seed(0))
    >>> z = torch.ones(3, 6, dtype=torch.float64)
    >>> torch.allclose(flow.inverse(flow(z)), z), flow.log_prob(z).shape
    (True, torch.Size([3]))
    """

    def __init__(
        self,
        dim: int,
        n_coupling: int,
        *,
        hidden: int = 64,
        gain: float = 1.0,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        dim, n_coupling = checks.integer("dim", dim, 2), checks.integer("n_coupling", n_coupling, 1)
        hidden = checks.integer("hidden", hidden, 1)
        gain = checks.real("gain", gain, low=0.0)
        checks.random_source(generator)
        checks.floating_dtype("dtype", dtype)
        self.dim = self.latent_dim = dim
        self.n_coupling = n_coupling
        kind: dict[str, Any] = {"dtype": dtype, "device": checks.device("device", device, meta=True)}
        self.conditioners = nn.ModuleList()
        for first in self._reads_first():
            read = dim // 2 if first else dim - dim // 2
            inner = _linear(read, hidden, gain, generator, kind)
            outer = _linear(hidden, 2 * (dim - read), gain, generator, kind)
            self.conditioners.append(nn.Sequential(inner, nn.Tanh(), outer))

    def forward(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., dim)``: the same shape."""
        halves = self._halves("z", z)
        for first, conditioner in zip(self._reads_first(), self.conditioners, strict=True):
            kept, changed = halves if first else halves[::-1]
            s, t = conditioner(kept).chunk(2, dim=-1)
            changed = changed * s.tanh().exp() + t
            halves = (kept, changed) if first else (changed, kept)
        return torch.cat(halves, dim=-1)

    def inverse(self, x: Tensor) -> Tensor:
        """The latent vector of ``x (..., dim)``: the same shape."""
        return self._inverted(x)[0]

    def log_prob(self, x: Tensor) -> Tensor:
        r"""The log-density of ``x (..., dim)`` when z is standard normal: ``(...)``.

        .. math:: \log p(x) = \log N(z; 0, I) - \sum_{\text{couplings}} \sum_i \tanh s_i, \qquad z = G^{-1}(x)
        """
        z, log_det = self._inverted(x)
        return -(z.square().sum(-1) + self.dim * math.log(2 * math.pi)) / 2 - log_det

    def _inverted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The latent vector, and the log-determinant of the generator's Jacobian there."""
        halves = self._halves("x", x)
        log_det = x.new_zeros(x.shape[:-1])
        pairs = list(zip(self._reads_first(), self.conditioners, strict=True))
        for first, conditioner in reversed(pairs):
            kept, changed = halves if first else halves[::-1]
            s, t = conditioner(kept).chunk(2, dim=-1)
            log_scale = s.tanh()
            changed = (changed - t) * (-log_scale).exp()
            log_det = log_det + log_scale.sum(-1)
            halves = (kept, changed) if first else (changed, kept)
        return torch.cat(halves, dim=-1), log_det

    def _reads_first(self) -> Iterator[bool]:
        """Whether each coupling reads the first half."""
        return (i % 2 == 0 for i in range(self.n_coupling))

    def _halves(self, name: str, v: Tensor) -> tuple[Tensor, ...]:
        v = fed(name, v, self.dim, next(self.parameters()))
        return v.split((self.dim // 2, self.dim - self.dim // 2), dim=-1)


def constant_flow(flow: RealNVP) -> ByHand | None:
    """The same flow with the weights of now, for descents in z; None where a user has changed its layers.

    What computes something else, or keeps its weights elsewhere, is left to automatic differentiation.
    """
    shape = [nn.Linear, nn.Tanh, nn.Linear]
    if not is_as_written(flow, RealNVP) or any(
        [type(layer) for layer in conditioner.children()] != shape for conditioner in flow.conditioners
    ):
        return None
    weights = []
    for conditioner in flow.conditioners:
        w1, b1, w2, b2 = conditioner.parameters()
        weights.append((w1, b1, w2, b2))
    return ConstantFlow(flow.dim, weights)


def _linear(
    inputs: int, outputs: int, gain: float, generator: torch.Generator | None, kind: dict[str, Any]
) -> nn.Linear:
    """A linear layer as torch draws it by default, times the gain; drawn on the generator's device."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, **kind)
    limit = inputs**-0.5
    for weight in (layer.weight, layer.bias):
        device = weight.device if generator is None else generator.device
        draw = torch.rand(weight.shape, generator=generator, dtype=weight.dtype, device=device)
        with torch.no_grad():
            weight.copy_(gain * limit * (2 * draw - 1))
    return layer
