"""Any generator will do, what will not is named, and every start is where it was asked to be."""

import re

import pytest
import torch

from gsl_utils.generators import VAE
from gsl_utils.recovery import L2, recover
from toys import ByHand


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


W = normal(12, 4, seed=5)
A, Y, Z0 = normal(7, 12, seed=1), normal(3, 7, seed=2), normal(3, 4, seed=3)
NET = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 12)).double()
with torch.no_grad():
    for index, weights in enumerate(NET.parameters()):
        weights.copy_(normal(*weights.shape, seed=index))


def curved(z):
    return torch.tanh(z @ W.T) + 0.1 * z @ W.T


class Decoder(torch.nn.Module):
    """A module whose generator is a method, as a trained autoencoder's is."""

    def __init__(self):
        super().__init__()
        self.net = NET

    def decode(self, z):
        return self.net(z)


GENERATORS = {
    "function": curved,
    "lambda": lambda z: curved(z),
    "builtin": torch.exp,
    "module": NET,
    "lambda over a module": lambda z: NET(2 * z),
    "method of a module": Decoder().decode,
    "gradient by hand": lambda z: ByHand.apply(z @ W.T) + 0.1 * z @ W.T,
    "written in place": lambda z: z.new_zeros(len(z), 12).add_(curved(z)),
    "branching on values": lambda z: curved(z) if float(z.detach().sum()) < 1e9 else z @ W.T,
    "row by row": lambda z: torch.stack([curved(row) for row in z]),
    "shifted": lambda z: curved(z) + 1,
}


@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_is_any_callable(name, method):
    G = GENERATORS[name]
    table = normal(7, 4, seed=1) if G is torch.exp else A
    found = recover(G, table, Y, method=method, z0=Z0, steps=30)
    start = (G(Z0) @ table.T - Y).square().sum(-1).detach()
    assert (found.objective < start).all()
    assert not found.x.requires_grad
    assert not found.z.requires_grad
    torch.testing.assert_close(found.x, G(found.z).detach())


def test_levenberg_marquardt_needs_no_forward_mode():
    """By hand and by torch: the same steps."""
    keep = {"method": "lm", "z0": Z0, "steps": 6}
    by_hand = recover(GENERATORS["gradient by hand"], A, Y, **keep)
    torch.testing.assert_close(by_hand.z, recover(curved, A, Y, **keep).z)


@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: lambda z: net(z)], ids=["module", "lambda"])
def test_weights_never_get_gradients(method, wrap):
    """Nor do their flags change, whether they are to be trained or not."""
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 12)).double()
    net[0].weight.requires_grad_(False)
    net[2].bias.grad = torch.ones(12, dtype=torch.float64)
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    recover(wrap(net), A, Y, method=method, z0=Z0, steps=5)
    assert [weight.requires_grad for weight in net.parameters()] == [False, True, True, True]
    assert [weight.grad is None for weight in net.parameters()] == [True, True, True, False]
    assert (net[2].bias.grad == 1).all()
    assert all(torch.equal(weight, before[name]) for name, weight in net.state_dict().items())


def test_arguments_that_want_gradients_get_none():
    table, y, z0, weight = (t.clone().requires_grad_() for t in (A, Y, Z0, torch.ones(4).double()))
    found = recover(curved, table, y, penalty=L2(weight), method="lm", z0=z0, steps=5)
    for value in (found.x, found.z, found.objective):
        assert not value.requires_grad
    assert all(t.grad is None for t in (table, y, z0, weight))
    assert torch.equal(z0.detach(), Z0)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
def test_the_callers_mode_does_not_matter(context, method):
    outside = recover(curved, A, Y, method=method, z0=Z0, steps=4)
    with context():
        inside = recover(curved, A + 0, Y + 0, method=method, z0=Z0 + 0, steps=4)
    torch.testing.assert_close(inside.z, outside.z)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
