"""Numbers as bytes: what is refused, what is rounded, and that nothing but the numbers decides the bytes."""

from __future__ import annotations

import csv
import io
import math
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bindery.figures.encoding import decode_csv, decode_npz, encode_csv, encode_npz

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(st.lists(finite, min_size=1, max_size=20))
def test_a_float_is_read_back_to_six_digits(values):
    read = [float(entry) for entry in decode_csv(encode_csv({"x": values}))["x"]]
    np.testing.assert_allclose(read, values, rtol=5.1e-6)


@given(st.lists(finite, min_size=1, max_size=20))
def test_rounding_twice_is_rounding_once(values):
    once = encode_csv({"x": values})
    assert encode_csv({"x": [float(entry) for entry in decode_csv(once)["x"]]}) == once


def test_kinds_of_entries():
    text = encode_csv(
        {
            "m": np.array([1, 2]),
            "x": torch.tensor([1 / 3, -0.0], dtype=torch.float64, requires_grad=True),
            "ok": [True, False],
            "word": ["plain", 'a "b", c'],
            "gap": [math.nan, 1e-300],
        }
    )
    assert text == 'm,x,ok,word,gap\n1,0.333333,true,plain,nan\n2,0,false,"a ""b"", c",1e-300\n'
    assert list(csv.DictReader(io.StringIO(text)))[1]["word"] == 'a "b", c'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "data is empty"),
        ({"": [1]}, "column named ''"),
        ({3: [1]}, "column named 3"),
        ({"a,b": [1]}, "column named 'a,b'"),
        ({"x": 1.0}, r"shape \(\)"),
        ({"x": [[1, 2]]}, r"shape \(1, 2\)"),
        ({"x": []}, "at least one row"),
        ({"x": [1], "y": [1, 2]}, "must be equal"),
        ({"x": [math.inf]}, "infinite"),
        ({"x": [1j]}, "complex128"),
    ],
)
def test_a_bad_table_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        encode_csv(data)


@pytest.mark.parametrize("text", ["", "a,b\n1\n"])
def test_what_is_no_table_is_refused(text):
    with pytest.raises(ValueError, match="CSV"):
        decode_csv(text)


@given(hnp.arrays(np.float64, hnp.array_shapes(max_side=4), elements=st.floats(-1e6, 1e6)))
def test_an_array_is_read_back_to_four_digits(array):
    read = decode_npz(encode_npz({"a": array}))["a"]
    assert read.dtype == np.float32
    assert read.shape == array.shape
    largest = np.abs(array).max()
    np.testing.assert_allclose(read, array, rtol=1e-6, atol=5.1e-4 * largest + 1e-37)


def test_an_array_gives_the_same_bytes_whatever_its_layout_and_the_hour(monkeypatch):
    array = np.arange(12.0).reshape(3, 4)
    first = encode_npz({"a": array, "labels": np.array([1, 2])})
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert encode_npz({"a": np.asfortranarray(array), "labels": np.array([1, 2])}) == first
    assert encode_npz({"a": torch.tensor(array), "labels": torch.tensor([1, 2])}) == first


def test_an_npz_carries_no_date():
    import base64

    with zipfile.ZipFile(io.BytesIO(base64.b64decode(encode_npz({"a": [1.0]})))) as archive:
        assert [info.date_time for info in archive.infolist()] == [(1980, 1, 1, 0, 0, 0)]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({}, "images is empty"),
        ({"a b": [1.0]}, "identifier"),
        ({"a": []}, "must hold numbers"),
        ({"a": ["x"]}, "must hold numbers"),
        ({"a": [np.inf]}, "infinite"),
    ],
)
def test_bad_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        encode_npz(images)


@pytest.mark.parametrize("text", ["", "not base64!", "QUJD"])
def test_what_is_no_npz_is_refused(text):
    with pytest.raises(ValueError, match="npz"):
        decode_npz(text)
