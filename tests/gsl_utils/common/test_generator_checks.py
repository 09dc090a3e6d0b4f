"""What generators are fed and what they are is refused by name; inside a search NaN is not."""

import functools
import warnings

import pytest
import torch

from gsl_utils.common.generator_checks import Trusted, check_generator, fed
from gsl_utils.generators import VAE, Exponential, RealNVP, Sigmoid, Synthesis, fit_flow
from gsl_utils.generators.synthesis import constant
from gsl_utils.recovery import recover

D, CPU = torch.float64, torch.device("cpu")


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=source(seed), dtype=D)


FLOW = RealNVP(6, 4, hidden=5, generator=source())
CODER = VAE(9, 4, hidden=(5,), generator=source())
BEHIND = Synthesis(Sigmoid(), normal(5, 7))

# The function, the name of what it is fed, and its length.
FED = {
    "RealNVP": (FLOW, "z", 6),
    "RealNVP.inverse": (FLOW.inverse, "x", 6),
    "RealNVP.log_prob": (FLOW.log_prob, "x", 6),
    "VAE": (CODER, "z", 4),
    "VAE.decode": (CODER.decode, "z", 4),
    "VAE.encode": (CODER.encode, "x", 9),
    "Synthesis": (BEHIND, "z", 7),
    "Sigmoid": (Sigmoid(), "u", None),
    "Exponential": (Exponential(), "u", None),
}


def wrong(length):
    """Inputs that are refused, each with the error and its words after the name."""
    good = normal(3, length or 8)
    yield good.numpy(), TypeError, "is a ndarray; it must be a torch.Tensor of floats"
    yield good.half(), TypeError, "has dtype torch.float16; it must be torch.float32 or torch.float64"
    yield good.bfloat16(), TypeError, "has dtype torch.bfloat16; it must be torch.float32 or torch.float64"
    yield good.long(), TypeError, "has dtype torch.int64; it must be torch.float32 or torch.float64"
    yield good + 1j, TypeError, "has dtype torch.complex128; it must be torch.float32 or torch.float64"
    yield good.to_sparse(), TypeError, "is a sparse_coo tensor; it must be dense"
    yield good * torch.nan, ValueError, "holds NaN or infinite entries; all of its entries must be finite"
    yield good / 0, ValueError, "holds NaN or infinite entries"
    if length is not None:
        yield (
            good.float(),
            TypeError,
            "has dtype torch.float32 on cpu; it must have the weights', torch.float64",
        )
        yield good.to("meta"), TypeError, "has dtype torch.float64 on meta; it must have the weights', "
        yield good[:, :-1], ValueError, rf"has shape \(3, {length - 1}\); its last dimension must be {length}"
        yield good.sum(), ValueError, rf"has shape \(\); its last dimension must be {length}"


@pytest.mark.parametrize("name", FED)
def test_what_a_generator_is_fed_is_refused_by_name(name):
    function, argument, length = FED[name]
    for value, kind, words in wrong(length):
        with pytest.raises(kind, match=f"{argument} {words}"):
            function(value)


@pytest.mark.parametrize("name", FED)
def test_good_input_comes_through_in_every_shape(name):
    function, _, length = FED[name]
    rows = normal(2, 3, length or 8)
    whole = function(rows)
    for part in (rows, rows[0], rows[0, 0]):
        found = function(part)
        for one, all_rows in zip(*(v if isinstance(v, tuple) else (v,) for v in (found, whole)), strict=True):
            index = (0,) * (rows.ndim - part.ndim)
            torch.testing.assert_close(one, all_rows[index])
    none = function(rows[:0])
    assert (none if isinstance(none, torch.Tensor) else none[0]).shape[:2] == (0, 3)


@pytest.mark.parametrize("name", FED)
def test_generators_can_be_mapped_and_differentiated(name):
    function, _, length = FED[name]
    rows = normal(3, length or 8)
    first = (lambda v: function(v)[0]) if name == "VAE.encode" else function
    torch.testing.assert_close(torch.func.vmap(first)(rows), first(rows))
    both = torch.func.vmap(torch.func.jacfwd(first))(rows), torch.func.vmap(torch.func.jacrev(first))(rows)
    torch.testing.assert_close(*both)


def test_on_the_device_meta_there_are_shapes_only():
    assert RealNVP(4, 2, device="meta")(torch.zeros(3, 4, dtype=D, device="meta")).shape == (3, 4)
    assert Sigmoid()(torch.zeros(3, device="meta")).shape == (3,)


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (normal(9, 4).to_sparse(), TypeError, "samples is a sparse_coo tensor"),
        (normal(9, 4).half(), TypeError, "samples has dtype torch.float16"),
        (normal(9, 4).to("meta"), TypeError, "samples is on the device meta"),
        (normal(9, 4) * torch.nan, ValueError, "samples holds NaN"),
        (normal(0, 4), ValueError, "samples is empty"),
    ],
)
def test_training_refuses_the_same(value, kind, words):
    with pytest.raises(kind, match=words):
        fit_flow(RealNVP(4, 2), value)


