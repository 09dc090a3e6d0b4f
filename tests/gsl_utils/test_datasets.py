"""Data sets: what they hold, where they are looked for, and what is said when a file is missing or torn."""

import builtins
import gzip
import hashlib
import struct
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gsl_utils import datasets

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    """No data anywhere: neither named by the environment nor in the user's cache."""
    monkeypatch.delenv("GSL_DATA_DIR", raising=False)
    monkeypatch.setattr(datasets, "_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def write_idx(path, array):
    """Write an IDX file of bytes, and say which sum it has."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    packed = gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    return hashlib.sha256(packed).hexdigest()


@pytest.fixture
def tiny(monkeypatch, tmp_path, empty_cache):
    """A data set of three images of 2 x 2 pixels under the name of MNIST, in a folder of its own."""
    pixels = np.arange(12).reshape(3, 2, 2) * 20
    sums = {
        IMAGES: write_idx(tmp_path / "data/mnist" / IMAGES, pixels),
        LABELS: write_idx(tmp_path / "data/mnist" / LABELS, np.array([7, 8, 9])),
    }
    monkeypatch.setitem(datasets._SHA256, "mnist", sums)
    return tmp_path / "data"


def test_digits_are_scikit_learns():
    reference = load_digits()
    train, train_labels = datasets.load("digits")
    test, test_labels = datasets.load("digits", "test")
    assert train.shape == (1500, 64)
    assert test.shape == (297, 64)
    assert train.dtype == torch.float64
    assert np.array_equal(torch.cat([train, test]).numpy() * 16, reference.data)
    assert np.array_equal(torch.cat([train_labels, test_labels]).numpy(), reference.target)
    assert float(train.min()) == 0
    assert float(train.max()) == 1
    assert train_labels.dtype == torch.int64


def test_the_first_n_in_another_dtype():
    images, labels = datasets.load("digits", "test", 5, dtype=torch.float32)
    everything, all_labels = datasets.load("digits", "test")
    assert images.dtype == torch.float32
    assert torch.equal(images.double(), everything[:5])
    assert torch.equal(labels, all_labels[:5])


def test_files_are_read_from_the_named_folder(tiny, monkeypatch):
    monkeypatch.setenv("GSL_DATA_DIR", str(tiny))
    images, labels = datasets.load("mnist")
    assert torch.equal(images * 255, torch.arange(12, dtype=torch.float64).reshape(3, 4) * 20)
    assert labels.tolist() == [7, 8, 9]


def test_the_named_folder_needs_no_pooch(tiny, monkeypatch):
    monkeypatch.setenv("GSL_DATA_DIR", str(tiny))
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert datasets.load("mnist", n=2)[0].shape == (2, 4)


def test_files_are_read_from_the_cache_when_the_folder_lacks_them(tiny, monkeypatch, tmp_path, empty_cache):
    tiny.rename(empty_cache)
    monkeypatch.setenv("GSL_DATA_DIR", str(tmp_path / "elsewhere"))
    assert datasets.load("mnist", n=1)[1].tolist() == [7]


def test_the_cache_is_pooch_s(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert datasets._cache().name == "gsl_utils"


def test_one_sentence_when_there_is_no_data(empty_cache, monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError) as without:
        datasets.load("mnist")
    assert str(without.value) == (
        f"{IMAGES} of mnist is not in {empty_cache / 'mnist'}: set GSL_DATA_DIR to a folder that holds "
        f'mnist/{IMAGES}, or download it once with gsl_utils.datasets.fetch("mnist").'
    )
    monkeypatch.setenv("GSL_DATA_DIR", str(tmp_path / "wrong"))
    with pytest.raises(FileNotFoundError, match="wrong/mnist or "):
        datasets.load("mnist")


@pytest.mark.parametrize(("kept", "added"), [(-4, b""), (-1, b"?"), (0, b"")])
def test_a_torn_file_is_named(tiny, monkeypatch, kept, added):
    monkeypatch.setenv("GSL_DATA_DIR", str(tiny))
    path = tiny / "mnist" / IMAGES
    path.write_bytes(path.read_bytes()[:kept] + added)
    with pytest.raises(ValueError, match=f"{IMAGES} is not the published file .* may be torn"):
        datasets.load("mnist")


def test_load_never_downloads(empty_cache, monkeypatch):
    import pooch

    def retrieve(url, *rest, **named):
        pytest.fail(f"a download of {url}")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(FileNotFoundError):
        datasets.load("fashion-mnist")


def test_missing_packages_are_named(empty_cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pooch, which is not installed: pip install 'gsl_utils\[book\]'"):
        datasets.fetch("mnist")
    monkeypatch.setattr(datasets.importlib.util, "find_spec", {}.get)
    with pytest.raises(ImportError, match="scikit-learn, which is not installed"):
        datasets.load("digits")


def test_digits_do_not_import_scikit_learn(monkeypatch):
    real = builtins.__import__

    def guarded(name, *rest):
        assert not name.startswith("sklearn"), "a second of import for a table of bytes"
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", guarded)
    assert len(datasets.digest("digits")) == 64


def test_fetch_tries_the_mirrors_in_turn(tiny, monkeypatch, empty_cache):
    import pooch

    asked = []

    def retrieve(url, known, fname, path):
        asked.append(url)
        if url.startswith(datasets._MIRRORS["mnist"][0]):
            raise OSError("unreachable")
        assert known == "sha256:" + datasets._SHA256["mnist"][fname]
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes((tiny / "mnist" / fname).read_bytes())

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert datasets.fetch("mnist") == empty_cache / "mnist"
    first, second = datasets._MIRRORS["mnist"]
    assert asked == [first + IMAGES, second + IMAGES, first + LABELS, second + LABELS]
    assert datasets.load("mnist")[1].tolist() == [7, 8, 9]


def test_fetch_says_what_each_mirror_answered(empty_cache, monkeypatch):
    import pooch

    def retrieve(url, *rest, **named):
        raise ValueError("wrong sum")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(OSError, match=f"No mirror delivered {IMAGES} of fashion-mnist") as error:
        datasets.fetch("fashion-mnist")
    assert all(mirror in str(error.value) for mirror in datasets._MIRRORS["fashion-mnist"])


def test_mirrors_are_https():
    assert all(url.startswith("https://") for mirrors in datasets._MIRRORS.values() for url in mirrors)


def test_digests_identify_the_content(monkeypatch):
    found = {name: datasets.digest(name) for name in datasets.NAMES}
    assert len(set(found.values())) == 3
    assert all(len(value) == 64 for value in found.values())
    monkeypatch.setitem(datasets._SHA256["mnist"], LABELS, "0" * 64)
    assert datasets.digest("mnist") != found["mnist"]
    assert datasets.digest("digits") == found["digits"]


@pytest.mark.mnist
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_published_files(name):
    images, labels = datasets.load(name, "test")
    assert images.shape == (10_000, 784)
    assert float(images.min()) == 0
    assert float(images.max()) == 1
    assert sorted(set(labels.tolist())) == list(range(10))
    assert datasets.load(name, "train", 3, dtype=torch.float32)[0].shape == (3, 784)


@pytest.mark.mnist
def test_the_first_digits_of_mnist():
    assert datasets.load("mnist", "train", 5)[1].tolist() == [5, 0, 4, 1, 9]
    assert datasets.load("mnist", "test", 5)[1].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: datasets.load("cifar"), ValueError, "name is 'cifar'; it must be one of 'digits', 'mnist'"),
        (lambda: datasets.load("digits", "valid"), ValueError, "split is 'valid'"),
        (lambda: datasets.load("digits", n=0), ValueError, "n is 0"),
        (
            lambda: datasets.load("digits", "test", 298),
            ValueError,
            "n is 298; .* number of test images of digits",
        ),
        (lambda: datasets.load("digits", n=1.5), TypeError, "n is 1.5"),
        (lambda: datasets.load("digits", dtype=torch.int64), TypeError, "dtype is torch.int64"),
        (lambda: datasets.digest("cifar"), ValueError, "name is 'cifar'"),
        (lambda: datasets.fetch("digits"), ValueError, "name is 'digits'"),
    ],
)
def test_bad_arguments_are_named(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_devices_and_dtypes_that_are_not_there_are_named():
    for device, words in [("nonsense", "it must be a device of this"), ("meta", "which holds no numbers")]:
        with pytest.raises(ValueError, match=f"device is '{device}'.* {words}"):
            datasets.load("digits", device=device)
    with pytest.raises(TypeError, match=r"dtype is torch\.float16; it must be torch\.float32 or"):
        datasets.load("digits", dtype=torch.float16)
