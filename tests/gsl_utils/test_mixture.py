"""The Gaussian mixture: conditional means by three other ways, limits, units, the fit, and every refusal."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gsl_utils import mixture
from gsl_utils.datasets import load
from gsl_utils.linear_estimates import affine_lmmse
from gsl_utils.metrics import psnr_db
from gsl_utils.mixture import GaussianMixture, fit_mixture
from gsl_utils.sensing import gaussian_matrix, measure

D = torch.float64


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=D):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


def some_mixture(count=3, n=4, seed=0):
    weights = torch.rand(count, generator=source(seed), dtype=D) + 0.1
    roots = normal(count, n, n, seed=seed + 1)
    return GaussianMixture(weights / weights.sum(), 2 * normal(count, n, seed=seed + 2), roots @ roots.mT)


def by_hand(prior, A, y, noise_std):
    """One signal: scipy's densities, and the conditionals of jointly normal vectors."""
    A, y = A.numpy(), y.numpy()
    logs, means = [], []
    parameters = (part.numpy() for part in (prior.weights, prior.means, prior.covariances))
    for w, mu, C in zip(*parameters, strict=True):
        S = A @ C @ A.T + noise_std**2 * np.eye(len(A))
        logs.append(np.log(w) + stats.multivariate_normal(A @ mu, S).logpdf(y))
        means.append(mu + C @ A.T @ np.linalg.solve(S, y - A @ mu))
    share = np.exp(np.array(logs) - np.max(logs))
    return torch.from_numpy(share @ np.array(means) / share.sum())


@settings(max_examples=30)
@given(
    st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.sampled_from([0.1, 1.0]), st.integers(0, 99)
)
def test_it_is_what_conditionals_of_normal_vectors_say(count, n, m, noise_std, seed):
    prior, A, y = (
        some_mixture(count, n, seed),
        normal(m, n, seed=seed + 3),
        3 * normal(2, 3, m, seed=seed + 4),
    )
    found = prior.conditional_mean(A, y, noise_std)
    assert found.shape == (2, 3, n)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(
                found[i, j], by_hand(prior, A, y[i, j], noise_std), rtol=1e-7, atol=1e-7
            )


def test_it_is_the_mean_of_draws_weighted_by_their_likelihood():
    prior, A, noise_std = some_mixture(), normal(2, 4, seed=5), 0.7
    x = prior.sample(400_000, source(6))
    y = torch.tensor([1.0, -2.0], dtype=D)
    share = (-(y - x @ A.T).square().sum(-1) / (2 * noise_std**2)).softmax(0).unsqueeze(-1)
    mean = (share * x).sum(0)
    error = (share * (x - mean)).square().sum(0) ** 0.5
    assert (error < 0.05).all()
    assert ((mean - prior.conditional_mean(A, y, noise_std)).abs() < 5 * error).all()


def test_one_component_is_the_linear_estimate_of_its_images():
    images, A = normal(200, 6) @ normal(6, 6, seed=1) + 3, normal(4, 6, seed=2)
    prior = fit_mixture(images, 1, source(), ridge=0.0)
    x = normal(5, 6, seed=3)
    found = prior.conditional_mean(A, x @ A.T)
    torch.testing.assert_close(found, affine_lmmse(images @ A.T, images, x @ A.T), rtol=1e-8, atol=1e-8)


def test_with_noise_one_component_is_the_wiener_filter():
    C, A = some_mixture(1).covariances, normal(3, 4, seed=2)
    prior = GaussianMixture(torch.ones(1, dtype=D), torch.zeros(1, 4, dtype=D), C)
    y = normal(5, 3, seed=3)
    wiener = C[0] @ A.T @ torch.linalg.inv(A @ C[0] @ A.T + 0.25 * torch.eye(3, dtype=D))
    torch.testing.assert_close(prior.conditional_mean(A, y, 0.5), y @ wiener.T)


