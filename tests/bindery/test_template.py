"""The chapter of one claim, one figure and one sweep that CONTRIBUTING.md shows: executed in a toy book."""

import json
import re

import nbformat
import pytest
import yaml

from bindery.claims.ledger import collect, problems
from bindery.emit import values_of
from bindery.figures import bundle

RECORD = {
    "id": "toy-noise",
    "locus": "Theorem 1",
    "standing": "ours",
    "claim": "The error is proportional to the noise.",
    "proposition": "The error grows as the noise, within a fifth in the exponent.",
    "kind": "trend",
    "chapter": "01_topic",
    "quantity": {"slope": "log-log slope of the error against the noise, one per seed"},
    "criterion": "slope = 1 +- 0.2~",
    "tolerance": "a fifth, set before the run",
    "control": {"variant": "too few rows", "expect": "an error that does not depend on the noise"},
    "unpublished": None,
    "accepted": {"verdict": "reproduced", "reason": "seen"},
}


def cells(text):
    """Return the cells of a script in the percent format, which jupytext reads and writes."""
    made = []
    for number, part in enumerate(re.split(r"^# %%", text, flags=re.MULTILINE)[1:]):
        head, _, body = part.partition("\n")
        given = dict(re.findall(r"(\w+)=([\[{].*?[\]}](?= \w+=|$))", head))
        metadata = {name: json.loads(value) for name, value in given.items()}
        if "[markdown]" in head:
            body = re.sub(r"^# ?", "", body, flags=re.MULTILINE)
            made.append(nbformat.v4.new_markdown_cell(body.strip(), metadata=metadata))
        else:
            made.append(nbformat.v4.new_code_cell(body.strip(), metadata=metadata))
        made[-1]["id"] = f"cell-{number}"
    return made


@pytest.fixture(scope="module")
def template(root):
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(# %%.*?)```", text, flags=re.DOTALL)
    return script


def test_a_chapter_takes_under_sixty_lines_of_code(template):
    code = [cell.source for cell in cells(template) if cell.cell_type == "code"]
    assert 0 < sum(len([line for line in one.splitlines() if line.strip()]) for one in code) < 60


def test_the_template_is_a_chapter(toy, template, root):
    """Two notebooks, a record and a list make one: nothing of the machinery is touched."""
    toy.machinery()
    (toy.root / "gsl_utils/__init__.py").unlink()
    (toy.root / "gsl_utils").rmdir()
    (toy.root / "gsl_utils").symlink_to(root / "gsl_utils")
    document = {"paper": "A paper", "key": "toy2020", "claims": [RECORD]}
    (toy.root / "claims/toy.yml").write_text(yaml.safe_dump(document, sort_keys=False))
    (toy.root / "claims/index.yml").write_text("01_topic: [toy-noise]\n")
    notebook = nbformat.v4.new_notebook(cells=cells(template))
    (toy.root / "notebooks/01_topic_evidence.ipynb").write_text(nbformat.writes(notebook))
    toy.notebook("01_topic", "1 + 1")
    done = toy.command("execute")
    assert done.returncode == 0, done.stderr
    assert problems(toy.root) == []
    (entry,) = collect(toy.root).chapter("01_topic")
    assert (entry.deciding.word, entry.deciding.measurement.n) == ("reproduced", 5)
    page = nbformat.read(toy.page("01_topic_evidence"), 4)
    assert [figure.bundle.name for figure in bundle.read(page)] == ["toy-noise"]
    assert [key for key in values_of(page) if not key.startswith("toy-noise")] == ["toy-error"]
