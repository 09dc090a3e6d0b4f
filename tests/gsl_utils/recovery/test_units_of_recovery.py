"""Units change no recovery, beyond the numbers there is a sentence, and converged is said of finite ends."""

import math

import pytest
import torch

from gsl_utils.generators import VAE, Exponential
from gsl_utils.recovery import (
    L1,
    L2,
    HardSparsity,
    csgm,
    exhaustive_support,
    gsl_best,
    gsl_l1,
    gsl_l2,
    gsl_rls,
    recover,
    support_oracle,
)
from gsl_utils.recovery.problem import Given


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=source(seed), dtype=torch.float64).to(dtype)


N, P, M, SIGNALS = 12, 14, 9, 3
WEIGHT = 0.1


def problem(dtype):
    B, A = normal(N, P, seed=1, dtype=dtype) / N**0.5, normal(M, N, seed=2, dtype=dtype) / M**0.5
    order = torch.rand(SIGNALS, P, generator=source(3)).argsort(-1)
    z = torch.zeros(SIGNALS, P, dtype=dtype).scatter(1, order[:, :2], 1.0)
    y = Exponential()(z @ B.mT) @ A.mT + 0.01 * normal(SIGNALS, M, seed=5, dtype=dtype)
    return B, A, y, z


def decoder(dtype):
    return VAE(N, 3, hidden=(8,), generator=source(), dtype=dtype)


def share(c):
    """The lambda1 whose weight beside the data is 1/9 times c squared."""
    return 1 / (1 + c * c / 9)


def calls(dtype):
    """Every recovery, as a function of A, y and what they were multiplied by; all starts are the same."""
    G, f, (B, _, _, z) = decoder(dtype), Exponential(), problem(dtype)
    z0 = normal(SIGNALS, 2, 3, seed=4, dtype=dtype)
    per_signal = torch.tensor([[0.1], [0.2], [0.0]], dtype=dtype)
    latents = normal(60, P, seed=6, dtype=dtype)

    def descent(A, y, **options):
        return recover(G, A, y, z0=z0, restarts=2, steps=20, **options)

    return {
        "gd": lambda A, y, c: descent(A, y, method="gd", penalty=L2(WEIGHT * c * c)),
        "gd at a rate": lambda A, y, c: descent(A, y, method="gd", lr=0.02 / c / c, schedule="cosine"),
        "adam": lambda A, y, c: descent(A, y, lr=0.05, penalty=L1(per_signal * c * c)),
        "prox": lambda A, y, c: descent(A, y, method="prox", penalty=L1(per_signal * c * c)),
        "hard": lambda A, y, c: descent(A, y, method="prox", penalty=HardSparsity(2), prune=[(3, 1)]),
        "lm": lambda A, y, c: descent(A, y, method="lm", penalty=L2(WEIGHT * c * c), flip=True),
        "amplitude": lambda A, y, c: descent(
            A, y.abs(), method="lm", loss="amplitude", penalty=L2(WEIGHT * c * c)
        ),
        "csgm": lambda A, y, c: csgm(G, A, y, restarts=2, steps=50, l2=WEIGHT * c * c, generator=source()),
        "gsl_best": lambda A, y, c: gsl_best(f, B, A, y, generator=source()),
        "known noise": lambda A, y, c: gsl_best(f, B, A, y, noise_std=0.01 * c, generator=source()),
        "support_oracle": lambda A, y, c: support_oracle(f, B, A, y, z != 0),
        "exhaustive_support": lambda A, y, c: exhaustive_support(f, B[:, :6], A, y, 2),
        "gsl_l1": lambda A, y, c: gsl_l1(f, B, A, y, lambda1=share(c), steps=30),
        "gsl_l2": lambda A, y, c: gsl_l2(f, B, A, y, lambda1=share(c), steps=30),
        "gsl_rls": lambda A, y, c: gsl_rls(f, B, A, y, latents, lambda1=share(c)),
    }


NAMES, SHARED = list(calls(torch.float64)), ("gsl_l1", "gsl_l2", "gsl_rls")
# A weight far below one cannot be said by a share of the data; float32 cannot say its own square either.
RANGES = {torch.float64: (1e-140, 1e-5, 3.0, 1e140), torch.float32: (1e-15, 1e-5, 3.0, 1e15)}


