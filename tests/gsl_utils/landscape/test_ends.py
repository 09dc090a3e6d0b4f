"""Where descents end, on points put there and on descents; the smallest risk on an axis beside a search."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsl_utils.generators import RandomReLU
from gsl_utils.landscape import End, axis_minimum, end_points, phase_retrieval_rho, rho
from gsl_utils.recovery import recover
from gsl_utils.sensing import gaussian_matrix


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=torch.float64)


@given(st.integers(0, 99), st.integers(2, 20), st.floats(0.25, 0.9), st.floats(1e-100, 1e100))
def test_points_are_said_where_they_were_put(seed, k, multiple, unit):
    z_true = unit * normal(6, k, seed=seed)
    size = z_true.norm(dim=-1, keepdim=True)
    beside = size * torch.nn.functional.normalize(normal(6, k, seed=seed + 1), dim=-1)
    put = [
        (z_true + 0.9e-3 * beside, End.SIGNAL),
        (-multiple * z_true + 0.19 * beside, End.SECOND),
        (0.9e-3 * beside, End.ORIGIN),
        (z_true + 1.1e-3 * beside, End.ELSEWHERE),
        (-(multiple + 0.21) * z_true, End.ELSEWHERE),
        (1.1e-3 * beside, End.ELSEWHERE),
    ]
    z = torch.stack([point for point, _ in put])
    found = end_points(z, z_true, multiple)
    assert found.tolist() == [[code] * 6 for _, code in put]
    resting = end_points(z, z_true, multiple, converged=torch.zeros(6, 6, dtype=torch.bool))
    assert resting.tolist() == [[End.SIGNAL] * 6, *[[End.UNCONVERGED] * 6] * 5]


def test_with_one_layer_nothing_is_second():
    z_true = normal(3, seed=1)
    assert end_points(-0.1 * z_true, z_true, rho(1)) == End.ELSEWHERE
    assert end_points(0 * z_true, z_true, rho(1)) == End.ORIGIN
    assert end_points(-0.1 * z_true, z_true, rho(2)) == End.ELSEWHERE
    assert end_points(-0.1 * z_true, z_true, rho(2), radius=0.25) == End.SECOND


def test_descents_end_in_both_basins_and_the_change_of_sign_leaves_the_second():
    ends = {}
    for flip in (False, True):
        for seed in range(8):
            draw = source(100 + seed)
            G = RandomReLU((2, 100, 400), generator=draw)
            z_true = torch.nn.functional.normalize(
                torch.randn(2, generator=draw, dtype=torch.float64), dim=-1
            )
            A = torch.eye(400, dtype=torch.float64)
            z0 = -rho(2) * z_true + 0.02 * torch.randn(2, generator=draw, dtype=torch.float64)
            found = recover(G, A, G(z_true).detach(), method="gd", lr=0.7, steps=150, z0=z0, flip=flip)
            ends.setdefault(flip, []).append(int(end_points(found.z, z_true, rho(2))))
    assert set(ends[False]) == {End.SIGNAL, End.SECOND}
    assert ends[False].count(End.SECOND) >= 3
    assert set(ends[True]) == {End.SIGNAL}


@pytest.mark.parametrize("loss", ["linear", "amplitude"])
@pytest.mark.parametrize("measured", [False, True])
def test_the_smallest_risk_on_the_axis_beside_a_search(loss, measured):
    G = RandomReLU((3, 40, 90), generator=source(2))
    A = gaussian_matrix(50, 90, generator=source(3)) if measured else None
    z_true = normal(4, 3, seed=4)
    found = axis_minimum(G, z_true, A=A, loss=loss)
    s = torch.linspace(0, 1.5, 15_001, dtype=torch.float64)
    x = [G(-s.unsqueeze(-1).unsqueeze(-1) * z_true), G(z_true)]
    there, here = x if A is None else [part @ A.T for part in x]
    misfit = there.abs() - here.abs() if loss == "amplitude" else there - here
    torch.testing.assert_close(found, s[misfit.square().sum(-1).argmin(0)], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("loss", "multiple"), [("linear", rho(2)), ("linear", rho(3)), ("amplitude", phase_retrieval_rho(2))]
)
def test_wide_networks_have_it_at_the_multiple(loss, multiple):
    depth = 3 if multiple == rho(3) else 2
    found = []
    for seed in range(30):
        G = RandomReLU((4, 400, 500, 600)[: depth + 1], generator=source(seed))
        A = gaussian_matrix(600, G.n, generator=source(1000 + seed))
        found.append(axis_minimum(G, normal(4, seed=seed), A=A, loss=loss))
    found = torch.stack(found)
    assert abs(float(found.mean()) - multiple) < 4 * float(found.std()) / 30**0.5 + 0.005
    assert float(found.std()) < 0.1


def test_units_and_an_image_that_is_zero():
    G, z_true = RandomReLU((3, 40, 90), generator=source(2)), normal(3, seed=4)
    once = axis_minimum(G, z_true)
    assert torch.equal(axis_minimum(G, 2.0**300 * z_true), once)
    assert bool(axis_minimum(lambda z: torch.relu(z), torch.ones(2)).isnan())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda z: end_points(z, z[..., :1, :2], 0.3), ValueError, "z_true must broadcast to z"),
        (lambda z: end_points(z, 0 * z, 0.3), ValueError, "z_true has a row of zeros"),
        (lambda z: end_points(z, z, -0.3), ValueError, "multiple is -0.3; it must be at least 0"),
        (lambda z: end_points(z, z, 0.3, radius=-1), ValueError, "radius is -1"),
        (lambda z: end_points(z, z, 0.3, converged=[True]), TypeError, "converged is no tensor of booleans"),
        (lambda z: end_points(z, z, 0.3, converged=z > 0), ValueError, r"converged has shape \(2, 3\)"),
        (lambda z: axis_minimum(torch.sigmoid, z), ValueError, "G must be positively homogeneous"),
        (lambda z: axis_minimum(torch.relu, z, A=z[:, :2]), ValueError, "A has"),
        (lambda z: axis_minimum(torch.relu, z, loss="both"), ValueError, "loss is 'both'"),
        (lambda z: axis_minimum(3, z), TypeError, "G is a int; it must be callable"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(normal(2, 3))
