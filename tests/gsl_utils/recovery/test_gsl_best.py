"""The search among supports: its parts against brute force, the whole against the truth, and refusals."""

import math
from itertools import combinations

import pytest
import torch

from gsl_utils.generators import Exponential, RealNVP, Sigmoid
from gsl_utils.recovery import exhaustive_support, gsl_best, gsl_l1, support_oracle
from gsl_utils.recovery.gsl.best import _search
from gsl_utils.recovery.gsl.pursuit import (
    Criterion,
    Found,
    _gains,
    _without_least,
    eliminate,
    largest,
    pursue,
)
from gsl_utils.recovery.gsl.supports import SparseModel
from gsl_utils.recovery.problem import Given

N, P, M, K = 30, 30, 20, 3


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


def latents(count, k=K, p=P, seed=3):
    support = torch.rand(count, p, generator=source(seed)).argsort(-1)[:, :k]
    signs = torch.randint(0, 2, (count, k), generator=source(seed + 1)).double() * 2 - 1
    return torch.zeros(count, p, dtype=torch.float64).scatter(1, support, signs)


identity = torch.nn.Identity()
B, A, Z = normal(N, P, seed=1) / N**0.5, normal(M, N, seed=2) / M**0.5, latents(12)
GENERATORS = {
    "sigmoid": (Sigmoid(), 4 * B),
    "exponential": (Exponential(), B),
    "flow": (RealNVP(N, 4, hidden=16, generator=source(4)).requires_grad_(False), B),
}


def measured(f, table, z=Z, noise=1e-3):
    x = f(z @ table.mT)
    return x @ A.mT + noise * normal(len(z), M, seed=5)


@pytest.mark.parametrize("name", GENERATORS)
def test_it_finds_the_support_and_what_the_oracle_finds_on_it(name):
    f, table = GENERATORS[name]
    y = measured(f, table)
    found = gsl_best(f, table, A, y, generator=source())
    known = support_oracle(f, table, A, y, Z != 0)
    exact = ((found.z != 0) == (Z != 0)).all(-1)
    assert exact.sum() >= 11
    torch.testing.assert_close(found.z[exact], known.z[exact], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.objective, (y - found.x @ A.mT).square().sum(-1))
    torch.testing.assert_close(found.x, f(found.z @ table.mT))
    assert found.converged.all()
    assert (found.n_iter >= 600).all()


@pytest.mark.parametrize(
    "options", [{"sparsity": K}, {"noise_std": 1e-3}, {"noise_std": 1e-3, "sparsity": K}]
)
def test_what_is_known_is_used(options):
    f, table = GENERATORS["exponential"]
    found = gsl_best(f, table, A, measured(f, table), **options)
    assert ((found.z != 0) == (Z != 0)).all(-1).sum() >= 11
    half = gsl_best(f, table, A, measured(f, table), sparsity=1)
    assert ((half.z != 0).sum(-1) == 1).all()


def test_nothing_is_found_where_there_is_nothing():
    y = measured(Sigmoid(), B, z=torch.zeros(3, P, dtype=torch.float64), noise=0.0)
    assert not gsl_best(Sigmoid(), B, A, y).z.any()
    zero = gsl_best(identity, B, A, torch.zeros(2, M, dtype=torch.float64))
    assert not zero.z.any()
    noise = normal(20, M, seed=9)
    for options in ({"noise_std": 1.0}, {"without": ("rescue",)}):
        assert (gsl_best(identity, B, A, noise, **options).z != 0).any(-1).sum() <= 4


def test_without_noise_it_is_exact():
    f, table = GENERATORS["exponential"]
    found = gsl_best(f, table, A, measured(f, table, noise=0.0))
    exact = ((found.z != 0) == (Z != 0)).all(-1)
    assert exact.sum() >= 11
    torch.testing.assert_close(found.z[exact], Z[exact], rtol=0, atol=1e-6)


def test_signals_do_not_leak_and_may_have_matrices_of_their_own():
    f, table = GENERATORS["exponential"]
    y = measured(f, table)
    together = gsl_best(f, table, A, y, without=("rescue",))
    for i in range(3):
        alone = gsl_best(f, table, A, y[i], without=("rescue",))
        torch.testing.assert_close(together.z[i], alone.z, rtol=1e-6, atol=1e-6)
    own = gsl_best(f, table, A.expand(12, M, N).contiguous(), y, without=("rescue",))
    torch.testing.assert_close(own.z, together.z, rtol=1e-6, atol=1e-6)


