"""Every refusal of recover's own arguments: which it was, what it was, and what it must be."""

import builtins

import pytest
import torch

from gsl_utils.recovery import L1, L2, HardSparsity, recover


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def called(z):
    raise AssertionError("G was called before the arguments were checked")


def arguments(**change):
    return {"G": called, "A": normal(7, 12), "y": normal(3, 7), "z0": torch.zeros(4).double()} | change


DESCENT = {"method": "gd", "lr": 0.1}
REFUSALS = [
    ({"A": [[1.0]]}, TypeError, r"A is a list; it must be a torch.Tensor of floats"),
    ({"A": normal(7)}, ValueError, r"A has shape \(7,\); it must be a matrix"),
    ({"A": normal(7, 12).float()}, TypeError, r"y has dtype torch.float64 and A has torch.float32"),
    ({"A": normal(2, 7, 12)}, ValueError, r"leading dimensions must broadcast"),
    ({"y": normal(3, 6)}, ValueError, r"y has shape \(3, 6\) and A has \(7, 12\)"),
    ({"y": normal(0, 7)}, ValueError, r"y is empty"),
    ({"y": torch.full((3, 7), float("nan")).double()}, ValueError, r"y holds NaN"),
    ({"A": normal(7, 12).half(), "y": normal(3, 7).half()}, TypeError, r"A has dtype torch.float16; it must"),
    ({"loss": "huber"}, ValueError, r"loss is 'huber'; it must be one of 'linear', 'amplitude'"),
    ({"loss": "amplitude", "y": -torch.ones(3, 7).double()}, ValueError, r"y has the entry -1; for loss"),
    ({"z0": [0.0]}, TypeError, r"z0 is a list"),
    ({"z0": torch.zeros(4)}, TypeError, r"y has dtype torch.float64 and z0 has torch.float32"),
    ({"z0": torch.full((4,), float("inf")).double()}, ValueError, r"z0 holds NaN or infinite"),
    ({"z0": torch.tensor(0.0).double()}, ValueError, r"z0 is a scalar"),
    ({"z0": None}, ValueError, r"z0 is None and G has no latent_dim; one of them must say"),
    ({"restarts": 0}, ValueError, r"restarts is 0; it must be at least 1"),
    ({"restarts": 1.5}, TypeError, r"restarts is 1.5; it must be an integer"),
    ({"steps": 0}, ValueError, r"steps is 0; it must be at least 1"),
    ({"steps": True}, TypeError, r"steps is True; it must be an integer"),
    ({"flip": 1}, TypeError, r"flip is 1; it must be True or False"),
    ({"progress": "yes"}, TypeError, r"progress is 'yes'; it must be True or False"),
    ({"callback": 3}, TypeError, r"callback is 3; it must be callable or None"),
    ({"generator": 3}, TypeError, r"generator is a int; it must be a torch.Generator or None"),
    ({"penalty": 0.1}, TypeError, r"penalty is 0.1; it must be L1, L2, HardSparsity, None, or an obj"),
    ({"penalty": L1}, TypeError, r"penalty is <class .*L1.>; it must be L1, L2"),
    ({"method": "newton"}, ValueError, r"method is 'newton'; it must be one of 'gd', 'adam'"),
    ({"method": "prox", "penalty": HardSparsity(5)}, ValueError, r"s is 5; it must be between 0 and 4"),
    ({"penalty": L1(torch.ones(3).double())}, ValueError, r"weight has shape \(3,\); it must broadcast"),
    ({"penalty": L1(torch.ones(4))}, TypeError, r"y has dtype torch.float64 and weight has torch.float32"),
    ({"prune": [(5, 1)]}, ValueError, r"prune is .* and every signal has one start; it must"),
    ({"generator": torch.Generator()}, ValueError, r"generator is given and z0 is, too; .* must be left out"),
    ({"restarts": 3}, ValueError, r"restarts is 3 and z0 has shape \(4,\), one start of a signal"),
    ({"prune": 5}, TypeError, r"prune is 5; it must be a list of pairs"),
    ({"prune": [5]}, TypeError, r"prune holds 5; it must hold pairs"),
    ({"prune": [(5, 3)]}, ValueError, r"number to keep is 3; it must be between 1 and 1, the number of"),
    ({"prune": [(-1, 1)]}, ValueError, r"prune's step is -1; it must be between 0 and 999"),
    ({"prune": [(9, 1)], "steps": 9}, ValueError, r"step is 9; it must be between 0 and 8, later"),
    ({"prune": [(5, 2), (5, 1)], "restarts": 4}, ValueError, r"step is 5; it must be between 6 and 999"),
    ({"prune": [(5, 2), (6, 3)], "restarts": 4}, ValueError, r"number to keep is 3; .*, what the last left"),
    ({"prune": [(5.0, 1)]}, TypeError, r"prune's step is 5.0; it must be an integer"),
    ({"tol": -1.0}, ValueError, r"tol is -1; it must be at least 0"),
    ({"tol": "small"}, TypeError, r"tol is 'small'; it must be a number"),
    ({"lr": -1.0}, ValueError, r"lr is -1; it must be above 0"),
    ({"lr": None}, TypeError, r"lr is None; it must be a number"),
    ({"schedule": "step"}, ValueError, r"schedule is 'step'; it must be one of 'constant', 'cosine'"),
    ({"damping": 1.0}, ValueError, r"damping is not an option of method 'adam'; it must be one of lr"),
    ({"learning_rate": 1.0}, ValueError, r"learning_rate is not an option of method 'adam'"),
    ({**DESCENT, "betas": (0.9, 0.9)}, ValueError, r"betas is not an option of method 'gd'"),
    ({"method": "gd", "schedule": "cosine"}, ValueError, r"schedule is given and lr is not"),
    ({**DESCENT, "lr": 0}, ValueError, r"lr is 0; it must be above 0"),
    ({"method": "prox", "lr": 0.1}, ValueError, r"lr is not an option of method 'prox'"),
    ({"method": "lm", "lr": 0.1}, ValueError, r"lr is not an option of method 'lm'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "error", "message"), REFUSALS)
def test_bad_input_is_named_before_any_work(change, error, message):
    given = arguments(**change)
    with pytest.raises(error, match=message):
        recover(given.pop("G"), given.pop("A"), given.pop("y"), **given)


TABLE = {
    "gd": ("None", "L2"),
    "adam": ("None", "L2", "L1"),
    "prox": ("None", "L2", "L1", "HardSparsity"),
    "lm": ("None", "L2"),
}
LACKING = {"gd": "gradient", "adam": "subgradient", "lm": "gradient"}
PENALTIES = {"None": None, "L2": L2(0.1), "L1": L1(0.1), "HardSparsity": HardSparsity(2)}


@pytest.mark.parametrize("method", TABLE)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", ["linear", "amplitude"])
def test_which_penalty_goes_with_which_method(method, penalty, loss):
    goes = penalty in TABLE[method]
    keep = {"penalty": PENALTIES[penalty], "method": method, "loss": loss, "y": normal(3, 7).abs()}
    given = arguments(**keep, G=torch.exp if goes else called, A=normal(7, 4), steps=1)
    positional = given.pop("G"), given.pop("A"), given.pop("y")
    if goes:
        assert torch.isfinite(recover(*positional, **given).objective).all()
        return
    message = f"penalty is {penalty}, which has no {LACKING[method]}; for method '{method}' it must have one"
    with pytest.raises(ValueError, match=message):
        recover(*positional, **given)


def test_the_table_of_the_documentation_is_that_of_the_code():
    """A row may go on in a line whose first columns are blank."""
    lines = recover.__doc__.splitlines()
    begin, _, end = (i for i, line in enumerate(lines) if line.strip().startswith("====="))
    found, method = {}, ""
    for line in lines[begin + 3 : end]:
        method = line.split()[0].strip('`"') if line[4] != " " else method
        words = {word.strip("`,") for word in line[16:48].split()}
        found.setdefault(method, set()).update(words)
    assert found == {name: set(able) for name, able in TABLE.items()}


def test_a_bar_without_its_package_says_what_to_do(monkeypatch):
    real = builtins.__import__

    def without(name, *more, **keywords):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return real(name, *more, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    given = arguments(G=torch.exp, A=normal(7, 4))
    with pytest.raises(ImportError, match="progress=True needs the package tqdm"):
        recover(given.pop("G"), given.pop("A"), given.pop("y"), progress=True, **given)
