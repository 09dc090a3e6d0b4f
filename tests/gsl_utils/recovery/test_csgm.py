"""CSGM is the published recipe on the engine: the points of a plain loop, for the cost of its products."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gsl_utils.generators import VAE
from gsl_utils.recovery import csgm


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


class Products(TorchDispatchMode):
    """Counts the floating-point operations of matrix products."""

    flops = 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        out = op(*args, **(kwargs or {}))
        if op.overloadpacket in flop_registry:
            self.flops += flop_registry[op.overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


G = VAE(12, 3, hidden=(8,), generator=source())
A, Y = normal(7, 12, seed=1), normal(3, 7, seed=2)


def objective(z, y, l2, table=A):
    return (table @ G(z) - y).square().sum() + l2 * z.square().sum()


@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_it_is_a_plain_loop_with_torchs_own_adam(l2):
    """One signal and one N(0, I) start at a time, all steps, and the end of lowest objective is kept."""
    z0 = torch.randn(3 * 2, 3, generator=source(9), dtype=torch.float64).view(3, 2, 3)
    found = csgm(G, A, Y, restarts=2, steps=60, l2=l2, generator=source(9))
    # What keeps Adam from dividing by zero is counted in A's units: its largest entry is between 2 and 4.
    eps = 1e-8 * 4**2
    assert 2 <= A.abs().max() < 4
    for i in range(3):
        ends = []
        for r in range(2):
            z = z0[i, r].clone().requires_grad_()
            optimiser = torch.optim.Adam([z], lr=0.01, eps=eps)
            for _ in range(60):
                optimiser.zero_grad()
                objective(z, Y[i], l2).backward()
                optimiser.step()
            ends.append(z.detach())
        best = min(ends, key=lambda z: float(objective(z, Y[i], l2).detach()))
        torch.testing.assert_close(found.z[i], best, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(found.objective[i], objective(best, Y[i], l2).detach())
        torch.testing.assert_close(found.x[i], G(best).detach())
    assert (found.n_iter == 60).all()


def test_the_published_loss_is_ours_times_one_over_m():
    """Theirs: A ~ N(0, 1), a mean over measurements, noise 0.1 each. Ours: both divided by sqrt(m)."""
    m, l2 = 7, 0.1
    theirs, noise = normal(m, 12, seed=3), 0.1 * normal(m, seed=4)
    x = G(normal(3, seed=5)).detach()
    y = theirs @ x + noise
    found = csgm(G, theirs / m**0.5, y / m**0.5, restarts=2, steps=20, l2=l2, generator=source())
    published = (y - theirs @ found.x).square().mean() + l2 * found.z.square().sum()
    torch.testing.assert_close(found.objective, published)
    torch.testing.assert_close(y / m**0.5 - theirs / m**0.5 @ x, noise / m**0.5)


def test_the_same_source_gives_the_same_answer_and_another_another():
    first, second = (csgm(G, A, Y, restarts=2, steps=5, generator=source(3)) for _ in range(2))
    assert torch.equal(first.z, second.z)
    assert not torch.equal(first.z, csgm(G, A, Y, restarts=2, steps=5, generator=source(4)).z)


def test_the_global_source_is_left_alone():
    state = torch.get_rng_state()
    csgm(G, A, Y, restarts=2, steps=5, generator=source(3))
    assert torch.equal(torch.get_rng_state(), state)


def test_converged_is_said_of_the_end_though_no_step_is_left_out():
    short = csgm(G, A, Y, restarts=2, steps=5, generator=source())
    assert not short.converged.any()
    long = csgm(G, A, Y, restarts=2, steps=1000, lr=0.05, l2=1.0, generator=source())
    assert long.converged.all()
    assert (long.n_iter == 1000).all()


def test_weights_are_constants():
    before = {name: value.clone() for name, value in G.state_dict().items()}
    for weight in G.parameters():
        weight.grad = None
    csgm(G, A, Y, restarts=2, steps=5, generator=source())
    assert all(weight.grad is None and weight.requires_grad for weight in G.parameters())
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())


def test_a_step_is_its_matrix_products_and_no_more():
    """Forward and backward to z, A and its transpose: nothing for the weights, and no pass twice."""
    rows = 3 * 4

    def flops(steps):
        with Products() as counter:
            csgm(G, A, Y, restarts=4, steps=steps, generator=source())
        return counter.flops

    products = 2 * (3 * 8 + 8 * 12) + 2 * (7 * 12)
    assert flops(7) - flops(4) == 3 * 2 * rows * products


def test_rows_are_worked_on_in_blocks():
    """However many they are, so that memory is reused: G never sees all of them at once."""
    wide = VAE(4096, 2, hidden=(4,), generator=source())
    seen = []
    wide.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    csgm(wide, normal(3, 4096), normal(50, 3), restarts=4, steps=2, generator=source())
    assert max(seen) <= 64
    assert sum(seen) >= 2 * 200


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"l2": -0.1}, ValueError, "l2 is -0.1; it must be at least 0"),
        ({"l2": "a"}, TypeError, "l2 is 'a'; it must be a number"),
        ({"restarts": 0}, ValueError, "restarts is 0; it must be at least 1"),
        ({"steps": 0}, ValueError, "steps is 0; it must be at least 1"),
        ({"lr": 0.0}, ValueError, "lr is 0; it must be above 0"),
        ({"G": torch.exp}, ValueError, "z0 is None and G has no latent_dim"),
        ({"y": Y.float()}, TypeError, "y has dtype torch.float32 and A has torch.float64"),
        ({"generator": 3}, TypeError, "generator is a int; it must be a torch.Generator"),
    ],
)
def test_bad_input_is_named(change, error, message):
    arguments = {"G": G, "A": A, "y": Y} | change
    with pytest.raises(error, match=message):
        csgm(arguments.pop("G"), arguments.pop("A"), arguments.pop("y"), **arguments)
