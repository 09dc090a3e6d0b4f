"""The shipped weights, the files of weights, and the way from a recipe to a file and its card."""

import hashlib
import json
import struct
import sys
from pathlib import Path

import pytest
import torch

from gsl_utils import datasets
from gsl_utils.generators import VAE
from gsl_utils.generators.training import vae as training_of_vaes
from gsl_utils.generators.training.vae import VAELosses, negative_elbo
from gsl_utils.weights import load_weights, names, recipes, representation_error, shipped, trained, training
from gsl_utils.weights.card import Measured, card
from gsl_utils.weights.files import read_weights, write_weights
from gsl_utils.weights.recipes import RECIPES, Recipe
from gsl_utils.weights.train import main
from gsl_utils.weights.training import train

FOLDER = Path(shipped.__file__).parent
MADE = {"hidden": [5], "activation": "tanh", "seed": 3}


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(dtype=torch.float32):
    return VAE(6, 2, hidden=(5,), activation="tanh", generator=source(1), dtype=dtype)


def written(tmp_path, vae=None):
    path = tmp_path / "vae.safetensors"
    return path, write_weights(tiny() if vae is None else vae, path, MADE)


def cards_digest(path):
    (line,) = [line for line in path.read_text().splitlines() if line.startswith("| SHA-256")]
    return line.split("`")[1]


# Files


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_are_read_as_they_were_written_but_for_their_rounding(tmp_path, dtype):
    path, digest = written(tmp_path)
    vae = read_weights(path, digest=digest, made=MADE, dtype=dtype)
    assert isinstance(vae, VAE)
    assert not vae.training
    assert (vae.n, vae.latent_dim) == (6, 2)
    for name, weight in tiny().state_dict().items():
        read = vae.state_dict()[name]
        assert torch.equal(read, weight.half().to(dtype))
        assert read.dtype == dtype
    assert not any(weight.requires_grad for weight in vae.parameters())
    x = torch.rand(4, 6, generator=source(), dtype=dtype)
    for ours, plain in zip(vae.encode(x), tiny().encode(x.float()), strict=True):
        torch.testing.assert_close(ours.float(), plain.detach(), rtol=0, atol=5e-3)
    z = torch.randn(4, 2, generator=source(), dtype=dtype)
    torch.testing.assert_close(vae(z).float(), tiny()(z.float()).detach(), rtol=0, atol=5e-3)


def test_the_same_weights_are_the_same_bytes(tmp_path):
    path, digest = written(tmp_path)
    first = path.read_bytes()
    assert digest == hashlib.sha256(first).hexdigest()
    assert written(tmp_path)[1] == digest
    assert path.read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["vae.safetensors"]


def test_the_file_is_what_the_format_says():
    """Eight bytes of length, a header in JSON, and the numbers: read here without the library."""
    raw = (FOLDER / "vae-mnist.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    facts = json.loads(header.pop("__metadata__")["vae"])
    assert facts["latent_dim"] == 20
    assert facts["hidden"] == [500, 500]
    vae = load_weights("mnist")
    assert set(header) == set(vae.state_dict())
    for name, entry in header.items():
        assert entry["dtype"] == "F16"
        begin, end = entry["data_offsets"]
        numbers = torch.frombuffer(bytearray(raw[8 + length + begin : 8 + length + end]), dtype=torch.float16)
        assert torch.equal(vae.state_dict()[name], numbers.double().reshape(entry["shape"]))


def test_what_half_precision_cannot_hold_is_refused(tmp_path):
    vae = tiny()
    with torch.no_grad():
        vae.decoder[0].bias[2] = 70000.0
    with pytest.raises(ValueError, match=r"vae has entries in decoder\.0\.bias .* at most 65504"):
        written(tmp_path, vae)
    assert list(tmp_path.iterdir()) == []


def test_another_file_than_the_published_one_is_refused(tmp_path):
    path, digest = written(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(
        ValueError, match=r"has another SHA-256 sum than the published weights, .* installed again"
    ):
        read_weights(path, digest=digest)


@pytest.mark.parametrize("tear", [lambda b: b[:-9], lambda b: b"", lambda b: b"weights", lambda b: b[:20]])
def test_a_torn_file_is_refused(tmp_path, tear):
    path, _ = written(tmp_path)
    path.write_bytes(tear(path.read_bytes()))
    with pytest.raises(ValueError, match=r"vae\.safetensors is torn or holds no weights of a VAE"):
        read_weights(path)


def test_a_strangers_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "stranger.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="holds no weights of a VAE"):
        read_weights(path)
    save_file({"weight": torch.zeros(3)}, path, {"vae": json.dumps({**MADE, "n": 6, "latent_dim": 2})})
    with pytest.raises(ValueError, match="holds no weights of a VAE"):
        read_weights(path)


def test_a_file_that_was_made_otherwise_is_refused(tmp_path):
    path, _ = written(tmp_path)
    with pytest.raises(ValueError, match="was made with other seed, lr; it must be removed"):
        read_weights(path, made={**MADE, "seed": 4, "lr": 1.0})


def test_without_safetensors_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(
        ImportError, match=r"safetensors, which is not installed: pip install 'gsl_utils\[book\]'"
    ):
        load_weights("mnist")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"name": "letters"},
            ValueError,
            f"name is 'letters'; it must be one of {', '.join(map(repr, names()))}",
        ),
        (
            {"dtype": torch.float16},
            TypeError,
            "dtype is torch.float16; it must be torch.float32 or torch.float64",
        ),
        ({"device": "moon"}, ValueError, "device is 'moon'; it must be a device of this machine"),
    ],
)
def test_loading_names_bad_input(change, error, message):
    arguments = {"name": "mnist"} | change
    with pytest.raises(error, match=message):
        load_weights(arguments.pop("name"), **arguments)


