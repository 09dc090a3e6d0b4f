"""Penalties against their definitions: the proximal map by its minimum, the gradient by differentiation."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.recovery import L1, L2, HardSparsity
from gsl_utils.recovery.rows import NoPenalty

reals = st.floats(-5, 5)
vectors = st.lists(reals, min_size=4, max_size=4).map(lambda z: torch.tensor([z], dtype=torch.float64))
weights = st.floats(0, 3)
steps = st.floats(1e-3, 3)


def values(*entries):
    return torch.tensor(entries, dtype=torch.float64)


@given(vectors, weights, steps, st.sampled_from([L1, L2]), vectors)
def test_prox_is_the_minimum(z, weight, step, kind, other):
    penalty, t = kind(weight), values(step).unsqueeze(-1)

    def objective(u):
        return (u - z).square().sum(-1) / 2 + step * penalty.value(u)

    best = penalty.prox(z, t)
    for rival in (other, best + 1e-3 * other, z, torch.zeros_like(z)):
        assert objective(best) <= objective(rival) + 1e-12


@given(vectors, st.integers(0, 4))
def test_hard_sparsity_projects_on_the_nearest_sparse_point(z, s):
    found = HardSparsity(s).prox(z, values(1.0))
    nearest = min(
        float((z - z * torch.tensor([i in support for i in range(4)])).norm())
        for support in itertools.combinations(range(4), s)
    )
    assert (found != 0).sum() <= s
    assert float((z - found).norm()) == pytest.approx(nearest)


@given(vectors, weights, st.sampled_from([L1, L2]))
def test_gradient_is_the_derivative_of_the_value(z, weight, kind):
    penalty = kind(weight)
    z = z.requires_grad_(True)
    (slope,) = torch.autograd.grad(penalty.value(z).sum(), z)
    torch.testing.assert_close(penalty.subgradient(z.detach()), slope)


@given(vectors, vectors, weights, st.sampled_from([L1, L2]))
def test_drop_is_the_difference_of_values(z, new, weight, kind):
    penalty = kind(weight)
    torch.testing.assert_close(penalty.drop(z, new).sum(-1), penalty.value(z) - penalty.value(new))


@pytest.mark.parametrize("kind", [L1, L2])
def test_drop_is_exact_where_values_nearly_agree(kind):
    """The difference of two float32 values would be lost in their rounding."""
    z = torch.full((1, 1001), 1e3)
    new = z - 2**-10
    exact = kind(1.0).drop(z.double(), new.double()).sum()
    assert float(kind(1.0).drop(z, new).sum()) == pytest.approx(float(exact), rel=1e-6)
    difference = kind(1.0).value(z) - kind(1.0).value(new)
    assert float(difference) != pytest.approx(float(exact), rel=1e-3)


def test_no_penalty_is_nothing():
    z = values(1.0, -2.0).unsqueeze(0)
    none = NoPenalty()
    assert none.value(z).item() == 0
    assert torch.equal(none.prox(z, values(1.0)), z)
    assert not none.subgradient(z).any()
    assert not none.drop(z, 2 * z).any()


def test_hard_sparsity_is_infinite_where_it_is_broken():
    z = values(1.0, -2.0, 0.0).unsqueeze(0)
    assert HardSparsity(2).value(z).item() == 0
    assert HardSparsity(1).value(z).item() == float("inf")


K, BATCH = 3, torch.Size([2, 4])


@pytest.mark.parametrize(
    "shape", [(), (1,), (K,), (4, 1), (4, K), (2, 1, 1), (2, 1, K), (1, 4, 1), (2, 4, K)]
)
def test_a_weight_broadcasts_against_z(shape):
    """Laid out for two restarts of each signal it says what broadcasting against z says."""
    weight = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = torch.randn(2, 4, K, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = z.reshape(-1, K).repeat_interleave(2, 0)
    expected = (weight * z.abs()).sum(-1).reshape(-1).repeat_interleave(2)
    laid = L1(weight).laid_out(rows, BATCH, 2)
    torch.testing.assert_close(laid.value(rows), expected)
    some = torch.tensor([0, 3, 9])
    torch.testing.assert_close(laid.select(some).value(rows[some]), expected[some])


@pytest.mark.parametrize("shape", [(2,), (4,), (8, 1), (8, K), (2, K), (1, 2, 4, K)])
def test_a_weight_that_does_not_broadcast_is_refused(shape):
    with pytest.raises(ValueError, match=r"weight has shape .*; it must broadcast to z's, \(2, 4, 3\)"):
        L2(torch.ones(shape, dtype=torch.float64)).laid_out(torch.zeros(8, K).double(), BATCH, 1)


def test_a_weight_of_another_dtype_is_refused():
    with pytest.raises(TypeError, match=r"y has dtype torch.float64 and weight has torch.float32"):
        L1(torch.ones(K)).laid_out(torch.zeros(8, K).double(), BATCH, 1)


def test_weights_get_no_gradients():
    weight = torch.ones(K, dtype=torch.float64, requires_grad=True)
    z = torch.ones(8, K, dtype=torch.float64)
    assert not L1(weight).laid_out(z, BATCH, 1).value(z).requires_grad


@pytest.mark.parametrize("kind", [L1, L2])
@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (-1.0, ValueError, "weight is -1; it must be at least 0"),
        (float("nan"), ValueError, "weight is nan; it must be at least 0"),
        (float("inf"), ValueError, "weight is inf; it must be finite"),
        ("1", TypeError, "weight is '1'; it must be a number"),
        (True, TypeError, "weight is True; it must be a number"),
        (
            torch.tensor([1.0, -2.0]),
            ValueError,
            "weight has the entry -2; all of its entries must be at least 0",
        ),
        (torch.tensor([1.0, float("nan")]), ValueError, "weight holds NaN"),
        (torch.tensor([1, 2]), TypeError, "weight has dtype torch.int64"),
    ],
)
def test_bad_weights_are_refused(kind, weight, error, message):
    with pytest.raises(error, match=message):
        kind(weight)


@pytest.mark.parametrize(
    ("s", "error", "message"),
    [(-1, ValueError, "s is -1; it must be at least 0"), (1.5, TypeError, "s is 1.5; it must be an integer")],
)
def test_bad_sparsities_are_refused(s, error, message):
    with pytest.raises(error, match=message):
        HardSparsity(s)
