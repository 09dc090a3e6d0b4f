"""The benchmarks: every answer is judged, a wrong one is seen, and times are what they are said to be."""

import importlib.util
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from benchmarks import bench, csgm, greedy, gsl, lasso, pursuit, store, tables
from benchmarks.draws import COLUMNS, Size, draw
from benchmarks.growth import Measured, measure, slopes
from benchmarks.machinery import costs
from benchmarks.race import Method, Row, Task, lacking, race, tuned
from benchmarks.sparse_relu import forwards
from benchmarks.tasks import FULL, QUICK, curves, tasks
from benchmarks.timing import least_seconds, product_rate
from bindery.runs import results

TASKS = {task.name: task for task in tasks(QUICK)}
SMALL = QUICK.classical


def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


class Fake:
    """A problem whose answer is its own error."""

    dtype = torch.float64
    operations = 1e9

    def __init__(self, signals=4, seed=1):
        self.signals, self.seed = signals, seed

    def take(self, count):
        return Fake(count, self.seed)

    def witness(self, answer):
        pass

    def judge(self, answer):
        return {"error": answer}


def fake_task(*methods, goal=1e-6):
    return Task("fake", "A race of fakes", lambda seed: Fake(seed=seed), methods, {"error": goal})


# Every method solves what it is timed on, and a wrong answer is seen


@pytest.mark.parametrize("name", TASKS)
def test_every_method_solves_what_it_is_timed_on(name):
    rows = race(TASKS[name], (1,))
    assert [row.method.ours for row in rows].count(False) >= 1
    for row in rows:
        assert row.seconds > 0
        assert row.reached or not row.method.ours, (row.method.name, row.errors)
        # Peers stop where they stop; what they return is still an answer to the same problem.
        if name == "csgm":
            assert row.errors["signal"] < 0.2
        elif row.method.name != "spgl1" or name != "basis-pursuit-beyond":
            assert row.errors.get("error", row.errors.get("gap")) < 1e-4


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(
    "spoil", [lambda x: 0 * x, lambda x: 1.001 * x, lambda x: -x, lambda x: x + torch.nan]
)
def test_a_wrong_answer_does_not_reach_the_goal(name, spoil):
    task = TASKS[name]
    problem = task.draw(1)
    right = task.methods[0].solver()(problem)
    if name == "csgm":
        wrong = spoil(right) + 0.3 * torch.ones_like(right)
    elif isinstance(right, pursuit.Pursued):
        wrong = pursuit.Pursued(spoil(torch.from_numpy(right.x)).numpy())
    else:
        wrong = spoil(torch.from_numpy(right)).numpy()
    problem.witness(right)
    assert task.reached(problem.judge(right))
    assert not task.reached(problem.judge(wrong))


@pytest.mark.parametrize(
    ("module", "solver", "name"),
    [
        (greedy, "omp", "omp"),
        (lasso, "lasso", "lasso-independent"),
        (pursuit, "basis_pursuit", "basis-pursuit-below"),
    ],
)
def test_a_broken_solver_is_named_and_fails_the_run(module, solver, name, monkeypatch, capsys):
    sound = getattr(module, solver)

    def broken(*args, **options):
        return SimpleNamespace(x=sound(*args, **options).x * (1 + 1e-3))

    assert bench.main(["--quick", "--only", name]) == 0
    assert "MISSED: " not in capsys.readouterr().out
    monkeypatch.setattr(module, solver, broken)
    assert bench.main(["--quick", "--only", name]) == 1
    printed = capsys.readouterr().out
    assert f"MISSED: {name}, gsl_utils: " in printed
    assert "MISSED" in next(line for line in printed.splitlines() if line.startswith("gsl_utils"))


# The judges


def test_the_gap_of_a_lasso_bounds_its_excess():
    problem = lasso.lasso_problem(SMALL, 1)

    def objective(x):
        return 0.5 * ((problem.y - x @ problem.A.T) ** 2).sum(1) + problem.lam * np.abs(x).sum(1)

    best = objective(problem.solution)
    assert problem.judge(problem.solution)["gap"] < 1e-9
    for size in (1e-4, 1e-2, 1.0):
        x = problem.solution + size * np.random.default_rng(2).normal(size=problem.solution.shape)
        errors, excess = problem.judge(x), (1 - best / objective(x)).max()
        assert errors["gap"] >= excess > 0
        assert errors["excess"] == pytest.approx(excess, rel=1e-3)


