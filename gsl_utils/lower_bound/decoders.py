"""Recovery over the range of a codeword path: the nearest point of its set, and of its whole image."""

from __future__ import annotations

import torch
from torch import Tensor

from gsl_utils.common import checks
from gsl_utils.generators.codeword_path import CodewordPath

__all__ = ["nearest_image", "nearest_index", "nearest_word"]

# Numbers of a table that is made at once.
_TABLE = 1 << 22
# Squares that differ by so many roundings of the largest are the same: fewer rows than blocks leave many
# places that explain y exactly, and of these the first is taken, on every machine.
_ROUNDINGS = 100


def nearest_word(G: CodewordPath, A: Tensor, y: Tensor) -> Tensor:
    r"""The point of the separated set that explains the measurements best, by trying all of them.

    .. math:: \hat x = \operatorname*{arg\,min}_{x \in G(X)} \|y - A x\|_2

    Args:
        G: The generator, with at most 1e5 points in its set.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, of A's and G's dtype and device.

    Returns:
        The points ``(..., n)``.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, or the set has more than 1e5 points.

    Of points that explain y as well, the first is taken. Taught in chapter 3.

    >>> G = CodewordPath(2, 8, 4.0, 1.0)
    >>> x = G.codewords
    >>> torch.equal(nearest_word(G, torch.eye(8, dtype=torch.float64), x + 0.1), x)
    True
    """
    matrices, rows, batch = _flat(G, A, y)
    return G.codeword(_closest(G, matrices, rows, 1)[..., 0]).reshape(*batch, G.n)


def nearest_image(G: CodewordPath, A: Tensor, y: Tensor, *, starts: int = 4, sweeps: int = 20) -> Tensor:
    r"""The point of the whole image that explains the measurements best, found by a search by blocks.

    .. math:: \hat x = G(\hat z), \qquad \hat z \approx \operatorname*{arg\,min}_z \|y - A G(z)\|_2

    While the other blocks stand still, the best place of one block on its path is found exactly: the nearest
    point of each of its M - 1 segments is in closed form. Blocks take turns until none moves. That is a
    descent from the points of the set that fit best, so that the answer fits no worse than
    ``nearest_word``; with k = 1 it is the best of the image. Of places that explain y as well, which there
    are with few rows, the first on the path is taken.

    Args:
        G: The generator, with at most 1e5 points in its set.
        A: The matrix ``(m, n)``, or one per signal ``(..., m, n)``.
        y: The measurements ``(..., m)``, of A's and G's dtype and device.
        starts: From how many points of the set the descent begins; the best end is kept.
        sweeps: The most turns of each block.

    Returns:
        The points of the image ``(..., n)``.

    Raises:
        TypeError: An argument has the wrong type, or dtypes or devices differ.
        ValueError: Shapes do not fit, entries are not finite, an option is out of range, or the set has more
            than 1e5 points.

    Taught in chapter 3.

    >>> G = CodewordPath(2, 8, 4.0, 1.0)
    >>> x = G(torch.tensor([[0.25, 0.4]], dtype=torch.float64))
    >>> torch.allclose(nearest_image(G, torch.eye(8, dtype=torch.float64), x), x)
    True
    """
    starts, sweeps = checks.integer("starts", starts, 1), checks.integer("sweeps", sweeps, 1)
    matrices, rows, batch = _flat(G, A, y)
    starts = min(starts, len(G.indices))
    first = _closest(G, matrices, rows, starts)
    found = [
        _descend(G, matrix, row, G.codeword(first[part]), sweeps)
        for matrix, row, part in _parts(matrices, rows, starts * G.n * G.alphabet)
    ]
    return torch.cat(found).reshape(*batch, G.n)


