"""Which numbers of a sentence look like results."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindery.lint.literals import math_numbers, numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # decimals
        ("the slope is 0.97 here", ["0.97"]),
        ("a slope of .85.", [".85"]),
        ("from 0.5–0.7 and 0.2-0.3", ["0.5", "0.7", "0.2"]),
        ("(0.25), x=0.25, ~0.1, p<0.01", ["0.25", "0.25", "0.1", "0.01"]),
        ("1,234.5 of them", ["1,234.5"]),
        ("-0.3 to 0.4", ["-0.3", "0.4"]),
        ("0.5n and 2.5k log n", ["0.5", "2.5"]),
        # scientific notation
        ("1e-6 and 1.5e-3", ["1e-6", "1.5e-3"]),
        # percentages and units
        ("12%, 99 %, about 99 per cent, 3 percent", ["12%", "99 %", "99 per cent", "3 percent"]),
        ("20.7 dB, 30 dB, 2 s, 40 ms", ["20.7 dB", "30 dB", "2 s", "40 ms"]),
        ("in 10 minutes with 2 GB", ["10 minutes", "2 GB"]),
        ("3 times, 3x faster, 2.5-fold, 3× that", ["3 times", "3x", "2.5-fold", "3×"]),
        ("2 standard errors", ["2 standard errors"]),
        # so many of so many
        ("24 of 30 seeds, 3 out of 4, 3 of the 7", ["24 of 30", "3 out of 4", "3 of the 7"]),
        ("24/30 seeds", ["24/30"]),
        ("5 ± 1 dB, 3 +- 1", ["5 ± 1 dB", "3 +- 1"]),
        # no names eat what follows them
        ("By Theorem 1.2, 24 of 30", ["24 of 30"]),
        ("Theorems 1.1, 2.1 and 2.2, 0.5", ["0.5"]),
        ("Lemma 3.1 gives 0.5", ["0.5"]),
        ("See Figure 3. 5 of 7 do", ["5 of 7"]),
        ("eq. (6) 7 of 8", ["7 of 8"]),
        ("Section 4.3.2, 0.1", ["0.1"]),
    ],
)
def test_results(text, found):
    assert numbers(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "100 signals, n = 1000, m = 300, 60,000 images",
        "Theorem 1.2, Theorems 1.1 and 2.1, Lemma A.3, Sections 4.1 to 4.3, § 4.2, Corollary 2.5",
        "eq. (2.6), Eqs. (2.6), (2.7) and (2.8), Fig. 3.1, Table 2.4, chapter 1",
        "Python 3.11 to 3.13, PyTorch 2.13, CC BY 4.0, Creative Commons Attribution 4.0, 1.0.4, 2.13.0",
        "arXiv:1703.03208, https://doi.org/10.1109/5.771073, doi 10.1109/5.771073",
        "Bora et al. (2017), in 2006, p. 12, from 2017 to 2020",
        "a 3 x 3 grid, 28×28 pixels, 100 x 400, 64-bit, 2-D, l1, float32, G_2",
        "one half of them, 1/2, 3/4, 10 of these, step 1.",
        "1. First",
        "",
    ],
)
def test_names_and_sizes_are_none(text):
    assert numbers(text) == []


@given(
    st.floats(0.001, 999).map(lambda value: f"{value:.3f}"),
    st.sampled_from(["", " dB", " %", " s", " times"]),
)
def test_a_decimal_is_found_wherever_it_stands(number, unit):
    assert numbers(f"We see {number}{unit} here.") == [f"{number}{unit}"]
    assert numbers(f"({number}{unit})") == [f"{number}{unit}"]


@given(st.integers(0, 10**6))
def test_a_plain_integer_never_is(number):
    assert numbers(f"We draw {number} signals; the seed is {number}.") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"m = 0.5, 1,000.5", ["0.5", "1,000.5"]),
        (r"\lambda = .1", [".1"]),
        (r"99\,\% of 50\%", [r"99\,\%", r"50\%"]),
        (r"20\,\mathrm{dB}, 3~\text{times}", [r"20\,\mathrm{dB}", r"3~\text{times}"]),
        (r"x_{0.95}", ["0.95"]),
        (r"n = 100, \frac12, \tfrac{1}{2}, 10^{-3}, 2k, \sqrt{2}", []),
        (r"m \ge 2 k \log(n/k), i = 1,2,\dots,n", []),
        (r"\|x\|_1 \le 1.", []),
    ],
)
def test_mathematics(text, found):
    assert math_numbers(text) == found
