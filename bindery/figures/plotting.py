"""The book's one figure style, and the one way in which a page shows a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bindery.emit import display
from bindery.figures import svg
from bindery.figures.encoding import BUNDLE_MIME, from_columns, from_images

__all__ = ["COLORS", "GROUND", "WIDTH", "band", "figsize", "label_lines", "show", "tidy", "use_style"]

_STYLE = mpl.rc_params_from_file(str(Path(__file__).with_name("book.mplstyle")), use_default_template=False)
COLORS: tuple[str, ...] = tuple(_STYLE["axes.prop_cycle"].by_key()["color"])
GROUND: str = _STYLE["axes.facecolor"]
WIDTH: float = _STYLE["figure.figsize"][0]


def use_style() -> None:
    """Set the book's style for every figure that follows; a page calls it once.

    >>> use_style()
    >>> plt.rcParams["figure.figsize"]
    [6.0, 3.7]
    """
    plt.rcParams.update(_STYLE)


def figsize(aspect: float = 0.62) -> tuple[float, float]:
    """Return width and height, in inches, of a figure one column wide; ``aspect`` is height over width.

    Panels go below each other rather than shrink.

    >>> figsize(0.5)
    (6.0, 3.0)
    """
    if not aspect > 0:
        raise ValueError(f"aspect is {aspect!r}; it must be positive, the height over the width")
    return WIDTH, round(WIDTH * aspect, 2)


def band(
    ax: Axes,
    x: Any,
    per_seed: Any,
    *,
    label: str | None = None,
    center: Literal["median", "mean"] = "median",
    coverage: float = 1.0,
    color: str | None = None,
    **line: Any,
) -> None:
    """Draw a line with a band over seeds.

    Args:
        ax: Where to draw.
        x: Abscissae, shape ``(points,)``.
        per_seed: One row per seed, shape ``(seeds, points)``, at least two; nan where there is no value.
        label: Name of the line, for ``label_lines`` or a legend.
        center: What the line shows.
        coverage: Central share of the seeds inside the band, in (0, 1]; 1 is their whole range.
        color: Any colour; the cycle's next one by default.
        **line: Passed on to ``ax.plot``.

    Raises:
        ValueError: Shapes that do not fit, fewer than two seeds, or an option out of its range.
    """
    xs = np.asarray(x, dtype=float)
    values = np.asarray(per_seed, dtype=float)
    if xs.ndim != 1 or values.ndim != 2 or values.shape[1] != xs.size:
        raise ValueError(
            f"x has shape {xs.shape} and per_seed {values.shape}; they must be (points,) and (seeds, points)"
        )
    if values.shape[0] < 2:
        raise ValueError("per_seed has one row; a band needs at least two seeds")
    if center not in ("median", "mean"):
        raise ValueError(f"center is {center!r}; it must be 'median' or 'mean'")
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is {coverage!r}; it must be in (0, 1]")
    middle = np.nanmedian(values, axis=0) if center == "median" else np.nanmean(values, axis=0)
    low, high = np.nanquantile(values, [(1 - coverage) / 2, (1 + coverage) / 2], axis=0)
    (drawn,) = ax.plot(xs, middle, label=label, color=color, **line)
    ax.fill_between(xs, low, high, color=drawn.get_color(), alpha=0.2, linewidth=0)


def label_lines(ax: Axes, *, gap: float = 1.25) -> None:
    """Write each labelled line's name at its right end, in its colour, instead of a legend.

    Names nearer than ``gap`` heights of a letter are moved apart. Call it last, when the axes are final.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("ax stands on no figure")
    # Settles the layout, and with it the height that a letter takes on these axes.
    figure.draw_without_rendering()
    to_axes = ax.transData + ax.transAxes.inverted()
    ends: list[tuple[float, str, Any]] = []
    for drawn in ax.get_lines():
        name = str(drawn.get_label())
        points = np.column_stack([np.asarray(drawn.get_xdata(), float), np.asarray(drawn.get_ydata(), float)])
        points = points[np.isfinite(points).all(axis=1)]
        if not name.startswith("_") and len(points):
            height = float(to_axes.transform(points[np.argmax(points[:, 0])])[1])
            ends.append((min(max(height, 0.0), 1.0), name, drawn.get_color()))
    if not ends:
        raise ValueError("ax has no labelled line; give band(...) or ax.plot(...) a label")
    ends.sort(key=lambda end: (end[0], end[1]))
    size = float(cast("float", plt.rcParams["legend.fontsize"]))
    step = gap * size / (svg.POINTS_PER_INCH * ax.get_position().height * figure.get_size_inches()[1])
    for height, (_, name, color) in zip(_apart([end[0] for end in ends], step), ends, strict=True):
        ax.text(1.015, height, name, color=color, fontsize=size, va="center", transform=ax.transAxes)


