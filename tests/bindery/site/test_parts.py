"""The site's parts one by one: its server, its style, its texts, its list of modules."""

import gzip
import importlib
import math
import re
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from bindery.claims.entries import Entry, Ledger
from bindery.claims.intervals import Estimate
from bindery.claims.records import read
from bindery.claims.schema import VERDICTS
from bindery.claims.verdicts import Verdict
from bindery.site import facts, finish
from bindery.site.claims_box import verdicts
from bindery.site.directives import bibtex, documented_modules, plain
from bindery.site.finish import copy_mathjax, polish, redirect_page, svg_size
from bindery.site.ledger_table import LedgerFacts, agreement_row, agreement_summary, verdict_cell
from bindery.site.pages import describe, links_html, prepare
from bindery.site.serve import served

ROOT = Path(__file__).parents[3]
CSS = (ROOT / "book" / "_static" / "custom.css").read_text()


@pytest.fixture
def server(tmp_path):
    (tmp_path / "page.html").write_text("<p>" + "word " * 1000)
    (tmp_path / "a b.png").write_bytes(b"\x89PNG")
    with served(tmp_path) as address:
        yield address


def test_the_server_compresses_text_for_those_who_take_it_and_nothing_else(server):
    plain_answer = urllib.request.urlopen(f"{server}/page.html")
    asked = urllib.request.Request(f"{server}/page.html", headers={"Accept-Encoding": "gzip"})
    packed = urllib.request.urlopen(asked)
    body = packed.read()
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == plain_answer.read()
    assert len(body) < 200
    picture = urllib.request.Request(f"{server}/a%20b.png", headers={"Accept-Encoding": "gzip"})
    assert urllib.request.urlopen(picture).headers["Content-Encoding"] is None


def test_the_server_says_no_to_what_is_not_there(server):
    for path, status in (("no-such-page.html", "404"), ("../../etc/passwd", "403")):
        with pytest.raises(urllib.error.HTTPError, match=status):
            urllib.request.urlopen(f"{server}/{path}")


def test_mathjax_is_copied_with_its_fonts(tmp_path):
    copy_mathjax(tmp_path)
    assert (tmp_path / "mathjax" / "tex-chtml.js").stat().st_size > 1e6
    assert len(list((tmp_path / "mathjax").rglob("*.woff"))) > 20


def test_a_machine_without_mathjax_is_told_what_is_missing(monkeypatch):
    monkeypatch.setattr(finish, "MATHJAX", "no-such-package")
    with pytest.raises(RuntimeError, match="the package no-such-package must be installed"):
        copy_mathjax(Path())


def test_a_page_without_a_description_is_found():
    with pytest.raises(LookupError):
        describe("book/new", '<meta name="viewport">')
    assert 'content="Search' in describe("search", "")
    assert describe("book/x", '<meta content="x" name="description">').count("description") == 1


