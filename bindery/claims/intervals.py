"""Confidence intervals for what the book measures: 99 % unless said otherwise.

The unit of replication is the seed or the trained model, never the image. Means over seeds get Student's t,
shares of independent draws Wilson's interval. The level is high because there are some hundred claims.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Estimate", "by_seed", "counts", "exact", "interval", "slope", "tenths"]


class Estimate(NamedTuple("_Triple", [("value", float), ("low", float), ("high", float)])):
    """A value and the two ends of its interval, ``(value, low, high)``, with what stands behind it in ``n``.

    >>> estimate = by_seed([1.0, 1.1, 0.9, 1.0])
    >>> value, low, high = estimate
    >>> round(value, 2), estimate.n
    (1.0, 4)
    """

    n: int = 1

    @classmethod
    def of(cls, value: float, low: float, high: float, n: int) -> Estimate:
        """Return an estimate from ``n`` units."""
        made = cls(value, low, high)
        made.n = n
        return made


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level was {level}; it must lie strictly between 0 and 1")
    return float(level)


def by_seed(
    values: ArrayLike, *, level: float = 0.99, least: float = -math.inf, most: float = math.inf
) -> Estimate:
    r"""Student's interval for the mean of values that are independent from seed to seed.

    .. math:: \bar v \pm t_{N-1}\,\frac{s}{\sqrt N}, \qquad s^2 = \frac1{N-1}\sum_i (v_i - \bar v)^2

    Args:
        values: One value per seed, shape ``(N,)``, N at least 2. Differences of pairs give a paired interval.
        level: The coverage, strictly between 0 and 1.
        least: What the quantity cannot be below; no end of the interval is.
        most: What it cannot be above.

    Returns:
        The mean and the two ends, ``(mean, low, high)``.

    Raises:
        ValueError: A shape, value or level outside of these.

    Student (1908); used in every chapter.

    >>> mean, low, high = by_seed([1.0, 1.1, 0.9, 1.0])
    >>> f"{mean:.2f} [{low:.2f}, {high:.2f}]"
    '1.00 [0.76, 1.24]'
    """
    # The quantile alone: importing scipy.stats would cost a page a second.
    from scipy.special import stdtrit

    level, sample = _level(level), np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size < 2:
        raise ValueError(f"values had shape {sample.shape}; it must be one value per seed, at least 2")
    if not np.isfinite(sample).all():
        raise ValueError("values held NaN or an infinity; every value must be finite")
    mean = float(sample.mean())
    if not least <= mean <= most:
        raise ValueError(f"values had the mean {mean}; it must lie in [{least}, {most}]")
    quantile = float(stdtrit(sample.size - 1, (1 + level) / 2))
    half = quantile * float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return Estimate.of(mean, max(mean - half, least), min(mean + half, most), sample.size)


def counts(successes: int, trials: int, *, level: float = 0.99) -> Estimate:
    r"""Wilson's score interval for the probability behind ``successes`` out of independent ``trials``.

    .. math::

        \frac{\hat p + \frac{c^2}{2N} \pm c\sqrt{\frac{\hat p(1-\hat p)}{N} + \frac{c^2}{4N^2}}}{1 + c^2/N}

    Here :math:`\hat p` is the observed share, :math:`N` the number of trials, :math:`c` the normal quantile.

    Args:
        successes: How many trials succeeded, from 0 to ``trials``.
        trials: How many there were, at least 1; independent draws, none of which share a model.
        level: The coverage, strictly between 0 and 1.

    Returns:
        The share and the two ends, ``(share, low, high)``, all within [0, 1].

    Raises:
        TypeError: ``successes`` or ``trials`` is not a whole number.
        ValueError: One of them, or the level, is out of range.

    Wilson (1927), Journal of the American Statistical Association 22; used in every chapter.

    >>> share, low, high = counts(48, 50)
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
    return Estimate.of(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)), count)


def slope(x: ArrayLike, y_by_seed: ArrayLike, *, level: float = 0.99) -> Estimate:
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

    >>> round(slope([0.0, 1.0, 2.0], [[0.0, 1.0, 2.0], [0.0, 1.2, 2.4]]).value, 2)
    1.1
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
    return by_seed(ordinates @ centred / (centred @ centred), level=level)


def exact(number: float, n: int = 1) -> Estimate:
    """Return a counted or computed number, which has no interval: both ends are the number.

    Args:
        number: The number; a count stays whole.
        n: How many cases it was counted over.

    >>> exact(3, n=250)
    Estimate(value=3, low=3, high=3)
    """
    return Estimate.of(number, number, number, n)


def interval(value: float, low: float, high: float, n: int = 1) -> Estimate:
    """Return an interval that was made in another way, such as one that holds for many points together.

    Args:
        value: The value.
        low: The interval's lower end.
        high: Its upper end.
        n: How many independent units stand behind it.

    Raises:
        ValueError: The value does not lie between the ends.
    """
    if not low <= value <= high:
        raise ValueError(f"value was {value} and its interval ({low}, {high}); it must lie inside of it")
    return Estimate.of(value, low, high, n)


def tenths(values: ArrayLike, axis: int = 0) -> NDArray[np.float64]:
    r"""A tenth of the half-width of ``by_seed``: how far a mean may move in another arithmetic.

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
    ends = [by_seed(row) for row in rows.reshape(-1, rows.shape[-1])]
    return np.array([(high - low) / 20 for _, low, high in ends]).reshape(rows.shape[:-1])
