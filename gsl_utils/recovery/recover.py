"""The engine behind every recovery: arguments become rows, and of each signal's rows the best is returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import check_signals
from gsl_utils.common.jacobian import Generator
from gsl_utils.common.linear import scaled
from gsl_utils.common.result import Recovery
from gsl_utils.recovery.engine import Callback, Plan, best, run
from gsl_utils.recovery.penalties import Penalty, in_rows
from gsl_utils.recovery.problem import Given
from gsl_utils.recovery.setup import check_penalty, latent_start, method_for, progress_bar, pruning

__all__ = ["recover", "solve"]


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

    ==========  ================================  =========================  ===============================
    method      penalties of ours                 another must have          options (beside ``tol``)
    ==========  ================================  =========================  ===============================
    ``"gd"``    None, ``L2``                      value, gradient; without   ``lr`` (None: backtracked for
                                                  ``lr`` prox, too           each row), then ``schedule``
    ``"adam"``  None, ``L2``, ``L1``              value, that autograd       ``lr`` (0.01), ``schedule``
                                                  takes, or gradient
    ``"prox"``  None, ``L2``, ``L1``,             value, prox
                ``HardSparsity``
    ``"lm"``    None, ``L2``                      value, gradient
    ==========  ================================  =========================  ===============================

    Both losses go with all four; another penalty is any object with the methods of ``Penalty``. What the
    method or the other arguments leave without use is refused. ``schedule`` is ``"constant"`` or
    ``"cosine"``, which ends at zero. Methods with a rate ask every 50 steps whether a row is stationary, with
    a ``tol`` of 0 never. The rate of ``"gd"`` multiplies the gradient of the sum above; the epsilon of
    ``"adam"``, 1e-8, is beside a gradient that is counted with A's largest entry between 1/2 and 1. Steps of
    ``"prox"`` are accelerated, drop their momentum where that points uphill, and give exact zeros. Jacobians
    of ``"lm"`` are taken in forward mode, or by differentiating backward twice where G cannot be run so.

    Args:
        G: The generator: any callable ``z (..., k) -> x (..., n)`` that treats rows alone, made of torch's
            differentiable operations. Its weights get no gradients.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, float32 or float64; A, z0 and G's weights share its dtype and
            device.
        loss: ``"linear"``, or ``"amplitude"`` for non-negative y.
        penalty: ``L1``, ``L2``, ``HardSparsity``, None, or an object as ``Penalty`` says.
        method: ``"gd"``, ``"adam"``, ``"prox"`` or ``"lm"``.
        z0: Where to start: ``(k,)`` or ``(..., k)`` for one start of a signal, with ``restarts`` at 1, or
            ``(..., restarts, k)``. By default k is ``G.latent_dim`` and N(0, I) starts are drawn at once, the
            restarts of the first signal before those of the second: alone, a signal draws others.
        restarts: How many starts each signal has; the one of lowest objective is returned, per signal.
        steps: The most steps of a row, in all; by default 1000, and 50 for ``"lm"``.
        flip: Before each step begin anew at -z where the objective is lower there.
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
            range, the penalty lacks what the method needs, the squares of y or a weight leave the dtype
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
    return solve(
        Given.of(G, A, y),
        loss=loss,
        penalty=penalty,
        method=method,
        z0=z0,
        restarts=restarts,
        steps=steps,
        flip=flip,
        prune=prune,
        generator=generator,
        progress=progress,
        callback=callback,
        **options,
    )


def solve(
    given: Given,
    *,
    loss: str = "linear",
    penalty: Penalty | None = None,
    method: str = "adam",
    z0: Tensor | None = None,
    restarts: int = 1,
    steps: int | None = None,
    flip: bool = False,
    prune: Sequence[tuple[int, int]] = (),
    generator: torch.Generator | None = None,
    progress: bool = False,
    callback: Callback | None = None,
    **options: Any,
) -> Recovery:
    """``recover``, where generator, matrix and measurements are checked already."""
    amplitude = checks.choice("loss", loss, ("linear", "amplitude")) == "amplitude"
    if amplitude and bool((given.y < 0).any()):
        least = scaled(given.y.amin(-1), given.power).min()
        raise ValueError(
            f"y has the entry {float(least):g}; for loss 'amplitude' all of its entries must be at least 0."
        )
    restarts = checks.integer("restarts", restarts, 1)
    checks.flag("flip", flip)
    checks.flag("progress", progress)
    checks.random_source(generator)
    rows = in_rows(penalty)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r}; it must be callable or None.")
    if generator is not None and z0 is not None:
        raise ValueError("generator is given and z0 is, too; where no start is drawn it must be left out.")
    solver, steps, tol = method_for(method, steps, given.y.dtype, options)
    pruned = pruning(prune, restarts, steps)
    # Also where the caller differentiates nothing: G is differentiated here, and nothing else ever is.
    with torch.inference_mode(False), torch.no_grad():
        z = latent_start(given, z0, restarts, generator)
        rows = rows.laid_out(z, given.batch, restarts)
        check_penalty(rows, method, solver)
        check_signals(given.G, z, given.A.shape[-1])
        problem = given.problem(z, restarts, amplitude=amplitude, columns=method == "lm")
        rows = rows.beside(problem)
        watch, close = progress_bar(progress, steps, callback)
        try:
            z, n_iter = run(problem, rows, solver, z, Plan(steps, restarts, flip, pruned, watch))
        finally:
            close()
        return best(problem, rows, z, n_iter, restarts, given.batch, tol)
