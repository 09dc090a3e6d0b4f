"""How much the Jacobian of a generator varies over its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import Trusted, check_generator
from gsl_utils.common.jacobian import Generator, Tangents
from gsl_utils.common.linear import exponent, scaled

__all__ = ["jacobian_variation"]

# How many numbers the derivatives of one block of samples may take.
_BLOCK = 2**21
# Below the exponent of every number.
_LOWEST = -1100
# Two evaluations of one sample may differ by rounding, by this share of the largest entry and not more.
_AGREE = 1e-2


def jacobian_variation(
    G: Generator, u: Tensor, *, directions: int | None = None, generator: torch.Generator | None = None
) -> float:
    r"""Estimate the share of a generator's Jacobian, in energy, that is not its mean.

    .. math:: \frac{\operatorname{E}\|J(u) - \operatorname{E}J(u)\|_F^2}{\operatorname{E}\|J(u)\|_F^2}

    For :math:`u\sim\mathcal N(0, I)` it is at least ``nnlm(normalise="variance")``, and more: with
    :math:`\nu` for the latter it is at least :math:`2\nu/(1+\nu)`, by Poincaré's inequality for the part of
    :math:`G` that is not affine and Stein's identity for the part that is. For other inputs neither holds.

    The squared norm of the mean is corrected for the number of samples. Derivatives are taken forward where u
    has fewer entries than G(u), and backward where it has more.

    Args:
        G: The generator: any callable ``u (N, p) -> x (N, n)`` that treats rows alone, made of torch's
            differentiable operations.
        u: Inputs ``(N, p)``, float32 or float64, at least two, drawn from the law that is meant.
        directions: Take the derivatives along this many random orthogonal directions only (of the outputs,
            where n < p), the same for all samples, at most min(p, n); None for all of them. Both energies
            remain unbiased up to a common factor.
        generator: The source of randomness of the directions.

    Returns:
        The estimate: 0 for an affine G, up to 1; not clipped.

    Raises:
        TypeError: An argument has the wrong type, or G(u) another dtype or device than u.
        ValueError: Shapes do not fit, entries are not finite, G mixes rows or is in training mode, or it is
            constant at all samples or has derivatives that are not finite.

    Taught in chapter 7.

    >>> u = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> round(jacobian_variation(torch.relu, u), 1)
    0.5
    """
    u = checks.floats("u", u).detach()
    if u.ndim != 2 or len(u) < 2:
        raise ValueError(f"u has shape {tuple(u.shape)}; it must be (N, p) with at least 2 samples.")
    checks.random_source(generator)
    forward, size = _shape_of(G, u)
    count = None if directions is None else checks.integer("directions", directions, 1, size, "min(p, n)")
    along = _directions(size, count, generator, u)
    with torch.no_grad():  # G's weights are constants
        return _spread(_derivatives(Trusted(G), u, along, forward=forward), len(u))


def _spread(blocks: Iterator[Tensor], samples: int) -> float:
    """The variance of ``(directions, block, ...)`` over all samples, as a share of the energy."""
    first: Tensor | None = None
    shifted, squares, energy, power = torch.zeros(()), 0.0, 0.0, _LOWEST
    for block in blocks:
        if not bool(torch.isfinite(block).all()):
            raise ValueError(
                "G has a derivative that is NaN or infinite at a sample of u; it must be finite."
            )
        # All is counted in units of the largest derivative so far, so that no square leaves the numbers.
        grown = int(exponent(block, tuple(range(block.ndim)))) - power if bool(block.any()) else 0
        if grown > 0:
            first = None if first is None else scaled(first, -grown)
            shifted, power = scaled(shifted, -grown), power + grown
            squares, energy = math.ldexp(squares, -2 * grown), math.ldexp(energy, -2 * grown)
        block = scaled(block, -power)
        # Differences from one sample: an affine G then gives zero and not what rounding leaves of it.
        first = block[:, :1] if first is None else first
        difference = block - first
        shifted = shifted + difference.sum(dim=1)
        squares += float(difference.square().sum())
        energy += float(block.square().sum())
    if not energy > 0:
        raise ValueError("G has a derivative of zero at every sample of u; it must not be constant there.")
    spread = max(squares - float(shifted.square().sum()) / samples, 0.0)
    return spread / (samples - 1) / (energy / samples)


def _shape_of(G: Generator, u: Tensor) -> tuple[bool, int]:
    """Whether to differentiate forward, and along how many directions; refuses what G must not be."""
    check_generator(G, u.dtype, u.device, "u")
    with torch.no_grad():
        both, alone = G(u[:2]), G(u[:1])
    if not isinstance(both, Tensor) or both.ndim != 2 or len(both) != 2:
        was = tuple(both.shape) if isinstance(both, Tensor) else type(both).__name__
        raise ValueError(f"G gives {was} for u of shape {tuple(u[:2].shape)}; it must give (2, n).")
    checks.same_kind(u=u, **{"G(u)": checks.floats("G(u)", both)})
    if bool((both[:1] - alone).abs().max() > _AGREE * alone.abs().max()):
        raise ValueError("G gives another signal alone than beside others; its rows must not see each other.")
    p, n = u.shape[1], both.shape[1]
    return p <= n, min(p, n)


def _directions(size: int, count: int | None, generator: torch.Generator | None, like: Tensor) -> Tensor:
    """The directions, one a row."""
    if count is None:
        return torch.eye(size, dtype=like.dtype, device=like.device)
    source = like.device if generator is None else generator.device
    drawn = torch.randn(size, count, generator=generator, dtype=like.dtype, device=source)
    return torch.linalg.qr(drawn.to(like.device))[0].mT


def _derivatives(G: Generator, u: Tensor, along: Tensor, *, forward: bool) -> Iterator[Tensor]:
    """The derivatives at each sample along each direction: ``(directions, block, n or p)``, in blocks."""
    rows = max(1, _BLOCK // (len(along) * max(u.shape[1], along.shape[1])))
    for block in u.split(rows):
        yield _pushed(G, block, along) if forward else _pulled(G, block, along)


def _pushed(G: Generator, u: Tensor, along: Tensor) -> Tensor:
    def pushed(v: Tensor) -> Tensor:
        return torch.func.jvp(G, (u,), (v.expand_as(u),))[1]

    try:
        return torch.func.vmap(pushed)(along)
    except Exception:  # G is anyone's code: what has no forward mode says so in many ways.
        tangents = Tangents.of(G, u[:1], columns=False)
        every = along.repeat_interleave(len(u), dim=0)
        return tangents.along(u.repeat(len(along), 1), every).view(len(along), len(u), -1)


def _pulled(G: Generator, u: Tensor, along: Tensor) -> Tensor:
    """The rows of the Jacobians: G treats samples alone, so that one pass pulls back from all of them."""

    def pulled(w: Tensor) -> Tensor:
        x, pull, *_ = torch.func.vjp(G, u)
        return pull(w.expand_as(x))[0]

    return torch.func.vmap(pulled)(along)
