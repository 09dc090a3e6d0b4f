"""Every test runs in the environment of the book's kernels, also those that `pytest --nbval book` starts.

Its arithmetic is the book's, unless whoever started the tests wishes another: by BOOK_ARITHMETIC, or by
setting one of its variables, were it to nothing, as in `MKL_CBWR= make test`.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bindery.page.arithmetic import CHOICE, wished
from bindery.page.kernels import environment

pytest_plugins = ["bindery.page.validation"]

# Handed on to the processes that this one starts, whose variables then say nothing of who wished what.
os.environ[CHOICE] = wished(os.environ)
# A user's start-up files must not reach the kernels.
_PROFILE = tempfile.TemporaryDirectory(prefix="ipython-")

for name, value in {
    **environment(Path(__file__).parent, arithmetic=os.environ[CHOICE]),
    "IPYTHONDIR": _PROFILE.name,
}.items():
    # Set before torch is imported. Not the path: a test of the installed package must not find this folder.
    if name != "PYTHONPATH":
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def single_precision() -> Iterator[None]:
    """A page computes in float64 by default; the next test does not."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_default_dtype(torch.float32)
