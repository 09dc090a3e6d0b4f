"""Training a variational autoencoder on images, in runs that may be killed and go on."""

from __future__ import annotations

import copy
import hashlib
import math
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gsl_utils.common import checks
from gsl_utils.generators.training.checkpoint import Checkpoint
from gsl_utils.generators.vae import VAE

__all__ = ["VAELosses", "fit_vae", "negative_elbo"]


class VAELosses(NamedTuple):
    """The mean loss of an image and its parts, in nats: one entry each for every epoch or every image.

    ``total`` is ``cross_entropy + beta * divergence``.

    >>> VAELosses(torch.tensor([3.0]), torch.tensor([2.0]), torch.tensor([1.0])).total
    tensor([3.])
    """

    total: Tensor
    cross_entropy: Tensor
    divergence: Tensor


def fit_vae(
    vae: VAE,
    images: Tensor,
    *,
    epochs: int,
    batch_size: int = 100,
    lr: float = 1e-3,
    beta: float = 1.0,
    schedule: str = "constant",
    generator: torch.Generator | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    callback: Callable[[int, VAE, VAELosses], None] | None = None,
) -> tuple[VAE, VAELosses]:
    r"""Train a copy of a VAE on images, by Adam on the negative evidence lower bound.

    .. math:: \min\ \frac1N \sum_{i=1}^N \Bigl[ \mathbb{E}_{z \sim q(\cdot \mid x_i)} \sum_j
              -x_{ij} \log G(z)_j - (1 - x_{ij}) \log(1 - G(z)_j)
              + \beta\, \mathrm{KL}\bigl(q(\cdot \mid x_i) \,\|\, N(0, I)\bigr) \Bigr]

    Pixels are grey, as in the published code, and every batch takes one z an image. Each epoch deals the
    images into batches anew; what is left over makes a last, smaller one.

    Args:
        vae: The VAE to start from; it stays as it is.
        images: The training data ``(N, n)`` with entries in [0, 1], in the dtype and on the device of the
            VAE's weights: float32 takes half the time.
        epochs: How often each image is seen.
        batch_size: How many images each step takes.
        lr: Adam's rate at the first step.
        beta: The weight of the divergence; below 1 more of z is used, and fewer z ~ N(0, I) are images.
        schedule: ``"constant"`` as published, or ``"cosine"``, by which the rate falls to zero.
        generator: The source of randomness of batches and z; it must be given beside ``checkpoint``.
        checkpoint: Where to write after every epoch what a killed run needs. Called again with the same
            arguments, and the source as it was, the run goes on there and ends in the same bits.
        progress: Whether to show a bar, which needs the package tqdm.
        callback: Called as ``callback(epoch, vae, losses)`` after epochs 1, 2, ... with the VAE as it is
            then, not a copy, and the losses so far.

    Returns:
        The trained VAE, and the mean losses of each epoch while it was trained, ``(epochs,)`` in float64.

    Raises:
        TypeError: An argument has the wrong type, or the images have another dtype or device than the VAE.
        ValueError: The images are not ``(N, n)`` or leave [0, 1], a number is out of range, the schedule is
            unknown, or the checkpoint is torn or of another run, which is then left as it is.
        FloatingPointError: The loss is no longer finite. The checkpoint is of the epoch before.
        ImportError: ``progress`` is asked for and tqdm is not installed.

    Sources: Kingma and Welling (2014), eq. (10); Bora et al. (2017) with the code published beside it;
    Higgins et al. (2017) for beta. Taught in chapter 4.

    >>> source = torch.Generator().manual_seed(0)
    >>> images = (torch.rand(200, 1, generator=source) > 0.5).double() * torch.linspace(0, 1, 6).double()
    >>> vae, loss = fit_vae(VAE(6, 1, hidden=(8,), generator=source), images, epochs=5, generator=source)
    >>> loss.total.shape, bool(loss.total[-1] < loss.total[0])
    (torch.Size([5]), True)
    """
    images = _images(vae, images)
    epochs, size = checks.integer("epochs", epochs, 1), checks.integer("batch_size", batch_size, 1)
    lr, beta = checks.real("lr", lr, above=0.0), checks.real("beta", beta, low=0.0)
    checks.choice("schedule", schedule, ("constant", "cosine"))
    checks.random_source(generator)
    checks.flag("progress", progress)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r}; it must be callable or None.")
    trained = copy.deepcopy(vae).requires_grad_(True)
    optimiser = torch.optim.Adam(trained.parameters(), lr=lr, fused=True)
    settings: dict[str, str | float] = {"epochs": epochs, "batch_size": size, "lr": lr, "beta": beta}
    run = _Run(trained, optimiser, generator, torch.zeros(epochs, 2, dtype=torch.float64))
    kept = run.checkpoint(checkpoint, images, {**settings, "schedule": schedule})
    count = -(-len(images) // size)
    with torch.enable_grad(), _Bar(progress, count * epochs, count * run.done) as bar:
        while run.done < epochs:
            sums = torch.zeros(2, dtype=torch.float64, device=images.device)
            for batch, chosen in enumerate(_order(images, generator).split(size)):
                if schedule == "cosine":
                    share = (run.done * count + batch) / (epochs * count)
                    optimiser.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * share)) / 2
                parts = _parts(trained, images[chosen], generator)
                loss = parts[0].mean() + beta * parts[1].mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                sums += parts.detach().sum(-1)
                bar.step()
            run.end_epoch(sums / len(images), lr)
            if kept is not None:
                kept.save(run.state())
            losses = _losses(run.losses[: run.done].T, beta)
            bar.show(float(losses.total[-1]))
            if callback is not None:
                callback(run.done, trained, losses)
    return trained, _losses(run.losses.T, beta)