@pytest.mark.parametrize("recoverable", [True, False])
def test_lower_bounds_are_below_the_optimum_and_reach_it(recoverable):
    size = replace(SMALL, k=SMALL.k if recoverable else QUICK.beyond)
    problem = pursuit.pursuit_problem(size, 1, recoverable=recoverable)
    n = size.n
    rows = np.hstack([problem.A, -problem.A])
    found = [linprog(np.ones(2 * n), A_eq=rows, b_eq=y, method="highs") for y in problem.y]
    optimum = np.array([one.fun for one in found])
    any_dual = np.random.default_rng(3).normal(size=problem.y.shape)
    assert (pursuit.lower_bounds(problem.A, problem.y, any_dual) < optimum).all()
    problem.take(2).witness(pursuit.Pursued(np.array([one.x[:n] - one.x[n:] for one in found])[:2]))
    assert problem.bound[:2] == pytest.approx(optimum[:2], rel=1e-9)
    assert problem.bound[2] == 0, "what was proved of some signals is no proof for others"
    assert (problem.bound <= optimum * (1 + 1e-12)).all()


def test_signals_of_the_wrong_support_are_counted():
    problem = greedy.greedy_problem(SMALL, 1)
    x = problem.textbook.copy()
    x[0, np.flatnonzero(x[0])[0]] = 0
    x[2, np.flatnonzero(x[2] == 0)[0]] = 1e-12
    assert problem.judge(x)["other supports"] == 2
    assert problem.judge(problem.textbook) == {"other supports": 0, "error": 0}


def test_the_truth_of_csgm_has_the_loss_one():
    problem = csgm.csgm_problem(QUICK.generative, 1)
    assert problem.judge(problem.truth) == {"loss": 1, "unexplained": 0, "signal": 0}
    assert problem.judge(torch.zeros_like(problem.truth))["loss"] > 1


def test_batches_of_csgm_leave_the_weights_as_they_were():
    problem = csgm.csgm_problem(QUICK.generative, 1)
    before = [weight.clone() for weight in problem.G.parameters()]
    for frozen in (True, False):
        csgm.batch_as_published(problem, restarts=1, frozen=frozen)
        for weight, old in zip(problem.G.parameters(), before, strict=True):
            assert torch.equal(weight, old)
            assert weight.requires_grad
            assert weight.grad is None


def test_operations_of_csgm_are_products_with_every_layer_and_a():
    size = csgm.CsgmSize(signals=2, restarts=3, steps=5, m=4, widths=(2, 7, 11))
    forward = 2 * (2 * 7 + 7 * 11 + 11 * 4)
    assert csgm.csgm_problem(size, 1).operations == 2 * 3 * 5 * 2 * forward


# Draws


@pytest.mark.parametrize("columns", COLUMNS)
def test_columns_are_related_as_they_are_said_to_be(columns):
    A, x, y = draw(Size(signals=2, n=400, m=600, k=5), 1, columns=columns)
    assert (np.count_nonzero(x, axis=1) == 5).all()
    assert y == pytest.approx(x @ A.T)
    assert A.std() == pytest.approx(600**-0.5, rel=0.05)
    assert A.mean() * 600**0.5 == pytest.approx(float(columns == "common-mean"), abs=0.05)
    neighbours = np.mean([np.corrcoef(A[:, j], A[:, j + 1])[0, 1] for j in range(399)])
    assert neighbours == pytest.approx(0.9 if columns == "autoregressive" else 0, abs=0.05)


def test_unknown_columns_are_refused():
    with pytest.raises(ValueError, match="columns was 'odd'"):
        draw(SMALL, 1, columns="odd")


# The race


