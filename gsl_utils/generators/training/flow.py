"""Training a flow by maximum likelihood."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.generators.realnvp import RealNVP

__all__ = ["fit_flow"]


def fit_flow(
    flow: RealNVP,
    samples: Tensor,
    *,
    steps: int = 500,
    batch_size: int = 256,
    lr: float = 2e-3,
    generator: torch.Generator | None = None,
) -> tuple[RealNVP, Tensor]:
    r"""Train a copy of a flow on samples, by maximum likelihood with Adam.

    .. math:: \min_\theta\ -\frac1N \sum_{i=1}^N \log p_\theta(x_i)

    Every step takes samples drawn anew with replacement; the rate falls to zero by half a cosine.

    Args:
        flow: The flow to start from; it stays as it is.
        samples: The training data ``(N, dim)``, in the dtype and on the device of the flow's weights.
        steps: The number of steps.
        batch_size: How many samples each step takes.
        lr: Adam's rate at the first step.
        generator: The source of randomness of the batches.

    Returns:
        The trained flow, and the mean negative log-likelihood of each step's batch in nats, ``(steps,)``.

    Raises:
        TypeError: An argument has the wrong type, or the samples have another dtype or device than the flow.
        ValueError: The samples are not ``(N, dim)`` or not finite, or a number is out of range.

    Sources: Dinh, Sohl-Dickstein and Bengio (2017); Kingma and Ba (2015). Taught in chapter 7.

    >>> source = torch.Generator().manual_seed(0)
    >>> samples = 3 + torch.randn(500, 2, generator=source, dtype=torch.float64)
    >>> flow, loss = fit_flow(RealNVP(2, 2, generator=source), samples, steps=100, lr=0.02, generator=source)
    >>> loss.shape, bool(loss[-1] < loss[0])
    (torch.Size([100]), True)
    """
    if not isinstance(flow, RealNVP):
        raise TypeError(f"flow is a {type(flow).__name__}; it must be a RealNVP.")
    samples = checks.signals("samples", samples, "dim").detach()
    if samples.ndim != 2 or samples.shape[-1] != flow.dim:
        raise ValueError(f"samples has shape {tuple(samples.shape)}; it must be (N, {flow.dim}).")
    checks.same_kind(samples=samples, **{"the flow's weights": next(flow.parameters())})
    steps, size = checks.integer("steps", steps, 1), checks.integer("batch_size", batch_size, 1)
    lr = checks.real("lr", lr, above=0.0)
    checks.random_source(generator)
    trained = copy.deepcopy(flow).requires_grad_(True)
    optimiser = torch.optim.Adam(trained.parameters(), lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    device = samples.device if generator is None else generator.device
    losses = samples.new_empty(steps)
    for step in range(steps):
        chosen = torch.randint(len(samples), (size,), generator=generator, device=device)
        with torch.enable_grad():
            loss = -trained.log_prob(samples[chosen.to(samples.device)]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses[step] = loss.detach()
    return trained, losses
