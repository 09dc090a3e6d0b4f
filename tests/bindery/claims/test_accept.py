"""Accepting a verdict: two words of the record and one line of the changelog, and nothing else."""

import json

import nbformat
import pytest
import yaml

from bindery.claims.accept import accept, edited_changelog, edited_record
from bindery.claims.ledger import problems
from bindery.emit import CLAIM_MIME
from bindery.root import BookError

CHAPTER = "01_classical_cs"
FLOW = 'accepted: {verdict: "not run", reason: "No chapter has run it yet."}  # kept'
RECORD = """\
# A comment that people wrote.
paper: "A paper — with a dash"
key: toy2020
claims:
  - id: toy-other
    accepted: {verdict: "not run", reason: "Not this one."}

  - id: toy-slope
    locus: "Theorem 1"   # two spaces before this
    standing: stated
    claim: >-
      The error grows in proportion
      to the noise.
    proposition: "The exponent is 1."
    kind: trend
    chapter: 01_classical_cs
    quantity: {slope: "log-log slope"}
    criterion: "slope = 1 +- 0.1~"
    tolerance: "the spread over seeds"
    control: {variant: "too few rows", expect: "below 0.5"}
    unpublished: null
    ACCEPTED
    history: []
"""
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [1.0.0]\n\n- Old.\n"


@pytest.fixture
def book(toy):
    """A toy book whose page reproduces a claim that is accepted as not run."""
    whole = RECORD.replace("ACCEPTED", FLOW)
    head, tail = whole.split("  - id: toy-other")[0], whole[whole.index("  - id: toy-slope") :]
    (toy.root / "claims/toy.yml").write_text(head + tail, encoding="utf-8")
    (toy.root / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")

    def write(low=0.95, high=1.05, control=0.2):
        data = {
            "id": "toy-slope",
            "value": low,
            "low": low,
            "high": high,
            "n": 10,
            "unit": "seed",
            "note": "",
        }
        data |= {"control_value": 0.1, "control_low": 0.1, "control_high": control}
        data |= {"profile": "quick", "seed": 0}
        output = nbformat.v4.new_output("display_data", {CLAIM_MIME: json.dumps(data)})
        cell = nbformat.v4.new_code_cell("...", outputs=[output], execution_count=1, id="cell")
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), toy.page(CHAPTER))
        return toy.root

    toy.write = write
    return toy


def test_accepting_settles_the_problem_and_leaves_the_rest_of_the_file(book):
    root = book.write()
    before = (root / "claims/toy.yml").read_text(encoding="utf-8")
    assert "is now 'reproduced'" in problems(root)[0]
    said = accept(root, "toy-slope", 'The first run; "quick" decides — é.')
    assert (
        said
        == "claims/toy.yml: toy-slope is accepted as 'reproduced' (it was 'not run'); CHANGELOG.md says so"
    )
    assert problems(root) == []
    new = 'accepted: {verdict: "reproduced", reason: "The first run; \\"quick\\" decides — é."}  # kept'
    assert (root / "claims/toy.yml").read_text(encoding="utf-8") == before.replace(FLOW, new)
    line = '- `toy-slope`: not run → reproduced (quick profile). The first run; "quick" decides — é.'
    added = f"- A thing.\n\n### Verdicts\n\n{line}\n\n## [1.0.0]"
    assert (root / "CHANGELOG.md").read_text(encoding="utf-8") == CHANGELOG.replace(
        "- A thing.\n\n## [1.0.0]", added
    )
    assert sorted(path.name for path in root.glob("claims/*")) == ["toy.yml"]


def test_the_command(book):
    book.write(low=2.0, high=3.0)
    done = book.command("accept", "toy-slope", "--reason", "the paper is wrong")
    assert (done.returncode, done.stderr) == (0, "")
    assert "accepted as 'contradicted'" in done.stdout
    for words in (["accept", "toy-slope"], ["accept", "toy-slope", "--reason", " "]):
        assert book.command(*words).returncode == 2


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines"])
def test_a_reason_is_demanded(book, reason):
    root = book.write()
    with pytest.raises(BookError, match=r"reason was .* say why the verdict of toy-slope is right"):
        accept(root, "toy-slope", reason)
    assert "not run" in (root / "claims/toy.yml").read_text()


