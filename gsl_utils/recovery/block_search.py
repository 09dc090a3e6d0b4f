"""Recovery over the range of the sparse ReLU network, whose blocks can be searched one by one, exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsl_utils.common import checks, least_squares, linear
from gsl_utils.common.generator_checks import check_generator
from gsl_utils.common.least_squares import ENTRIES
from gsl_utils.common.linear import System
from gsl_utils.common.result import Recovery
from gsl_utils.generators.sparse_relu import SparseReLU

__all__ = ["block_search"]

# What is left of a column beyond others, or of a residual, is nothing where it is so many roundings long.
_ROUNDINGS = 100
# Two columns are as good as each other where what they explain differs by this power of a rounding.
_TIED = 0.75
# The index of a block that is silent.
_SILENT = -1


def block_search(
    G: SparseReLU,
    A: Tensor,
    y: Tensor,
    *,
    sweeps: int = 50,
    restarts: int = 10,
    generator: torch.Generator | None = None,
) -> Recovery:
    r"""Find the input of a sparse ReLU network that explains the measurements, block by block.

    .. math:: \min_z\ \|y - A\,G(z)\|_2^2

    No gradient leads out of a sector, but a block has 2n of them only. With the other blocks in their
    sectors J, at any radii, the best of all 2n sectors and radii of one block is in closed form: with P the
    projection beyond the columns of J, it is the sector of coordinate

    .. math:: i = \operatorname*{arg\,max}_{i \notin J} \frac{|a_i^\top P y|}{\|P a_i\|_2},

    of the sign of :math:`a_i^\top P y`. One block after another enters in this way, and then each leaves and
    enters anew until a whole sweep changes no sector; the radii are at last those of least squares. That is
    a descent: it ends where no change of ONE block lowers the objective. Where a residual is left it begins
    again at random sectors, and the best of all starts is returned.

    Args:
        G: The network.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``; m may be below k.
        y: The measurements ``(..., m)``, of any unit, as A; G and A have their dtype and device.
        sweeps: The most sweeps over the blocks, of each start.
        restarts: How many starts a signal has: the greedy one, and if it leaves a residual random ones.
        generator: The source of randomness of the random starts. They are drawn at once for all signals:
            alone, a signal draws others.

    Returns:
        A recovery: ``z`` is ``G.encode(x)``, ``x`` is ``G(z)``, ``objective`` is the sum above, ``n_iter`` is
        the number of sweeps of the start that was kept. ``converged`` says that its last sweep lowered
        nothing, or left nothing, which is not to say that no other support is better; it is False where the
        objective overflows.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, an option is out of range, or A and y are so
            far apart in scale that x is beyond the numbers of their dtype.

    Sources: the network is that of Kamath, Karmalkar and Price (2020), theorem 1.2; the entering step is that
    of orthogonal least squares, Chen, Billings and Luo (1989). Taught in chapter 2.

    >>> G, A = SparseReLU(4, 2), torch.eye(4, dtype=torch.float64)
    >>> found = block_search(G, A, torch.tensor([1.0, 0.0, -3.0, 0.5], dtype=torch.float64))
    >>> [round(entry, 9) for entry in found.x.tolist()], bool(found.converged)
    ([1.0, 0.0, -3.0, 0.0], True)
    """
    if not isinstance(G, SparseReLU):
        raise TypeError(f"G is a {type(G).__name__}; it must be a SparseReLU.")
    sweeps, restarts = checks.integer("sweeps", sweeps, 1), checks.integer("restarts", restarts, 1)
    checks.random_source(generator)
    system = System.of(A, y, by_column=True)
    check_generator(G, system.y.dtype, system.y.device, "y")
    if system.A.shape[-1] != G.n:
        raise ValueError(f"A has {system.A.shape[-1]} columns; it must have G.n = {G.n}, a signal's length.")
    with torch.no_grad():
        sectors, n_iter, settled = _search(system, G.k, sweeps, restarts, generator)
        x = system.y.new_zeros(len(sectors), G.n)
        for piece in _pieces(system.A, G.k, len(x)):
            support = _mask(sectors[piece], G.n)
            x[piece] = least_squares.on_support(linear.rows(system.A, piece), system.y[piece], support)
        # What G gives of it has its rounding, and the objective is that of what is returned.
        unmeasured = torch.zeros_like(settled, dtype=x.dtype)
        z = G.encode(system.recovery(x, unmeasured, 2 * system.y_power, n_iter, settled).x)
        x = linear.scaled(G(z).reshape(len(x), -1), system.A_power - system.y_power)
        objective = (system.y - linear.forward(system.A, x)).square().sum(-1)
        return replace(system.recovery(x, objective, 2 * system.y_power, n_iter, settled), z=z)


def _search(
    system: System, k: int, sweeps: int, restarts: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The coordinates ``(N, k)`` of the best start's blocks, its sweeps, and whether it settled."""
    y, n = system.y, system.A.shape[-1]
    device = y.device if generator is None else generator.device
    drawn = torch.randint(n, (restarts - 1, len(y), k), generator=generator, device=device).to(y.device)
    found = _Starts.empty(len(y), k, y)
    for piece in _pieces(system.A, k, len(y)):
        A, target = linear.rows(system.A, piece), y[piece]
        best = _descend(A, target, found.sectors[piece], sweeps)
        rest = (best.energy > _floor(target)).nonzero().squeeze(-1)
        for start in drawn[:, piece]:
            if len(rest):
                other = _descend(linear.rows(A, rest), target[rest], start[rest], sweeps)
                better = other.energy < best.energy[rest]
                best.put(rest[better], other.at(better))
        found.put(piece, best)
    return found.sectors, found.n_iter, found.settled


