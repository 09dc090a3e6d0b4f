"""Numbers in prose that look like results."""

from __future__ import annotations

import re

__all__ = ["math_numbers", "numbers"]

# Numbers that are names: places in a source, versions, licences, identifiers.
_PLACES = (
    "algorithm|appendix|assumption|chapter|claim|conjecture|corollary|definition|eq|equation|example|fig|figure"
    "|lemma|prop|proposition|remark|sec|section|table|thm|theorem"
)
_SOFTWARE = (
    "apache|attribution|book|cc by|cuda|gpl|mathjax|matplotlib|numpy|python|pytorch|scipy|torch|version"
)
_PLACE = r"\(?(?:[A-Z]\.)?\d+(?:\.\d+)*[a-z]?\)?"
_AND = r"(?:,?\s(?:to|and|or)\s|-|–)"
_NAMES = re.compile(
    # Commas go on with a list only after a plural and only up to its "and": "Theorems 1.1, 2.1 and 2.2, 0.5".
    rf"\b(?:{_PLACES})(?:e?s\.?|\.)\s*{_PLACE}(?:(?:,\s*{_PLACE})*{_AND}\s*{_PLACE})?"
    rf"|(?:\b(?:{_PLACES}|{_SOFTWARE})\s+|§\s*){_PLACE}(?:{_AND}{_PLACE})?"
    r"|(?<![\d.])\d+(?:\.\d+){2,}"  # three parts: a version
    r"|\barXiv:\s*\S+"
    r"|\b10\.\d{4,}/\S+"  # a DOI
    r"|\bhttps?://\S+",
    re.IGNORECASE,
)

_WHOLE = r"\d+(?:,\d{3})*"
_VALUE = r"[-+−]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?"
_UNIT = (
    r"per\s?cent|percent|%|‰|percentage\spoints?|dB|decibels?|times|fold|standard\s(?:errors?|deviations?)"
    r"|s|ms|µs|μs|us|ns|seconds?|milliseconds?|microseconds?|minutes?|min|hours?"
    r"|[kKMGT]i?B|bytes|[kMG]?Hz|[MGT]?FLOPS?"
    r"|[x×](?!\s*\d)"  # "3x faster" is a result, "3 x 3" a size
)
# A number, not part of a word or of a longer number.
_BEFORE, _AFTER = r"(?<![\w.\-/^])(?<!\d,)", r"(?!\w|[.,]\d)"
_RESULTS = re.compile(
    "|".join(
        [
            rf"{_BEFORE}{_VALUE}\s*(?:±|\+/-|\+-)\s*{_VALUE}(?:[\s-]*(?:{_UNIT}))?{_AFTER}",
            rf"{_BEFORE}{_VALUE}[\s-]*(?:{_UNIT})(?!\w)",
            rf"{_BEFORE}{_WHOLE}\s+(?:out\s+)?of\s+(?:the\s+)?{_WHOLE}{_AFTER}",
            rf"{_BEFORE}\d+\s*/\s*\d{{2,}}{_AFTER}",
            rf"{_BEFORE}[-+−]?(?:{_WHOLE})?\.\d+(?:e[-+]?\d+)?",
            rf"{_BEFORE}[-+−]?\d+e[-+]?\d+",
        ]
    )
)
# In mathematics integers and fractions define things; a decimal, a percentage or a number with a unit counts
# as measured until a person has said why it is not.
_MATH_UNIT = r"\\(?:mathrm|text|textrm|operatorname)\{\s*~?\s*(?:dB|m?s|min|times|[kMG]B|per\s?cent)\s*\}"
_MATH = re.compile(
    rf"(?<![\d.])\d+(?:\.\d+)?\s*(?:\\[,;: ]|~)*\s*(?:\\%|{_MATH_UNIT})|(?<![\d.])(?:{_WHOLE})?\.\d+"
)


def numbers(text: str) -> list[str]:
    """Return the result-like numbers of a piece of prose, in order, with their units.

    These are decimals, percentages, numbers with a unit or in scientific notation, "24 of 30", "24/30" and
    "3 ± 1". Plain integers are not, nor are numbers that are names: "Theorem 1.2", "Python 3.11", "1.0.4".

    Args:
        text: Prose without mathematics or code.

    >>> numbers("By Theorem 1.2, 24 of 30 seeds reach 0.05 in 2 s with 100 measurements.")
    ['24 of 30', '0.05', '2 s']
    """
    # A mark in place of a name keeps its neighbours apart.
    return [" ".join(found.split()) for found in _RESULTS.findall(_NAMES.sub("\N{MIDDLE DOT}", text))]


def math_numbers(text: str) -> list[str]:
    r"""Return the result-like numbers of a formula: decimals, percentages, numbers with a unit.

    Args:
        text: TeX without its dollars.

    >>> math_numbers(r"m \ge \tfrac{1}{2} k \log(n/k) + 3.5")
    ['3.5']
    """
    return [" ".join(found.split()) for found in _MATH.findall(text)]
