"""What several test modules share: a claim's record, a function with a gradient by hand, threads."""

import contextlib

import torch

CLAIM = {
    "id": "toy-slope",
    "locus": "Theorem 1",
    "standing": "stated",
    "claim": "The error grows in proportion to the noise.",
    "proposition": "The error grows in proportion to the noise, within a tenth in the exponent.",
    "kind": "trend",
    "chapter": "01_classical_cs",
    "quantity": {"slope": "log-log slope, one per seed"},
    "criterion": "slope = 1 +- 0.1~",
    "tolerance": "0.1: the spread over seeds",
    "control": {"variant": "too few rows", "expect": "a slope below 0.5"},
    "unpublished": None,
    "accepted": {"verdict": "not run", "reason": "no chapter has run it yet"},
}


class ByHand(torch.autograd.Function):
    """A tanh with a gradient of its own, of the old style that neither forward mode nor vmap takes."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return torch.tanh(z)

    @staticmethod
    def backward(ctx, slope):
        (z,) = ctx.saved_tensors
        return slope * (1 - torch.tanh(z) ** 2)


@contextlib.contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
