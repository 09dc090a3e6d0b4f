"""The network of Kamath, Karmalkar and Price whose range is the set of all k-sparse vectors."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from gsl_utils.common import checks
from gsl_utils.common.generator_checks import fed
from gsl_utils.common.least_squares import support_indices
from gsl_utils.generators.wedges import along_across, ridge

__all__ = ["SparseReLU"]

_MOST_WEIGHTS = 10**8  # of the network written out


class SparseReLU(nn.Module):
    r"""A ReLU network without bias whose range is exactly the vectors of length n with at most k non-zeros.

    The latent vector is k points of the plane, :math:`z^{(j)} = t(\sin\theta, \cos\theta)`. The plane is cut
    into sectors of half-angle h; each belongs to one coordinate and one sign, and the network adds up

    .. math:: G(z) = \sum_{j=1}^k s_j\,v_j\,e_{i_j},\qquad
              v_j = t\,\frac{\sin(h - |\delta|)}{\sin h}
              = \Big[\text{along} - \frac{|\text{across}|}{\tan h}\Big]_+,

    :math:`\delta` being the angle from the middle of the sector. At mid-angle :math:`v_j = t`, so that
    ``encode`` keeps the norm. With two hidden layers coordinate i has a sector for either sign, (i, i + 1)
    times :math:`\alpha = \pi/(n+1)` and the opposite one, :math:`h = \alpha/2`, and the wedges are one-sided:
    this is the paper's gadget, once it is multiplied by the factor :math:`2\cos(\alpha/2)` that is missing
    in print. With one hidden layer it has two even double wedges of :math:`h = \pi/4n`, the paper's unit of
    section 4.2 over :math:`2\tan h`, of three ReLUs each.

    It is evaluated by its sectors, in O(n + k) a signal: the layers are needed only to show that it is a
    network. The sector is that of the angle in float64, and the value is then the sector's own formula, so
    that at an edge the neighbour gives zero up to rounding, and never a wrong value. Rounding costs
    about eps / h of the value. Where units have a kink the derivative is the mean of both sides at
    mid-angle, and zero at zero and at the edges; no gradient leads out of a sector.

    Args:
        n: The length of a signal.
        k: How many non-zeros it may have, from 1 to ``n``.
        layers: 2 hidden layers, with 4nk and 2nk units, as in the paper; or 1, with 6nk.
        dtype: Of z and x.
        device: Of z and x.

    Attributes:
        latent_dim: 2k.
        widths: The widths of the network's layers, from 2k to n, written out.
        lipschitz: The Lipschitz constant in the l2 norm, exactly: :math:`\sqrt k/\sin h`. Where G is
            differentiable the row of coordinate i in its Jacobian is made of the gradients, of norm
            :math:`1/\sin h`, of those blocks that are in its sectors. Rows have no block in common, so that
            the largest singular value is the longest row, with :math:`\sqrt k/\sin h` where all blocks
            are in one sector; and G is continuous and linear in pieces.

    Raises:
        TypeError: An argument has the wrong type; later, x or z has, or another dtype or device.
        ValueError: A size is out of range, or the device is not there; later, x or z has another length or is
            not finite, or x has more than k non-zeros.

    Source: Kamath, Karmalkar and Price (2020), theorem 1.2 and section 4.1, corrected. Taught in chapter 2.

    >>> G = SparseReLU(1000, 3)
    >>> x = torch.zeros(1000, dtype=torch.float64)
    >>> x[7], x[500] = 2.0, -1e-3
    >>> torch.allclose(G(G.encode(x)), x, rtol=1e-9), round(float(G.encode(x).norm() / x.norm()), 9)
    (True, 1.0)
    """

    like: Tensor

    def __init__(
        self,
        n: int,
        k: int,
        *,
        layers: int = 2,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.n = checks.integer("n", n, 1)
        self.k = checks.integer("k", k, 1, self.n, "the length of a signal")
        self.layers = checks.integer("layers", layers, 1, 2)
        self.latent_dim = 2 * self.k
        hidden = (6 * self.n * self.k,) if self.layers == 1 else (4 * self.n * self.k, 2 * self.n * self.k)
        self.widths = (self.latent_dim, *hidden, self.n)
        self.half_angle = math.pi / (4 * self.n) if self.layers == 1 else math.pi / (2 * self.n + 2)
        self.lipschitz = math.sqrt(self.k) / math.sin(self.half_angle)
        kind = checks.floating_dtype("dtype", dtype)
        # It holds no number: it says of which dtype and on which device z is, also after .to(...).
        empty = torch.empty(0, dtype=kind, device=checks.device("device", device, meta=True))
        self.register_buffer("like", empty, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """The signal of ``z (..., 2k)``: shape ``(..., n)``, with at most k non-zeros."""
        z = fed("z", z, self.latent_dim, self.like)
        coordinate, sign, value = self._blocks(z)
        value = torch.where(coordinate >= 0, sign * value, 0).to(z.dtype)
        return z.new_zeros(*z.shape[:-1], self.n).scatter_add_(-1, coordinate.clamp(min=0), value)

    def encode(self, x: Tensor) -> Tensor:
        """The latent vector ``(..., 2k)`` of ``x (..., n)`` whose points are at mid-angle.

        Its blocks are the non-zeros of x in their order, the blocks left over are zero, and its norm is x's.
        """
        x = fed("x", x, self.n, self.like)
        present = (x != 0).reshape(-1, self.n)
        counts = present.sum(-1)
        if bool((counts > self.k).any()):
            first = int((counts > self.k).int().argmax())
            place = [int(index) for index in torch.unravel_index(torch.tensor(first), x.shape[:-1])]
            where = f" at {tuple(place)} of its batch" if place else ""
            raise ValueError(
                f"x has {int(counts[first])} non-zero entries{where}; it must have at most k = {self.k}."
            )
        indices, real = support_indices(present)
        value = x.reshape(-1, self.n).gather(-1, indices).double() * real
        angle = self._middle(self._sector_of(indices, value))
        points = value.abs().unsqueeze(-1) * torch.stack([angle.sin(), angle.cos()], dim=-1)
        z = nn.functional.pad(points.flatten(-2), (0, self.latent_dim - 2 * indices.shape[-1]))
        return z.to(x.dtype).reshape(*x.shape[:-1], self.latent_dim)

    def sectors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The coordinate, from 0, at which each block of ``z (..., 2k)`` puts a value, and the value's sign.

        Both are ``(..., k)``, int64; where a block is silent they are -1 and 0.
        """
        coordinate, sign, value = self._blocks(fed("z", z, self.latent_dim, self.like))
        active = (value > 0) & (coordinate >= 0)
        return torch.where(active, coordinate, -1), torch.where(active, sign, 0)

    def as_sequential(self) -> nn.Sequential:
        """The same network written out: dense ``Linear`` layers without bias, and ``ReLU`` between them.

        Raises:
            ValueError: It would have more than 1e8 weights.
        """
        weights = sum(before * after for before, after in pairwise(self.widths))
        if weights > _MOST_WEIGHTS:
            raise ValueError(
                f"n is {self.n} and k is {self.k}; written out, the network has {weights:.3g} weights, and "
                f"it must have at most {_MOST_WEIGHTS:.0e}."
            )
        return _dense(self._one_layer() if self.layers == 1 else self._two_layers(), self.k, self.like)

    def _blocks(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The coordinate of each block, -1 in the sectors that belong to none, its sign, and its value."""
        # In float64 also for float32: beside an angle of float32 the sectors of large n are not narrow only,
        # they are lost.
        points = z.double().unflatten(-1, (self.k, 2))
        turn, count = (math.pi, 2 * self.n) if self.layers == 1 else (2 * math.pi, 2 * self.n + 2)
        angle = torch.atan2(points[..., 0], points[..., 1]).detach()
        sector = (angle.remainder(turn) / (2 * self.half_angle)).long().clamp(0, count - 1)
        along, across = along_across(points, self._middle(sector))
        if self.layers == 1:
            return sector // 2, 1 - 2 * (sector % 2), ridge(along.abs(), across, self.half_angle)
        # Sectors 0 and n + 1 are nobody's: the first of each half turn.
        sign = 1 - 2 * (sector > self.n).long()
        return sector % (self.n + 1) - 1, sign, ridge(along, across, self.half_angle)

    def _middle(self, sector: Tensor) -> Tensor:
        """The angle in the middle of a sector, in float64."""
        return (sector.double() + 0.5) * (2 * self.half_angle)

    def _sector_of(self, coordinate: Tensor, value: Tensor) -> Tensor:
        """The sector of a coordinate and a value's sign, counted from the angle 0."""
        negative = (value < 0).long()
        if self.layers == 1:
            return 2 * coordinate + negative
        return coordinate + 1 + (self.n + 1) * negative

    def _one_layer(self) -> list[Tensor]:
        """The matrices of one block: 6n units, and what they put at each coordinate."""
        angle = self._middle(torch.arange(2 * self.n))
        across = torch.stack([angle.cos(), -angle.sin()], dim=-1)
        along = torch.stack([angle.sin(), angle.cos()], dim=-1) * math.tan(self.half_angle)
        units = torch.stack([across + along, across, across - along], dim=1).reshape(-1, 2)
        read = torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64) / math.tan(self.half_angle)
        signed = torch.cat([read, -read])
        return [units, torch.block_diag(*[signed.unsqueeze(0)] * self.n)]

    def _two_layers(self) -> list[Tensor]:
        """The matrices of one block: 4n units, 2n units, and the signs of their sum."""
        first = torch.arange(1, self.n + 1).double() * (2 * self.half_angle)
        start = torch.stack([first, first + math.pi], dim=-1).flatten()
        angles = torch.stack([start, start + self.half_angle], dim=-1).flatten()
        pair = torch.tensor([[1.0, -2 * math.cos(self.half_angle)]], dtype=torch.float64)
        signs = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
        return [
            torch.stack([angles.cos(), -angles.sin()], dim=-1),
            torch.block_diag(*[pair / math.sin(self.half_angle)] * (2 * self.n)),
            torch.block_diag(*[signs] * self.n),
        ]


def _dense(block: list[Tensor], k: int, like: Tensor) -> nn.Sequential:
    """The network of k blocks side by side, whose outputs are added."""
    layers: list[nn.Module] = []
    for place, matrix in enumerate(block):
        last = place == len(block) - 1
        weight = matrix.repeat(1, k) if last else torch.block_diag(*[matrix] * k)
        layer = nn.utils.skip_init(
            nn.Linear, weight.shape[1], weight.shape[0], bias=False, dtype=like.dtype, device=like.device
        )
        layer.weight.requires_grad_(False).copy_(weight)
        layers += [layer] if last else [layer, nn.ReLU()]
    return nn.Sequential(*layers)
