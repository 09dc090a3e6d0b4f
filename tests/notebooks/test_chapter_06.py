"""Chapter 6's own functions against second methods: what its page computes rests on them."""

from __future__ import annotations

import ast
import functools
import itertools
import json
import math
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bindery import Page
from bindery.claims.records import read
from gsl_utils.generators import Exponential, RealNVP, Sigmoid, Synthesis, fit_flow
from gsl_utils.metrics import srnr_db
from gsl_utils.sensing import gaussian_matrix, measure
from gsl_utils.sparse import soft_threshold, sparse_vectors

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "06_gsl_reconstruction.ipynb"
Data = namedtuple("Data", "z x A y")


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def functions(**names: object) -> SimpleNamespace:
    """The functions that the chapter defines, with the global names that they use."""
    space = {
        "torch": torch, "np": np, "math": math, "functools": functools,
        "product": itertools.product, "measure": measure, "gaussian_matrix": gaussian_matrix,
        "srnr_db": srnr_db, "Data": Data, "page": Page("quick", 0), "sparse_vectors": sparse_vectors,
        "Sigmoid": Sigmoid, "Exponential": Exponential, "RealNVP": RealNVP, "soft_threshold": soft_threshold,
        "fit_flow": fit_flow, "n": 20, "p": 20, "K": 2, "m": 10, "few": 2, "paper": False, **names,
    }  # fmt: skip
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            tree = ast.parse("".join(cell["source"]))
            tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
            exec(compile(tree, cell["id"], "exec"), space)
    return SimpleNamespace(**space)


def test_latents_have_k_signs_or_the_same_energy_in_all_entries() -> None:
    chapter, source = functions(), torch.Generator().manual_seed(0)
    sparse = chapter.latents(500, source, size=30, k=6)
    assert torch.equal(sparse.abs().sum(dim=-1), torch.full((500,), 6.0))
    assert set(sparse.unique().tolist()) == {-1.0, 0.0, 1.0}
    dense = chapter.latents(2000, source, dense=True, size=30, k=6)
    assert float(dense.square().sum(dim=-1).mean()) == pytest.approx(6, rel=0.05)


def test_what_is_drawn_is_a_signal_of_the_model_with_its_noise() -> None:
    chapter = functions()
    d = chapter.draw("exponential", [0, 1], "test", 40)
    _, B = chapter.model("exponential", 0)
    torch.testing.assert_close(d.x, (d.z @ B.T).exp())
    clean = (d.A @ d.x[..., None])[..., 0]
    ratio = clean.square().sum(dim=-1) / (d.y - clean).square().sum(dim=-1)
    assert float(1 / (1 / ratio).mean()) == pytest.approx(1000, rel=0.15)
    assert not torch.equal(d.y[0], d.y[1])


def test_measurements_are_added_row_by_row_and_repeated_with_fresh_noise() -> None:
    chapter = functions()
    sizes = np.array([4, 10, 20])
    *nests, repeated = chapter.nested("sigmoid", [0], 300, sizes)
    for d, rows in zip(nests, sizes, strict=True):
        assert d.A.shape == (1, 300, rows, 20)
        # Each has the scale N(0, 1/rows) of the measurements that it has, and they are the same ones.
        torch.testing.assert_close(d.A[..., :4, :] * rows**0.5, nests[0].A * 2)
        assert float(d.A.square().sum(dim=-2).mean()) == pytest.approx(1, rel=0.05)
    assert repeated.A.shape == (1, 300, 20, 20)
    torch.testing.assert_close(repeated.A[..., 4:8, :], repeated.A[..., :4, :])
    torch.testing.assert_close(repeated.A[..., :4, :] * 20**0.5, nests[0].A * 2)
    for d in (*nests, repeated):
        clean = (d.A @ d.x[..., None])[..., 0]
        noise = (d.y - clean).square().sum(dim=-1) / clean.square().sum(dim=-1)
        assert float(noise.mean()) == pytest.approx(1e-3, rel=0.15)
    noise = repeated.y - (repeated.A @ repeated.x[..., None])[..., 0]
    assert not torch.isclose(noise[..., 4:8], noise[..., :4]).any()


