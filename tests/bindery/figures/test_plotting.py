"""The figure style, its helpers, and what `show` puts into a page."""

from __future__ import annotations

import itertools
import json
import re

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from scipy.optimize import isotonic_regression

from bindery.figures import bundle, plotting, svg
from bindery.figures.encoding import BUNDLE_MIME, Bundle


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        mpl.use("agg")
        plotting.use_style()
        yield
        plt.close("all")


def a_figure():
    fig, ax = plt.subplots(figsize=plotting.figsize())
    errors = np.exp(-np.arange(9) / 3) * (1 + np.random.default_rng(0).random((5, 9)))
    plotting.band(ax, np.arange(9), errors, label="lasso")
    ax.set(xlabel="measurements $m$", ylabel="error", yscale="log", title="Errors")
    plotting.label_lines(ax)
    return fig


# Colours


def linear(color):
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def luminance(color):
    return float(np.array([0.2126, 0.7152, 0.0722]) @ linear(color))


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(
        rgb, 0, 1
    )
    f = np.array([t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz / [0.9505, 1, 1.089]])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira and Fernandes (2009): what each deficiency makes of linear colours.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_stay_apart(deficiency):
    seen = [lab(np.array(DEFICIENCIES[deficiency]) @ linear(color)) for color in plotting.COLORS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 25


@pytest.mark.parametrize("color", plotting.COLORS)
def test_a_colour_stands_out_from_the_ground(color):
    assert (luminance(plotting.GROUND) + 0.05) / (luminance(color) + 0.05) >= 3


def test_the_ground_is_opaque_and_drawn():
    assert f'style="fill: {plotting.GROUND}"' in svg.render(a_figure(), "x")


# Legibility


def test_the_style_is_legible_on_a_telephone():
    svg.check_legible(a_figure())


def test_a_wide_figure_is_refused():
    with pytest.raises(ValueError, match="9 inches wide"):
        svg.check_legible(plt.figure(figsize=(9, 3)))


def test_small_text_is_refused_and_named():
    fig = a_figure()
    fig.axes[0].text(0, 0, "tiny", fontsize=8)
    with pytest.raises(ValueError, match="'tiny' in 8 points"):
        svg.check_legible(fig)


def test_small_text_that_is_not_drawn_is_no_matter():
    fig = a_figure()
    fig.axes[0].text(0, 0, "tiny", fontsize=8, visible=False)
    svg.check_legible(fig)


def test_labels_that_would_touch_are_hidden_and_their_ticks_stay():
    fig, ax = plt.subplots(figsize=(6, 3))
    ax.plot([10, 750], [1, 2])
    ax.set_xscale("log")
    ax.set_xticks([10, 100, 300, 390, 500, 750], ["10", "100", "300", "390", "500", "750"])
    ax.minorticks_off()
    svg.thin_labels(fig)
    assert [label.get_text() for label in ax.get_xticklabels() if label.get_visible()] == [
        "10", "100", "300", "500", "750"
    ]  # fmt: skip
    assert len(ax.get_xticks()) == 6


def test_labels_stay_whatever_the_order_of_their_ticks():
    fig, ax = plt.subplots(figsize=(6, 3))
    ax.plot([1, 20], [1, 2])
    ax.set_xticks([20, 16, 15.9, 5, 1], ["20", "16", "15.9", "5", "1"])
    svg.thin_labels(fig)
    shown = [label.get_text() for label in ax.get_xticklabels() if label.get_visible()]
    assert shown == ["20", "15.9", "5", "1"]


@pytest.mark.parametrize("aspect", [0, -1, float("nan")])
def test_figsize_refuses(aspect):
    with pytest.raises(ValueError, match="aspect"):
        plotting.figsize(aspect)


# SVG


def test_svg_is_the_same_every_time_and_dateless():
    first, second = svg.render(a_figure(), "a-b"), svg.render(a_figure(), "a-b")
    assert first == second
    assert "<metadata>" not in first
    assert "<text" not in first
    assert first.startswith("<svg")


def test_two_names_share_no_ids():
    def ids(name):
        return set(re.findall(r'id="([mp][0-9a-f]{10})"', svg.render(a_figure(), name)))

    assert ids("a")
    assert not ids("a") & ids("b")


def test_svg_coordinates_are_hundredths():
    paths = re.findall(r' d="([^"]*)"', svg.render(a_figure(), "a"))
    assert max(len(digits) for path in paths for digits in re.findall(r"\.(\d+)", path)) == 2


def test_rounded_svg_looks_the_same(tmp_path):
    """Rounding moves no coordinate by more than half a hundredth of a point."""
    raw = tmp_path / "raw.svg"
    fig = a_figure()
    with mpl.rc_context({"svg.hashsalt": "a", "svg.fonttype": "path"}):
        fig.savefig(raw, format="svg", metadata=svg._NO_METADATA)
    numbers = re.compile(r"-?\d+\.?\d*")
    ours = svg.render(a_figure(), "a")
    theirs = raw.read_text()
    for mine, exact in zip(
        re.findall(r' d="([^"]*)"', ours), re.findall(r' d="([^"]*)"', theirs), strict=True
    ):
        got = np.array([float(number) for number in numbers.findall(mine)])
        np.testing.assert_allclose(got, [float(number) for number in numbers.findall(exact)], atol=0.00501)


# Helpers


def test_band_shows_median_and_range():
    _, ax = plt.subplots()
    per_seed = np.array([[1.0, 5.0], [2.0, 7.0], [9.0, np.nan]])
    plotting.band(ax, [0, 1], per_seed)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [2, 6])
    corners = ax.collections[0].get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == (1, 9)


