"""The author's object: what is emitted and what is refused, in a script, in a kernel, in the site."""

import json
import subprocess
import sys
import zlib

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
import torch
import yaml
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from bindery import Page, author, emit
from bindery.claims.intervals import by_seed, counts, exact, interval, slope
from bindery.emit import CLAIM_MIME
from bindery.figures.encoding import BUNDLE_MIME
from toys import CLAIM

PAIR = CLAIM | {
    "id": "toy-pair",
    "quantity": {"n": "exponent", "k": "exponent"},
    "criterion": "n < 0.3 and k = 1 +- 0.2~",
    "control": CLAIM["control"] | {"spared": {"k": "the broken variant changes no k"}},
}
COUNT = CLAIM | {"id": "toy-count", "control": {"none": "a count"}}


SLOPE = interval(1.0, 0.9, 1.1, n=10)
BROKEN = interval(0.1, 0.0, 0.2, n=10)


@pytest.fixture
def page():
    """A page of its own for every test."""
    return Page("quick", seed=0)


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book with three claims, and the working directory of its pages."""
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "book").mkdir()
    (tmp_path / "claims").mkdir()
    document = {"paper": "A paper", "key": "toy2020", "claims": [CLAIM, PAIR, COUNT]}
    (tmp_path / "claims/toy.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    monkeypatch.chdir(tmp_path / "book")
    return tmp_path


@pytest.fixture
def outputs(monkeypatch):
    """The outputs that a notebook would hold, as (data, metadata)."""
    emitted = []
    monkeypatch.setattr(emit, "display", lambda data, metadata=None: not emitted.append((data, metadata)))
    monkeypatch.setattr(author, "display", emit.display)
    monkeypatch.setattr("bindery.figures.plotting.display", emit.display)
    return emitted


def glued(outputs):
    return {
        metadata["scrapbook"]["name"]: data["application/papermill.record/text/plain"]
        for data, metadata in outputs
        if metadata
    }


def claims(outputs):
    return [json.loads(data[CLAIM_MIME]) for data, _ in outputs if CLAIM_MIME in data]


def test_a_claim_travels_with_its_interval_control_and_verdict(book, outputs):
    Page("quick", seed=3).claim("toy-slope", interval(1.00000049, 0.95, 1.05, n=10), BROKEN, note="a remark")
    assert claims(outputs) == [
        {
            "id": "toy-slope",
            "value": 1.0,
            "low": 0.95,
            "high": 1.05,
            "control_value": 0.1,
            "control_low": 0.0,
            "control_high": 0.2,
            "n": 10,
            "unit": "seed",
            "profile": "quick",
            "seed": 3,
            "note": "a remark",
        }
    ]
    assert glued(outputs) == {
        "toy-slope": "1.0",
        "toy-slope.low": "0.95",
        "toy-slope.high": "1.05",
        "toy-slope.control": "0.1",
        "toy-slope.control-low": "0.0",
        "toy-slope.control-high": "0.2",
        "toy-slope.verdict": "'reproduced'",
    }
    line = "toy-slope: 1 [0.95, 1.05]; control 0.1 [0, 0.2]; 10 seeds, quick profile: reproduced"
    assert outputs[0][0]["text/plain"] == line


def test_arrays_by_seed_and_counts_get_the_interval_that_is_theirs(book, outputs, page):
    values = np.array([0.98, 1.0, 1.01, 1.02])
    page.claim("toy-slope", values, control=[0.1, 0.2, 0.3])
    fields = claims(outputs)[0]
    _, low, high = by_seed(values)
    assert (fields["low"], fields["high"]) == (float(f"{low:.6g}"), float(f"{high:.6g}"))
    assert fields["n"] == 4
    page.claim("toy-count", {"slope": counts(48, 50)}, unit="trial")
    share = claims(outputs)[1]
    assert share["value"] == {"slope": 0.96}
    assert share["low"]["slope"] < 0.85
    assert share["n"] == 50


def test_several_quantities_and_the_fewest_units(book, outputs):
    growth = slope([0.0, 1.0], [[0.0, 0.1], [0.0, 0.1], [0.0, 0.1]])
    broken = interval(0.9, 0.8, 1.0)
    Page("paper", seed=0).claim(
        "toy-pair", {"n": growth, "k": interval(1.0, 0.7, 1.1, n=5)}, {"n": broken}, unit="trained model"
    )
    assert claims(outputs)[0]["value"] == {"n": 0.1, "k": 1.0}
    assert claims(outputs)[0]["control_low"] == {"n": 0.8}
    assert claims(outputs)[0]["n"] == 3
    keys = glued(outputs)
    assert keys["toy-pair.k"] == "1.0"
    assert keys["toy-pair.k.low"] == "0.7"
    assert keys["toy-pair.n.control-high"] == "1.0"
    assert keys["toy-pair.verdict"] == "'not settled'"
    assert "toy-pair" not in keys
    assert outputs[0][0]["text/plain"] == (
        "toy-pair: n = 0.1 [0.1, 0.1], k = 1 [0.7, 1.1]; control n = 0.9 [0.8, 1]; "
        "3 trained models, paper profile: not settled"
    )


def test_the_same_call_emits_the_same_bytes(book, outputs):
    for _ in range(2):
        Page("quick", seed=0).claim("toy-slope", interval(1 / 3, 0.1 + 0.2, 0.4), BROKEN)
    assert outputs[: len(outputs) // 2] == outputs[len(outputs) // 2 :]
    text = outputs[0][0][CLAIM_MIME]
    assert text == json.dumps(json.loads(text), sort_keys=True)


def test_numbers_come_from_numpy_and_torch(book, outputs):
    page = Page("quick", seed=np.int64(0))
    page.claim("toy-count", interval(np.float32(1), torch.tensor(1), np.array(1.0), n=5))
    page.value("a-tensor", torch.tensor(2.0))
    page.value("a-count", 1234567)
    page.value("a-zero", -0.0)
    page.value("a-word", "it's")
    page.value("a-range", by_seed([1.0, 1.0]))
    fields = claims(outputs)[0]
    assert (fields["value"], fields["low"], fields["high"], fields["n"]) == (1.0, 1, 1.0, 5)
    keys = glued(outputs)
    assert (keys["a-tensor"], keys["a-count"], keys["a-zero"]) == ("2.0", "1234567", "0.0")
    assert keys["a-word"] == '"it\'s"'
    assert (keys["a-range"], keys["a-range-low"], keys["a-range-high"]) == ("1.0", "1.0", "1.0")


def test_exact_integers_and_numbers_of_mpmath_can_be_claimed(book, outputs, page):
    from mpmath import mpf

    page.claim("toy-count", exact(2**60))
    page.value("precise", mpf("1.5"))
    assert claims(outputs)[0]["value"] == 2**60
    assert glued(outputs)["precise"] == "1.5"


def test_away_from_the_book_there_is_no_verdict(tmp_path, monkeypatch, capsys, page):
    monkeypatch.chdir(tmp_path)
    page.claim("any-claim", interval(1.0, 0.5, 1.5), unit="trial")
    page.value("a-key", 1.23456789)
    assert capsys.readouterr().out == "any-claim: 1 [0.5, 1.5]; 1 trial, quick profile\na-key = 1.23457\n"
    assert page.stored("01_anything") is None


def good(**changes):
    call = {"claim_id": "toy-slope", "quantities": SLOPE, "control": BROKEN}
    return lambda page: page.claim(**(call | changes))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (good(quantities=[1.0, float("nan")]), ValueError, "quantities: values held NaN or an infinity"),
        (good(quantities=exact(float("inf"))), ValueError, "quantities was inf; it must be finite"),
        (good(quantities=exact("1")), TypeError, "quantities was '1'; it must be a number"),
        (good(quantities=exact(True)), TypeError, "quantities was True; it must be a number"),
        (good(quantities=1.0), TypeError, "was 1.0; it must be one value per seed, or made by counts"),
        (good(quantities=np.ones((2, 2))), TypeError, "it must be one value per seed"),
        (good(quantities=[1.0]), ValueError, r"quantities: values had shape \(1,\)"),
        (good(control=[0.3]), ValueError, "control: values had shape"),
        (good(control=None), ValueError, "control of toy-slope must be measured, by .*claims/toy.yml"),
        (good(claim_id="toy-count"), ValueError, r"control of toy-count must be None \(a count\)"),
        (good(quantities={"n": SLOPE}), ValueError, r"the criterion .* needs \['slope'\]"),
        (good(quantities={}), ValueError, "quantities was empty"),
        (good(control={"n": BROKEN}), ValueError, r"control had the quantities \['n'\]"),
        (good(claim_id="toy-pair"), ValueError, "one number was recorded"),
        (
            good(claim_id="toy-slop"),
            ValueError,
            "claim_id was 'toy-slop', but .* no claim 'toy-slop'; did you mean toy-slope of claims/toy",
        ),
        (good(claim_id=3), TypeError, "claim_id was 3; it must be text"),
        (good(unit=""), ValueError, "unit was ''; it must be one line, and not empty"),
        (good(note="two\nlines"), ValueError, "note was .*one line"),
        (lambda page: page.value("Key", 1), ValueError, "key was 'Key'; it must be lower-case"),
        (lambda page: page.value("key:f", 1), ValueError, "key was 'key:f'"),
        (lambda page: page.value("key", float("inf")), ValueError, "the value of key was inf"),
        (lambda page: page.value("key", None), TypeError, "the value of key was None; it must be a number"),
        (lambda page: page.value("key", "two\nlines"), ValueError, "the value of key was .*one line"),
        (lambda page: page.value("key", (1.0, 2.0)), ValueError, r"it must be \(value, low, high\)"),
        (lambda _: Page("fast", 0), ValueError, "profile was 'fast'; it must be 'quick' or 'paper'"),
        (lambda _: Page("quick", -1), ValueError, "seed was -1; it must be at least 0"),
        (lambda _: Page("quick", 0.5), TypeError, "seed was 0.5; it must be a whole number"),
    ],
)
def test_bad_input_is_refused_before_anything_is_emitted(book, outputs, page, call, error, message):
    with pytest.raises(error, match=message):
        call(page)
    assert outputs == []
    # What was refused is not taken: the same claim can be recorded after the mistake is mended.
    good()(page)


def test_an_unsound_record_is_named(book):
    text = (book / "claims/toy.yml").read_text(encoding="utf-8")
    (book / "claims/toy.yml").write_text(text.replace("slope = 1 +- 0.1~", "slope ~ 1", 1), encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"toy-slope.*not sound:\nclaims/toy.yml:\d+: toy-slope: criterion: "
    ):
        good()(Page("quick", seed=0))


def test_each_key_is_published_once(book, outputs, page):
    good()(page)
    emitted = len(outputs)
    with pytest.raises(ValueError, match="key was 'toy-slope', which this page has published already"):
        good()(page)
    with pytest.raises(ValueError, match=r"key was 'toy-slope.low', which this page has published already"):
        page.value("toy-slope.low", 1.0)
    assert len(outputs) == emitted
    # Running a page from its top starts it afresh.
    good()(Page("quick", seed=0))


def test_streams_are_apart_and_the_same_every_time(page):
    made = {
        (name, s, seed): torch.rand(4, generator=Page("quick", seed).stream(name, s)).tolist()
        for name in ("a", "b")
        for s in (0, 1)
        for seed in (0, 1)
    }
    assert len({tuple(numbers) for numbers in made.values()}) == 8
    assert torch.rand(4, generator=page.stream("a")).tolist() == made["a", 0, 0]
    # The checksum is the book's for good: stored runs and replays go by it.
    assert page.stream("a", 1).initial_seed() == zlib.crc32(b"0 a 1")


def test_a_page_draws_in_the_books_style_and_shows_what_it_drew(outputs, page):
    assert mpl.rcParams["figure.figsize"] == [6.0, 3.7]
    fig, ax = plt.subplots()
    ax.plot([1, 2])
    page.figure(fig, "a-line", {"x": [0, 1], "y": [1, 2]})
    ((data, _),) = outputs
    bundle = json.loads(data[BUNDLE_MIME])
    assert (bundle["name"], bundle["profile"], bundle["seeds"]) == ("a-line", "quick", [0])
    assert data["image/svg+xml"].startswith("<svg")
    assert not plt.fignum_exists(fig.number)


def test_a_sweep_has_a_row_for_each_point_and_seed(page):
    rows = page.sweep(lambda m, seed: {"error": seed / m}, {"m": [10, 20]}, [1, 2], name="errors")
    assert [tuple(row.values()) for row in rows] == [(10, 1, 0.1), (10, 2, 0.2), (20, 1, 0.05), (20, 2, 0.1)]
    # Away from a paper run nothing is kept.
    with pytest.raises(ValueError, match="name is 'no word'"):
        Page("paper", 0).sweep(lambda m, seed: {"error": 1}, {"m": [1]}, [1], name="no word")


def execute(folder, *sources):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


SETUP = (
    'from bindery import Page\nfrom bindery.claims.intervals import interval\npage = Page("quick", seed=0)'
)
RECORD = 'page.claim("toy-slope", interval(1.0, 0.95, 1.05, n=10), interval(0.1, 0.0, 0.2))'


def test_a_kernel_emits_what_myst_nb_reads(book):
    """The executed page, read by myst-nb's own reader and formatter; nothing of it is imported to emit."""
    from myst_nb.core.variables import format_plain_text
    from myst_nb.ext.glue import extract_glue_data_cell

    said = 'page.value("noise-slope", 1.23456789)\npage.value("best", "OMP")\npage.value("count", 12)'
    modules = (
        "import sys\nassert not any(name.split('.')[0] in ('myst_nb', 'sphinx') for name in sys.modules)"
    )
    notebook = execute(book / "book", SETUP, said, RECORD, modules)
    found = {}
    for cell in notebook.cells:
        found |= {key: output["data"]["text/plain"] for key, output in extract_glue_data_cell(cell)}
    shown = {
        ("noise-slope", ".2f"): "1.23",
        ("noise-slope", "s"): "1.23457",
        ("count", "d"): "12",
        ("best", "s"): "OMP",
        ("toy-slope.high", ".3f"): "1.050",
        ("toy-slope.control", ".1e"): "1.0e-01",
        ("toy-slope.verdict", "s"): "reproduced",
    }
    assert {place: format_plain_text(found[place[0]], place[1]) for place in shown} == shown
    # The reader takes the glue away and leaves one visible output: the claim's line.
    (output,) = notebook.cells[2].outputs
    assert output["data"]["text/plain"].endswith("10 seeds, quick profile: reproduced")
    assert json.loads(output["data"][CLAIM_MIME])["id"] == "toy-slope"
    assert notebook.cells[1].outputs == []


def test_a_kernel_runs_a_cell_again_but_records_no_claim_twice(book):
    assert execute(book / "book", SETUP, RECORD, RECORD).cells[2].outputs
    for second in (f"{RECORD}  # another cell", f"{RECORD}\n{RECORD}"):
        with pytest.raises(CellExecutionError, match="which this page has published already"):
            execute(book / "book", SETUP, RECORD, second)


def test_a_script_needs_no_ipython(book):
    """Outside of a notebook the calls print, and import nothing of Jupyter for it."""
    program = f"{SETUP}\n{RECORD}\npage.value('a-key', 2)\nimport sys\nprint('IPython' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", program], cwd=book / "book", capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert out == [
        "toy-slope: 1 [0.95, 1.05]; control 0.1 [0, 0.2]; 10 seeds, quick profile: reproduced",
        "a-key = 2",
        "False",
    ]
