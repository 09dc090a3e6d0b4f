"""Confidence intervals for what the book measures: 99 % unless said otherwise.

The unit of replication is the seed or the trained model, never the image. Means over seeds get Student's t,
shares of trials get Wilson's interval. The level is high because there are some hundred claims.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["paired_interval", "slope_interval", "t_interval", "tenths", "wilson_interval"]


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level was {level}; it must lie strictly between 0 and 1")
    return float(level)


def _sample(name: str, values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size < 2:
        raise ValueError(f"{name} had shape {sample.shape}; it must be one value per seed, at least 2")
    if not np.isfinite(sample).all():
        raise ValueError(f"{name} held NaN or an infinity; every value must be finite")
    return sample


def t_interval(values: ArrayLike, level: float = 0.99) -> tuple[float, float, float]:
    r"""Student's interval for the mean of values that are independent from seed to seed.

    .. math:: \bar v \pm t_{N-1}\,\frac{s}{\sqrt N}, \qquad s^2 = \frac1{N-1}\sum_i (v_i - \bar v)^2

    Args:
        values: One value per seed, shape ``(N,)``, N at least 2.
        level: The coverage, strictly between 0 and 1.

    Returns:
        The mean and the two ends, ``(mean, low, high)``.

    Raises:
        ValueError: A shape, value or level outside of these.

    Student (1908); used in every chapter.

    >>> mean, low, high = t_interval([1.0, 1.1, 0.9, 1.0])
    >>> f"{mean:.2f} [{low:.2f}, {high:.2f}]"
    '1.00 [0.76, 1.24]'
    """
    # The quantile alone: importing scipy.stats would cost a page a second.
    from scipy.special import stdtrit

    level, sample = _level(level), _sample("values", values)
    mean = float(sample.mean())
    quantile = float(stdtrit(sample.size - 1, (1 + level) / 2))
    half = quantile * float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return mean, mean - half, mean + half


def tenths(values: ArrayLike, axis: int = 0) -> NDArray[np.float64]:
    r"""A tenth of the half-width of ``t_interval``: how far a mean may move in another arithmetic.

    .. math:: \tfrac1{10}\,t_{N-1}\,\frac{s}{\sqrt N}

    Args:
        values: One value per seed along ``axis``, at least 2 of them.
        axis: The seeds' axis.

    Returns:
        The values' shape without the axis.

    Raises:
        ValueError: A shape or value outside of these.

    Used where descents are not at rest, as in chapter 7.

    >>> tenths([[1.0, 1.1, 0.9, 1.0]], axis=1).round(3).tolist()
    [0.024]
    """
    rows = np.moveaxis(np.asarray(values, float), axis, -1)
    ends = [t_interval(row) for row in rows.reshape(-1, rows.shape[-1])]
    return np.array([(high - low) / 20 for _, low, high in ends]).reshape(rows.shape[:-1])


def paired_interval(first: ArrayLike, second: ArrayLike, level: float = 0.99) -> tuple[float, float, float]:
    """Student's interval for the mean of ``first - second``, paired by seed.

    Args:
        first: One value per seed, shape ``(N,)``, N at least 2.
        second: The values at the same seeds, in the same order.
        level: The coverage, strictly between 0 and 1.

    Returns:
        The mean difference and the two ends, ``(mean, low, high)``.

    Raises:
        ValueError: The shapes differ, or a value or level outside of these.

    >>> mean, low, high = paired_interval([2.0, 3.1, 4.0], [1.0, 2.0, 3.0])
    >>> f"{mean:.2f} [{low:.2f}, {high:.2f}]"
    '1.03 [0.70, 1.36]'
    """
    left, right = _sample("first", first), _sample("second", second)
    if left.shape != right.shape:
        raise ValueError(f"second had shape {right.shape}; it must have the shape of first, {left.shape}")
    return t_interval(left - right, level)


def wilson_interval(successes: int, trials: int, level: float = 0.99) -> tuple[float, float, float]:
    r"""Wilson's score interval for the probability behind ``successes`` out of independent ``trials``.

    .. math::

        \frac{\hat p + \frac{c^2}{2N} \pm c\sqrt{\frac{\hat p(1-\hat p)}{N} + \frac{c^2}{4N^2}}}{1 + c^2/N}

    Here :math:`\hat p` is the observed share, :math:`N` the number of trials, :math:`c` the normal quantile.

    Args:
        successes: How many trials succeeded, from 0 to ``trials``.
        trials: How many there were, at least 1.
        level: The coverage, strictly between 0 and 1.

    Returns:
        The share and the two ends, ``(share, low, high)``, all within [0, 1].

    Raises:
        TypeError: ``successes`` or ``trials`` is not a whole number.
        ValueError: One of them, or the level, is out of range.

    Wilson (1927), Journal of the American Statistical Association 22; used in every chapter.

    >>> share, low, high = wilson_interval(48, 50)
    >>> f"{share:.2f} [{low:.2f}, {high:.2f}]"
    '0.96 [0.82, 0.99]'
    """
    level = _level(level)
    for name, value in (("successes", successes), ("trials", trials)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} was {value!r}; it must be a whole number")
    if trials < 1:
        raise ValueError(f"trials was {trials}; it must be at least 1")
    if not 0 <= successes <= trials:
        raise ValueError(f"successes was {successes}; it must lie between 0 and trials, which was {trials}")
    count, share = int(trials), int(successes) / int(trials)
    quantile = NormalDist().inv_cdf((1 + level) / 2)
    scale = 1 + quantile**2 / count
    centre = (share + quantile**2 / (2 * count)) / scale
    half = quantile * math.sqrt(share * (1 - share) / count + quantile**2 / (4 * count**2)) / scale
    # At a share of 0 or 1 one end is exactly that share; rounding must not push it past.
    return share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def slope_interval(x: ArrayLike, y_by_seed: ArrayLike, level: float = 0.99) -> tuple[float, float, float]:
    r"""Student's interval for the least-squares slope of y against x, one slope per seed.

    .. math:: b_s = \frac{\sum_i (x_i - \bar x)\,y_{si}}{\sum_i (x_i - \bar x)^2}

    Args:
        x: The abscissae, shape ``(P,)``, at least two different ones. Logarithms for a power law.
        y_by_seed: The ordinates, shape ``(N, P)``: a row per seed, N at least 2.
        level: The coverage, strictly between 0 and 1.

    Returns:
        The mean slope and the two ends, ``(mean, low, high)``.

    Raises:
        ValueError: A shape, value or level outside of these.

    >>> mean, low, high = slope_interval([0.0, 1.0, 2.0], [[0.0, 1.0, 2.0], [0.0, 1.2, 2.4]])
    >>> f"{mean:.2f}"
    '1.10'
    """
    abscissae = np.asarray(x, dtype=np.float64)
    ordinates = np.asarray(y_by_seed, dtype=np.float64)
    if abscissae.ndim != 1 or not np.isfinite(abscissae).all() or np.unique(abscissae).size < 2:
        raise ValueError(f"x had shape {abscissae.shape}; it must be a row of finite numbers, not all equal")
    if ordinates.ndim != 2 or ordinates.shape[1] != abscissae.size:
        raise ValueError(
            f"y_by_seed had shape {ordinates.shape}; it must be (seeds, {abscissae.size}), like x"
        )
    if not np.isfinite(ordinates).all():
        raise ValueError("y_by_seed held NaN or an infinity; every value must be finite")
    centred = abscissae - abscissae.mean()
    return t_interval(ordinates @ centred / (centred @ centred), level)