def test_a_method_that_is_given_less_has_its_time_scaled_up():
    task = fake_task(
        Method("ours", lambda _: spin(0.02) or 0.0, ours=True),
        Method("half the work", lambda _: spin(0.02) or 0.0, share=0.5),
        Method("one signal", lambda problem: spin(0.02) or float(problem.signals != 1), signals=1),
    )
    ours, half, one = race(task, (1,))
    assert ours.seconds == pytest.approx(0.02, rel=0.3)
    assert half.seconds == pytest.approx(0.04, rel=0.3)
    assert one.seconds == pytest.approx(0.08, rel=0.3)
    assert (one.solved, ours.solved) == (1, 4)
    assert one.reached


def test_the_least_of_three_times_counts_and_long_work_is_done_once():
    waits = [0.05, 0.01, 0.03, 9]
    seconds, answer = least_seconds(lambda: spin(waits.pop(0)) or len(waits))
    assert seconds == pytest.approx(0.01, rel=0.5)
    assert answer == 1
    waits = [0.6, 9]
    assert least_seconds(lambda: spin(waits.pop(0)))[0] == pytest.approx(0.6, rel=0.1)
    assert waits == [9]


def test_the_loosest_tolerance_that_reaches_the_goal_is_chosen():
    method = Method("peer", at=lambda _, tol: tol, tolerances=(1e-3, 1e-6, 4e-7, 1e-7), setting="plain")
    chosen = tuned(method, fake_task(), Fake())
    assert chosen.setting == "plain, tol=4e-07", "half of the goal, since the race has other problems"
    assert chosen.solver()(Fake()) == 4e-7


def test_where_no_tolerance_reaches_the_goal_the_loosest_that_is_as_good_is_chosen():
    method = Method("peer", at=lambda _, tol: max(tol, 1e-4), tolerances=(1e-2, 2e-4, 1e-5, 1e-6))
    assert tuned(method, fake_task(), Fake()).setting == "tol=2e-04"


def test_a_method_without_its_tolerance_and_a_seed_that_is_not_fresh_are_refused():
    with pytest.raises(ValueError, match="peer has no tolerance yet"):
        Method("peer", at=lambda _, tol: tol).solver()
    with pytest.raises(ValueError, match="seeds hold 0"):
        race(fake_task(), (0, 1))
    assert 0 not in (*FULL.seeds, *QUICK.seeds)
    assert len(FULL.seeds) >= 3


def test_who_cannot_race_is_named_and_left_out():
    ours = Method("ours", lambda _: 0.0, ours=True)
    task = fake_task(ours, Method("absent", lambda _: 0.0, needs="no_such_package"))
    assert lacking(task) == ["absent (no no_such_package)"]
    assert [row.method.name for row in race(task, (1,))] == ["ours"]


def test_compiling_is_done_before_the_race():
    calls = []
    methods = [
        Method(str(warm), lambda p, w=warm: calls.append((w, p.seed)) or 0.0, warm=warm)
        for warm in (True, False)
    ]
    race(fake_task(*methods), (5,))
    assert calls[0] == (True, 0)
    assert (False, 0) not in calls


# Tables


def row(name, seed, seconds, error=0.0, *, ours=False):
    return Row(Method(name, ours=ours), seed, seconds, 4, 0.5, {"error": error}, error <= 1e-6)


ROWS = [
    *(row("ours", seed, seconds, ours=True) for seed, seconds in ((1, 1.0), (2, 2.0), (3, 9.0))),
    *(row("slow", seed, seconds) for seed, seconds in ((1, 2.0), (2, 4.0), (3, 6.0))),
    *(row("wrong", seed, 0.1, 1e-3 * seed) for seed in (1, 2, 3)),
]


def test_a_summary_has_medians_over_seeds_and_the_worst_errors():
    table = tables.summary(ROWS)
    assert table["method"] == ["ours", "slow", "wrong"]
    assert table["seconds"] == [2.0, 4.0, 0.1]
    assert (table["low"][0], table["high"][0]) == (1.0, 9.0)
    assert table["x floor"] == [4.0, 8.0, 0.2]
    assert table["error"] == [0, 0, 3e-3]
    assert table["reached"] == [True, True, False]
    assert table["best peer"] == [False, True, False]


def test_the_best_peer_reaches_the_goal_and_ratios_are_taken_seed_by_seed():
    assert tables.best_peer(ROWS) == "slow"
    assert tables.summary(ROWS)["x peer"] == [0.5, 1.0, pytest.approx(0.025)]
    assert tables.best_peer([one for one in ROWS if one.method.name != "slow"]) == "wrong"