@pytest.mark.parametrize("make", [functools.partial(VAE, 9, 4), functools.partial(RealNVP, 4, 2)])
def test_devices_that_are_not_there_are_named(make):
    for device in ("nonsense", "cuda:99"):
        with pytest.raises(ValueError, match=f"device is '{device}'; it must be a device of this machine"):
            make(device=device)
    with pytest.raises(TypeError, match=r"device is 2\.5; it must be"):
        make(device=2.5)
    with pytest.raises(TypeError, match=r"dtype is torch\.bfloat16; it must be torch\.float32 or"):
        make(dtype=torch.bfloat16)


# Inside a search


def test_a_search_may_meet_anything():
    far = torch.tensor([torch.inf, torch.nan])
    with pytest.raises(ValueError, match="u holds NaN"):
        Sigmoid()(far)
    trusted = Trusted(lambda u: Sigmoid()(u))
    torch.testing.assert_close(trusted(far), far.sigmoid(), equal_nan=True)
    with pytest.raises(TypeError, match=r"u has dtype torch\.int64"):
        trusted(torch.zeros(2, dtype=torch.int64))
    # The trust ends with the call, also where that fails.
    with pytest.raises(ValueError, match="u holds NaN"):
        Sigmoid()(far)


@pytest.mark.parametrize("G", [CODER, CODER.decode, lambda z: CODER(z), functools.partial(CODER.decode)])
def test_descents_may_leave_the_numbers_behind_any_function(G):
    far = torch.full((1, 4), torch.nan, dtype=D)
    with pytest.raises(ValueError, match="z holds NaN"):
        G(far)
    assert constant(G)(far).isnan().all()


# What a generator is


class Holder(torch.nn.Module):
    """A generator that holds another one as a function."""

    def __init__(self, function):
        super().__init__()
        self.function, self.own = function, self.forward

    def forward(self, z):
        return self.function(z)


def training(layer):
    return torch.nn.Sequential(torch.nn.Linear(4, 4, dtype=D), layer).train()


MIXING = [torch.nn.BatchNorm1d(4, dtype=D), torch.nn.Dropout(0.5), torch.nn.RReLU()]


@pytest.mark.parametrize("layer", MIXING)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda G: G,
        lambda G: G.forward,
        lambda G: functools.partial(G.forward),
        lambda G: Synthesis(G, torch.eye(4, dtype=D)),
        lambda G: Synthesis(G.forward, torch.eye(4, dtype=D)),
        lambda G: Holder(functools.partial(G.forward)),
        lambda G: Trusted(G),
    ],
)
def test_layers_in_training_mode_are_found_wherever_they_are(layer, wrap):
    G = training(layer)
    words = (
        rf"G's layer .*1 is a {type(layer).__name__} in training mode, .*; it must be .*: call G\.eval\(\)"
    )
    with pytest.raises(ValueError, match=words):
        check_generator(wrap(G), D, CPU, "y")
    check_generator(wrap(G.eval()), D, CPU, "y")
    with pytest.raises(
        TypeError, match=r"G's .* has dtype torch.float64 on cpu; it must have A's, torch.float32"
    ):
        check_generator(wrap(G), torch.float32, CPU, "A")


@pytest.mark.parametrize(
    ("G", "kind", "words"),
    [
        (lambda z: z * torch.nan, ValueError, "G gives NaN at the first start"),
        (lambda z: z.half(), TypeError, r"G\(z\) has dtype torch.float16; it must be"),
        (lambda z: z.to_sparse(), TypeError, r"G\(z\) is a sparse_coo tensor; it must be dense"),
        (lambda z: z + 1j, TypeError, r"G\(z\) has dtype torch.complex128; it must be"),
        (lambda z: z.to("meta"), TypeError, r"y is on cpu and G\(z\) on meta"),
    ],
)
def test_what_a_generator_gives_is_refused_by_name(G, kind, words):
    with pytest.raises(kind, match=words):
        recover(G, normal(3, 4), normal(3), z0=normal(4))


def test_an_infinite_signal_at_one_start_leaves_the_others():
    def edged(z):
        return torch.where(z > 5, torch.inf, z)

    z0 = torch.tensor([[9.0, 9.0], [0.0, 0.0]], dtype=D)
    found = recover(edged, torch.eye(2, dtype=D), torch.ones(2, dtype=D), z0=z0, restarts=2, method="lm")
    torch.testing.assert_close(found.x, torch.ones(2, dtype=D))


def test_a_check_is_no_obstacle_to_compilation():
    compiled = torch.compile(lambda u: fed("u", u).exp(), backend="eager", fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(compiled(torch.zeros(3)), torch.ones(3))