# What ships


@pytest.mark.parametrize("name", names())
def test_what_ships_is_what_its_card_and_its_recipe_say(name):
    recipe, path = RECIPES[name], FOLDER / f"vae-{name}.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == shipped._SHA256[name] == cards_digest(path.with_suffix(".md"))
    vae = load_weights(name, dtype=torch.float32)
    assert (vae.n, vae.latent_dim) == (784, recipe.latent_dim)
    assert [w.shape[0] for w in vae.decoder.parameters() if w.ndim == 2] == [*reversed(recipe.hidden), 784]
    read_weights(path, made={"seed": 0, "epochs": recipe.epochs, "lr": recipe.lr, "beta": recipe.beta})


@pytest.mark.parametrize("name", names())
def test_but_for_what_was_measured_a_card_is_what_the_script_writes(name):
    nothing = torch.zeros(500)
    measured = Measured(VAELosses(nothing, nothing, nothing), nothing, None)
    today = card(name, 0, RECIPES[name], measured, shipped._SHA256[name])
    shown = (FOLDER / f"vae-{name}.md").read_text()
    own = ("| training", "| negative ELBO", "| representation error")
    one, other = ([line for line in text.splitlines() if not line.startswith(own)] for text in (today, shown))
    assert one == other


def test_all_of_it_ships_in_twelve_megabytes():
    files = {path.name for path in FOLDER.iterdir() if path.suffix not in (".py", "")}
    assert files == {f"vae-{name}.{end}" for name in names() for end in ("safetensors", "md")}
    assert sum((FOLDER / file).stat().st_size for file in files) < 12e6
    assert set(names()) == set(RECIPES)


@pytest.mark.parametrize("name", names())
def test_a_decoder_draws_different_images(name):
    vae = load_weights(name, dtype=torch.float32)
    x = vae(torch.randn(64, vae.latent_dim, generator=source()))
    assert x.min() >= 0
    assert x.max() <= 1
    assert float(x.var(0).mean()) > 0.02


@pytest.mark.mnist
@pytest.mark.parametrize("name", names())
def test_images_that_no_weight_has_seen_cost_what_the_card_says(name):
    images, _ = datasets.load(RECIPES[name].data, dtype=torch.float32)
    losses = negative_elbo(load_weights(name, dtype=torch.float32), images[-5000:], generator=source())
    told = (FOLDER / f"vae-{name}.md").read_text()
    (line,) = [line for line in told.splitlines() if line.startswith("| negative ELBO")]
    said = float(line.split("|")[2].split("±")[0])
    assert float(losses.total.mean()) == pytest.approx(said, abs=0.1)