def test_the_text_says_who_missed():
    lines = tables.text(fake_task(), tables.summary(ROWS)).splitlines()
    assert lines[0] == "A race of fakes"
    assert [("MISSED" in line) for line in lines[2:]] == [False, False, True]


# Growth


def test_the_slope_of_a_power_law_is_its_exponent():
    rows = [
        Measured("ours", "n", size, seed, seed * size**1.5) for size in (10, 20, 80) for seed in (1, 2, 3)
    ]
    (found,) = slopes(rows)
    assert (found.method, found.axis) == ("ours", "n")
    assert (found.slope, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))


def test_every_curve_is_measured_at_every_size_and_seed():
    quick = curves(QUICK)
    assert {(curve.method, curve.axis) for curve in quick} == {
        (curve.method, curve.axis) for curve in curves(FULL)
    }
    few = [curve for curve in quick if curve.method in ("OMP", "CSGM")]
    rows = measure(few, (1,))
    assert len(rows) == sum(len(curve.sizes) for curve in few)
    assert all(row.seconds > 0 for row in rows)


def test_the_rate_of_products_counts_a_multiplication_and_an_addition():
    rate = product_rate(torch.float64, size=256)
    seconds, _ = least_seconds(
        lambda: torch.ones(256, 256, dtype=torch.float64) @ torch.ones(256, 256, dtype=torch.float64)
    )
    assert rate == pytest.approx(2 * 256**3 / seconds, rel=2)
    assert rate > 1e8


# What is stored


def test_stored_tables_are_read_back_and_refused_when_torn(toy):
    table = tables.summary(ROWS)
    fields = {"sources": {}, "seconds": 1.0}
    path = store.store(toy.root, {"fake": ("A race of fakes", table)}, (1, 2, 3), fields)
    found = results.load("benchmarks", toy.root)
    assert found.table("fake")["seconds"].tolist() == table["seconds"]
    assert found.table("fake")["method"].tolist() == table["method"]
    assert found.figures["fake"]["caption"] == "A race of fakes"
    assert results.problems(toy.root) == []
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(results.ResultsError, match=r"is torn.*make bench"):
        results.load("benchmarks", toy.root)


def test_a_run_that_is_cut_off_goes_on_and_stores_everything(toy, monkeypatch, capsys):
    folder = toy.root / "benchmarks"
    folder.mkdir()
    (folder / "race.py").write_text("first = 1\n")
    monkeypatch.chdir(toy.root)
    done = []

    def part(name, stop=False):
        def work():
            done.append(name)
            if stop:
                raise KeyboardInterrupt
            return {name: (name, {"size": [1, 2], "slope": [0.5, 1.5]})}

        return work

    def run(cut):
        monkeypatch.setattr(bench, "_parts", lambda *_: {"one": part("one"), "two": part("two", cut)})
        return bench.main([])

    with pytest.raises(KeyboardInterrupt):
        run(cut=True)
    assert results.load("benchmarks", toy.root) is None
    assert run(cut=False) == 0
    assert done == ["one", "two", "two"]
    assert "from a run that was cut off" in capsys.readouterr().out
    assert results.load("benchmarks", toy.root).table("one")["slope"].tolist() == [0.5, 1.5]
    assert not list((toy.root / "results" / "rows.part").iterdir())
    with pytest.raises(KeyboardInterrupt):
        run(cut=True)
    (folder / "race.py").write_text("first = 2\n")
    run(cut=False)
    assert done[3:] == ["one", "two", "one", "two"], "other code measures everything anew"


