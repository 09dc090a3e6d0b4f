"""The preimages of the low-width network: one linear system of size k + 1 for each signal."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from gsl_utils.generators.low_width_geometry import null_basis

__all__ = ["preimages", "silent_directions"]

# Directions that are tried where there is a choice.
_CANDIDATES = 16
# Numbers of a table that is made for many signals at once.
_TABLE = 1 << 22


def preimages(v: Tensor, v_prime: Tensor, tan_alpha: float, x: Tensor) -> Tensor:
    """Inputs ``(N, k + 1)`` for signals ``(N, n)`` with at most k non-zeros each."""
    parts = x.split(max(1, _TABLE // (2 * _CANDIDATES * len(v))))
    return torch.cat([_preimages(v, v_prime, tan_alpha, part) for part in parts])


def _preimages(v: Tensor, v_prime: Tensor, tan_alpha: float, x: Tensor) -> Tensor:
    dim = v.shape[-1]
    size, entries = x.abs().topk(dim - 1, dim=-1)
    used = size > 0
    gadgets = 2 * entries + (x.gather(-1, entries) < 0)
    across, along = v[gadgets] * used.unsqueeze(-1), tan_alpha * v_prime[gadgets] * used.unsqueeze(-1)
    # Its columns beyond the support are a basis of the directions in which all gadgets of it are active.
    basis = null_basis(across)
    free = torch.arange(dim, device=x.device) >= used.sum(-1, keepdim=True)
    w = silent_directions(basis, free, v, v_prime, gadgets, used)
    along = along * (along @ w.unsqueeze(-1)).sign()
    rows = pad(along - across, (0, 0, 0, 1)) + basis.mT * free.unsqueeze(-1)
    values, onward = pad(size / 2, (0, 1)), free * (basis.mT @ w.unsqueeze(-1)).squeeze(-1)
    factors = torch.linalg.lu_factor(rows)
    q, p = torch.linalg.lu_solve(*factors, torch.stack([values, onward], dim=-1)).unbind(-1)
    # On the edge of the wedges <p, v_i> is tan_alpha <p, v'_i>, which has more digits than itself.
    reach = along @ torch.stack([q, p], dim=-1)
    needed = (size / 2 - reach[..., 0]) / torch.where(used, reach[..., 1], 1)
    z = torch.where(used, needed, 0).amax(-1, keepdim=True) * p + q
    # The values are tan_alpha times smaller than z: what rounding left of them goes in a second time.
    made = (along @ z.unsqueeze(-1) - across @ z.unsqueeze(-1)).squeeze(-1)
    left = pad(size / 2 - made, (0, 1)).unsqueeze(-1)
    return z + torch.linalg.lu_solve(*factors, left).squeeze(-1)


def silent_directions(
    basis: Tensor, free: Tensor, v: Tensor, v_prime: Tensor, gadgets: Tensor, used: Tensor
) -> Tensor:
    """A unit vector ``(N, k + 1)`` in the span of the free columns of each basis, far from all other wedges.

    Of some directions the one is taken in which no other gadget is near its wedge, and each of the support is
    well inside of its own. Where one column is free there is no choice.
    """
    chosen = basis[..., -1]
    choice = (free.sum(-1) > 1).nonzero().squeeze(-1)
    if not choice.numel():
        return chosen
    basis, free, gadgets, used = basis[choice], free[choice], gadgets[choice], used[choice]
    inner = _spread(free.shape[-1]).to(basis) * free.unsqueeze(1)
    inner = inner / inner.norm(dim=-1, keepdim=True)
    tried = inner @ basis.mT
    across, along = (tried @ v.mT).abs(), (tried @ v_prime.mT).abs()
    index, kept = gadgets.unsqueeze(1).expand(-1, _CANDIDATES, -1), used.unsqueeze(1)
    # A gadget of the support is judged by how far along its wedge it is, all others by how far off theirs.
    room = across.scatter(-1, index, torch.where(kept, along.gather(-1, index), across.gather(-1, index)))
    best = room.amin(-1).argmax(-1)
    return chosen.index_copy(0, choice, tried[torch.arange(len(best), device=best.device), best])


def _spread(dim: int) -> Tensor:
    """A fixed table of directions, no two of them alike: steps of golden size, of either sign."""
    golden = (math.sqrt(5) - 1) / 2
    steps = torch.arange(1, _CANDIDATES + 1, dtype=torch.float64).unsqueeze(-1)
    share = (steps * (golden + torch.arange(dim, dtype=torch.float64) * math.sqrt(2))) % 1
    return torch.where(share < 0.5, share - 1, share)
