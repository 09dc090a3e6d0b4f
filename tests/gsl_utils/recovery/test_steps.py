"""How a step is found and what "converged" says: without units, in both precisions, and only what is true."""

import math
from itertools import pairwise

import pytest
import torch

from gsl_utils.recovery import L1, L2, HardSparsity, recover

METHODS = [
    ("gd", {}, 300),
    ("gd", {"lr": 0.015}, 400),
    ("adam", {"lr": 0.1, "schedule": "cosine"}, 400),
    ("prox", {}, 300),
    ("lm", {}, 100),
]


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


W = {dtype: normal(4, 12, seed=5, dtype=dtype) for dtype in (torch.float32, torch.float64)}


def curved(z):
    u = z @ W[z.dtype]
    return u + 0.5 * torch.tanh(u)


def identity(z):
    return z


A, Y, Z0 = normal(9, 12, seed=1) / 3, normal(3, 9, seed=2) / 3, normal(3, 4, seed=3)
PENALTIES = [None, L2(0.02), L1(0.02), HardSparsity(2)]


def goes(method, penalty):
    able = {"gd": (L2,), "adam": (L1, L2), "prox": (L1, L2, HardSparsity), "lm": (L2,)}[method]
    return penalty is None or isinstance(penalty, able)


def stationary(z, penalty):
    """By the definition of a stationary point, coordinate by coordinate: the largest violation."""
    z = z.detach().double().requires_grad_(True)
    (slope,) = torch.autograd.grad((curved(z) @ A.T - Y).square().sum(), z)
    z = z.detach()
    if isinstance(penalty, L2):
        return (slope + 2 * penalty.weight * z).abs().amax(-1)
    if isinstance(penalty, L1):
        at_zero = (slope.abs() - penalty.weight).clamp(min=0)
        return torch.where(z == 0, at_zero, (slope + penalty.weight * z.sign()).abs()).amax(-1)
    if isinstance(penalty, HardSparsity):
        return torch.where(z == 0, 0, slope).abs().amax(-1)
    return slope.abs().amax(-1)


@pytest.mark.parametrize(("method", "options", "steps"), METHODS)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_method_converges_to_stationary_points_and_says_so(method, options, steps, penalty, dtype):
    if not goes(method, penalty):
        return
    keep = {"method": method, "penalty": penalty, "z0": Z0.to(dtype), **options}
    found = recover(curved, A.to(dtype), Y.to(dtype), steps=steps, **keep)
    hurried = recover(curved, A.to(dtype), Y.to(dtype), steps=1, **keep)
    assert not hurried.converged.any()
    assert stationary(hurried.z, penalty).min() > 0.1
    if (method, type(penalty)) == ("adam", L1):  # it dithers about the kinks
        assert stationary(found.z, penalty).max() < 3
        return
    assert found.converged.all()
    assert stationary(found.z, penalty).max() < (3e-4 if dtype == torch.float64 else 3e-2)


