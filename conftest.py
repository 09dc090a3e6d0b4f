"""Every test runs in the environment of the book's kernels, also those that `pytest --nbval book` starts."""

import os
from pathlib import Path

from gsl_utils.book.kernels import environment

for name, value in environment(Path(__file__).parent).items():
    # Set before torch is imported. Not the path: a test of the installed package must not find this folder.
    if name != "PYTHONPATH":
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
