"""Points drawn uniformly from the ball of l1 or l2, which hide a rounding error that knows the matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gsl_utils.common import checks

__all__ = ["in_ball"]


def in_ball(
    batch: Sequence[int],
    n: int,
    p: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> Tensor:
    r"""Draw points uniformly from the unit ball of the l_p norm.

    For p = 2 a normal vector gives the direction, and the norm is :math:`U^{1/n}` with U uniform. For p = 1
    the absolute values are the first n of n + 1 exponential variables divided by the sum of all of them,
    with random signs.

    Args:
        batch: The shape of the batch, maybe ``()``.
        n: The length of a point.
        p: 1 or 2.
        generator: The source of randomness.
        dtype: Of the points.
        device: Of the points.

    Returns:
        The points, ``(*batch, n)``.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A size is below 1, or p is neither 1 nor 2.

    Source: Kamath, Karmalkar and Price (2020), proof of Theorem 1.1, the vector u. Taught in chapter 3.

    >>> in_ball((1000,), 5, 1, generator=torch.Generator().manual_seed(0)).abs().sum(-1).max() <= 1
    tensor(True)
    """
    n, p = checks.integer("n", n, 1), checks.integer("p", p, 1, 2)
    if not isinstance(batch, Sequence):
        raise TypeError(f"batch is {batch!r}; it must be a sequence of integers.")
    shape = [checks.integer("batch", size, 0) for size in batch]
    source, place = checks.random_source(generator), checks.device("device", device)
    checks.floating_dtype("dtype", dtype)
    origin = place if source is None else source.device
    if p == 2:
        normal = torch.randn(*shape, n, generator=source, dtype=torch.float64, device=origin)
        share = torch.rand(*shape, 1, generator=source, dtype=torch.float64, device=origin)
        return (normal / normal.norm(dim=-1, keepdim=True) * share ** (1 / n)).to(place, dtype)
    # Uniform draws may be 0 and never are 1.
    waits = -torch.log1p(-torch.rand(*shape, n + 1, generator=source, dtype=torch.float64, device=origin))
    sign = 2.0 * torch.randint(2, (*shape, n), generator=source, device=origin) - 1
    return (sign * waits[..., :n] / waits.sum(-1, keepdim=True)).to(place, dtype)