def ratio(name, c):
    """What the objective is multiplied by."""
    return c * c * share(c) / share(1.0) if name in SHARED else c * c


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("dtype", "power"),
    [
        (torch.float64, 465),
        (torch.float64, -465),
        (torch.float64, 13),
        (torch.float32, 50),
        (torch.float32, -50),
    ],
)
def test_powers_of_two_change_no_bit(name, own, dtype, power):
    """Also with a matrix per signal, each in a unit of its own."""
    if name in SHARED and power < 0:
        return
    c, call, (_, A, y, _) = 2.0**power, calls(dtype)[name], problem(dtype)
    plain = call(A.expand(SIGNALS, M, N).contiguous() if own else A, y, 1.0)
    scaled = call(c * A.expand(SIGNALS, M, N) if own else c * A, c * y, c)
    if name in SHARED:  # whose weight is rounded on its way from the share
        torch.testing.assert_close(
            scaled.z, plain.z, rtol=1e-3 if dtype == torch.float32 else 1e-8, atol=1e-6
        )
        return
    assert torch.equal(scaled.z, plain.z)
    assert torch.equal(scaled.x, plain.x)
    assert torch.equal(scaled.n_iter, plain.n_iter)
    assert torch.equal(scaled.converged, plain.converged)
    assert torch.equal(scaled.objective, plain.objective * c * c)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", RANGES)
def test_other_factors_change_no_more_than_rounding_does(name, dtype):
    call, (_, A, y, _) = calls(dtype)[name], problem(dtype)
    plain = call(A, y, 1.0)
    # Adam's epsilon is counted in A's units, which change at powers of two.
    tolerance = 1e-6 if dtype == torch.float64 else 1e-2
    for c in RANGES[dtype]:
        if name in SHARED and c < 1e-2:
            continue
        scaled = call(c * A, c * y, c)
        assert (scaled.z - plain.z).norm() <= tolerance * plain.z.norm(), c
        assert (scaled.x - plain.x).norm() <= tolerance * plain.x.norm(), c
        expected = plain.objective.double() * ratio(name, c)
        energy = y.double().square().sum(-1) * ratio(name, c)
        assert ((scaled.objective.double() - expected).abs() <= tolerance * energy).all(), c


@pytest.mark.parametrize("c", [1e-5, 1e-4, 1e5])
def test_adams_epsilon_has_units(c):
    """At 1e-5 its points were 5 % off."""
    G, (_, A, y, _) = decoder(torch.float64), problem(torch.float64)
    plain, scaled = (csgm(G, a * A, a * y, restarts=2, steps=400, generator=source()) for a in (1.0, c))
    assert (scaled.x - plain.x).norm() <= 1e-5 * plain.x.norm()


def in_units(A, y):
    given = Given.of(torch.nn.Identity(), A, y)
    return given.A, given.y, given.power


def test_the_largest_entry_of_each_matrix_is_of_in_units():
    A, y = normal(M, N), normal(SIGNALS, M, seed=1)
    c = torch.tensor([1.0, 2.0**600, 2.0**-600], dtype=torch.float64)
    tables, within, power = in_units(c[:, None, None] * A, c[:, None] * y)
    assert (power - power[0]).tolist() == [0, 600, -600]
    assert torch.equal(tables, tables[:1].expand_as(tables))
    assert torch.equal(within * 2.0 ** power[0], y)
    assert 0.5 <= float(tables.abs().max()) < 1
    one, _, shared = in_units(4 * tables[0], y)
    assert torch.equal(one, tables[0])
    assert shared.tolist() == [2, 2, 2]
    assert in_units(tables, y)[0].data_ptr() == tables.data_ptr()
    zero, still, none = in_units(0 * A, y)
    assert not zero.any()
    assert torch.equal(still, y)
    assert none.tolist() == [0, 0, 0]


# Beyond the numbers.


@pytest.mark.parametrize("solve", [recover, gsl_best, support_oracle, exhaustive_support])
@pytest.mark.parametrize(("dtype", "size"), [(torch.float64, 1e200), (torch.float32, 1e25)])
def test_measurements_whose_squares_leave_the_numbers_are_refused(solve, dtype, size):
    B, A, y, z = problem(dtype)
    more = {support_oracle: (z != 0,), exhaustive_support: (1,)}.get(solve, ())
    given = (decoder(dtype), A, size * y) if solve is recover else (Exponential(), B, A, size * y, *more)
    with pytest.raises(ValueError, match=r"y has entries up to .*e\+.* and A up to .*; in units of A's"):
        solve(*given)


