"""The network whose range is the sparse vectors: both ways, against the network written out, and refusals."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.generators import SparseReLU, Synthesis
from gsl_utils.generators.wedges import double_wedge, wedge
from gsl_utils.recovery import recover

D = torch.float64
LAYERS = pytest.mark.parametrize("layers", [1, 2])


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=D):
    return torch.randn(*shape, generator=source(seed), dtype=dtype)


def targets(count, n, k, seed=0):
    """Vectors with k non-zeros of both signs and of sizes over twelve decades."""
    places = torch.randint(n, (count, k), generator=source(seed))
    values = normal(count, k, seed=seed + 1) * 10 ** (6 * normal(count, k, seed=seed + 2).clamp(-1, 1))
    return torch.zeros(count, n, dtype=D).scatter(-1, places, values)


def relative(found, x):
    scale = x.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    return float(((found - x) / scale).norm(dim=-1).max())


# The range is the sparse vectors, all of them and no others


@LAYERS
@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 2), (5, 3), (100, 7), (10**3, 40), (10**5, 8)])
def test_every_sparse_vector_comes_back(n, k, layers):
    G, x = SparseReLU(n, k, layers=layers), targets(20, n, k)
    z = G.encode(x)
    assert relative(G(z), x) <= 1e-9
    assert torch.equal(G(z) != 0, x != 0)
    torch.testing.assert_close(z.norm(dim=-1), x.norm(dim=-1), rtol=1e-12, atol=0)


@LAYERS
@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 2), (30, 4), (200, 16)])
def test_no_input_gives_more_non_zeros(n, k, layers):
    G = SparseReLU(n, k, layers=layers)
    assert int((G(normal(20000, 2 * k)) != 0).sum(-1).max()) == min(n, k)


@LAYERS
@given(data=st.data())
def test_any_support_values_and_batch_shape(layers, data):
    n = data.draw(st.integers(1, 40))
    k = data.draw(st.integers(1, n))
    batch = data.draw(st.sampled_from([(), (0,), (1,), (3,), (2, 2), (2, 0, 3)]))
    count = math.prod(batch)
    x = torch.zeros(count, n, dtype=D)
    value = st.floats(-1e200, 1e200).filter(lambda v: v == 0 or abs(v) > 1e-200)
    for row in x:
        for place in data.draw(st.lists(st.integers(0, n - 1), max_size=k)):
            row[place] = data.draw(value)
    x = x.reshape(*batch, n)
    G = SparseReLU(n, k, layers=layers)
    z = G.encode(x)
    assert z.shape == (*batch, 2 * k)
    assert G(z).shape == x.shape
    # Each entry by itself: a block knows nothing of the others.
    torch.testing.assert_close(G(z), x, rtol=1e-9, atol=0)
    coordinate, sign = G.sectors(z)
    counts = (x != 0).sum(-1)
    assert torch.equal((coordinate >= 0).sum(-1), counts)
    assert torch.equal(coordinate == -1, sign == 0)
    for i, s, row in (
        zip(coordinate.reshape(-1, k), sign.reshape(-1, k), x.reshape(-1, n), strict=True) if count else ()
    ):
        assert i[i >= 0].tolist() == row.nonzero().flatten().tolist()
        assert torch.equal(s[i >= 0].to(D), row[i[i >= 0]].sign())


# It is the network that it says it is


@LAYERS
@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 3), (12, 2), (40, 5)])
def test_it_is_the_network_written_out(n, k, layers):
    G = SparseReLU(n, k, layers=layers)
    network = G.as_sequential()
    z = normal(2000, 2 * k)
    for unit in (1.0, 1e-200, 1e200):
        torch.testing.assert_close(G(unit * z), network(unit * z), rtol=0, atol=1e-11 * unit)
    linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    assert all(layer.bias is None for layer in linear)
    assert len(linear) == layers + 1
    assert network[0].in_features == 2 * k
    units = [layer.out_features for layer in linear[:-1]]
    assert units == ([6 * n * k] if layers == 1 else [4 * n * k, 2 * n * k])
    assert G.widths == (2 * k, *units, n)
    # Away from kinks the derivatives are the network's, too.
    z = z[:50]
    ours, theirs = (torch.func.vmap(torch.func.jacrev(f))(z) for f in (G, network))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_a_block_is_the_wedges_of_the_plane():
    n = 7
    theta = torch.linspace(0, 2 * math.pi, 3001, dtype=D)
    z = torch.stack([theta.sin(), theta.cos()], dim=-1)
    alpha = math.pi / (n + 1)
    x = SparseReLU(n, 1)(z)
    for i in range(1, n + 1):
        plus = wedge(z, i * alpha, (i + 1) * alpha)
        minus = wedge(z, math.pi + i * alpha, math.pi + (i + 1) * alpha)
        torch.testing.assert_close(x[:, i - 1], plus - minus, rtol=0, atol=1e-13)
    x, h = SparseReLU(n, 1, layers=1)(z), math.pi / (4 * n)
    for i in range(n):
        plus, minus = (double_wedge(z, (4 * i + odd) * h, h) for odd in (1, 3))
        torch.testing.assert_close(x[:, i], plus - minus, rtol=0, atol=1e-13)


@LAYERS
def test_a_sector_that_rounding_chose_wrongly_gives_rounding_only(layers):
    G = SparseReLU(10**5, 1, layers=layers)
    edge = torch.randint(round(math.pi / G.half_angle), (200,), generator=source()).to(D) * 2 * G.half_angle
    theta = edge * (1 + normal(200) * 1e-16)
    z = torch.stack([theta.sin(), theta.cos()], dim=-1)
    assert float(G(z).abs().max()) < 4e-15 / G.half_angle


# The constant of Lipschitz


@LAYERS
@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_lipschitz_constant_is_met_with_all_blocks_in_one_sector_and_never_passed(k, layers):
    n = 20
    G = SparseReLU(n, k, layers=layers)
    x = torch.zeros(n, dtype=D)
    x[3] = 1.0
    block = G.encode(x)[:2] + torch.tensor([1e-3, 2e-3], dtype=D)
    together = torch.func.jacfwd(G)(block.repeat(k))
    assert float(torch.linalg.matrix_norm(together, 2)) == pytest.approx(G.lipschitz, rel=1e-12)
    J = torch.func.vmap(torch.func.jacfwd(G))(normal(500, 2 * k))
    assert float(torch.linalg.matrix_norm(J, 2).max()) <= G.lipschitz * (1 + 1e-12)
    a = normal(20000, 2 * k)
    for step in (1e-4, 1e-2, 1.0):
        b = a + step * normal(20000, 2 * k, seed=1)
        stretch = (G(a) - G(b)).norm(dim=-1) / (a - b).norm(dim=-1)
        assert float(stretch.max()) <= G.lipschitz * (1 + 1e-9)


# Derivatives, dtypes, company


@LAYERS
def test_derivatives_are_those_of_finite_differences_in_every_mode(layers):
    G, z = SparseReLU(6, 3, layers=layers), normal(4, 6, seed=3)
    assert torch.autograd.gradcheck(G, (z.clone().requires_grad_(True),), check_forward_ad=True)
    each = torch.func.vmap(torch.func.jacfwd(G))(z)
    torch.testing.assert_close(each, torch.func.vmap(torch.func.jacrev(G))(z))
    torch.testing.assert_close(torch.func.vmap(G)(z), G(z), rtol=0, atol=0)
    inside = torch.func.vmap(torch.func.vmap(G))(z.reshape(2, 2, 6))
    torch.testing.assert_close(inside.reshape(4, 6), G(z), rtol=0, atol=0)


@LAYERS
def test_zero_gives_zero_and_a_gradient_of_zero(layers):
    G = SparseReLU(5, 2, layers=layers)
    z = torch.zeros(4, dtype=D, requires_grad=True)
    x = G(z)
    assert torch.equal(x, torch.zeros(5, dtype=D))
    x.sum().backward()
    assert torch.equal(z.grad, torch.zeros(4, dtype=D))
    assert G.sectors(z)[0].tolist() == [-1, -1]


def test_the_first_sector_of_each_half_turn_is_silent_with_two_layers():
    G = SparseReLU(5, 1)
    h = G.half_angle
    theta = torch.tensor([h, math.pi + h, 0.1 * h, 3 * h, math.pi + 3 * h], dtype=D)
    coordinate, sign = G.sectors(torch.stack([theta.sin(), theta.cos()], dim=-1))
    assert coordinate.flatten().tolist() == [-1, -1, -1, 0, 0]
    assert sign.flatten().tolist() == [0, 0, 0, 1, -1]


@LAYERS
def test_signals_do_not_see_each_other(layers):
    G, z = SparseReLU(9, 3, layers=layers), normal(5, 6)
    other = z.clone()
    other[2] = 1e30
    assert torch.equal(G(z)[[0, 1, 3, 4]], G(other)[[0, 1, 3, 4]])
    for row in range(5):
        assert torch.equal(G(z)[row], G(z[row]))
    x = G(z)
    crowd = torch.cat([x, torch.zeros(1, 9, dtype=D)])
    assert torch.equal(G.encode(crowd)[2], G.encode(x[2]))


@LAYERS
@pytest.mark.parametrize("n", [10, 1000, 10**5])
def test_float32_loses_no_more_than_its_own_angle_does(n, layers):
    G = SparseReLU(n, 4, layers=layers, dtype=torch.float32)
    x = torch.zeros(50, n).scatter(-1, torch.randint(n, (50, 4), generator=source()), normal(50, 4).float())
    z = G.encode(x)
    assert z.dtype == torch.float32
    assert G(z).dtype == torch.float32
    assert relative(G(z), x) < 4 * torch.finfo(torch.float32).eps / G.half_angle
    assert torch.equal(G(z) != 0, x != 0)
    # The input is rounded, and nothing after it is.
    exact = SparseReLU(n, 4, layers=layers)(z.double())
    torch.testing.assert_close(G(z).double(), exact, rtol=1e-6, atol=0)


@LAYERS
def test_the_sector_of_a_float32_input_is_that_of_its_exact_angle(layers):
    z = normal(10**5, 2, dtype=torch.float32)
    ours = SparseReLU(10**6, 1, layers=layers, dtype=torch.float32).sectors(z)
    assert torch.equal(ours[0], SparseReLU(10**6, 1, layers=layers).sectors(z.double())[0])


def test_it_moves_as_a_module_does():
    G = SparseReLU(8, 2).to(torch.float32)
    assert not list(G.parameters())
    assert not G.state_dict()
    assert G(torch.ones(4)).dtype == torch.float32
    assert SparseReLU(8, 2, device="meta")(torch.empty(3, 4, dtype=D, device="meta")).shape == (3, 8)
    assert (
        next(iter(SparseReLU(8, 2, dtype=torch.float32).as_sequential().parameters())).dtype == torch.float32
    )


def test_the_engine_runs_through_it():
    G = SparseReLU(6, 2)
    x = torch.tensor([0.0, 2.0, 0.0, 0.0, -1.0, 0.0], dtype=D)
    near = G.encode(3 * x)
    for generator in (G, Synthesis(G, torch.eye(4, dtype=D))):
        found = recover(generator, torch.eye(6, dtype=D), x, method="gd", lr=0.005, z0=near, steps=3000)
        torch.testing.assert_close(found.x, x, rtol=1e-4, atol=1e-4)


# Refusals


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SparseReLU(5, 6), ValueError, "k is 6; it must be between 1 and 5, the length of a signal"),
        (lambda: SparseReLU(0, 1), ValueError, "n is 0; it must be at least 1"),
        (lambda: SparseReLU(5.0, 1), TypeError, "n is 5.0; it must be an integer"),
        (lambda: SparseReLU(5, 0), ValueError, "k is 0; it must be between 1 and 5"),
        (lambda: SparseReLU(5, 1, layers=3), ValueError, "layers is 3; it must be between 1 and 2"),
        (lambda: SparseReLU(5, 1, dtype=torch.float16), TypeError, "dtype is torch.float16; it must be"),
        (lambda: SparseReLU(5, 1, device="moon"), ValueError, "device is 'moon'; it must be a device"),
        (lambda: SparseReLU(5, 2)(torch.zeros(5, dtype=D)), ValueError, r"z has shape \(5,\); its last .* 4"),
        (
            lambda: SparseReLU(5, 2)(torch.zeros(4)),
            TypeError,
            "z has dtype torch.float32 on cpu; it must have",
        ),
        (lambda: SparseReLU(5, 2)([0.0]), TypeError, "z is a list; it must be a torch.Tensor"),
        (lambda: SparseReLU(5, 2)(torch.full((4,), torch.nan, dtype=D)), ValueError, "z holds NaN"),
        (lambda: SparseReLU(5, 2).encode(torch.zeros(4, dtype=D)), ValueError, r"x has shape \(4,\)"),
        (lambda: SparseReLU(5, 2).encode(torch.ones(5, dtype=D)), ValueError, "x has 5 non-zero entries; it"),
        (
            lambda: SparseReLU(5, 2).encode(torch.eye(5, dtype=D).cumsum(0).reshape(1, 5, 5)),
            ValueError,
            r"x has 3 non-zero entries at \(0, 2\) of its batch; it must have at most k = 2",
        ),
        (lambda: SparseReLU(5, 2).sectors(torch.zeros(3, dtype=D)), ValueError, r"z has shape \(3,\)"),
        (
            lambda: SparseReLU(10**4, 3).as_sequential(),
            ValueError,
            r"n is 10000 and k is 3; written out, the network has .* weights, and it must have at most 1e",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
