"""Rows of a recovery: the same alone and in a batch, leaving when done, pruned, flipped."""

from contextlib import nullcontext
from itertools import pairwise

import pytest
import torch

from gsl_utils.recovery import L1, L2, HardSparsity, recover
from gsl_utils.recovery.methods import descent

PAIRS = [
    ("gd", None), ("gd", "l2"), ("adam", None), ("adam", "l2"), ("adam", "l1"),
    ("prox", None), ("prox", "l2"), ("prox", "l1"), ("prox", "hard"), ("lm", None), ("lm", "l2"),
]  # fmt: skip
PENALTIES = {None: None, "l1": L1(0.02), "l2": L2(0.02), "hard": HardSparsity(3)}
RATED = [("gd", {"lr": 0.01}), ("adam", {"lr": 0.05})]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


W = normal(12, 4, seed=5)


def curved(z):
    """A smooth generator R^4 -> R^12 whose rows do not meet."""
    return torch.tanh(z @ W.T) + 0.1 * z @ W.T


def odd(z):
    return z**3 + z


A = normal(7, 12, seed=1)
Y = curved(normal(6, 4, seed=2)) @ A.T + 0.1 * normal(6, 7, seed=3)
Z0 = 0.5 * normal(6, 5, 4, seed=4)


class Counting:
    """A generator that notes how many rows it is given at a time."""

    def __init__(self, G):
        self.G, self.rows = G, []

    def __call__(self, z):
        self.rows.append(len(z))
        return self.G(z)


# Whatever torch's default is, the data's dtype counts.


@pytest.fixture
def other_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("method", "penalty"), PAIRS)
def test_single_precision_stays_single_where_double_is_the_default(method, penalty, other_default):
    weights, table, y, z0 = (one.float() for one in (W, A, Y, Z0))
    found = recover(
        lambda z: torch.tanh(z @ weights.T), table, y, method=method, penalty=PENALTIES[penalty], z0=z0,
        restarts=5, steps=5, flip=True,
    )  # fmt: skip
    assert {found.x.dtype, found.z.dtype, found.objective.dtype} == {torch.float32}


# Rows never meet.


@pytest.mark.parametrize(("method", "penalty"), PAIRS)
@pytest.mark.parametrize("loss", ["linear", "amplitude"])
@pytest.mark.parametrize("own_matrix", [False, True])
@pytest.mark.parametrize("flip", [False, True])
def test_signals_never_leak(method, penalty, loss, own_matrix, flip):
    """After few steps, before convergence could hide it."""
    table = normal(4, 7, 12, seed=1) if own_matrix else A
    y = (table @ curved(normal(4, 4, seed=2)).unsqueeze(-1)).squeeze(-1)
    y = y.abs() if loss == "amplitude" else y
    z0 = 0.3 * normal(4, 3, 4, seed=3)
    keep = {"penalty": PENALTIES[penalty], "method": method, "loss": loss, "flip": flip, "restarts": 3}
    for steps in (1, 4):
        together = recover(curved, table, y, z0=z0, steps=steps, **keep)
        alone = recover(curved, table[2] if own_matrix else A, y[2], z0=z0[2], steps=steps, **keep)
        for name in ("x", "z", "objective"):
            torch.testing.assert_close(
                getattr(alone, name), getattr(together, name)[2], rtol=1e-10, atol=1e-12
            )
        assert int(alone.n_iter) == int(together.n_iter[2])


@pytest.mark.parametrize(("method", "options"), [*RATED, ("gd", {}), ("prox", {}), ("lm", {})])
def test_signals_do_not_leak_through_pruning_and_schedules(method, options):
    penalty = L1(0.02) if method in ("adam", "prox") else L2(0.02)
    options = options | ({"schedule": "cosine"} if "lr" in options else {})
    keep = {
        "penalty": penalty,
        "method": method,
        "restarts": 5,
        "prune": [(0, 4), (3, 2)],
        **options,
    }
    together = recover(curved, A, Y, z0=Z0, steps=9, **keep)
    for i in (0, 5):
        alone = recover(curved, A, Y[i], z0=Z0[i], steps=9, **keep)
        torch.testing.assert_close(alone.z, together.z[i], rtol=1e-10, atol=1e-12)
        assert int(alone.n_iter) == int(together.n_iter[i])