@pytest.mark.parametrize(("method", "options", "steps"), [METHODS[0], *METHODS[3:]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_convergence_has_no_units(method, options, steps, dtype, scale):
    """Measurements in other units, by a matrix in other units: the same points, the same word."""
    keep = {"method": method, "z0": Z0.to(dtype), "steps": steps, **options}
    plain = recover(curved, A.to(dtype), Y.to(dtype), **keep)
    scaled = recover(curved, (scale * A).to(dtype), (scale * Y).to(dtype), **keep)
    hurried = recover(curved, (scale * A).to(dtype), (scale * Y).to(dtype), **(keep | {"steps": 1}))
    assert not hurried.converged.any()
    assert plain.converged.all()
    assert scaled.converged.all()
    tolerance = 1e-5 if dtype == torch.float64 else 1e-2
    torch.testing.assert_close(scaled.z, plain.z, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("method", "penalty"), [("gd", None), ("prox", L1(0.05)), ("lm", L2(0.03))])
@pytest.mark.parametrize("s", [1e-6, 1e6])
def test_the_latents_units_do_not_matter_either(method, penalty, s):
    """A generator of z / s, from s times the start: s times the answer."""
    keep = {"method": method, "steps": 400}
    plain = recover(curved, A, Y, z0=Z0, penalty=penalty, **keep)
    power = 2 if isinstance(penalty, L2) else 1
    scaled_penalty = type(penalty)(penalty.weight / s**power) if penalty else None
    scaled = recover(lambda z: curved(z / s), A, Y, z0=s * Z0, penalty=scaled_penalty, **keep)
    assert plain.converged.all()
    assert scaled.converged.all()
    torch.testing.assert_close(scaled.z / s, plain.z, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("share", [0.8, 1.1])
def test_tol_is_the_root_of_the_gain_of_one_more_step(share):
    """On a parabola all is known: the best step along the gradient gains |g|^2 / 2L."""
    eye, y = 2 * torch.eye(1, dtype=torch.float64), torch.tensor([[3.0]], dtype=torch.float64)
    z = torch.tensor([[1.4]], dtype=torch.float64)
    slope, curvature = 2 * 2 * (2 * 1.4 - 3.0), 2 * 2**2
    tol = share * math.sqrt(slope**2 / (2 * curvature)) / 3.0
    found = recover(identity, eye, y, method="gd", lr=1e-12, z0=z, steps=1, tol=tol)
    assert bool(found.converged) == (share > 1)


def test_the_way_to_a_lower_basin_is_no_gain():
    """Far away there is a lower valley; the stationary point here is one none the less."""

    def valleys(z):
        return torch.where(z > 0, 1 + (z - 1).square(), 0.1 + 0.01 * (z + 50).square() / (1 + z.square()))

    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    for method in ("gd", "prox"):
        found = recover(valleys, one, zero, method=method, z0=2 * one, steps=500)
        assert found.converged
        assert float(found.z) == pytest.approx(1, abs=1e-2)


def test_a_kink_where_line_searches_end_is_no_stationary_point():
    """A valley along a kink: descent across it ends at once, and along it there is far to go."""

    def ridge(z):
        return torch.cat([10 * z[:, :1].abs(), z[:, 1:]], dim=-1)

    eye, y = torch.eye(2, dtype=torch.float64), torch.tensor([[-1.0, 5.0]], dtype=torch.float64)
    z0 = torch.tensor([[1e-7, 0.0]], dtype=torch.float64)
    for method in ("gd", "prox", "lm"):
        found = recover(ridge, eye, y, method=method, z0=z0, steps=50)
        assert not found.converged


def test_a_penalty_that_can_still_fall_is_a_gain():
    """Where the data term is flat the l1 norm is not: a point with a large one is not stationary."""

    def flat(z):
        return torch.ones(len(z), 12, dtype=z.dtype)

    far = torch.full((3, 4), 1e3, dtype=torch.float64)
    assert not recover(flat, A, Y, method="adam", penalty=L1(1.0), z0=far, steps=1).converged.any()
    found = recover(flat, A, Y, method="prox", penalty=L1(1.0), z0=far)
    assert found.converged.all()
    assert not found.z.any()


@pytest.mark.parametrize(("method", "options", "steps"), METHODS)
def test_tol_zero_goes_on(method, options, steps):
    found = recover(curved, A, Y, method=method, z0=Z0, steps=30, tol=0.0, **options)
    assert (found.n_iter == 30).all()
    assert recover(curved, A, Y, method="lm", z0=Z0, steps=30, tol=0.0).converged.all()


# What cannot go well.


def explosive(z):
    return torch.exp(z.repeat_interleave(3, -1))


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("method", "options", "steps"), METHODS)
def test_a_lost_row_harms_no_other_and_is_not_called_converged(method, options, steps, penalty):
    """Its loss is infinite and its gradient is not a number."""
    if not goes(method, penalty):
        return
    y = explosive(0.1 * normal(2, 4, seed=2)) @ A.T
    z0 = torch.stack([torch.zeros(4), torch.full((4,), 800.0)]).double()
    keep = {"method": method, "penalty": penalty, "steps": 60, **options}
    found = recover(explosive, A, y, z0=z0, **keep)
    alone = recover(explosive, A, y[:1], z0=z0[:1], **keep)
    torch.testing.assert_close(found.z[:1], alone.z)
    assert torch.isfinite(found.objective[0])
    assert not found.converged[1]
    if method in ("gd", "prox"):
        assert found.n_iter[1] == 1  # it leaves at once


def test_a_rate_that_is_too_high_diverges_alone():
    y = torch.ones(2, 3, dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    found = recover(
        lambda z: z**3, eye, y, method="gd", lr=0.05, z0=torch.tensor([[0.9], [9.0]]).double().expand(2, 3)
    )
    assert found.converged.tolist() == [True, False]
    assert torch.isfinite(found.z).all()
    torch.testing.assert_close(found.z[0], torch.ones(3, dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("method", "options", "steps"), METHODS)
def test_nothing_measured_is_no_division_by_zero(method, options, steps, penalty):
    """With y = 0 what the start would have measured sets the scale."""
    if not goes(method, penalty):
        return
    y = torch.zeros(3, 9, dtype=torch.float64)
    found = recover(curved, A, y, method=method, penalty=penalty, z0=Z0, steps=steps, **options)
    assert torch.isfinite(found.z).all()
    assert (found.objective < 0.05 * (curved(Z0) @ A.T).square().sum(-1)).all()
    if method in ("prox", "lm"):
        assert found.converged.all()
    hurried = recover(curved, 1e-6 * A, y, method=method, z0=Z0, steps=1, **options)
    assert not hurried.converged.any()
    at_zero = recover(curved, A, y, method=method, penalty=penalty, z0=0 * Z0, steps=3, **options)
    assert not at_zero.z.any()
    assert at_zero.converged.all()


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("method", "options", "steps"), METHODS)
def test_a_generator_with_one_signal_leaves_everything_to_the_penalty(method, options, steps, penalty):
    if not goes(method, penalty):
        return
    weight = torch.nn.Parameter(normal(12, seed=8))
    keep = {
        "method": method,
        "penalty": penalty,
        "z0": Z0,
        "steps": 2000 if method == "gd" else steps,
        **options,
    }
    for G in (lambda z: torch.ones(len(z), 12).double(), lambda z: weight.expand(len(z), 12)):
        found = recover(G, A, Y, **keep)
        assert torch.isfinite(found.z).all()
        if isinstance(penalty, L1 | L2):
            assert (found.z.norm(dim=-1) < 0.5 * Z0.norm(dim=-1)).all()
        elif penalty is None:
            assert torch.equal(found.z, Z0)
            assert found.converged.all()
    assert weight.grad is None


@pytest.mark.parametrize(("method", "options", "steps"), METHODS)
def test_amplitudes_of_nothing(method, options, steps):
    """Zero measurements, and a start whose own are zero, where an amplitude has a kink."""
    y = (curved(Z0) @ A.T).abs()
    y[:, :2] = 0
    keep = {"loss": "amplitude", "method": method, "steps": steps, **options}
    found = recover(curved, A, y, z0=0.5 * Z0, **keep)
    assert torch.isfinite(found.z).all()
    before = ((curved(0.5 * Z0) @ A.T).abs() - y).square().sum(-1)
    assert (found.objective < before).all()
    stuck = recover(curved, A, y, z0=0 * Z0, **keep)
    assert torch.isfinite(stuck.z).all()


def test_hard_sparsity_starts_from_the_nearest_sparse_point():
    seen = []
    found = recover(
        curved, A, Y, method="prox", penalty=HardSparsity(1), z0=Z0, steps=50,
        callback=lambda t, rows, z: seen.append(z),
    )  # fmt: skip
    assert all(((z != 0).sum(-1) <= 1).all() for z in seen)
    assert torch.isfinite(found.objective).all()
    none = recover(curved, A, Y, method="prox", penalty=HardSparsity(0), z0=Z0, steps=50)
    assert not none.z.any()
    assert none.converged.all()
    all_of_them = recover(curved, A, Y, method="prox", penalty=HardSparsity(4), z0=Z0, steps=300)
    torch.testing.assert_close(all_of_them.z, recover(curved, A, Y, method="prox", z0=Z0, steps=300).z)


def test_hard_sparse_starts_are_ranked_by_what_they_become():
    """Screened before any step, none of them sparse yet."""
    z0 = normal(3, 6, 4, seed=9)
    keep = {"method": "prox", "penalty": HardSparsity(2), "steps": 1}
    found = recover(curved, A, Y, z0=z0, restarts=6, prune=[(0, 1)], **keep)
    sparse = HardSparsity(2).prox(z0, torch.ones(1))
    best = (curved(sparse) @ A.T - Y.unsqueeze(1)).square().sum(-1).argmin(-1)
    assert best.any()
    torch.testing.assert_close(found.z, recover(curved, A, Y, z0=z0[torch.arange(3), best], **keep).z)


def test_a_swap_that_only_a_long_step_would_make_is_no_gain():
    """The best vector with one entry: the other's slope is steep, and to take it instead would be folly."""
    table = torch.diag(torch.tensor([10.0, 1.0], dtype=torch.float64))
    y, best = torch.tensor([[10.0, 2.0]]).double(), torch.tensor([[1.0, 0.0]]).double()
    found = recover(identity, table, y, method="prox", penalty=HardSparsity(1), z0=best)
    torch.testing.assert_close(found.z, best)
    assert found.converged


@pytest.mark.parametrize("method", ["gd", "prox", "lm"])
def test_single_precision_converges_though_the_residual_is_large(method):
    """The last gains are far below the rounding of the objective."""

    def bent(z):
        u = z @ W[z.dtype]
        return torch.tanh(u) + 0.1 * u

    table = normal(7, 12, seed=1, dtype=torch.float32) / 7**0.5
    y = normal(3, 7, seed=2, dtype=torch.float32) / 7**0.5
    found = recover(bent, table, y, method=method, z0=Z0.float(), steps=2000)
    assert found.converged.all()
    assert (found.objective.sqrt() > 0.1 * y.norm(dim=-1)).any()


@pytest.mark.parametrize("penalty", [L1(0.5), HardSparsity(2)])
def test_the_proximal_method_gives_exact_zeros(penalty):
    z = recover(curved, A, Y, method="prox", penalty=penalty, z0=Z0).z
    assert (z == 0).any()
    assert ((z == 0) | (z.abs() > 1e-6)).all()


def test_momentum_is_worth_having_and_does_no_harm():
    """On an ill-conditioned parabola: far fewer steps than plain descent, and the objective never rises."""
    scale = torch.logspace(0, -1.3, 20, dtype=torch.float64)
    eye, y = torch.diag(scale), normal(1, 20) * scale
    objective = []
    fast = recover(
        identity, eye, y, method="prox", z0=torch.zeros(20).double(), steps=2000,
        callback=lambda t, rows, z: objective.append(float((z @ eye - y).square().sum())),
    )  # fmt: skip
    slow = recover(identity, eye, y, method="gd", z0=torch.zeros(20).double(), steps=2000)
    assert fast.converged
    assert 3 * fast.n_iter < slow.n_iter
    assert all(b <= a * (1 + 1e-12) for a, b in pairwise(objective))


def test_each_row_has_a_step_of_its_own():
    """Signals whose matrices differ by a million need steps that differ by its square, and take no longer."""
    tables = torch.stack([A, 1e3 * A, 1e-3 * A])
    y = torch.stack([Y[0], 1e3 * Y[0], 1e-3 * Y[0]])
    for method in ("gd", "prox", "lm"):
        found = recover(curved, tables, y, method=method, z0=Z0[0], steps=400)
        assert found.converged.all()
        assert found.n_iter.max() < 1.5 * found.n_iter.min()
