"""The engine behind every recovery: arguments become rows, and of each signal's rows the best is returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gsl_utils.common import batched, checks
from gsl_utils.common.jacobian import Generator, Tangents
from gsl_utils.common.result import Recovery
from gsl_utils.common.units import exponent, scaled
from gsl_utils.generators.synthesis import constant
from gsl_utils.recovery.engine import Callback, Plan, run
from gsl_utils.recovery.latents import check_generator, check_signals, latent_start
from gsl_utils.recovery.matrices import Matrices, OneForAll, OnePerSignal
from gsl_utils.recovery.order_one import order_one
from gsl_utils.recovery.penalties import L1, L2, HardSparsity, NoPenalty, Penalty, Weighted
from gsl_utils.recovery.problem import Problem
from gsl_utils.recovery.setup import method_for, progress_bar, pruning
from gsl_utils.recovery.steps import overlooked, stationarity

__all__ = ["recover"]

# Rows whose signals stay in a processor's cache are faster than all rows at once.
_BLOCK_BYTES, _LEAST_BLOCK = 2**20, 64


def recover(
    G: Generator,
    A: Tensor,
    y: Tensor,
    *,
    loss: str = "linear",
    penalty: Penalty | None = None,
    method: str = "adam",
    z0: Tensor | None = None,
    restarts: int = 1,
    steps: int | None = None,
    flip: bool = False,
    continuation: int = 0,
    prune: Sequence[tuple[int, int]] = (),
    generator: torch.Generator | None = None,
    progress: bool = False,
    callback: Callback | None = None,
    **options: Any,
) -> Recovery:
    r"""Find the latent vectors that explain the measurements, for a batch of signals and restarts at once.

    .. math:: \min_z\ \|y - A\,G(z)\|_2^2 + \text{penalty}(z) \qquad\text{or, from amplitudes,}\qquad
              \min_z\ \bigl\|\,|A\,G(z)| - y\,\bigr\|_2^2 + \text{penalty}(z)

    Every restart of every signal is a row with an optimiser state of its own: what becomes of a signal does
    not depend on the others. Rows that are stationary leave the batch. Units change nothing: A and y times c,
    with the penalty's weight times c squared, give the same z and x, and the objective times c squared.

    ==========  ====================================  ====================================================
    method      penalties                             options (beside ``tol``)
    ==========  ====================================  ====================================================
    ``"gd"``    None, ``L2``                          ``lr`` (None: backtracked for each row),
                                                      with a rate also ``schedule`` and ``check_every``
    ``"adam"``  None, ``L2``, ``L1`` (subgradient)    ``lr`` (0.01), ``betas``, ``schedule``, ``check_every``
    ``"prox"``  None, ``L2``, ``L1``, HardSparsity    ``step0`` (None: by the curvature)
    ``"lm"``    None, ``L2``                          ``damping`` (0.01)
    ==========  ====================================  ====================================================

    Both losses go with all four. What the method or the other arguments leave without use is refused.
    ``schedule`` is ``"constant"`` or ``"cosine"``, which ends at zero; ``check_every`` (50) is how many steps
    lie between two questions whether a row is stationary, which a ``tol`` of 0 never asks. ``step0`` and the
    rate of ``"gd"`` multiply the gradient of the sum above; the epsilon of ``"adam"``, 1e-8, is beside a
    gradient that is counted with A's largest entry between 1/2 and 1. Steps of ``"prox"`` are accelerated,
    drop their momentum where that points uphill, and give exact zeros. Jacobians of ``"lm"`` are taken in
    forward mode, or by differentiating backward twice where G cannot be run so.

    Args:
        G: The generator: any callable ``z (..., k) -> x (..., n)`` that treats rows alone, made of torch's
            differentiable operations. Its weights get no gradients.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; A, z0 and G's weights share its dtype and
            device.
        loss: ``"linear"``, or ``"amplitude"`` for non-negative y.
        penalty: ``L1``, ``L2``, ``HardSparsity`` or None.
        method: ``"gd"``, ``"adam"``, ``"prox"`` or ``"lm"``.
        z0: Where to start: ``(k,)`` or ``(..., k)`` for one start of a signal, with ``restarts`` at 1, or
            ``(..., restarts, k)``. By default k is ``G.latent_dim`` and N(0, I) starts are drawn at once, the
            restarts of the first signal before those of the second: alone, a signal draws others.
        restarts: How many starts each signal has; the one of lowest objective is returned, per signal.
        steps: The most steps of a row, in all; by default 1000, and 50 for ``"lm"``.
        flip: Before each step begin anew at -z where the objective is lower there.
        continuation: How many stages the weight of ``L1`` or ``L2`` descends through to its own, in at most
            half of the steps, with two steps a stage at least: for ``L1`` from half the weight at which the
            start's slope would hold zero, for ``L2`` from the weight at which the penalty is as curved as the
            data term.
        prune: Pairs (t, keep): after t steps, 0 for before any, only the best ``keep`` of each signal's
            several restarts go on.
        generator: The source of randomness of the default start; not beside ``z0``.
        progress: Whether to show a bar, which needs the package tqdm.
        callback: Called as ``callback(t, rows, z)`` after every step t = 1, 2, ... with the latent vectors
            ``z (P, k)`` of the rows that took it; row ``i * restarts + r`` is restart r of the i-th signal.
        **options: Of the method, as listed. ``tol`` says which points count as stationary: those from where a
            step along the gradient, as long as the curvature there allows, gains at most
            :math:`\text{tol}^2 \|y\|^2`; that has no units. Where y is zero, what the start would measure
            takes its place, from no further out than entries of 1. By default 1e-6 in float64 and 1e-4 in
            float32; 0 goes on while there is anything to gain.

    Returns:
        A recovery. ``objective`` is the sum above. ``converged`` is measured at the returned point,
        whatever the method thought of it. It is False where the objective is not finite or is lower nearby,
        at a kink of G where no gradient is small, though there may be no way down, and where y is so much
        smaller than A that the squares of gains vanish.

    Raises:
        TypeError: An argument has the wrong type, dtypes or devices differ, or G gives no gradients.
        ValueError: Shapes do not fit, entries are not finite, an option is unknown, without use or out of
            range, the penalty does not go with the method, the squares of y or a weight leave the dtype
            beside A, or G mixes rows or is random.
        ImportError: ``progress`` is asked for and tqdm is not installed.

    Sources: Bora et al. (2017); Hand and Voroninski (2018) and Huang et al. (2018) for ``flip``; Kingma and
    Ba (2015) for ``"adam"``; Beck and Teboulle (2009) and O'Donoghue and Candes (2015) for ``"prox"``;
    Marquardt (1963) for ``"lm"``. Taught in chapters 4 to 6.

    >>> A = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
    >>> y, z0 = torch.tensor([2.0], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    >>> found = recover(torch.exp, A, y, method="lm", z0=z0)
    >>> round(float(A @ found.x), 6), bool(found.converged)
    (2.0, True)
    """
    A, y, batch = checks.linear_system("A", A, "y", y, "rows")
    checks.choice("loss", loss, ("linear", "amplitude"))
    if loss == "amplitude" and bool((y < 0).any()):
        raise ValueError(
            f"y has the entry {float(y.min()):g}; for loss 'amplitude' all of its entries must be at least 0."
        )
    check_generator(G, y)
    restarts = checks.integer("restarts", restarts, 1)
    checks.flag("flip", flip)
    checks.flag("progress", progress)
    checks.random_source(generator)
    stages = checks.integer("continuation", continuation, 0)
    penalty = NoPenalty() if penalty is None else penalty
    if not isinstance(penalty, L1 | L2 | HardSparsity | NoPenalty):
        raise TypeError(f"penalty is {penalty!r}; it must be L1, L2, HardSparsity or None.")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r}; it must be callable or None.")
    if stages and not isinstance(penalty, Weighted):
        raise ValueError(f"continuation is {stages}; without an L1 or L2 penalty it must be 0.")
    if generator is not None and z0 is not None:
        raise ValueError("generator is given and z0 is, too; where no start is drawn it must be left out.")
    solver, steps, tol = method_for(method, penalty, steps, y.dtype, options)
    if 2 * stages > steps:
        raise ValueError(
            f"continuation is {stages} and steps is {steps}; each stage must have two of the steps at least."
        )
    pruned = pruning(prune, restarts, steps)
    # Also where the caller differentiates nothing: G is differentiated here, and nothing else ever is.
    with torch.inference_mode(False), torch.no_grad():
        G = constant(G)
        z = latent_start(G, z0, y, batch, restarts, generator)
        A, y, power = order_one(*batched.flatten(A.detach(), y.detach(), batch))
        signal = torch.arange(len(y), device=y.device).repeat_interleave(restarts)
        penalty = penalty.laid_out(z, batch, restarts).in_units(power[signal])
        check_signals(G, z, y, A.shape[-1])
        matrices: Matrices = OneForAll(A) if A.ndim == 2 else OnePerSignal(A, signal)
        tangents = Tangents.of(G, z[:1], columns=method == "lm")
        scale = _scale(G, matrices, y[signal], z)
        problem = Problem(
            G, matrices, y[signal], power[signal], scale, loss == "amplitude", _block(A, len(z)), tangents
        )
        watch, close = progress_bar(progress, steps, callback)
        try:
            plan = Plan(steps, restarts, flip, stages, pruned, watch)
            z, n_iter = run(problem, penalty, solver, z, plan)
        finally:
            close()
        return _best(problem, penalty, z, n_iter, restarts, batch, tol)


def _block(A: Tensor, rows: int) -> int:
    """How many rows G sees at a time."""
    if A.device.type != "cpu":
        return rows
    return max(_LEAST_BLOCK, _BLOCK_BYTES // (A.shape[-1] * A.element_size()))


def _scale(G: Generator, A: Matrices, y: Tensor, z: Tensor) -> Tensor:
    """The length ``(P,)`` that gains are measured by, y's own; its squares may leave the numbers."""
    power = exponent(y, -1)
    scale = scaled(scaled(y, -power).norm(dim=-1, keepdim=True), power).squeeze(-1)
    nothing = ~y.any(-1)
    if bool(nothing.any()):
        # The start's own measurements then; but far out they may be of any size, and excuse anything.
        here, near = (A.forward(G(point)).norm(dim=-1) for point in (z, z.clamp(-1, 1)))
        start = torch.where(near < here, near, here)
        scale = torch.where(nothing, torch.where(start > 0, start, 1), scale)
    return scale.clamp(min=torch.finfo(y.dtype).tiny)


def _best(
    problem: Problem,
    penalty: Penalty,
    z: Tensor,
    n_iter: Tensor,
    restarts: int,
    batch: torch.Size,
    tol: float,
) -> Recovery:
    """Of every signal's restarts the one of lowest objective, and honestly whether it is stationary."""
    objective = problem.loss(z) + penalty.value(z)
    ranked = objective.nan_to_num(nan=torch.inf).view(-1, restarts)
    best = torch.arange(len(ranked), device=z.device) * restarts + ranked.argmin(-1)
    problem, penalty, z = problem.select(best), penalty.select(best), z[best]
    loss, slope = problem.loss_and_gradient(z)
    converged = stationarity(problem, penalty, z, loss, slope) <= tol
    # Where y is so small beside A that the gain would vanish in any case, nothing is known.
    converged &= tol * problem.scale >= torch.finfo(z.dtype).tiny ** 0.5
    converged &= ~overlooked(problem, penalty, z, objective[best], slope, tol)
    total = scaled(objective[best], 2 * problem.power)
    converged &= torch.isfinite(total)
    return Recovery(
        x=problem.G(z).reshape(*batch, -1),
        z=z.reshape(*batch, -1),
        objective=total.reshape(batch),
        n_iter=n_iter[best].reshape(batch),
        converged=converged.reshape(batch),
    )
