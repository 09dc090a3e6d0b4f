"""What the libraries compute from fixed inputs, digested by part: ``python -m bindery.page.fingerprint``.

Where a part has other bytes than on the machine that made the pages, so may a page have.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Part = Iterator[Any]
# Where libraries change from one inner loop to another, and those of the chapters.
_SHAPES = ((1, 3, 2), (5, 7, 9), (16, 16, 16), (33, 65, 17), (64, 100, 100), (50, 256, 40), (200, 784, 500))


def _numbers(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Fixed numbers of both signs and many sizes, by exact operations on integers only."""
    count = int(np.prod(shape))
    step = torch.arange(count, dtype=torch.int64)
    mixed = ((step * 2654435761 + 12345) % 2**20 - 2**19).to(torch.float64)
    return (mixed / 2**18 * 2.0 ** (-(step % 7).to(torch.float64))).reshape(shape).to(dtype)


def _products(dtype: torch.dtype) -> Part:
    for m, k, n in _SHAPES:
        A, B = _numbers(m, k, dtype=dtype), _numbers(k, n, dtype=dtype)
        yield from (A @ B, A @ B[:, 0], B.mT @ A.mT, torch.addmm(A[:, :1], A, B), A @ A.mT)
    for count, m, n in ((3, 4, 6), (64, 20, 33), (7, 100, 50)):
        A, x = _numbers(count, m, n, dtype=dtype), _numbers(count, n, dtype=dtype)
        yield from ((A @ x.unsqueeze(-1)).squeeze(-1), A @ A.mT)
        yield torch.baddbmm(A @ A.mT, A, A.mT, alpha=-1)
        yield from (torch.einsum("bmn,bn->bm", A, x), (A * x.unsqueeze(-2)).sum(-1))


def _positive(n: int, count: int = 1) -> Tensor:
    A = _numbers(count, n, 2 * n)
    return A @ A.mT + torch.eye(n, dtype=torch.float64)


def _factorisations() -> Part:
    for n, count in ((2, 5), (9, 3), (40, 2), (120, 1)):
        S, A = _positive(n, count), _numbers(count, n + 3, n)
        yield from (*torch.linalg.eigh(S), torch.linalg.eigvalsh(S))
        yield from (*torch.linalg.svd(A, full_matrices=False), torch.linalg.svdvals(A))
        yield from (*torch.linalg.qr(A), *torch.linalg.qr(A.mT, mode="complete"))
        factor, _ = torch.linalg.cholesky_ex(S)
        yield from (factor, torch.cholesky_solve(A.mT, factor))
        yield torch.linalg.solve_triangular(factor, A.mT, upper=False)
        yield from (torch.linalg.solve(S, A.mT), torch.linalg.inv(S), torch.linalg.pinv(S, hermitian=True))
        yield torch.linalg.matrix_norm(A, 2)


def _factorisations_in_float32() -> Part:
    S, A = _positive(30, 2).float(), _numbers(2, 40, 30, dtype=torch.float32)
    yield from (*torch.linalg.eigh(S), *torch.linalg.svd(A, full_matrices=False), *torch.linalg.qr(A))
    yield from (torch.linalg.cholesky(S), torch.linalg.solve(S, A.mT))


def _convolutions() -> Part:
    for dtype in (torch.float32, torch.float64):
        image, kernel = _numbers(4, 3, 28, 28, dtype=dtype), _numbers(8, 3, 5, 5, dtype=dtype)
        yield from (functional.conv2d(image, kernel, padding=2), functional.conv2d(image, kernel, stride=2))
        yield functional.conv_transpose2d(image, kernel.transpose(0, 1).contiguous(), stride=2)
        yield functional.avg_pool2d(image, 7, stride=1)