def test_band_shows_mean_and_the_central_share():
    _, ax = plt.subplots()
    per_seed = np.arange(101.0)[:, None] * np.ones((1, 2))
    plotting.band(ax, [0, 1], per_seed, center="mean", coverage=0.5)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 50)
    corners = ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose((corners[:, 1].min(), corners[:, 1].max()), (25, 75))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": [0, 1], "per_seed": [1, 2]}, "seeds, points"),
        ({"x": [0], "per_seed": [[1, 2], [3, 4]]}, "seeds, points"),
        ({"x": [0, 1], "per_seed": [[1, 2]]}, "at least two seeds"),
        ({"x": [0], "per_seed": [[1], [2]], "center": "mode"}, "center"),
        ({"x": [0], "per_seed": [[1], [2]], "coverage": 0.0}, "coverage"),
        ({"x": [0], "per_seed": [[1], [2]], "coverage": 1.5}, "coverage"),
    ],
)
def test_band_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        plotting.band(plt.figure().subplots(), **arguments)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 0.1))
def test_labels_end_up_apart_inside_and_as_near_as_can_be(heights, step):
    heights = sorted(heights)
    moved = plotting._apart(heights, step)
    assert all(b - a >= step - 1e-9 for a, b in itertools.pairwise(moved))
    assert min(moved) >= 0
    assert max(moved) <= 1 + 1e-9
    # Least squares under these constraints is isotonic regression, clipped.
    steps = step * np.arange(len(heights))
    nearest = np.clip(isotonic_regression(heights - steps).x, 0, 1 - steps[-1]) + steps
    np.testing.assert_allclose(moved, nearest, atol=1e-9)


def test_labels_do_not_overlap_when_drawn():
    fig, ax = plt.subplots(figsize=plotting.figsize())
    for name in ("omp", "lasso", "iht"):
        ax.plot([0, 1], [0, 0.5], label=name)
    plotting.label_lines(ax)
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(box.x1 <= fig.bbox.x1 for box in boxes)


def test_label_lines_refuses_axes_without_labels():
    with pytest.raises(ValueError, match="no labelled line"):
        plotting.label_lines(plt.figure().subplots())


