"""A Gaussian mixture as the prior of signals: the baseline that needs neither a gradient nor a search.

Its estimates are in closed form. They take what they are given as constants: no result carries a graph.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn

from gsl_utils.common import checks, linear
from gsl_utils.common.generator_checks import fed
from gsl_utils.common.least_squares import ENTRIES
from gsl_utils.common.linear import exponent, scaled, square_root, unit

__all__ = ["GaussianMixture", "fit_mixture"]

# Rounding is taken to be so many times its unit.
_ROUNDINGS = 10
# A share of an image, of the largest that a component has, that its covariance does not show.
_NO_SHARE = 1e-3


class GaussianMixture(nn.Module):
    r"""A mixture of Gaussian densities.

    .. math:: p(x) = \sum_{c=1}^K w_c\,N(x;\ \mu_c, C_c)

    It is made of numbers alone, whoever has fitted them; they become buffers. Everything is computed in
    float64, and rounded to the dtype of what is given.

    Args:
        weights: The shares :math:`w_c` of the components, ``(K,)``: non-negative, of sum 1.
        means: The means, ``(K, n)``.
        covariances: The covariances, ``(K, n, n)``: symmetric and positive semidefinite.

    Attributes:
        n: The length of a signal.

    Raises:
        TypeError: The tensors are not floats of one dtype on one device.
        ValueError: Shapes do not fit, entries are not finite, weights are negative or do not add up to 1, or
            a covariance is not symmetric or has a negative variance.

    Taught in chapter 4.

    >>> one, eye = torch.ones(1, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    >>> prior = GaussianMixture(one, 0 * eye[:1], eye.unsqueeze(0))
    >>> prior.conditional_mean(eye[:1], 2 * one, noise_std=1.0).tolist()
    [1.0, 0.0]
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        super().__init__()
        weights, means = checks.signals("weights", weights, "K"), checks.signals("means", means)
        covariances = checks.matrix("covariances", covariances)
        checks.same_kind(weights=weights, means=means, covariances=covariances)
        count, self.n = len(weights), means.shape[-1]
        if (weights.ndim, *means.shape) != (1, count, self.n) or covariances.shape != (count, self.n, self.n):
            shapes = [tuple(given.shape) for given in (weights, means, covariances)]
            raise ValueError(
                f"weights, means and covariances have the shapes {shapes}; they must be (K,), (K, n) and "
                "(K, n, n)."
            )
        rounding, total = torch.finfo(weights.dtype).eps ** 0.5, float(weights.sum())
        if bool((weights < 0).any()) or abs(total - 1) > rounding:
            raise ValueError(
                f"weights has the smallest entry {float(weights.min()):g} and the sum {total:g}; its entries "
                "must be at least 0, and add up to 1."
            )
        variances = covariances.diagonal(dim1=-2, dim2=-1)
        apart = (covariances - covariances.mT).abs().amax((-2, -1))
        if bool((variances < 0).any() or (apart > rounding * variances.amax(-1)).any()):
            raise ValueError("covariances must be symmetric, with no negative entry on a diagonal.")
        for name, given in (("weights", weights), ("means", means), ("covariances", covariances)):
            self.register_buffer(name, given.detach())

    @torch.no_grad()
    def conditional_mean(self, A: Tensor, y: Tensor, noise_std: float | Tensor = 0.0) -> Tensor:
        r"""The mean of the signals that have these measurements: of all estimates the least square error.

        .. math:: \mathbb E[x \mid y] = \sum_c p_c \bigl(\mu_c + C_c A^\top S_c^{-1} (y - A\mu_c)\bigr),
                  \qquad p_c \propto w_c\,N(y;\ A\mu_c, S_c), \qquad S_c = A C_c A^\top + \sigma^2 I

        Without noise it is the limit of little noise: along every eigenvector of :math:`AC_cA^\top` the
        variance gets at least what rounding leaves unknown of it, so that the inverse goes over into the
        pseudo-inverse, and of components that do not explain y the nearest wins. Dependent rows of A, more
        rows than columns, and singular covariances are allowed.

        One matrix for all signals costs K products of it with a covariance and K eigendecompositions of
        m x m; with a matrix of its own every signal does.

        Args:
            A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
            y: The measurements ``(..., m)``, in the dtype and on the device of A and of the mixture.
            noise_std: The standard deviation :math:`\sigma` of each measurement, non-negative: a number, or
                one per signal ``(...)``.

        Returns:
            The means, ``(..., n)``. With signals, y and noise in other units, they are in these.

        Raises:
            TypeError: An argument has the wrong type, or dtypes or devices differ.
            ValueError: Shapes do not fit, entries are not finite, ``noise_std`` is negative, a covariance has
                a negative eigenvalue, or y is further from the components than numbers go.
        """
        A, y, batch = checks.linear_system("A", A, "y", y, "rows")
        checks.same_kind(y=y, **{"the mixture": self.means})
        if A.shape[-1] != self.n:
            raise ValueError(f"A has shape {tuple(A.shape)}; it must have n = {self.n} columns.")
        noise = checks.per_signal("noise_std", noise_std, "y", y, batch, low=0.0).reshape(-1, 1)
        A, y = linear.flatten(A, y, batch)
        # In units in which A is of order one, and so are signals.
        power, means, covariances = self._in_units()
        A, above = unit(A.double(), (-2, -1))
        y, noise = (scaled(given.double(), -power - above.reshape(-1, 1)) for given in (y, noise))
        eps, weights = torch.finfo(self.means.dtype).eps, self.weights.double()
        through = _Through(A, means, covariances, eps) if A.ndim == 2 else None
        entries = len(means) * A.shape[-2] * (1 if through else sum(A.shape[-2:]))
        found = []
        for piece in torch.arange(len(y), device=y.device).split(max(1, ENTRIES // entries)):
            seen = through or _Through(A[piece], means, covariances, eps)
            found.append(seen.conditional_mean(y[piece], noise[piece], weights))
        x = scaled(torch.cat(found), power).to(self.means.dtype)
        return checks.representable("the estimate", x).reshape(*batch, self.n)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Signals drawn from the mixture, ``(count, n)``; the draw is made on the generator's device.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: ``count`` is below 1, or a covariance has a negative eigenvalue.
        """
        count, like = checks.integer("count", count, 1), self.means
        checks.random_source(generator)
        device = like.device if generator is None else generator.device
        chance = torch.rand(count, generator=generator, dtype=torch.float64, device=device).to(like.device)
        x = torch.randn(count, self.n, generator=generator, dtype=torch.float64, device=device)
        x = x.to(like.device)
        # What rounding leaves beyond the sum goes to the last component of any weight.
        last = int(self.weights.nonzero()[-1])
        chosen = torch.searchsorted(self.weights.double().cumsum(0), chance, right=True).clamp(max=last)
        power, means, covariances = self._in_units()
        for c in chosen.unique().tolist():
            C, rows = covariances[c].double(), chosen == c
            known = torch.finfo(like.dtype).eps * torch.linalg.matrix_norm(C)
            values, vectors = _spectrum(C, known)
            # The symmetric root, which does not depend on the choice of eigenvectors.
            x[rows] = means[c] + (x[rows] @ vectors * square_root(values)) @ vectors.mT
        return scaled(x, power).to(like.dtype)

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """The logarithm of the density at ``x (..., n)``, in nats: ``(...)``.

        Raises:
            TypeError: ``x`` is not a tensor of the mixture's dtype on its device.
            ValueError: Its length is not n, its entries are not finite, or a covariance is singular.
        """
        x = fed("x", x, self.n, self.means)
        power, means, covariances = self._in_units()
        rows = scaled(x.double(), -power).reshape(-1, self.n)
        parts = []
        for weight, mean, C in zip(self.weights.double(), means, covariances, strict=True):
            factor, failed = torch.linalg.cholesky_ex(C.double())
            if bool(failed):
                raise ValueError("covariances has a singular one; for a density all must be definite.")
            off = torch.linalg.solve_triangular(factor, (rows - mean).mT, upper=False)
            parts.append(weight.log() - factor.diagonal().log().sum() - off.square().sum(0) / 2)
        constant = self.n * (math.log(2 * math.pi) / 2 + power * math.log(2))
        return (torch.stack(parts).logsumexp(0) - constant).to(x.dtype).reshape(x.shape[:-1])

    def _in_units(self) -> tuple[int, Tensor, Tensor]:
        """A power of two of a signal's size, means over it in float64, and covariances over its square."""
        variance = int(exponent(self.covariances.diagonal(dim1=-2, dim2=-1), (0, 1)))
        power = max(int(exponent(self.means, (0, 1))), -(-variance // 2))
        return power, scaled(self.means.double(), -power), scaled(self.covariances, -2 * power)


class _Through:
    """A mixture seen through ``A (m, n)``, or through one matrix for each of P signals, ``(P, m, n)``."""

    def __init__(self, A: Tensor, means: Tensor, covariances: Tensor, eps: float) -> None:
        self.A, self.means, self.covariances = A, means, covariances
        size = torch.linalg.matrix_norm(covariances).amax() * A.square().sum((-2, -1)).view(-1, 1, 1)
        variances = torch.stack([A @ C.double() @ A.mT for C in covariances], dim=-3)
        values, self.vectors = _spectrum((variances + variances.mT) / 2, eps * size)
        self.centres = means @ A.mT
        unknown = (eps * self.centres.abs().amax((-2, -1), keepdim=True)).square()
        self.least = torch.maximum(_ROUNDINGS * torch.finfo(A.dtype).eps * size, unknown)
        self.least.clamp_(min=torch.finfo(A.dtype).tiny)
        # Of what is rounding each component would have another amount, and the densities would compare it.
        self.values = torch.where(values > self.least, values, 0)

    def conditional_mean(self, y: Tensor, noise: Tensor, weights: Tensor) -> Tensor:
        """The estimates ``(P, n)`` from ``y (P, m)`` with the noise ``(P, 1)``."""
        table = "kmj" if self.A.ndim == 2 else "pkmj"
        variance = self.values + torch.maximum(noise.square().unsqueeze(-1), self.least)
        off = torch.einsum(f"pkm,{table}->pkj", y.unsqueeze(1) - self.centres, self.vectors)
        distance = (off / variance * off).sum(-1)
        checks.representable("y's squared distance from a component", distance)
        share = (weights.log() - (variance.log().sum(-1) + distance) / 2).softmax(-1)
        pull = torch.einsum(f"pkj,{table}->pkm", share.unsqueeze(-1) * off / variance, self.vectors)
        x = share @ self.means
        for C, along in zip(self.covariances, pull.unbind(1), strict=True):
            if self.A.ndim == 2:
                x += along @ (self.A @ C.double())
            else:  # one vector for a matrix: that product first
                x += linear.adjoint(self.A, along) @ C.double()
        return x


def _spectrum(table: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, none below zero, and eigenvectors of covariances that are ``known`` so well."""
    values, vectors = torch.linalg.eigh(table)
    if bool((values < -_ROUNDINGS * known).any()):
        share = float((values[..., 0] / values[..., -1]).min())
        raise ValueError(
            f"covariances has one with an eigenvalue that is {share:.2g} of its largest, as A sees it; all "
            "must be positive semidefinite."
        )
    return values.clamp(min=0), vectors


def fit_mixture(
    images: Tensor,
    components: int,
    generator: torch.Generator | None = None,
    *,
    iterations: int = 5,
    directions: int = 30,
    ridge: float = 5e-4,
) -> GaussianMixture:
    r"""Fit a Gaussian mixture to images: expectation and maximisation in few dimensions, and once in all.

    .. math:: \max_{w, \mu, C}\ \sum_{i=1}^N \log \sum_c w_c\,N(x_i;\ \mu_c, C_c)

    Which images belong to which component is found along their leading principal directions, by
    scikit-learn's mixture with full covariances, started from k-means. One more maximisation gives the means
    and covariances of these components in all n dimensions, where one expectation would cost more than all of
    that.

    Args:
        images: The images ``(N, n)``, of any unit.
        components: How many components, K: from 1 to N.
        generator: The source of randomness of the start: one number, scikit-learn's seed.
        iterations: The most iterations of expectation and maximisation.
        directions: How many principal directions take part in them; all of them, where there are fewer.
        ridge: What is added to each variance, as a share of a pixel's in the mean: it stands for the
            directions that too few images show. The default was chosen on training images of MNIST.

    Returns:
        The mixture, in the dtype and on the device of the images: about ``K n^2`` numbers.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The images are not ``(N, n)``, not finite or all the same, an option is out of range, or a
            variance is beyond the largest number.
        ImportError: scikit-learn, of the ``book`` extra, is not installed.

    Sources: Dempster, Laird and Rubin (1977); Yu, Sapiro and Mallat (2012) for such priors in inverse
    problems. Taught in chapter 4.

    >>> source = torch.Generator().manual_seed(0)
    >>> images = torch.randn(400, 6, generator=source, dtype=torch.float64)
    >>> images[:100] += 20
    >>> fit_mixture(images, 2, source).weights.sort().values.round(decimals=3).tolist()
    [0.25, 0.75]
    """
    images = checks.signals("images", images).detach()
    if images.ndim != 2:
        raise ValueError(f"images has shape {tuple(images.shape)}; it must be (N, n).")
    checks.integer("components", components, 1, len(images), "the number of images")
    checks.random_source(generator)
    checks.integer("iterations", iterations, 1)
    checks.integer("directions", directions, 1)
    ridge = checks.real("ridge", ridge, low=0.0)
    images, power = unit(images, (0, 1))
    centred = images - images.mean(0)
    variance = float(centred.double().square().mean())
    if variance == 0:
        raise ValueError("images are all the same; at least two must differ.")
    shares = _shares(centred, components, iterations, directions, ridge, generator)
    weights, means, covariances = [], [], []
    for share in shares.T.to(images):
        weights.append(share.sum())
        # A component has next to no share in almost all images.
        rows = (share >= _NO_SHARE * share.max()).nonzero().squeeze(-1)
        part = (share[rows] / share[rows].sum().clamp(min=torch.finfo(share.dtype).tiny)).unsqueeze(-1)
        means.append((part * images[rows]).sum(0))
        spread = square_root(part) * (images[rows] - means[-1])
        covariances.append(spread.mT @ spread)
        covariances[-1].diagonal().add_(ridge * variance)
    total, power = torch.stack(weights), power.squeeze(-1)
    table = checks.representable("a variance", scaled(torch.stack(covariances), 2 * power.unsqueeze(-1)))
    return GaussianMixture(total / total.sum(), scaled(torch.stack(means), power), table)


def _shares(
    centred: Tensor,
    components: int,
    iterations: int,
    directions: int,
    ridge: float,
    generator: torch.Generator | None,
) -> Tensor:
    """The share ``(N, K)`` that each component has in each image, seen along the leading directions."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Fitted
    except ImportError:
        raise ImportError("fit_mixture needs scikit-learn: pip install 'gsl_utils[book]'.") from None
    table = (centred.mT @ centred).double()
    vectors = torch.linalg.eigh(table).eigenvectors[:, -directions:]
    # Pixels have a mean square of 1 beside the ridge, which is never nothing here.
    size = square_root(table.trace() / centred.numel())
    seen = (centred @ vectors.to(centred.dtype)).double().div_(size).cpu().numpy()
    device = centred.device if generator is None else generator.device
    seed = int(torch.randint(2**31, (), generator=generator, device=device))
    model = Fitted(components, max_iter=iterations, reg_covar=max(ridge, 1e-6), random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few iterations are what was asked for
        model.fit(seen)
    return torch.from_numpy(model.predict_proba(seen))