@pytest.mark.parametrize("size", [1e100, 1e140, 1e150])
def test_measurements_that_no_signal_reaches_end_in_finite_signals(size):
    """What is said of them is true: nobody has converged, and no number has left."""
    B, A, y, z = problem(torch.float64)
    for found in (
        gsl_best(Exponential(), B, A, size * y),
        support_oracle(Exponential(), B, A, size * y, z != 0),
    ):
        assert torch.isfinite(found.x).all()
        assert torch.isfinite(found.objective).all()
        assert not found.converged.any()


def test_a_weight_that_leaves_the_numbers_beside_the_matrix_is_refused():
    _, A, y, _ = problem(torch.float64)
    keep = {"z0": torch.zeros(3, dtype=torch.float64), "method": "prox"}
    for weight in (1.0, torch.tensor([[1.0], [0.0], [0.0]], dtype=torch.float64)):
        with pytest.raises(
            ValueError, match=r"weight has the entry 1 where A's largest entry is below 2\*\*-66"
        ):
            recover(decoder(torch.float64), 1e-200 * A, 1e-200 * y, penalty=L1(weight), **keep)
    with pytest.raises(ValueError, match=r"weight has the entry inf where A's"):
        recover(decoder(torch.float32), A.float(), y.float(), penalty=L2(1e300))


def test_an_objective_beyond_the_numbers_is_not_called_converged():
    """The point is right, and its objective cannot be said."""
    _, A, _, _ = problem(torch.float64)
    y = decoder(torch.float64)(normal(SIGNALS, 3, seed=9)).detach() @ A.mT + 0.1 * normal(SIGNALS, M, seed=8)
    keep = {"method": "lm", "z0": normal(SIGNALS, 3, seed=4)}
    plain = recover(decoder(torch.float64), A, y, **keep)
    beyond = recover(decoder(torch.float64), 2.0**600 * A, 2.0**600 * y, **keep)
    assert plain.converged.any()
    assert torch.equal(beyond.z, plain.z)
    assert torch.isinf(beyond.objective).all()
    assert not beyond.converged.any()
    below = recover(decoder(torch.float64), 2.0**-600 * A, 2.0**-600 * y, **keep)
    assert torch.equal(below.z, plain.z)
    assert torch.equal(below.converged, plain.converged)


def test_nor_is_that_of_a_fit_on_a_support():
    B, A, y, z = problem(torch.float64)
    plain, beyond = (support_oracle(Exponential(), B, c * A, c * y, z != 0) for c in (1.0, 2.0**600))
    assert plain.converged.all()
    assert torch.equal(beyond.z, plain.z)
    assert torch.isinf(beyond.objective).all()
    assert not beyond.converged.any()


def test_a_search_whose_signals_overflow_is_not_called_converged():
    eye = torch.eye(2, dtype=torch.float64)
    z0, support = torch.full((2,), 800.0, dtype=torch.float64), torch.ones(2, dtype=torch.bool)
    found = support_oracle(torch.exp, eye, eye, torch.ones(1, 2, dtype=torch.float64), support, z0=z0)
    assert not found.converged.any()


@pytest.mark.parametrize("method", ["gd", "prox", "lm"])
@pytest.mark.parametrize(("dtype", "size"), [(torch.float64, 1e-170), (torch.float32, 1e-25)])
def test_where_gains_vanish_beside_the_matrix_nothing_is_said(method, dtype, size):
    """y is not zero, and its square is: no step can be seen to gain."""
    one = torch.ones(1, 1, dtype=dtype)
    found = recover(lambda z: z, one, size * one, method=method, z0=one, steps=100)
    assert not found.converged.any()
    tiny = torch.full_like(one, 1e-3 * size**0.5)
    assert recover(lambda z: z, one, tiny, method="lm", z0=one, steps=100).converged == (
        dtype == torch.float64
    )


def test_where_nothing_was_measured_a_far_start_excuses_nothing():
    """exp(50) made 1e15 of the tolerance: the descent ended at once, at an objective of 1e40."""
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    for method, steps in (("gd", 3), ("prox", 3), ("lm", 20)):
        found = recover(torch.exp, one, zero, method=method, z0=50 * one, steps=steps)
        assert float(found.objective) > 1
        assert not found.converged
    assert recover(torch.exp, one, zero, method="lm", z0=50 * one, steps=200).converged


# Kinks that look flat.