@dataclass(frozen=True, eq=False)
class _Starts:
    """Where descents ended: coordinates ``(N, k)``, squared residuals, sweeps, and whether they settled."""

    sectors: Tensor
    energy: Tensor
    n_iter: Tensor
    settled: Tensor

    @classmethod
    def empty(cls, count: int, k: int, y: Tensor) -> _Starts:
        sectors = torch.full((count, k), _SILENT, dtype=torch.int64, device=y.device)
        zero = torch.zeros_like(sectors[:, 0])
        return cls(sectors, zero.to(y.dtype), zero, zero.bool())

    def at(self, rows: Tensor) -> _Starts:
        return _Starts(self.sectors[rows], self.energy[rows], self.n_iter[rows], self.settled[rows])

    def put(self, rows: Tensor, other: _Starts) -> None:
        for name in ("sectors", "energy", "n_iter", "settled"):
            getattr(self, name)[rows] = getattr(other, name)


def _descend(A: Tensor, y: Tensor, start: Tensor, sweeps: int) -> _Starts:
    """From the sectors ``start (N, k)`` until a whole sweep lowers nothing; those that are done leave."""
    ends = _Starts.empty(start.shape[0], start.shape[1], y)
    active, sectors = torch.arange(len(y), device=y.device), start.clone()
    lengths = A.norm(dim=-2).square().expand(len(y), -1)
    before = torch.full_like(y[:, 0], torch.inf)
    for sweep in range(1, sweeps + 1):
        after = sectors.clone()
        for block in range(sectors.shape[-1]):
            after[:, block] = _enter(A, lengths, y, after, block)
        energy = _residual(_orthonormal(_columns(A, after)), y).square().sum(-1)
        # Between columns as good as each other rounding decides: what lowered nothing is taken back.
        stays = ~(energy < before * (1 - _ROUNDINGS * torch.finfo(y.dtype).eps))
        after[stays], energy[stays] = sectors[stays], before[stays]
        done = stays | (energy <= _floor(y))
        ends.put(active, _Starts(after, energy, torch.full_like(active, sweep), done))
        on = ~done
        if not bool(on.any()):
            break
        active, sectors, y, lengths, before = active[on], after[on], y[on], lengths[on], energy[on]
        A = linear.rows(A, on)
    return ends


def _enter(A: Tensor, lengths: Tensor, y: Tensor, sectors: Tensor, block: int) -> Tensor:
    """The best coordinate ``(N,)`` of one block beside the others.

    It is none where these leave nothing to explain, or depend on each column that could.
    """
    eps = torch.finfo(y.dtype).eps
    basis = _orthonormal(_columns(A, torch.cat([sectors[:, :block], sectors[:, block + 1 :]], dim=-1)))
    residual = _residual(basis, y)
    energy = residual.square().sum(-1)
    rest = lengths - (basis @ A).square_().sum(-2)
    gain = linear.adjoint(A, residual).square_() / rest
    # Of such columns nothing but rounding is left beyond the others, among them these themselves.
    gain.masked_fill_(rest <= _ROUNDINGS * eps * lengths, 0)
    best = gain.clamp_(max=energy.unsqueeze(-1)).amax(-1)
    # Of columns as good as each other, as all are for the last row, the first: rounding is to decide nothing.
    chosen = (gain >= (best - eps**_TIED * energy).unsqueeze(-1)).int().argmax(-1)
    nothing = (energy <= _floor(y)) | (best <= _ROUNDINGS * eps * energy)
    return torch.where(nothing, _SILENT, chosen)


def _columns(A: Tensor, sectors: Tensor) -> Tensor:
    """The columns ``(N, p, m)`` of the blocks; zero for those that are silent."""
    return linear.gather_columns(A, sectors.clamp(min=0), sectors >= 0)


def _floor(y: Tensor) -> Tensor:
    """The squared length of a residual that is nothing but rounding of y."""
    return (_ROUNDINGS * torch.finfo(y.dtype).eps * y.norm(dim=-1)).square()


def _orthonormal(columns: Tensor) -> Tensor:
    """An orthonormal basis of the columns ``(N, p, m)`` of each signal; zero in place of those that depend.

    Each is made orthogonal to those before it twice, which is enough.
    """
    basis = torch.zeros_like(columns)
    for place in range(columns.shape[1]):
        column = columns[:, place]
        rest = _residual(basis[:, :place], column)
        length = rest.norm(dim=-1, keepdim=True)
        floor = _ROUNDINGS * torch.finfo(rest.dtype).eps * column.norm(dim=-1, keepdim=True)
        basis[:, place] = torch.where(length > floor, rest / length, 0)
    return basis


def _residual(basis: Tensor, vector: Tensor) -> Tensor:
    """The vectors ``(N, m)`` less their components along orthonormal bases ``(N, p, m)``, taken twice."""
    for _ in range(2):
        vector = vector - ((basis @ vector.unsqueeze(-1)).mT @ basis).squeeze(1)
    return vector


def _mask(sectors: Tensor, n: int) -> Tensor:
    """The support ``(N, n)`` of signals whose blocks have these coordinates."""
    count = torch.zeros(len(sectors), n, dtype=torch.int64, device=sectors.device)
    return count.scatter_add_(-1, sectors.clamp(min=0), (sectors >= 0).long()) > 0


def _pieces(A: Tensor, k: int, count: int) -> tuple[Tensor, ...]:
    """The signals in pieces whose columns and correlations take little memory."""
    m, n = A.shape[-2:]
    return torch.arange(count, device=A.device).split(max(1, ENTRIES // (k * (m + n))))
