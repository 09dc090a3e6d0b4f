"""Recovery of sparse latent vectors: eq. (4) and its competitors against other methods, and every refusal."""

import pytest
import torch

from gsl_utils.generators import Exponential, RealNVP, Sigmoid, Synthesis
from gsl_utils.recovery import L1, L2, gsl_l1, gsl_l2, gsl_rls, recover, support_oracle
from gsl_utils.sparse import lasso


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


N, P, M = 12, 14, 9
B, A = normal(N, P, seed=1) / N**0.5, normal(M, N, seed=2) / M**0.5
Z = torch.zeros(4, P, dtype=torch.float64).scatter_(
    1, torch.rand(4, P, generator=source(3)).argsort(-1)[:, :2], 1.0
)
FLOW = RealNVP(N, 2, hidden=8, generator=source(4)).requires_grad_(False)
GENERATORS = {"sigmoid": Sigmoid(), "exponential": Exponential(), "flow": FLOW}
identity = torch.nn.Identity()


def measured(f, noise=0.01):
    return f(Z @ B.mT) @ A.mT + noise * normal(4, M, seed=5)


def objective(f, z, y, lambda1, power):
    penalty = z.abs().sum() if power == 1 else z.square().sum()
    return lambda1 * (y - A @ f(B @ z)).square().sum() + (1 - lambda1) * penalty


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("power", [1, 2])
def test_it_is_a_plain_loop_with_torchs_own_adam(name, power):
    """From zero, on the published objective; Adam does not see by what that is multiplied."""
    f, y = GENERATORS[name], measured(GENERATORS[name])
    solve = gsl_l1 if power == 1 else gsl_l2
    found = solve(f, B, A, y, lambda1=0.7, steps=30, lr=0.02)
    for i in range(4):
        z = torch.zeros(P, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.Adam([z], lr=0.02)
        for _ in range(30):
            optimiser.zero_grad()
            objective(f, z, y[i], 0.7, power).backward()
            optimiser.step()
        torch.testing.assert_close(found.z[i], z.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found.objective[i], objective(f, found.z[i], y[i], 0.7, power))
        torch.testing.assert_close(found.x[i], f(B @ found.z[i]))
    assert (found.n_iter == 30).all()


@pytest.mark.parametrize("lambda1", [0.3, 0.9])
def test_for_a_linear_generator_it_is_lasso(lambda1):
    y = 5 * measured(identity)
    found = gsl_l1(identity, B, A, y, lambda1=lambda1, method="prox", steps=1200, tol=3e-9)
    lam = (1 - lambda1) / (2 * lambda1)
    known = lasso(A @ B, y, lam, tol=1e-14)
    assert bool(known.x.any())
    difference = (found.z - known.x).norm() / known.x.norm()
    assert difference <= 1e-6
    torch.testing.assert_close(found.objective, 2 * lambda1 * known.objective)
    wrong = lasso(A @ B, y, 2 * lam, tol=1e-14)
    assert (found.z - wrong.x).norm() > 1e-3 * known.x.norm()


@pytest.mark.parametrize("lambda1", [0.1, 0.9])
def test_for_a_linear_generator_the_competitor_is_ridge_regression(lambda1):
    y, C = measured(identity), A @ B
    found = gsl_l2(identity, B, A, y, lambda1=lambda1, method="lm", tol=1e-12)
    normal_equations = lambda1 * C.mT @ C + (1 - lambda1) * torch.eye(P, dtype=torch.float64)
    torch.testing.assert_close(found.z, lambda1 * torch.linalg.solve(normal_equations, C.mT @ y.mT).mT)


def test_without_a_penalty_both_are_the_same_and_explain_everything():
    y = measured(Exponential())
    first, second = (
        solve(Exponential(), B, A, y, lambda1=1.0, method="lm", tol=1e-12) for solve in (gsl_l1, gsl_l2)
    )
    assert torch.equal(first.z, second.z)
    assert (first.objective < 1e-12).all()


def test_the_weight_may_be_one_per_signal_and_a_grid_may_be_a_batch():
    y = measured(Sigmoid())
    grid = torch.tensor([[0.5], [0.9]], dtype=torch.float64)
    every = gsl_l1(Sigmoid(), B, A, y.expand(2, 4, M), lambda1=grid, steps=20)
    assert every.z.shape == (2, 4, P)
    for i, lambda1 in enumerate([0.5, 0.9]):
        one = gsl_l1(Sigmoid(), B, A, y, lambda1=lambda1, steps=20)
        torch.testing.assert_close(every.z[i], one.z)
        torch.testing.assert_close(every.objective[i], one.objective)


def test_the_proximal_method_gives_exact_zeros_and_adam_does_not():
    y = measured(Sigmoid())
    assert (gsl_l1(Sigmoid(), B, A, y, method="prox").z == 0).any(-1).all()
    assert (gsl_l1(Sigmoid(), B, A, y, steps=50).z != 0).all()


def test_gradient_descent_takes_the_rate_that_it_is_given_and_backtracks_without_one():
    y, keep = measured(Sigmoid()), {"method": "gd", "steps": 30}
    G, zero, weight = Synthesis(Sigmoid(), B), torch.zeros(P, dtype=torch.float64), (1 - 0.9) / 0.9
    for options in ({"lr": 0.02}, {"lr": 0.04, "schedule": "cosine"}, {}):
        found = gsl_l2(Sigmoid(), B, A, y, **keep, **options)
        known = recover(G, A, y, penalty=L2(weight), z0=zero, **keep, **options)
        torch.testing.assert_close(found.z, known.z, rtol=1e-9, atol=1e-12)
    rated, other = (gsl_l2(Sigmoid(), B, A, y, lr=lr, **keep).z for lr in (0.02, 0.03))
    assert (rated - other).norm() > 1e-2 * rated.norm()


@pytest.mark.parametrize("solve", [gsl_l1, gsl_l2])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "prox", "lr": 0.1}, "lr is not an option of method 'prox'; it must be one of tol"),
        ({"method": "prox", "lr": 0.05}, "lr is not an option of method 'prox'"),
        ({"method": "lm", "lambda1": 1.0, "lr": 0.1}, "lr is not an option of method 'lm'"),
        ({"method": "prox", "betas": (0.9, 0.9)}, "betas is not an option of method 'prox'"),
        ({"restarts": 5}, r"restarts is 5 and z0 has shape \(14,\), one start of a signal"),
        ({"generator": source()}, "generator is given and z0 is, too"),
        ({"penalty": L1(1.0)}, "penalty is given; it must be left out, as lambda1 is the weight of L"),
        ({"continuation": 5}, "continuation is not an option of method 'adam'"),
    ],
)
def test_options_without_use_are_refused_before_any_work(solve, options, message):
    def called(u):
        raise AssertionError("f was called before the arguments were checked")

    with pytest.raises(ValueError, match=message):
        solve(called, B, A, measured(Sigmoid()), **options)


