"""The set-restricted eigenvalue of a matrix on the range of a small generator, proved for all pairs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import check_generator, check_signals
from gsl_utils.common.linear import scaled, unit
from gsl_utils.generators.expansion import Expansion, expander, largest, smallest

__all__ = ["SRECBounds", "srec_certified"]

_ACROSS = 8  # cells along each axis at first
_NEAR = 4  # pairs at most so many cells apart are looked at together, too
_CHORDS = 6
_LEAST_SPLIT, _SHARE_SPLIT = 2000, 3  # so many of the worst pairs are split at once, or one in so many
_CHUNK = 2**23  # numbers that the pairs of one chunk have


class SRECBounds(NamedTuple):
    r"""What is known of the largest :math:`\gamma`: ``lower`` is proved for all pairs, ``upper`` is a pair's.

    >>> SRECBounds(torch.tensor(0.3), torch.tensor(0.4)).lower
    tensor(0.3000)
    """

    lower: Tensor
    upper: Tensor


@torch.no_grad()
def srec_certified(
    G: Callable[[Tensor], Tensor],
    A: Tensor,
    *,
    radius: float,
    delta: float,
    k: int | None = None,
    curvature: float | None = None,
    gap: float = 0.1,
    pairs: int = 3_000_000,
) -> SRECBounds:
    r"""Prove the set-restricted eigenvalue condition for all pairs of a ball of inputs, of at most 3 entries.

    .. math:: \|A(x_1 - x_2)\|_2 \ge \gamma\,\|x_1 - x_2\|_2 - \delta \qquad
              \text{for all } x_i = G(z_i),\ \|z_i\|_2 \le r

    Cubes of side 2s cover the ball; for each pair of them three inequalities give a :math:`\gamma` that holds
    for all of its points, the best counts, and the least over pairs is proved. Pairs with the least are split
    into smaller ones, until it comes close to the ratio :math:`(\|A(x_1 - x_2)\| + \delta)/\|x_1 - x_2\|` of
    some pair, which no constant exceeds.

    **Proof.** Let u, v be the centres of two cubes, :math:`h = s\sqrt k`, :math:`\Delta = G(u) - G(v)`, and
    J the Jacobians. On a cube :math:`G(u + a) = G(u) + J_u a + e_u(a)`, where the expansion of G bounds
    :math:`\|e_u\|` by :math:`\epsilon_u` and :math:`\|A e_u\|` by :math:`\epsilon^A_u`; over both cubes they
    add up to :math:`\epsilon` and :math:`\epsilon^A`. So :math:`x_1 - x_2 = \Delta + t + e` with
    :math:`t = J_u a - J_v b`, where :math:`\|t\| \le T = h(\|J_u\| + \|J_v\|)` and
    :math:`\|At\| \le T^A = h(\|AJ_u\| + \|AJ_v\|)`. To be shown is
    :math:`F = \|A(x_1 - x_2)\| - \gamma\|x_1 - x_2\| + \delta \ge 0`.

    1. By the triangle inequality
       :math:`F \ge \|A\Delta\| - T^A - \epsilon^A + \delta - \gamma(\|\Delta\| + T + \epsilon)`.
    2. With the unit vectors p along :math:`A\Delta` and q along :math:`\Delta`,
       :math:`\|A(\Delta + t)\| \ge \|A\Delta\| + p^\top A t` and
       :math:`\|\Delta + t\| \le \|\Delta\| + q^\top t + T^2 / 2\|\Delta\|`. Entries of a and b are at most s:

       .. math:: F \ge \|A\Delta\| + \delta - \epsilon^A - \gamma\bigl(\|\Delta\| + \tfrac{T^2}{2\|\Delta\|}
                 + \epsilon\bigr) - s \sum_{c \in \{u, v\}} \|J_c^\top(A^\top p - \gamma q)\|_1.

       This is concave in :math:`\gamma`: where a chord from a point at which it is positive to one at which
       it is not meets zero, it is not negative.
    3. Cubes at most four apart are seen from the middle c of their box, of half-diagonal H. There
       :math:`x_1 - x_2 = \bar J w` with :math:`w = z_1 - z_2`, :math:`\|w\| \le 2H`, and the mean
       :math:`\bar J` of the Jacobians on the segment, whose middle is within h of c. So
       :math:`\|\bar J - J_c\| \le \kappa = \|D^2G(c)\| h + V H`, where V bounds how the second derivative
       changes in the box; likewise for AG. With the smallest singular value g of A on the range of
       :math:`J_c`,

       .. math:: F \ge \delta + \|w\|\,\bigl((g - \gamma)\,\sigma - \kappa^A - \gamma\kappa\bigr),

       :math:`\sigma` being the smallest singular value of :math:`J_c` for :math:`\gamma \le g`, and else the
       largest. The right side is at least zero if it is so for :math:`\|w\| = 2H`. :math:`\square`

    Numbers are those of float64: 1e-9 of what is proved is taken off for their rounding.

    Args:
        G: The generator: a ``VAE`` or a network of Linear, Softplus, Sigmoid and Tanh layers; or any callable
            from ``(N, k)`` to ``(N, n)``, with its ``curvature``.
        A: The matrix ``(m, n)``, in float64, as G's weights are, and on their device.
        radius: The radius r of the ball.
        delta: The additive error, non-negative; in the unit of A x.
        k: The latent dimension, 1 to 3; by default ``G.latent_dim``.
        curvature: A bound of :math:`\|D^2 G(z)[w, w]\| / \|w\|^2` on the cube around the ball, on which the
            proof then rests; by default bounds are computed from the layers, cube by cube.
        gap: Stop once ``lower`` is at least ``(1 - gap)`` times ``upper``.
        pairs: Stop after about so many pairs of cubes, with what is proved until then; at least 0, for
            :math:`\gamma = 0` always holds.

    Returns:
        Two scalar tensors, ``lower`` and ``upper``; both are infinite where G is constant.

    Raises:
        TypeError: An argument has the wrong type, A or G is not in float64, or they differ in device.
        ValueError: The latent dimension is not known or above 3, an option is out of range, G is no such
            network and ``curvature`` is None, G does not fit A or mixes rows, or an entry is not finite.

    Source: the condition is definition 1 of Bora, Jalal, Price and Dimakis (2017); the proof is ours. Taught
    in chapter 4.

    >>> G = torch.nn.Sequential(torch.nn.Linear(2, 3, bias=False, dtype=torch.float64))
    >>> G[0].weight.data = torch.eye(3, 2, dtype=torch.float64)
    >>> A = torch.diag(torch.tensor([0.5, 1.0, 1.0], dtype=torch.float64))
    >>> lower, upper = srec_certified(G, A, k=2, radius=1.0, delta=0.0, gap=0.01)
    >>> bool(0.49 < lower <= 0.5 <= upper < 0.51)
    True
    """
    A = checks.matrix("A", A).detach()
    if A.ndim != 2:
        raise ValueError(f"A has shape {tuple(A.shape)}; it must be a single matrix (m, n).")
    if A.dtype != torch.float64:
        raise TypeError(f"A has dtype {A.dtype}; it must be torch.float64, whose rounding a proof can stand.")
    check_generator(G, A.dtype, A.device, "A")
    dimension = k if k is not None else getattr(G, "latent_dim", None)
    if dimension is None:
        raise ValueError("k is None and G has no latent_dim; one of them must say the latent dimension.")
    dimension = checks.integer("k", dimension, 1, 3, "for cubes fill no more dimensions")
    radius, delta = checks.real("radius", radius, above=0.0), checks.real("delta", delta, low=0.0)
    gap = checks.real("gap", gap, above=0.0)
    pairs = checks.integer("pairs", pairs, 1)
    curvature = None if curvature is None else checks.real("curvature", curvature, low=0.0)
    expand = expander(G, curvature)
    check_signals(G, A.new_zeros(1, dimension), A.shape[-1])
    (A, power) = unit(A, (-2, -1))
    within = scaled(A.new_tensor(delta), -power.squeeze())
    search = _Search(_Cells(expand, A, dimension, radius), float(within), gap)
    lower, upper = search.run(pairs)
    return SRECBounds(
        *(scaled(A.new_tensor(bound), power.squeeze()) for bound in (lower * (1 - 1e-9), upper))
    )


class _Cells:
    """The cubes: a row for each in ``at``, where those that are split stay, followed by their parts."""

    def __init__(
        self, expand: Callable[[Tensor, Tensor], Expansion], A: Tensor, k: int, radius: float
    ) -> None:
        self.expand, self.A, self.k, self.radius = expand, A, k, radius
        self.norm = torch.linalg.matrix_norm(A, 2) * (1 + 1e-12)
        self.parts = 2**k
        self.corners = A.new_tensor(list(itertools.product((-1.0, 1.0), repeat=k)))
        half = radius / _ACROSS
        axis = (2 * torch.arange(_ACROSS, dtype=A.dtype, device=A.device) + 1) * half - radius
        centre = torch.cartesian_prod(*[axis] * k).reshape(-1, k)
        self.at = self._cubes(centre, torch.full_like(centre[:, 0], half))

    def _cubes(self, centre: Tensor, half: Tensor) -> dict[str, Tensor]:
        h = half * self.k**0.5
        G = self.expand(centre, h)
        if not bool(torch.isfinite(G.rest + G.value.sum(-1)).all()):
            raise ValueError("G leaves the numbers on the ball; radius must be smaller.")
        AG = G.through(self.A, self.norm)
        reach = (centre.abs() - half.unsqueeze(-1)).clamp(min=0).norm(dim=-1)
        rows = {"centre": centre, "half": half, "inside": reach <= self.radius}
        rows["itself"] = centre.norm(dim=-1) <= self.radius
        for name, of in (("", G), ("A", AG)):
            rows |= {
                f"{name}value": of.value,
                f"{name}slope": of.slope,
                f"{name}moves": h * largest(of.slope),
            }
            rows |= {f"{name}rest": h.square() / 2 * (of.curvature() + of.rest)}
        return rows | {"child": torch.full(half.shape, -1, device=half.device)}

    def split(self, cells: Tensor) -> None:
        """Make the parts of those cubes that have none yet."""
        new = cells.unique()
        new = new[self.at["child"][new] < 0]
        size = max(1, _CHUNK // (8 * self.parts * self.A.shape[1] * self.k**2))
        made = []
        for some in new.split(size):
            half = self.at["half"][some] / 2
            centre = self.at["centre"][some].unsqueeze(1) + self.corners * half[:, None, None]
            made.append(self._cubes(centre.flatten(0, 1), half.repeat_interleave(self.parts)))
        count = len(self.at["half"])
        self.at["child"][new] = count + self.parts * torch.arange(len(new), device=new.device)
        self.at = {name: torch.cat([rows, *(more[name] for more in made)]) for name, rows in self.at.items()}

    def parts_of(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """All pairs of parts of pairs of cubes, each once, that have points in the ball."""
        self.split(torch.cat([first, second]))
        step = torch.arange(self.parts, device=first.device)
        a = self.at["child"][first][:, None, None] + step[:, None]
        b = self.at["child"][second][:, None, None] + step
        a, b = (side.expand(-1, self.parts, self.parts).flatten() for side in (a, b))
        kept = self.at["inside"][a] & self.at["inside"][b] & (a <= b)
        return a[kept], b[kept]

    def apart(self, a: Tensor, b: Tensor, delta: float) -> tuple[Tensor, Tensor]:
        """What steps 1 and 2 of the proof give for pairs of cubes, and the ratio of centres in the ball."""
        at = self.at
        (D, q), (DA, p) = (_normed(at[f"{name}value"][a] - at[f"{name}value"][b]) for name in ("", "A"))
        T, TA, e, eA = (at[name][a] + at[name][b] for name in ("moves", "Amoves", "rest", "Arest"))
        crude = _ratio(DA - TA + delta - eA, D + T + e)
        pulls = [(q.unsqueeze(1) @ at["slope"][cell]).squeeze(1) for cell in (a, b)]
        pullsA = [(p.unsqueeze(1) @ at["Aslope"][cell]).squeeze(1) for cell in (a, b)]
        pull, pullA, s = torch.cat(pulls, -1), torch.cat(pullsA, -1), at["half"][a]
        over = D + _ratio(T.square(), 2 * D) + e

        def slack(gamma: Tensor) -> Tensor:
            return DA + delta - eA - gamma * over - s * (pullA - gamma.unsqueeze(-1) * pull).abs().sum(-1)

        ratio = _ratio(DA + delta, D)
        beyond = torch.where(D > 0, ratio, 0)
        low, below, above = torch.zeros_like(D), slack(torch.zeros_like(D)), slack(beyond)
        for _ in range(_CHORDS):
            share = below / (below - above)
            low = torch.where((below > 0) & (above < 0), low + (beyond - low) * share, low)
            below = slack(low)
        true = (D > 0) & at["itself"][a] & at["itself"][b]
        return torch.maximum(crude, low).clamp(min=0), torch.where(true, ratio, torch.inf)

    def together(self, a: Tensor, b: Tensor, delta: float) -> Tensor:
        """What step 3 of the proof gives for pairs of cubes."""
        c, d, half = self.at["centre"][a], self.at["centre"][b], self.at["half"][a]
        box = ((c - d).abs() / 2 + half.unsqueeze(-1)).norm(dim=-1)
        G = self.expand((c + d) / 2, box)
        AG = G.through(self.A, self.norm)
        h, most = half * self.k**0.5, 2 * box
        bend, bendA = (of.curvature() * h + of.rest * box for of in (G, AG))
        g = smallest(self.A @ _basis(G.slope))
        low, high = (
            _ratio(g * stretch - bendA + delta / most, stretch + bend)
            for stretch in (smallest(G.slope), largest(G.slope))
        )
        return torch.where(low <= g, low, high)


class _Search:
    """The pairs of cubes that are not settled, each with the constant that is proved for it."""

    def __init__(self, cells: _Cells, delta: float, gap: float) -> None:
        self.cells, self.delta, self.gap = cells, delta, gap
        self.lower, self.upper, self.seen = torch.inf, torch.inf, 0
        inside = cells.at["inside"].nonzero().squeeze(-1)
        first, second = torch.triu_indices(len(inside), len(inside), device=inside.device)
        self.first = self.second = inside[:0]
        self.gamma = cells.A.new_zeros(0)
        self._add(inside[first], inside[second])

    def run(self, pairs: int) -> tuple[float, float]:
        """Split until all pairs are settled, or so many have been seen."""
        while len(self.gamma) and self.seen < pairs:
            count = max(_LEAST_SPLIT, len(self.gamma) // _SHARE_SPLIT)
            count = min(count, (pairs - self.seen) // self.cells.parts**2 + 1, len(self.gamma))
            order = self.gamma.argsort()
            worst, rest = order[:count], order[count:]
            parts = self.cells.parts_of(self.first[worst], self.second[worst])
            self.first, self.second, self.gamma = self.first[rest], self.second[rest], self.gamma[rest]
            self._add(*parts)
        left = float(self.gamma.min()) if len(self.gamma) else torch.inf
        return min(self.lower, left), self.upper

    def _add(self, first: Tensor, second: Tensor) -> None:
        if not len(first):  # no part of any cube was in the ball
            return
        k, n = self.cells.k, self.cells.A.shape[1]
        found = [(self.first, self.second, self.gamma)]
        for a, b in zip(
            *(side.split(max(1, _CHUNK // (4 * n * (k + 1)))) for side in (first, second)), strict=True
        ):
            gamma, ratio = self.cells.apart(a, b, self.delta)
            self.upper = min(self.upper, float(ratio.min()))
            steps = (self.cells.at["centre"][a] - self.cells.at["centre"][b]).abs().amax(-1)
            near = (steps <= (2 * _NEAR + 0.5) * self.cells.at["half"][a]) & (gamma < self._enough())
            rows = near.nonzero().squeeze(-1)
            if len(rows):
                gamma[rows] = torch.maximum(gamma[rows], self.cells.together(a[rows], b[rows], self.delta))
            found.append((a, b, gamma))
        self.seen += len(first)
        self.first, self.second, self.gamma = (torch.cat(parts) for parts in zip(*found, strict=True))
        settled = self.gamma >= self._enough()
        if bool(settled.any()):
            self.lower = min(self.lower, float(self.gamma[settled].min()))
            left = ~settled
            self.first, self.second, self.gamma = self.first[left], self.second[left], self.gamma[left]

    def _enough(self) -> float:
        return (1 - self.gap) * self.upper


def _normed(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The lengths of vectors, and these over them, zero where they are zero."""
    length = vectors.norm(dim=-1)
    return length, vectors / torch.where(length > 0, length, 1).unsqueeze(-1)


def _ratio(over: Tensor, under: Tensor) -> Tensor:
    """A quotient of which ``0 / 0`` bounds nothing: any constant will do there."""
    return (over / under).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)


def _basis(slope: Tensor) -> Tensor:
    """An orthonormal basis of the columns ``(..., n, k)``, by Gram and Schmidt, twice each; zero for none."""
    found: list[Tensor] = []
    for column in slope.unbind(-1):
        for _ in range(2):
            for one in found:
                column = column - (one * column).sum(-1, keepdim=True) * one
        found.append(_normed(column)[1])
    return torch.stack(found, -1)