@pytest.mark.parametrize(("method", "penalty"), PAIRS)
def test_a_signal_in_other_units_disturbs_no_other(method, penalty):
    keep = {"penalty": PENALTIES[penalty], "method": method, "steps": 6}
    found = recover(curved, A, Y, z0=Z0[:, 0], **keep)
    louder = recover(curved, A, torch.cat([1e6 * Y[:1], Y[1:]]), z0=Z0[:, 0], **keep)
    torch.testing.assert_close(louder.z[1:], found.z[1:], rtol=1e-10, atol=1e-12)


def test_a_weight_per_signal_stays_with_its_signal():
    """Also when others have left the batch, restarted, and with a weight per coordinate."""
    weight = torch.rand(6, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    keep = {"method": "prox", "restarts": 5, "steps": 300}
    found = recover(curved, A, Y, penalty=L1(weight), z0=Z0, **keep)
    assert len(found.n_iter.unique()) > 1
    for i in range(6):
        alone = recover(curved, A, Y[i], penalty=L1(weight[i]), z0=Z0[i], **keep)
        torch.testing.assert_close(found.z[i], alone.z, atol=1e-5, rtol=0)
        value = (A @ curved(found.z[i : i + 1])[0] - Y[i]).square().sum() + (
            weight[i] * found.z[i].abs()
        ).sum()
        torch.testing.assert_close(found.objective[i], value)


# Steps.


@pytest.mark.parametrize(("method", "penalty"), PAIRS)
@pytest.mark.parametrize("more", [{}, {"restarts": 5}, {"restarts": 5, "prune": [(2, 1)]}, {"flip": True}])
def test_steps_are_honoured(method, penalty, more):
    """No row steps more often, and one that is not done steps exactly so often."""
    z0 = Z0 if "restarts" in more else Z0[:, 0]
    for steps in (4, 7):
        seen = []
        found = recover(
            curved, A, Y, penalty=PENALTIES[penalty], method=method, steps=steps, z0=z0, tol=0.0,
            callback=lambda t, rows, z, seen=seen: seen.append(t), **more,
        )  # fmt: skip
        assert (found.n_iter == steps).all()
        assert seen == list(range(1, steps + 1))


def test_each_step_evaluates_no_more_than_it_must():
    """Gradient descent and Adam ask G once a step; Levenberg-Marquardt once for the trial."""
    for method, options in RATED:
        G = Counting(curved)
        recover(G, A, Y, method=method, z0=Z0[:, 0], steps=1, tol=0.0, **options)
        base = len(G.rows)
        G.rows.clear()
        recover(G, A, Y, method=method, z0=Z0[:, 0], steps=11, tol=0.0, **options)
        assert len(G.rows) == base + 10


# The callback.


def test_the_callback_sees_each_step_with_the_rows_that_took_it():
    calls = []
    found = recover(
        curved, A, Y, method="lm", z0=Z0, restarts=5, steps=60, callback=lambda *call: calls.append(call)
    )
    assert [t for t, _, _ in calls] == list(range(1, len(calls) + 1))
    assert len(calls[0][1]) == 30
    counts = torch.zeros(30, dtype=torch.int64)
    last = torch.zeros(30, 4, dtype=torch.float64)
    for _, rows, z in calls:
        assert len(rows) == len(z) > 0
        assert (rows.diff() > 0).all()
        counts[rows] += 1
        last[rows] = z
    objective = (curved(last) @ A.T - Y.repeat_interleave(5, 0)).square().sum(-1).view(6, 5)
    best = objective.argmin(-1)
    torch.testing.assert_close(found.z, last.view(6, 5, 4)[torch.arange(6), best])
    assert torch.equal(found.n_iter, counts.view(6, 5)[torch.arange(6), best])


def test_an_error_in_the_callback_comes_through():
    def stop(t, rows, z):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recover(curved, A, Y, z0=Z0[:, 0], callback=stop, progress=True)


def test_the_progress_bar_counts_steps(capsys):
    seen = []
    recover(curved, A, Y, z0=Z0[:, 0], steps=7, progress=True, callback=lambda t, rows, z: seen.append(t))
    assert "7/7" in capsys.readouterr().err
    assert seen == list(range(1, 8))


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_the_progress_bar_is_closed_whatever_happens(monkeypatch, error):
    import tqdm.auto

    closed = []

    class Bar(tqdm.auto.tqdm):
        def close(self):
            closed.append(self.n)
            super().close()

    def interrupt(t, rows, z):
        if error and t == 3:
            raise error

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    context = pytest.raises(error) if error else nullcontext()
    with context:
        recover(curved, A, Y, z0=Z0[:, 0], steps=7, progress=True, callback=interrupt)
    assert closed[0] == (3 if error else 7)


def test_nothing_is_printed_without_being_asked_for(capsys):
    recover(curved, A, Y, z0=Z0[:, 0], steps=3)
    assert capsys.readouterr() == ("", "")


# Converged signals leave.


@pytest.mark.parametrize(
    ("method", "options"), [("lm", {}), ("prox", {}), ("gd", {}), ("adam", {"lr": 0.05})]
)
@pytest.mark.parametrize("own_matrix", [False, True])
def test_converged_signals_leave_the_batch(method, options, own_matrix, monkeypatch):
    """One signal starts where it ends, and G is soon given one row less."""
    monkeypatch.setattr(descent, "_CHECK_EVERY", 5)
    table = A.expand(6, 7, 12).clone() if own_matrix else A
    z0 = recover(curved, A, Y, method="lm", z0=Z0[:, 0], steps=200, tol=1e-9).z
    z0[1:] += normal(5, 4, seed=6)
    G, active = Counting(curved), []
    found = recover(
        G, table, Y, method=method, z0=z0, steps=300, **options,
        callback=lambda t, rows, z: active.append((rows.tolist(), len(G.rows))),
    )  # fmt: skip
    assert active[0][0] == list(range(6))
    for (earlier, _), (later, _) in pairwise(active):
        assert set(later) <= set(earlier)
    ends = torch.tensor([sum(i in rows for rows, _ in active) for i in range(6)])
    assert torch.equal(found.n_iter, ends)
    assert len(ends.unique()) > 3
    assert found.converged[ends < 300].all()
    if method != "adam":  # whose first steps are of one length whatever the slope
        assert ends[0] == 1
    # Between the last two callbacks G is given the rows at work and no others.
    last, seen = active[-1][0], G.rows[active[-2][1] : active[-1][1]]
    assert len(last) < 6
    assert max(seen) == len(last)


def test_a_run_ends_when_every_row_is_done():
    seen = []
    found = recover(
        curved, A, Y, method="lm", z0=Z0[:, 0], steps=500, callback=lambda t, rows, z: seen.append(t)
    )
    assert max(seen) == found.n_iter.max() < 500


# Restarts.


def test_the_best_restart_is_kept_per_signal():
    best = recover(curved, A, Y, method="lm", z0=Z0, restarts=5, steps=4)
    each = torch.stack([recover(curved, A, Y, method="lm", z0=Z0[:, r], steps=4).objective for r in range(5)])
    torch.testing.assert_close(best.objective, each.amin(0))
    assert len(each.argmin(0).unique()) > 1


def test_pruning_keeps_the_best_starts():
    """As many short runs, then one long run from the best of each signal."""
    short = torch.stack(
        [recover(curved, A, Y, z0=Z0[:, r], steps=10, lr=0.05).objective for r in range(5)], dim=1
    )
    chosen = Z0[torch.arange(6), short.argmin(1)]
    long = recover(curved, A, Y, z0=chosen, steps=100, lr=0.05)
    G = Counting(curved)
    pruned = recover(G, A, Y, z0=Z0, restarts=5, steps=100, lr=0.05, prune=[(10, 1)])
    torch.testing.assert_close(pruned.z, long.z)
    assert G.rows[20] == 6


def test_screening_happens_before_any_step():
    found = recover(curved, A, Y, z0=Z0, restarts=5, steps=3, prune=[(0, 1)])
    start = (curved(Z0) @ A.T - Y.unsqueeze(1)).square().sum(-1)
    chosen = Z0[torch.arange(6), start.argmin(1)]
    torch.testing.assert_close(found.z, recover(curved, A, Y, z0=chosen, steps=3).z)


def test_finished_restarts_count_when_others_are_pruned():
    """A signal whose best start has converged and left keeps no other in its place."""
    best = recover(curved, A, Y[:1], method="lm", z0=Z0[:1], restarts=5, steps=200, tol=1e-10).z
    z0 = torch.cat([best.unsqueeze(1), Z0[:1, 1:]], dim=1)
    active = []
    found = recover(
        curved, A, Y[:1], method="lm", z0=z0, restarts=5, steps=30, prune=[(3, 1)],
        callback=lambda t, rows, z: active.append(rows.tolist()),
    )  # fmt: skip
    assert 0 not in active[2]  # it has left before the pruning
    assert len(active) == 3  # after which nobody is left
    torch.testing.assert_close(found.z, best, atol=1e-6, rtol=0)


def test_a_start_that_is_lost_is_pruned_first():
    z0 = Z0.clone()
    z0[:, 0] = 1e200  # its loss is infinite
    active = []

    def explosive(z):
        return curved(z) + z.exp().repeat_interleave(3, -1)

    recover(
        explosive, A, Y, z0=z0, restarts=5, steps=3, prune=[(0, 4)],
        callback=lambda t, rows, z: active.append(rows),
    )  # fmt: skip
    assert not (active[0] % 5 == 0).any()


# Flips.


FLIPPED = torch.tensor([[-0.9, -2.1]], dtype=torch.float64)
TARGET = odd(torch.tensor([[1.0, 2.0]], dtype=torch.float64))


@pytest.mark.parametrize(("method", "penalty"), [pair for pair in PAIRS if pair[1] != "hard"])
def test_a_flip_begins_anew_at_the_lower_of_the_two_signs(method, penalty):
    """From the wrong sign with a flip everything is as from the right one."""
    keep = {"penalty": PENALTIES[penalty], "method": method, "steps": 3}
    eye = torch.eye(2, dtype=torch.float64)
    flipped = recover(odd, eye, TARGET, z0=FLIPPED, flip=True, **keep)
    right = recover(odd, eye, TARGET, z0=-FLIPPED, **keep)
    torch.testing.assert_close(flipped.z, right.z)
    assert recover(odd, eye, TARGET, z0=FLIPPED, **keep).objective > 2 * right.objective


@pytest.mark.parametrize(("method", "penalty"), PAIRS)
def test_the_state_after_a_flip_is_that_of_a_start(method, penalty):
    """A flip in mid-course: the rest is as if the run had begun there."""

    def lopsided(z):
        """On the right a valley that ends at 1, on the left one that is lower there and higher beyond."""
        right = torch.sigmoid(8 * z)
        return right * (1 + (z - 1).square()) - (1 - right) * (2 * z + 1.5)

    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    points, weights = [], {None: None, "l1": L1(1e-3), "l2": L2(1e-3), "hard": HardSparsity(1)}
    keep = {"penalty": weights[penalty], "method": method, "tol": 0.0}
    keep |= {"lr": 0.02} if method == "gd" else {"lr": 0.1} if method == "adam" else {}
    recover(
        lopsided, one, zero, z0=2 * one, flip=True, steps=25, **keep,
        callback=lambda t, rows, z: points.append(z.clone()),
    )  # fmt: skip
    sides = torch.cat(points).sign().flatten()
    t = int(sides.diff().nonzero()[0])
    assert 0 <= t < 20
    assert (sides[t + 1 :] < 0).all()
    for more in (1, 2, 4):
        rest = recover(lopsided, one, zero, z0=-points[t], steps=more, **keep)
        torch.testing.assert_close(rest.z, points[min(t + more, len(points) - 1)])