def test_no_noise_is_the_limit_of_little():
    prior, A, y = some_mixture(), normal(2, 4, seed=5), normal(7, 2, seed=6)
    exact = prior.conditional_mean(A, y)
    torch.testing.assert_close(exact @ A.T, y)
    torch.testing.assert_close(exact, prior.conditional_mean(A, y, 1e-6), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(exact, prior.conditional_mean(A, y, 0.1), rtol=1e-3)


def test_all_measurements_give_the_signal():
    prior, x = some_mixture(), normal(5, 4, seed=6)
    for m in (4, 9):
        A = normal(m, 4, seed=7)
        torch.testing.assert_close(prior.conditional_mean(A, x @ A.T), x, rtol=1e-7, atol=1e-7)


def test_a_measurement_made_twice_says_nothing_new():
    prior, A, y = some_mixture(), normal(2, 4, seed=5), normal(7, 2, seed=6)
    twice, once = prior.conditional_mean(A.repeat(2, 1), y.repeat(1, 2)), prior.conditional_mean(A, y)
    torch.testing.assert_close(twice, once, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(
        prior.conditional_mean(A.repeat(2, 1), y.repeat(1, 2), 2**0.5), prior.conditional_mean(A, y, 1.0)
    )


def test_without_noise_components_that_do_not_explain_y_are_out():
    """Two lines and a point in the plane: what lies on one line is from there, whatever the weights."""
    lines = torch.tensor(
        [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1e4]], [[0.0, 0.0], [0.0, 0.0]]], dtype=D
    )
    prior = GaussianMixture(torch.tensor([0.01, 0.98, 0.01], dtype=D), torch.zeros(3, 2, dtype=D), lines)
    eye = torch.eye(2, dtype=D)
    y = torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 0.0]], dtype=D)
    torch.testing.assert_close(prior.conditional_mean(eye, y), y)
    # Along the diagonal either line explains what is seen; the first is denser there.
    seen = prior.conditional_mean(torch.ones(1, 2, dtype=D), torch.tensor([[1.0]], dtype=D))
    first, second = (w * np.exp(-1 / (2 * v)) / v**0.5 for w, v in ((0.01, 1.0), (0.98, 1e4)))
    torch.testing.assert_close(seen[0, 0], torch.tensor(first / (first + second), dtype=D))


def test_far_from_all_components_the_nearest_counts():
    """Every density there is zero in float64: only their logarithms tell them apart."""
    eye = torch.eye(2, dtype=D)
    prior = GaussianMixture(torch.tensor([0.5, 0.5], dtype=D), 1e3 * eye, torch.stack([eye, eye]))
    y = torch.tensor([[1e3, 100.0], [100.0, 1e3], [1e9, 0.0]], dtype=D)
    found = prior.conditional_mean(eye, y, 1.0)
    nearest = 1e3 * eye[[0, 1, 0]]
    torch.testing.assert_close(found, (nearest + y) / 2)


def test_what_has_no_weight_does_not_count():
    whole = some_mixture()
    weights = torch.tensor([0.4, 0.0, 0.6], dtype=D)
    prior = GaussianMixture(weights, whole.means, whole.covariances)
    less = GaussianMixture(weights[::2], whole.means[::2], whole.covariances[::2])
    A, y, x = normal(2, 4, seed=5), normal(7, 2, seed=6), normal(7, 4, seed=7)
    torch.testing.assert_close(prior.conditional_mean(A, y, 0.1), less.conditional_mean(A, y, 0.1))
    torch.testing.assert_close(prior.log_prob(x), less.log_prob(x))
    torch.testing.assert_close(prior.sample(50, source(1)), less.sample(50, source(1)))


@pytest.mark.parametrize("factor", [2.0**-300, 1e-60, 1e-3, 7.0, 1e60, 2.0**300])
@pytest.mark.parametrize("noise_std", [0.0, 0.3])
def test_units_change_nothing(factor, noise_std):
    prior, A, y = some_mixture(), normal(2, 4, seed=5), normal(7, 2, seed=6)
    other = GaussianMixture(prior.weights, factor * prior.means, factor**2 * prior.covariances)
    expected = prior.conditional_mean(A, y, noise_std)
    # Of signals, of measurements, and of both.
    for ours, table, seen in ((other, A, factor), (prior, factor * A, factor), (other, A / factor, 1.0)):
        found = ours.conditional_mean(table, seen * y, seen * noise_std) / (factor if ours is other else 1)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    x = normal(5, 4, seed=7)
    torch.testing.assert_close(other.log_prob(factor * x), prior.log_prob(x) - 4 * np.log(factor))
    torch.testing.assert_close(other.sample(5, source(1)) / factor, prior.sample(5, source(1)))


