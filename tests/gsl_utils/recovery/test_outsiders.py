"""Penalties from outside: each method takes what it needs of them, and says what it misses."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from gsl_utils.recovery import L1, L2, HardSparsity, gsl_l1, recover
from gsl_utils.sparse import lasso

D = torch.float64


def normal(*shape, seed=0, dtype=D):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D).to(dtype)


def identity(z):
    return z


W = normal(12, 6, seed=5)
A, Y, Z0 = normal(9, 12, seed=1) / 3, normal(3, 9, seed=2) / 3, normal(3, 6, seed=3)


def curved(z):
    u = z @ W.to(z.dtype).T
    return u + 0.5 * torch.tanh(u)


class Groups:
    """Group lasso: the sum of the lengths of pairs of entries; it knows nothing of the engine."""

    def __init__(self, weight):
        self.weight = weight

    def value(self, z):
        return self.weight * z.unflatten(-1, (-1, 2)).norm(dim=-1).sum(-1)

    def prox(self, z, step):
        pairs = z.unflatten(-1, (-1, 2))
        length = pairs.norm(dim=-1, keepdim=True)
        # At zero this is 1 - infinity, and zero over zero for a step of zero.
        return (pairs * (1 - self.weight * step.unsqueeze(-1) / length).clamp(min=0)).flatten(-2)


class Bowl:
    """A smooth penalty, ``z' Q z / 2`` about a centre, with a proximal map."""

    Q = normal(6, 6, seed=6) @ normal(6, 6, seed=6).T / 3 + 0.2 * torch.eye(6, dtype=D)
    centre = normal(6, seed=7)

    def value(self, z):
        off = z - self.centre
        return (off @ self.Q * off).sum(-1) / 2

    def gradient(self, z):
        return (z - self.centre) @ self.Q

    def prox(self, z, step):
        left = torch.eye(6, dtype=D) + step.unsqueeze(-1) * self.Q
        return self.centre + torch.linalg.solve(left, (z - self.centre).unsqueeze(-1)).squeeze(-1)


class Huber:
    """A smooth penalty without a proximal map."""

    def value(self, z):
        return ((z.square() + 0.01).sqrt() - 0.1).sum(-1)

    def gradient(self, z):
        return z / (z.square() + 0.01).sqrt()


class Lengths:
    """A value, and nothing else."""

    def value(self, z):
        return 0.1 * z.abs().sum(-1)


class Box:
    """An indicator whose value goes by way of numpy, and its projection."""

    def value(self, z):
        outside = (np.abs(z.numpy()) > 0.3).any(-1)
        return torch.from_numpy(np.where(outside, np.inf, 0.0)).to(z.dtype)

    def prox(self, z, step):
        return z.clamp(-0.3, 0.3)


# A group penalty.


def test_groups_for_an_orthonormal_matrix_are_shrunk_as_a_whole():
    """In closed form: every pair of A'y gets shorter by half the weight, or vanishes."""
    Q = torch.linalg.qr(normal(10, 10)).Q
    y = normal(4, 10, seed=1)
    pairs = (y @ Q).unflatten(-1, (-1, 2))
    expected = (pairs * (1 - 1.5 / 2 / pairs.norm(dim=-1, keepdim=True)).clamp(min=0)).flatten(-2)
    found = recover(identity, Q, y, penalty=Groups(1.5), method="prox", z0=torch.zeros(10, dtype=D))
    torch.testing.assert_close(found.z, expected, rtol=0, atol=1e-6)
    assert torch.equal(found.z == 0, expected == 0)
    assert bool((expected == 0).any())
    assert found.converged.all()


def by_proximal_gradient(M, y, weight, steps=20000):
    """min |y - Mz|^2 + weight * sum of the lengths of pairs, one signal, in numpy, without acceleration."""
    M, y = M.numpy(), y.numpy()
    step = 1 / (2 * np.linalg.norm(M, 2) ** 2)
    z = np.zeros(M.shape[1])
    for _ in range(steps):
        pairs = (z + step * 2 * M.T @ (y - M @ z)).reshape(-1, 2)
        length = np.linalg.norm(pairs, axis=1, keepdims=True)
        z = (pairs * np.maximum(1 - step * weight / np.maximum(length, 1e-300), 0)).ravel()
    return torch.from_numpy(z)


