"""Chapter 1's own functions against second methods: what its pages compute rests on them."""

from __future__ import annotations

import ast
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.special import stdtrit
from sklearn.linear_model import Lasso

from bindery.claims.intervals import by_seed, interval, slope
from bindery.claims.records import read
from bindery.claims.verdicts import Measurement, decide
from gsl_utils import datasets
from gsl_utils.metrics import relative_error
from gsl_utils.sensing import gaussian_matrix
from gsl_utils.sparse import hard_threshold, lasso, omp, soft_threshold, sparse_vectors
from gsl_utils.transition import l1_recovers, l1_statistical_dimension, weak_threshold

ROOT = Path(__file__).parents[2]
LESSON, EVIDENCE = "01_classical_cs", "01_classical_cs_evidence"


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    """Pages compute in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def code(stem: str) -> list[tuple[str, str]]:
    """The code of a notebook's cells, by their ids."""
    cells = json.loads((ROOT / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [(cell["id"], "".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]


def functions(stem: str, **names: object) -> SimpleNamespace:
    """The functions that a notebook defines, with the global names that they use."""
    space = {"torch": torch, "np": np, "math": math, "combinations": itertools.combinations, **names}
    for cell, source in code(stem):
        tree = ast.parse(source)
        tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        for node in tree.body:
            node.args.defaults = [value for value in node.args.defaults if isinstance(value, ast.Constant)]
        exec(compile(tree, cell, "exec"), space)
    return SimpleNamespace(**space)


def stream(name: str, replicate: int = 0) -> torch.Generator:
    """Random numbers for a name, as a page's stream gives them."""
    return torch.Generator().manual_seed(sum(name.encode()) + 1000 * replicate)


PAGE = SimpleNamespace(stream=stream)


def test_psi_and_the_curve_are_the_librarys() -> None:
    lesson = functions(LESSON)
    shares = torch.tensor([0.01, 0.1, 0.3, 0.8])
    ours = torch.tensor([lesson.psi(float(share)) for share in shares])
    torch.testing.assert_close(ours, l1_statistical_dimension(shares), rtol=0, atol=1e-6)
    deltas = torch.tensor([0.1, 0.5, 0.9])
    ours = torch.tensor([lesson.curve(float(delta)) for delta in deltas])
    torch.testing.assert_close(ours, weak_threshold(deltas), rtol=0, atol=1e-5)


def test_psi_of_non_negative_signals_has_half_of_the_tail() -> None:
    # Without a non-zero, and with nothing else to do than to keep below t, it is 0; with all, it is 1.
    lesson = functions(LESSON)
    assert lesson.psi_nonnegative(1.0) == pytest.approx(1.0)
    # At the limit of one half, for t = 0: k/n + (1 - k/n) / 2 bounds it from above.
    assert lesson.psi_nonnegative(0.9) <= 0.95
    assert lesson.psi_nonnegative(0.2) < lesson.psi(0.2)


def test_the_smallest_slope_decides_recovery() -> None:
    lesson, generator = functions(LESSON, linprog=linprog), stream("slope")
    A = torch.randn(15, 30, generator=generator)
    for k in (2, 4, 6, 8):
        x = sparse_vectors((4, 30), k, generator=generator)
        found = [lesson.smallest_slope(A, one) > -1e-6 for one in x]
        assert found == l1_recovers(A, x).tolist()


def test_the_slope_is_that_of_the_norm() -> None:
    lesson, generator = functions(LESSON), stream("norm")
    x = sparse_vectors((20,), 5, values="gaussian", generator=generator)
    h = torch.randn(7, 20, generator=generator)
    step = 1e-7
    quotient = ((x + step * h).abs().sum(-1) - x.abs().sum()) / step
    torch.testing.assert_close(lesson.slope(x, h), quotient, rtol=0, atol=1e-6)


def test_the_lessons_interval_is_the_books() -> None:
    values = np.random.default_rng(0).normal(size=12)
    found = functions(LESSON, stdtrit=stdtrit).interval(values)
    assert found == pytest.approx(tuple(by_seed(values)))


def test_correlated_columns_have_the_differences_of_neighbours_in_their_null_space() -> None:
    generator, corr = stream("mixed"), 0.9
    A = torch.randn(8, 20, generator=generator)
    h = torch.linalg.svd(A).Vh[8:]
    for j in range(1, 20):
        A[:, j] = corr * A[:, j - 1] + math.sqrt(1 - corr * corr) * A[:, j]
    mixed = (h - corr * h.roll(-1, dims=-1)) / math.sqrt(1 - corr * corr)
    mixed[:, -1] = h[:, -1] / math.sqrt(1 - corr * corr)
    mixed[:, 0] = h[:, 0] - corr * h[:, 1] / math.sqrt(1 - corr * corr)
    torch.testing.assert_close(mixed @ A.T, torch.zeros(12, 8), rtol=0, atol=1e-12)


def test_what_correlated_columns_do_to_lasso_is_the_bias_of_its_penalty() -> None:
    lesson = functions(
        LESSON, page=PAGE, gaussian_matrix=gaussian_matrix, sparse_vectors=sparse_vectors, lasso=lasso,
        relative_error=relative_error, omp=omp, l1_recovers=l1_recovers,
    )  # fmt: skip
    by_l1, by_omp, noisy, clean, lighter = lesson.with_correlation(0.99, 0)
    assert by_l1 == 1.0
    assert by_omp < 0.1
    assert noisy > 0.5
    assert clean == pytest.approx(noisy, rel=0.1)
    assert lighter < noisy / 2


def test_some_projected_coordinate_forces_the_root_of_n_over_m() -> None:
    A = torch.randn(5, 40, generator=stream("coordinates"))
    null = torch.linalg.svd(A).Vh[5:]
    h = null.T @ null
    alone = h.diagonal()
    torch.testing.assert_close(alone, h.square().sum(-1))
    rest = (h.square().sum(-1) - alone**2) / h.square().sum(-1)
    torch.testing.assert_close(rest, 1 - alone)
    assert float(rest.min()) <= 5 / 40


def test_no_claim_is_recorded_in_the_lesson_and_all_seven_in_the_evidence() -> None:
    claimed = {
        stem: set(re.findall(r'page\.claim\(\s*"([\w-]+)"', "\n".join(source for _, source in code(stem))))
        for stem in (LESSON, EVIDENCE)
    }
    names = {"recovery", "scaling", "approx", "norms", "noise", "p0", "tight"}
    assert claimed == {LESSON: set(), EVIDENCE: {f"cs-{name}" for name in names}}
    text = (ROOT / "notebooks" / f"{EVIDENCE}.ipynb").read_text(encoding="utf-8")
    assert all(f"(evidence-cs-{name})=" in text for name in names)


@pytest.mark.parametrize(("k", "q"), [(4, 5), (4, 13), (6, 7)])
def test_the_packing_is_large_far_apart_and_white(k: int, q: int) -> None:
    words = functions(EVIDENCE).packing(k, q)
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
    A = torch.randn(20, 5, 8, generator=generator)
    x = torch.zeros(20, 8)
    for i in range(20):
        x[i, torch.randperm(8, generator=generator)[: 1 + i % 3]] = 1.0 + i
    found = functions(EVIDENCE).sparsest(A, (A @ x[..., None])[..., 0], 3)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-8)


def test_the_published_baseline_is_scikit_learns() -> None:
    images, _ = datasets.load("digits", "test", 3)
    generator = torch.Generator().manual_seed(0)
    for m in (10, 30):
        A = torch.randn(m, 64, generator=generator, dtype=torch.float64)
        y = images @ A.T + 0.1 * torch.randn(3, m, generator=generator, dtype=torch.float64)
        theirs = Lasso(alpha=0.1, tol=1e-10, max_iter=100_000).fit(A, y.T).coef_.clip(0, 1)
        ours = functions(EVIDENCE, lasso=lasso).published_lasso(A / m**0.5, y / m**0.5)
        np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-3)


def test_the_extremes_of_the_gap_are_those_of_the_means_with_safe_limits() -> None:
    gaps = np.random.default_rng(0).normal([[0.0], [0.02], [-0.01]], 0.01, size=(3, 12))
    found = functions(EVIDENCE, by_seed=by_seed, interval=interval).extremes(gaps)
    mean, error = gaps.mean(axis=1), gaps.std(axis=1, ddof=1) / math.sqrt(12)
    one, three = (stdtrit(11, 1 - share / 2) for share in (0.01, 0.01 / 3))
    assert tuple(found["lowest"]) == pytest.approx(
        (mean[2], mean[2] - one * error[2], min(mean + three * error))
    )
    assert found["lowest"].n == 12
    assert tuple(found["highest"]) == pytest.approx(
        (mean[1], max(mean - three * error), mean[1] + one * error[1])
    )


def test_forced_constants_of_small_null_spaces() -> None:
    chapter = functions(EVIDENCE)
    h = torch.tensor([4.0, 3.0, 0.0, 2.0, 1.0], dtype=torch.float64)
    assert chapter.forced_l2(h) == pytest.approx(math.sqrt(30 / 5))
    assert chapter.forced_l2(h * 1e-9) == 1.0
    A = torch.eye(4, 5, dtype=torch.float64)
    A[:, 4] = 0.3
    # The null space is spanned by (.3, .3, .3, .3, -1): of its l1 norm 2.2, two entries leave 0.9.
    assert chapter.at_most_l1(A.T @ A) >= 2.2 / 0.9 - 1e-12


def test_counting_forces_rows_by_fanos_inequality() -> None:
    evidence = functions(EVIDENCE, omega=0.1)
    capacity = 0.5 * math.log2(101)
    # With many entries the noise is never too long, and the success that is asked for is 3/4.
    assert evidence.forced_rows(2**20, 10_000) == pytest.approx(14 / capacity)
    assert evidence.forced_rows(2, 10_000) == 0.0
    # With two entries it is too long with the probability that a chi square of 2 exceeds 3.125.
    too_long = math.exp(-3.125 / 2)
    assert evidence.forced_rows(2**20, 2) == pytest.approx(((0.75 - too_long) * 20 - 1) / capacity)


def counted(answer: Callable[[torch.Tensor], torch.Tensor], times: int = 1) -> dict[str, int]:
    """What the evidence counts for cs-tight when every method gives this answer to the signals.

    Each word of the packing is there so many times.
    """
    n, k, signals = 44, 4, 40
    evidence = functions(
        EVIDENCE, page=PAGE, codes=[(k, n // k)], omega=0.1, constant=3.0, sizes_m=[8],
        hard_threshold=hard_threshold, dct_basis=lambda shape: torch.eye(*shape),
    )  # fmt: skip
    names = evidence.tight.__globals__
    words = names["packing"](k, n // k).repeat(times, 1)
    generator = stream("tight 0")
    true = torch.randint(len(words), (signals,), generator=generator)
    x = torch.zeros(signals, n).scatter_(1, words[true], 1 / math.sqrt(k))
    blurred = x + 0.1 / math.sqrt(n) * torch.randn(signals, n, generator=generator)
    names["packing"] = lambda *_: words
    names["methods"] = {"bp": lambda *_: answer(blurred)}
    return evidence.tight(0, 0, signals=signals)


def test_an_answer_that_misses_the_guarantee_is_not_counted() -> None:
    nothing = counted(torch.zeros_like)
    assert nothing == {"bp_8": 0, "met": 0, "exceptions": 0, "beside": 0}


def test_the_word_of_every_answer_that_meets_the_guarantee_is_looked_up() -> None:
    perfect = counted(torch.Tensor.clone)
    assert perfect["bp_8"] == 40
    # Three matrices, and the few signals left out whose noise is too long.
    assert 90 <= perfect["met"] <= 120
    assert perfect["exceptions"] == 0
    # Where a word is there twice, the first is found, and the true one is the second half of the time.
    twice = counted(torch.Tensor.clone, times=2)
    assert 0.25 < twice["exceptions"] / twice["met"] < 0.75


def verdict_of_noise(threshold: Callable[..., torch.Tensor]) -> str:
    """The verdict on cs-noise when the lesson's FISTA uses this threshold."""
    levels = np.logspace(-4, -1, 7)
    lesson = functions(
        LESSON, soft_threshold=threshold, gaussian_matrix=gaussian_matrix, sparse_vectors=sparse_vectors,
        levels=levels, page=PAGE,
    )  # fmt: skip
    slopes = [
        slope(np.log(levels), np.log([lesson.errors_in_noise(m, s) for s in range(4)])) for m in (60, 8)
    ]
    claim = read(ROOT).claims["cs-noise"]
    (name,) = claim.quantities
    main, control = ({name: one} for one in slopes)
    return decide(claim, Measurement(claim.id, main, control, 4, "seed", "quick", 0)).word


def test_a_sign_error_in_the_soft_threshold_turns_the_verdict_on_noise() -> None:
    assert verdict_of_noise(soft_threshold) == "reproduced"
    # Away from zero instead of towards it: control and claim then follow the noise alike.
    assert verdict_of_noise(lambda u, t: u.sign() * (u.abs() + t)) == "void"
    # What comes back with the wrong sign grows without bound, and the page stops at once.
    with pytest.raises(ValueError, match="u holds NaN or infinite entries"):
        verdict_of_noise(lambda u, t: -soft_threshold(u, t))
    assert verdict_of_noise(lambda u, t: soft_threshold(u, t).abs()) == "contradicted"
