"""The flow with derivatives by hand: its signals, gradients and tangents are automatic differentiation's."""

import pytest
import torch

from gsl_utils.generators import RealNVP, Sigmoid, Synthesis
from gsl_utils.generators.by_hand import ByHand
from gsl_utils.generators.synthesis import constant
from gsl_utils.recovery import L1, gsl_best
from gsl_utils.recovery.recover import recover


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def flow(dim=5, n_coupling=3):
    return RealNVP(dim, n_coupling, hidden=6, gain=2.0, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dim", [2, 5, 6])
@pytest.mark.parametrize("n_coupling", [1, 2, 5])
@pytest.mark.parametrize("behind", [False, True])
def test_signals_and_gradients_are_those_of_automatic_differentiation(dim, n_coupling, behind):
    G = flow(dim, n_coupling)
    if behind:
        G = Synthesis(G, normal(dim, 7, seed=2))
    fast = constant(G)
    z, g = normal(4, G.latent_dim), normal(4, dim, seed=3)
    assert fast is not G
    assert fast.latent_dim == G.latent_dim
    for point in (z[0], z, z.view(2, 2, -1)):
        torch.testing.assert_close(fast(point), G(point))
    point = z.clone().requires_grad_()
    (expected,) = torch.autograd.grad(G(point), point, g)
    x, pull = fast.vjp(z)
    torch.testing.assert_close(x, G(z))
    torch.testing.assert_close(pull(g), expected)


@pytest.mark.parametrize("dim", [2, 5, 6])
@pytest.mark.parametrize("n_coupling", [1, 2, 5])
def test_tangents_are_those_of_forward_mode(dim, n_coupling):
    G = flow(dim, n_coupling)
    z, directions = normal(4, dim), normal(4, 3, dim, seed=3)
    found = constant(G).pushforward(z, directions)
    assert found.shape == (4, 3, dim)
    for j in range(3):
        expected = torch.func.jvp(G, (z,), (directions[:, j],))[1]
        torch.testing.assert_close(found[:, j], expected)


def test_what_is_not_written_by_hand_is_left_to_automatic_differentiation():
    fast, z = constant(flow()), normal(4, 5)
    point = z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(fast(point).square().sum(), point, create_graph=True)
    (curved,) = torch.autograd.grad(slope.sum(), point)
    point = z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(flow()(point).square().sum(), point, create_graph=True)
    (expected,) = torch.autograd.grad(slope.sum(), point)
    torch.testing.assert_close(curved, expected)
    forward = torch.func.vmap(torch.func.jacfwd(fast))(z)
    torch.testing.assert_close(forward, torch.func.vmap(torch.func.jacrev(flow()))(z))


def test_tangents_behind_a_matrix_are_those_of_forward_mode():
    G = Synthesis(flow(), normal(5, 7, seed=2))
    z, directions = normal(4, 7), normal(4, 3, 7, seed=3)
    found = constant(G).pushforward(z, directions)
    for j in range(3):
        torch.testing.assert_close(found[:, j], torch.func.jvp(G, (z,), (directions[:, j],))[1])


def test_weights_are_kept_as_they_were_and_get_no_gradients():
    G, z = flow(), normal(4, 5)
    fast, before = constant(G), flow()(z)
    fast(z.clone().requires_grad_()).sum().backward()
    assert all(weight.grad is None for weight in G.parameters())
    with torch.no_grad():
        for weight in G.parameters():
            weight.mul_(2)
    torch.testing.assert_close(fast(z), before)
    torch.testing.assert_close(fast.vjp(z)[0], before)


@pytest.mark.parametrize("behind", [False, True])
def test_gradients_outlast_the_next_call_which_may_have_another_number_of_rows(behind):
    G = Synthesis(flow(), normal(5, 7, seed=2)) if behind else flow()
    fast, gradients, expected = constant(G), [], []
    for seed, rows in enumerate((4, 4, 2, 4)):
        z, g = normal(rows, G.latent_dim, seed=seed), normal(rows, 5, seed=10 + seed)
        x, pull = fast.vjp(z)
        torch.testing.assert_close(x, G(z))
        gradients.append(pull(g))
        point = z.clone().requires_grad_()
        expected.append(torch.autograd.grad(G(point), point, g)[0])
    torch.testing.assert_close(gradients, expected)


def test_a_form_that_is_fast_already_stays_so_behind_a_matrix():
    behind, z, g = (
        constant(Synthesis(constant(flow()), normal(5, 7, seed=2))),
        normal(4, 7),
        normal(4, 5, seed=3),
    )
    x, pull = behind.vjp(z)
    G, point = Synthesis(flow(), normal(5, 7, seed=2)), z.clone().requires_grad_()
    torch.testing.assert_close(x, G(z))
    torch.testing.assert_close(pull(g), torch.autograd.grad(G(point), point, g)[0])


def test_generators_without_a_faster_form_stay_what_they_are():
    f = Sigmoid()
    G = Synthesis(f, torch.eye(3))
    for whole in (f, G, torch.exp):
        fast = constant(whole)
        assert not isinstance(fast, ByHand)
        assert constant(fast) is fast
        assert torch.equal(fast(normal(4, 3, dtype=torch.float32)), whole(normal(4, 3, dtype=torch.float32)))
    assert constant(G).latent_dim == 3
    assert not hasattr(constant(torch.exp), "latent_dim")


class Doubled(RealNVP):
    """A flow of a user's own, whose signals are not those of its class."""

    def forward(self, z):
        return 2 * super().forward(z)


def changed_flows():
    made = Doubled(5, 2, generator=torch.Generator().manual_seed(1))
    hooked, exchanged, patched = flow(), flow(), flow()
    hooked.register_forward_hook(lambda module, inputs, x: 2 * x)
    exchanged.conditioners[0][1] = torch.nn.Sigmoid()
    plain = patched.forward
    patched.forward = lambda z: 2 * plain(z)
    weighed = flow()
    torch.nn.utils.parametrizations.weight_norm(weighed.conditioners[0][0])
    with torch.no_grad():
        weighed.conditioners[0][0].parametrizations.weight.original0.mul_(3)
    behind = Synthesis(flow(), torch.eye(5, dtype=torch.float64))
    behind.register_forward_hook(lambda module, inputs, x: 2 * x)
    inside = flow()
    layer = inside.conditioners[0][0]
    inner = layer.forward
    layer.forward = lambda a: 2 * inner(a)
    return [made, hooked, exchanged, patched, weighed, behind, inside]


@pytest.mark.parametrize("which", range(7))
def test_a_flow_that_a_user_has_changed_is_not_taken_for_ours(which):
    G, z = changed_flows()[which], normal(4, 5)
    torch.testing.assert_close(constant(G)(z), G(z))
    assert not isinstance(constant(G), ByHand)


class Named(torch.nn.Module):
    """A user's generator, with a buffer and flags whose names are those of our own methods."""

    latent_dim = 5

    def __init__(self):
        super().__init__()
        self.register_buffer("constant", torch.ones(7, dtype=torch.float64))
        self.vjp, self.pushforward, self._constant = True, "no", 3
        self.weight = torch.nn.Parameter(normal(5, 7, seed=8))

    def forward(self, z):
        return torch.tanh(z @ self.weight) + self.constant


@pytest.mark.parametrize("behind", [False, True])
def test_a_users_attributes_may_have_any_name(behind):
    G, B = Named(), normal(5, 6, seed=2)
    whole = Synthesis(G, B) if behind else G
    A, z = normal(7, 7, seed=3), normal(2, whole.latent_dim, seed=4)
    y = whole(z).detach() @ A.mT
    for method in ("adam", "lm"):
        found = recover(whole, A, y, z0=z + 0.01, method=method, steps=50)
        plain = recover(lambda v: whole(v), A, y, z0=z + 0.01, method=method, steps=50)
        assert torch.equal(found.z, plain.z)
    if behind:
        best = gsl_best(G, B, A, y, sparsity=2, generator=torch.Generator().manual_seed(0))
        assert torch.isfinite(best.x).all()


class Lying(RealNVP):
    """A user's flow with methods and flags of our names, none of which means what ours do."""

    constant, _constant, constant_flow = 3, 3, 3

    def vjp(self, z):
        raise AssertionError("a method of a user's was taken for ours")

    pushforward = __float__ = vjp


def test_our_own_names_mean_nothing_on_a_users_module_or_on_a_flow_of_ours():
    """Whatever its attributes, a module is treated as a function of the same values would be."""
    ours, theirs = flow(), Lying(5, 3, hidden=6, gain=2.0, generator=torch.Generator().manual_seed(1))
    ours.vjp = ours.pushforward = ours.constant = ours._constant = True
    A, y, z0 = normal(4, 5, seed=4), normal(3, 4, seed=6), normal(3, 5, seed=5)
    assert isinstance(constant(ours), ByHand)
    assert not isinstance(constant(theirs), ByHand)
    for behind in (lambda G: G, lambda G: Synthesis(G, torch.eye(5, dtype=torch.float64))):
        for method in ("adam", "lm"):
            keep = {"z0": z0, "method": method, "steps": 5}
            plain = recover(behind(lambda z: theirs(z)), A, y, **keep)
            assert torch.equal(recover(behind(theirs), A, y, **keep).z, plain.z)
            torch.testing.assert_close(recover(behind(ours), A, y, **keep).z, plain.z)
    assert torch.isfinite(gsl_best(theirs, torch.eye(5, dtype=torch.float64), A, y, sparsity=1).x).all()


@pytest.mark.parametrize("method", ["gd", "adam", "prox", "lm"])
@pytest.mark.parametrize("loss", ["linear", "amplitude"])
def test_the_engine_finds_the_same_either_way(method, loss):
    G, A, z0 = flow(), normal(4, 5, seed=4), normal(3, 5, seed=5)
    y = (G(normal(3, 5, seed=6)).detach() @ A.mT).abs()
    penalty = L1(0.01) if method in ("adam", "prox") else None
    found, slow = (
        recover(g, A, y, z0=z0, method=method, loss=loss, steps=5, penalty=penalty)
        for g in (G, lambda z: G(z))
    )
    torch.testing.assert_close(found.z, slow.z)
    torch.testing.assert_close(found.objective, slow.objective)
    assert torch.equal(found.converged, slow.converged)
