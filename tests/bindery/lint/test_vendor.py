"""Calls that a processor or chance decides are found, and no others."""

import ast

import pytest

from bindery.lint.vendor import calls, problems
from bindery.root import BookError


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("torch.bernoulli(p)", "bernoulli"),
        ("x.bernoulli_(0.5, generator=g)", "bernoulli_"),
        ("torch.empty(3).exponential_()", "exponential_"),
        ("torch.multinomial(w, 2)", "multinomial"),
        ("torch.nn.functional.dropout(x)", "dropout"),
        ("x.square().mean().sqrt()", "sqrt"),
        ("torch.sqrt(x)", "sqrt"),
        ("x.sqrt_()", "sqrt_"),
        ("torch.linalg.lstsq(A, y)", "lstsq"),
        ('torch.linalg.lstsq(A, y, driver="gelsd")', "lstsq"),
        ("torch.optim.Adam(weights)", "Adam"),
        ("optim.AdamW(weights, fused=False)", "AdamW"),
    ],
)
def test_refused(code, word):
    ((line, why),) = calls(ast.parse(code))
    assert line == 1
    assert why.startswith(f"{word}: ")


@pytest.mark.parametrize(
    "code",
    [
        "math.sqrt(2)", "np.sqrt(x)", "mpmath.sqrt(2)", "numbers.exponential(2.0)", "x.norm()", "x.rsqrt()",
        "square_root(x)", 'torch.linalg.lstsq(A, y, driver="gels")', "np.linalg.lstsq(A, y)",
        "torch.optim.Adam(weights, fused=True)", "Adam(steps, tol)", "bernoulli = 3",
    ],
)  # fmt: skip
def test_allowed(code):
    assert list(calls(ast.parse(code))) == []


def test_science_and_notebooks_are_searched(toy):
    toy.module("sparse", "def f(x):\n    return x.sqrt()\n")
    # The machinery computes nothing of the science.
    toy.machine("show", "y = x.sqrt()\n")
    toy.notebook("01_a", "x = 1", "y = 2\ntorch.bernoulli(p)")
    first, second = problems(toy.root)
    assert first.startswith("gsl_utils/sparse.py:2: sqrt: its last digit is the processor's")
    assert second.startswith("notebooks/01_a.ipynb, cell 4, line 2: bernoulli: its stream is another")


def test_a_cell_that_is_not_python_is_named(toy):
    toy.notebook("01_a", "x = (")
    with pytest.raises(BookError, match=r"notebooks/01_a\.ipynb, cell 3, line 1: "):
        problems(toy.root)