@pytest.mark.parametrize("own_matrix", [False, True])
def test_groups_against_a_long_proximal_gradient(own_matrix):
    tables = torch.stack([normal(8, 12, seed=s) for s in (1, 2, 3)]) if own_matrix else normal(8, 12, seed=1)
    y, z0 = normal(3, 8, seed=4), normal(3, 2, 12, seed=5)
    keep = {"penalty": Groups(2.0), "method": "prox", "z0": z0, "restarts": 2, "steps": 5000, "tol": 1e-7}
    found = recover(identity, tables, y, **keep)
    assert found.converged.all()
    for i in range(3):
        M = tables[i] if own_matrix else tables
        torch.testing.assert_close(found.z[i], by_proximal_gradient(M, y[i], 2.0), rtol=0, atol=1e-5)
        misfit = (y[i] - M @ found.z[i]).square().sum()
        torch.testing.assert_close(found.objective[i], misfit + Groups(2.0).value(found.z[i]))


@pytest.mark.parametrize("dtype", [torch.float32, D])
@pytest.mark.parametrize("c", [1e-6, 1.0, 1e6])
def test_groups_behind_a_curved_generator_in_any_unit_and_either_precision(c, dtype):
    """A and y times c with the weight times c squared: the same point, said to be stationary."""
    keep = {"method": "prox", "z0": Z0.to(dtype), "steps": 3000}
    plain = recover(curved, A, Y, penalty=Groups(0.3), method="prox", z0=Z0, steps=3000)
    found = recover(curved, (c * A).to(dtype), (c * Y).to(dtype), penalty=Groups(0.3 * c * c), **keep)
    assert plain.converged.all()
    assert found.converged.all()
    torch.testing.assert_close(found.z.double(), plain.z, rtol=0, atol=1e-3 if dtype != D else 1e-5)
    hurried = recover(curved, A, Y, penalty=Groups(0.3), method="prox", z0=Z0, steps=1)
    assert not hurried.converged.any()


def test_signals_never_leak_through_a_penalty_from_outside():
    keep = {"penalty": Groups(0.3), "method": "prox", "restarts": 2, "prune": [(3, 1)], "steps": 6}
    z0 = normal(3, 2, 6, seed=8)
    together = recover(curved, A, Y, z0=z0, **keep)
    alone = recover(curved, A, Y[1], z0=z0[1], **keep)
    torch.testing.assert_close(together.z[1], alone.z, rtol=1e-10, atol=1e-12)


def test_groups_also_go_with_adam():
    """Its value has slopes wherever no pair vanishes: torch.optim's own Adam goes the same way."""
    found = recover(curved, A, Y, penalty=Groups(0.3), z0=Z0, lr=0.02, steps=30, tol=0.0)
    z = Z0.clone().requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.02)
    for _ in range(30):
        optimiser.zero_grad()
        ((curved(z) @ A.T - Y).square().sum() + Groups(0.3).value(z).sum()).backward()
        optimiser.step()
    torch.testing.assert_close(found.z, z.detach(), rtol=1e-7, atol=1e-8)


# Smooth penalties.


@pytest.mark.parametrize(
    ("method", "options"),
    [("gd", {}), ("gd", {"lr": 0.01}), ("adam", {"lr": 0.05}), ("prox", {}), ("lm", {})],
)
def test_a_bowl_beside_a_linear_generator_has_one_bottom(method, options):
    M = A @ W
    bowl = Bowl()
    left = 2 * M.T @ M + bowl.Q
    bottom = torch.linalg.solve(left, (2 * Y @ M + bowl.centre @ bowl.Q).unsqueeze(-1)).squeeze(-1)
    found = recover(lambda z: z @ W.T, A, Y, penalty=bowl, method=method, z0=Z0, **options)
    assert found.converged.all()
    torch.testing.assert_close(found.z, bottom, rtol=0, atol=1e-4)
    if method == "lm":  # with second derivatives it is one step and its doubts
        assert found.n_iter.max() < 12


@pytest.mark.parametrize(
    ("method", "options"), [("gd", {"lr": 0.01, "steps": 4000}), ("adam", {"lr": 0.02}), ("lm", {})]
)
@pytest.mark.parametrize("c", [1e-3, 1.0])
def test_a_smooth_penalty_needs_no_proximal_map_where_none_is_used(method, options, c):
    """Against scipy, in two units; the measure of convergence goes along the gradient then."""

    class Scaled(Huber):
        def value(self, z):
            return c * c * super().value(z)

        def gradient(self, z):
            return c * c * super().gradient(z)

    if "lr" in options and method == "gd":
        options = options | {"lr": options["lr"] / c / c}
    keep = {"penalty": Scaled(), "method": method, **options}
    found = recover(curved, c * A, c * Y, z0=Z0, **keep)
    assert found.converged.all()
    assert not recover(curved, c * A, c * Y, z0=Z0, **(keep | {"steps": 1})).converged.any()
    for i in range(3):

        def objective(v, i=i):
            z = torch.from_numpy(v).requires_grad_()
            value = (curved(z) @ A.T - Y[i]).square().sum() + Huber().value(z)
            value.backward()
            return float(value.detach()), z.grad.numpy()

        known = minimize(objective, found.z[i].numpy(), jac=True, method="BFGS", tol=1e-12)
        assert float(found.objective[i]) == pytest.approx(c * c * known.fun, rel=1e-6)


