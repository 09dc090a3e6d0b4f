"""What every recovery returns: a record that cannot be changed and is never compared entry by entry."""

import dataclasses

import pytest
import torch

from gsl_utils.recovery import Recovery

X = torch.ones(2, 3)
ONE = torch.ones(2)


def make():
    return Recovery(x=X, z=X, objective=ONE, n_iter=ONE.long(), converged=ONE.bool())


def test_fields_are_those_of_the_design_in_its_order():
    names = [field.name for field in dataclasses.fields(Recovery)]
    assert names == ["x", "z", "objective", "n_iter", "converged", "gap"]


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().x = X + 1


def test_equality_is_identity():
    found = make()
    assert found == found
    assert found != make()


def test_no_gap_unless_one_is_known():
    assert make().gap is None
