"""The VAE: its decoder by hand, its encoder, its random weights, and every refusal."""

import math

import pytest
import torch

from gsl_utils.generators import VAE


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=torch.float64)


ACTIVATIONS = {
    "softplus": lambda u: torch.log1p(u.exp()),
    "relu": lambda u: u.clamp(min=0),
    "leaky_relu": lambda u: torch.where(u > 0, u, 0.01 * u),
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (5,), (7, 5)])
def test_the_decoder_is_the_network_that_is_documented(activation, hidden):
    G = VAE(9, 3, hidden=hidden, activation=activation, generator=source())
    layers = [layer for layer in G.decoder if isinstance(layer, torch.nn.Linear)]
    assert [layer.in_features for layer in layers] == [3, *reversed(hidden)]
    z = normal(2, 4, 3)
    u = z
    for i, layer in enumerate(layers):
        u = u @ layer.weight.T + layer.bias
        u = ACTIVATIONS[activation](u) if i < len(layers) - 1 else 1 / (1 + (-u).exp())
    torch.testing.assert_close(G(z), u)
    assert torch.equal(G(z), G.decode(z))
    assert G(z).shape == (2, 4, 9)
    assert G.latent_dim == 3


def test_the_encoder_gives_a_mean_and_a_log_variance():
    G = VAE(9, 3, hidden=(7, 5), generator=source())
    mean, log_var = G.encode(normal(2, 4, 9))
    assert mean.shape == log_var.shape == (2, 4, 3)
    assert [layer.in_features for layer in G.encoder if isinstance(layer, torch.nn.Linear)] == [9, 7, 5]
    both = G.encoder(normal(2, 4, 9))
    assert torch.equal(torch.cat([mean, log_var], dim=-1), both)


def test_weights_are_drawn_by_glorots_rule_from_the_given_source():
    G = VAE(100, 20, hidden=(60,), generator=source(1))
    same, other = (
        VAE(100, 20, hidden=(60,), generator=source(1)),
        VAE(100, 20, hidden=(60,), generator=source(2)),
    )
    for name, weight in G.named_parameters():
        assert torch.equal(weight, same.state_dict()[name])
        if weight.ndim < 2:
            assert not weight.any()
            continue
        assert not torch.equal(weight, other.state_dict()[name])
        limit = math.sqrt(6 / sum(weight.shape))
        assert 0.95 * limit < weight.abs().max() <= limit
        assert float(weight.detach().square().mean()) == pytest.approx(limit**2 / 3, rel=0.1)


def test_the_global_source_is_left_alone():
    state = torch.get_rng_state()
    VAE(9, 3, hidden=(5,), generator=source())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_published_sizes_are_the_default():
    G = VAE(784, 20, generator=source(), dtype=torch.float32)
    assert [tuple(w.shape) for w in G.decoder.parameters() if w.ndim == 2] == [
        (500, 20),
        (500, 500),
        (784, 500),
    ]
    assert {w.dtype for w in G.parameters()} == {torch.float32}
    assert any(isinstance(layer, torch.nn.Softplus) for layer in G.decoder)


def test_weights_are_trained_as_any_modules():
    G = VAE(9, 3, hidden=(5,), generator=source())
    G(normal(2, 3)).sum().backward()
    assert all(weight.grad is not None for weight in G.decoder.parameters())


def test_another_device_is_where_everything_is_made():
    G = VAE(9, 3, hidden=(5,), device="meta")
    assert {weight.device.type for weight in G.parameters()} == {"meta"}
    assert G(torch.zeros(2, 3, dtype=torch.float64, device="meta")).shape == (2, 9)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n": 0}, ValueError, "n is 0; it must be at least 1"),
        ({"n": 2.5}, TypeError, "n is 2.5; it must be an integer"),
        ({"latent_dim": 0}, ValueError, "latent_dim is 0; it must be at least 1"),
        ({"hidden": (5, 0)}, ValueError, "hidden is 0; it must be at least 1"),
        ({"hidden": 5}, TypeError, "hidden is 5; it must be a sequence of integers"),
        ({"activation": "gelu"}, ValueError, "activation is 'gelu'; it must be one of 'softplus', 'relu'"),
        ({"generator": 1}, TypeError, "generator is a int"),
        (
            {"dtype": torch.int64},
            TypeError,
            "dtype is torch.int64; it must be torch.float32 or torch.float64",
        ),
    ],
)
def test_bad_input_is_named(change, error, message):
    arguments = {"n": 9, "latent_dim": 3, "hidden": (5,)} | change
    with pytest.raises(error, match=message):
        VAE(arguments.pop("n"), arguments.pop("latent_dim"), **arguments)