def test_the_first_address_leads_to_the_book_and_is_escaped():
    page = redirect_page("book/index.html", "A & B", "Of <A>")
    assert 'content="0; url=book/index.html"' in page
    assert "<title>A &amp; B</title>" in page
    assert "<A>" not in page


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.0, "1"),
        (-0.5, "−0.5"),
        (0.998123, "0.9981"),
        (1e-9, "1 × 10<sup>−9</sup>"),
        (-2.5e12, "−2.5 × 10<sup>12</sup>"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers_are_written_for_readers(value, written):
    assert facts.number(value) == written


@pytest.mark.parametrize(
    ("value", "ends", "written"),
    [
        (0.9883, (0.9562, 1.0204), ("0.988", "[0.956, 1.020]")),
        (0.97, (0.93, 1.02), ("0.970", "[0.930, 1.020]")),
        (12.3456, (10.0, 14.5), ("12.3", "[10.0, 14.5]")),
        (5123.4, (5000.0, 5200.0), ("5123", "[5000, 5200]")),
        (-0.2, (-0.5, -0.1), ("−0.20", "[−0.50, −0.10]")),
        (0.25, (0.25, 0.25), ("0.25", "[0.25, 0.25]")),
        (0.01, (-0.0004, 0.02), ("0.0100", "[−0.0004, 0.0200]")),
        (0.01, (0.0, 0.02), ("0.010", "[0.000, 0.020]")),
        (3.0e-9, (1e-9, 5e-9), ("3 × 10<sup>−9</sup>", "[1 × 10<sup>−9</sup>, 5 × 10<sup>−9</sup>]")),
        (2.0, (1.0, math.inf), ("2", "[1, ∞]")),
    ],
)
def test_a_value_has_the_decimals_that_its_interval_is_worth(value, ends, written):
    assert facts.with_interval(Estimate(value, *ends)) == written


@pytest.mark.parametrize("word", VERDICTS)
def test_each_verdict_has_its_word_a_sign_that_is_not_read_aloud_and_a_colour(word):
    html = facts.verdict(word)
    assert re.sub(r"<[^>]*>|&nbsp;", "", html.replace(facts.SIGNS[word], "")) == word
    assert 'aria-hidden="true"' in html
    assert f".{BeautifulSoup(html, 'html.parser').span['class'][1]}" in CSS


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_stands_out_from_its_ground(mode):
    block = re.search(rf'html\[data-theme="{mode}"\] \{{(.*?)\}}', CSS, re.DOTALL).group(1)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    grounds = [
        colours[name] for name in ("pst-color-background", "pst-color-on-background", "pst-color-surface")
    ]
    inks = [name for name in colours if name.startswith("book-")]
    inks += ["pst-color-text-base", "pst-color-text-muted", "pst-color-primary", "pst-color-link-hover"]
    for ink in inks:
        for ground in grounds:
            dark, light = sorted((_luminance(colours[ink]), _luminance(ground)))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def test_figures_keep_the_ground_of_the_figure_style_in_both_modes():
    plotting = importlib.import_module("bindery.figures.plotting")
    assert f"--book-figure-ground: {plotting.GROUND};" in CSS


def test_nothing_in_the_style_or_the_script_is_fetched_from_elsewhere():
    texts = [path for path in (ROOT / "book" / "_static").iterdir() if path.suffix != ".png"]
    for path in texts:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]|@import|url\(", text), path.name


def test_pictures_get_the_size_that_their_file_says(tmp_path):
    (tmp_path / "a.svg").write_text('<svg width="72pt"\n  viewBox="0 0 72 36.1" version="1.1">')
    assert svg_size(tmp_path / "a.svg") == (96, 48)
    (tmp_path / "b.svg").write_text("<svg>")
    assert svg_size(tmp_path / "b.svg") is None
    assert svg_size(tmp_path / "none.svg") is None


def test_a_page_is_polished_and_nothing_else_is_touched(tmp_path):
    (tmp_path / "x.svg").write_text('<svg viewBox="0 0 72 36">')
    sized = '<img alt="A" src="x.svg" width="96" height="48" />'
    assert polish('<img alt="A" src="x.svg" />', tmp_path) == sized
    for kept in (
        '<img alt="A" src="y.svg">',
        '<img src="x.svg" width="9">',
        '<img class="logo__image" src="x.svg">',
        '<img src="https://example.org/x.svg">',
        '<script src="a/bootstrap.js"></script>',
    ):
        assert polish(kept, tmp_path) == kept
    assert polish('<p>\n <script defer src="../s/fontawesome.js?d=1"></script></p>', tmp_path) == "<p></p>"
    assert polish('<section class="a" id="proof-content">', tmp_path) == '<section class="a">'
    assert polish('<div class="proof" id="thm-nsp">', tmp_path) == '<div class="proof" id="thm-nsp">'
    assert polish('<div role="doc-biblioentry">', tmp_path) == '<div role="listitem">'


def test_links_under_a_figure_name_each_file_that_there_is(tmp_path):
    folder = tmp_path / "01_a"
    folder.mkdir()
    for name in ("noise.svg", "noise.json", "noise.npz"):
        (folder / name).touch()
    html = links_html("book/01_a", folder, "noise")
    assert re.findall(r'href="([^"]*)"', html) == [
        f"../figures/01_a/noise.{e}" for e in ("svg", "npz", "json")
    ]
    with pytest.raises(FileNotFoundError, match="01_a: the bundle of the figure 'other' was not extracted"):
        links_html("book/01_a", folder, "other")


def test_a_page_is_read_without_what_only_programs_read_and_with_what_its_notebook_says():
    start, middle, end = (
        '{"cells": [{"outputs": [{"data": {',
        '"text/plain": "x"}}]}, {}], "metadata": {',
        "}}",
    )
    own = '"application/vnd.gsl.claim+json": "", '
    assert prepare(start + own + middle + end, None) == start + middle + end
    said = '"myst": {"html_meta": {"description": "A chapter."}}'
    notebook = f'{{"metadata": {{"kernelspec": {{}}, {said}}}}}'
    assert prepare(start + middle + end, notebook) == start + middle + said + end
    assert prepare(start + middle + '"myst": {}' + end, notebook) == start + middle + '"myst": {}' + end


def _entry(quick, paper, *, stale=False, **settled):
    """An entry of a real record whose verdicts are given: the strongest run decides."""
    record = replace(read(ROOT).claims["cs-noise"], again=None)
    verdicts = [word and Verdict(word, (), name) for name, word in (("quick", quick), ("paper", paper))]
    return Entry(record, *verdicts, stale=stale, **settled)


def _said(html):
    return " ".join(re.sub(r"<[^>]*>|&nbsp;", " ", html).split())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (_entry("reproduced", None), ["✓ reproduced (quick, decides)"]),
        (_entry("void", None, seeds={"1": "void"}), ["! void (quick, decides)", "seed 1: void"]),
        (
            _entry("reproduced", "contradicted", stale=True),
            ["✓ reproduced (quick)", "✗ contradicted (paper, decides, stale)"],
        ),
        (_entry(None, None), ["○ not run"]),
    ],
)
def test_verdicts_of_both_profiles_are_said_with_which_decides_and_what_is_stale(entry, said):
    assert [_said(html) for html in verdicts(entry)] == said