def _sums(dtype: torch.dtype) -> Part:
    for size in (3, 17, 100, 1000, 40_000):
        v, table = _numbers(size, dtype=dtype), _numbers(7, size, dtype=dtype)
        yield from (v.sum(), v.mean(), v.norm(), v.var(), v.cumsum(0), v.prod(), v.logsumexp(0), v.std())
        for dim in (0, -1):
            yield from (table.sum(dim), table.mean(dim), table.norm(dim=dim), table.square().sum(dim))
            yield table.softmax(dim)
        yield from (v.numpy().sum(), v.numpy().mean(), v.numpy().std(), table.numpy().sum(axis=0))
        yield from (np.linalg.norm(v.numpy()), np.median(table.numpy(), axis=0), np.quantile(v.numpy(), 0.3))


def _elementwise(dtype: torch.dtype) -> Part:
    # Not sqrt, which torch leaves to a part of MKL that no variable holds to one code (bindery.lint.vendor).
    x = _numbers(3001, dtype=dtype)
    size = x.abs() + 0.001
    yield from (x.exp(), x.tanh(), x.sigmoid(), x.sin(), x.cos(), x.erf(), x.expm1(), x.sinh())
    yield from (size.log(), size.log10(), size.log1p(), size.rsqrt(), size.reciprocal())
    yield from (size.pow(1.7), torch.lgamma(size), torch.atan2(x, size), x / size)
    yield from (functional.softplus(x), functional.leaky_relu(x), torch.special.erfinv(x / 5))
    yield from (torch.lerp(x, size, 0.3), torch.addcmul(x, x, size), torch.addcdiv(x, x, size))
    yield x.acos().nan_to_num()


def _elementwise_in_numpy() -> Part:
    for dtype in (np.float32, np.float64):
        x: Any = _numbers(3001).numpy().astype(dtype)
        size = np.abs(x) + dtype(0.001)
        yield from (np.exp(x), np.tanh(x), np.sin(x), np.cos(x), np.arctan(x), np.expm1(x), np.cbrt(x))
        yield from (np.log(size), np.log10(size), np.log1p(size), np.log2(size))
        yield from (np.sqrt(size), size ** dtype(1.7))


def _products_in_numpy() -> Part:
    for m, k, n in _SHAPES:
        for dtype in (np.float32, np.float64):
            A: Any = _numbers(m, k).numpy().astype(dtype)
            B: Any = _numbers(k, n).numpy().astype(dtype)
            yield from (A @ B, A @ B[:, 0], A @ A.T, np.dot(A[0], A[0]))


def _factorisations_in_numpy() -> Part:
    import scipy.linalg

    for n in (3, 20, 90):
        S, A = _positive(n)[0].numpy(), _numbers(n + 3, n).numpy()
        yield from np.linalg.eigh(S)
        yield from np.linalg.svd(A)
        yield from np.linalg.qr(A)
        yield from (np.linalg.solve(S, A.T), np.linalg.inv(S), np.linalg.lstsq(A, A[:, 0], rcond=None)[0])
        yield from (scipy.linalg.cholesky(S), scipy.linalg.expm(S / np.trace(S)))


def _draws() -> Part:
    for seed in (0, 12345):
        source = torch.Generator().manual_seed(seed)
        for dtype in (torch.float32, torch.float64):
            for size in (1, 7, 15, 16, 1001):
                yield from (draw(size, generator=source, dtype=dtype) for draw in (torch.randn, torch.rand))
            yield torch.empty(33, dtype=dtype).uniform_(-1, 2, generator=source)
            yield torch.empty(33, dtype=dtype).normal_(1, 2, generator=source)
        yield from (torch.randperm(101, generator=source), torch.randint(50, (99,), generator=source))
        numbers = np.random.default_rng(seed)
        yield from (numbers.standard_normal(99), numbers.random(99), numbers.permutation(50))
        yield from (numbers.normal(1, 2, 5), numbers.integers(9, size=20))
        yield numbers.choice(40, 7, replace=False)


def _statistics() -> Part:
    from scipy import special, stats

    x = _numbers(300).numpy()
    share = (np.arange(1, 100) / 100).astype(float)
    yield from (special.erf(x), special.gammaln(np.abs(x) + 0.1), special.ndtri(share))
    yield from (special.stdtrit(7, share), special.betaincinv(3.5, 8.0, share))
    yield from (special.betainc(3.5, 8.0, share), special.gammainc(2.5, x**2))
    yield from (stats.spearmanr(x[:150], x[150:]).statistic, stats.norm.logpdf(x), stats.t.ppf(share, 4))