def test_a_penalty_that_rules_makes_no_false_word():
    """A steep penalty, stepped along its gradient as far as the data allow, would seem to gain nothing."""

    class Steep:
        def value(self, z):
            return 1e4 * z.square().sum(-1)

        def gradient(self, z):
            return 2e4 * z

    keep = {"penalty": Steep(), "method": "adam", "z0": Z0, "lr": 1e-3}
    assert not recover(curved, A, Y, steps=1, **keep).converged.any()
    same = recover(curved, A, Y, penalty=L2(1e4), method="lm", z0=Z0)
    found = recover(curved, A, Y, penalty=Steep(), method="lm", z0=Z0)
    assert found.converged.all()
    torch.testing.assert_close(found.z, same.z, rtol=1e-5, atol=1e-10)


def test_a_value_with_a_kink_nearby_makes_no_false_word():
    """A billionth beside it every step that the data allow goes far beyond, and seems to gain nothing."""

    class Sharp:
        def value(self, z):
            return 1e3 * z.abs().sum(-1)

    eye, y = torch.eye(1, dtype=D), torch.ones(1, dtype=D)
    assert not recover(identity, eye, y, penalty=Sharp(), z0=1e-9 * y, lr=1e-30, steps=1).converged


def test_a_smooth_penalty_may_curve_downwards():
    class Waves:
        def value(self, z):
            return 30 * z.cos().sum(-1)

        def gradient(self, z):
            return -30 * z.sin()

    found = recover(curved, A, Y, penalty=Waves(), method="lm", z0=Z0, steps=200)
    start = (curved(Z0) @ A.T - Y).square().sum(-1) + Waves().value(Z0)
    assert found.converged.all()
    assert (found.objective < start).all()


def test_a_value_alone_is_enough_for_adam():
    found = recover(curved, A, Y, penalty=Lengths(), z0=Z0, lr=0.02, steps=30, tol=0.0)
    known = recover(curved, A, Y, penalty=L1(0.1), z0=Z0, lr=0.02, steps=30, tol=0.0)
    torch.testing.assert_close(found.z, known.z, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.objective, known.objective)


def test_an_indicator_is_projected_onto():
    found = recover(curved, A, Y, penalty=Box(), method="prox", z0=Z0, steps=2000)
    assert found.converged.all()
    assert float(found.z.abs().max()) == pytest.approx(0.3)
    z = found.z.clone().requires_grad_()
    (slope,) = torch.autograd.grad((curved(z) @ A.T - Y).square().sum(), z)
    inside = found.z.abs() < 0.3
    assert float(slope[inside].abs().max()) < 1e-4
    assert bool((slope * found.z)[~inside].lt(1e-9).all())  # downhill is outwards


# Subclasses of ours are outsiders.


class AboutOne(L2):
    """Not the penalty of its class: one that is least at 1."""

    def value(self, z):
        return super().value(z - 1)

    def gradient(self, z):
        return super().gradient(z - 1)

    def prox(self, z, step):
        return 1 + super().prox(z - 1, step)


@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
def test_a_subclass_is_not_taken_for_its_class(method):
    weight = torch.tensor([[0.5], [1.0], [30.0]], dtype=D)
    found = recover(curved, A, Y, penalty=AboutOne(weight), method=method, z0=Z0, steps=3000)
    z = found.z.clone().requires_grad_()
    value = (curved(z) @ A.T - Y).square().sum() + (weight * (z - 1).square()).sum()
    (slope,) = torch.autograd.grad(value, z)
    assert float(slope.abs().max()) < 1e-2
    assert found.converged.all()
    assert float((found.z[2] - 1).abs().max()) < 0.5  # where the penalty rules


class NotNegative(L1):
    def value(self, z):
        return torch.where((z < 0).any(-1), torch.inf, super().value(z))

    def prox(self, z, step):
        return super().prox(z, step).clamp(min=0)


