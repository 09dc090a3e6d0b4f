"""Measurement matrices and the constants that say how well they sense."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.sensing import (
    gaussian_matrix,
    measure,
    mutual_coherence,
    rip_constant,
    rip_lower_bound,
    srec_constant,
    srec_ratio,
)

D = torch.float64


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=D)


def relu_network(seed, widths=(5, 100, 300)):
    """A random ReLU network without bias, as a callable."""
    weights = [
        normal(out, inside, seed=seed + i) for i, (inside, out) in enumerate(itertools.pairwise(widths))
    ]

    def network(z):
        for weight in weights[:-1]:
            z = torch.relu(z @ weight.T)
        return z @ weights[-1].T

    network.latent_dim = widths[0]
    return network


@pytest.mark.parametrize(("scale", "variance"), [("measurements", 1 / 50), ("none", 1.0)])
def test_gaussian_entries_have_the_stated_law(scale, variance):
    A = gaussian_matrix(50, 4000, scale=scale, generator=source()).flatten() / variance**0.5
    count = A.numel()
    assert abs(float(A.mean())) < 5 / count**0.5
    assert abs(float(A.square().mean()) - 1) < 5 * (2 / count) ** 0.5
    assert abs(float((A**4).mean()) - 3) < 5 * (96 / count) ** 0.5


def test_gaussian_columns_have_norm_one():
    A = gaussian_matrix(7, 30, scale="columns", generator=source())
    torch.testing.assert_close(A.norm(dim=0), torch.ones(30, dtype=D))


def test_randomness_comes_from_the_generator_alone():
    before = torch.get_rng_state()
    first = gaussian_matrix(3, 4, generator=source(1))
    assert torch.equal(first, gaussian_matrix(3, 4, generator=source(1)))
    assert not torch.equal(first, gaussian_matrix(3, 4, generator=source(2)))
    assert torch.equal(before, torch.get_rng_state())
    assert gaussian_matrix(3, 4, dtype=torch.float32, device="cpu").dtype == torch.float32


def test_noise_of_a_given_ratio_is_each_signal_s_own():
    A = gaussian_matrix(2000, 10, generator=source())
    x = normal(3, 10) * torch.tensor([[1.0], [100.0], [0.0]], dtype=D)
    clean = measure(A, x)
    torch.testing.assert_close(clean, x @ A.T)
    noise = measure(A, x, smnr_db=20.0, generator=source(1)) - clean
    ratio = 20 * torch.log10(clean.norm(dim=-1) / noise.norm(dim=-1))[:2]
    assert bool(((ratio - 20).abs() < 0.5).all())
    assert float(noise[2].abs().max()) == 0
    each = torch.tensor([0.0, 40.0, 10.0], dtype=D)
    noise = measure(A, x, smnr_db=each, generator=source(1)) - clean
    ratio = 20 * torch.log10(clean.norm(dim=-1) / noise.norm(dim=-1))[:2]
    assert bool(((ratio - each[:2]).abs() < 0.5).all())


def test_noise_of_a_given_deviation():
    A, x = gaussian_matrix(5000, 4, generator=source()), normal(2, 4)
    deviation = torch.tensor([0.1, 2.0], dtype=D)
    noise = measure(A, x, noise_std=deviation, generator=source(1)) - measure(A, x)
    assert (noise.std(dim=-1) / deviation).tolist() == pytest.approx([1, 1], abs=0.05)
    assert torch.equal(measure(A, x, noise_std=0.0), measure(A, x))


def test_one_matrix_per_signal():
    A, x = normal(4, 3, 5), normal(4, 5)
    torch.testing.assert_close(measure(A, x), torch.stack([A[i] @ x[i] for i in range(4)]))
    torch.testing.assert_close(measure(A, x[0]), torch.stack([A[i] @ x[0] for i in range(4)]))


def test_coherence_against_its_definition():
    A = normal(6, 9) * torch.arange(1, 10, dtype=D)
    cosines = [
        abs(float(A[:, i] @ A[:, j])) / float(A[:, i].norm() * A[:, j].norm())
        for i, j in itertools.combinations(range(9), 2)
    ]
    assert float(mutual_coherence(A)) == pytest.approx(max(cosines), abs=1e-14)


def test_coherence_at_its_ends():
    assert mutual_coherence(torch.eye(4, dtype=D)) == 0
    assert mutual_coherence(torch.tensor([[1.0, -2.0], [1.0, -2.0]], dtype=D)) == pytest.approx(1)
    # Welch's bound is reached by the three unit vectors at 120 degrees.
    angles = 2 * math.pi * torch.arange(3, dtype=D) / 3
    assert mutual_coherence(torch.stack([angles.cos(), angles.sin()])) == pytest.approx(0.5)


@given(st.integers(2, 6), st.integers(2, 12), st.integers(0, 10**6))
def test_coherence_respects_welch(m, n, seed):
    if n > m:
        assert float(mutual_coherence(normal(m, n, seed=seed))) >= ((n - m) / (m * (n - 1))) ** 0.5 - 1e-12


@pytest.mark.parametrize("s", [1, 2, 3])
def test_rip_constant_against_numpy(s):
    A = gaussian_matrix(8, 10, generator=source())
    worst = 0.0
    for support in itertools.combinations(range(10), s):
        values = np.linalg.svd(A[:, list(support)].numpy(), compute_uv=False) ** 2
        worst = max(worst, abs(values - 1).max())
    assert float(rip_constant(A, s)) == pytest.approx(worst, abs=1e-12)


def test_rip_constant_of_an_orthogonal_matrix_and_of_a_short_one():
    Q = torch.linalg.qr(normal(6, 6)).Q
    assert float(rip_constant(Q, 3)) == pytest.approx(0, abs=1e-12)
    assert float(rip_constant(torch.full((1, 3), 0.1, dtype=D), 2)) == pytest.approx(1)


def test_rip_constant_goes_through_every_chunk():
    # The last of the 4845 supports is the worst: its columns all lean on each other.
    gram = torch.eye(20, dtype=D)
    gram[16:, 16:] += 0.2 * (1 - torch.eye(4, dtype=D))
    A = torch.linalg.cholesky(gram).T
    assert float(rip_constant(A, 4)) == pytest.approx(0.6)
    assert float(rip_constant(A[:, :19], 4)) == pytest.approx(0.4)


@pytest.mark.parametrize("s", [1, 2, 4])
def test_rip_lower_bound_is_one_and_the_search_finds_more(s):
    A = gaussian_matrix(12, 20, generator=source(s))
    exact = float(rip_constant(A, s))
    found = float(rip_lower_bound(A, s, generator=source()))
    drawn = float(rip_lower_bound(A, s, trials=4, steps=0, generator=source()))
    assert drawn <= found + 1e-12
    assert found <= exact + 1e-12
    assert found >= 0.9 * exact


def test_the_search_for_isometry_moves_away_from_its_starts():
    A = gaussian_matrix(20, 60, generator=source(4))
    unmoved = float(rip_lower_bound(A, 4, trials=2, steps=0, generator=source()))
    assert float(rip_lower_bound(A, 4, trials=2, generator=source())) > unmoved + 0.01


def test_rip_lower_bound_looks_at_both_ends():
    # Two equal columns: the smallest eigenvalue of their Gram matrix is 0, the largest only a little above 1.
    # The other columns are longer than both together, so that climbing leads away from the pair.
    A = torch.eye(60, dtype=D)
    A[:, :2] = 0.5 * A[:, :1]
    assert float(rip_lower_bound(A, 2, trials=4, generator=source())) == pytest.approx(1)
    A = torch.eye(60, dtype=D)
    A[:, 1] = A[:, 0]
    assert float(rip_lower_bound(2 * A, 2, trials=4, generator=source())) == pytest.approx(7)


def test_srec_ratio_per_pair():
    A, x1, x2 = normal(3, 6), normal(2, 4, 6), normal(2, 4, 6, seed=1)
    expected = ((x1 - x2) @ A.T).norm(dim=-1) / (x1 - x2).norm(dim=-1)
    torch.testing.assert_close(srec_ratio(A, x1, x2), expected)
    assert srec_ratio(A, x1[0], x1[0]).tolist() == [float("inf")] * 4


def test_srec_constant_of_a_linear_generator_is_a_singular_value():
    B, A = torch.linalg.qr(normal(20, 4)).Q, normal(10, 20, seed=1)
    expected = float(torch.linalg.svdvals(A @ B)[-1])
    found = srec_constant(lambda z: z @ B.T, A, k=4, pairs=4, steps=0, generator=source())
    assert float(found) == pytest.approx(expected, rel=1e-9)
    skew = B @ normal(4, 4, seed=2)
    found = srec_constant(lambda z: z @ skew.T, A, k=4, pairs=4, steps=5, generator=source())
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_srec_constant_ignores_directions_in_which_nothing_moves():
    B = torch.linalg.qr(normal(20, 3)).Q
    A = normal(10, 20, seed=1)
    wasteful = torch.cat([B, torch.zeros(20, 2, dtype=D), B[:, :1]], dim=1)
    found = srec_constant(lambda z: z @ wasteful.T, A, k=6, pairs=4, steps=0, generator=source())
    assert float(found) == pytest.approx(float(torch.linalg.svdvals(A @ B)[-1]), rel=1e-9)


def test_srec_constant_is_zero_with_fewer_measurements_than_dimensions():
    B = normal(20, 4)
    found = srec_constant(lambda z: z @ B.T, normal(3, 20), k=4, pairs=2, steps=0, generator=source())
    assert float(found) < 1e-12


def test_a_generator_of_one_signal_asks_nothing():
    single = torch.ones(6, dtype=D)
    found = srec_constant(lambda z: 0 * z.sum(-1, keepdim=True) + single, normal(2, 6), k=3, pairs=2, steps=3)
    assert found == float("inf")


def test_the_search_finds_far_worse_pairs_than_chance():
    network = relu_network(0)
    A = gaussian_matrix(20, 300, generator=source(9))
    with torch.no_grad():
        x = network(normal(4000, 5, seed=3))
    by_chance = float(srec_ratio(A, x[:2000], x[2000:]).min())
    found = float(srec_constant(network, A, generator=source(4)))
    assert found < 0.7 * by_chance
    # What was found is the ratio of a pair or a tangent, so more search only lowers it.
    assert float(srec_constant(network, A, pairs=256, generator=source(4))) <= found * 1.05


def test_the_tangent_that_a_matrix_cannot_see_is_found():
    # Two different points of the curve always differ in the first coordinate, but at 0 the tangent does not.
    def cubic(z):
        return torch.cat([z**3, z], dim=-1)

    A = torch.tensor([[1.0, 0.0]], dtype=D)
    assert float(srec_constant(cubic, A, k=1, pairs=16, steps=0, generator=source(1))) > 1e-4
    assert float(srec_constant(cubic, A, k=1, pairs=16, generator=source(1))) < 1e-6


def test_the_ball_is_respected():
    seen = []

    def watched(z):
        seen.append(float(z.detach().norm(dim=-1).max()))
        return z

    srec_constant(watched, normal(3, 5), k=5, pairs=4, steps=20, radius=0.5, generator=source())
    assert max(seen) <= 0.5 + 1e-12


def test_the_weights_of_a_generator_get_no_gradients():
    network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 12)).double()
    found = srec_constant(network, normal(6, 12), k=2, pairs=4, steps=5, generator=source())
    assert all(weight.grad is None for weight in network.parameters())
    assert not found.requires_grad
    with torch.no_grad():
        inside = srec_constant(network, normal(6, 12), k=2, pairs=4, steps=5, generator=source())
    assert torch.equal(found, inside)


# Units

# The dtype, and powers of two of A and of the signals: each within the numbers, and their product too.
UNITS = [
    (D, -460, -460),
    (D, 460, 460),
    (D, 700, -900),
    (D, -1000, 700),
    (D, 1000, -1010),
    (torch.float32, -50, -50),
    (torch.float32, 50, 50),
    (torch.float32, 110, -120),
]


def in_units(tensor, power):
    """Exactly; 2.0**power alone may be no float."""
    return tensor * 2.0 ** (power // 2) * 2.0 ** (power - power // 2)


@pytest.mark.parametrize(("dtype", "a", "b"), UNITS)
def test_units_of_powers_of_two_change_no_bit(dtype, a, b):
    A, x1, x2 = (v.to(dtype) for v in (normal(7, 12), normal(4, 12, seed=1), normal(4, 12, seed=2)))
    big, up1, up2 = in_units(A, a), in_units(x1, b), in_units(x2, b)
    assert torch.equal(mutual_coherence(big), mutual_coherence(A))
    assert torch.equal(srec_ratio(big, up1, up2), in_units(srec_ratio(A, x1, x2), a))
    noisy, same = (measure(*v, smnr_db=20.0, generator=source(3)) for v in ((A, x1), (big, up1)))
    assert torch.equal(same, in_units(noisy, a + b))
    W = normal(12, 3, seed=4).to(dtype)

    def bent(z):
        return torch.tanh(z @ W.T)

    options = {"k": 3, "pairs": 3, "steps": 5}
    plain = srec_constant(bent, A, **options, generator=source(5))
    found = srec_constant(lambda z: in_units(bent(z), b), big, **options, generator=source(5))
    assert torch.equal(found, in_units(plain, a))


@pytest.mark.parametrize(
    ("dtype", "unit"), [(D, 1e-140), (D, 1e140), (torch.float32, 1e-15), (torch.float32, 1e15)]
)
def test_units_of_powers_of_ten_change_rounding_only(dtype, unit):
    A, x1, x2 = (v.to(dtype) for v in (normal(7, 12), normal(4, 12, seed=1), normal(4, 12, seed=2)))
    torch.testing.assert_close(mutual_coherence(unit * A), mutual_coherence(A))
    torch.testing.assert_close(srec_ratio(unit * A, unit * x1, unit * x2) / unit, srec_ratio(A, x1, x2))
    noisy, same = (measure(v * A, v * x1, smnr_db=20.0, generator=source(3)) for v in (1, unit))
    torch.testing.assert_close(same / unit / unit, noisy)


def test_the_extremes_have_their_values():
    A = normal(7, 12)
    torch.testing.assert_close(mutual_coherence(1e200 * A), mutual_coherence(A))
    mixed = A * 10.0 ** torch.linspace(-300, 300, 12, dtype=D)
    torch.testing.assert_close(mutual_coherence(mixed), mutual_coherence(A))
    x = 1e-200 * normal(12, seed=1)
    torch.testing.assert_close(srec_ratio(A, x, 2 * x), srec_ratio(A, 1e200 * x, 0 * x))
    top = torch.full((12,), 1.5e308, dtype=D)
    torch.testing.assert_close(srec_ratio(A, top, -top), A.sum(-1).norm() / 12**0.5)
    # The sum comes back from where it overflows on its way.
    back = torch.tensor([[1e200, 1e200], [1e-100, 0.0]], dtype=D)
    assert measure(back, torch.tensor([1e200, -1e200], dtype=D)).tolist() == pytest.approx([0.0, 1e100])
    small = torch.full((2,), 1e-200, dtype=D)
    assert measure(1e200 * torch.eye(2, dtype=D), small).tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("bound", [rip_constant, lambda A, s: rip_lower_bound(A, s, generator=source())])
def test_isometry_is_no_matter_of_units_but_has_its_value_in_all(bound, s):
    A = gaussian_matrix(8, 10, generator=source())
    above = float(bound(A, s)) + 1
    for unit, expected in [(1e-200, 1.0), (1e-140, 1.0), (1e100, above * 1e200), (1e150, above * 1e300)]:
        assert float(bound(unit * A, s)) == pytest.approx(expected, rel=1e-9)
    assert float(bound(1e15 * A.float(), s)) == pytest.approx(above * 1e30, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda A: rip_constant(1e200 * A, 2),
            "the restricted isometry constant is too large for torch.float64",
        ),
        (lambda A: rip_lower_bound(1e200 * A, 2), "constant's bound is too large for torch.float64"),
        (lambda A: srec_ratio(1.7e308 * A.sign(), A.sign(), -A.sign()), "a ratio is too large for"),
        (lambda A: srec_constant(identity, 1.7e308 * A.sign()[:, :1], k=1), "the ratio is too large for"),
        (lambda A: measure(1e200 * A, 1e200 * A), "A x is too large for torch.float64, whose .* 1.8e[+]308"),
        (lambda A: measure(A, A, smnr_db=-1e5), "y = A x [+] noise is too large for torch.float64"),
        (
            lambda A: measure(A.float(), A.float(), noise_std=1e60),
            "noise_std is 1e[+]60, which is inf in torch.float32",
        ),
    ],
)
def test_what_is_beyond_the_numbers_is_said(call, words):
    with pytest.raises(ValueError, match=words):
        call(normal(3, 5) + torch.eye(3, 5, dtype=D))


@pytest.mark.parametrize(
    "formula", [mutual_coherence, lambda A: srec_ratio(A, X1, X2).sum(), lambda A: measure(A, X1).sum()]
)
def test_the_formulas_are_differentiable(formula):
    A = normal(3, 5).requires_grad_()
    (slope,) = torch.autograd.grad(formula(A), A)
    step = 1e-6 * normal(3, 5, seed=1)
    with torch.no_grad():
        above, below = formula(A + step), formula(A - step)
    torch.testing.assert_close((slope * step).sum(), (above - below) / 2, rtol=1e-5, atol=1e-15)


X1, X2 = normal(2, 5, seed=6), normal(2, 5, seed=7)


def test_what_a_search_finds_carries_no_graph():
    A = normal(3, 5).requires_grad_()
    found = rip_constant(A, 2), rip_lower_bound(A, 2), srec_constant(identity, A, k=5, pairs=2, steps=2)
    assert not any(value.requires_grad for value in found)


def tiring(after, until=10**6):
    """A generator that gives NaN after some calls, and until some."""
    calls = itertools.count()
    return lambda z: z * (torch.nan if after <= next(calls) < until else 1.0)


def identity(z):
    return z


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda A: gaussian_matrix(0, 3), ValueError, "m is 0; it must be at least 1"),
        (lambda A: gaussian_matrix(3, 2.0), TypeError, "n is 2.0"),
        (lambda A: gaussian_matrix(3, 3, scale="rows"), ValueError, "scale is 'rows'"),
        (lambda A: gaussian_matrix(3, 3, dtype=torch.int32), TypeError, "dtype is torch.int32"),
        (lambda A: gaussian_matrix(3, 3, generator=0), TypeError, "generator is a int"),
        (lambda A: measure(A, torch.ones(4, dtype=D)), ValueError, r"x has shape \(4,\)"),
        (lambda A: measure(A, torch.ones(5)), TypeError, "x has dtype torch.float32 and A"),
        (lambda A: measure(A, A, smnr_db=1.0, noise_std=1.0), ValueError, "smnr_db is 1.0 and noise_std"),
        (lambda A: measure(A, A, noise_std=-1.0), ValueError, "noise_std is -1"),
        (lambda A: measure(A, A, smnr_db=float("inf")), ValueError, "smnr_db is inf; it must be finite"),
        (lambda A: measure(A, A, smnr_db=torch.ones(7, dtype=D)), ValueError, r"smnr_db has shape \(7,\)"),
        (lambda A: measure(A, A, generator=1), TypeError, "generator is a int"),
        (lambda A: mutual_coherence(A[:, :1]), ValueError, "A has 1 column"),
        (
            lambda A: mutual_coherence(A * torch.eye(5, dtype=D)[0]),
            ValueError,
            "A has a zero column, number 1",
        ),
        (lambda A: mutual_coherence(A[None]), ValueError, "single matrix"),
        (lambda A: rip_constant(A, 0), ValueError, "s is 0; it must be between 1 and 5"),
        (lambda A: rip_constant(A.repeat(1, 8), 5), ValueError, "s is 5: there are 658008 supports"),
        (lambda A: rip_constant(A[None], 2), ValueError, "single matrix"),
        (lambda A: rip_lower_bound(A, 6), ValueError, "s is 6"),
        (lambda A: rip_lower_bound(A, 2, trials=0), ValueError, "trials is 0"),
        (lambda A: rip_lower_bound(A, 2, steps=-1), ValueError, "steps is -1"),
        (lambda A: srec_ratio(A, A, A[:2]), ValueError, r"x1 has shape \(3, 5\) and x2 \(2, 5\)"),
        (lambda A: srec_constant(3, A, k=5), TypeError, "G is a int; it must be callable"),
        (lambda A: mutual_coherence(A.half()), TypeError, "A has dtype torch.float16; it must be"),
        (lambda A: mutual_coherence(A.to_sparse()), TypeError, "A is a sparse_coo tensor; it must be dense"),
        (lambda A: rip_constant(A.to("meta"), 2), TypeError, "A is on the device meta"),
        (lambda A: rip_lower_bound(A + 1j, 2), TypeError, "A has dtype torch.complex128"),
        (lambda A: measure(A, A.bfloat16()), TypeError, "x has dtype torch.bfloat16; it must be"),
        (lambda A: srec_ratio(A, A, A.to_sparse()), TypeError, "x2 is a sparse_coo tensor"),
        (lambda A: measure(A, A[:0]), ValueError, r"x is empty: its shape is \(0, 5\)"),
        (
            lambda A: gaussian_matrix(2, 3, dtype=torch.float16),
            TypeError,
            "dtype is torch.float16; it must be",
        ),
        (
            lambda A: gaussian_matrix(2, 3, device="nonsense"),
            ValueError,
            "device is 'nonsense'; it must be a",
        ),
        (lambda A: gaussian_matrix(2, 3, device="cuda:99"), ValueError, "device is 'cuda:99'; it must be a"),
        (
            lambda A: gaussian_matrix(2, 3, device="meta"),
            ValueError,
            "device is 'meta', which holds no numbers",
        ),
        (lambda A: srec_constant(lambda z: z * torch.nan, A, k=5), ValueError, r"G\(z\) holds NaN"),
        (
            lambda A: srec_constant(tiring(2, 3), A, k=5),  # among the pairs
            ValueError,
            "G leaves the numbers where the search",
        ),
        (
            lambda A: srec_constant(tiring(2), A, k=5, steps=0),  # at the tangents
            ValueError,
            "G leaves the numbers where the search",
        ),
        (
            lambda A: srec_constant(torch.nn.BatchNorm1d(5, dtype=D), A, k=5),
            ValueError,
            r"BatchNorm1d in training mode, .*: call G\.eval\(\)",
        ),
        (
            lambda A: srec_constant(torch.nn.Linear(5, 5), A, k=5),
            TypeError,
            "G's parameter weight has dtype torch.float32 on cpu; it must have A's, torch.float64",
        ),
        (lambda A: srec_constant(identity, A), ValueError, "k is None and G has no latent_dim"),
        (lambda A: srec_constant(identity, A, k=0), ValueError, "k is 0"),
        (lambda A: srec_constant(identity, A, k=4), ValueError, r"G\(z\) has shape \(128, 4\)"),
        (
            lambda A: srec_constant(torch.Tensor.float, A, k=5),
            TypeError,
            r"G\(z\) has dtype torch.float32 and A",
        ),
        (lambda A: srec_constant(identity, A[None], k=5), ValueError, "single matrix"),
        (lambda A: srec_constant(identity, A, k=5, pairs=0), ValueError, "pairs is 0"),
        (lambda A: srec_constant(identity, A, k=5, steps=-1), ValueError, "steps is -1"),
        (lambda A: srec_constant(identity, A, k=5, radius=0.0), ValueError, "radius is 0"),
    ],
)
def test_bad_arguments_are_named(call, kind, words):
    with pytest.raises(kind, match=words):
        call(normal(3, 5))
