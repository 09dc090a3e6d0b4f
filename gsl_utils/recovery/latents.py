"""What is asked of a generator before any work, and where a recovery starts."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import check_generator
from gsl_utils.common.jacobian import Generator

__all__ = ["check_generator", "check_signals", "latent_start"]

# Two evaluations of one signal may differ by rounding, by this share of the largest entry and not more.
_AGREE = 1e-2


def check_signals(G: Generator, z: Tensor, y: Tensor, n: int) -> None:
    """Ask G for one signal alone, beside another, and with gradients."""
    alone = G(z[:1])
    if not isinstance(alone, Tensor) or alone.shape != (1, n):
        was = tuple(alone.shape) if isinstance(alone, Tensor) else type(alone).__name__
        raise ValueError(
            f"G gives {was} for z of shape {tuple(z[:1].shape)}; it must give (1, {n}), A's columns."
        )
    checks.same_kind(y=y, **{"G(z)": checks.real_dtype("G(z)", alone)})
    if bool(alone.isnan().any()):  # far out a signal may be infinite, and another restart's is not
        raise ValueError("G gives NaN at the first start; it must give numbers, at least there.")
    other = z[:1] + 1
    beside = G(torch.cat([z[:1], other]))
    if beside.shape != (2, n):
        raise ValueError(f"G gives {tuple(beside.shape)} for z of shape (2, k); it must give (2, {n}).")
    apart = (beside[:1] - alone).abs().amax()
    if bool(apart > _AGREE * alone.abs().amax()):
        raise ValueError(
            "G gives a signal beside another that it does not give alone; its rows must not see each other, "
            "and it must not be random."
        )
    with torch.enable_grad():
        x = G(z[:1].detach().requires_grad_(True))
    if not x.requires_grad and not torch.equal(beside[:1], beside[1:]):
        raise TypeError(
            "G's output depends on z and carries no gradient; G must be made of torch's differentiable "
            "operations, without torch.no_grad, detach or numpy."
        )


def latent_start(
    G: Generator,
    z0: Tensor | None,
    y: Tensor,
    batch: torch.Size,
    restarts: int,
    source: torch.Generator | None,
) -> Tensor:
    """The start of every problem, ``(P, k)`` with the restarts of a signal together, signal by signal."""
    k = getattr(G, "latent_dim", None)
    if z0 is None:
        if k is None:
            raise ValueError(
                "z0 is None and G has no latent_dim; one of them must say how long a latent vector is."
            )
        device = y.device if source is None else source.device
        drawn = torch.randn(batch.numel() * restarts, int(k), generator=source, dtype=y.dtype, device=device)
        return drawn.to(y.device)
    z0 = checks.signals("z0", z0, "k").detach().clone()  # a copy is no inference tensor
    checks.same_kind(y=y, z0=z0)
    if k is not None and z0.shape[-1] != k:
        raise ValueError(f"z0 has shape {tuple(z0.shape)}; its last dimension must be G.latent_dim = {k}.")
    k = z0.shape[-1]
    if z0.shape == (*batch, restarts, k):
        return z0.reshape(-1, k)
    if z0.shape in ((k,), (*batch, k)):
        if restarts > 1:
            raise ValueError(
                f"restarts is {restarts} and z0 has shape {tuple(z0.shape)}, one start of a signal; restarts "
                f"must be 1, or z0 {_spelled(batch, restarts)}."
            )
        return z0.expand(*batch, k).reshape(-1, k)
    raise ValueError(
        f"z0 has shape {tuple(z0.shape)}; it must be (k,), {_spelled(batch)} or {_spelled(batch, restarts)}: "
        "one start for all, one per signal, or one per restart."
    )


def _spelled(batch: torch.Size, *more: int) -> str:
    return f"({', '.join(map(str, (*batch, *more, 'k')))}{',' if not (*batch, *more) else ''})"
