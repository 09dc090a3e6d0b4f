"""The low-width network: its unit by hand, the preimage of every sparse vector, and every refusal."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsl_utils.common.generator_checks import Trusted
from gsl_utils.generators import LowWidthSparseReLU
from gsl_utils.generators.low_width_geometry import crossing_tangent

D = torch.float64
EPS = torch.finfo(D).eps


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=D)


def network(n=6, k=2, seed=0, **options):
    return LowWidthSparseReLU(n, k, generator=source(seed), **options)


def safe(n, k, seed=0):
    G = network(n, k, seed)
    return G.with_tan_alpha(0.5 * G.safe_tan_alpha())


def all_targets(n, sizes, value=1.0):
    """Every support of the given sizes with every choice of signs, as rows."""
    rows = []
    for size in sizes:
        for support in itertools.combinations(range(n), size):
            for signs in itertools.product([-value, value], repeat=size):
                row = [0.0] * n
                for i, sign in zip(support, signs, strict=True):
                    row[i] = sign
                rows.append(row)
    return torch.tensor(rows, dtype=D)


def drawn_targets(count, n, k, values, seed=0):
    support = torch.rand(count, n, generator=source(seed)).topk(k).indices
    return torch.zeros(count, n, dtype=D).scatter(-1, support, values(count, k, seed=seed + 1))


def error(G, x):
    return (G(G.encode(x)) - x).norm(dim=-1) / x.norm(dim=-1)


def by_hand(G, z):
    """The formula of the paper with its absolute values, gadget by gadget and counted from 1, in numpy."""
    v, v_prime, z = G.v.numpy(), G.v_prime.numpy(), z.numpy()
    F = {}
    for j in range(1, 2 * G.n + 1):
        a, b = v[j - 1] @ z, G.tan_alpha * (v_prime[j - 1] @ z)
        F[j] = abs(b + a) + abs(b - a) - 2 * abs(a)
    return np.array([F[2 * i - 1] - F[2 * i] for i in range(1, G.n + 1)])


# The network


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 1), (6, 2), (4, 4)])
def test_the_network_is_the_corrected_formula(n, k):
    G = network(n, k, tan_alpha=0.4)
    z = normal(2, 3, k + 1, seed=1)
    want = np.stack([[by_hand(G, row) for row in rows] for rows in z])
    np.testing.assert_allclose(G(z).numpy(), want, atol=1e-14)
    assert (G(z) != 0).any()
    assert G.latent_dim == k + 1


def test_outside_of_the_wedges_the_image_is_exactly_zero_and_it_is_even_and_homogeneous():
    G = network(50, 3, tan_alpha=1e-3)
    z = normal(1000, 4, seed=1)
    x = G(z)
    assert ((x != 0).sum(-1) == 0).sum() > 800
    assert torch.equal(G(-z), x)
    assert torch.equal(G(4 * z), 4 * x)


def test_with_one_non_zero_each_gadget_is_a_wedge_of_the_plane():
    G = network(4, 1, tan_alpha=math.tan(0.2))
    theta = torch.linspace(0, 2 * math.pi, 3001, dtype=D)
    radius = torch.rand(3001, generator=source(1), dtype=D)
    z = torch.stack([radius * theta.cos(), radius * theta.sin()], dim=-1)
    middle = torch.atan2(G.v_prime[:, 1], G.v_prime[:, 0])
    off = theta.unsqueeze(-1) - middle
    F = 2 * radius.unsqueeze(-1) * (math.tan(0.2) * off.cos().abs() - off.sin().abs()).clamp(min=0)
    torch.testing.assert_close(G(z), F[:, 0::2] - F[:, 1::2], atol=1e-14, rtol=0)


def test_the_vectors_are_unit_orthogonal_and_uniform():
    G = network(4000, 4, seed=3)
    for vectors in (G.v, G.v_prime):
        assert vectors.shape == (8000, 5)
        assert (vectors.norm(dim=-1) - 1).abs().max() < 4 * EPS
        # Of 8000 uniform directions: mean 0 and covariance I/5, to five standard errors.
        assert vectors.mean(0).abs().max() < 5 / math.sqrt(5 * 8000)
        assert (vectors.mT @ vectors / 8000 - torch.eye(5, dtype=D) / 5).abs().max() < 5 / math.sqrt(8000) / 5
    assert (G.v * G.v_prime).sum(-1).abs().max() < 4 * EPS


def test_the_vectors_come_from_the_given_source_alone():
    state = torch.get_rng_state()
    G, same, other = network(seed=1), network(seed=1), network(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(G.v, same.v)
    assert torch.equal(G.v_prime, same.v_prime)
    assert not torch.equal(G.v, other.v)
    single = network(seed=1, dtype=torch.float32)
    assert single.v.dtype == single.v_prime.dtype == torch.float32
    assert torch.equal(single.v, G.v.float())


@pytest.mark.parametrize(("n", "k"), [(1, 1), (6, 2), (40, 5)])
@pytest.mark.parametrize("tan_alpha", [0.5, 1e-3])
def test_the_dense_network_is_the_same_to_rounding(n, k, tan_alpha):
    G = network(n, k, tan_alpha=tan_alpha)
    dense = G.as_sequential()
    assert [type(layer) for layer in dense] == [torch.nn.Linear, torch.nn.ReLU, torch.nn.Linear]
    assert dense[0].weight.shape == (6 * n, k + 1)
    assert dense[2].weight.shape == (n, 6 * n)
    assert dense[0].bias is None
    assert dense[2].bias is None
    z = normal(7, 3, k + 1, seed=1)
    torch.testing.assert_close(dense(z), G(z), atol=100 * EPS, rtol=0)
    assert (G.with_tan_alpha(0.5)(z) != 0).any()


def test_the_dense_network_is_refused_where_it_is_too_large():
    with pytest.raises(ValueError, match="n is 4100: the dense network would have 100933800 weights"):
        network(4100, 2).as_sequential()


def test_another_angle_keeps_the_vectors_and_leaves_the_network_alone():
    G = network(tan_alpha=1e-3)
    wide = G.with_tan_alpha(0.5)
    assert (G.tan_alpha, wide.tan_alpha) == (1e-3, 0.5)
    assert torch.equal(G.v, wide.v)
    assert "n=6, k=2, tan_alpha=0.5" in repr(wide)


def test_gradients_flow_through_the_active_wedges():
    G = network(tan_alpha=0.5)
    z = normal(20, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(G, (z,))


def test_another_device_is_where_everything_is_made():
    G = LowWidthSparseReLU(6, 2, device="meta")
    assert {part.device.type for part in G.buffers()} == {"meta"}
    assert G(torch.zeros(5, 3, dtype=D, device="meta")).shape == (5, 6)


# The preimage


@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 1), (30, 1), (6, 2), (12, 2), (3, 3), (7, 3), (5, 4)])
def test_every_support_and_sign_is_encoded_and_fewer_non_zeros_too(n, k):
    G = safe(n, k)
    x = all_targets(n, range(1, k + 1))
    y = G(G.encode(x))
    assert torch.equal(y != 0, x != 0)
    assert ((y - x).norm(dim=-1) / x.norm(dim=-1)).max() < 1e-6


@pytest.mark.parametrize("values", [normal, lambda *shape, seed: normal(*shape, seed=seed).sign()])
def test_at_the_size_of_the_book_nearly_all_targets_come_back(values):
    G = network(1000, 20)
    x = drawn_targets(1000, 1000, 20, values, seed=1)
    found = error(G, x)
    assert (found <= 1e-3).double().mean() >= 0.97
    assert found.median() < 20 * EPS / 1e-7


@given(st.data())
@settings(max_examples=60)
def test_drawn_sparse_vectors_come_back(data):
    n = data.draw(st.integers(1, 12))
    k = data.draw(st.integers(1, min(n, 4)))
    batch = data.draw(st.sampled_from([(), (1,), (5,), (2, 3), (2, 1, 2)]))
    G = safe(n, k, seed=data.draw(st.integers(0, 3)))
    rows = []
    for _ in range(math.prod(batch)):
        support = data.draw(st.lists(st.integers(0, n - 1), max_size=k, unique=True))
        row = [0.0] * n
        power = data.draw(st.integers(-280, 280))
        for i in support:
            row[i] = data.draw(st.sampled_from([-1.0, 1.0])) * data.draw(st.floats(0.01, 1)) * 10.0**power
        rows.append(row)
    x = torch.tensor(rows, dtype=D).reshape(*batch, n)
    z = G.encode(x)
    y = G(z)
    assert z.shape == (*batch, k + 1)
    assert torch.equal(y != 0, x != 0)
    size = x.abs().amax(-1)
    # As the docstring says, and an allowance for the worst of all supports: what rounds is z.
    allowed = 20 * EPS * (z.abs().amax(-1) + size)
    assert ((y - x).abs().amax(-1) <= allowed).all()
    assert torch.equal(z.abs().amax(-1) > 0, size > 0)


def test_one_signal_does_not_see_another_and_a_batch_may_be_empty():
    G = safe(8, 3)
    x = all_targets(8, [1, 2, 3])[::7]
    x = torch.cat([x, torch.zeros(1, 8, dtype=D), 1e9 * x[:3]])
    together = G.encode(x)
    alone = torch.stack([G.encode(row) for row in x])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=0)
    assert torch.equal(together[-4], torch.zeros(4, dtype=D))
    assert G.encode(x[:0].reshape(0, 2, 8)).shape == (0, 2, 4)


def test_many_signals_are_encoded_in_parts(monkeypatch):
    G = safe(8, 3)
    x = all_targets(8, [1, 3])
    whole = G.encode(x)
    monkeypatch.setattr("gsl_utils.generators.low_width_preimage._TABLE", 32 * 16 * 5)
    torch.testing.assert_close(G.encode(x), whole, rtol=1e-9, atol=0)


def test_the_preimage_scales_with_the_signal_exactly():
    G = safe(6, 2)
    x = drawn_targets(20, 6, 2, normal)
    z = G.encode(x)
    for power in (-900, 3, 900):
        assert torch.equal(G.encode(x * 2.0**power), z * 2.0**power)
    assert not G.encode(x.requires_grad_()).requires_grad


def test_the_preimage_is_the_least_solution_of_the_linear_system():
    G = safe(6, 2)
    x = drawn_targets(10, 6, 2, normal, seed=4)
    for signal, z in zip(x, G.encode(x), strict=True):
        support = signal.nonzero().flatten().tolist()
        gadgets = [2 * i + int(signal[i] < 0) for i in support]
        with mpmath.workdps(40):
            V, V_prime = (mpmath.matrix(part[gadgets].tolist()) for part in (G.v, G.v_prime))
            # The common direction of two gadgets in space is a vector product; then lambda is the least.
            w = mpmath.matrix([V[0, i] * V[1, j] - V[0, j] * V[1, i] for i, j in ((1, 2), (2, 0), (0, 1))])
            w /= mpmath.norm(w) * mpmath.sign(sum(w[c] * z[c].item() for c in range(3)))
            rows = mpmath.matrix(3, 3)
            for row in range(2):
                along = sum(V_prime[row, c] * w[c] for c in range(3))
                for c in range(3):
                    rows[row, c] = mpmath.sign(along) * mpmath.mpf(G.tan_alpha) * V_prime[row, c] - V[row, c]
            rows[2, :] = w.T
            p = mpmath.lu_solve(rows, mpmath.matrix([0, 0, 1]))
            q = mpmath.lu_solve(rows, mpmath.matrix([*(abs(float(signal[i])) / 2 for i in support), 0]))
            least = max(-(V * q)[row] / (V * p)[row] for row in range(2))
            want = torch.tensor([float(entry) for entry in least * p + q], dtype=D)
        torch.testing.assert_close(z, want, rtol=0, atol=1e-9 * float(want.norm()))


def test_in_single_precision_only_wide_wedges_have_digits():
    x = torch.eye(6, dtype=torch.float32)
    wide = network(6, 2, dtype=torch.float32, tan_alpha=1e-2)
    assert wide.encode(x).dtype == torch.float32
    assert error(wide, x).max() < 20 * torch.finfo(torch.float32).eps / 1e-2
    assert error(network(6, 2, dtype=torch.float32), x).max() > 0.01


# Points, regions, leaks


@pytest.mark.parametrize(("n", "k"), [(5, 1), (6, 2), (7, 4)])
def test_the_point_of_a_set_is_its_null_vector(n, k):
    G = network(n, k)
    S = torch.rand(3, 5, 2 * n, generator=source(1)).topk(k).indices
    w = G.point(S)
    assert w.shape == (3, 5, k + 1)
    for gadgets, point in zip(S.reshape(-1, k), w.reshape(-1, k + 1), strict=True):
        want = scipy.linalg.null_space(G.v[gadgets].numpy())[:, 0]
        assert abs(want @ point.numpy()) == pytest.approx(1, abs=1e-12)
        assert np.abs(G.v[gadgets].numpy() @ point.numpy()).max() < 1e-14
        assert point[point.abs().argmax()] > 0


def test_the_region_of_a_set_is_where_all_of_its_gadgets_are_active():
    G = network(6, 2, tan_alpha=0.4)
    z = normal(500, 1, 3, seed=1)
    S = torch.arange(12).unsqueeze(-1)
    active = G.in_region(S, z)
    assert active.shape == (500, 12)
    assert torch.equal(active[:, 0::2] & ~active[:, 1::2], (G(z[:, 0]) > 0) & ~active[:, 1::2])
    assert torch.equal(active[:, 1::2] & ~active[:, 0::2], (G(z[:, 0]) < 0) & ~active[:, 0::2])
    pairs = torch.combinations(torch.arange(12))
    assert torch.equal(G.in_region(pairs, z), active[:, pairs].all(-1))
    assert G.in_region(pairs, G.point(pairs)).all()
    assert torch.equal(G.in_region(pairs, 1e9 * z), G.in_region(pairs, z))


def test_preimages_lie_in_the_region_of_their_gadgets():
    G = safe(6, 2)
    x = all_targets(6, [2], value=0.3)
    S = torch.stack([2 * row.nonzero().flatten() + (row[row != 0] < 0) for row in x])
    assert G.in_region(S, G.encode(x)).all()


def test_with_one_non_zero_the_safe_angle_is_half_the_smallest_angle_between_two_wedges():
    G = network(9, 1, seed=5)
    angle = torch.atan2(G.v_prime[:, 1], G.v_prime[:, 0]) % math.pi
    apart = (angle.unsqueeze(0) - angle.unsqueeze(1)).abs()
    apart = torch.minimum(apart, math.pi - apart).fill_diagonal_(torch.inf)
    assert G.safe_tan_alpha() == pytest.approx(math.tan(float(apart.min()) / 2), rel=1e-9)
    # It cannot be had wider: a little beyond, the two nearest wedges meet in the middle.
    first, second = divmod(int(apart.argmin()), 18)
    between = G.v_prime[first] + G.v_prime[second] * (G.v_prime[first] @ G.v_prime[second]).sign()
    both = torch.tensor([first, second])
    assert not G.with_tan_alpha(0.999 * G.safe_tan_alpha()).in_region(both, between)
    assert G.with_tan_alpha(1.001 * G.safe_tan_alpha()).in_region(both, between)


def test_leaks_are_found_where_wedges_are_wide_and_none_where_they_are_safe():
    G = network(8, 2)
    assert safe(8, 2).count_leaks(2000, generator=source(1)) == 0
    found = G.with_tan_alpha(0.1).count_leaks(2000, generator=source(1))
    assert 0 < found == G.with_tan_alpha(0.1).count_leaks(2000, generator=source(1))
    # Wedges that are nearly the whole of space: every input leaks. With k = n none can.
    assert G.with_tan_alpha(1e9).count_leaks(50, generator=source(1)) == 100
    assert network(2, 2).with_tan_alpha(1e9).count_leaks(50, generator=source(1)) == 0


def test_inputs_near_crossings_find_what_gaussian_ones_do_not():
    narrow = network(20, 2).with_tan_alpha(1e-4)
    z = normal(2000, 3, seed=1)
    assert ((narrow(z) != 0).sum(-1) > 2).sum() == 0
    assert narrow.count_leaks(2000, generator=source(1)) > 0


def test_leaks_are_counted_in_parts(monkeypatch):
    monkeypatch.setattr("gsl_utils.generators.low_width_geometry._TABLE", 16 * 7)
    assert network(8, 2).with_tan_alpha(1e9).count_leaks(50, generator=source(1)) == 100


# Refusals


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"n": 0}, ValueError, "n is 0; it must be at least 1"),
        ({"n": 2.5}, TypeError, r"n is 2\.5; it must be an integer"),
        ({"k": 0}, ValueError, "k is 0; it must be between 1 and 6, n"),
        ({"k": 7}, ValueError, "k is 7; it must be between 1 and 6, n"),
        ({"k": True}, TypeError, "k is True; it must be an integer"),
        ({"tan_alpha": 0.0}, ValueError, "tan_alpha is 0; it must be above 0"),
        ({"tan_alpha": math.inf}, ValueError, "tan_alpha is inf; it must be finite"),
        ({"tan_alpha": "1"}, TypeError, "tan_alpha is '1'; it must be a number"),
        ({"tan_alpha": 1e-60, "dtype": torch.float32}, ValueError, "tan_alpha is 1e-60, which is 0 in"),
        ({"generator": 1}, TypeError, "generator is a int"),
        ({"dtype": torch.int64}, TypeError, r"dtype is torch\.int64"),
        ({"device": "moon"}, ValueError, "device is 'moon'"),
    ],
)
def test_a_bad_network_is_refused(change, kind, message):
    arguments = {"n": 6, "k": 2} | change
    with pytest.raises(kind, match=message):
        LowWidthSparseReLU(arguments.pop("n"), arguments.pop("k"), **arguments)


NAN = torch.full((3,), math.nan, dtype=D)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda G: G(torch.zeros(4, dtype=D)),
            ValueError,
            r"z has shape \(4,\); its last dimension must be 3",
        ),
        (
            lambda G: G(torch.zeros(3)),
            TypeError,
            "z has dtype torch.float32 on cpu; it must have the weights'",
        ),
        (lambda G: G(NAN), ValueError, "z holds NaN"),
        (lambda G: G([0.0]), TypeError, "z is a list"),
        (
            lambda G: G.encode((torch.arange(6) < 3).double()),
            ValueError,
            "x has a signal with 3 non-zeros; .* k = 2",
        ),
        (lambda G: G.encode(torch.ones(5, dtype=D)), ValueError, r"x has shape \(5,\); .* must be 6"),
        (lambda G: G.encode(torch.eye(6)), TypeError, "x has dtype torch.float32"),
        (lambda G: G.encode(NAN.repeat(2)), ValueError, "x holds NaN"),
        (lambda G: G.encode(1e305 * torch.eye(6, dtype=D)), ValueError, "z is too large for torch.float64"),
        (lambda G: G.with_tan_alpha(-1.0), ValueError, "tan_alpha is -1; it must be above 0"),
        (lambda G: G.point([0, 1]), TypeError, "S is a list; it must be a torch.Tensor of integers"),
        (lambda G: G.point(torch.zeros(2)), TypeError, "S has dtype torch.float32"),
        (lambda G: G.point(torch.arange(3)), ValueError, "S has 3 gadgets in its last dimension; .* k = 2"),
        (lambda G: G.point(torch.tensor([0, 12])), ValueError, "gadget 12; it must be between 0 and 11"),
        (lambda G: G.point(torch.tensor([-1, 3])), ValueError, "gadget -1; it must be between 0 and 11"),
        (lambda G: G.point(torch.tensor([4, 4])), ValueError, "S has a gadget twice"),
        (lambda G: G.point(torch.tensor(4)), ValueError, r"S has shape \(\); it must be \(..., size\)"),
        (lambda G: G.in_region(torch.arange(2), NAN), ValueError, "z holds NaN"),
        (
            lambda G: G.in_region(torch.arange(6).reshape(3, 2), torch.zeros(2, 3, dtype=D)),
            ValueError,
            r"S has shape \(3, 2\) and z has \(2, 3\); their leading dimensions must broadcast",
        ),
        (lambda G: G.count_leaks(0), ValueError, "tries is 0; it must be at least 1"),
        (lambda G: G.count_leaks(2, generator=0), TypeError, "generator is a int"),
        (
            lambda G: network(400, 3).safe_tan_alpha(),
            ValueError,
            "there are 16938959800 sets of k . 1 gadgets",
        ),
    ],
)
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call(network())


def test_a_search_may_feed_what_is_no_number():
    assert Trusted(network())(NAN).shape == (6,)


def test_the_safe_angle_reaches_every_target_where_keeping_wedges_apart_does_not():
    x, lost = all_targets(8, [3]), 0
    for seed in range(40):
        G = network(8, 3, seed=seed)
        for t, alone in ((crossing_tangent(G.v, G.v_prime), True), (G.safe_tan_alpha(), False)):
            at = G.with_tan_alpha(0.999 * t)
            missed = bool(((at(at.encode(x)) - x).abs().amax(-1) > 1e-3 * x.abs().amax(-1)).any())
            assert alone or not missed
            lost += missed
    assert lost > 0
