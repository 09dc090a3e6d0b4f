"""The set-restricted eigenvalue of a matrix on the range of a generator, searched for its worst pair."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gsl_utils.common import checks, linear
from gsl_utils.common.generator_checks import Trusted, check_generator
from gsl_utils.common.linear import scaled, square_root, unit, unit_difference

__all__ = ["srec_constant", "srec_ratio"]

_RATE = 0.05  # of Adam, at first; it falls to zero along a cosine


def srec_ratio(A: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    r"""How much of the distance between two signals their measurements keep.

    .. math:: \frac{\|A(x_1 - x_2)\|_2}{\|x_1 - x_2\|_2}

    The S-REC constant :math:`\gamma` of a set is at most the smallest ratio over its pairs. Over RANDOM pairs
    that minimum is only an upper bound, and a badly optimistic one: ``srec_constant`` searches for the worst
    pair.

    Args:
        A: The matrix ``(m, n)``, or one per pair ``(..., m, n)``.
        x1: Signals ``(..., n)``, of the same dtype and device.
        x2: Signals of the same shape, dtype and device.

    Returns:
        One ratio per pair, ``(...)``; ``inf`` where the two signals are equal, since such a pair asks nothing
        of A.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or a ratio is beyond the largest number.

    Source: Bora, Jalal, Price and Dimakis (2017), definition 1. Taught in chapter 4.

    >>> A = torch.tensor([[1.0, 0.0]])
    >>> srec_ratio(A, torch.tensor([3.0, 4.0]), torch.tensor([0.0, 0.0]))
    tensor(0.6000)
    """
    A, x1, _ = checks.linear_system("A", A, "x1", x1, "columns")
    x2 = checks.signals("x2", x2)
    checks.same_shape(x1=x1, x2=x2)
    difference, _ = unit_difference(x1, x2, -1)
    table, power = unit(A, (-2, -1))
    ratio = _ratio(table, difference)
    found = scaled(ratio, power.squeeze(-1).squeeze(-1))
    checks.representable("a ratio", torch.where(ratio < torch.inf, found, 0))
    return found


def _ratio(A: Tensor, difference: Tensor) -> Tensor:
    """The ratio of each difference, all being of order one."""
    length = difference.norm(dim=-1)
    kept = linear.forward(A, difference).norm(dim=-1)
    return torch.where(length == 0, torch.inf, kept / length)


def srec_constant(
    G: Callable[[Tensor], Tensor],
    A: Tensor,
    *,
    k: int | None = None,
    pairs: int = 64,
    steps: int = 200,
    radius: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""The smallest ratio found over pairs, and over tangents, of a generator's range.

    .. math:: \min\Big(\min_{z_1, z_2}\frac{\|A(G(z_1)-G(z_2))\|_2}{\|G(z_1)-G(z_2)\|_2},\quad
        \min_z\ \sigma_{\min}(AQ_z)\Big), \qquad Q_z \text{ an orthonormal basis of the range of } J_G(z)

    The second term is the first for pairs that come together. Pairs start at random and go down by Adam; then
    the tangents are examined at every end point. The result is a true ratio of the set, so it is an upper
    bound on the S-REC constant, far closer to it than random pairs get.

    Args:
        G: A generator: any callable from ``(N, k)`` to ``(N, n)``, differentiable by torch. Its weights are
            not changed and get no gradients.
        A: The matrix ``(m, n)``, of the dtype and device that G returns.
        k: The latent dimension; by default ``G.latent_dim``.
        pairs: How many pairs are minimised, at least 1.
        steps: How many steps of Adam; 0 leaves the pairs random.
        radius: Keep the latent vectors in the ball of this radius; by default they are free.
        generator: The source of randomness of the starts, which are N(0, I).

    Returns:
        A scalar tensor.

    Raises:
        TypeError: An argument has the wrong type, or what G returns differs from A in dtype or device.
        ValueError: The latent dimension is not known, an option is out of range, what G returns does not fit
            A or is not finite where the search goes, G is in training mode, or the result is beyond the
            largest number.

    Source: Bora, Jalal, Price and Dimakis (2017), definition 1. Taught in chapter 4.

    >>> B = torch.tensor([[1.0], [1.0]])
    >>> srec_constant(lambda z: z @ B.T, torch.tensor([[1.0, 0.0]]), k=1, pairs=2, steps=2)
    tensor(0.7071)
    """
    A = checks.matrix("A", A).detach()
    check_generator(G, A.dtype, A.device, "A")
    if A.ndim != 2:
        raise ValueError(f"A has shape {tuple(A.shape)}; it must be a single matrix (m, n).")
    dimension = k if k is not None else getattr(G, "latent_dim", None)
    if dimension is None:
        raise ValueError("k is None and G has no latent_dim; one of them must say the latent dimension.")
    dimension = checks.integer("k", dimension, 1)
    pairs, steps = checks.integer("pairs", pairs, 1), checks.integer("steps", steps, 0)
    radius = None if radius is None else checks.real("radius", radius, above=0.0)
    checks.random_source(generator)
    source = A.device if generator is None else generator.device
    z = torch.randn(2 * pairs, dimension, generator=generator, dtype=A.dtype, device=source).to(A.device)
    z = _into_ball(z, radius)
    with torch.no_grad():
        x = checks.signals("G(z)", G(z))
    checks.linear_system("A", A, "G(z)", x, "columns")
    (A, power), G = unit(A, (-2, -1)), Trusted(G)
    z, best = _descend(G, A, z, steps, radius)
    if bool(best.isnan()):
        raise _lost()
    middle = (z[:pairs] + z[pairs:]) / 2
    least = torch.minimum(best, _smallest_tangent(G, A, torch.cat([z, middle])))
    found = scaled(least, power.squeeze(-1).squeeze(-1))
    return found if least == torch.inf else checks.representable("the ratio", found)


