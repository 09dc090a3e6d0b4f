"""A square root whose last digit is the same on every processor."""

from __future__ import annotations

from torch import Tensor

__all__ = ["square_root"]


def square_root(x: Tensor) -> Tensor:
    """The root of every entry, to one rounding or two.

    torch leaves its own to a part of MKL that starts from the processor's approximation of 1/sqrt, which is
    not the same everywhere. This is made of a root and two divisions that are rounded as IEEE 754 prescribes.
    """
    return x.rsqrt().reciprocal()
