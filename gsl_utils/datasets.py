"""The images of the book: digits from scikit-learn's own copy, MNIST and Fashion-MNIST from checked files.

Nothing here downloads anything but ``fetch``, and nothing in the book or its tests calls that.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import struct
import types
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gsl_utils.common import checks

__all__ = ["NAMES", "digest", "fetch", "load"]

NAMES = ("digits", "mnist", "fashion-mnist")

# Publicly known sums of the files as their authors published them.
_SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}
_MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "https://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
}
_DIGITS_TRAIN = 1500


def load(
    name: str,
    split: str = "train",
    n: int | None = None,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Images in [0, 1], flattened by rows, and their labels.

    Args:
        name: ``"digits"`` (8 x 8, from scikit-learn's own copy: the first 1500 train, the remaining 297
            test), ``"mnist"`` or ``"fashion-mnist"`` (28 x 28, 60000 train, 10000 test).
        split: ``"train"`` or ``"test"``.
        n: How many, from the first; all of them by default.
        dtype: Of the images.
        device: Of both tensors.

    Returns:
        Images ``(n, height * width)`` and labels ``(n,)`` of dtype int64.

    Raises:
        ValueError: The name or the split is unknown, ``n`` is out of range, the device is not there, or a
            file is not the published one.
        FileNotFoundError: MNIST or Fashion-MNIST is neither in the folder that the environment variable
            ``GSL_DATA_DIR`` names (as ``mnist/train-images-idx3-ubyte.gz`` and so on) nor in the user's
            cache.
        ImportError: A package of the ``book`` extra is needed and missing.

    Sources: Alpaydin and Kaynak (1998); LeCun, Cortes and Burges (1998); Xiao, Rasul and Vollgraf (2017).
    First used in chapter 1.

    >>> images, labels = load("digits", "test", 2)
    >>> images.shape, labels.tolist(), float(images.max())
    (torch.Size([2, 64]), [1, 7], 1.0)
    """
    checks.choice("name", name, NAMES)
    checks.choice("split", split, ("train", "test"))
    checks.floating_dtype("dtype", dtype)
    device = checks.device("device", device)
    if n is not None:
        checks.integer("n", n, 1)
    if name == "digits":
        pixels, labels, white = _digits(split)
    else:
        prefix = "train" if split == "train" else "t10k"
        pixels = _read_idx(_locate(name, f"{prefix}-images-idx3-ubyte.gz"), name)
        labels = _read_idx(_locate(name, f"{prefix}-labels-idx1-ubyte.gz"), name)
        white = 255.0
    if n is not None:
        checks.integer("n", n, 1, len(pixels), f"the number of {split} images of {name}")
        pixels, labels = pixels[:n], labels[:n]
    flat = torch.from_numpy(pixels.reshape(len(pixels), -1)).to(device=device, dtype=dtype)
    return flat.div_(white), torch.from_numpy(labels.astype(np.int64)).to(device=device)


def digest(name: str) -> str:
    """The SHA-256 sum that identifies a data set's content, whether or not its files are on this machine.

    For MNIST and Fashion-MNIST it is the sum over the published sums of their files, and for the digits the
    sum of scikit-learn's uncompressed table: a page that uses the data is stale when it changes.

    Args:
        name: ``"digits"``, ``"mnist"`` or ``"fashion-mnist"``.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: The name is unknown.
        ImportError: ``name`` is ``"digits"`` and scikit-learn is not installed.

    Described on the page that says how the book is made.

    >>> digest("mnist")[:8]
    'd89dbb0a'
    """
    checks.choice("name", name, NAMES)
    if name == "digits":
        return hashlib.sha256(_digits_table()).hexdigest()
    listed = "\n".join(f"{file} {value}" for file, value in sorted(_SHA256[name].items()))
    return hashlib.sha256(listed.encode()).hexdigest()


def fetch(name: str) -> Path:
    """Download a data set into the user's cache, checking every file; files already there are only checked.

    Each mirror is tried in turn, and a file whose SHA-256 sum is wrong is thrown away.

    Args:
        name: ``"mnist"`` or ``"fashion-mnist"``.

    Returns:
        The folder that holds the files.

    Raises:
        ValueError: The name is unknown, or needs no download.
        OSError: No mirror delivered a file with the right sum; the message names the file and each mirror's
            failure.
        ImportError: pooch, of the ``book`` extra, is not installed.

    Described on the page that says how the book is made.

    >>> fetch("digits")
    Traceback (most recent call last):
    ...
    ValueError: name is 'digits'; it must be one of 'mnist', 'fashion-mnist'.
    """
    checks.choice("name", name, tuple(_SHA256))
    pooch = _pooch()
    folder = _cache() / name
    for file, known in _SHA256[name].items():
        failures = []
        for mirror in _MIRRORS[name]:
            try:
                pooch.retrieve(mirror + file, f"sha256:{known}", fname=file, path=folder)
                break
            except (OSError, ValueError) as error:
                failures.append(f"{mirror}: {error}")
        else:
            raise OSError(f"No mirror delivered {file} of {name}. " + " ".join(failures))
    return folder


def _digits_table() -> bytes:
    """scikit-learn's table of digits, found without the second that importing scikit-learn takes."""
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise ImportError(
            "The digits come with scikit-learn, which is not installed: pip install 'gsl_utils[book]'."
        )
    return gzip.decompress((Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz").read_bytes())


def _digits(split: str) -> tuple[np.ndarray, np.ndarray, float]:
    table = np.loadtxt(_digits_table().decode().splitlines(), delimiter=",")
    part = table[:_DIGITS_TRAIN] if split == "train" else table[_DIGITS_TRAIN:]
    return part[:, :-1], part[:, -1], 16.0


def _pooch() -> types.ModuleType:
    try:
        import pooch
    except ImportError:
        raise ImportError(
            "The user's cache is looked up by pooch, which is not installed: pip install 'gsl_utils[book]'."
        ) from None
    return pooch


def _cache() -> Path:
    return Path(_pooch().os_cache("gsl_utils"))


def _locate(name: str, file: str) -> Path:
    """The file in ``$GSL_DATA_DIR``, or else in the user's cache."""
    looked = []
    named = os.environ.get("GSL_DATA_DIR")
    if named:
        path = Path(named) / name / file
        if path.is_file():
            return path
        looked.append(str(path.parent))
    path = _cache() / name / file
    if path.is_file():
        return path
    looked.append(str(path.parent))
    raise FileNotFoundError(
        f"{file} of {name} is not in {' or '.join(looked)}: set GSL_DATA_DIR to a folder that holds "
        f'{name}/{file}, or download it once with gsl_utils.datasets.fetch("{name}").'
    )


def _read_idx(path: Path, name: str) -> np.ndarray:
    """An IDX file of bytes, checked against its published sum."""
    packed = path.read_bytes()
    if hashlib.sha256(packed).hexdigest() != _SHA256[name][path.name]:
        raise ValueError(
            f"{path} is not the published file ({len(packed)} bytes, another SHA-256 sum) and may be torn: "
            f'remove it and copy it again, or download it with gsl_utils.datasets.fetch("{name}").'
        )
    # A bytearray, since torch wants memory that may be written to.
    raw = bytearray(gzip.decompress(packed))
    dimensions = raw[3]
    sizes = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(sizes)
