"""A book of one chapter and three claims, rendered for real: the command, and what each directive shows."""

import argparse
import json
import shutil

import pytest
from bs4 import BeautifulSoup

from bindery.root import BookError
from bindery.site import render as command
from bindery.site.ledger_table import NONE_STORED
from bindery.site.render import input_digest, render

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, write_tiny):
    """The tiny book, rendered once, with the address of a repository."""
    root = write_tiny(tmp_path_factory.mktemp("tiny") / "root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_REPOSITORY", "https://github.com/someone/book")
        assert render(root)
    return root


@pytest.fixture
def page(tiny):
    def parse(name):
        text = (tiny / "_build" / "html" / "book" / f"{name}.html").read_text(encoding="utf-8")
        return BeautifulSoup(text, "html.parser")

    return parse


@pytest.fixture
def repository(monkeypatch):
    monkeypatch.setenv("BOOK_REPOSITORY", "https://github.com/someone/book")


def words(element):
    return " ".join(element.get_text(" ").split())


def test_a_second_call_does_nothing_and_says_so(tiny, repository, monkeypatch, capsys):
    monkeypatch.chdir(tiny)
    assert command.run(argparse.Namespace(force=False)) == 0
    assert f"is up to date. Open {tiny / '_build' / 'html' / 'index.html'}" in capsys.readouterr().out


def test_force_renders_although_nothing_changed_and_gives_the_same_bytes(tiny, repository):
    site = tiny / "_build" / "html"
    before = {path.relative_to(site): path.read_bytes() for path in site.rglob("*") if path.is_file()}
    assert render(tiny, force=True)
    after = {path.relative_to(site): path.read_bytes() for path in site.rglob("*") if path.is_file()}
    assert after == before


def test_each_kind_of_input_makes_the_site_stale_and_caches_do_not(tiny, tmp_path, monkeypatch):
    root = tmp_path / "copy"
    shutil.copytree(tiny, root, ignore=shutil.ignore_patterns("_build"))
    before = input_digest(root)
    (root / "book" / "_figures" / "x.svg").write_text("drawn again")
    (root / "book" / ".ipynb_checkpoints").mkdir()
    (root / "book" / ".ipynb_checkpoints" / "x.ipynb").touch()
    (root / "results" / "rows.part").mkdir()
    (root / "results" / "rows.part" / "0.csv").touch()
    assert input_digest(root) == before
    changed = [
        "_toc.yml",
        "book/index.md",
        "book/01_classical_cs.ipynb",
        "claims/paper.yml",
        "results/run_times.json",
    ]
    for name in [*changed, "book/_static/custom.css"]:
        path = root / name
        text = path.read_text()
        path.write_text(text.swapcase())  # of the same length
        assert input_digest(root) != before, name
        path.write_text(text)
    (root / "gsl_utils").mkdir()
    (root / "gsl_utils" / "new.py").touch()
    assert input_digest(root) != before
    (root / "gsl_utils" / "new.py").unlink()
    monkeypatch.setenv("BOOK_REPOSITORY", "https://github.com/someone/other")
    assert input_digest(root) != before


def test_a_build_with_a_warning_fails_says_what_and_keeps_the_old_book(write_tiny, tmp_path, capsys):
    root = write_tiny(tmp_path / "root")
    old = root / "_build" / "html" / "index.html"
    old.parent.mkdir(parents=True)
    old.write_text("the old book")
    (root / "book" / "made.md").write_text("# Made\n\n[nowhere](nowhere.md)\n")
    with pytest.raises(BookError, match="Jupyter Book could not render the book"):
        render(root)
    said = capsys.readouterr().err
    assert "cross-reference target not found: 'nowhere.md'" in said
    assert "book/made has no description" in said
    assert old.read_text() == "the old book"


def test_a_malformed_address_is_an_error_of_one_sentence(tiny, monkeypatch):
    monkeypatch.setenv("BOOK_REPOSITORY", "nowhere")
    with pytest.raises(BookError, match="BOOK_REPOSITORY is 'nowhere'"):
        render(tiny)


def test_the_launch_link_of_a_chapter_opens_its_notebook_and_text_pages_have_none(page):
    link = page("01_classical_cs").select_one("a.btn-launch-binder")
    start = "https://mybinder.org/v2/gh/someone/book/HEAD?urlpath=lab/tree/"
    assert link["href"] == f"{start}book/01_classical_cs.ipynb"
    assert page("index").select_one("a.btn-launch-binder") is None
    assert page("index").select_one("a.btn-source-repository")["href"] == "https://github.com/someone/book"


def test_a_chapter_can_be_downloaded_as_it_is(tiny, page):
    link = page("01_classical_cs").select_one("a.btn-download-source-button")
    target = tiny / "_build" / "html" / "book" / link["href"]
    assert target.resolve().read_bytes() == (tiny / "book" / "01_classical_cs.ipynb").read_bytes()


def test_the_claims_box_says_what_was_measured_and_the_verdicts_in_words(page):
    box = page("01_classical_cs").select_one(".claims-box")
    noise, p0 = box.select("section.claim")
    assert words(noise.h3) == "cs-noise ✓ reproduced"
    assert noise.h3.a["href"] == "ledger.html#cs-noise"
    assert noise["aria-labelledby"] == noise.h3["id"]
    assert noise.select_one("p span.math").get_text() == r"\(\sigma\)"
    assert "✓ reproduced (quick, decides, 10 seeds)" in words(noise)
    assert "half the tolerance: not settled; double the tolerance: reproduced" in words(noise)
    row = [words(cell) for cell in noise.select("tbody td")]
    assert row == ["quick, 10 seeds", "slope", "0.970", "[0.930, 1.020]", "0.20", "[0.10, 0.30]"]
    assert all(head["scope"] == "col" for head in noise.select("thead th"))
    assert "too few rows; a small slope ( slope < 0.5 )" in words(noise.details)
    assert words(p0.h3) == "cs-p0 ✓ reproduced after correction"
    assert "It is <so>." in words(p0)
    assert "control none: a count" in words(p0.details)
    assert box.script is None