@torch.no_grad()
def negative_elbo(vae: VAE, images: Tensor, *, generator: torch.Generator | None = None) -> VAELosses:
    r"""The negative evidence lower bound of images, by one draw of z for each.

    Where pixels are 0 or 1 its mean over draws bounds :math:`-\log p(x)` from above. Where they are grey it
    compares models and bounds nothing, since the cross entropy is then at least the pixels' own entropy.

    Args:
        vae: The VAE.
        images: Shape ``(N, n)`` with entries in [0, 1], in the dtype and on the device of the VAE's weights.
        generator: The source of randomness of z.

    Returns:
        The losses of each image, ``(N,)``, with beta = 1.

    Raises:
        TypeError: An argument has the wrong type, or the images have another dtype or device than the VAE.
        ValueError: The images are not ``(N, n)`` or leave [0, 1].

    Source: Kingma and Welling (2014), eq. (10). Taught in chapter 4.

    >>> vae = VAE(6, 2, hidden=(), generator=torch.Generator().manual_seed(0))
    >>> negative_elbo(vae, torch.ones(3, 6).double()).total.shape
    torch.Size([3])
    """
    images = _images(vae, images)
    checks.random_source(generator)
    return _losses(_parts(vae, images, generator), 1.0)


def _images(vae: object, images: object) -> Tensor:
    if not isinstance(vae, VAE):
        raise TypeError(f"vae is a {type(vae).__name__}; it must be a VAE.")
    table = checks.signals("images", images).detach()
    if table.ndim != 2 or table.shape[-1] != vae.n:
        raise ValueError(f"images has shape {tuple(table.shape)}; it must be (N, {vae.n}).")
    checks.same_kind(images=table, **{"the VAE's weights": next(vae.parameters())})
    low, high = (float(edge) for edge in table.aminmax())
    if low < 0 or high > 1:
        raise ValueError(f"images has entries from {low:g} to {high:g}; all must be in [0, 1].")
    return table


def _device(images: Tensor, generator: torch.Generator | None) -> torch.device:
    return images.device if generator is None else generator.device


def _order(images: Tensor, generator: torch.Generator | None) -> Tensor:
    """The images' numbers in an order drawn anew."""
    order = torch.randperm(len(images), generator=generator, device=_device(images, generator))
    return order.to(images.device)


def _parts(vae: VAE, x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Cross entropy and divergence of each image, ``(2, N)``, for one z drawn from q."""
    mean, log_var = vae.encode(x)
    noise = torch.randn(mean.shape, generator=generator, dtype=x.dtype, device=_device(x, generator))
    z = mean + (log_var / 2).exp() * noise.to(x.device)
    # From what the last sigmoid is fed, since its logarithm is lost where it rounds to 0 or 1.
    logits = vae.decoder[:-1](z)
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    divergence = (mean.square() + log_var.exp() - 1 - log_var).sum(-1) / 2
    return torch.stack([entropy, divergence])


def _losses(parts: Tensor, beta: float) -> VAELosses:
    return VAELosses(parts[0] + beta * parts[1], parts[0].clone(), parts[1].clone())


class _Run:
    """All that changes while a VAE is trained."""

    def __init__(
        self, vae: VAE, optimiser: torch.optim.Adam, generator: torch.Generator | None, losses: Tensor
    ) -> None:
        self.vae, self.optimiser, self.generator, self.losses = vae, optimiser, generator, losses
        self.done = 0

    def checkpoint(self, path: Any, images: Tensor, settings: dict[str, str | float]) -> Checkpoint | None:
        """The file of this run, after going on from where it stands."""
        if path is None:
            return None
        if self.generator is None:
            raise ValueError("generator is None; where checkpoint is given it must be a torch.Generator.")
        decides = {
            "images": [images],
            "weights": self.vae.state_dict().values(),
            "generator": [self.generator.get_state()],
        }
        kept = Checkpoint(path, {**settings, **{name: _digest(of) for name, of in decides.items()}})
        state = kept.load()
        if state is not None:
            self.vae.load_state_dict(state["weights"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.generator.set_state(state["generator"])
            self.losses.copy_(state["losses"])
            self.done = int(state["done"])
        return kept

    def state(self) -> dict[str, Any]:
        """What ``checkpoint`` goes on from."""
        assert self.generator is not None
        return {
            "weights": self.vae.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "losses": self.losses,
            "done": self.done,
        }

    def end_epoch(self, losses: Tensor, lr: float) -> None:
        """Write an epoch's losses down, unless they say that the weights are lost."""
        if not bool(losses.isfinite().all()):
            raise FloatingPointError(
                f"The loss is not finite in epoch {self.done + 1}; lr is {lr:g}, and it must be smaller."
            )
        self.losses[self.done] = losses
        self.done += 1


def _digest(tensors: Iterable[Tensor]) -> str:
    """The SHA-256 sum of the tensors' bytes."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.detach().cpu().contiguous().numpy().data)
    return total.hexdigest()


class _Bar:
    """A progress bar over steps, or nothing."""

    def __init__(self, wanted: bool, total: int, done: int) -> None:
        self.bar = None
        if wanted:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                raise ImportError(
                    "progress=True needs the package tqdm: install it, or leave progress off."
                ) from None
            self.bar = tqdm(total=total, initial=done, unit="step")

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def step(self) -> None:
        if self.bar is not None:
            self.bar.update(1)

    def show(self, loss: float) -> None:
        if self.bar is not None:
            self.bar.set_postfix(loss=f"{loss:.2f}")
