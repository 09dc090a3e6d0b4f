"""How non-linear a map is: against closed forms, second methods, theorems, and at the edges."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from gsl_utils.nonlinearity import jacobian_variation, linear_cka, linear_r2, nnlm
from toys import ByHand

D = torch.float64


def normal(*shape, seed=0, dtype=D):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def moments(f):
    """Mean, first Hermite coefficient and energy of f(u), u standard normal, by quadrature."""
    density = mpmath.npdf
    integrals = [
        mpmath.quad(lambda t, g=g: g(t) * density(t), [-12, -4, 0, 4, 12])
        for g in (f, lambda t: t * f(t), lambda t: f(t) ** 2)
    ]
    return [float(value) for value in integrals]


def closed_forms(f):
    """NNLM of f(u): affine and linear over the energy, affine over the variance."""
    mean, slope, energy = moments(f)
    affine = energy - mean**2 - slope**2
    return affine / energy, 1 - slope**2 / energy, affine / (energy - mean**2)


MAPS = {
    "exp": (torch.exp, mpmath.exp),
    "sigmoid": (torch.sigmoid, lambda t: 1 / (1 + mpmath.exp(-t))),
    "sine": (lambda u: torch.sin(2 * u), lambda t: mpmath.sin(2 * t)),
}


def test_the_closed_forms_of_the_book():
    affine, linear, _ = closed_forms(mpmath.exp)
    assert affine == pytest.approx(1 - 2 / math.e)
    assert linear == pytest.approx(1 - 1 / math.e)
    affine, linear, _ = closed_forms(MAPS["sigmoid"][1])
    assert affine == pytest.approx(0.00234, abs=5e-6)
    assert linear == pytest.approx(0.8545, abs=5e-4)
    *_, sine = closed_forms(MAPS["sine"][1])
    assert sine == pytest.approx(1 - 4 / math.sinh(4))


@pytest.mark.parametrize("name", MAPS)
def test_nnlm_against_quadrature(name):
    f, same = MAPS[name]
    u = normal(200_000, 1)
    affine, linear, variance = closed_forms(same)
    assert nnlm(u, f(u)) == pytest.approx(affine, abs=0.01)
    assert nnlm(u, f(u), estimator="linear") == pytest.approx(linear, abs=0.01)
    assert nnlm(u, f(u), normalise="variance") == pytest.approx(variance, abs=0.01)


@pytest.mark.parametrize("name", MAPS)
def test_jacobian_variation_against_quadrature(name):
    f, same = MAPS[name]
    slope, _, energy = moments(lambda t: mpmath.diff(same, t))
    assert jacobian_variation(f, normal(200_000, 1)) == pytest.approx(1 - slope**2 / energy, abs=0.02)


@pytest.mark.parametrize("estimator", ["affine", "linear"])
def test_an_in_sample_fit_of_another_library_leaves_what_the_leverages_say(estimator):
    u, x = normal(60, 4), normal(60, 3, seed=1)
    affine = estimator == "affine"
    fit = LinearRegression(fit_intercept=affine).fit(u.numpy(), x.numpy())
    residual = x.numpy() - fit.predict(u.numpy())
    design = np.hstack([np.ones((60, int(affine))), u.numpy()])
    leverage = np.diag(design @ np.linalg.pinv(design))
    expected = (residual**2).sum(axis=1) / (1 - leverage)
    assert nnlm(u, x, estimator=estimator) == pytest.approx(expected.mean() / x.square().sum(1).mean())


def test_the_estimate_multiplies_fitted_and_left_out_residuals():
    u, x = normal(20, 3), normal(20, 2, seed=1)
    total = 0.0
    everything = LinearRegression().fit(u.numpy(), x.numpy())
    for i in range(20):
        others = [j for j in range(20) if j != i]
        without = LinearRegression().fit(u[others].numpy(), x[others].numpy())
        pair = [x[i].numpy() - fit.predict(u[i : i + 1].numpy())[0] for fit in (everything, without)]
        total += float(pair[0] @ pair[1])
    assert nnlm(u, x) == pytest.approx(total / 20 / float(x.square().sum(1).mean()))


def warped(u):
    return u + 0.5 * u.roll(1, dims=1) ** 2 + torch.exp(0.5 * u)


LAWS = {
    "dense": lambda seed, count, p: normal(count, p, seed=seed),
    # Energies that vary from sample to sample, as those of sparse latent vectors do.
    "sparse": lambda seed, count, p: (
        normal(count, p, seed=seed) * (0.4 + 1.2 * (normal(count, 1, seed=seed + 10**6) > 0))
    ),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("estimator", ["affine", "linear"])
def test_the_bias_at_ten_samples_a_dimension_is_below_5_percent(law, estimator):
    p, repetitions = 20, 300
    u = LAWS[law](1, 200_000, p)
    truth = nnlm(u, warped(u), estimator=estimator)
    draws = [LAWS[law](2 + s, 10 * p, p) for s in range(repetitions)]
    found = np.array([nnlm(u, warped(u), estimator=estimator) for u in draws])
    error = found.std() / math.sqrt(repetitions)
    assert error < 0.01 * truth
    assert abs(found.mean() - truth) < 0.03 * truth + 3 * error


def test_noise_of_no_relation_is_estimated_without_any_bias():
    # Three samples more than unknowns: an uncorrected fit would leave a seventh of the noise.
    found = [nnlm(normal(21, 17, seed=s), normal(21, 40, seed=s + 10**6)) for s in range(400)]
    mean, error = np.mean(found), np.std(found) / 20
    assert error < 0.02
    assert abs(mean - 1) < 4 * error


@given(st.integers(0, 10**6), st.sampled_from(["affine", "linear"]))
@settings(max_examples=25, deadline=None)
def test_nnlm_knows_no_basis_of_u_no_rotation_and_no_scale_of_x(seed, estimator):
    u, x = normal(40, 4, seed=seed), normal(40, 3, seed=seed + 1)
    mix, shift = normal(4, 4, seed=seed + 2), normal(4, seed=seed + 3)
    turn = torch.linalg.qr(normal(3, 3, seed=seed + 4))[0]
    moved = u @ mix + (shift if estimator == "affine" else 0)
    again = nnlm(moved, -3 * x @ turn, estimator=estimator)
    assert again == pytest.approx(nnlm(u, x, estimator=estimator), rel=1e-6)


def test_affine_maps_leave_nothing_and_permuted_pairs_everything():
    u = normal(400, 10)
    x = u @ normal(10, 7, seed=1) + normal(7, seed=2)
    assert nnlm(u, x) < 1e-24
    assert nnlm(u, x, estimator="linear") > 0.01
    assert nnlm(u, u @ normal(10, 7, seed=1), estimator="linear") < 1e-24
    assert nnlm(u, x[torch.randperm(400, generator=torch.Generator().manual_seed(3))]) > 0.5
    assert nnlm(u.float(), x.float()) < 1e-10


def test_a_large_mean_costs_no_digits():
    u, x = normal(200, 3), normal(200, 2, seed=1).exp()
    shifted = nnlm(u + 1e6, x + 1e6, normalise="variance")
    assert shifted == pytest.approx(nnlm(u, x, normalise="variance"), rel=1e-6)


def test_r2_is_the_mean_over_entries_and_its_weighted_mean_the_rest_of_nnlm():
    u = normal(300, 4)
    x = torch.cat([torch.exp(u[:, :2]), 30 * u[:, 2:], torch.sin(3 * u[:, :1])], dim=1)
    each = torch.tensor([linear_r2(u, x[:, j : j + 1]) for j in range(5)], dtype=D)
    assert linear_r2(u, x) == pytest.approx(float(each.mean()))
    weight = x.var(dim=0) / x.var(dim=0).sum()
    assert nnlm(u, x, normalise="variance") == pytest.approx(1 - float(weight @ each))
    assert linear_r2(u, x * torch.tensor([1.0, 2, 3, 4, 5], dtype=D)) == pytest.approx(linear_r2(u, x))


def test_cka_against_its_definition_over_four_different_samples():
    u, x = normal(7, 2), normal(7, 3, seed=1)

    def energy(a, b):
        total, count = 0.0, 0
        for i in range(7):
            for j in range(7):
                for k in range(7):
                    for m in range(7):
                        if len({i, j, k, m}) == 4:
                            # E <a1 - a3, a2 - a4> <b1 - b3, b2 - b4> / 4 with independent samples.
                            first = (a[i] - a[k]) @ (a[j] - a[m])
                            total += float(first * ((b[i] - b[k]) @ (b[j] - b[m]))) / 4
                            count += 1
        return total / count

    expected = energy(u, x) / math.sqrt(energy(u, u) * energy(x, x))
    assert linear_cka(u, x) == pytest.approx(expected)


def test_cka_of_a_linear_map_is_a_matter_of_its_singular_values():
    u, scales = normal(60_000, 5), torch.tensor([1.0, 2, 3, 4, 10], dtype=D)
    x = u * scales @ torch.linalg.qr(normal(5, 5, seed=1))[0]
    expected = scales.square().sum() / (math.sqrt(5) * scales.pow(4).sum().sqrt())
    assert nnlm(u, x) < 1e-24
    assert linear_cka(u, x) == pytest.approx(float(expected), abs=0.01)
    assert linear_cka(u, x[:, :1] @ normal(1, 3)) == pytest.approx(1 / math.sqrt(5), abs=0.01)


def test_cka_of_an_entrywise_map_is_r2_and_that_of_noise_is_0():
    u = normal(40_000, 4)
    assert linear_cka(u, torch.sin(2 * u)) == pytest.approx(linear_r2(u, torch.sin(2 * u)), abs=0.01)
    independent = [linear_cka(normal(60, 6, seed=s), normal(60, 6, seed=s + 999)) for s in range(200)]
    assert abs(np.mean(independent)) < 0.01


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_cka_knows_no_rotation_no_shift_and_no_scale(seed):
    u, x = normal(30, 4, seed=seed), normal(30, 3, seed=seed + 1).exp()
    turn = torch.linalg.qr(normal(4, 4, seed=seed + 2))[0]
    assert linear_cka(3 * u @ turn + 1, 7 - x) == pytest.approx(linear_cka(u, x), rel=1e-6)
    assert linear_cka(x, u) == pytest.approx(linear_cka(u, x))


def network(seed, p=4, n=5, hidden=16, gain=2.0):
    first, second = normal(p, hidden, seed=seed) * gain / math.sqrt(p), normal(hidden, n, seed=seed + 1)
    return lambda u: torch.tanh(u @ first + 0.5) @ second


@pytest.mark.parametrize(("p", "n"), [(3, 7), (7, 3), (4, 4)])
def test_jacobian_variation_against_all_the_jacobians(p, n):
    G, u = network(5, p, n), normal(50, p)
    J = torch.stack([torch.autograd.functional.jacobian(G, one[None])[0, :, 0] for one in u])
    spread = J.var(dim=0).sum()
    assert jacobian_variation(G, u) == pytest.approx(float(spread / J.square().sum((1, 2)).mean()))


@pytest.mark.parametrize(("p", "n"), [(3, 7), (7, 3)])
def test_jacobian_variation_in_blocks_is_the_same(p, n, monkeypatch):
    G, u = network(5, p, n), normal(50, p)
    whole = jacobian_variation(G, u)
    monkeypatch.setattr("gsl_utils.nonlinearity.variation._BLOCK", 7 * 7 * 3)
    assert jacobian_variation(G, u) == pytest.approx(whole)


@pytest.mark.parametrize(("p", "n"), [(6, 9), (9, 6)])
def test_few_directions_give_the_same_on_average(p, n):
    G, u = network(3, p, n), normal(200, p)
    source = torch.Generator().manual_seed(0)
    few = [jacobian_variation(G, u, directions=2, generator=source) for _ in range(60)]
    assert np.mean(few) == pytest.approx(jacobian_variation(G, u), rel=0.05)
    assert jacobian_variation(G, u, directions=6, generator=source) == pytest.approx(jacobian_variation(G, u))


def test_a_generator_without_forward_mode_is_differentiated_otherwise():
    u = normal(40, 3)
    assert jacobian_variation(ByHand.apply, u) == pytest.approx(jacobian_variation(torch.tanh, u))


def test_affine_maps_do_not_vary():
    W = normal(6, 4)
    assert jacobian_variation(lambda u: 1e3 * (u @ W + 1), normal(100, 6)) < 1e-25
    assert jacobian_variation(lambda u: u @ W.float(), normal(100, 6).float()) < 1e-10


@pytest.mark.parametrize("seed", range(12))
def test_poincare_with_its_sharper_constant(seed):
    G, u = network(seed, gain=0.3 + 0.4 * seed), normal(20_000, 4, seed=seed)
    share = nnlm(u, G(u), normalise="variance")
    variation = jacobian_variation(G, u)
    assert variation > share
    assert variation > 2 * share / (1 + share) - 0.01


def test_poincare_is_an_equality_for_quadratic_maps_only():
    u = normal(400_000, 2)
    bent = [lambda u: 2 * u + u.flip(1) ** 2, lambda u: 2 * u + u.flip(1) ** 3]
    odds = []
    for G in bent:
        share, variation = nnlm(u, G(u), normalise="variance"), jacobian_variation(G, u)
        odds.append((variation / (1 - variation)) / (share / (1 - share)))
    assert odds[0] == pytest.approx(2, abs=0.05)
    # Hermite degrees 3 and 1: the part that is not affine has degree 3 alone.
    assert odds[1] == pytest.approx(3, abs=0.2)


# Units

MEASURES = {
    "nnlm": nnlm,
    "nnlm linear": lambda u, x: nnlm(u, x, estimator="linear"),
    "nnlm variance": lambda u, x: nnlm(u, x, normalise="variance"),
    "r2": linear_r2,
    "cka": linear_cka,
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize(("dtype", "most"), [(D, 1010), (torch.float32, 115)])
def test_units_of_powers_of_two_change_no_bit(name, dtype, most):
    u = normal(60, 3).to(dtype)
    x = torch.exp(u[:, :2]) + u[:, 1:]
    for first in (-most, 0, most):
        for second in (-most, 0, most):
            assert MEASURES[name](2.0**first * u, 2.0**second * x) == MEASURES[name](u, x)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize(
    ("dtype", "unit"), [(D, 1e-140), (D, 1e140), (torch.float32, 1e-15), (torch.float32, 1e15)]
)
def test_units_of_powers_of_ten_change_rounding_only(name, dtype, unit):
    u = normal(60, 3).to(dtype)
    x = torch.exp(u[:, :2]) + u[:, 1:]
    tight = {D: 1e-10, torch.float32: 1e-4}[dtype]
    assert MEASURES[name](unit * u, unit * x) == pytest.approx(MEASURES[name](u, x), rel=tight)


def test_the_entries_of_u_may_have_units_of_their_own_and_those_of_x_for_r2():
    u, factor = normal(60, 3), torch.tensor([1e-200, 1.0, 1e200], dtype=D)
    x = torch.exp(u)
    assert nnlm(factor * u, x) == pytest.approx(nnlm(u, x), rel=1e-10)
    assert linear_r2(factor * u, factor.flip(0) * x) == pytest.approx(linear_r2(u, x), rel=1e-10)


@pytest.mark.parametrize(("p", "n"), [(3, 7), (7, 3)])
@pytest.mark.parametrize(("dtype", "most"), [(D, 900), (torch.float32, 90)])
def test_the_variation_knows_no_unit_of_signals(p, n, dtype, most, monkeypatch):
    weights = [weight.to(dtype) for weight in (0.3 * normal(p, 16, seed=5), normal(16, n, seed=6))]
    u = normal(50, p).to(dtype)
    # In blocks, whose derivatives grow and shrink.
    u = u * torch.linspace(0.1, 2, 50, dtype=dtype).roll(20).unsqueeze(-1)
    monkeypatch.setattr("gsl_utils.nonlinearity.variation._BLOCK", 7 * 7 * 3)
    whole = jacobian_variation(lambda u: torch.sinh(u @ weights[0]) @ weights[1], u)
    for power in (-most, most):
        unit = 2.0**power
        assert jacobian_variation(lambda u: torch.sinh(u @ weights[0]) @ (weights[1] * unit), u) == whole  # noqa: B023


def test_the_variation_of_derivatives_that_grow_beyond_all_others():
    # From 0 over 1e-300 to 1e300, in blocks of one sample: the largest is nearly all there is.
    u = torch.tensor([[-800.0], [-690.0], [0.0], [690.0]], dtype=D)
    assert jacobian_variation(torch.exp, u) == pytest.approx(1)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("gsl_utils.nonlinearity.variation._BLOCK", 1)
        assert jacobian_variation(torch.exp, u) == pytest.approx(1)
        assert jacobian_variation(lambda u: 1e-300 * u, u) == 0


def test_the_weights_of_a_module_get_no_gradients_and_give_no_warnings():
    G = torch.nn.Linear(3, 4, dtype=D)
    assert jacobian_variation(G, U) < 1e-25
    assert jacobian_variation(torch.nn.Linear(3, 2, dtype=D), U.clone().requires_grad_()) < 1e-25
    assert G.weight.grad is None
    assert nnlm(U.clone().requires_grad_(), G(U)) < 1e-25


U, X = normal(30, 3), normal(30, 2, seed=1)


@pytest.mark.parametrize("measure", [nnlm, linear_r2, linear_cka])
@pytest.mark.parametrize(
    ("u", "x", "error", "said"),
    [
        ([1.0], X, TypeError, "u is a list"),
        (U, X.int(), TypeError, "x has dtype"),
        (U, X.float(), TypeError, "they must be the same"),
        (U[0], X, ValueError, r"u has shape \(3,\); it must be \(N, p\)"),
        (U, X[None], ValueError, r"x has shape \(1, 30, 2\); it must be \(N, n\)"),
        (U[:9], X, ValueError, "u has 9 rows and x has 30"),
        (U * math.nan, X, ValueError, "u holds NaN"),
        (U.half(), X.half(), TypeError, "u has dtype torch.float16; it must be torch.float32 or"),
        (U, X.to_sparse(), TypeError, "x is a sparse_coo tensor; it must be dense"),
        (U.to("meta"), X, TypeError, "u is on the device meta"),
        (U[:0], X[:0], ValueError, r"u is empty: its shape is \(0, 3\)"),
        (U[:3], X[:3], ValueError, "u has 3 samples.*at least"),
        (U, torch.ones_like(X), ValueError, "x (is|has the) constant"),
    ],
)
def test_bad_pairs_are_refused(measure, u, x, error, said):
    options = {"normalise": "variance"} if measure is nnlm else {}
    with pytest.raises(error, match=said):
        measure(u, x, **options)


@pytest.mark.parametrize(
    ("u", "x", "options", "said"),
    [
        (U, X, {"estimator": "best"}, "estimator is 'best'; it must be one of 'affine', 'linear'"),
        (U, X, {"normalise": "mean"}, "normalise is 'mean'; it must be one of"),
        (U, X, {"estimator": "linear", "normalise": "variance"}, "not bounded by the variance; it must be"),
        (U[:4], X[:4], {}, "u has 4 samples of 3 entries; there must be at least 5, better 30"),
        (U[:3], X[:3], {"estimator": "linear"}, "must be at least 4"),
        (U[:, [0, 1, 0]], X, {}, "u has 3 columns, of which 2 are linearly independent of a constant"),
        (torch.cat([U, 0 * U[:, :1] + 0.1], 1), X, {}, "u has 4 columns, of which 3 are"),
        (0 * U, X, {"estimator": "linear"}, "u has 3 columns, of which 0 are linearly independent;"),
        (torch.cat([U, torch.eye(30, dtype=D)[:, 7:8]], 1), X, {}, "sample, number 7, that is alone"),
        (U, 0 * X, {}, "x is zero in all of its samples; it must"),
    ],
)
def test_what_nnlm_refuses(u, x, options, said):
    with pytest.raises(ValueError, match=said):
        nnlm(u, x, **options)


def test_a_constant_column_is_no_intercept_but_serves_the_linear_estimator():
    ones = torch.ones(30, 1, dtype=D)
    design = torch.cat([U, ones], dim=1)
    assert nnlm(design, X, estimator="linear") == pytest.approx(nnlm(U, X))


def test_r2_names_the_constant_entry():
    with pytest.raises(ValueError, match="x has the constant entry 1; it must vary"):
        linear_r2(U, torch.stack([X[:, 0], torch.full((30,), 1 / 3, dtype=D)], dim=1))


@pytest.mark.parametrize(
    ("G", "u", "options", "error", "said"),
    [
        (3, U, {}, TypeError, "G is a int; it must be callable"),
        (torch.sin, [1.0], {}, TypeError, "u is a list"),
        (torch.sin, U[0], {}, ValueError, r"u has shape \(3,\); it must be \(N, p\)"),
        (torch.sin, U[:1], {}, ValueError, "at least 2 samples"),
        (lambda u: u.sum(), U, {}, ValueError, r"G gives \(\) for u of shape \(2, 3\)"),
        (lambda u: (u, u), U, {}, ValueError, "G gives tuple"),
        (lambda u: u.float(), U, {}, TypeError, "they must be the same"),
        (lambda u: u.half(), U, {}, TypeError, r"G\(u\) has dtype torch.float16; it must be"),
        (lambda u: u * math.nan, U, {}, ValueError, r"G\(u\) holds NaN"),
        (
            lambda u: torch.where(u > 1, math.nan, 1.0) * u,
            U.sort(0).values,
            {},
            ValueError,
            "derivative that is NaN",
        ),
        (torch.nn.BatchNorm1d(3, dtype=D), U, {}, ValueError, r"in training mode, .*: call G\.eval\(\)"),
        (
            torch.nn.Linear(3, 3),
            U,
            {},
            TypeError,
            "G's parameter weight has dtype torch.float32 on cpu; it must have u's",
        ),
        (torch.sin, U.bfloat16(), {}, TypeError, "u has dtype torch.bfloat16"),
        (lambda u: u - u.mean(0), U, {}, ValueError, "its rows must not see each other"),
        (lambda u: 0 * u, U, {}, ValueError, "G has a derivative of zero"),
        (torch.sin, U, {"directions": 4}, ValueError, "directions is 4; it must be between 1 and 3"),
        (torch.sin, U, {"directions": 1.5}, TypeError, "directions is 1.5"),
        (torch.sin, U, {"generator": 3}, TypeError, "generator is a int"),
    ],
)
def test_what_jacobian_variation_refuses(G, u, options, error, said):
    with pytest.raises(error, match=said):
        jacobian_variation(G, u, **options)