@pytest.mark.parametrize(
    ("entry", "quick", "paper"),
    [
        (_entry("reproduced", None), "✓ reproduced decides", "–"),
        (_entry(None, None), "○ not run", "–"),
        (_entry("not settled", "void", stale=True), "≈ not settled", "! void decides stale"),
    ],
)
def test_the_ledgers_cells_say_which_profile_decides_and_what_is_stale(entry, quick, paper):
    cells = [verdict_cell(entry, profile) for profile in ("quick", "paper")]
    assert [_said(cell) for cell in cells] == [quick, paper]


def test_the_citation_is_the_one_of_the_citation_file():
    data = {
        "title": "A Book",
        "version": "1.0",
        "date-released": "2030-01-02",
        "authors": [{"family-names": "Doe", "given-names": "Jane"}, {"name": "The others"}],
        "repository-code": "https://example.org/b",
    }
    assert plain(data) == "Doe, Jane and The others (2030). A Book. Version 1.0. https://example.org/b."
    entry = bibtex(data)
    assert "author = {Doe, Jane and {The others}}," in entry
    assert "year = {2030}," in entry
    assert "doi" not in entry


def test_every_public_module_is_documented(tmp_path):
    names = documented_modules(ROOT)
    science = {f"gsl_utils.{path.stem}" for path in (ROOT / "gsl_utils").glob("[a-z]*.py")}
    assert science <= set(names)
    assert "gsl_utils.common" not in names
    for room in ("generators", "common"):
        (tmp_path / "gsl_utils" / room).mkdir(parents=True)
        (tmp_path / "gsl_utils" / room / "__init__.py").touch()
    for name in ("sparse.py", "_private.py", "__init__.py"):
        (tmp_path / "gsl_utils" / name).touch()
    assert documented_modules(tmp_path) == ["gsl_utils.generators", "gsl_utils.sparse"]


def test_the_table_of_contents_and_the_pages_hold_the_same():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    pages = [page for part in toc["parts"] for page in part["chapters"]]
    below = [page["file"] for chapter in pages for page in chapter.get("sections", [])]
    listed = {toc["root"], *(page["file"] for page in pages), *below}
    there = {f"book/{path.stem}" for path in (ROOT / "book").iterdir() if path.suffix in {".md", ".ipynb"}}
    assert listed == there


class _Facts(LedgerFacts):
    """The directive away from Sphinx, of a ledger of these entries."""

    ledger = None

    def __init__(self, *entries):
        self.ledger = Ledger(entries, ())


def _facts(*entries):
    html = "".join(node.astext() for node in _Facts(*entries).run())
    return [_said(item) for item in html.split("</li>")[:-1]]


def test_among_seeds_only_verdicts_that_could_differ_are_counted():
    moved = _entry("reproduced", "void", seeds={"1": "reproduced", "2": "contradicted"})
    stayed = _entry("not settled", None, seeds={"1": "not settled", "2": "not settled"})
    # A measurement decides nothing, a claim that is judged again waits, a void one stands for nothing.
    fixed = [
        _entry(word, None, seeds={"1": word, "2": word})
        for word in ("measured", "being judged again", "not testable", "void")
    ]
    others = [_entry(None, "reproduced", seeds={"1": "reproduced"}), _entry("reproduced", None)]
    said = _facts(moved, stayed, *fixed, *others)
    assert said[2:] == ["Quick verdicts tried with two other seeds: 2; others then: 1."]
    assert said[1].startswith("Verdicts that stand: 3;")
    assert len(_facts(*fixed, *others)) == 2


def test_every_source_of_a_claim_is_in_the_bibliography():
    keys = set(re.findall(r"^@\w+\{([\w-]+),", (ROOT / "references.bib").read_text(), re.MULTILINE))
    for path in sorted((ROOT / "claims").glob("*.yml")):
        key = yaml.safe_load(path.read_text()).get("key")
        assert key is None or key in keys, path.name


def test_agreement_links_each_claim_and_says_both_verdicts():
    stored = [
        _entry("reproduced", "contradicted", stale=True),
        _entry(None, "reproduced"),
        _entry("reproduced", "reproduced"),
    ]
    rows = "".join(agreement_row(entry, f"#{entry.record.id}") for entry in stored)
    table = BeautifulSoup(f"<table>{rows}</table>", "html.parser")
    cells = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]
    assert cells == [
        ["cs-noise", "✓\xa0reproduced", "✗\xa0contradicted", "no", "yes, run it again"],
        ["cs-noise", "–", "✓\xa0reproduced", "–", "no"],
        ["cs-noise", "✓\xa0reproduced", "✓\xa0reproduced", "yes", "no"],
    ]
    assert {link["href"] for link in table.find_all("a")} == {"#cs-noise"}
    assert agreement_summary(stored) == "Both profiles measured 2 of the claims; they agree on 1."