@pytest.mark.mnist
@pytest.mark.parametrize("name", names())
def test_the_nearest_image_in_the_range_is_as_near_as_the_card_says(name):
    images, _ = datasets.load(RECIPES[name].data, dtype=torch.float32)
    errors = representation_error(
        load_weights(name), images[-5000:][:40], restarts=1, steps=20, generator=source()
    )
    told = (FOLDER / f"vae-{name}.md").read_text()
    (line,) = [line for line in told.splitlines() if line.startswith("| representation error")]
    said = float(line.split("|")[2].split("±")[0])
    assert float(errors.mean()) == pytest.approx(said, rel=0.4)


# The nearest image in the range


def test_the_representation_error_is_that_of_a_fine_grid():
    vae = VAE(6, 1, hidden=(4,), generator=source(1))
    images = torch.rand(5, 6, generator=source(2), dtype=torch.float64)
    drawn = vae(torch.linspace(-40, 40, 40001, dtype=torch.float64).unsqueeze(-1)).detach()
    grid = (images.unsqueeze(1) - drawn).square().mean(-1).amin(-1)
    errors = representation_error(vae, images, restarts=8, steps=60, generator=source())
    torch.testing.assert_close(errors, grid, rtol=1e-4, atol=1e-6)


def test_the_first_start_is_the_encoders_mean_and_the_vae_stays_as_it_is():
    vae = tiny()
    images = torch.rand(3, 6, generator=source(2))
    with torch.no_grad():
        there = (images - vae(vae.encode(images)[0])).square().mean(-1)
    errors = representation_error(vae, images, restarts=1, steps=1, generator=source())
    assert errors.dtype == torch.float64
    assert bool((errors <= there.double() + 1e-7).all())
    assert {weight.dtype for weight in vae.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in vae.parameters())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"vae": torch.exp}, TypeError, "vae is a builtin_function_or_method; it must be a VAE"),
        ({"images": torch.zeros(6)}, ValueError, r"images has shape \(6,\); it must be \(N, 6\)"),
        ({"images": torch.zeros(2, 5)}, ValueError, r"images has shape \(2, 5\); it must be \(N, 6\)"),
        ({"restarts": 0}, ValueError, "restarts is 0; it must be at least 1"),
        ({"steps": 0}, ValueError, "steps is 0; it must be at least 1"),
        ({"generator": 1}, TypeError, "generator is a int"),
    ],
)
def test_the_representation_error_names_bad_input(change, error, message):
    arguments = {"vae": tiny(), "images": torch.zeros(2, 6)} | change
    with pytest.raises(error, match=message):
        representation_error(arguments.pop("vae"), arguments.pop("images"), **arguments)


# From a recipe to a file


class Killed(BaseException):
    """What no handler of errors may catch."""


@pytest.fixture
def small(monkeypatch):
    """MNIST as 60 images of 9 pixels, the last 20 held out, and a recipe that takes no time."""
    images = torch.rand(60, 9, generator=source(4))
    monkeypatch.setattr(datasets, "load", lambda name, dtype: (images.to(dtype), torch.zeros(60)))
    monkeypatch.setattr(training, "HELD_OUT", 20)
    monkeypatch.setattr(training, "_SEARCHED", 3)
    recipe = Recipe("mnist", latent_dim=2, hidden=(4,), epochs=3, batch_size=16)
    monkeypatch.setitem(recipes.RECIPES, "mnist", recipe)
    return recipe


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_recipe_and_a_seed_give_a_file_and_its_card(small, tmp_path):
    path = train("mnist", 3, tmp_path / "one")
    assert set(contents(path.parent)) == {"vae-mnist-seed3.safetensors", "vae-mnist-seed3.md"}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert cards_digest(path.with_suffix(".md")) == digest
    again, other = train("mnist", 3, tmp_path / "two"), train("mnist", 4, tmp_path / "two")
    assert again.read_bytes() == path.read_bytes() != other.read_bytes()
    told = path.with_suffix(".md").read_text()
    for fact in ("seed 3", "MNIST", "CC BY-SA 3.0", "3 epochs", "784-4", "Not for", "train mnist --seed 3"):
        assert fact in told


def test_the_weights_are_those_of_the_seed_and_of_images_that_are_not_held_out(small, tmp_path):
    vae = read_weights(train("mnist", 3, tmp_path), dtype=torch.float32)
    random = source(3)
    start = VAE(9, 2, hidden=(4,), generator=random, dtype=torch.float32)
    images = datasets.load("mnist", dtype=torch.float32)[0][:40]
    whole, _ = training_of_vaes.fit_vae(
        start, images, epochs=3, batch_size=16, lr=small.lr, schedule=small.schedule, generator=random
    )
    for name, weight in whole.state_dict().items():
        assert torch.equal(vae.state_dict()[name], weight.half().float())