def test_signals_do_not_leak_and_may_have_matrices_of_their_own(monkeypatch):
    prior, A, y = some_mixture(), normal(3, 2, 4, seed=5), normal(5, 3, 2, seed=6)
    noise = torch.rand(5, 3, generator=source(7), dtype=D)
    found = prior.conditional_mean(A, y, noise)
    assert found.shape == (5, 3, 4)
    shared = prior.conditional_mean(A[0], y, noise)
    for i in range(5):
        for j in range(3):
            alone = prior.conditional_mean(A[j], y[i, j], float(noise[i, j]))
            torch.testing.assert_close(found[i, j], alone)
            torch.testing.assert_close(shared[i, j], prior.conditional_mean(A[0], y[i, j], noise[i, j]))
    monkeypatch.setattr(mixture, "ENTRIES", 1)
    torch.testing.assert_close(prior.conditional_mean(A, y, noise), found)
    torch.testing.assert_close(prior.conditional_mean(A[0], y, noise), shared)


def test_float32_is_rounded_at_the_end_only():
    prior, A, y = some_mixture(), normal(2, 4, seed=5), normal(7, 2, seed=6)
    single = some_mixture().float()
    for noise_std in (0.0, 0.3):
        found = single.conditional_mean(A.float(), y.float(), noise_std)
        assert found.dtype == torch.float32
        torch.testing.assert_close(
            found.double(), prior.conditional_mean(A, y, noise_std), rtol=1e-4, atol=1e-5
        )
    x = normal(5, 4, seed=7)
    torch.testing.assert_close(single.log_prob(x.float()).double(), prior.log_prob(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        single.sample(5, source(1)).double(), prior.sample(5, source(1)), rtol=1e-4, atol=1e-4
    )


def test_the_density_is_scipys():
    prior, x = some_mixture(), normal(2, 5, 4, seed=7)
    density = sum(
        w * stats.multivariate_normal(mu, C).pdf(x.numpy())
        for w, mu, C in zip(
            prior.weights.tolist(), prior.means.numpy(), prior.covariances.numpy(), strict=True
        )
    )
    torch.testing.assert_close(prior.log_prob(x), torch.from_numpy(np.log(density)))


def test_draws_have_the_mixtures_moments():
    prior = some_mixture()
    x = prior.sample(200_000, source(3))
    mean = prior.weights @ prior.means
    second = torch.einsum(
        "k,kij->ij", prior.weights, prior.covariances + prior.means.unsqueeze(-1) * prior.means.unsqueeze(-2)
    )
    spread = (second - mean.outer(mean)).diagonal() ** 0.5
    assert ((x.mean(0) - mean).abs() < 5 * spread / 200_000**0.5).all()
    torch.testing.assert_close(x.T @ x / 200_000, second, rtol=0.03, atol=0.1)


def test_a_singular_covariance_is_sampled_and_has_no_density():
    line = torch.tensor([[[1.0, 2.0], [2.0, 4.0]]], dtype=D)
    prior = GaussianMixture(torch.ones(1, dtype=D), torch.zeros(1, 2, dtype=D), line)
    x = prior.sample(100, source())
    torch.testing.assert_close(x[:, 1], 2 * x[:, 0])
    with pytest.raises(ValueError, match="covariances has a singular one"):
        GaussianMixture(torch.ones(1, dtype=D), torch.zeros(1, 2, dtype=D), 0 * line).log_prob(x)


def test_results_carry_no_graph_and_the_state_is_numbers():
    prior, A, y = some_mixture(), normal(2, 4, seed=5).requires_grad_(), normal(7, 2, seed=6)
    assert not prior.conditional_mean(A, y, 0.1).requires_grad
    assert not prior.log_prob(normal(2, 4).requires_grad_()).requires_grad
    assert sorted(prior.state_dict()) == ["covariances", "means", "weights"]
    assert not list(prior.parameters())


def planted(seed=0):
    """Three clusters with one odd direction each."""
    which = torch.arange(900) % 3
    x = 0.2 * normal(900, 5, seed=seed) + 4 * torch.eye(5, dtype=D)[which]
    x[torch.arange(900), which + 1] += 2 * normal(900, seed=seed + 1)
    return x, which


def test_the_fit_finds_planted_clusters():
    x, which = planted()
    prior = fit_mixture(x, 3, source(1), iterations=20)
    order = prior.means[:, :3].argmax(0)
    for c, place in enumerate(order.tolist()):
        part = x[which == c]
        assert float(prior.weights[place]) == pytest.approx(1 / 3, abs=0.01)
        torch.testing.assert_close(prior.means[place], part.mean(0), rtol=0, atol=0.1)
        torch.testing.assert_close(prior.covariances[place], part.T.cov(), rtol=0.1, atol=0.1)


def test_more_iterations_raise_the_likelihood():
    x, _ = planted(3)
    few, many = (
        fit_mixture(x, 6, source(1), iterations=steps, ridge=1e-3).log_prob(x).mean() for steps in (1, 30)
    )
    assert many > few


def test_one_component_has_the_images_moments():
    x, _ = planted()
    prior = fit_mixture(x, 1, source(), ridge=0.01)
    torch.testing.assert_close(prior.means[0], x.mean(0))
    centred = x - x.mean(0)
    ridge = 0.01 * centred.square().mean() * torch.eye(5, dtype=D)
    torch.testing.assert_close(prior.covariances[0], centred.T @ centred / 900 + ridge)


def test_the_fit_is_that_of_its_source_and_leaves_the_global_ones_alone():
    x, _ = planted()
    ours, numpys = torch.get_rng_state(), np.random.mtrand._rand.get_state()[1].copy()
    first, same = (fit_mixture(x, 4, source(1)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), ours)
    assert (np.random.mtrand._rand.get_state()[1] == numpys).all()
    assert torch.equal(first.covariances, same.covariances)
    assert not torch.equal(first.covariances, fit_mixture(x, 4, source(2)).covariances)


@pytest.mark.parametrize("factor", [1e-100, 0.6, 7.0, 1e100])
@pytest.mark.parametrize("ridge", [5e-4, 1.0])
def test_images_may_have_any_unit(factor, ridge):
    x = normal(300, 5) + torch.arange(300).remainder(3).unsqueeze(-1)
    plain, other = (fit_mixture(images, 3, source(1), ridge=ridge) for images in (x, factor * x))
    torch.testing.assert_close(other.weights, plain.weights)
    torch.testing.assert_close(other.means / factor, plain.means)
    torch.testing.assert_close(other.covariances / factor**2, plain.covariances)


def test_fewer_images_than_directions_or_components_that_meet():
    x = torch.cat([torch.zeros(5, 40, dtype=D), torch.ones(4, 40, dtype=D)])
    prior = fit_mixture(x, 3, source())
    assert torch.isfinite(prior.conditional_mean(torch.eye(40, dtype=D)[:3], x[:, :3], 0.1)).all()
    assert fit_mixture(x.float(), 2, source()).means.dtype == torch.float32


def test_digits_are_recovered_better_than_by_the_best_affine_map():
    train, test = load("digits")[0], load("digits", "test")[0]
    A = gaussian_matrix(12, 64, generator=source(1))
    noise = 0.1 / 12**0.5
    y, y_train = (measure(A, x, noise_std=noise, generator=source(2)) for x in (test, train))
    prior = fit_mixture(train, 20, source(3))
    found = prior.conditional_mean(A, y, noise).clamp(0, 1)
    linear = affine_lmmse(y_train, train, y).clamp(0, 1)
    assert psnr_db(test, found).mean() > psnr_db(test, linear).mean() + 1


@pytest.mark.mnist
def test_mnist_is_recovered_as_well_as_by_the_best_priors():
    train, test = (
        load("mnist", n=3000, dtype=torch.float32)[0],
        load("mnist", "test", 100, dtype=torch.float32)[0],
    )
    prior = fit_mixture(train, 10, source(3))
    A = gaussian_matrix(100, 784, generator=source(1), dtype=torch.float32)
    y = measure(A, test, noise_std=0.01, generator=source(2))
    assert psnr_db(test, prior.conditional_mean(A, y, 0.01).clamp(0, 1)).mean() > 20.5


def test_only_the_fit_needs_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    prior = some_mixture()
    assert prior.conditional_mean(normal(2, 4), normal(2)).shape == (4,)
    with pytest.raises(ImportError, match="fit_mixture needs scikit-learn"):
        fit_mixture(planted()[0], 3, source())


ONE, MEAN, EYE = torch.ones(1, dtype=D), torch.zeros(1, 2, dtype=D), torch.eye(2, dtype=D).unsqueeze(0)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (([1.0], MEAN, EYE), TypeError, "weights is a list"),
        ((ONE, MEAN.float(), EYE), TypeError, "weights has dtype torch.float64 and means has torch.float32"),
        ((ONE, MEAN[0], EYE), ValueError, r"shapes \[\(1,\), \(2,\), \(1, 2, 2\)\]; they must be \(K,\)"),
        ((ONE, MEAN, EYE[:, :1]), ValueError, "they must be"),
        ((ONE.repeat(2) / 2, MEAN, EYE), ValueError, "they must be"),
        ((ONE / 2, MEAN, EYE), ValueError, "weights has the smallest entry 0.5 and the sum 0.5"),
        ((ONE, MEAN, -EYE), ValueError, "covariances must be symmetric"),
        (
            (ONE, MEAN, EYE.triu() + torch.ones(1, 2, 2, dtype=D).triu(1)),
            ValueError,
            "covariances must be symm",
        ),
        ((ONE, MEAN, EYE * torch.nan), ValueError, "covariances holds NaN"),
    ],
)
def test_bad_parameters_are_named(given, error, message):
    with pytest.raises(error, match=message):
        GaussianMixture(*given)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"A": normal(2, 3)}, ValueError, r"A has shape \(2, 3\); it must have n = 4 columns"),
        ({"y": normal(3)}, ValueError, r"the last dimension of y must be m = 2"),
        ({"y": normal(2).float()}, TypeError, "y has dtype torch.float32 and A has torch.float64"),
        ({"A": normal(2, 4).float(), "y": normal(2).float()}, TypeError, "the mixture has torch.float64"),
        ({"y": torch.full((2,), torch.nan, dtype=D)}, ValueError, "y holds NaN"),
        ({"A": torch.full((2, 4), torch.inf, dtype=D)}, ValueError, "A holds NaN or infinite"),
        ({"noise_std": -1.0}, ValueError, "noise_std is -1; it must be at least 0"),
        ({"noise_std": normal(3).abs()}, ValueError, r"noise_std has shape \(3,\)"),
        (
            {"y": torch.full((2,), 1e200, dtype=D)},
            ValueError,
            "y's squared distance from a component is too large",
        ),
    ],
)
def test_bad_measurements_are_named(change, error, message):
    arguments = {"A": normal(2, 4), "y": normal(2), "noise_std": 0.1} | change
    with pytest.raises(error, match=message):
        some_mixture().conditional_mean(**arguments)


