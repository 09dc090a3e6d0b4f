"""Chapter 1's own functions against second methods: what its pages compute rests on them."""

from __future__ import annotations

import ast
import itertools
import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import stdtrit
from sklearn.linear_model import Lasso

from bindery.claims.intervals import slope_interval, t_interval
from bindery.claims.records import load
from bindery.claims.verdicts import Measurement, decide
from gsl_utils import datasets
from gsl_utils.sensing import gaussian_matrix
from gsl_utils.sparse import lasso, soft_threshold

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "01_classical_cs.ipynb"


def functions(**names: object) -> SimpleNamespace:
    """The functions that the chapter defines, with the global names that they use."""
    space = {"torch": torch, "np": np, "math": math, "combinations": itertools.combinations, **names}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            tree = ast.parse("".join(cell["source"]))
            tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
            for node in tree.body:
                node.args.defaults = [
                    value for value in node.args.defaults if isinstance(value, ast.Constant)
                ]
            exec(compile(tree, cell["id"], "exec"), space)
    return SimpleNamespace(**space)


@pytest.mark.parametrize(("k", "q"), [(4, 5), (4, 13), (6, 7)])
def test_the_packing_is_large_far_apart_and_white(k: int, q: int) -> None:
    words = functions().packing(k, q)
    assert len(words) == len({tuple(word) for word in words.tolist()}) == q ** (k // 2)
    blocks = words // q
    assert torch.equal(blocks, torch.arange(k).expand_as(blocks))
    apart = (words[:, None] != words[None]).sum(dim=-1)
    apart.fill_diagonal_(k)
    assert int(apart.min()) > k / 2
    signals = torch.zeros(len(words), k * q, dtype=torch.float64).scatter_(1, words, 1 / math.sqrt(k))
    largest = torch.linalg.eigvalsh(signals.T.cov(correction=0))[-1]
    assert float(largest) == pytest.approx(1 / (k * q), rel=1e-9)


def test_the_search_returns_the_sparsest_fit() -> None:
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(20, 5, 8, generator=generator, dtype=torch.float64)
    x = torch.zeros(20, 8, dtype=torch.float64)
    for i in range(20):
        x[i, torch.randperm(8, generator=generator)[: 1 + i % 3]] = 1.0 + i
    torch.set_default_dtype(torch.float64)
    try:
        found = functions().sparsest(A, (A @ x[..., None])[..., 0], 3)
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-8)


def test_the_published_baseline_is_scikit_learns() -> None:
    images, _ = datasets.load("digits", "test", 3)
    generator = torch.Generator().manual_seed(0)
    for m in (10, 30):
        A = torch.randn(m, 64, generator=generator, dtype=torch.float64)
        y = images @ A.T + 0.1 * torch.randn(3, m, generator=generator, dtype=torch.float64)
        theirs = Lasso(alpha=0.1, tol=1e-10, max_iter=100_000).fit(A, y.T).coef_.clip(0, 1)
        ours = functions(lasso=lasso).published_lasso(A / m**0.5, y / m**0.5)
        np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-3)


def test_the_extremes_of_the_gap_are_those_of_the_means_with_safe_limits() -> None:
    gaps = np.random.default_rng(0).normal([[0.0], [0.02], [-0.01]], 0.01, size=(3, 12))
    found = functions(t_interval=t_interval).extremes(gaps)
    mean, error = gaps.mean(axis=1), gaps.std(axis=1, ddof=1) / math.sqrt(12)
    one, three = (stdtrit(11, 1 - share / 2) for share in (0.01, 0.01 / 3))
    assert found["lowest"] == pytest.approx((mean[2], mean[2] - one * error[2], min(mean + three * error)))
    assert found["highest"] == pytest.approx((mean[1], max(mean - three * error), mean[1] + one * error[1]))


def test_half_of_the_signals_is_where_the_success_curve_crosses_one_half() -> None:
    half_point = functions().half_point
    # Success is certain up to 4 non-zeros and gone from 5 on: the line between crosses one half at 4.5.
    assert half_point(np.full((2, 5), 4), 10) == pytest.approx(0.45)
    assert half_point(np.array([3, 3, 5, 5]), 10) == pytest.approx(0.5)


def test_forced_constants_of_small_null_spaces() -> None:
    chapter = functions()
    h = torch.tensor([4.0, 3.0, 0.0, 2.0, 1.0], dtype=torch.float64)
    assert chapter.forced_l2(h) == pytest.approx(math.sqrt(30 / 5))
    assert chapter.forced_l2(h * 1e-9) == 1.0
    A = torch.eye(4, 5, dtype=torch.float64)
    A[:, 4] = 0.3
    # The null space is spanned by (.3, .3, .3, .3, -1): of its l1 norm 2.2, two entries leave 0.9.
    assert chapter.at_most_l1(A) >= 2.2 / 0.9 - 1e-12


def test_no_signal_is_left_out_of_the_seven_claims() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    claims = ("recovery", "scaling", "approx", "norms", "noise", "p0", "tight")
    assert all(f"cs-{claim}" in text for claim in claims)


def verdict_of_noise(threshold: Callable[..., torch.Tensor]) -> str:
    """The verdict on cs-noise when the chapter's FISTA uses this threshold."""
    torch.set_default_dtype(torch.float64)
    try:
        levels = np.logspace(-4, -1, 7)
        chapter = functions(
            soft_threshold=threshold, gaussian_matrix=gaussian_matrix, lasso=lasso, zlib=zlib,
            n=128, k=5, levels=levels,
        )  # fmt: skip
        slopes = {
            m: slope_interval(
                np.log(levels), np.log([chapter.noise_errors(m, s)[0] for s in range(4)])
            )
            for m in (60, 8)
        }  # fmt: skip
    finally:
        torch.set_default_dtype(torch.float32)
    claim = load(ROOT).claims["cs-noise"]
    names = claim.criterion.quantities
    return decide(
        claim,
        Measurement(
            id=claim.id,
            value={names[0]: slopes[60][0]},
            interval={names[0]: slopes[60][1:]},
            control={names[0]: slopes[8][0]},
            control_interval={names[0]: slopes[8][1:]},
            n=4,
            unit="seed",
            profile="quick",
            seed=0,
        ),
    ).word


def test_a_sign_error_in_the_soft_threshold_turns_the_verdict_on_noise() -> None:
    assert verdict_of_noise(soft_threshold) == "reproduced"
    # Away from zero instead of towards it: control and claim then follow the noise alike.
    assert verdict_of_noise(lambda u, t: u.sign() * (u.abs() + t)) == "void"
    # What comes back with the wrong sign grows without bound, and the page stops at once.
    with pytest.raises(ValueError, match="u holds NaN or infinite entries"):
        verdict_of_noise(lambda u, t: -soft_threshold(u, t))
    assert verdict_of_noise(lambda u, t: soft_threshold(u, t).abs()) == "contradicted"
