"""The low-width network written out as plain layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["dense_network"]

# Of a gadget, on (a, b): its three ReLUs, and what each counts for. The paper's six magnitudes halve, because
# |u| = 2 [u]_+ - u and the linear parts of |a + b| + |a - b| - 2 |a| cancel.
_UNITS = ((1, 1), (1, -1), (1, 0))
_COUNTS = (2.0, 2.0, -4.0)


def dense_network(across: Tensor, along: Tensor) -> nn.Sequential:
    """The network of gadgets ``2 [|<z, along>| - |<z, across>|]_+``, both ``(2n, k + 1)``: 6n units."""
    planes = torch.stack([across, along], dim=1)
    counts = across.new_tensor(_COUNTS)
    # An entry has six units: three of the gadget that makes it positive, then three of the other.
    read = torch.block_diag(*torch.cat([counts, -counts]).expand(len(across) // 2, 1, -1))
    return nn.Sequential(
        _linear((across.new_tensor(_UNITS) @ planes).flatten(0, 1)), nn.ReLU(), _linear(read)
    )


def _linear(weight: Tensor) -> nn.Linear:
    """A layer without bias that is not trained."""
    kind: dict[str, Any] = {"dtype": weight.dtype, "device": weight.device}
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], bias=False, **kind)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer
