"""Recording: what is emitted and what is refused, in a script, in a kernel, and for the rendered book."""

import json
import subprocess
import sys

import nbformat
import numpy as np
import pytest
import torch
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from bindery import emit
from bindery import record as module
from bindery.record import CLAIM_MIME, configure, publish, record
from toys import CLAIM

PAIR = CLAIM | {
    "id": "toy-pair",
    "quantity": {"n": "exponent", "k": "exponent"},
    "criterion": "n < 0.3 and k = 1 +- 0.2~",
}
COUNT = CLAIM | {"id": "toy-count", "control": {"none": "a count"}}


@pytest.fixture(autouse=True)
def page(monkeypatch):
    """A page of its own for every test."""
    monkeypatch.setattr(module, "_page", module._Page())


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
    monkeypatch.setattr(module, "display", emit.display)
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
    configure("quick", seed=3)
    record("toy-slope", 1.00000049, (0.95, 1.05), control=(0.1, 0.0, 0.2), n=10, note="a remark")
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


def test_several_quantities(book, outputs):
    configure("paper", seed=0)
    record(
        "toy-pair",
        {"n": 0.1, "k": 1.0},
        {"n": (0.0, 0.2), "k": (0.7, 1.1)},
        control={"n": (0.9, 0.8, 1.0)},
        n=1,
        unit="trained model",
    )
    assert claims(outputs)[0]["value"] == {"n": 0.1, "k": 1.0}
    assert claims(outputs)[0]["control_low"] == {"n": 0.8}
    keys = glued(outputs)
    assert keys["toy-pair.k"] == "1.0"
    assert keys["toy-pair.k.low"] == "0.7"
    assert keys["toy-pair.n.control-high"] == "1.0"
    assert keys["toy-pair.verdict"] == "'not settled'"
    assert "toy-pair" not in keys
    assert outputs[0][0]["text/plain"] == (
        "toy-pair: n = 0.1 [0, 0.2], k = 1 [0.7, 1.1]; control n = 0.9 [0.8, 1]; "
        "1 trained model, paper profile: not settled"
    )


def test_the_same_call_emits_the_same_bytes(book, outputs):
    for _ in range(2):
        configure("quick", seed=0)
        record("toy-slope", 1 / 3, (0.1 + 0.2, 0.4), control=(0.1, 0.0, 0.2), n=2)
    assert outputs[: len(outputs) // 2] == outputs[len(outputs) // 2 :]
    text = outputs[0][0][CLAIM_MIME]
    assert text == json.dumps(json.loads(text), sort_keys=True)


def test_numbers_come_from_numpy_and_torch(book, outputs):
    configure("quick", seed=np.int64(0))
    record("toy-count", np.float32(1), (torch.tensor(1), np.array(1.0)), n=np.int32(5))
    publish("a-tensor", torch.tensor(2.0))
    publish("a-count", 1234567)
    publish("a-zero", -0.0)
    publish("a-word", "it's")
    fields = claims(outputs)[0]
    assert (fields["value"], fields["low"], fields["high"], fields["n"]) == (1.0, 1, 1.0, 5)
    keys = glued(outputs)
    assert (keys["a-tensor"], keys["a-count"], keys["a-zero"]) == ("2.0", "1234567", "0.0")
    assert keys["a-word"] == '"it\'s"'


def test_away_from_the_book_there_is_no_verdict(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    configure("quick", seed=0)
    record("any-claim", 1.0, (0.5, 1.5), n=1, unit="trial")
    publish("a-key", 1.23456789)
    assert capsys.readouterr().out == "any-claim: 1 [0.5, 1.5]; 1 trial, quick profile\na-key = 1.23457\n"


def good(**changes):
    call = {
        "claim_id": "toy-slope",
        "value": 1.0,
        "interval": (0.9, 1.1),
        "control": (0.1, 0.0, 0.2),
        "n": 10,
    }
    return lambda: record(**(call | changes))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (good(value=float("nan")), ValueError, "value was nan; it must be finite"),
        (good(interval=(0.9, float("inf"))), ValueError, "value was inf; it must be finite"),
        (good(value="1"), TypeError, "value was '1'; it must be a number"),
        (good(value=True), TypeError, "value was True; it must be a number"),
        (good(value=np.ones(1)), TypeError, "it must be a number"),
        (good(value=2.0), ValueError, r"value was 2.0 with the interval \(0.9, 1.1\); it must lie inside"),
        (good(interval=(1.1, 0.9)), ValueError, "it must lie inside"),
        (good(interval=(0.9,)), ValueError, r"interval was \(0.9,\); it must be \(low, high\)"),
        (good(interval=0.9), ValueError, r"interval was 0.9; it must be \(low, high\)"),
        (good(control=(0.0, 0.2)), ValueError, r"control was .* it must be \(value, low, high\)"),
        (good(control=(0.3, 0.0, 0.2)), ValueError, "control was 0.3 with the interval"),
        (good(control=None), ValueError, "control of toy-slope must be measured, by .*claims/toy.yml"),
        (good(claim_id="toy-count"), ValueError, r"control of toy-count must be None \(a count\)"),
        (good(value={"n": 1.0}), ValueError, "interval was .*must have the same quantities as value"),
        (good(value={"n": 1.0}, interval={"n": (0, 2)}), ValueError, r"the criterion .* needs \['slope'\]"),
        (good(value={}, interval={}), ValueError, "value was empty"),
        (good(control={"n": (0.1, 0.0, 0.2)}), ValueError, r"control had the quantities \['n'\]"),
        (good(claim_id="toy-pair"), ValueError, "one number was recorded"),
        (
            good(claim_id="toy-slop"),
            ValueError,
            "claims has a sound record; did you mean 'toy-slope' of claims/toy",
        ),
        (good(claim_id=3), TypeError, "claim_id was 3; it must be text"),
        (good(n=0), ValueError, "n was 0; it must be at least 1"),
        (good(n=2.0), TypeError, "n was 2.0; it must be a whole number"),
        (good(unit=""), ValueError, "unit was ''; it must be one line, and not empty"),
        (good(note="two\nlines"), ValueError, "note was .*one line"),
        (lambda: publish("Key", 1), ValueError, "key was 'Key'; it must be lower-case"),
        (lambda: publish("key:f", 1), ValueError, "key was 'key:f'"),
        (lambda: publish("key", float("inf")), ValueError, "the value of key was inf; it must be finite"),
        (lambda: publish("key", None), TypeError, "the value of key was None; it must be a number"),
        (lambda: publish("key", "two\nlines"), ValueError, "the value of key was .*one line"),
        (lambda: configure("fast", 0), ValueError, "profile was 'fast'; it must be 'quick' or 'paper'"),
        (lambda: configure("quick", -1), ValueError, "seed was -1; it must be at least 0"),
        (lambda: configure("quick", 0.5), TypeError, "seed was 0.5; it must be a whole number"),
    ],
)
def test_bad_input_is_refused_before_anything_is_emitted(book, outputs, call, error, message):
    configure("quick", seed=0)
    with pytest.raises(error, match=message):
        call()
    assert outputs == []
    # What was refused is not taken: the same claim can be recorded after the mistake is mended.
    good()()


def test_a_claim_needs_a_profile(book):
    with pytest.raises(ValueError, match="profile was never set; call configure"):
        good()()


def test_an_unsound_record_is_named(book):
    text = (book / "claims/toy.yml").read_text(encoding="utf-8")
    (book / "claims/toy.yml").write_text(text.replace("slope = 1 +- 0.1~", "slope ~ 1", 1), encoding="utf-8")
    configure("quick", seed=0)
    with pytest.raises(ValueError, match=r"toy-slope.*not sound: claims/toy.yml:\d+: toy-slope: criterion: "):
        good()()


def test_each_key_is_published_once(book, outputs):
    configure("quick", seed=0)
    good()()
    emitted = len(outputs)
    with pytest.raises(ValueError, match="key was 'toy-slope', which this page has published already"):
        good()()
    with pytest.raises(ValueError, match=r"key was 'toy-slope.low', which this page has published already"):
        publish("toy-slope.low", 1.0)
    assert len(outputs) == emitted
    # Running a page from its top starts it afresh.
    configure("quick", seed=0)
    good()()


def execute(folder, *sources):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


SETUP = 'from bindery.record import configure, publish, record\nconfigure("quick", seed=0)'
RECORD = 'record("toy-slope", 1.0, (0.95, 1.05), control=(0.1, 0.0, 0.2), n=10)'


def test_a_kernel_emits_what_myst_nb_reads(book):
    """The executed page, read by myst-nb's own reader and formatter; nothing of it is imported to emit."""
    from myst_nb.core.variables import format_plain_text
    from myst_nb.ext.glue import extract_glue_data_cell

    said = 'publish("noise-slope", 1.23456789)\npublish("best", "OMP")\npublish("count", 12)'
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
    program = f"{SETUP}\n{RECORD}\npublish('a-key', 2)\nimport sys\nprint('IPython' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", program], cwd=book / "book", capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert out == [
        "toy-slope: 1 [0.95, 1.05]; control 0.1 [0, 0.2]; 10 seeds, quick profile: reproduced",
        "a-key = 2",
        "False",
    ]
