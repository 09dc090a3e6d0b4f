"""deepinv's CSGM, where deepinv can be imported."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["deepinv_csgm"]

# torchvision looks these up when it is imported, and its compiled library need not fit a CPU build of torch.
_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
)
_declared: list[torch.library.Library] = []


def deepinv_csgm(G: nn.Module, A: Tensor, y: Tensor, *, steps: int, rate: float, seed: int) -> Tensor:
    """Recover one signal from one start, which deepinv draws uniformly from [-1, 1].

    Args:
        G: The generator, from latents ``(1, k, 1, 1)``, with the attribute ``nz`` for k.
        A: The matrix, ``(m, n)``.
        y: The measurements, ``(m,)``.
        steps: How many; its own stopping rule is switched off.
        rate: Adam's.
        seed: Of the start.

    Returns:
        The latent vector, ``(1, k)``.
    """
    model, physics = _import()
    reconstructor = model(G, inf_max_iter=steps, inf_tol=0.0, inf_lr=rate)
    linear = physics(A=lambda x, **_: x.flatten(1) @ A.T)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        start = reconstructor.random_latent("cpu", requires_grad=False)
    return reconstructor.optimize_z(start, y[None], linear).detach().flatten(1)


def _import() -> tuple[Any, Any]:
    """The reconstructor and the physics; torchvision's operators are declared where nothing else does."""
    try:
        from deepinv.models.gan import CSGMGenerator
    except RuntimeError:
        _declare()
        from deepinv.models.gan import CSGMGenerator
    from deepinv.physics import LinearPhysics

    return CSGMGenerator, LinearPhysics


def _declare() -> None:
    library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        library.define(operator)
    _declared.append(library)