def test_a_subclass_keeps_a_weight_for_each_signal():
    """Against the library's own LASSO without negative entries, whose weight is half of ours."""
    M, y = normal(8, 12, seed=1), normal(3, 8, seed=4)
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=D)
    keep = {"method": "prox", "z0": torch.zeros(12, dtype=D), "steps": 5000, "tol": 1e-7}
    found = recover(identity, M, y, penalty=NotNegative(weight[:, None]), **keep)
    known = lasso(M, y, weight / 2, nonnegative=True, tol=1e-12)
    torch.testing.assert_close(found.z, known.x, rtol=0, atol=1e-5)
    assert found.converged.all()


def test_a_subclass_of_a_sparsity_is_still_checked():
    class Named(HardSparsity):
        pass

    with pytest.raises(ValueError, match="s is 7; it must be between 0 and 6, the latent dimension"):
        recover(curved, A, Y, penalty=Named(7), method="prox", z0=Z0)
    found = recover(curved, A, Y, penalty=Named(2), method="prox", z0=Z0)
    assert torch.equal(found.z, recover(curved, A, Y, penalty=HardSparsity(2), method="prox", z0=Z0).z)


def test_attributes_of_any_name_are_a_users_own():
    """Names that the engine uses for its own penalties mean nothing on another."""

    class Named(Groups):
        select, laid_out, beside, drop, moved, half_hessian, factor, weight_rows = (3,) * 8
        subgradient = sloped = smooth = proximal = "no"

    keep = {"method": "prox", "z0": Z0, "steps": 50}
    named = recover(curved, A, Y, penalty=Named(0.3), **keep)
    assert torch.equal(named.z, recover(curved, A, Y, penalty=Groups(0.3), **keep).z)


# Refusals.


def called(z):
    raise AssertionError("G was called before the arguments were checked")


@pytest.mark.parametrize(
    ("penalty", "options", "message"),
    [
        (Groups(1.0), {"method": "gd"}, "penalty is Groups, which has no gradient; for method 'gd' it must"),
        (Groups(1.0), {"method": "gd", "lr": 0.1}, "penalty is Groups, which has no gradient"),
        (Groups(1.0), {"method": "lm"}, "penalty is Groups, which has no gradient; for method 'lm' it must"),
        (Huber(), {"method": "prox"}, "penalty is Huber, which has no prox; for method 'prox' it must"),
        (Huber(), {"method": "gd"}, "penalty is Huber, which has no prox; for method 'gd' without lr it"),
        (Lengths(), {"method": "lm"}, "penalty is Lengths, which has no gradient"),
        (Box(), {"method": "adam"}, "penalty is Box, which has no subgradient; for method 'adam' it must"),
    ],
)
def test_a_penalty_that_lacks_what_a_method_needs_is_refused_before_any_work(penalty, options, message):
    with pytest.raises(ValueError, match=message):
        recover(called, A, Y, penalty=penalty, z0=Z0, **options)


class Total(Lengths):
    def value(self, z):
        return z.abs().sum()


class Wide(Groups):
    def prox(self, z, step):
        return z[..., :3]


class Listed(Lengths):
    def value(self, z):
        return [0.0] * len(z)


class Single(Lengths):
    def value(self, z):
        return super().value(z).float()


@pytest.mark.parametrize(
    ("penalty", "error", "message"),
    [
        (Total(), ValueError, r"penalty.value gives \(\) for z of shape \(3, 6\); it must give \(3,\)"),
        (Listed(), ValueError, r"penalty.value gives list for z"),
        (
            Wide(1.0),
            ValueError,
            r"penalty.prox gives \(3, 3\) for z of shape \(3, 6\); it must give \(3, 6\)",
        ),
        (Single(), TypeError, r"y has dtype torch.float64 and penalty.value\(z\) has torch.float32"),
        (
            Groups,
            TypeError,
            r"penalty is <class .*Groups.>; it must be L1, L2, HardSparsity, None, or",
        ),
        (object(), TypeError, r"penalty is <object .*; it must be L1, L2, HardSparsity, None, or an object"),
    ],
)
def test_what_is_no_penalty_is_named(penalty, error, message):
    with pytest.raises(error, match=message):
        recover(called, A, Y, penalty=penalty, z0=Z0)


def test_the_published_recoveries_have_penalties_of_their_own():
    with pytest.raises(ValueError, match="penalty is given; it must be left out"):
        gsl_l1(identity, torch.eye(12, dtype=D), A, Y, penalty=Groups(1.0))