def test_what_cannot_be_accepted_changes_nothing(book):
    root = book.write(control=1.0)
    with pytest.raises(
        BookError, match="toy-slope is void and cannot be accepted: the control's slope does not violate"
    ):
        accept(root, "toy-slope", "why not")
    with pytest.raises(BookError, match="there is no claim 'toy-slop'; did you mean toy-slope"):
        accept(root, "toy-slop", "why not")
    book.write()
    (root / "CHANGELOG.md").write_text("# Changelog\n")
    with pytest.raises(BookError, match=r"CHANGELOG\.md has no heading '## Unreleased'"):
        accept(root, "toy-slope", "why not")
    assert FLOW in (root / "claims/toy.yml").read_text()
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    accept(root, "toy-slope", "the first run")
    with pytest.raises(BookError, match="toy-slope is 'reproduced', as accepted already: the first run"):
        accept(root, "toy-slope", "again")


@pytest.mark.parametrize(
    "layout",
    [
        FLOW,
        "accepted: {reason: No chapter has run it, verdict: not run}",
        "accepted: {'verdict': 'not run', 'reason': 'It''s early.'}",
        "accepted:\n      verdict: not run   # why\n      reason: No chapter has run it.",
        "accepted:\n      reason: >-\n        No chapter\n        has run it.\n      verdict: not run",
        "accepted:\n      verdict: not run\n      reason: |\n        No chapter\n\n    # a comment",
        'accepted: {verdict: "not run",\n      reason: "No chapter\n      has run it."}',
    ],
)
def test_every_layout_is_edited_in_place(layout):
    text = RECORD.replace("ACCEPTED", layout)
    edited = edited_record(text, "toy-slope", "not settled", "Too few seeds: 3.")
    wanted = yaml.safe_load(text)
    wanted["claims"][1]["accepted"] = {"verdict": "not settled", "reason": "Too few seeds: 3."}
    assert yaml.safe_load(edited) == wanted
    head, tail = text.index("accepted: {verdict") + 90, text.index("    history: []")
    assert edited.startswith(text[:head])
    assert edited.endswith(text[tail:])
    assert edited.count("#") == text.count("#")


def test_a_layout_that_cannot_be_edited_is_left_alone():
    """An anchor is one text for two values: replacing it would change both."""
    text = RECORD.replace("ACCEPTED", "accepted: {verdict: &word not run, reason: *word}")
    with pytest.raises(BookError, match="do it by hand"):
        edited_record(text, "toy-slope", "reproduced", "why")
    with pytest.raises(BookError, match="there is no record of toy-gone in this file"):
        edited_record(text, "toy-gone", "reproduced", "why")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("## Unreleased", "## Unreleased\n\n### Verdicts\n\nLINE\n"),
        ("## Unreleased\n\n## 1\n", "## Unreleased\n\n### Verdicts\n\nLINE\n\n## 1\n"),
        ("## Unreleased\n\n### Verdicts\n\n- a\n", "## Unreleased\n\n### Verdicts\n\n- a\nLINE\n"),
        ("## Unreleased\n\n### Verdicts\n\n- a\n\n### Fixed\n- b\n", None),
        ("## Unreleased\n\n### Verdicts\n\n## 1\n", "## Unreleased\n\n### Verdicts\n\nLINE\n\n## 1\n"),
        ("## Unreleased\n\n## 1\n\n### Verdicts\n\n- a\n", None),
    ],
)
def test_the_changelogs_line_goes_to_the_verdicts_of_what_is_unreleased(text, wanted):
    if wanted is None:
        wanted = {
            True: "## Unreleased\n\n### Verdicts\n\n- a\nLINE\n\n### Fixed\n- b\n",
            False: "## Unreleased\n\n### Verdicts\n\nLINE\n\n## 1\n\n### Verdicts\n\n- a\n",
        }["Fixed" in text]
    assert edited_changelog(text, "LINE") == wanted


def test_a_long_reason_is_wrapped(book):
    root = book.write()
    accept(root, "toy-slope", "word " * 60)
    lines = (root / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 118
    assert lines[lines.index("### Verdicts") + 3].startswith("  word")