def _lost() -> ValueError:
    return ValueError("G leaves the numbers where the search goes; radius must keep it from there.")


def _into_ball(z: Tensor, radius: float | None) -> Tensor:
    if radius is None:
        return z
    return z * (radius / z.norm(dim=-1, keepdim=True).clamp(min=radius))


def _descend(
    G: Callable[[Tensor], Tensor], A: Tensor, z: Tensor, steps: int, radius: float | None
) -> tuple[Tensor, Tensor]:
    """Adam on all pairs at once; returns where they end and the smallest ratio met on the way."""
    first, second = torch.zeros_like(z), torch.zeros_like(z)
    best = A.new_full((), torch.inf)
    for step in range(steps + 1):
        with torch.enable_grad():
            variable = z.detach().requires_grad_()
            ratio = _pair_ratio(G, A, variable)
            loss = ratio[ratio < torch.inf].clamp(min=torch.finfo(A.dtype).tiny).log().sum()
            (slope,) = torch.autograd.grad(loss, variable)
        best = torch.minimum(best, ratio.detach().amin())
        if step == steps:
            break
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope.square()
        rate = _RATE * (1 + math.cos(math.pi * step / steps)) / 2
        deviation = square_root(second / (1 - 0.999 ** (step + 1)))
        z = _into_ball(z - rate * first / (1 - 0.9 ** (step + 1)) / (deviation + 1e-8), radius)
    return z, best


def _pair_ratio(G: Callable[[Tensor], Tensor], A: Tensor, z: Tensor) -> Tensor:
    """The ratio of every pair: the first half of ``z`` with the second; ``inf`` for pairs that have met."""
    both, _ = unit(G(z).unflatten(0, (2, -1)), (0, -1))
    difference, lengths = both[0] - both[1], both.norm(dim=-1)
    # Closer than this a ratio is made of rounding errors; the tangents stand for such pairs.
    near = torch.finfo(A.dtype).eps ** 0.5 * lengths.sum(0)
    # What has left the numbers has not met: its ratio is NaN, and is seen.
    apart = ~((difference.norm(dim=-1) <= near) & torch.isfinite(near))
    # A stand-in keeps the gradient of the pairs that have met finite; it is multiplied by zero.
    ratio = _ratio(A, torch.where(apart.unsqueeze(-1), difference, torch.ones_like(difference)))
    return torch.where(apart, ratio, torch.inf)


def _smallest_tangent(G: Callable[[Tensor], Tensor], A: Tensor, z: Tensor) -> Tensor:
    """The smallest singular value of A on the tangent space at any of the points."""
    directions = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    columns = [torch.func.jvp(G, (z,), (direction.expand_as(z),))[1].detach() for direction in directions]
    stacked = torch.stack(columns, dim=-1)
    if not bool(torch.isfinite(stacked).all()):
        raise _lost()
    tangents, _ = unit(stacked, (-2, -1))
    basis, lengths, _ = torch.linalg.svd(tangents, full_matrices=False)
    # Directions in which the generator does not move span no tangent: they are lifted out of the minimum.
    still = lengths <= torch.finfo(z.dtype).eps ** 0.5 * lengths[..., :1]
    lift = torch.linalg.matrix_norm(A, 2) * torch.diag_embed(still.to(z.dtype))
    kept = torch.cat([A @ (basis * (~still).unsqueeze(-2)), lift], dim=-2)
    return torch.where(still.all(-1), torch.inf, torch.linalg.svdvals(kept)[..., -1]).amin()