def test_the_state_takes_the_dtype_of_y(dtype, method):
    G = VAE(12, 4, hidden=(8,), generator=torch.Generator().manual_seed(0), dtype=dtype)
    dtypes = set()
    G.register_forward_hook(lambda module, inputs, output: dtypes.add(inputs[0].dtype))
    found = recover(G, A.to(dtype), Y.to(dtype), method=method, steps=5, generator=torch.Generator())
    assert found.x.dtype == found.z.dtype == found.objective.dtype == dtype
    assert found.n_iter.dtype == torch.int64
    assert found.converged.dtype == torch.bool
    assert dtypes == {dtype}


@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
def test_no_tensor_is_made_on_another_device(method):
    """Every tensor follows y's device: with another as default nothing ends there."""
    G = VAE(12, 4, hidden=(8,), generator=torch.Generator().manual_seed(0))
    z0 = Z0.unsqueeze(1).repeat(1, 2, 1)
    keep = {"penalty": L2(0.1), "method": method, "z0": z0, "restarts": 2, "flip": True, "steps": 5}
    keep |= {"prune": [(1, 1)]}
    for table in (A, A.expand(3, 7, 12)):
        expected = recover(G, table, Y, **keep)
        with torch.device("meta"):
            found = recover(G, table, Y, **keep)
        assert found.x.device.type == found.n_iter.device.type == "cpu"
        torch.testing.assert_close(found.z, expected.z)


# Shapes.


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (2, 1)])
@pytest.mark.parametrize("restarts", [1, 2])
@pytest.mark.parametrize("own_matrix", [False, True])
def test_every_shape_of_a_batch(batch, restarts, own_matrix):
    table = normal(*batch, 7, 12, seed=1) if own_matrix else A
    y = normal(*batch, 7, seed=2)
    starts = [normal(*batch, restarts, 4)]
    if restarts == 1:
        starts += [normal(4), normal(*batch, 4)]
    for z0 in starts:
        found = recover(curved, table, y, z0=z0, restarts=restarts, steps=2)
        assert (found.x.shape, found.z.shape) == ((*batch, 12), (*batch, 4))
        assert found.objective.shape == found.n_iter.shape == found.converged.shape == batch
        expected = ((table @ found.x.unsqueeze(-1)).squeeze(-1) - y).square().sum(-1)
        torch.testing.assert_close(found.objective, expected)


def test_matrices_and_measurements_broadcast():
    tables, y = normal(2, 1, 7, 12, seed=1), normal(3, 7, seed=2)
    found = recover(curved, tables, y, z0=normal(2, 3, 2, 4), restarts=2, method="lm", steps=3)
    assert found.x.shape == (2, 3, 12)
    alone = recover(curved, tables[1, 0], y[2], z0=normal(2, 3, 2, 4)[1, 2], restarts=2, method="lm", steps=3)
    torch.testing.assert_close(found.z[1, 2], alone.z)


def test_a_start_for_all_one_per_signal_and_one_per_restart():
    each = Z0[0].expand(3, 4)
    for_all = recover(curved, A, Y, z0=Z0[0], steps=3)
    assert torch.equal(for_all.z, recover(curved, A, Y, z0=each, steps=3).z)
    assert torch.equal(for_all.z, recover(curved, A, Y, z0=each.unsqueeze(1), restarts=1, steps=3).z)


@pytest.mark.parametrize("z0", [Z0, Z0[0]])
def test_restarts_from_one_start_would_be_the_same_and_are_refused(z0):
    shape = re.escape(str(tuple(z0.shape)))
    with pytest.raises(ValueError, match=rf"restarts is 5 and z0 has shape {shape}, .* or z0 \(3, 5, k\)"):
        recover(curved, A, Y, z0=z0, restarts=5)


def test_drawn_starts_are_standard_normal_from_the_given_source():
    class Identity(torch.nn.Module):
        latent_dim = 500

        def forward(self, z):
            return z

    starts, source = [], torch.Generator().manual_seed(7)
    recover(
        Identity(), torch.eye(500).double(), normal(2, 500), restarts=3, method="gd", lr=1e-300, steps=1,
        generator=source, callback=lambda t, rows, z: starts.append(z),
    )  # fmt: skip
    expected = torch.randn(6, 500, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    assert torch.equal(starts[0], expected)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (3, 2, 5), (2, 4), (3, 3, 4), (6, 4), (1, 3, 2, 4)])