@pytest.mark.parametrize("name", ["identity", *GENERATORS])
@pytest.mark.parametrize("weighted", [True, False])
def test_regularised_least_squares_solves_its_normal_equations(name, weighted):
    f = GENERATORS.get(name, identity)
    y, latents = measured(f), normal(200, P, seed=6)
    u = latents @ B.mT
    ones = torch.cat([u, torch.ones(200, 1, dtype=torch.float64)], dim=-1)
    table = torch.linalg.lstsq(ones, f(u)).solution
    slope, offset = table[:-1].mT, table[-1]
    share = (
        torch.tensor([0.1, 0.5, 0.9, 1.0], dtype=torch.float64)[:, None]
        if weighted
        else torch.tensor(0.6, dtype=torch.float64)
    )
    found = gsl_rls(f, B, A, y, latents, lambda1=share.squeeze(-1) if weighted else 0.6)
    C, target = A @ slope @ B, y - A @ offset
    gradient = share * (found.z @ C.mT - target) @ C + (1 - share) * found.z
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-10)
    value = share * (target - found.z @ C.mT).square().sum(-1, keepdim=True)
    torch.testing.assert_close(
        found.objective, (value + (1 - share) * found.z.square().sum(-1, keepdim=True)).squeeze(-1)
    )
    torch.testing.assert_close(found.x, f(found.z @ B.mT))


