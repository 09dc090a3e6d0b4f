"""How good a recovery is: error ratios in decibels, supports, and the similarity of images.

The ratios and the similarity are differentiable in both signals. None has a unit: signals may be of any size,
with ``data_range`` and ``tol`` of theirs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gsl_utils.common import checks
from gsl_utils.common.linear import decibels, scaled, unit, unit_difference

__all__ = ["asce", "psnr_db", "relative_error", "srnr_db", "ssim", "support_f1"]


def relative_error(x: Tensor, x_hat: Tensor) -> Tensor:
    r"""How far an estimate is from the signal, as a share of the signal's length.

    .. math:: \frac{\|\hat x - x\|_2}{\|x\|_2}

    Args:
        x: The true signals, ``(..., n)``.
        x_hat: Their estimates, of the same shape, dtype and device.

    Returns:
        One value per signal, ``(...)``. For a signal that is zero ``inf``, or ``nan`` where its estimate is
        zero, too.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device.
        ValueError: Their shapes differ, or they are empty or not finite.

    Taught in chapter 1.

    >>> relative_error(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 3.5]))
    tensor(0.1000)
    """
    x, x_hat = checks.signals("x", x), checks.signals("x_hat", x_hat)
    checks.same_shape(x=x, x_hat=x_hat)
    (signal, over), (error, under) = unit(x, -1), unit_difference(x, x_hat, -1)
    return scaled(error.norm(dim=-1) / signal.norm(dim=-1), (under - over).squeeze(-1))


def srnr_db(x: Tensor, x_hat: Tensor, *, reduction: str = "ratio") -> Tensor:
    r"""Signal to reconstruction-noise ratio in decibels.

    .. math:: \mathrm{SRNR} = 10\log_{10}\frac{\sum_i\|x_i\|_2^2}{\sum_i\|x_i-\hat x_i\|_2^2}

    The ratio of the sums (equal to the ratio of the means) is our reading of the name; a few failing signals
    dominate it, so the median over signals belongs beside it.

    Args:
        x: The true signals, ``(..., n)``.
        x_hat: Their estimates, of the same shape, dtype and device.
        reduction: ``"ratio"`` for the formula above over the whole batch, ``"none"`` for one value per
            signal, ``"median"`` for the median of those.

    Returns:
        A scalar tensor, or ``(...)`` for ``"none"``. Exact recovery gives ``inf``, a zero signal ``-inf``,
        and a zero signal recovered exactly ``nan``.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device.
        ValueError: Their shapes differ, they are empty or not finite, or ``reduction`` is unknown.

    Named by Honoré, Ghosh and Chatterjee (2023), without a formula. Taught in chapter 6.

    >>> x = torch.tensor([[3.0, 4.0], [0.0, 5.0]])
    >>> srnr_db(x, torch.tensor([[3.0, 3.5], [0.0, 5.0]]))
    tensor(23.0103)
    >>> srnr_db(x, x + 0.5, reduction="none")
    tensor([16.9897, 16.9897])
    """
    x, x_hat = checks.signals("x", x), checks.signals("x_hat", x_hat)
    checks.same_shape(x=x, x_hat=x_hat)
    checks.choice("reduction", reduction, ("ratio", "none", "median"))
    together = tuple(range(x.ndim)) if reduction == "ratio" else -1
    (signal, over), (noise, under) = unit(x, together), unit_difference(x, x_hat, together)
    energy, error = signal.square().sum(-1), noise.square().sum(-1)
    power = 2 * (over - under).squeeze(together)
    if reduction == "ratio":
        return decibels(energy.sum(), error.sum(), power)
    each = decibels(energy, error, power)
    # torch.median takes the lower of two middle values; quantile interpolates, as one expects of a median.
    return each if reduction == "none" else _median(each)


def _median(values: Tensor) -> Tensor:
    ordered = values.flatten().sort().values
    count = ordered.numel()
    lower, upper = ordered[(count - 1) // 2], ordered[count // 2]
    return lower if torch.equal(lower, upper) else (lower + upper) / 2


def _largest(z: Tensor, k: int) -> Tensor:
    """The mask of the k entries of largest magnitude; an entry that is exactly zero is never one of them."""
    mask = torch.zeros_like(z, dtype=torch.bool)
    mask.scatter_(-1, z.abs().topk(k, dim=-1).indices, True)
    return mask & (z != 0)


def asce(z: Tensor, z_hat: Tensor, k: int) -> Tensor:
    r"""Average support-cardinality error: the share of the true support that the k largest entries miss.

    .. math:: \mathrm{ASCE} = 1 - \frac{|S\cap\hat S|}{k}

    :math:`S` and :math:`\hat S` hold the ``k`` largest magnitudes of ``z`` and of ``z_hat``. An entry that is
    exactly zero belongs to neither, so an estimate that is zero everywhere has error 1.

    Args:
        z: The true sparse vectors, ``(..., p)``.
        z_hat: Their estimates, of the same shape, dtype and device.
        k: The size of the support, from 1 to ``p``.

    Returns:
        One value per signal, ``(...)``, between 0 (support found) and 1.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device, or ``k`` is not an integer.
        ValueError: Their shapes differ, they are empty or not finite, or ``k`` is out of range.

    Named by Honoré, Ghosh and Chatterjee (2023). Taught in chapter 6.

    >>> asce(torch.tensor([1.0, 0.0, -1.0, 0.0]), torch.tensor([0.9, 0.3, -0.1, 0.0]), k=2)
    tensor(0.5000)
    """
    z, z_hat = checks.signals("z", z, "p"), checks.signals("z_hat", z_hat, "p")
    checks.same_shape(z=z, z_hat=z_hat)
    k = checks.integer("k", k, 1, z.shape[-1], "the length of z")
    common = _largest(z, k) & _largest(z_hat, k)
    return 1 - common.sum(-1).to(z.dtype) / k


def support_f1(z: Tensor, z_hat: Tensor, *, tol: float = 1e-6) -> Tensor:
    r"""F1 score of the estimated support: the harmonic mean of its precision and its recall.

    .. math:: F_1 = \frac{2\,|S\cap\hat S|}{|S| + |\hat S|}, \qquad S = \{i: |z_i| > \mathrm{tol}\}

    Args:
        z: The true sparse vectors, ``(..., p)``.
        z_hat: Their estimates, of the same shape, dtype and device.
        tol: Magnitudes up to this count as zero, in both.

    Returns:
        One value per signal, ``(...)``, between 0 and 1; 1 when both supports are empty.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device, or ``tol`` is not a number.
        ValueError: Their shapes differ, they are empty or not finite, or ``tol`` is negative.

    Taught in chapter 6.

    >>> support_f1(torch.tensor([1.0, 0.0, -1.0, 0.0]), torch.tensor([0.9, 0.3, 0.0, 0.0]))
    tensor(0.5000)
    """
    z, z_hat = checks.signals("z", z, "p"), checks.signals("z_hat", z_hat, "p")
    checks.same_shape(z=z, z_hat=z_hat)
    tol = checks.real("tol", tol, low=0.0)
    true, found = z.abs() > tol, z_hat.abs() > tol
    sizes = (true.sum(-1) + found.sum(-1)).to(z.dtype)
    common = (true & found).sum(-1).to(z.dtype)
    return torch.where(sizes > 0, 2 * common / sizes.clamp(min=1), torch.ones_like(sizes))


def psnr_db(
    x: Tensor, x_hat: Tensor, data_range: float = 1.0, *, shape: tuple[int, ...] | None = None
) -> Tensor:
    r"""Peak signal-to-noise ratio in decibels, per image.

    .. math:: \mathrm{PSNR} = 10\log_{10}\frac{R^2}{\tfrac1n\|x-\hat x\|_2^2}

    Args:
        x: The true images, ``(..., n)``, or ``(..., height, width)`` with a ``shape`` that says so.
        x_hat: Their estimates, of the same shape, dtype and device.
        data_range: :math:`R`, the largest possible difference of two pixels.
        shape: What one of them is: ``(height, width)``, or ``(n,)`` for vectors. It may be left out unless
            ``x`` has three dimensions or more of which the last two could be the sides of an image: neither
            is 1, or more than twice the other.

    Returns:
        One value per image, ``(...)``; ``inf`` where the two are equal. The mean of these and the PSNR of the
        mean error differ: say which is meant.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device, or ``data_range`` is not a number.
        ValueError: Their shapes differ or do not fit ``shape``, it is not told whether they are images or
            vectors, they are empty or not finite, or ``data_range`` is not positive.

    Taught in chapter 1.

    >>> psnr_db(torch.zeros(4), torch.full((4,), 0.1))
    tensor(20.)
    """
    x, x_hat = checks.signals("x", x), checks.signals("x_hat", x_hat)
    checks.same_shape(x=x, x_hat=x_hat)
    data_range = checks.real("data_range", data_range, above=0.0)
    x, x_hat = _one_row_each("x", x, shape), _one_row_each("x_hat", x_hat, shape)
    mantissa, power = math.frexp(data_range)
    noise, under = unit_difference(x, x_hat, -1)
    error = noise.square().mean(-1)
    return decibels(torch.full_like(error, mantissa**2), error, 2 * (power - under).squeeze(-1))


def _one_row_each(name: str, x: Tensor, shape: object) -> Tensor:
    """Signals ``(..., n)`` of what may be images; refused where nothing tells what they are."""
    if shape is not None:
        if not isinstance(shape, tuple | list) or len(shape) not in (1, 2):
            raise TypeError(f"shape is {shape!r}; it must be (height, width) or (n,).")
        sides = [checks.integer("shape", side, 1) for side in shape]
        return checks.images(name, x, (1, *sides)[-2:])
    small, large = sorted(x.shape[-2:]) if x.ndim > 2 else (0, 1)
    if small > 1 and large <= 2 * small:
        count, height, width = x.shape[:-2].numel(), *x.shape[-2:]
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}, which is {count} images of {height} x {width} or "
            f"{count * height} vectors of {width}; shape must say which: ({height}, {width}) or ({width},)."
        )
    return x


def ssim(
    x: Tensor, x_hat: Tensor, shape: tuple[int, int], *, data_range: float = 1.0, window: int = 7
) -> Tensor:
    r"""Structural similarity, averaged over all windows that lie inside the image.

    .. math:: \mathrm{SSIM} = \frac{(2\mu_x\mu_{\hat x} + c_1)(2\sigma_{x\hat x} + c_2)}
        {(\mu_x^2+\mu_{\hat x}^2+c_1)(\sigma_x^2+\sigma_{\hat x}^2+c_2)}, \qquad c_1 = (0.01R)^2,\ c_2 =
        (0.03R)^2

    Means and variances are taken over uniform windows; the variances and the covariance are the sample ones
    (divided by the number of pixels less one).

    Args:
        x: The true images, ``(..., height, width)`` or flattened by rows, ``(..., height * width)``.
        x_hat: Their estimates, of the same shape, dtype and device.
        shape: ``(height, width)``.
        data_range: :math:`R`, the largest possible difference of two pixels.
        window: The side of the square window: odd, at least 3, at most the smaller side of the image.

    Returns:
        One value per image, ``(...)``, at most 1, which only equal images reach.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device, or an option has the wrong type.
        ValueError: Shapes do not fit, values are not finite, or an option is out of range.

    Source: Wang, Bovik, Sheikh and Simoncelli (2004), eq. (13). Taught in chapter 1.

    >>> x = torch.linspace(0, 1, 64)
    >>> ssim(x, x, (8, 8))
    tensor(1.)
    """
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        raise TypeError(f"shape is {shape!r}; it must be a pair (height, width).")
    height, width = (checks.integer("shape", side, 1) for side in shape)
    x, x_hat = checks.images("x", x, (height, width)), checks.images("x_hat", x_hat, (height, width))
    checks.same_shape(x=x, x_hat=x_hat)
    data_range = checks.real("data_range", data_range, above=0.0)
    window = checks.integer("window", window, 3, min(height, width), "the smaller side of the image")
    if window % 2 == 0:
        raise ValueError(f"window is {window}; it must be odd.")

    largest = torch.maximum(x.abs(), x_hat.abs()).amax(-1, keepdim=True).double()
    power = torch.frexp(largest.clamp(min=data_range)).exponent
    x, x_hat = scaled(x, -power), scaled(x_hat, -power)
    mantissa, own = math.frexp(data_range)
    c1, c2 = (
        scaled(torch.full_like(x[..., :1], (share * mantissa) ** 2), 2 * (own - power)).reshape(-1, 1, 1, 1)
        for share in (0.01, 0.03)
    )

    def mean(image: Tensor) -> Tensor:
        return avg_pool2d(image.reshape(-1, 1, height, width), window, stride=1)

    mean_x, mean_h = mean(x), mean(x_hat)
    # Centring by the image's own mean first keeps the cancellation in the variances harmless.
    offset_x, offset_h = x.mean(-1, keepdim=True), x_hat.mean(-1, keepdim=True)
    u, v = x - offset_x, x_hat - offset_h
    mean_u, mean_v = mean(u), mean(v)
    unbiased = window**2 / (window**2 - 1)
    var_x = (mean(u * u) - mean_u * mean_u) * unbiased
    var_h = (mean(v * v) - mean_v * mean_v) * unbiased
    cov = (mean(u * v) - mean_u * mean_v) * unbiased
    brightness = _share(2 * mean_x * mean_h + c1, mean_x.square() + mean_h.square() + c1)
    structure = _share(2 * cov + c2, var_x + var_h + c2)
    return (brightness * structure).mean(dim=(-3, -2, -1)).reshape(x.shape[:-1])


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """A quotient of two that agree where both have vanished beside the rest of the image."""
    nothing = whole == 0
    return torch.where(nothing, 1, part / torch.where(nothing, 1, whole))