def test_the_weight_of_a_descent_is_the_signals_own():
    """Also where a louder signal is beside it; the search that follows would mend a wrong one."""
    f, table = GENERATORS["exponential"]
    y = measured(f, table)[:3]
    y[1] *= 5

    def descent(y):
        model = SparseModel.of(f, table, Given.of(f, A, y, table))
        criterion = Criterion(M, P, torch.zeros(len(y), dtype=torch.float64))
        zero = torch.zeros(len(y), P, dtype=torch.float64)
        return _search(model, criterion, zero, ((0.01,), 20, 0.1, 3), {"continuation"}).descent

    torch.testing.assert_close(descent(y)[:1], descent(y[:1]), rtol=1e-9, atol=1e-12)


def test_signals_unlike_their_descents_are_rescued_or_given_up():
    f = RealNVP(N, 4, hidden=16, gain=3.0, generator=source(4)).requires_grad_(False)
    z = latents(10, k=6)
    y = measured(f, B, z=z)
    before = gsl_best(f, B, A, y, without=("rescue",))
    state = torch.get_rng_state()
    after = gsl_best(f, B, A, y, generator=source())
    assert torch.equal(torch.get_rng_state(), state)
    tried, given_up = after.n_iter > 600, (after.z != 0).all(-1)
    assert 0 < tried.sum() < 10
    torch.testing.assert_close(after.z[~tried], before.z[~tried], rtol=1e-6, atol=1e-6)
    assert tried[given_up].all()
    assert not after.converged[given_up].any()
    assert (after.objective[tried] < before.objective[tried]).all()
    truth = f(z @ B.mT)
    errors = [(found.x - truth).square().sum() for found in (before, after)]
    assert errors[1] < errors[0]


def test_each_stage_may_be_left_out():
    f, table = GENERATORS["sigmoid"]
    y = measured(f, table)
    published = gsl_l1(f, table, A, y, steps=600)
    for stage in ("continuation", "elimination", "pursuit"):
        found = gsl_best(f, table, A, y, without=(stage, "rescue"))
        assert found.z.shape == (12, P)
        assert (found.objective < (y - published.x @ A.mT).square().sum(-1)).sum() >= 6


def test_the_answer_has_the_dtype_of_the_measurements():
    y = measured(Exponential(), B).float()
    found = gsl_best(Exponential(), B.float(), A.float(), y)
    assert {found.x.dtype, found.z.dtype, found.objective.dtype} == {torch.float32}
    assert ((found.z != 0) == (Z != 0)).all(-1).sum() >= 11


@pytest.mark.parametrize("known", [False, True])
def test_the_criterion_is_the_documented_one(known):
    energy = torch.tensor([2.0, 3.0], dtype=torch.float64)
    size = torch.tensor([0, 4])
    std = torch.full((2,), 0.5, dtype=torch.float64) if known else None
    found = Criterion(20, 30, torch.zeros(2, dtype=torch.float64), None, std)(energy, size)
    for i, (e, s) in enumerate([(2.0, 0), (3.0, 4)]):
        price = s * math.log(20) + 3 * math.log(math.comb(30, s))
        expected = e / 0.25 + price if known else 20 * math.log(e) + price * 20 / (20 - s - 1)
        assert float(found[i]) == pytest.approx(expected, rel=1e-12)


def linear_model():
    y = measured(identity, B)
    return SparseModel.of(identity, B, Given.of(identity, A, y, B))


def residual(y, columns):
    return float(
        (y - columns @ torch.linalg.lstsq(columns, y.unsqueeze(-1)).solution.squeeze(-1)).square().sum()
    )


def test_for_a_linear_generator_the_entry_that_is_missed_least_goes_and_the_rest_is_least_squares():
    model, C = linear_model(), A @ B
    support = largest(normal(12, P, seed=7), 6)
    support[0] = largest(normal(1, P, seed=8), 4)[0]  # padded
    z = torch.zeros(12, P, dtype=torch.float64)
    for i in range(12):
        z[i, support[i]] = torch.linalg.lstsq(C[:, support[i]], model.y[i].unsqueeze(-1)).solution.squeeze(-1)
    after, left = _without_least(model, z, support, True)
    for i in range(12):
        within = support[i].nonzero().flatten().tolist()
        without = {j: residual(model.y[i], C[:, [k for k in within if k != j]]) for j in within}
        best = min(without, key=without.get)
        assert left[i].nonzero().flatten().tolist() == [k for k in within if k != best]
        assert float((model.y[i] - C @ after[i]).square().sum()) == pytest.approx(without[best], rel=1e-6)
    _, smallest = _without_least(model, z, support, False)
    magnitudes = torch.where(support, z.abs(), torch.inf)
    assert torch.equal(support & ~smallest, torch.zeros_like(support).scatter(
        1, magnitudes.argmin(-1, keepdim=True), True
    ))  # fmt: skip


