"""What recover minimises, against closed forms and other libraries; published methods as choices of parts."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from sklearn.linear_model import Lasso, Ridge

from gsl_utils.recovery import L1, L2, HardSparsity, recover
from gsl_utils.sparse import iht, lasso


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def identity(z):
    return z


W = normal(12, 4, seed=5)


def curved(z):
    return torch.tanh(z @ W.T) + 0.1 * z @ W.T


def zeros(n):
    return torch.zeros(n, dtype=torch.float64)


A = normal(30, 20) / 30**0.5
X = torch.cat([normal(6, 4, seed=1), torch.zeros(6, 16).double()], dim=1)
Y = X @ A.T + 0.01 * normal(6, 30, seed=2)


# The table of objectives: recover is the sum of the data term and the penalty, and the others follow from it.


@pytest.mark.parametrize("loss", ["linear", "amplitude"])
@pytest.mark.parametrize(
    ("penalty", "value"),
    [
        (None, lambda z: 0),
        (L1(0.3), lambda z: 0.3 * z.abs().sum(-1)),
        (L2(0.3), lambda z: 0.3 * z.square().sum(-1)),
        (HardSparsity(2), lambda z: 0),
    ],
)
def test_the_objective_is_the_sum_that_is_documented(loss, penalty, value):
    B = normal(7, 12, seed=1)
    y = normal(5, 7, seed=2).abs()
    for method in ("adam", "prox", "gd", "lm"):
        if isinstance(penalty, L1 | HardSparsity) and method in (
            "gd",
            "lm",
            *(["adam"] if value(zeros(1)) == 0 else []),
        ):
            continue
        found = recover(
            curved, B, y, loss=loss, penalty=penalty, method=method, z0=normal(5, 4, seed=3), steps=7
        )
        u = curved(found.z) @ B.T
        u = u.abs() if loss == "amplitude" else u
        torch.testing.assert_close(found.objective, (y - u).square().sum(-1) + value(found.z))
        torch.testing.assert_close(found.x, curved(found.z))


def test_l1_is_the_lasso_at_twice_its_weight():
    """Half the objective is the LASSO's, by the book's own solver and by scikit-learn."""
    lam = 0.02
    found = recover(identity, A, Y, penalty=L1(2 * lam), method="prox", z0=zeros(20), steps=3000, tol=1e-9)
    reference = Lasso(alpha=lam / 30, fit_intercept=False, tol=1e-12, max_iter=100_000)
    np.testing.assert_allclose(found.z, reference.fit(A.numpy(), Y.T.numpy()).coef_, atol=2e-6)
    torch.testing.assert_close(found.objective / 2, lasso(A, Y, lam).objective, rtol=1e-6, atol=0)
    assert found.converged.all()
    assert (found.z == 0).any()


@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
def test_l2_is_ridge_regression(method):
    options = {"lr": 0.05, "schedule": "cosine"} if method == "adam" else {}
    found = recover(identity, A, Y, penalty=L2(0.3), method=method, z0=zeros(20), steps=1000, **options)
    reference = Ridge(alpha=0.3, fit_intercept=False).fit(A.numpy(), Y.T.numpy()).coef_
    np.testing.assert_allclose(found.z, reference, atol=1e-5)
    assert found.converged.all()
    if method == "lm":  # the penalty's curvature is part of its own
        assert found.n_iter.max() <= 5


def test_the_lambda_of_generative_sparse_latents():
    """lambda_1 |y - A f(Bz)|^2 + (1 - lambda_1) |z|_1 is lambda_1 times ours at (1 - lambda_1) / lambda_1."""
    lambda1, steps, rate = 0.9, 25, 0.05
    B = normal(12, 8, seed=6)
    table = normal(7, 12, seed=1)
    y = torch.sigmoid(normal(8, seed=2) @ B.T) @ table.T
    found = recover(
        lambda z: torch.sigmoid(z @ B.T), table, y, penalty=L1((1 - lambda1) / lambda1), z0=zeros(8), lr=rate,
        steps=steps,
    )  # fmt: skip
    z = zeros(8).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=rate)

    def objective():
        data = (y - table @ torch.sigmoid(B @ z)).square().sum()
        return lambda1 * data + (1 - lambda1) * z.abs().sum()

    for _ in range(steps):
        optimiser.zero_grad()
        objective().backward()
        optimiser.step()
    # Adam does not see the factor, but for the small number that keeps it from dividing by zero.
    torch.testing.assert_close(found.z, z.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(lambda1 * found.objective, objective().detach(), rtol=1e-6, atol=0)


def test_the_rate_of_hand_and_voroninski_is_twice_ours():
    """Their loss is half of ours."""
    weights = [normal(10, 3, seed=1) / 10**0.5, normal(30, 10, seed=2) / 30**0.5]

    def network(z):
        for weight in weights:
            z = (z @ weight.T).relu()
        return z

    table, truth, z0, eta = normal(20, 30, seed=3) / 20**0.5, normal(3, seed=4), normal(3, seed=5), 0.2
    y = network(truth) @ table.T
    z = z0.clone()
    for _ in range(10):
        # Their algorithm: the lower of the two signs, then a step along the gradient of their loss.
        if (network(-z) @ table.T - y).norm() < (network(z) @ table.T - y).norm():
            z = -z
        z.requires_grad_()
        (slope,) = torch.autograd.grad((network(z) @ table.T - y).square().sum() / 2, z)
        z = z.detach() - eta * slope
    found = recover(network, table, y, method="gd", lr=eta / 2, flip=True, z0=z0, steps=10)
    torch.testing.assert_close(found.z, z)


def test_sparse_deviations_are_a_weight_per_coordinate():
    """|y - A(G(z) + v)|^2 + l1 |v|_1: the penalty sees v only."""
    table = normal(9, 12, seed=1) / 3
    deviation = torch.zeros(12, dtype=torch.float64)
    deviation[5] = 2.0
    truth = normal(4, seed=2)
    y = (curved(truth) + deviation) @ table.T
    weight = torch.cat([zeros(4), torch.full((12,), 0.05, dtype=torch.float64)])
    found = recover(
        lambda z: curved(z[..., :4]) + z[..., 4:], table, y, penalty=L1(weight), method="prox", steps=2000,
        z0=torch.cat([truth + 0.1, zeros(12)]),
    )  # fmt: skip
    z, v = found.z[:4], found.z[4:]
    torch.testing.assert_close(
        found.objective, ((curved(z) + v) @ table.T - y).square().sum() + 0.05 * v.abs().sum()
    )
    assert (z != 0).all()
    assert int(v.abs().argmax()) == 5
    assert (v == 0).sum() >= 8


# Other methods that must agree.


def test_hard_sparsity_finds_what_iht_finds():
    table = normal(19, 20) / 19**0.5
    x = torch.zeros(5, 20, dtype=torch.float64)
    x[:, [2, 11]] = normal(5, 2, seed=1).sign() + 0.3
    found = recover(identity, table, x @ table.T, penalty=HardSparsity(2), method="prox", z0=zeros(20))
    assert ((found.z != 0).sum(-1) <= 2).all()
    assert found.converged.all()
    torch.testing.assert_close(found.z, iht(table, x @ table.T, 2).z, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.z, x, atol=1e-4, rtol=0)


def test_levenberg_marquardt_agrees_with_scipy():
    table = normal(8, 12, seed=3) / 8**0.5
    y = curved(normal(5, 4, seed=4)) @ table.T + 0.05 * normal(5, 8, seed=6)
    z0 = 0.1 * normal(4, seed=7)
    found = recover(curved, table, y, method="lm", z0=z0)
    assert found.converged.all()
    for signal, z in zip(y, found.z, strict=True):

        def residual(z, signal=signal):
            return (curved(torch.as_tensor(z)) @ table.T - signal).numpy()

        reference = least_squares(residual, z0.numpy(), method="lm", xtol=1e-12, ftol=1e-14)
        torch.testing.assert_close(z, torch.from_numpy(reference.x), atol=1e-4, rtol=0)


def test_few_gauss_newton_steps_do_where_adam_takes_hundreds():
    table, truth = normal(10, 12, seed=3) / 10**0.5, normal(5, 4, seed=4)
    y = curved(truth) @ table.T
    z0 = truth + 0.1 * normal(5, 4, seed=5)
    quick = recover(curved, table, y, method="lm", z0=z0, steps=8)
    slow = recover(curved, table, y, method="adam", z0=z0, lr=0.05, steps=100)
    torch.testing.assert_close(quick.z, truth, atol=1e-6, rtol=0)
    assert (quick.objective < 1e-6 * slow.objective).all()


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("penalty", [None, L2(0.1), L1(0.1)])
def test_adam_is_torchs_own(schedule, penalty):
    """Each row as torch.optim.Adam with torch's own schedule would move it alone."""
    table, y, z0 = normal(7, 12, seed=1), normal(3, 7, seed=2), normal(3, 4, seed=3)
    found = recover(
        curved,
        table,
        y,
        penalty=penalty,
        z0=z0,
        lr=0.02,
        schedule=schedule,
        steps=30,
        tol=0.0,
    )
    for i in range(3):
        z = z0[i].clone().requires_grad_()
        optimiser = torch.optim.Adam([z], lr=0.02)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 30 if schedule == "cosine" else 10**9)
        for _ in range(30):
            optimiser.zero_grad()
            loss = (table @ curved(z) - y[i]).square().sum()
            (loss + (penalty.value(z) if penalty else 0)).backward()
            optimiser.step()
            rate.step()
        torch.testing.assert_close(found.z[i], z.detach(), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_gradient_descent_is_torchs_own(schedule):
    table, y, z0 = normal(7, 12, seed=1) / 7**0.5, normal(3, 7, seed=2), normal(3, 4, seed=3)
    found = recover(curved, table, y, method="gd", z0=z0, lr=0.01, schedule=schedule, steps=30, tol=0.0)
    z = z0.clone().requires_grad_()
    optimiser = torch.optim.SGD([z], lr=0.01)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 30 if schedule == "cosine" else 10**9)
    for _ in range(30):
        optimiser.zero_grad()
        (curved(z) @ table.T - y).square().sum().backward()
        optimiser.step()
        rate.step()
    torch.testing.assert_close(found.z, z.detach())


def test_amplitudes_lose_one_sign():
    table, truth = normal(25, 12, seed=1), normal(3, 4, seed=2)
    y = (curved(truth) @ table.T).abs()
    keep = {"loss": "amplitude", "method": "lm", "steps": 50}
    found = recover(curved, table, y, z0=truth + 0.02 * normal(3, 4, seed=3), **keep)
    torch.testing.assert_close(found.z, truth, atol=1e-6, rtol=0)
    mirrored = recover(curved, table, y, z0=-truth, **keep)
    assert float(mirrored.objective.max()) < 1e-10