def _apart(heights: Sequence[float], step: float) -> list[float]:
    """Return sorted heights, moved as little as it takes to be in [0, 1] and ``step`` apart (isotonic)."""
    # Here, because a page without names at its lines should not wait for it.
    from scipy.optimize import isotonic_regression

    least = step * np.arange(len(heights))
    moved = isotonic_regression(np.subtract(heights, least)).x.clip(0.0, max(0.0, 1.0 - least[-1]))
    return [float(height) for height in moved + least]


def tidy(values: Mapping[str, Any], **axes: Any) -> dict[str, np.ndarray]:
    """Lay arrays out as a tidy table: one row per entry, one column per axis and per array.

    Args:
        values: Column name to an array; all have the same shape.
        **axes: One per dimension, in order: the axis's name and its coordinates.

    Returns:
        Columns of equal length, for ``show``.

    Raises:
        ValueError: A shape differs from the axes' lengths.

    >>> {k: v.tolist() for k, v in tidy({"error": [[1, 2], [3, 4]]}, seed=[0, 1], m=[10, 20]).items()}
    {'seed': [0, 0, 1, 1], 'm': [10, 20, 10, 20], 'error': [1, 2, 3, 4]}
    """
    coordinates = [np.asarray(axis) for axis in axes.values()]
    shape = tuple(len(axis) for axis in coordinates)
    table = dict(zip(axes, (grid.ravel() for grid in np.meshgrid(*coordinates, indexing="ij")), strict=True))
    for key, value in values.items():
        array = np.asarray(value)
        if array.shape != shape:
            raise ValueError(f"values[{key!r}] has shape {array.shape}; the axes {list(axes)} make {shape}")
        table[key] = array.ravel()
    return table


def show(
    fig: Figure,
    name: str,
    data: Mapping[str, Any] | None = None,
    *,
    images: Mapping[str, Any] | None = None,
    moves: Mapping[str, Any] | None = None,
    profile: str,
    seeds: Sequence[int],
) -> None:
    """Show a figure in a page together with the numbers it was drawn from, and close it.

    ``moves`` is for columns of descents that are not at rest: how far their numbers may be others in another
    arithmetic, such as a tenth of the half-width of their intervals over seeds.
    """
    if not isinstance(fig, Figure):
        raise TypeError(f"fig is a {type(fig).__name__}; it must be a matplotlib Figure")
    if (data is None) == (images is None):
        raise ValueError("give exactly one of data and images: what the figure was drawn from")
    seeds = list(map(int, seeds))
    if data is not None:
        bundle = from_columns(name, data, profile=profile, seeds=seeds, moves=moves)
    else:
        bundle = from_images(name, cast("Mapping[str, Any]", images), profile=profile, seeds=seeds)
    svg.check_legible(fig)
    svg.thin_labels(fig)
    picture = svg.render(fig, name)
    plt.close(fig)
    display({"image/svg+xml": picture, BUNDLE_MIME: bundle.to_json()})
