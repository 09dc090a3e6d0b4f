"""The numbers behind the committed pages' figures, against those of the execution that `make test` just did.

nbval compares everything else of a page character by character; these numbers may differ in their last digits
between processors, and are compared with a tolerance.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gsl_utils.book import bundle
from gsl_utils.book.compare import differences

BOOK = Path(__file__).parents[1] / "book"
FOLDER = os.environ.get("GSL_BUNDLE_DIR")


@pytest.mark.skipif(
    not FOLDER, reason="GSL_BUNDLE_DIR is not set: make test-pages executes the pages and sets it"
)
@pytest.mark.parametrize("page", sorted(BOOK.glob("*.ipynb")), ids=lambda page: page.stem)
def test_another_execution_draws_the_same_numbers(page):
    assert [line for figure in bundle.read(page) for line in differences(figure.bundle, Path(FOLDER))] == []