def test_for_a_linear_generator_gains_are_what_least_squares_gains():
    model, C = linear_model(), A @ B
    support = largest(normal(12, P, seed=7), 4)
    z = torch.zeros(12, P, dtype=torch.float64)
    for i in range(12):
        z[i, support[i]] = torch.linalg.lstsq(C[:, support[i]], model.y[i].unsqueeze(-1)).solution.squeeze(-1)
    gains = _gains(model, z, support)
    for i in range(2):
        within = support[i].nonzero().flatten().tolist()
        for j in set(range(P)) - set(within):
            gain = residual(model.y[i], C[:, within]) - residual(model.y[i], C[:, [*within, j]])
            assert float(gains[i, j]) == pytest.approx(gain, rel=1e-6, abs=1e-9)
    assert (gains[support] < 0).all()


def test_pursuit_mends_a_support_and_keeps_a_good_one():
    f, table = GENERATORS["exponential"]
    model = SparseModel.of(f, table, Given.of(f, A, measured(f, table), table))
    criterion = Criterion(M, P, torch.zeros(12, dtype=torch.float64))
    wrong = Z.clone()
    wrong[:, :2] = 0
    wrong[wrong.any(-1).nonzero().squeeze(-1), 5] = 0.1
    start = eliminate(model, criterion, wrong, wrong != 0, 0)
    mended = pursue(model, criterion, start, 4)
    assert ((mended.z != 0) == (Z != 0)).all(-1).sum() >= 11
    again = pursue(model, criterion, mended, 4)
    assert (again.score <= mended.score).all()
    perfect = Found(Z, torch.full((12,), -torch.inf, dtype=torch.float64))
    assert torch.equal(pursue(model, criterion, perfect, 4).z, Z)


@pytest.mark.parametrize("own", [False, True])
def test_every_support_is_tried(own):
    z = latents(2, k=2, p=8)
    C = A @ B[:, :8]
    y = z @ C.mT + 0.3 * normal(2, M, seed=6)
    table = A.expand(2, M, N).contiguous() if own else A
    found = exhaustive_support(identity, B[:, :8], table, y, 2)
    for i in range(2):
        least = min(residual(y[i], C[:, list(pair)]) for pair in combinations(range(8), 2))
        assert float(found.objective[i]) == pytest.approx(least)
        assert (found.z[i] != 0).sum() == 2


def test_the_search_finds_the_best_support_of_all():
    f, table = GENERATORS["sigmoid"]
    y = measured(f, table, z=latents(4, k=2))
    best = exhaustive_support(f, table, A, y, 2)
    found = gsl_best(f, table, A, y, sparsity=2)
    torch.testing.assert_close(found.objective, best.objective, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sparsity": 0}, ValueError, "sparsity is 0; it must be between 1 and 20, the smaller of m and p"),
        ({"sparsity": 21}, ValueError, "sparsity is 21; it must be between 1 and 20"),
        ({"sparsity": 2.0}, TypeError, "sparsity is 2.0; it must be an integer"),
        ({"noise_std": 0.0}, ValueError, "noise_std is 0; it must be above 0"),
        ({"generator": 3}, TypeError, "generator is a int"),
        (
            {"sparsity": 2, "noise_std": 0.1, "without": ("rescue",)},
            ValueError,
            "noise_std is given beside sparsity and without the rescue",
        ),
        ({"without": "pursuit"}, TypeError, "without is 'pursuit'; it must be a sequence of stages"),
        ({"without": ("sleep",)}, ValueError, "without is 'sleep'; it must be one of 'continuation'"),
        ({"y": torch.ones(3, dtype=torch.float64)}, ValueError, r"y has shape \(3,\)"),
        ({"y": torch.ones(M)}, TypeError, "y has dtype torch.float32 and A has torch.float64"),
    ],
)
def test_bad_input_is_named(change, error, message):
    given = {"y": measured(identity, B)} | change
    with pytest.raises(error, match=message):
        gsl_best(identity, B, A, given.pop("y"), **given)


@pytest.mark.parametrize(
    ("sparsity", "message"),
    [(0, "sparsity is 0; it must be between 1 and 30"), (10, "sparsity is 10; there are 30045015 supports")],
)
def test_too_many_supports_are_refused(sparsity, message):
    with pytest.raises(ValueError, match=message):
        exhaustive_support(identity, B, A, measured(identity, B), sparsity)
