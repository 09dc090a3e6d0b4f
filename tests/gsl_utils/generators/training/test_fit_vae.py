"""Training of the VAE: against a plain loop and closed forms, killed and gone on with, and every refusal."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsl_utils.generators import VAE
from gsl_utils.generators.training import checkpoint as checkpoints
from gsl_utils.generators.training.vae import fit_vae, negative_elbo

N, K, IMAGES = 6, 2, 23


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def grey(*shape, seed=3, dtype=torch.float64):
    return torch.rand(*shape, generator=source(seed), dtype=torch.float64).to(dtype)


def tiny(dtype=torch.float64, **options):
    return VAE(N, K, hidden=(5,), generator=source(1), dtype=dtype, **options)


def fit(path=None, *, dtype=torch.float64, seed=7, **options):
    """A run of four epochs of batches of 5, the last of 3, and the state that its source ends in."""
    random = source(seed)
    settings = {"epochs": 4, "batch_size": 5, "lr": 0.01} | options
    images = settings.pop("images", grey(IMAGES, N, dtype=dtype))
    vae = settings.pop("vae", tiny(dtype))
    vae, losses = fit_vae(vae, images, generator=random, checkpoint=path, **settings)
    return [*vae.state_dict().values(), *losses, random.get_state()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


class Killed(BaseException):
    """What no handler of errors may catch."""


def killed_after(epoch):
    def callback(done, vae, losses):
        if done == epoch:
            raise Killed

    return callback


def plain_loop(vae, images, epochs, batch_size, lr, beta, cosine, random):
    """The same training in torch's own words: its scheduler, its distributions, and probabilities."""
    weights = list(vae.parameters())
    optimiser = torch.optim.Adam(weights, lr=lr)
    count = -(-len(images) // batch_size)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * count) if cosine else None
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=random)
        for i in range(count):
            x = images[order[i * batch_size : (i + 1) * batch_size]]
            mean, log_var = vae.encode(x)
            q = torch.distributions.Normal(mean, log_var.exp() ** 0.5)
            z = mean + q.stddev * torch.randn(len(x), K, generator=random, dtype=x.dtype)
            p = vae.decode(z)
            entropy = -(x * p.log() + (1 - x) * (1 - p).log()).sum() / len(x)
            divergence = torch.distributions.kl_divergence(
                q, torch.distributions.Normal(0.0, 1.0)
            ).sum() / len(x)
            optimiser.zero_grad()
            (entropy + beta * divergence).backward()
            optimiser.step()
            if rate is not None:
                rate.step()
    return weights


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_training_is_a_plain_loop(schedule, beta):
    ours, _ = fit_vae(
        tiny(),
        grey(IMAGES, N),
        epochs=3,
        batch_size=5,
        lr=0.02,
        beta=beta,
        schedule=schedule,
        generator=source(),
    )
    plain = plain_loop(tiny(), grey(IMAGES, N), 3, 5, 0.02, beta, schedule == "cosine", source())
    for one, other in zip(ours.parameters(), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_the_losses_of_an_epoch_are_means_over_its_images():
    """With a rate that moves nothing, they are those of the first weights, for the z that were drawn."""
    images, random = grey(IMAGES, N), source()
    _, losses = fit_vae(tiny(), images, epochs=2, batch_size=5, lr=1e-300, beta=0.3, generator=source())
    for epoch in range(2):
        order, sums = torch.randperm(IMAGES, generator=random), torch.zeros(2, dtype=torch.float64)
        for chosen in order.split(5):
            _, entropy, divergence = negative_elbo(tiny(), images[chosen], generator=random)
            sums += torch.stack([entropy.sum(), divergence.sum()])
        torch.testing.assert_close(
            torch.stack([losses.cross_entropy[epoch], losses.divergence[epoch]]), sums / IMAGES
        )
    torch.testing.assert_close(losses.total, losses.cross_entropy + 0.3 * losses.divergence)
    assert losses.total.shape == (2,)


def test_the_bound_is_a_mean_over_pixels_and_a_divergence():
    vae, x = tiny(), grey(IMAGES, N)
    losses = negative_elbo(vae, x, generator=source(5))
    with torch.no_grad():
        mean, log_var = vae.encode(x)
        q = torch.distributions.Normal(mean, (log_var / 2).exp())
        p = vae.decode(mean + q.stddev * torch.randn(IMAGES, K, generator=source(5), dtype=x.dtype))
    ideal = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(losses.divergence, ideal)
    torch.testing.assert_close(
        losses.cross_entropy, torch.nn.functional.binary_cross_entropy(p, x, reduction="none").sum(-1)
    )
    torch.testing.assert_close(losses.total, losses.cross_entropy + losses.divergence)
    assert not losses.total.requires_grad


def test_where_z_costs_too_much_the_best_decoder_draws_the_mean():
    """Its loss is then the entropy of pixels that are independent, each with its own mean."""
    images = (grey(200, N) < torch.linspace(0.1, 0.9, N)).double()
    vae, losses = fit_vae(
        tiny(), images, epochs=60, batch_size=40, lr=0.05, beta=1e3, schedule="cosine", generator=source()
    )
    mean = images.mean(0)
    entropy = -(mean * mean.log() + (1 - mean) * (1 - mean).log()).sum()
    assert float(losses.cross_entropy[-1]) == pytest.approx(float(entropy), abs=0.01)
    assert float(losses.divergence[-1]) < 1e-3
    torch.testing.assert_close(vae(torch.zeros(K).double()), mean, rtol=0, atol=0.03)


def test_pixels_that_the_last_sigmoid_rounds_away_have_a_finite_loss():
    """In float32 a sigmoid is 1 from 17 on; the cross entropy of a black pixel is what it was fed."""
    vae = tiny(torch.float32)
    with torch.no_grad():
        vae.decoder[-2].weight.zero_()
        vae.decoder[-2].bias.fill_(300.0)
    losses = negative_elbo(vae, torch.zeros(2, N), generator=source())
    assert losses.cross_entropy.tolist() == [300.0 * N] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_killed_run_goes_on_and_ends_in_the_same_bits(tmp_path, schedule, dtype):
    options = {"schedule": schedule, "dtype": dtype}
    straight = fit(**options)
    for epoch in (1, 2):
        path = tmp_path / f"{epoch}.checkpoint"
        with pytest.raises(Killed):
            fit(path, callback=killed_after(epoch), **options)
        seen = []
        assert same(straight, fit(path, callback=lambda done, *_: seen.append(done), **options))  # noqa: B023
        assert seen == [*range(epoch + 1, 5)]


@settings(max_examples=5)
@given(st.lists(st.integers(1, 4), max_size=3), st.integers(1, 30))
def test_however_often_it_is_killed(tmp_path_factory, kills, size):
    path = tmp_path_factory.mktemp("run") / "vae.checkpoint"
    for epoch in sorted(set(kills)):
        with pytest.raises(Killed):
            fit(path, batch_size=size, callback=killed_after(epoch))
    assert same(fit(path, batch_size=size), fit(batch_size=size))


def test_a_finished_run_is_read_and_not_repeated(tmp_path):
    path = tmp_path / "vae.checkpoint"
    straight = fit(path)
    assert same(straight, fit(path, callback=killed_after(4)))
    assert [one.name for one in tmp_path.iterdir()] == ["vae.checkpoint"]


def test_killed_while_it_writes_a_run_has_the_checkpoint_of_before(tmp_path, monkeypatch):
    path, saved = tmp_path / "vae.checkpoint", torch.save

    def torn(state, file):
        saved(state, file)
        if state["state"]["done"] == 3:
            file.truncate(100)
            raise Killed

    monkeypatch.setattr(checkpoints.torch, "save", torn)
    with pytest.raises(Killed):
        fit(path)
    monkeypatch.undo()
    seen = []
    assert same(fit(), fit(path, callback=lambda done, *_: seen.append(done)))
    assert seen == [3, 4]


def test_a_checkpoint_is_replaced_and_never_written_over(tmp_path):
    path = tmp_path / "vae.checkpoint"
    with pytest.raises(Killed):
        fit(path, callback=killed_after(1))
    before = path.read_bytes()
    with path.open("rb") as file:
        fit(path)
        assert file.read() == before != path.read_bytes()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 5}, "epochs"),
        ({"batch_size": 4}, "batch_size"),
        ({"lr": 0.02}, "lr"),
        ({"beta": 0.5}, "beta"),
        ({"schedule": "cosine"}, "schedule"),
        ({"seed": 8}, "generator"),
        ({"images": grey(IMAGES, N, seed=4)}, "images"),
        ({"vae": VAE(N, K, hidden=(5,), generator=source(2))}, "weights"),
        ({"dtype": torch.float32}, "images, weights"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_kept(tmp_path, change, named):
    path = tmp_path / "vae.checkpoint"
    fit(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"is of a run with other {named}. It is left as it is"):
        fit(path, **change)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "tear", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"weights", lambda b: b[:-1]]
)
def test_a_torn_checkpoint_is_refused_and_kept(tmp_path, tear):
    path = tmp_path / "vae.checkpoint"
    fit(path)
    path.write_bytes(tear(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match=r"vae\.checkpoint is torn or is not a checkpoint. It is left as it is"
    ):
        fit(path)
    assert path.read_bytes() == before


def test_a_file_of_torch_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(tiny().state_dict(), path)
    with pytest.raises(ValueError, match="torn or is not a checkpoint"):
        fit(path)


def test_a_lost_loss_ends_the_run_before_it_is_written(tmp_path):
    def lose(done, vae, losses):
        if done == 2:
            next(vae.decoder.parameters()).data.fill_(torch.nan)

    path = tmp_path / "vae.checkpoint"
    with pytest.raises(FloatingPointError, match=r"finite in epoch 3; lr is 0\.01, and it must be smaller"):
        fit(path, callback=lose)
    assert same(fit(), fit(path))


def test_the_callback_sees_each_epoch_with_the_losses_so_far():
    seen = []
    fit(callback=lambda done, vae, losses: seen.append((done, type(vae), len(losses.total))))
    assert seen == [(1, VAE, 1), (2, VAE, 2), (3, VAE, 3), (4, VAE, 4)]


def test_what_is_given_stays_as_it_is_and_the_global_source_is_left_alone():
    vae, images, state = tiny().requires_grad_(False), grey(IMAGES, N), torch.get_rng_state()
    before = [weight.clone() for weight in [*vae.state_dict().values(), images]]
    with torch.no_grad():
        trained, _ = fit_vae(vae, images, epochs=1, generator=source())
    assert same(before, [*vae.state_dict().values(), images])
    assert torch.equal(torch.get_rng_state(), state)
    assert not same(vae.state_dict().values(), trained.state_dict().values())
    assert all(weight.requires_grad for weight in trained.parameters())


def test_a_bar_counts_the_steps_from_where_the_run_goes_on(tmp_path, capsys):
    path = tmp_path / "vae.checkpoint"
    with pytest.raises(Killed):
        fit(path, callback=killed_after(2))
    fit(path, progress=True)
    shown = capsys.readouterr().err
    assert "10/20" in shown
    assert "20/20" in shown
    assert "loss=" in shown


def test_a_bar_without_tqdm_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="progress=True needs the package tqdm"):
        fit(progress=True)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"vae": torch.exp}, TypeError, "vae is a builtin_function_or_method; it must be a VAE"),
        ({"images": grey(N)}, ValueError, r"images has shape \(6,\); it must be \(N, 6\)"),
        ({"images": grey(9, 5)}, ValueError, r"images has shape \(9, 5\); it must be \(N, 6\)"),
        ({"images": grey(9, N).float()}, TypeError, "the VAE's weights has torch.float64"),
        ({"images": grey(9, N) - 1}, ValueError, "images has entries from -.* to -.*; all must be in"),
        (
            {"images": grey(9, N) * 255},
            ValueError,
            r"images has entries from .* to 2.*; all must be in \[0, 1\]",
        ),
        ({"images": grey(9, N) / 0}, ValueError, "images holds NaN or infinite entries"),
        ({"epochs": 0}, ValueError, "epochs is 0; it must be at least 1"),
        ({"epochs": 2.0}, TypeError, "epochs is 2.0; it must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size is 0; it must be at least 1"),
        ({"lr": 0.0}, ValueError, "lr is 0; it must be above 0"),
        ({"beta": -0.1}, ValueError, "beta is -0.1; it must be at least 0"),
        ({"schedule": "linear"}, ValueError, "schedule is 'linear'; it must be one of 'constant', 'cosine'"),
        ({"generator": 1}, TypeError, "generator is a int"),
        ({"progress": 1}, TypeError, "progress is 1; it must be True or False"),
        ({"callback": 1}, TypeError, "callback is 1; it must be callable or None"),
        ({"checkpoint": 1}, TypeError, "checkpoint is a int; it must be a path or None"),
        (
            {"checkpoint": "nowhere/vae.checkpoint"},
            ValueError,
            "checkpoint is nowhere.*, whose folder is not there",
        ),
        ({"checkpoint": "x", "generator": None}, ValueError, "generator is None; where checkpoint is given"),
    ],
)
def test_training_names_bad_input(change, error, message):
    arguments = {"vae": tiny(), "images": grey(9, N), "epochs": 1, "generator": source()} | change
    with pytest.raises(error, match=message):
        fit_vae(arguments.pop("vae"), arguments.pop("images"), **arguments)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"vae": torch.exp}, TypeError, "it must be a VAE"),
        ({"images": grey(9, 5)}, ValueError, r"it must be \(N, 6\)"),
        ({"images": 2 * grey(9, N)}, ValueError, r"all must be in \[0, 1\]"),
        ({"generator": 1}, TypeError, "generator is a int"),
    ],
)
def test_the_bound_names_bad_input(change, error, message):
    arguments = {"vae": tiny(), "images": grey(9, N), "generator": source()} | change
    with pytest.raises(error, match=message):
        negative_elbo(arguments.pop("vae"), arguments.pop("images"), **arguments)
