"""Derivatives of generators of every kind against torch's own Jacobian, and which way is taken for which."""

import pytest
import torch

from gsl_utils.common.jacobian import Tangents
from toys import ByHand

W = torch.randn(12, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
Z = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class OnceDifferentiable(ByHand):
    """The same, whose gradient has no gradient: differentiated twice it gives zeros without a word."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        (z,) = ctx.saved_tensors
        return slope * (1 - torch.tanh(z) ** 2)


class NotTwice(ByHand):
    """The same, whose gradient leaves torch."""

    @staticmethod
    def backward(ctx, slope):
        (z,) = ctx.saved_tensors
        return torch.from_numpy((slope.detach() * (1 - torch.tanh(z) ** 2)).numpy())


def smooth(z):
    return torch.tanh(z @ W.T) + 0.1 * z @ W.T


def once(z):
    return OnceDifferentiable.apply(z @ W.T) + 0.1 * z @ W.T


def not_twice(z):
    return NotTwice.apply(z @ W.T) + 0.1 * z @ W.T


def by_hand(z):
    return ByHand.apply(z @ W.T) + 0.1 * z @ W.T


def in_place(z):
    x = z.new_zeros(len(z), 12)
    return x.add_(smooth(z))


def branching(z):
    return smooth(z) if float(z.detach().sum()) < 1e9 else z @ W.T


def row_by_row(z):
    return torch.stack([smooth(row) for row in z])


def identity(z):
    return z


def constant(z):
    return torch.ones(len(z), 12, dtype=z.dtype)


KINDS = [
    (smooth, True, True),
    (identity, True, True),
    (torch.exp, True, True),
    (constant, True, True),
    (branching, True, True),
    (in_place, True, True),
    (by_hand, True, False),
    (row_by_row, True, True),
    (once, False, False),
    (not_twice, False, False),
]


def jacobian(G):
    """The rows' Jacobians, transposed, by torch's reverse mode of the smooth twin."""
    G = smooth if G in (once, not_twice, by_hand) else G
    return torch.stack(
        [torch.autograd.functional.jacobian(lambda z: G(z.unsqueeze(0))[0], row).T for row in Z]
    )


@pytest.mark.parametrize(("G", "twice", "forward"), KINDS)
def test_columns_and_directions(G, twice, forward):
    tangents = Tangents.of(G, Z[:1], columns=True)
    assert (tangents.twice, tangents.forward) == (twice, forward)
    tolerance = {} if twice else {"rtol": 1e-8, "atol": 1e-8}
    torch.testing.assert_close(tangents.columns(Z), jacobian(G), **tolerance)
    direction = Z.flip(0)
    along = torch.einsum("pkn,pk->pn", jacobian(G), direction)
    torch.testing.assert_close(tangents.along(Z, direction), along, **tolerance)


def test_a_direction_of_length_zero():
    for G in (smooth, once):
        tangents = Tangents.of(G, Z[:1], columns=False)
        assert not tangents.along(Z, torch.zeros_like(Z)).any()


def test_forward_mode_is_not_tried_for_nothing():
    """Its first use in a process takes a second."""
    assert not Tangents.of(smooth, Z[:1], columns=False).forward


def test_a_start_on_a_kink_does_not_mislead():
    relu = torch.nn.Sequential(torch.nn.Linear(4, 6, bias=False), torch.nn.ReLU()).double()
    assert Tangents.of(relu, torch.zeros(1, 4).double(), columns=False).twice


def test_nothing_is_left_to_differentiate():
    layer = torch.nn.Linear(4, 6).double()
    tangents = Tangents.of(layer, Z[:1], columns=True)
    with torch.no_grad():
        assert not tangents.along(Z, Z).requires_grad
        assert not tangents.columns(Z).requires_grad
    assert layer.weight.grad is None