def test_a_trial_is_stored_elsewhere_and_never_taken_for_a_whole_run(toy, tmp_path, monkeypatch):
    (toy.root / "benchmarks").mkdir()
    monkeypatch.chdir(toy.root)
    done = []

    def parts(_races, scale):
        def work(name):
            done.append((name, scale))
            if name == "two" and len(done) == 4:
                raise KeyboardInterrupt
            return {name: (name, {"size": [1, 2]})}

        return {name: lambda name=name: work(name) for name in ("one", "two")}

    monkeypatch.setattr(bench, "_parts", parts)
    assert bench.main(["--quick", "--into", str(tmp_path)]) == 0
    assert (tmp_path / "results/benchmarks/one.csv").is_file()
    assert results.load("benchmarks", toy.root) is None
    with pytest.raises(KeyboardInterrupt):
        bench.main(["--quick", "--into", str(toy.root)])
    assert bench.main([]) == 0
    assert done[4:] == [("one", FULL), ("two", FULL)], "what the trial kept is of other sizes"
    assert results.load("benchmarks", toy.root).provenance["parameters"]["seeds"] == list(FULL.seeds)


def test_provenance_names_versions_seeds_and_no_host(root):
    said = store.Provenance(root, QUICK).end({"csgm": ["deepinv (no deepinv)"], "omp": []})
    assert said["parameters"]["seeds"] == (1, 2)
    assert said["versions"]["torch"]
    assert "gsl_utils.sparse.lasso" in said["sources"]
    assert "benchmarks" in said["sources"]
    assert said["lacking"] == {"csgm": ["deepinv (no deepinv)"]}
    assert said["gigaflops"]["float32"] > 0
    import platform

    assert not platform.node() or platform.node() not in str({**said, "sources": None})


def test_unknown_tables_are_refused(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--quick", "--only", "speed"])
    assert "there is no table speed" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("deepinv") is None, reason="deepinv is not installed")
def test_deepinv_lowers_the_loss():
    problem = csgm.csgm_problem(QUICK.generative, 1).take(1)
    method = next(one for one in TASKS["csgm"].methods if one.name == "deepinv")
    found = problem.judge(method.solver()(problem))["loss"]
    assert found < problem.judge(torch.zeros_like(problem.truth))["loss"]


# Sparse latent vectors


def test_sparse_recoveries_are_measured_as_they_are_said_to_be(monkeypatch):
    monkeypatch.setattr(gsl, "GENERATORS", ("Exponential",))
    (found,) = gsl.recoveries(QUICK.sparse, (1,))
    assert (found.generator, found.seed) == ("Exponential", 1)
    assert found.seconds > 0
    assert found.of_l1 > 0
    assert found.exact == QUICK.sparse.signals
    assert found.oracle - 0.1 < found.best < found.oracle + 0.1
    assert found.oracle > found.l1


def test_descents_solve_the_same_problem_and_their_floor_grows_with_the_batch():
    problem = gsl.gsl_problem("RealNVP(4)", QUICK.sparse, 3, 1)
    given = (problem.B, problem.A, problem.y)
    fast, slow = (gsl.gsl_l1(f, *given, steps=5) for f in (problem.f, lambda u: problem.f(u)))
    torch.testing.assert_close(fast.z, slow.z)
    found = gsl.descents(QUICK.sparse, (1,))
    assert [(one.dtype, one.batch) for one in found] == [
        (dtype, batch) for dtype in ("float64", "float32") for batch in QUICK.sparse.batches
    ]
    assert all(one.by_hand > one.floor > 0 for one in found)
    products = 4 * (16 * 16 + 12 * 16 + 4 * (8 * 64 + 64 * 16)) * 2 * 20
    assert 0.2 < found[0].floor * product_rate(torch.float64) / products < 5


def test_the_sparse_network_is_timed_beside_its_own_output():
    found = forwards(QUICK.wide, QUICK.seeds)
    assert [(row.layers, row.seed) for row in found] == [(2, 1), (2, 2), (1, 1), (1, 2)]
    for row in found:
        assert row.seconds > 0
        assert row.ratio == pytest.approx(row.seconds / max(row.writing, 1e-9))


def test_the_cost_of_a_process_is_told_in_seconds_and_in_units(monkeypatch):
    monkeypatch.setenv("BOOK_UNIT", "0.5")
    found = {cost.work: cost for cost in costs(1)}
    assert list(found) == ["python", "import gsl_utils", "import gsl_utils.recovery", "status of all pages"]
    # torch is most of it, in the one and not in the other.
    assert found["import gsl_utils.recovery"].seconds > 3 * found["import gsl_utils"].seconds
    assert all(cost.units == pytest.approx(2 * cost.seconds, abs=2e-3) for cost in found.values())