def test_a_box_for_no_chapter_is_an_error(write_tiny, tmp_path, capsys):
    root = write_tiny(tmp_path / "root")
    (root / "book" / "made.md").write_text("# Made\n\n```{claims-box} 01_classical\n```\n")
    with pytest.raises(BookError):
        render(root)
    assert "claims-box is for '01_classical'; it must name a chapter with claims" in capsys.readouterr().err


def test_the_ledger_has_a_row_for_each_claim_with_what_the_script_needs(page):
    table = page("ledger").select_one("table.ledger")
    rows = table.select("tbody tr")
    assert [row["id"] for row in rows] == ["cs-noise", "cs-p0", "cs-tight"]
    assert [row["data-verdict"] for row in rows] == ["reproduced", "reproduced after correction", "not run"]
    assert [row["data-chapter"] for row in rows] == ["1", "1", "2"]
    noise, _, tight = rows
    assert noise.select_one('[data-label="Chapter"] a')["href"] == "01_classical_cs.html#claim-cs-noise"
    assert tight.select_one('[data-label="Chapter"] a') is None
    measured = "0.970 [0.930, 1.020] control 0.20 [0.10, 0.30] quick, 10 seeds"
    assert words(noise.select_one('[data-label="Measured"]')) == measured
    quick = words(noise.select_one('[data-label="Quick"]'))
    assert quick.startswith("✓ reproduced decides margin 1.8 ")
    assert quick.endswith(" half the tolerance: not settled double the tolerance: reproduced")
    cells = [words(tight.select_one(f'[data-label="{name}"]')) for name in ("Quick", "Paper")]
    assert cells == ["○ not run", "–"]
    columns = len(table.select("thead th"))
    assert all(len(row.find_all(["th", "td"], recursive=False)) == columns for row in rows)
    assert all(row.th["scope"] == "row" for row in rows)


def test_the_summary_counts_the_verdicts_of_each_group_and_leads_to_them(page):
    items = page("index").select("ul.verdict-counts li")
    # Of the papers, then our own questions.
    assert [words(item) for item in items] == [
        "1 ✓ reproduced",
        "1 ○ not run",
        "1 ✓ reproduced after correction",
    ]
    assert items[1].a["href"] == "ledger.html?verdict=not%20run&counted=the%20papers"
    assert "2 claims of the papers; verdicts that stand: 1" in words(page("index"))


def test_the_errata_show_what_was_run_and_say_what_waits(page):
    article = page("errata").select_one("article")
    section = article.select_one("#a-slip")
    assert words(section.h3).startswith("Section 2")
    terms = [words(term) for term in section.select("dl.claim-facts dt")]
    assert terms == ["printed", "corrected", "counterexample", "what survives", "in the ledger"]
    assert section.select_one('a[href="01_classical_cs.html#claim-cs-p0"]') is not None
    assert "1.000 [0.950, 1.000]" in words(section)
    assert article.select_one("#another") is None
    assert "1 misprint is on record" in words(article)


def test_the_agreement_of_profiles_waits_for_stored_results(page):
    assert NONE_STORED in words(page("ledger"))


def test_an_empty_errata_page_says_so(write_tiny, tmp_path):
    root = write_tiny(tmp_path / "root")
    notebook = json.loads((root / "book" / "01_classical_cs.ipynb").read_text())
    notebook["cells"][2]["outputs"] = []
    (root / "book" / "01_classical_cs.ipynb").write_text(json.dumps(notebook))
    render(root)
    text = (root / "_build" / "html" / "book" / "errata.html").read_text(encoding="utf-8")
    assert "No chapter with a counterexample has been run yet, so this page is still empty." in text


def test_run_times_say_how_long_where_and_with_what(page):
    article = page("made").select_one("article")
    row = [words(cell) for cell in article.select_one("table.book-table tbody tr").find_all(["th", "td"])]
    assert row == ["01_classical_cs", "3.2 s", "unknown", "42", "312 MiB"]
    assert "All pages: Linux <x>; python 3.11.7." in words(article)


def test_under_each_figure_are_its_files(tiny, page):
    links = page("01_classical_cs").select("p.bundle-links a")
    site = tiny / "_build" / "html"
    files = [(site / "book" / link["href"]).resolve() for link in links]
    assert [file.relative_to(site).as_posix() for file in files] == [
        f"figures/01_classical_cs/a-wedge.{ending}" for ending in ("svg", "csv", "json")
    ]
    assert files[1].read_text() == "m\n10\n"
    image = page("01_classical_cs").select_one("figure img")
    assert image["alt"] == "A wedge."
    assert image["src"].endswith(".svg")


def test_the_ledger_is_there_for_programs(tiny, page):
    data = json.loads((tiny / "_build" / "html" / "claims.json").read_text(encoding="utf-8"))
    assert [claim["id"] for claim in data["claims"]] == ["cs-noise", "cs-p0", "cs-tight"]
    assert page("ledger").select_one('a[href="../claims.json"]') is not None


def test_citation_and_first_address(tiny, page):
    assert "The authors. A Book. Version 0.1.0." in words(page("made"))
    first = (tiny / "_build" / "html" / "index.html").read_text()
    assert "url=book/index.html" in first
