"""Sigmoid, Exponential and the generator behind a matrix: closed forms, the engine on them, and refusals."""

import math

import pytest
import torch

from gsl_utils.generators import Exponential, RealNVP, Sigmoid, Synthesis
from gsl_utils.recovery import recover


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


def test_sigmoid_is_the_logistic_function():
    assert Sigmoid()(torch.tensor([0.0])).item() == 0.5
    u = normal(2, 3, 4)
    torch.testing.assert_close(Sigmoid()(u) / (1 - Sigmoid()(u)), u.exp())
    torch.testing.assert_close(Sigmoid()(u) + Sigmoid()(-u), torch.ones_like(u))


def test_exponential_turns_sums_into_products():
    u, v = normal(2, 3, 4), normal(2, 3, 4, seed=1)
    torch.testing.assert_close(Exponential()(u + v), Exponential()(u) * Exponential()(v))
    assert Exponential()(torch.ones(1, dtype=torch.float64)).item() == pytest.approx(math.e, rel=1e-15)


@pytest.mark.parametrize("f", [Sigmoid(), Exponential()])
def test_elementwise_generators_have_no_weights_and_see_each_entry_alone(f):
    assert not list(f.parameters())
    u = normal(5)
    jacobian = torch.func.jacfwd(f)(u)
    assert torch.equal(jacobian, torch.diag(jacobian.diagonal()))
    x = f(u)
    slope = x * (1 - x) if isinstance(f, Sigmoid) else x
    torch.testing.assert_close(jacobian.diagonal(), slope)


def test_synthesis_is_the_generator_of_a_product():
    B, z = normal(6, 9), normal(2, 3, 9, seed=1)
    flow = RealNVP(6, 2, generator=source())
    G = Synthesis(flow, B)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(G(z)[i, j], flow(B @ z[i, j]))
    assert G.latent_dim == 9
    assert "B" in dict(G.named_buffers())
    assert len(list(G.parameters())) == len(list(flow.parameters()))


def test_synthesis_takes_any_callable_and_any_dtype():
    B = normal(4, 5, dtype=torch.float32)
    z = normal(5, dtype=torch.float32)
    torch.testing.assert_close(Synthesis(torch.tanh, B)(z), torch.tanh(B @ z))


def test_the_engine_finds_the_latent_vector_again():
    B, z = normal(5, 5) + 3 * torch.eye(5, dtype=torch.float64), normal(3, 5, seed=1)
    for f in (Sigmoid(), Exponential(), RealNVP(5, 2, generator=source())):
        G = Synthesis(f, B / 3)
        x = G(z).detach()
        found = recover(
            G, torch.eye(5, dtype=torch.float64), x, method="lm", z0=torch.zeros_like(z), tol=1e-10
        )
        torch.testing.assert_close(found.z, z)


@pytest.mark.parametrize(
    ("G", "B", "error", "message"),
    [
        (3, torch.eye(2), TypeError, "G is a int; it must be callable"),
        (torch.exp, [[1.0]], TypeError, "B is a list; it must be a torch.Tensor"),
        (torch.exp, torch.eye(2).int(), TypeError, "B has dtype torch.int32; it must be torch.float32 or"),
        (torch.exp, torch.ones(2), ValueError, r"B has shape \(2,\); it must be a matrix"),
        (torch.exp, torch.ones(1, 2, 2), ValueError, r"B has shape \(1, 2, 2\); it must be one matrix"),
        (torch.exp, torch.full((2, 2), torch.nan), ValueError, "B holds NaN"),
        (
            RealNVP(4, 1),
            torch.ones(2, 3),
            ValueError,
            r"B has shape \(2, 3\); it must have G.latent_dim = 4 rows",
        ),
    ],
)
def test_bad_input_is_named(G, B, error, message):
    with pytest.raises(error, match=message):
        Synthesis(G, B)