def _learning() -> Part:
    import pywt
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression

    images, labels = load_digits(return_X_y=True)
    images, labels = images[:300] / 16, labels[:300]
    yield Lasso(alpha=0.01).fit(images, labels.astype(float)).coef_
    yield LinearRegression().fit(images, labels.astype(float)).predict(images)
    yield LogisticRegression(max_iter=30, tol=1e-2).fit(images, labels == 3).coef_
    yield PCA(5, svd_solver="full").fit_transform(images)
    yield from pywt.wavedec2(images[0].reshape(8, 8), "db1", level=2)[0]
    yield pywt.wavedec(images[1], "db4", level=2, mode="periodization")[0]


def _optimisation() -> Part:
    from scipy.optimize import brentq, linprog, minimize

    A = _numbers(12, 30).numpy()
    yield linprog(np.ones(60), A_eq=np.hstack([A, -A]), b_eq=A @ np.sign(A[0]), method="highs").x
    yield brentq(lambda x: np.exp(x) - 3, 0, 2)
    yield minimize(lambda x: np.sum((A[:, :5] @ x - A[:, 5]) ** 2), np.zeros(5), method="BFGS").x


def _gradients() -> Part:
    for dtype in (torch.float32, torch.float64):
        first, last = torch.nn.Linear(20, 50, dtype=dtype), torch.nn.Linear(50, 84, dtype=dtype)
        net = torch.nn.Sequential(first, torch.nn.Softplus(), last, torch.nn.Sigmoid())
        for weight in net.parameters():
            weight.data = _numbers(*weight.shape, dtype=dtype)
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-2, fused=True)
        x = _numbers(32, 20, dtype=dtype)
        for _ in range(5):
            loss = (net(x) - 0.5).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        yield from (weight.detach() for weight in net.parameters())
        yield torch.func.vmap(torch.func.jacfwd(net))(x).detach()


def _pictures() -> Part:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots()
    x = np.linspace(0.1, 3, 50)
    ax.loglog(x, np.exp(x), label="$e^x$")
    ax.fill_between(x, x, x**2, alpha=0.3)
    ax.set_title("A picture: Ångström")
    ax.legend()
    drawn = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "x", "svg.fonttype": "path"}):
        fig.savefig(drawn, format="svg", metadata={"Date": None})
    plt.close(fig)
    yield np.frombuffer(drawn.getvalue().encode(), dtype=np.uint8)


PARTS: dict[str, Callable[[], Part]] = {
    "products in float64": lambda: _products(torch.float64),
    "products in float32": lambda: _products(torch.float32),
    "products in numpy": _products_in_numpy,
    "factorisations in float64": _factorisations,
    "factorisations in float32": _factorisations_in_float32,
    "factorisations in numpy": _factorisations_in_numpy,
    "convolutions": _convolutions,
    "sums in float64": lambda: _sums(torch.float64),
    "sums in float32": lambda: _sums(torch.float32),
    "elementwise functions in float64": lambda: _elementwise(torch.float64),
    "elementwise functions in float32": lambda: _elementwise(torch.float32),
    "elementwise functions in numpy": _elementwise_in_numpy,
    "draws": _draws,
    "gradients": _gradients,
    "statistics": _statistics,
    "learning": _learning,
    "optimisation": _optimisation,
    "pictures": _pictures,
}


def take() -> dict[str, str]:
    found = {}
    for name, part in PARTS.items():
        total = hashlib.sha256()
        for value in part():
            array = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
            total.update(f"{array.dtype} {array.shape} ".encode())
            total.update(np.ascontiguousarray(array).tobytes())
        found[name] = total.hexdigest()[:16]
    return found


if __name__ == "__main__":
    print(json.dumps(take()))
