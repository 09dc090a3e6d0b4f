"""Random sparse vectors against what each chapter drew for itself, and against what they claim to be."""

import pytest
import torch
from scipy.stats import chisquare

from gsl_utils.sparse import sparse_vectors

D = torch.float64


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def as_a_chapter_drew_them(count, n, k, generator, *, signs):
    order = torch.rand(count, n, generator=generator, dtype=D).argsort(dim=-1)
    values = torch.randn(count, n, generator=generator, dtype=D)
    return (values.sign() if signs else values) * (order.argsort(dim=-1) < k)


@pytest.mark.parametrize("values", ["signs", "gaussian"])
@pytest.mark.parametrize(("count", "n", "k"), [(7, 50, 4), (1, 9, 0), (3, 9, 9), (40, 200, 31)])
def test_the_numbers_are_those_that_the_chapters_drew(values, count, n, k):
    expected = as_a_chapter_drew_them(count, n, k, source(3), signs=values == "signs")
    found = sparse_vectors((count, n), k, values=values, generator=source(3))
    assert found.dtype == D
    assert torch.equal(found, expected)


def test_two_draws_of_one_generator_follow_each_other():
    """A chapter draws its matrix next: as many numbers must be gone as before."""
    one, other = source(), source()
    sparse_vectors((4, 30), 3, generator=one)
    as_a_chapter_drew_them(4, 30, 3, other, signs=True)
    assert torch.equal(torch.randn(5, generator=one), torch.randn(5, generator=other))


@pytest.mark.parametrize("shape", [(20,), (3, 20), [2, 3, 20], torch.Size([2, 1, 3, 20])])
def test_any_number_of_leading_dimensions(shape):
    x = sparse_vectors(shape, 5, values="gaussian", generator=source())
    assert x.shape == tuple(shape)
    assert bool(((x != 0).sum(-1) == 5).all())
    assert torch.equal(x.flatten(0, -2) if x.ndim > 1 else x[None], sparse_vectors(
        (x.numel() // 20, 20), 5, values="gaussian", generator=source()
    ))  # fmt: skip


def test_every_place_is_as_likely_and_either_sign():
    x = sparse_vectors((4000, 10), 3, generator=source(1))
    assert chisquare((x != 0).sum(0).numpy()).pvalue > 1e-3
    assert set(x.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert abs(float(x.sum())) < 4 * (4000 * 3) ** 0.5
    # No entry is a negative zero, which would be printed.
    assert not bool(torch.signbit(x[x == 0]).any())


def test_vectors_of_one_seed_grow_with_k():
    few, more = (sparse_vectors((5, 40), k, generator=source()) for k in (4, 9))
    assert bool((more[few != 0] == few[few != 0]).all())


def test_single_precision():
    assert sparse_vectors((2, 8), 2, generator=source(), dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"shape": 5}, TypeError, r"shape is 5; it must be a tuple of lengths \(..., n\)"),
        ({"shape": "ab"}, TypeError, r"shape is 'ab'; it must be a tuple"),
        ({"shape": ()}, ValueError, r"shape is \(\); it must be \(..., n\), with one length at least"),
        ({"shape": (0, 5)}, ValueError, "shape is 0; it must be at least 1"),
        ({"shape": (2.0, 5)}, TypeError, "shape is 2.0; it must be an integer"),
        ({"k": 6}, ValueError, "k is 6; it must be between 0 and 5, the length of a vector"),
        ({"k": -1}, ValueError, "k is -1; it must be between 0 and 5"),
        ({"k": 1.0}, TypeError, "k is 1.0; it must be an integer"),
        ({"values": "rademacher"}, ValueError, "values is 'rademacher'; it must be one of 'signs', 'gaus"),
        ({"generator": 3}, TypeError, "generator is a int; it must be a torch.Generator or None"),
        ({"dtype": torch.float16}, TypeError, "dtype is torch.float16; it must be torch.float32 or"),
        ({"device": "nowhere"}, ValueError, "device is 'nowhere'; it must be a device of this machine"),
    ],
)
def test_bad_input_is_named(change, error, message):
    given = {"shape": (3, 5), "k": 2, "generator": source()} | change
    with pytest.raises(error, match=message):
        sparse_vectors(given.pop("shape"), given.pop("k"), **given)