def test_a_table_with_a_negative_eigenvalue_is_no_covariance():
    table = torch.tensor([[[1.0, 2.0], [2.0, 1.0]]], dtype=D)
    prior = GaussianMixture(ONE, MEAN, table)
    for call in (lambda: prior.conditional_mean(EYE[0], MEAN), lambda: prior.sample(1, source())):
        with pytest.raises(ValueError, match=r"an eigenvalue that is -0\.33 of its largest"):
            call()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"images": normal(5)}, ValueError, r"images has shape \(5,\); it must be \(N, n\)"),
        ({"images": [[1.0]]}, TypeError, "images is a list"),
        ({"images": torch.full((5, 2), torch.nan)}, ValueError, "images holds NaN"),
        ({"images": torch.ones(5, 2)}, ValueError, "images are all the same"),
        ({"images": 1e200 * normal(20, 3)}, ValueError, "a variance is too large for torch.float64"),
        ({"components": 0}, ValueError, "components is 0; it must be between 1 and 20, the number of images"),
        ({"components": 21}, ValueError, "components is 21"),
        ({"iterations": 0}, ValueError, "iterations is 0"),
        ({"directions": 0}, ValueError, "directions is 0"),
        ({"ridge": -1.0}, ValueError, "ridge is -1"),
        ({"generator": 3}, TypeError, "generator is a int"),
    ],
)
def test_bad_fits_are_named(change, error, message):
    arguments = {"images": normal(20, 3), "components": 2, "generator": source()} | change
    with pytest.raises(error, match=message):
        fit_mixture(**arguments)


def test_bad_draws_and_points_are_named():
    with pytest.raises(ValueError, match="count is 0"):
        some_mixture().sample(0)
    with pytest.raises(TypeError, match="generator is a int"):
        some_mixture().sample(1, 3)
    with pytest.raises(ValueError, match=r"x has shape \(3,\); its last dimension must be 4"):
        some_mixture().log_prob(normal(3))