def test_regularised_least_squares_takes_a_matrix_per_signal():
    y, latents = measured(Sigmoid()), normal(50, P, seed=6)
    shared = gsl_rls(Sigmoid(), B, A, y, latents)
    own = gsl_rls(Sigmoid(), B, A.expand(4, M, N).contiguous(), y, latents)
    torch.testing.assert_close(own.z, shared.z)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_oracle_finds_what_the_engine_finds_on_the_support_alone(name):
    """The engine is given the true columns of B, one signal at a time, and no penalty."""
    f, y = GENERATORS[name], measured(GENERATORS[name])
    found = support_oracle(f, B, A, y, Z != 0)
    assert found.converged.all()
    for i in range(4):
        support = (Z[i] != 0).nonzero().squeeze(-1)
        known = gsl_l2(f, B[:, support], A, y[i], lambda1=1.0, method="lm", tol=1e-12)
        torch.testing.assert_close(found.z[i, support], known.z, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(found.objective[i], known.objective)
        assert not found.z[i][Z[i] == 0].any()
    torch.testing.assert_close(found.x, f(found.z @ B.mT))


def test_the_oracle_without_noise_is_exact_and_signals_do_not_leak(monkeypatch):
    y = measured(Exponential(), noise=0.0)
    supports = Z != 0
    supports[0, :5] = True  # of another size than the others
    found = support_oracle(Exponential(), B, A, y, supports)
    torch.testing.assert_close(found.z, Z, rtol=0, atol=1e-7)
    monkeypatch.setattr("gsl_utils.recovery.gsl.oracle._STEPS", 2)
    few = support_oracle(Exponential(), B, A, y, supports)
    for i in range(4):
        alone = support_oracle(Exponential(), B, A, y[i], supports[i])
        torch.testing.assert_close(few.z[i], alone.z, rtol=1e-10, atol=1e-10)


def test_the_oracle_starts_where_it_is_told_and_may_have_an_empty_support():
    y = measured(Sigmoid(), noise=0.0)
    assert (support_oracle(Sigmoid(), B, A, y, Z != 0, z0=Z).n_iter <= 1).all()
    nothing = support_oracle(Sigmoid(), B, A, y, torch.zeros(P, dtype=torch.bool))
    assert not nothing.z.any()
    assert nothing.converged.all()
    torch.testing.assert_close(
        nothing.objective, (y - A @ Sigmoid()(B @ torch.zeros(P, dtype=torch.float64))).square().sum(-1)
    )


def test_a_generator_without_forward_mode_is_differentiated_backward():
    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, u):
            ctx.save_for_backward(u)
            return u.exp()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0].exp()

    y = measured(Exponential())
    expected = support_oracle(Exponential(), B, A, y, Z != 0)
    torch.testing.assert_close(support_oracle(Backward.apply, B, A, y, Z != 0).z, expected.z)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_answer_has_the_dtype_of_the_measurements(dtype):
    b, a, y = B.to(dtype), A.to(dtype), measured(Sigmoid()).to(dtype)
    answers = [
        gsl_l1(Sigmoid(), b, a, y, steps=2),
        gsl_l2(Sigmoid(), b, a, y, steps=2),
        gsl_rls(Sigmoid(), b, a, y, normal(50, P, dtype=dtype)),
        support_oracle(Sigmoid(), b, a, y, Z != 0),
    ]
    for found in answers:
        assert {found.x.dtype, found.z.dtype, found.objective.dtype} == {dtype}
        assert found.x.shape == (4, N)
        assert found.z.shape == (4, P)


@pytest.mark.parametrize("solve", [gsl_l1, gsl_l2, gsl_rls])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"lambda1": 0.0}, ValueError, "lambda1 is 0; it must be above 0"),
        ({"lambda1": 1.5}, ValueError, "lambda1 has the entry 1.5; all of them must be at most 1"),
        ({"lambda1": "much"}, TypeError, "lambda1 is 'much'; it must be a number"),
        ({"B": B[:, :3].float()}, TypeError, "B has torch.float32"),
        ({"B": B[:5]}, ValueError, r"B has shape \(5, 14\); it must have G.latent_dim = 12 rows"),
        ({"G": 3}, TypeError, "G is a int; it must be callable"),
        ({"y": torch.ones(3, dtype=torch.float64)}, ValueError, r"y has shape \(3,\)"),
        ({"y": torch.full((M,), torch.nan, dtype=torch.float64)}, ValueError, "y holds NaN"),
    ],
)
def test_bad_input_is_named(solve, change, error, message):
    given = {"G": FLOW, "B": B, "A": A, "y": measured(FLOW)} | change
    more = (normal(50, P),) if solve is gsl_rls else ()
    options = {key: value for key, value in given.items() if key == "lambda1"}
    with pytest.raises(error, match=message):
        solve(given["G"], given["B"], given["A"], given["y"], *more, **options)


@pytest.mark.parametrize(
    ("latents", "error", "message"),
    [
        (normal(50, 3), ValueError, r"latents has shape \(50, 3\); it must be \(N, 14\)"),
        (normal(50, P).float(), TypeError, "latents has torch.float32"),
        (normal(5, P), ValueError, "u has 5 rows of 12 entries; it must have more rows than entries"),
    ],
)
def test_regularised_least_squares_names_bad_latents(latents, error, message):
    with pytest.raises(error, match=message):
        gsl_rls(Sigmoid(), B, A, measured(Sigmoid()), latents)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"support": Z}, TypeError, "support has dtype torch.float64; it must be a torch.Tensor of booleans"),
        ({"support": [True]}, TypeError, "support is a list; it must be a torch.Tensor of booleans"),
        (
            {"support": torch.ones(3, dtype=torch.bool)},
            ValueError,
            r"support has shape \(3,\); it must broadcast to \(4, 14\)",
        ),
        ({"z0": torch.ones(3, dtype=torch.float64)}, ValueError, r"z0 has shape \(3,\); it must broadcast"),
        (
            {"y": measured(Sigmoid()).half()},
            TypeError,
            "y has dtype torch.float16; it must be torch.float32 or",
        ),
    ],
)
def test_the_oracle_names_bad_input(change, error, message):
    given = {"y": measured(Sigmoid()), "support": Z != 0} | change
    y, support = given.pop("y"), given.pop("support")
    with pytest.raises(error, match=message):
        support_oracle(Sigmoid(), B, A, y, support, **given)