@pytest.mark.parametrize("where", ["_measure", "write_weights", "card"])
def test_a_killed_training_goes_on_and_gives_the_same_file(small, tmp_path, monkeypatch, where):
    straight = train("mnist", 0, tmp_path / "one")

    def killed(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training, where, killed)
        with pytest.raises(Killed):
            train("mnist", 0, tmp_path / "two")
    assert "vae-mnist-seed0.checkpoint" in contents(tmp_path / "two")
    assert "vae-mnist-seed0.safetensors" not in contents(tmp_path / "two")
    epochs = []
    fit = training.fit_vae
    monkeypatch.setattr(
        training, "fit_vae", lambda *a, **b: fit(*a, **b, callback=lambda epoch, *_: epochs.append(epoch))
    )
    assert train("mnist", 0, tmp_path / "two").read_bytes() == straight.read_bytes()
    assert epochs == []
    assert set(contents(tmp_path / "two")) == set(contents(tmp_path / "one"))


def test_what_is_there_is_not_trained_again(small, tmp_path, monkeypatch):
    path = train("mnist", 0, tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr(training, "fit_vae", None)
    assert train("mnist", 0, tmp_path) == path
    assert contents(tmp_path) == before


def test_what_is_there_by_another_recipe_is_refused(small, tmp_path, monkeypatch):
    train("mnist", 0, tmp_path)
    monkeypatch.setitem(recipes.RECIPES, "mnist", Recipe("mnist", latent_dim=3, hidden=(4,), epochs=3))
    with pytest.raises(ValueError, match="was made with other latent_dim, batch_size; it must be removed"):
        trained("mnist", 0, tmp_path)


def test_a_further_decoder_comes_from_the_users_cache(small, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_cache", lambda: tmp_path)
    first = trained("mnist", 5)
    assert (tmp_path / "decoders" / "vae-mnist-seed5.safetensors").is_file()
    monkeypatch.setattr(training, "fit_vae", None)
    again = trained("mnist", 5, dtype=torch.float32)
    for name, weight in first.state_dict().items():
        assert weight.dtype == torch.float64
        assert again.state_dict()[name].dtype == torch.float32
        assert torch.equal(again.state_dict()[name], weight.float())
    assert not first.training
    assert not any(weight.requires_grad for weight in first.parameters())


def test_a_further_decoder_comes_from_a_folder_that_is_named(small, tmp_path):
    trained("mnist", 5, str(tmp_path / "here"))
    assert (tmp_path / "here" / "vae-mnist-seed5.safetensors").is_file()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"name": "letters"},
            ValueError,
            "name is 'letters'; it must be one of 'mnist', 'mnist-wide', 'fashion'",
        ),
        ({"seed": -1}, ValueError, "seed is -1; it must be between 0 and"),
        ({"seed": 1.0}, TypeError, r"seed is 1\.0; it must be an integer"),
        ({"progress": 1}, TypeError, "progress is 1; it must be True or False"),
        ({"dtype": torch.int8}, TypeError, "dtype is torch.int8"),
        ({"device": "moon"}, ValueError, "device is 'moon'"),
        ({"cache": 1}, TypeError, "cache is a int; it must be a path or None"),
    ],
)
def test_a_further_decoder_names_bad_input(small, tmp_path, change, error, message):
    arguments = {"name": "mnist", "seed": 0, "cache": tmp_path} | change
    with pytest.raises(error, match=message):
        trained(arguments.pop("name"), arguments.pop("seed"), **arguments)


def test_the_command_trains_one_seed_after_the_other(small, tmp_path, capsys):
    assert main(["mnist", "--seed", "0", "1", "--out", str(tmp_path), "--quiet"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.splitlines() == [
        f"{tmp_path / f'vae-mnist-seed{seed}.safetensors'} and its card" for seed in (0, 1)
    ]
    assert main(["mnist", "--seed", "2", "--out", str(tmp_path)]) == 0
    assert "9/9" in capsys.readouterr().err


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("GSL_DATA_DIR", raising=False)
    monkeypatch.setattr(datasets, "_cache", lambda: tmp_path / "cache")
    assert main(["mnist", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("train-images-idx3-ubyte.gz of mnist is not in")
    assert told.err.count("\n") == 1
