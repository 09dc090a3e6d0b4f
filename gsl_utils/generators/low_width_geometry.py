"""Where double wedges meet: common directions of gadgets, and how wide wedges may be.

Gadget j has the unit vectors ``v[j]`` across its wedge and ``v_prime[j]`` along it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = [
    "common_direction",
    "crossing_tangent",
    "gadget_sets",
    "inputs_to_try",
    "near_crossings",
    "null_basis",
    "oriented",
    "reaching_tangent",
]

_CHUNK = 16_384
# So many of a chunk, the flattest, are decomposed before the others, most of which they rule out.
_FIRST = 16
# Numbers of a table that is made for many inputs at once.
_TABLE = 1 << 22


def null_basis(rows: Tensor) -> Tensor:
    """An orthonormal basis, in columns, whose last ones are orthogonal to all of ``rows (..., k, k + 1)``.

    They are as many as the dimensions that the rows leave over; rows of zeros must come last.
    """
    return torch.linalg.qr(rows.mT, mode="complete").Q


def crossing_tangent(v: Tensor, v_prime: Tensor) -> float:
    r"""The minimum of :math:`\sigma_{\min}(V_J) / \|V'_J\|_2` over all sets J of k + 1 gadgets."""
    gadgets, size = v.shape
    # For unit rows sigma_min >= |det| ((size - 1) / size)^((size - 1) / 2), by the mean of the other singular
    # values, and ||V'_J|| <= sqrt(size): most sets cannot be the worst, and only the others are decomposed.
    share = ((size - 1) / size) ** ((size - 1) / 2) / math.sqrt(size)
    least = torch.inf
    subsets = itertools.combinations(range(gadgets), size)
    while chunk := list(itertools.islice(subsets, _CHUNK)):
        J = torch.tensor(chunk, device=v.device)
        bound = share * torch.linalg.det(v[J]).abs()
        order = bound.argsort()
        for part in (order[:_FIRST], order[_FIRST:]):
            kept = J[part[bound[part] < least]]
            if len(kept):
                smallest = torch.linalg.svdvals(v[kept])[..., -1]
                least = min(least, float((smallest / torch.linalg.svdvals(v_prime[kept])[..., 0]).min()))
    return least


def reaching_tangent(v: Tensor, v_prime: Tensor) -> float:
    r"""The widest wedges for which we can prove that every support, with all signs, has an input.

    .. math:: \min_S \frac{a_S}{1 + a_S} \frac{\sigma_{\min}(V_S)}{\|V'_S\|_2},
              \qquad a_S = \min_{i\in S} |\langle v'_i, w_S\rangle|

    The inputs of what S makes go on without end in a direction p with :math:`\langle w_S, p\rangle = 1` and
    :math:`\langle v_i, p\rangle = t\,\sigma_i\langle v'_i, p\rangle`; far out they are in all wedges if these
    products are positive. With :math:`p = w_S + u`, where :math:`u \perp w_S`, and
    :math:`\tau = t\,\|V'_S\| / \sigma_{\min}(V_S)` we have :math:`\|u\| \le \tau(1 + \|u\|)`, so that
    :math:`\sigma_i\langle v'_i, p\rangle \ge a_S - \tau/(1 - \tau)`, which is positive below the bound.
    """
    gadgets, dim = v.shape
    signs = torch.tensor(list(itertools.product((0, 1), repeat=dim - 1)), device=v.device)
    supports = itertools.combinations(range(gadgets // 2), dim - 1)
    least = torch.inf
    while chunk := list(itertools.islice(supports, max(1, _CHUNK // len(signs)))):
        S = (2 * torch.tensor(chunk, device=v.device).unsqueeze(1) + signs).flatten(0, 1)
        along = (v_prime[S] @ common_direction(v[S]).unsqueeze(-1)).squeeze(-1).abs().amin(-1)
        ratio = torch.linalg.svdvals(v[S])[..., -1] / torch.linalg.svdvals(v_prime[S])[..., 0]
        least = min(least, float((along / (1 + along) * ratio).min()))
    return least


def near_crossings(v: Tensor, v_prime: Tensor, sets: Tensor) -> Tensor:
    """Unit vectors ``(N, k + 1)`` in which the gadgets of ``sets (N, k)`` and one more nearly meet."""
    w = common_direction(v[sets])
    angle = (w @ v.mT).abs() / (w @ v_prime.mT).abs()
    nearest = angle.scatter(-1, sets, torch.inf).argmin(-1, keepdim=True)
    met = v[torch.cat([sets, nearest], dim=-1)]
    return oriented(torch.linalg.svd(met).Vh[..., -1, :])


def common_direction(rows: Tensor) -> Tensor:
    """The unit vector ``(..., k + 1)`` orthogonal to all of ``rows (..., k, k + 1)``."""
    return oriented(null_basis(rows)[..., -1])


def oriented(w: Tensor) -> Tensor:
    """Directions with their largest entry positive: a decomposition may return either sign."""
    return w * w.gather(-1, w.abs().argmax(-1, keepdim=True)).sign()


def inputs_to_try(
    v: Tensor, v_prime: Tensor, tan_alpha: float, tries: int, generator: torch.Generator | None
) -> Iterator[Tensor]:
    """Gaussian inputs, ``tries`` of them, and as many near crossings; in parts ``(N, k + 1)``."""
    gadgets, dim = v.shape
    origin = v.device if generator is None else generator.device
    step = max(1, _TABLE // gadgets)
    sizes = [min(step, tries - begun) for begun in range(0, tries, step)]

    def gaussian(size: int) -> Tensor:
        drawn = torch.randn(size, dim, generator=generator, dtype=torch.float64, device=origin)
        return drawn.to(v)

    for size in sizes:
        yield gaussian(size)
    for size in sizes:
        rank = torch.rand(size, gadgets, generator=generator, dtype=torch.float64, device=origin)
        met = near_crossings(v, v_prime, rank.topk(dim - 1, dim=-1).indices.to(v.device))
        apart = torch.rand(size, 1, generator=generator, dtype=torch.float64, device=origin).to(v)
        yield met + tan_alpha * apart * gaussian(size)


def gadget_sets(S: object, v: Tensor) -> Tensor:
    """Sets of gadgets ``(..., size)``, as integers on the device of the vectors."""
    if not isinstance(S, Tensor) or S.is_floating_point() or S.is_complex() or S.dtype == torch.bool:
        was = f"has dtype {S.dtype}" if isinstance(S, Tensor) else f"is a {type(S).__name__}"
        raise TypeError(f"S {was}; it must be a torch.Tensor of integers.")
    if S.ndim < 1 or S.numel() == 0:
        raise ValueError(f"S has shape {tuple(S.shape)}; it must be (..., size), with at least one gadget.")
    for gadget in (int(S.min()), int(S.max())):
        if not 0 <= gadget < len(v):
            raise ValueError(f"S has the gadget {gadget}; it must be between 0 and {len(v) - 1}, 2n - 1.")
    ordered = S.sort(-1).values
    if bool((ordered[..., 1:] == ordered[..., :-1]).any()):
        raise ValueError("S has a gadget twice; the gadgets of a set must be different.")
    return S.to(v.device, torch.int64)
