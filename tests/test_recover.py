"""The engine against closed forms, other libraries and itself: alone and in a batch, through every method."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares
from sklearn.linear_model import Lasso, Ridge

from gsl_utils.generators import VAE
from gsl_utils.recovery import L1, L2, HardSparsity, csgm, recover
from gsl_utils.sparse import iht, lasso

PAIRS = [
    ("gd", None), ("gd", "l2"), ("adam", None), ("adam", "l2"), ("adam", "l1"),
    ("prox", None), ("prox", "l2"), ("prox", "l1"), ("prox", "hard"), ("lm", None), ("lm", "l2"),
]  # fmt: skip
PENALTIES = {None: None, "l1": L1(0.02), "l2": L2(0.02), "hard": HardSparsity(3)}


def identity(z):
    return z


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


W = normal(12, 4, seed=5)


def curved(z):
    """A smooth generator R^4 -> R^12 whose rows do not meet."""
    return torch.tanh(z @ W.T) + 0.1 * z @ W.T


@pytest.fixture
def linear():
    A = normal(30, 20) / 30**0.5
    x = torch.zeros(6, 20, dtype=torch.float64)
    x[:, :4] = normal(6, 4, seed=1)
    return A, x, x @ A.T + 0.01 * normal(6, 30, seed=2)


def start(n):
    return torch.zeros(n, dtype=torch.float64)


def test_prox_with_l1_is_the_lasso(linear):
    A, _, y = linear
    lam = 0.02
    found = recover(identity, A, y, penalty=L1(2 * lam), method="prox", z0=start(20), steps=3000, tol=1e-9)
    reference = Lasso(alpha=lam / 30, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(
        A.numpy(), y.T.numpy()
    )
    np.testing.assert_allclose(found.z, reference.coef_, atol=2e-6)
    torch.testing.assert_close(found.objective / 2, lasso(A, y, lam).objective, rtol=1e-8, atol=0)
    assert found.converged.all()
    assert (found.z == 0).any()


@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
def test_l2_is_ridge_regression(linear, method):
    A, _, y = linear
    options = {"lr": 0.05, "schedule": "cosine"} if method == "adam" else {}
    found = recover(identity, A, y, penalty=L2(0.3), method=method, z0=start(20), steps=3000, **options)
    reference = Ridge(alpha=0.3, fit_intercept=False).fit(A.numpy(), y.T.numpy()).coef_
    np.testing.assert_allclose(found.z, reference, atol=1e-5)
    assert found.converged.all()


def test_hard_sparsity_finds_what_iht_finds():
    A = normal(19, 20) / 19**0.5
    x = torch.zeros(5, 20, dtype=torch.float64)
    x[:, [2, 11]] = normal(5, 2, seed=1).sign() + 0.3
    found = recover(identity, A, x @ A.T, penalty=HardSparsity(2), method="prox", z0=start(20))
    assert ((found.z != 0).sum(-1) <= 2).all()
    torch.testing.assert_close(found.z, iht(A, x @ A.T, 2).z, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.z, x, atol=1e-4, rtol=0)


def test_levenberg_marquardt_agrees_with_scipy():
    A = normal(8, 12, seed=3) / 8**0.5
    y = curved(normal(5, 4, seed=4)) @ A.T + 0.05 * normal(5, 8, seed=6)
    found = recover(curved, A, y, method="lm", z0=0.1 * normal(4, seed=7))
    for i in range(5):

        def residual(z, i=i):
            return (curved(torch.as_tensor(z)) @ A.T - y[i]).numpy()

        reference = least_squares(
            residual, 0.1 * normal(4, seed=7).numpy(), method="lm", xtol=1e-12, ftol=1e-14
        )
        assert float(found.objective[i]) <= 2 * reference.cost + 1e-8
    assert found.converged.all()


@pytest.mark.parametrize(("method", "penalty"), PAIRS)
@pytest.mark.parametrize("own_matrix", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 12])
def test_signals_never_leak(method, penalty, own_matrix, steps):
    A = normal(5, 7, 12, seed=1) if own_matrix else normal(7, 12, seed=1)
    y = (A @ curved(normal(5, 4, seed=2)).unsqueeze(-1)).squeeze(-1)
    z0 = 0.3 * normal(5, 3, 4, seed=3)
    keep = {"penalty": PENALTIES[penalty], "method": method, "steps": steps, "restarts": 3, "flip": True}
    together = recover(curved, A, y, z0=z0, **keep)
    for i in (0, 3):
        alone = recover(curved, A[i] if own_matrix else A, y[i], z0=z0[i], **keep)
        torch.testing.assert_close(alone.z, together.z[i], rtol=1e-10, atol=1e-10)
        assert int(alone.n_iter) == int(together.n_iter[i])


@pytest.mark.parametrize(("method", "penalty"), PAIRS)
def test_steps_are_honoured(method, penalty):
    A, y = normal(7, 12, seed=1), normal(4, 7, seed=2)
    for steps in (1, 5):
        seen = []
        found = recover(
            curved, A, y, penalty=PENALTIES[penalty], method=method, steps=steps, z0=start(4) + 0.1, tol=0.0,
            callback=lambda t, rows, z, seen=seen: seen.append(t),
        )  # fmt: skip
        assert (found.n_iter <= steps).all()
        assert seen == list(range(1, max(seen) + 1))
        assert max(seen) <= steps


@pytest.mark.parametrize("continuation", [0, 4])
def test_steps_are_shared_by_the_stages(continuation, linear):
    A, _, y = linear
    found = recover(
        identity,
        A,
        y,
        penalty=L1(0.01),
        method="adam",
        z0=start(20),
        steps=37,
        continuation=continuation,
        tol=0.0,
    )
    assert (found.n_iter == 37).all()


def test_continuation_ends_at_the_same_optimum(linear):
    A, _, y = linear
    direct, staged = (
        recover(
            identity, A, y, penalty=L1(0.04), method="prox", z0=start(20), steps=4000, continuation=stages
        )
        for stages in (0, 5)
    )
    torch.testing.assert_close(direct.z, staged.z, atol=1e-5, rtol=0)
    assert staged.converged.all()


def test_the_best_restart_is_kept_per_signal():
    A, y = normal(7, 12, seed=1), normal(6, 7, seed=2)
    z0 = normal(6, 5, 4, seed=3)
    best = recover(curved, A, y, method="lm", z0=z0, restarts=5, steps=4)
    each = torch.stack([recover(curved, A, y, method="lm", z0=z0[:, r], steps=4).objective for r in range(5)])
    torch.testing.assert_close(best.objective, each.amin(0))


def test_pruning_keeps_the_best_starts():
    A, y = normal(7, 12, seed=1), normal(6, 7, seed=2)
    z0 = normal(6, 5, 4, seed=3)
    short = torch.stack(
        [recover(curved, A, y, z0=z0[:, r], steps=10, lr=0.05).objective for r in range(5)], dim=1
    )
    chosen = z0[torch.arange(6), short.argmin(1)]
    long = recover(curved, A, y, z0=chosen, steps=100, lr=0.05)
    pruned = recover(curved, A, y, z0=z0, restarts=5, steps=100, lr=0.05, prune=[(10, 1)])
    torch.testing.assert_close(pruned.z, long.z)


def test_flip_takes_the_lower_of_the_two_signs():
    def odd(z):
        return z**3 + z

    y = odd(torch.tensor([[1.0, 2.0]], dtype=torch.float64))
    A = torch.eye(2, dtype=torch.float64)
    z0 = torch.tensor([[-0.9, -2.1]], dtype=torch.float64)
    assert recover(odd, A, y, method="gd", z0=z0, steps=1, flip=True).objective < 1
    assert recover(odd, A, y, method="gd", z0=z0, steps=1).objective > 10


def test_amplitudes_lose_one_sign():
    A = normal(25, 12, seed=1)
    truth = normal(3, 4, seed=2)
    y = (curved(truth) @ A.T).abs()
    found = recover(
        curved, A, y, loss="amplitude", method="lm", z0=truth + 0.02 * normal(3, 4, seed=3), steps=50
    )
    torch.testing.assert_close(found.z, truth, atol=1e-6, rtol=0)
    assert (
        float(recover(curved, A, y, loss="amplitude", method="lm", z0=-truth, steps=50).objective.max())
        < 1e-10
    )


@given(st.floats(1e-3, 1e3))
def test_convergence_has_no_units(scale):
    """Measuring in other units changes neither the iterations nor the verdict of a quadratic problem."""
    A, y = normal(30, 20) / 30**0.5, normal(2, 30, seed=1)
    plain = recover(identity, A, y, method="lm", z0=start(20))
    scaled = recover(identity, A, scale * y, method="lm", z0=start(20))
    assert torch.equal(plain.n_iter, scaled.n_iter)
    assert torch.equal(plain.converged, scaled.converged)


def test_converged_is_honest():
    A, y = normal(7, 12, seed=1), normal(6, 7, seed=2)
    hurried = recover(curved, A, y, z0=start(4) + 0.1, steps=3)
    patient = recover(curved, A, y, z0=start(4) + 0.1, method="lm", steps=100)
    assert not hurried.converged.any()
    assert patient.converged.all()
    z = patient.z.clone().requires_grad_()
    (slope,) = torch.autograd.grad((curved(z) @ A.T - y).square().sum(), z)
    assert slope.abs().max() < 1e-3


def test_weights_are_never_given_gradients_and_state_is_not_shared():
    G = VAE(12, 3, hidden=(8,), generator=source())
    A, y = normal(7, 12, seed=1), normal(4, 7, seed=2)
    before = {name: value.clone() for name, value in G.state_dict().items()}
    csgm(G, A, y, restarts=2, steps=5, generator=source())
    assert all(weight.grad is None and weight.requires_grad for weight in G.parameters())
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())


def test_csgm_is_the_published_recipe():
    """A plain loop with torch's own Adam, one signal and one start at a time, ends at the same points."""
    G = VAE(12, 3, hidden=(8,), generator=source())
    A, y = normal(7, 12, seed=1), normal(3, 7, seed=2)
    z0 = torch.randn(3 * 2, 3, generator=source(9), dtype=torch.float64).reshape(3, 2, 3)
    found = csgm(G, A, y, restarts=2, steps=60, l2=0.1, generator=source(9))
    for i in range(3):
        ends = []
        for r in range(2):
            z = z0[i, r].clone().requires_grad_()
            optimiser = torch.optim.Adam([z], lr=0.01)
            for _ in range(60):
                optimiser.zero_grad()
                ((A @ G(z) - y[i]).square().sum() + 0.1 * z.square().sum()).backward()
                optimiser.step()
            z = z.detach()
            loss = (A @ G(z) - y[i]).square().sum() + 0.1 * z.square().sum()
            ends.append((float(loss.detach()), z))
        objective, z = min(ends, key=lambda end: end[0])
        torch.testing.assert_close(found.z[i], z, rtol=1e-7, atol=1e-9)
        assert float(found.objective[i]) == pytest.approx(objective, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_takes_the_dtype_of_y(dtype):
    G = VAE(12, 3, hidden=(8,), generator=source(), dtype=dtype)
    A, y = normal(7, 12, seed=1, dtype=dtype), normal(2, 4, 7, seed=2, dtype=dtype)
    found = recover(G, A, y, method="lm", generator=source())
    assert found.x.dtype == found.z.dtype == found.objective.dtype == dtype
    assert (found.x.shape, found.z.shape, found.objective.shape) == ((2, 4, 12), (2, 4, 3), (2, 4))


def test_a_weight_per_signal_and_per_coordinate(linear):
    A, _, y = linear
    weight = torch.rand(6, 20, generator=source(4), dtype=torch.float64) * 0.1
    found = recover(identity, A, y, penalty=L1(weight), method="prox", z0=start(20), steps=3000)
    for i in range(6):
        alone = recover(identity, A, y[i], penalty=L1(weight[i]), method="prox", z0=start(20), steps=3000)
        torch.testing.assert_close(found.z[i], alone.z, atol=1e-6, rtol=0)


REFUSALS = [
    ({"method": "newton"}, ValueError, "method is 'newton'"),
    ({"method": "lm", "penalty": L1(0.1)}, ValueError, "penalty is L1; for method 'lm' it must be one"),
    ({"method": "gd", "penalty": L1(0.1)}, ValueError, "penalty is L1"),
    ({"method": "adam", "penalty": HardSparsity(2)}, ValueError, "penalty is HardSparsity"),
    ({"method": "prox", "penalty": HardSparsity(5)}, ValueError, "s is 5; it must be between 0 and 4"),
    ({"loss": "huber"}, ValueError, "loss is 'huber'"),
    ({"steps": 0}, ValueError, "steps is 0"),
    ({"restarts": 0}, ValueError, "restarts is 0"),
    ({"lr": -1.0}, ValueError, "lr is -1;"),
    ({"damping": 1.0}, ValueError, "damping is not an option of method 'adam'"),
    ({"prune": [(5, 3)]}, ValueError, "prune's number to keep is 3"),
    ({"continuation": 3}, ValueError, "continuation is 3"),
    ({"z0": torch.zeros(2, 5, dtype=torch.float64)}, ValueError, "z0 has shape"),
    ({"z0": torch.zeros(4)}, TypeError, "z0 has torch.float32"),
    ({"y": torch.full((3, 7), float("nan"), dtype=torch.float64)}, ValueError, "y holds NaN"),
    ({"y": torch.zeros(3, 6, dtype=torch.float64)}, ValueError, "y has shape"),
    ({"y": torch.zeros(0, 7, dtype=torch.float64)}, ValueError, "y is empty"),
    ({"z0": None}, ValueError, "z0 is None and G has no latent_dim"),
    ({"G": 3}, TypeError, "G is a int"),
    ({"G": lambda z: z}, ValueError, "G gives"),
    ({"loss": "amplitude"}, ValueError, "y has the entry"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "error", "message"), REFUSALS)
def test_bad_input_is_named(change, error, message):
    arguments = {"G": curved, "A": normal(7, 12), "y": normal(3, 7), "z0": start(4)} | change
    with pytest.raises(error, match=message.replace("(", r"\(")):
        recover(arguments.pop("G"), arguments.pop("A"), arguments.pop("y"), **arguments)


def test_a_generator_of_another_dtype_or_in_training_is_refused():
    A, y = normal(7, 12), normal(3, 7)
    with pytest.raises(TypeError, match=r"G's parameter .* has dtype torch.float32"):
        recover(VAE(12, 3, dtype=torch.float32), A, y)
    mixing = torch.nn.Sequential(torch.nn.Linear(4, 12), torch.nn.BatchNorm1d(12)).double()
    with pytest.raises(ValueError, match="BatchNorm1d in training mode"):
        recover(mixing, A, y, z0=start(4))


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match=r"weight is -1; it must be at least 0"):
        L1(-1.0)
    with pytest.raises(ValueError, match="weight has the entry -1"):
        L2(torch.tensor([1.0, -1.0]))


def test_a_diverging_row_harms_no_other():
    def explosive(z):
        return torch.exp(z.repeat_interleave(3, -1))

    A = normal(7, 12, seed=1)
    y = explosive(0.1 * normal(2, 4, seed=2)) @ A.T
    z0 = torch.stack([torch.zeros(4), torch.full((4,), 800.0)]).double()
    found = recover(explosive, A, y, z0=z0, steps=200, lr=0.05)
    alone = recover(explosive, A, y[:1], z0=z0[:1], steps=200, lr=0.05)
    torch.testing.assert_close(found.z[:1], alone.z)
    assert not found.converged[1]
