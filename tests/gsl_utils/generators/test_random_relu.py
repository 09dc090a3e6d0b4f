"""The random ReLU network: the layers that it says it has, what it does to scale and norm, and refusals."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gsl_utils.generators import RandomReLU
from gsl_utils.recovery import recover


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


WIDTHS = st.lists(st.integers(1, 9), min_size=2, max_size=5)


@given(WIDTHS, st.integers(0, 99))
def test_it_is_a_plain_network_with_a_relu_after_every_layer(widths, seed):
    G = RandomReLU(widths, generator=source(seed))
    plain = nn.Sequential()
    for weight in G.parameters():
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
        layer.weight = nn.Parameter(weight.detach().clone())
        plain.extend([layer, nn.ReLU()])
    z = normal(2, 3, widths[0], seed=seed + 1)
    assert torch.equal(G(z), plain(z))
    assert G(z).shape == (2, 3, widths[-1])
    assert (G(z) >= 0).all()
    assert (G.latent_dim, G.n, G.widths) == (widths[0], widths[-1], tuple(widths))
    assert [tuple(weight.shape) for weight in G.parameters()] == list(zip(widths[1:], widths, strict=False))


@given(WIDTHS, st.integers(0, 99), st.floats(1e-150, 1e150))
def test_a_positive_factor_passes_through(widths, seed, factor):
    G, z = RandomReLU(widths, generator=source(seed)), normal(4, widths[0], seed=seed + 1)
    torch.testing.assert_close(G(factor * z), factor * G(z), rtol=1e-12, atol=0)
    assert torch.equal(G(0 * z), torch.zeros(4, widths[-1], dtype=torch.float64))


def test_entries_have_the_variance_that_keeps_the_norm():
    for i, weight in enumerate(RandomReLU((300, 700, 100), generator=source(1)).parameters()):
        rows, count = len(weight), weight.numel()
        entries = weight.detach() * rows**0.5
        # Six standard errors of a mean and of a variance of N(0, 1) entries.
        assert abs(float(entries.mean())) < 6 / math.sqrt(count), i
        assert abs(float(entries.var()) - 1) < 6 * math.sqrt(2 / count), i


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_each_relu_takes_half_of_the_energy_in_the_mean(depth):
    z = normal(10)
    networks = [RandomReLU((10, *[150] * depth), generator=source(seed)) for seed in range(300)]
    energy = torch.stack([G(z).detach().square().sum() for G in networks]) / z.square().sum()
    mean, spread = energy.mean(), energy.std() / 300**0.5
    assert abs(mean - 2.0**-depth) < 4 * spread
    assert spread < 0.05 * 2.0**-depth


def test_its_range_is_a_cone_that_the_engine_searches():
    G, A = RandomReLU((3, 60, 120), generator=source(2)), normal(30, 120, seed=3) / 30**0.5
    z = normal(5, 3, seed=4)
    found = recover(G, A, G(z).detach() @ A.mT, method="lm", restarts=10, flip=True, generator=source(5))
    torch.testing.assert_close(found.z, z, rtol=1e-6, atol=1e-6)


def test_weights_come_from_the_given_source_only():
    state = torch.get_rng_state()
    first, same, other = (RandomReLU((3, 5, 7), generator=source(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    for a, b, c in zip(first.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_dtypes_and_devices():
    single = RandomReLU((3, 5, 7), generator=source(), dtype=torch.float32)
    assert single(torch.ones(3)).dtype == torch.float32
    meta = RandomReLU((3, 5), device="meta")
    assert meta(torch.zeros(2, 3, dtype=torch.float64, device="meta")).shape == (2, 5)


@pytest.mark.parametrize(
    ("widths", "options", "error", "message"),
    [
        (5, {}, TypeError, "widths is 5; it must be a sequence of integers"),
        ("55", {}, TypeError, "widths is '5'; it must be an integer"),
        ((5, 2.5), {}, TypeError, "widths is 2.5; it must be an integer"),
        ((5, 0), {}, ValueError, "widths is 0; it must be at least 1"),
        ((5,), {}, ValueError, r"widths is \(5,\); it must hold the latent dimension and"),
        ((5, 6), {"generator": 1}, TypeError, "generator is a int; it must be a torch.Generator"),
        ((5, 6), {"dtype": torch.int64}, TypeError, "dtype is torch.int64"),
        ((5, 6), {"device": "nowhere"}, ValueError, "device is 'nowhere'"),
    ],
)
def test_bad_input_is_named(widths, options, error, message):
    with pytest.raises(error, match=message):
        RandomReLU(widths, **options)


@pytest.mark.parametrize(
    ("z", "error", "message"),
    [
        (
            torch.zeros(4, dtype=torch.float64),
            ValueError,
            r"z has shape \(4,\); its last dimension must be 3",
        ),
        (torch.zeros(3), TypeError, "z has dtype torch.float32 on cpu; it must have the weights'"),
        (torch.full((3,), torch.nan, dtype=torch.float64), ValueError, "z holds NaN"),
        ([0.0, 0.0, 0.0], TypeError, "z is a list"),
    ],
)
def test_bad_latents_are_named(z, error, message):
    with pytest.raises(error, match=message):
        RandomReLU((3, 5))(z)
