"""A figure as an SVG whose bytes depend on nothing but the figure."""

import io
import math
import re

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

MAX_WIDTH = 6.5
# What a telephone of 390 px leaves for a figure, and the smallest letters to be read there, in px.
_PHONE_COLUMN = 358.0
_LEGIBLE = 9.0
POINTS_PER_INCH = 72.0
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_COORDINATES = re.compile(r' (?:d|x|y)="[^"]*"|translate\([^)]*\)')
# Points that stay free between two labels.
_BETWEEN_LABELS = 2
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def check_legible(fig: Figure) -> None:
    """Refuse a figure whose letters a telephone of 390 px would show smaller than 9 px."""
    width = float(fig.get_size_inches()[0])
    if width > MAX_WIDTH:
        must = f"it must be at most {MAX_WIDTH}, as figsize() gives: put panels below each other"
        raise ValueError(f"fig is {width:g} inches wide; {must}")
    smallest = _LEGIBLE * POINTS_PER_INCH * width / _PHONE_COLUMN
    for text in fig.findobj(Text):
        assert isinstance(text, Text)
        size = float(text.get_fontsize())
        if text.get_visible() and text.get_text().strip() and size < smallest:
            must = f"at this width it must be at least {smallest:.1f} to be legible at 390 px"
            raise ValueError(f"fig has the text {text.get_text()!r} in {size:g} points; {must}")


def thin_labels(fig: Figure) -> None:
    """Hide the labels of ticks along x that would touch the one before them; the ticks stay."""
    fig.draw_without_rendering()
    for ax in fig.axes:
        right = -math.inf
        # By their place: ticks may be given in any order.
        placed = [(label.get_window_extent(), label) for label in ax.get_xticklabels()]
        for box, label in sorted(placed, key=lambda pair: float(pair[0].x0)):
            inside = ax.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= ax.bbox.x1 + 1
            if not (inside and label.get_visible() and label.get_text().strip()):
                continue
            if box.x0 < right:
                label.set_visible(False)
            else:
                right = box.x1 + _BETWEEN_LABELS * fig.dpi / POINTS_PER_INCH


def render(fig: Figure, name: str) -> str:
    """Return the figure as SVG: no date, ids salted with the name, coordinates in hundredths of a point."""
    buffer = io.StringIO()
    # Letters as outlines look the same on every machine, whatever fonts it has.
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path", "svg.image_inline": True}):
        fig.savefig(buffer, format="svg", metadata=_NO_METADATA)
    text = buffer.getvalue()
    return _COORDINATES.sub(lambda found: _NUMBER.sub(_hundredths, found.group()), text[text.index("<svg") :])


def _hundredths(number: re.Match[str]) -> str:
    """Round one coordinate: a hundredth of a point cannot be seen, later digits differ between machines."""
    # Adding zero turns -0 into 0.
    return f"{round(float(number.group()), 2) + 0.0:.2f}".rstrip("0").rstrip(".")
