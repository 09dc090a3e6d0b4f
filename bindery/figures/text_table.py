"""The old place of ``text_table``, until no page names it: to import it must not hide the function."""

import sys

from bindery.figures import text_table

text_table.text_table = text_table  # type: ignore[attr-defined]
sys.modules[__name__] = text_table  # type: ignore[assignment]
