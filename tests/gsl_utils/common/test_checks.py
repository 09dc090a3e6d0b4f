"""Each check says what the argument was and what it must be, and lets good input through unchanged."""

import warnings

import pytest
import torch

from gsl_utils.common import checks

D = torch.float64
BATCH = torch.Size((3,))
LIKE = torch.zeros(3, 4, dtype=D)


def quietly(make):
    """A tensor of a kind about which torch warns, whether of its beta or of its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: checks.floats("x", [1.0]), TypeError, "x is a list; it must be a torch.Tensor"),
        (lambda: checks.floats("x", torch.arange(3)), TypeError, "x has dtype torch.int64; it must be"),
        (
            lambda: checks.floats("x", torch.zeros(2, dtype=torch.float16)),
            TypeError,
            "x has dtype torch.float16; it must be torch.float32 or torch.float64",
        ),
        (
            lambda: checks.floats("x", torch.zeros(2, dtype=torch.bfloat16)),
            TypeError,
            "x has dtype torch.bfloat16; it must be torch.float32 or torch.float64",
        ),
        (
            lambda: checks.floats("x", torch.zeros(2, dtype=torch.complex128)),
            TypeError,
            "x has dtype torch.complex128; it must be torch.float32 or torch.float64",
        ),
        (
            lambda: checks.floats("x", torch.eye(2).to_sparse()),
            TypeError,
            "x is a sparse_coo tensor; it must be dense",
        ),
        (
            lambda: checks.floats("x", quietly(torch.eye(2).to_sparse_csr)),
            TypeError,
            "x is a sparse_csr tensor; it must be dense",
        ),
        (
            lambda: checks.floats(
                "x", quietly(lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8))
            ),
            TypeError,
            "x has dtype torch.qint8; it must be torch.float32",
        ),
        (
            lambda: checks.floats(
                "x", quietly(lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]))
            ),
            TypeError,
            "x is a nested tensor; it must be dense",
        ),
        (
            lambda: checks.floats("x", torch.zeros(2, device="meta")),
            TypeError,
            "x is on the device meta, which holds no numbers; it must be on another",
        ),
        (lambda: checks.floats("x", torch.zeros(0, 3)), ValueError, r"x is empty: its shape is \(0, 3\)"),
        (lambda: checks.floats("x", torch.tensor([1.0, torch.nan])), ValueError, "x holds NaN"),
        (lambda: checks.floats("x", torch.tensor([1.0, torch.inf])), ValueError, "x holds NaN or infinite"),
        (
            lambda: checks.signals("y", torch.tensor(1.0), "m"),
            ValueError,
            r"y is a scalar; it must .*\(\.\.\., m\)",
        ),
        (lambda: checks.matrix("A", torch.zeros(3)), ValueError, r"A has shape \(3,\); it must be a matrix"),
        (
            lambda: checks.images("x", torch.zeros(63), (8, 8)),
            ValueError,
            r"x has 63 entries .* must have 64, or be \(\.\.\., 8, 8\)",
        ),
        (lambda: checks.integer("k", 1.0, 0), TypeError, "k is 1.0; it must be an integer"),
        (lambda: checks.integer("k", True, 0), TypeError, "k is True; it must be an integer"),
        (lambda: checks.integer("k", -1, 0), ValueError, "k is -1; it must be at least 0"),
        (
            lambda: checks.integer("k", 9, 0, 8, "the size"),
            ValueError,
            "k is 9; .* between 0 and 8, the size",
        ),
        (lambda: checks.real("tol", "1"), TypeError, "tol is '1'; it must be a number"),
        (lambda: checks.real("tol", True), TypeError, "tol is True; it must be a number"),
        (lambda: checks.real("tol", 0, above=0.0), ValueError, "tol is 0; it must be above 0"),
        (lambda: checks.real("tol", -1.0, low=0.0), ValueError, "tol is -1; it must be at least 0"),
        (lambda: checks.real("tol", float("nan"), low=0.0), ValueError, "tol is nan; it must be at least 0"),
        (lambda: checks.real("tol", float("inf")), ValueError, "tol is inf; it must be finite"),
        (
            lambda: checks.choice("scale", "big", ("a", "b")),
            ValueError,
            "scale is 'big'; .* one of 'a', 'b'",
        ),
        (lambda: checks.flag("nonnegative", 1), TypeError, "nonnegative is 1; it must be True or False"),
        (lambda: checks.floating_dtype("dtype", torch.int64), TypeError, "dtype is torch.int64"),
        (lambda: checks.floating_dtype("dtype", "float64"), TypeError, "dtype is 'float64'"),
        (
            lambda: checks.floating_dtype("dtype", torch.float16),
            TypeError,
            "dtype is torch.float16; it must be torch.float32 or torch.float64",
        ),
        (
            lambda: checks.device("device", "nonsense"),
            ValueError,
            "device is 'nonsense'; it must be a device of this machine",
        ),
        (
            lambda: checks.device("device", "cuda:99"),
            ValueError,
            "device is 'cuda:99'; it must be a device of this machine",
        ),
        (lambda: checks.device("device", 2.5), TypeError, "device is 2.5; it must be a torch.device"),
        (
            lambda: checks.device("device", "meta"),
            ValueError,
            "device is 'meta', which holds no numbers; it must be another",
        ),
        (
            lambda: checks.representable("A x", torch.tensor([1.0, torch.inf])),
            ValueError,
            r"A x is too large for torch.float32, whose largest number is 3.4e\+38; the arguments must be in",
        ),
        (lambda: checks.random_source(0), TypeError, "generator is a int; it must be a torch.Generator"),
        (
            lambda: checks.per_signal("lam", torch.ones(2, dtype=D), "y", LIKE, BATCH),
            ValueError,
            r"lam has shape \(2,\); .* shape \(3,\)",
        ),
        (
            lambda: checks.per_signal("lam", torch.ones(3), "y", LIKE, BATCH),
            TypeError,
            "y has dtype torch.float64 and lam has torch.float32",
        ),
        (
            lambda: checks.per_signal("lam", 1e-60, "y", LIKE.float(), BATCH, above=0.0),
            ValueError,
            "lam is 1e-60, which is 0 in torch.float32; it must be above 0",
        ),
        (
            lambda: checks.per_signal("lam", 1e60, "y", LIKE.float(), BATCH),
            ValueError,
            "lam is 1e[+]60, which is inf in torch.float32; it must be finite",
        ),
        (
            lambda: checks.per_signal(
                "lam", torch.tensor([1.0, 0.0, 2.0], dtype=D), "y", LIKE, BATCH, above=0.0
            ),
            ValueError,
            "lam has the entry 0; all of its entries must be above 0",
        ),
        (
            lambda: checks.level("t", torch.tensor([-1.0], dtype=D), "u", LIKE),
            ValueError,
            "t has the entry -1; all of its entries must be at least 0",
        ),
        (lambda: checks.level("t", torch.ones(5, dtype=D), "u", LIKE), ValueError, r"t has shape \(5,\)"),
        (
            lambda: checks.level("t", torch.ones(2, 3, 4, dtype=D), "u", LIKE),
            ValueError,
            "must broadcast to",
        ),
        (lambda: checks.level("t", torch.ones(4), "u", LIKE), TypeError, "u has dtype torch.float64 and t"),
        (
            lambda: checks.same_shape(x=torch.zeros(2), x_hat=torch.zeros(3)),
            ValueError,
            r"x has shape \(2,\) and x_hat \(3,\)",
        ),
        (
            lambda: checks.same_kind(y=torch.zeros(2), A=torch.zeros(2, device="meta")),
            TypeError,
            "y is on cpu and A on meta",
        ),
        (
            lambda: checks.linear_system("A", torch.ones(3, 5), "y", torch.ones(4), "rows"),
            ValueError,
            r"y has shape \(4,\) and A has \(3, 5\); the last dimension of y must be m = 3, the number",
        ),
        (
            lambda: checks.linear_system("A", torch.ones(3, 5), "x", torch.ones(4), "columns"),
            ValueError,
            "the last dimension of x must be n = 5, the number of columns of A",
        ),
        (
            lambda: checks.linear_system("A", torch.ones(2, 3, 5), "y", torch.ones(4, 3), "rows"),
            ValueError,
            "leading dimensions must broadcast",
        ),
        (
            lambda: checks.linear_system("A", torch.ones(3, 5), "y", torch.ones(3, dtype=D), "rows"),
            TypeError,
            "y has dtype torch.float64 and A has torch.float32",
        ),
    ],
)
def test_bad_input_is_named(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_good_input_comes_back():
    x = torch.zeros(2, 3)
    assert checks.signals("x", x) is x
    assert checks.matrix("A", x) is x
    assert checks.images("x", torch.zeros(2, 6), (2, 3)).shape == (2, 6)
    assert checks.integer("k", 3, 0, 3) == 3
    assert checks.real("tol", 0, low=0.0) == 0.0
    assert checks.choice("scale", "a", ("a", "b")) == "a"
    assert checks.flag("nonnegative", False) is False
    assert checks.random_source(None) is None
    assert checks.floating_dtype("dtype", D) is D
    assert torch.equal(checks.images("x", x[None], (2, 3)), x.reshape(1, 6))
    assert checks.representable("y", x) is x
    assert checks.device("device", None) == checks.device("device", "cpu") == torch.device("cpu")
    assert checks.device("device", "meta", meta=True).type == "meta"


def test_per_signal_spreads_numbers_and_tensors():
    assert torch.equal(checks.per_signal("lam", 2, "y", LIKE, BATCH), torch.full((3,), 2.0, dtype=D))
    each = torch.tensor([1.0, 2.0, 3.0], dtype=D)
    assert torch.equal(checks.per_signal("lam", each, "y", LIKE, BATCH, above=0.0), each)
    assert checks.per_signal("lam", each[:1], "y", LIKE, BATCH).shape == BATCH


def test_a_system_broadcasts_its_batch():
    shared = checks.linear_system("A", torch.ones(3, 5), "y", torch.ones(2, 4, 3), "rows")
    assert shared[2] == (2, 4)
    each = checks.linear_system("A", torch.ones(4, 3, 5), "y", torch.ones(2, 1, 3), "rows")
    assert each[2] == (2, 4)