def test_the_trained_flow_is_likelier_and_is_used_where_it_was_trained() -> None:
    chapter = functions()
    flow, B = chapter.model("trained")
    assert not any(weight.requires_grad for weight in flow.parameters())
    fresh = torch.Generator().manual_seed(5)
    u = chapter.latents(2000, fresh) @ B.T
    assert float(u.var()) == pytest.approx(1, rel=0.1)
    # The data that it was trained on, drawn again by the generator's own stream.
    source = chapter.page.stream("model trained")
    gaussian_matrix(20, 20, scale="columns", generator=source)
    data = chapter.warped(4000, 20, source)
    untrained = RealNVP(20, 4, generator=source).requires_grad_(False)
    gain = flow.log_prob(data).mean() - untrained.log_prob(data).mean()
    assert float(gain) > 0.2 * 20


def test_pairs_are_compared_within_each_generator() -> None:
    chapter = functions()
    kinds = np.repeat(["a", "b", "c"], 4)
    failed = np.array([1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], dtype=bool)
    score = np.array([2.0, 3, 0, 1, -5, -7, -6, -4, 9, 9, 9, 9])
    # In a all 4 pairs, in b 2 of 3, and none in c, where nothing failed.
    assert chapter.within(score, failed, kinds) == pytest.approx(6 / 7)


def test_the_smallest_is_taken_after_the_mean() -> None:
    values = np.array([[0.0, 10.0], [4.0, 4.0], [9.0, 2.0]])
    assert functions().least(values).tolist() == [4.0, 4.0]


def test_area_under_the_curve_and_logistic_fit_are_scikit_learns() -> None:
    chapter, rng = functions(), np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    failed = rng.random(300) < 1 / (1 + np.exp(-(0.5 + X @ [1.0, -2.0, 0.0])))
    score = np.round(X[:, 0], 1)  # with ties
    assert chapter.auc(score, failed) == pytest.approx(roc_auc_score(failed, score))
    w = chapter.logistic(X, failed)
    theirs = LogisticRegression(C=100.0, tol=1e-10).fit(X, failed)
    np.testing.assert_allclose(w, [theirs.intercept_[0], *theirs.coef_[0]], atol=1e-3)


def test_the_condition_is_that_of_the_linearisation_on_the_support() -> None:
    chapter = functions()
    d = chapter.draw("sigmoid", [0], "condition", 5)
    f, B = chapter.model("sigmoid", 0)
    found = chapter.condition(d, Synthesis(f, B))
    for i in range(5):
        S = d.z[0, i].nonzero()[:, 0]
        slope = d.x[0, i] * (1 - d.x[0, i])
        singular = torch.linalg.svdvals(d.A[0, i] @ (slope[:, None] * B[:, S]))
        assert float(found[0, i]) == pytest.approx(float(singular[0] / singular[-1]), rel=1e-6)


def test_the_steepness_of_a_point_is_zero_exactly_where_lasso_is_solved() -> None:
    chapter = functions(fixed=0.8)
    # f the identity, A = B = I: the minimiser is the soft threshold of y at half the weight (1 - .8)/.8.
    y = torch.tensor([[1.0, -0.5, 0.05]])
    d = Data(None, None, torch.eye(3).expand(1, 3, 3), y)
    G = Synthesis(torch.nn.Identity(), torch.eye(3))
    solved = soft_threshold(y, 0.125)
    assert float(chapter.steepness(G, d, solved)) == pytest.approx(0, abs=1e-12)
    assert float(chapter.steepness(G, d, solved + 0.01)) > 0.01


def test_the_slope_of_each_seed_is_least_squares() -> None:
    rng = np.random.default_rng(1)
    at, values = rng.normal(size=(2, 6, 4))
    expected = [np.polyfit(at[:, s], values[:, s], 1)[0] for s in range(4)]
    np.testing.assert_allclose(functions().slope(at, values), expected)


def test_every_seed_lays_out_what_was_measured() -> None:
    chapter = functions(seeds=[0, 1, 2])

    def measured(replicates: list[int], a: int, b: int) -> dict[str, np.ndarray]:
        return {"sum": np.array([10 * a + b + 0.1 * s for s in replicates])}

    found = chapter.every_seed(measured, "test", a=(1, 2), b=(3, 4, 5))["sum"]
    assert found.shape == (2, 3, 3)
    assert found[1, 2, 1] == pytest.approx(25.1)


def test_no_claim_of_the_chapter_is_left_out() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    # A record may stand before the run that measures it: its verdict says so.
    ours = [
        claim.id
        for claim in read(ROOT).claims.values()
        if claim.chapter == NOTEBOOK.stem and claim.accepted["verdict"] != "not run"
    ]
    assert len(ours) >= 16
    assert all(f'\\"{claim}\\"' in text for claim in ours)
