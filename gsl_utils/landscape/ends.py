"""Where descents end: at the signal, at the negative multiple, at the origin, or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import check_generator
from gsl_utils.common.linear import forward, scaled, unit
from gsl_utils.landscape.angles import polar

__all__ = ["End", "axis_minimum", "end_points"]


class End(IntEnum):
    """Where a descent ended, as ``end_points`` says it."""

    SIGNAL = 0
    SECOND = 1
    ORIGIN = 2
    ELSEWHERE = 3
    UNCONVERGED = 4


def end_points(
    z: Tensor,
    z_true: Tensor,
    multiple: float,
    *,
    radius: float = 0.2,
    exact: float = 1e-3,
    converged: Tensor | None = None,
) -> Tensor:
    r"""Say of every end point which critical point of the expected risk it belongs to.

    ==============  ============================================================================
    ``SIGNAL``      :math:`\|z - z_*\| \le \text{exact}\cdot\|z_*\|`
    ``SECOND``      :math:`\|z + \rho z_*\| \le \text{radius}\cdot\|z_*\|`
    ``ORIGIN``      :math:`\|z\| \le \text{exact}\cdot\|z_*\|`
    ``ELSEWHERE``   none of these
    ==============  ============================================================================

    What fits several is the first of them. The signal and the origin are critical points of every network,
    the second point moves with the drawn one; hence two distances. With one layer there is no second point:
    its multiple is 0, and nothing is ``SECOND``.

    Args:
        z: End points ``(..., k)``, those of ``recover(...).z``, float32 or float64.
        z_true: The latent vectors that were looked for, ``(..., k)``, none of them zero; leading dimensions
            broadcast to those of ``z``.
        multiple: The multiple :math:`\rho`, at least 0: ``rho(d)``, say.
        radius: How far from the second point belongs to it, as a share of :math:`\|z_*\|`.
        exact: How far from the signal or the origin is still there.
        converged: Whether each descent had come to rest, ``(...)``; those that had not and are not at the
            signal are then ``UNCONVERGED``. By default the place alone counts.

    Returns:
        The codes of ``End``, int64 ``(...)``.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, a ``z_true`` is zero, or an argument is out of
            range.

    Source: the two balls and the origin of Hand and Voroninski (2018), theorem 1. Taught in chapter 5.

    >>> from gsl_utils.landscape import rho
    >>> z_true = torch.tensor([3.0, 0.0])
    >>> z = torch.tensor([[3.0, 0.0], [-1.0, 0.1], [0.0, 0.0], [0.0, 2.0]])
    >>> [End(code).name for code in end_points(z, z_true, rho(2)).tolist()]
    ['SIGNAL', 'SECOND', 'ORIGIN', 'ELSEWHERE']
    """
    z, z_true = checks.signals("z", z, "k"), checks.signals("z_true", z_true, "k")
    checks.same_kind(z=z, z_true=z_true)
    try:
        z_true = z_true.expand(z.shape)
    except RuntimeError:
        raise ValueError(
            f"z_true has shape {tuple(z_true.shape)} and z has {tuple(z.shape)}; z_true must broadcast to z."
        ) from None
    if not bool(z_true.any(-1).all()):
        raise ValueError("z_true has a row of zeros; every row must be non-zero.")
    multiple = checks.real("multiple", multiple, low=0.0)
    radius, exact = checks.real("radius", radius, low=0.0), checks.real("exact", exact, low=0.0)
    length = polar(z_true)[0]

    def near(point: Tensor, share: float) -> Tensor:
        return polar(z - point)[0] <= share * length

    codes = torch.full(z.shape[:-1], int(End.ELSEWHERE), device=z.device)
    codes = codes.masked_fill(near(torch.zeros_like(z), exact), int(End.ORIGIN))
    if multiple > 0:
        codes = codes.masked_fill(near(-multiple * z_true, radius), int(End.SECOND))
    at_signal = near(z_true, exact)
    if converged is not None:
        if not isinstance(converged, Tensor) or converged.dtype != torch.bool:
            raise TypeError("converged is no tensor of booleans; it must be one, or None.")
        if converged.shape != codes.shape:
            raise ValueError(
                f"converged has shape {tuple(converged.shape)}; it must have z's leading dimensions, "
                f"{tuple(codes.shape)}."
            )
        codes = codes.masked_fill(~converged, int(End.UNCONVERGED))
    return codes.masked_fill(at_signal, int(End.SIGNAL))


def axis_minimum(
    G: Callable[[Tensor], Tensor], z_true: Tensor, *, A: Tensor | None = None, loss: str = "linear"
) -> Tensor:
    r"""The multiple s for which the risk along :math:`-s z_*` is smallest, for one drawn network.

    .. math:: s = \frac{\langle AG(-z_*), AG(z_*)\rangle}{\|AG(-z_*)\|_2^2}

    For a network without biases :math:`G(-sz_*) = sG(-z_*)`, so that the risk on this ray is a parabola in s;
    the amplitude loss has absolute values in both products. As layers grow wide it tends to ``rho(d)``, and
    to ``phase_retrieval_rho(d)`` when there are many measurements, too.

    Args:
        G: A generator without biases, positively homogeneous: from ``(..., k)`` to ``(..., n)``.
        z_true: Latent vectors ``(..., k)``, float32 or float64.
        A: The matrix ``(m, n)``; by default the identity, every entry being measured.
        loss: ``"linear"`` or ``"amplitude"``.

    Returns:
        The multiple ``(...)``, at least 0 for the ReLU networks with the identity; NaN where
        :math:`AG(-z_*)` is zero and the risk constant.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, ``loss`` is unknown, or G is not homogeneous
            at z_true.

    Taught in chapter 5.

    >>> W = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [-1.0, 1.0]])
    >>> axis_minimum(lambda z: torch.relu(z @ W.mT), torch.tensor([1.0, 3.0]))
    tensor(0.)
    """
    z_true = checks.signals("z_true", z_true, "k")
    check_generator(G, z_true.dtype, z_true.device, "z_true")
    amplitude = checks.choice("loss", loss, ("linear", "amplitude")) == "amplitude"
    with torch.no_grad():
        there, here, twice = (checks.signals("G(z)", G(factor * z_true)) for factor in (-1, 1, 2))
        if not torch.allclose(twice, 2 * here, rtol=1e-3, atol=1e-3 * float(here.abs().max())):
            raise ValueError("G(2 z) is not 2 G(z); G must be positively homogeneous, without biases.")
        if A is not None:
            A, here, _ = checks.linear_system("A", A, "G(z)", here, "columns")
            there, here = forward(A, there), forward(A, here)
        if amplitude:
            there, here = there.abs(), here.abs()
        there, power = unit(there, -1)
        here = scaled(here, -power)
        return (there * here).sum(-1) / there.square().sum(-1)
