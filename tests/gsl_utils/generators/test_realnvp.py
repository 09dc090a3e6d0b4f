"""RealNVP: by hand, against autograd's Jacobian and against another library of flows, and its training."""

import math

import pytest
import torch
import zuko
from torch.distributions import AffineTransform

from gsl_utils.generators import RealNVP, fit_flow


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


def by_hand(flow, i, a):
    """The log-scale and the shift of coupling i."""
    inner, outer = flow.conditioners[i][0], flow.conditioners[i][-1]
    out = torch.tanh(a @ inner.weight.T + inner.bias) @ outer.weight.T + outer.bias
    half = out.shape[-1] // 2
    return torch.tanh(out[..., :half]), out[..., half:]


@pytest.mark.parametrize("dim", [2, 5, 6])
@pytest.mark.parametrize("n_coupling", [1, 2, 3])
def test_couplings_alternate_the_halves(dim, n_coupling):
    flow = RealNVP(dim, n_coupling, hidden=7, gain=1.5, generator=source())
    z = normal(3, 4, dim)
    left, right = z[..., : dim // 2], z[..., dim // 2 :]
    for i in range(n_coupling):
        if i % 2 == 0:
            log_scale, shift = by_hand(flow, i, left)
            right = right * log_scale.exp() + shift
        else:
            log_scale, shift = by_hand(flow, i, right)
            left = left * log_scale.exp() + shift
    torch.testing.assert_close(flow(z), torch.cat([left, right], dim=-1))
    assert flow.latent_dim == flow.dim == dim
    assert flow.n_coupling == n_coupling


@pytest.mark.parametrize("gain", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("dim", [2, 7])
def test_the_inverse_undoes_the_generator(gain, dim):
    flow = RealNVP(dim, 5, gain=gain, generator=source())
    z = normal(4, 3, dim)
    torch.testing.assert_close(flow.inverse(flow(z)), z)
    torch.testing.assert_close(flow(flow.inverse(z)), z)
    if gain == 0:
        assert torch.equal(flow(z), z)


@pytest.mark.parametrize("gain", [0.0, 1.0, 3.0])
def test_the_density_is_that_of_the_jacobians_determinant(gain):
    flow = RealNVP(5, 3, gain=gain, generator=source())
    x = normal(6, 5)
    jacobian = torch.func.vmap(torch.func.jacrev(flow.inverse))(x)
    z = flow.inverse(x)
    expected = -z.square().sum(-1) / 2 - 2.5 * math.log(2 * math.pi) + jacobian.det().abs().log()
    torch.testing.assert_close(flow.log_prob(x), expected)


def test_the_density_integrates_to_one():
    flow = RealNVP(2, 3, gain=2.0, generator=source())
    axis = torch.linspace(-15, 15, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    mass = flow.log_prob(grid).detach().exp().sum() * (axis[1] - axis[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("dim", [5, 6])
def test_it_is_the_flow_of_another_library(dim):
    flow = RealNVP(dim, 4, gain=2.0, generator=source())
    mask = torch.arange(dim) < dim // 2

    def coupling(i):
        def transform(kept):
            log_scale, shift = by_hand(flow, i, kept)
            return AffineTransform(-shift * (-log_scale).exp(), (-log_scale).exp(), event_dim=1)

        return zuko.transforms.CouplingTransform(transform, mask if i % 2 == 0 else ~mask)

    zero = torch.zeros(dim, dtype=torch.float64)
    theirs = zuko.distributions.NormalizingFlow(
        zuko.transforms.ComposedTransform(*(coupling(i) for i in reversed(range(4)))),
        zuko.distributions.DiagNormal(zero, zero + 1),
    )
    x = normal(3, 4, dim)
    torch.testing.assert_close(flow.log_prob(x), theirs.log_prob(x))
    torch.testing.assert_close(flow.inverse(x), theirs.transform(x))
    torch.testing.assert_close(flow(x), theirs.transform.inv(x))


def test_weights_are_drawn_as_torch_draws_them_and_multiplied_by_the_gain():
    flow, twice = (RealNVP(100, 2, hidden=80, gain=gain, generator=source(1)) for gain in (1.0, 2.0))
    other = RealNVP(100, 2, hidden=80, generator=source(2))
    for name, weight in flow.named_parameters():
        torch.testing.assert_close(2 * weight, twice.state_dict()[name])
        assert not torch.equal(weight, other.state_dict()[name])
        limit = (50 if name.split(".")[-2] == "0" else 80) ** -0.5
        assert 0.9 * limit < weight.abs().max() <= limit
        assert float(weight.detach().square().mean()) == pytest.approx(limit**2 / 3, rel=0.35)
    layer = torch.nn.Linear(50, 80, dtype=torch.float64)
    assert layer.weight.abs().max() <= 50**-0.5
    assert float(layer.weight.detach().square().mean()) == pytest.approx(1 / 150, rel=0.1)


def test_the_global_source_is_left_alone():
    state = torch.get_rng_state()
    flow = RealNVP(4, 1, generator=source())
    fit_flow(flow, normal(20, 4), steps=2, batch_size=3, generator=source())
    assert torch.equal(torch.get_rng_state(), state)


def test_dtype_and_device_are_those_asked_for():
    assert {w.dtype for w in RealNVP(4, 1, dtype=torch.float32).parameters()} == {torch.float32}
    assert {w.device.type for w in RealNVP(4, 1, device="meta").parameters()} == {"meta"}


def test_training_reaches_the_density_of_a_gaussian():
    """The likelihood of the best flow is known: the negative entropy of what the samples are drawn from."""
    spread = torch.tensor([0.5, 2.0, 1.0, 1.5], dtype=torch.float64)
    samples, fresh = (1 + spread * normal(4000, 4, seed=seed) for seed in (1, 2))
    flow = RealNVP(4, 4, hidden=16, generator=source())
    before = {name: weight.clone() for name, weight in flow.state_dict().items()}
    trained, loss = fit_flow(flow, samples, steps=400, lr=0.02, generator=source())
    entropy = float((spread * math.sqrt(2 * math.pi * math.e)).log().sum())
    assert loss.shape == (400,)
    assert float(loss[0]) > entropy + 1
    with torch.no_grad():
        assert float(-trained.log_prob(fresh).mean()) == pytest.approx(entropy, abs=0.1)
    assert all(torch.equal(before[name], weight) for name, weight in flow.state_dict().items())


def test_one_step_of_training_is_torchs():
    flow, samples = RealNVP(4, 2, hidden=5, generator=source()), normal(30, 4)
    trained, loss = fit_flow(flow, samples, steps=1, batch_size=8, lr=0.01, generator=source(7))
    chosen = samples[torch.randint(30, (8,), generator=source(7))]
    nll = -flow.log_prob(chosen).mean()
    nll.backward()
    torch.testing.assert_close(loss[0], nll.detach())
    for before, after in zip(flow.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(after, before - 0.01 * before.grad.sign(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"dim": 1}, ValueError, "dim is 1; it must be at least 2"),
        ({"dim": 4.0}, TypeError, "dim is 4.0; it must be an integer"),
        ({"n_coupling": 0}, ValueError, "n_coupling is 0; it must be at least 1"),
        ({"hidden": 0}, ValueError, "hidden is 0; it must be at least 1"),
        ({"gain": -1.0}, ValueError, "gain is -1; it must be at least 0"),
        ({"gain": "2"}, TypeError, "gain is '2'; it must be a number"),
        ({"generator": 1}, TypeError, "generator is a int"),
        (
            {"dtype": torch.int64},
            TypeError,
            "dtype is torch.int64; it must be torch.float32 or torch.float64",
        ),
    ],
)
def test_bad_input_is_named(change, error, message):
    arguments = {"dim": 4, "n_coupling": 2} | change
    with pytest.raises(error, match=message):
        RealNVP(arguments.pop("dim"), arguments.pop("n_coupling"), **arguments)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"flow": torch.exp}, TypeError, "flow is a builtin_function_or_method; it must be a RealNVP"),
        ({"samples": normal(4)}, ValueError, r"samples has shape \(4,\); it must be \(N, 4\)"),
        ({"samples": normal(9, 3)}, ValueError, r"samples has shape \(9, 3\); it must be \(N, 4\)"),
        ({"samples": normal(9, 4).float()}, TypeError, "the flow's weights has torch.float64"),
        ({"steps": 0}, ValueError, "steps is 0; it must be at least 1"),
        ({"batch_size": 0}, ValueError, "batch_size is 0; it must be at least 1"),
        ({"lr": 0.0}, ValueError, "lr is 0; it must be above 0"),
        ({"generator": 1}, TypeError, "generator is a int"),
    ],
)
def test_training_names_bad_input(change, error, message):
    arguments = {"flow": RealNVP(4, 2), "samples": normal(9, 4)} | change
    with pytest.raises(error, match=message):
        fit_flow(arguments.pop("flow"), arguments.pop("samples"), **arguments)