@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
@pytest.mark.parametrize("penalty", [None, L2(0.01)])
def test_a_kink_that_looks_flat_is_no_stationary_point(method, penalty):
    """At zero torch gives a ReLU and a magnitude no slope, and both fall beside it."""
    table, keep = normal(4, N, seed=5), {"method": method, "penalty": penalty, "steps": 5}
    _, A, y, _ = problem(torch.float64)
    zero = torch.zeros(4, dtype=torch.float64)
    assert not recover(lambda z: (z @ table).relu(), A, y, z0=zero, **keep).converged.any()
    assert not recover(lambda z: z @ table, A, y.abs(), loss="amplitude", z0=zero, **keep).converged.any()
    dead = recover(lambda z: (z @ table).relu(), A, 0 * y, z0=zero, **keep)
    assert dead.converged.all()  # nothing lies lower


def test_a_heavy_penalty_makes_a_kink_a_minimum():
    table, (_, A, y, _) = normal(4, N, seed=5), problem(torch.float64)
    keep = {"method": "prox", "z0": torch.zeros(4, dtype=torch.float64), "steps": 5}
    assert recover(lambda z: (z @ table).relu(), A, y, penalty=L1(1e3), **keep).converged.all()


def test_a_fit_on_a_support_is_not_called_converged_at_a_kink():
    eye, both = torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.bool)
    flat = support_oracle(torch.relu, eye, eye, torch.ones(1, 2, dtype=torch.float64), both)
    assert not flat.converged.any()
    assert not flat.z.any()

    def ridge(u):
        return torch.cat([10 * u[..., :1].abs(), u[..., 1:]], dim=-1)

    # Across the kink no step helps, and along it much is left: a damped step promises little all the same.
    y, z0 = torch.tensor([[-50.0, 5.0]]).double(), torch.tensor([1e-12, 0.0]).double()
    stuck = support_oracle(ridge, eye, eye, y, both, z0=z0)
    assert float(stuck.objective) > 2500 + 20
    assert not stuck.converged.any()


# Learned arguments.


def test_arguments_that_want_gradients_get_none():
    B, A, y, z = problem(torch.float64)
    latents, share_each, noise = (
        normal(60, P, seed=6),
        torch.full((SIGNALS,), 0.9).double(),
        torch.ones(SIGNALS),
    )
    learned = [torch.nn.Parameter(one) for one in (B, A, y, latents, share_each, 0.01 * noise.double())]
    B, A, y, latents, share_each, noise = learned
    f, G = Exponential(), decoder(torch.float64)
    weight, z0 = torch.nn.Parameter(torch.ones(3).double()), torch.nn.Parameter(normal(3))
    results = [
        recover(G, A, y, penalty=L2(weight), z0=z0, steps=3),
        csgm(G, A, y, restarts=2, steps=3),
        gsl_l1(f, B, A, y, lambda1=share_each, steps=3),
        gsl_l2(f, B, A, y, lambda1=share_each, steps=3, method="lm"),
        gsl_best(f, B, A, y, noise_std=noise),
        gsl_rls(f, B, A, y, latents, lambda1=share_each),
        support_oracle(f, B, A, y, z != 0, z0=torch.nn.Parameter(z)),
        exhaustive_support(f, B, A, y, 1),
    ]
    for found in results:
        assert not any(value.requires_grad for value in (found.x, found.z, found.objective))
    assert all(one.grad is None for one in (*learned, weight, z0))


def test_a_penalty_is_counted_in_the_units_of_each_signal():
    """Three matrices in three units, three weights, and two restarts: as each signal alone."""
    _, A, y, _ = problem(torch.float64)
    c = torch.tensor([1.0, 1e3, 1e-60], dtype=torch.float64)
    weight = c.square()[:, None] * torch.tensor([[0.1], [0.2], [0.3]], dtype=torch.float64)
    keep = {"method": "prox", "restarts": 2, "steps": 200}
    z0 = normal(SIGNALS, 2, 3, seed=4)
    tables, scaled = c[:, None, None] * A, c[:, None] * y
    found = recover(decoder(torch.float64), tables, scaled, penalty=L1(weight), z0=z0, **keep)
    for i in range(SIGNALS):
        alone = recover(decoder(torch.float64), A, y[i], penalty=L1(0.1 * (i + 1)), z0=z0[i], **keep)
        torch.testing.assert_close(found.z[i], alone.z, rtol=1e-4, atol=1e-4)
        misfit = (tables[i] @ found.x[i] - scaled[i]).square().sum()
        value = misfit + (weight[i] * found.z[i].abs()).sum()
        assert math.isclose(float(found.objective[i]), float(value), rel_tol=1e-12)