def nearest_index(points: Tensor, x: Tensor, p: int) -> Tensor:
    """The index ``(B,)`` of the row of ``points (N, n)`` that is nearest to each ``x (B, n)`` in l_p."""
    step = max(1, _TABLE // len(points))
    return torch.cat([torch.cdist(part, points, p=float(p)).argmin(-1) for part in x.split(step)])


def _flat(G: CodewordPath, A: object, y: object) -> tuple[Tensor, Tensor, torch.Size]:
    """Matrices ``(1 or B, m, n)``, measurements ``(B, m)`` and the shape of the batch."""
    if not isinstance(G, CodewordPath):
        raise TypeError(f"G is a {type(G).__name__}; it must be a CodewordPath.")
    matrices, rows, batch = checks.linear_system("A", A, "y", y, "rows")
    checks.same_kind(y=rows, G=G.words)
    if matrices.shape[-1] != G.n:
        raise ValueError(f"A has shape {tuple(matrices.shape)}; its last dimension must be n = {G.n}, G's.")
    rows = rows.expand(*batch, rows.shape[-1]).reshape(-1, rows.shape[-1])
    if matrices.ndim > 2:
        matrices = matrices.expand(*batch, *matrices.shape[-2:])
    return matrices.reshape(-1, *matrices.shape[-2:]), rows, batch


def _parts(matrices: Tensor, rows: Tensor, numbers: int) -> list[tuple[Tensor, Tensor, slice]]:
    """The batch in parts whose tables, of so many numbers a signal, are not too large."""
    step = max(1, _TABLE // numbers)
    parts = [slice(i, i + step) for i in range(0, len(rows), step)]
    return [(matrices if len(matrices) == 1 else matrices[part], rows[part], part) for part in parts]


def _closest(G: CodewordPath, matrices: Tensor, rows: Tensor, count: int) -> Tensor:
    """The indices ``(B, count)`` of the points whose measurements are nearest, the best first.

    A point is k words: the square of its measurements is a sum over pairs of blocks, and of a pair there
    are only as many products as pairs of words.
    """
    symbols, words = G.symbols(G.indices).unbind(-1), G.k * G.alphabet
    found = []
    for A, y, _ in _parts(matrices, rows, max(len(G.indices), words * max(words, rows.shape[-1]))):
        seen = _seen(G, A)
        # The same for all points of a signal, the square of y itself, is left out.
        cost = A.new_zeros(len(A), len(G.indices))
        toward = (y[:, None, None] @ seen).squeeze(-2)
        for a, first in enumerate(symbols):
            cost = cost - 2 * toward[:, a, first]
            for c, second in enumerate(symbols[: a + 1]):
                products = seen[:, a].mT @ seen[:, c]
                pairs = products.flatten(-2)[:, first * G.alphabet + second]
                cost = cost + (pairs if a == c else 2 * pairs)
        size = seen.square().sum(-2).flatten(1).amax(-1) * G.k**2 + y.square().sum(-1)
        found.append(_first_of_least(cost, size.unsqueeze(-1), count))
    return torch.cat(found)


def _seen(G: CodewordPath, A: Tensor) -> Tensor:
    """What each word looks like in each block: ``(B, k, m, M)``."""
    return A.unflatten(-1, (G.k, -1)).transpose(-3, -2) @ G.words.mT


def _descend(G: CodewordPath, A: Tensor, y: Tensor, x: Tensor, sweeps: int) -> Tensor:
    """From each start ``x (B, starts, n)`` to where no block can do better; the best end ``(B, n)``."""
    seen = _seen(G, A).expand(len(y), -1, -1, -1)
    begin, end, along = seen[..., :-1], seen[..., 1:], seen.diff(dim=-1)
    length = along.square().sum(-2).clamp(min=torch.finfo(y.dtype).tiny)
    cross, square = (begin * along).sum(-2), begin.square().sum(-2)
    x = x.unflatten(-1, (G.k, -1)).clone()
    parts = (A.unflatten(-1, (G.k, -1)).transpose(-3, -2) @ x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    left = y.unsqueeze(1) - parts.sum(-2)
    cost = left.square().sum(-1)
    size = seen.square().sum(-2).flatten(1).amax(-1) * G.k**2 + y.square().sum(-1)
    slack = _ROUNDINGS * torch.finfo(y.dtype).eps * size.unsqueeze(-1)
    for _ in range(sweeps):
        for c in range(G.k):
            left = left + parts[:, :, c]
            toward, away = left @ along[:, c], left @ begin[:, c]
            share = ((toward - cross[:, None, c]) / length[:, None, c]).clamp(0, 1)
            gain = square[:, None, c] - 2 * away - 2 * share * (toward - cross[:, None, c])
            segment = _first_least(gain + share.square() * length[:, None, c], slack)
            share = share.gather(-1, segment.unsqueeze(-1))
            x[:, :, c] = torch.lerp(G.words[segment], G.words[segment + 1], share)
            chosen = segment.unsqueeze(-1)
            here, there = (side[:, c].mT.take_along_dim(chosen, 1) for side in (begin, end))
            parts[:, :, c] = torch.lerp(here, there, share)
            left = left - parts[:, :, c]
        before, cost = cost, left.square().sum(-1)
        if not bool((cost < before - slack).any()):
            break
    best = _first_least(cost, slack.squeeze(-1)).view(-1, 1, 1, 1)
    return x.take_along_dim(best, 1).flatten(1)


def _first_of_least(cost: Tensor, size: Tensor, count: int) -> Tensor:
    """The indices of the ``count`` least entries of the last dimension; of equal ones the first.

    Entries are the same if they agree to some nine digits of their size: a whole number that counts these
    digits, and after them the index, decides.
    """
    above = cost.double() - cost.double().amin(-1, keepdim=True)
    steps = (above / size.double().clamp(min=1e-300) * 2.0**30).round()
    place = torch.arange(cost.shape[-1], dtype=torch.float64, device=cost.device)
    return (steps * cost.shape[-1] + place).topk(count, dim=-1, largest=False).indices


def _first_least(cost: Tensor, slack: Tensor) -> Tensor:
    """The index of the first entry of the last dimension that is the least, up to a slack."""
    least = cost.amin(-1) + slack
    return (cost <= least.unsqueeze(-1)).int().argmax(-1)