def test_other_starts_are_refused(shape):
    G = VAE(12, 4, hidden=(8,), generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"z0 has shape .*; (it|its last dimension) must be"):
        recover(G, A, Y, z0=normal(*shape), restarts=2)


def test_the_shapes_of_a_start_are_spelled_out():
    with pytest.raises(ValueError, match=r"it must be \(k,\), \(3, k\) or \(3, 2, k\): one start for all"):
        recover(curved, A, Y, z0=normal(5, 4), restarts=2)
    with pytest.raises(ValueError, match=r"it must be \(k,\), \(k,\) or \(2, k\)"):
        recover(curved, A, Y[0], z0=normal(5, 4), restarts=2)


# Refusals.


class Training(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, z):
        return self.layer(curved(z))


@torch.no_grad()
def detached(z):
    return curved(z)


def random(z):
    return curved(z) + torch.rand(12, generator=RANDOM, dtype=z.dtype)


RANDOM = torch.Generator().manual_seed(0)

REFUSALS = [
    (3, TypeError, r"G is a int; it must be callable"),
    (
        lambda z: z,
        ValueError,
        r"G gives \(1, 4\) for z of shape \(1, 4\); it must give \(1, 12\), A's columns",
    ),
    (lambda z: curved(z)[0], ValueError, r"G gives \(12,\) for z"),
    (lambda z: curved(z).numpy(), ValueError, r"G gives ndarray for z"),
    (lambda z: curved(z)[:1], ValueError, r"G gives \(1, 12\) for z of shape \(2, k\)"),
    (lambda z: curved(z).float(), TypeError, r"y has dtype torch.float64 and G\(z\) has torch.float32"),
    (lambda z: curved(z) - curved(z).mean(0), ValueError, r"its rows must not see each other"),
    (random, ValueError, r"it must not be random"),
    (lambda z: torch.nn.functional.dropout(curved(z)), ValueError, r"it must not be random"),
    (detached, TypeError, r"G's output depends on z and carries no gradient"),
    (lambda z: torch.from_numpy(curved(z).detach().numpy()), TypeError, r"carries no gradient"),
    (
        VAE(12, 4, hidden=(8,), dtype=torch.float32),
        TypeError,
        r"G's parameter encoder.0.weight has dtype torch.fl",
    ),
    (VAE(12, 4, hidden=(8,), dtype=torch.float32).decode, TypeError, r"G's parameter .* call G.to\(y\)"),
    (VAE(12, 4, hidden=(8,), device="meta"), TypeError, r"G's parameter .* on meta; it must have y's"),
    (Training(torch.nn.BatchNorm1d(12).double()), ValueError, r"layer is a BatchNorm1d in training mode"),
    (Training(torch.nn.Dropout(0.5)), ValueError, r"layer is a Dropout in training mode"),
]


@pytest.mark.parametrize(("G", "error", "message"), REFUSALS)
def test_what_is_no_generator_is_refused(G, error, message):
    with pytest.raises(error, match=message):
        recover(G, A, Y, z0=Z0)


def test_a_buffer_of_another_dtype_is_refused():
    net = Training(torch.nn.Identity())
    net.register_buffer("shift", torch.zeros(12))
    with pytest.raises(TypeError, match=r"G's buffer shift has dtype torch\.float32"):
        recover(net, A, Y, z0=Z0)
    net.register_buffer("shift", torch.zeros(12, dtype=torch.int64))
    recover(net, A, Y, z0=Z0, steps=1)


def test_layers_in_evaluation_mode_are_welcome():
    for layer in (torch.nn.BatchNorm1d(12).double(), torch.nn.Dropout(0.5)):
        found = recover(Training(layer).eval(), A, Y, z0=Z0, steps=3)
        assert torch.isfinite(found.objective).all()


def test_an_error_inside_a_generator_comes_through():
    def broken(z):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        recover(broken, A, Y, z0=Z0)