def test_tidy_puts_each_entry_beside_its_coordinates():
    values = np.arange(24).reshape(2, 3, 4)
    table = plotting.tidy({"v": values}, method=["a", "b"], seed=range(3), m=[10, 20, 30, 40])
    rows = zip(*(table[name] for name in ("method", "seed", "m", "v")), strict=True)
    assert all(values[["a", "b"].index(method), seed, m // 10 - 1] == v for method, seed, m, v in rows)


def test_tidy_refuses_another_shape():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        plotting.tidy({"v": [1, 2]}, m=[1, 2, 3])


# show

SOURCE = """
import numpy as np
from matplotlib import pyplot as plt
from bindery.figures import plotting
plotting.use_style()
fig, ax = plt.subplots(figsize=plotting.figsize())
ax.plot([0, 1], [0, 1])
plotting.show(fig, "a-line", {"x": [0, 1], "y": np.array([0.0, 1 / 3])}, profile="quick", seeds=[3])
fig, ax = plt.subplots(figsize=plotting.figsize(1))
ax.imshow(np.eye(3))
plotting.show(fig, "an-image", images={"eye": np.eye(3)}, profile="paper", seeds=[1, 2])
assert not plt.get_fignums()
"""


@pytest.fixture(scope="module")
def page():
    """Execute a notebook in a real kernel, twice."""
    runs = []
    for _ in range(2):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE, id="a")])
        NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
        runs.append(notebook)
    return runs


def test_show_emits_one_output_with_picture_and_bundle(page):
    outputs = page[0].cells[0].outputs
    assert [(output.output_type, sorted(output.data)) for output in outputs] == [
        ("display_data", sorted(["image/svg+xml", BUNDLE_MIME]))
    ] * 2
    line, image = (Bundle.from_json(output.data[BUNDLE_MIME]) for output in outputs)
    assert line == Bundle("a-line", "quick", (3,), ("x", "y"), csv="x,y\n0,0\n1,0.333333\n")
    assert (image.name, image.profile, image.seeds, image.columns) == ("an-image", "paper", (1, 2), ("eye",))


def test_two_executions_give_the_same_bytes(page):
    first, second = page
    assert [output.data for output in first.cells[0].outputs] == [
        output.data for output in second.cells[0].outputs
    ]


def test_pages_survive_nbformat(page):
    nbformat.validate(page[0])
    text = nbformat.writes(page[0])
    figures = bundle.read(json.loads(text))
    assert [figure.bundle.name for figure in figures] == ["a-line", "an-image"]
    assert figures[0].svg == page[0].cells[0].outputs[0].data["image/svg+xml"]


def test_show_outside_of_a_notebook_closes_the_figure_quietly(capsys):
    plotting.show(a_figure(), "x", {"x": [1]}, profile="quick", seeds=[0])
    assert not plt.get_fignums()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"name": "Phase diagram", "data": {"x": [1]}}, "slug"),
        ({"name": "a_b", "data": {"x": [1]}}, "slug"),
        ({"name": "a", "data": {}}, "empty"),
        ({"name": "a"}, "exactly one"),
        ({"name": "a", "data": {"x": [1]}, "images": {"x": [1]}}, "exactly one"),
        ({"name": "a", "data": {"x": np.random.default_rng(0).random(50_000)}}, "at most 400000"),
        ({"name": "a", "images": {"x": np.random.default_rng(0).random(200_000)}}, "at most 400000"),
    ],
)
def test_show_refuses(keywords, message):
    fig = a_figure()
    with pytest.raises(ValueError, match=message):
        plotting.show(fig, profile="quick", seeds=[0], **keywords)


def test_show_refuses_what_is_no_figure():
    with pytest.raises(TypeError, match="ndarray"):
        plotting.show(np.zeros(3), "a", {"x": [1]}, profile="quick", seeds=[0])
    with pytest.raises(TypeError, match="name is 3"):
        plotting.show(a_figure(), 3, {"x": [1]}, profile="quick", seeds=[0])
