"""Every page of the rendered book, read as files: links, texts for those who do not see, order, size."""

import ast
import re
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from bindery.claims import records
from bindery.claims.recorded import EVIDENCE, chapter_of
from bindery.site.directives import documented_modules

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
MAX_BYTES = 1_500_000


@pytest.fixture(scope="module")
def files(site):
    return {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}


def test_a_page_has_a_title_and_a_description(soup, any_page):
    page = soup(any_page)
    assert len(page.title.get_text(strip=True)) > 5
    descriptions = page.select('meta[name="description"]')
    assert len(descriptions) == 1
    assert len(descriptions[0]["content"]) > 20
    assert page.html["lang"] == "en"


def test_no_two_pages_have_the_same_title_or_description(soup, page_names):
    for read in (lambda p: p.title.get_text(), lambda p: p.select_one('meta[name="description"]')["content"]):
        found = [read(soup(name)) for name in page_names]
        assert len(set(found)) == len(found)


@pytest.fixture(scope="module")
def anchors(soup):
    """A function that lists the anchors of a page, once."""
    return cache(lambda name: {element["id"] for element in soup(name).select("[id]")})


def test_links_and_anchors_of_a_page_resolve(soup, files, anchors, any_page):
    page, broken = soup(any_page), []
    for element in page.select("[href], [src]"):
        address = element.get("href") or element.get("src")
        parts = urlsplit(urljoin(any_page, address))
        if parts.scheme or parts.netloc or address == "#":
            continue
        target, anchor = unquote(parts.path), unquote(parts.fragment)
        anchored = anchor and target.endswith(".html")
        if target not in files or (anchored and anchor not in anchors(target)):
            broken.append(address)
    assert broken == []


def test_a_page_takes_nothing_from_another_host(soup, any_page):
    page = soup(any_page)
    taken = [e.get("href") for e in page.select("link[href]")]
    taken += [e.get("src") for e in page.select("[src]")]
    assert [address for address in taken if urlsplit(address).netloc] == []
    scripts = " ".join(script.get_text() for script in page.select("script"))
    assert "thebe" not in scripts
    assert page.select('script[src*="fontawesome"]') == []
    assert not re.search(r"https?://", scripts)


def test_images_are_svg_and_described(soup, page_name):
    for image in soup(page_name).select("article img"):
        assert image["src"].split("?")[0].endswith(".svg"), image["src"]
        assert int(image["width"]) > 0 < int(image["height"])
        alt = image["alt"]
        assert len(alt.split()) >= 3, alt
        assert not re.search(r"\.(svg|png)|/", alt), alt


def test_headings_follow_each_other_without_a_gap(soup, page_name):
    levels = [int(head.name[1]) for head in soup(page_name).select("article :is(h1, h2, h3, h4, h5, h6)")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def test_a_page_and_its_pictures_stay_small(site, soup, page_name):
    shown = {urljoin(page_name, image["src"]) for image in soup(page_name).select("article img")}
    assert sum((site / path).stat().st_size for path in {page_name, *shown}) < MAX_BYTES


def test_ids_are_unique(soup, page_name):
    found = [element["id"] for element in soup(page_name).select("article [id]")]
    assert len(set(found)) == len(found)


def test_no_markup_is_left_unrendered(soup, page_name):
    article = BeautifulCopy(soup(page_name).select_one("article"))
    text = article.text_outside("pre, code, script, .math")
    for mark in ("$$", "{glue", "{cite", "{numref", "{ref", "```", ":::", "\\(", "\\["):
        assert mark not in text, mark
    assert not re.search(r"\$[^$\n]{1,80}\$", text)
    assert not re.search(r"\\(delta|rho|sigma|lVert|ell|mathbb|alpha|lambda|frac)\b", text)


def test_a_list_by_role_holds_list_items_only(soup, page_name):
    for listed in soup(page_name).select('article [role="list"]'):
        children = listed.find_all(recursive=False)
        assert children
        assert {child.get("role") for child in children} == {"listitem"}


class BeautifulCopy:
    """A part of a page whose text can be read without some of its elements."""

    def __init__(self, element):
        self.element = element

    def text_outside(self, selector):
        hidden = {id(node) for part in self.element.select(selector) for node in part.descendants}
        return " ".join(str(node) for node in self.element.find_all(string=True) if id(node) not in hidden)


def test_every_claim_has_a_stable_address_in_the_ledger(soup):
    ids = re.findall(r"^\s+- ([a-z0-9-]+)$", (ROOT / "claims" / "index.yml").read_text(), re.MULTILINE)
    rows = [row["id"] for row in soup("book/ledger.html").select("table.ledger tbody tr")]
    assert len(ids) > 50
    assert rows == ids


def test_each_chapter_ends_with_its_claims(soup, chapter):
    """In full, or a lesson in a table of propositions that leads to the experiments of its evidence."""
    stem = Path(chapter).stem
    rows = soup("book/ledger.html").select("table.ledger tbody tr")
    number = str(int(stem.split("_")[0]))
    claims = [row["id"] for row in rows if row["data-chapter"] == number]
    if (ROOT / f"book/{stem}{EVIDENCE}.ipynb").is_file():
        links = [
            link["href"]
            for link in soup(chapter).select('[aria-label="Claims and verdicts"] td:last-child a')
        ]
        assert links == [f"{stem}{EVIDENCE}.html#evidence-{claim}" for claim in claims]
    else:
        boxed = [section["id"] for section in soup(chapter).select(".claims-box section.claim")]
        assert boxed == [f"claim-{claim}" for claim in claims]


def test_each_figure_of_a_chapter_has_its_caption_and_its_files(soup, chapter):
    figures = soup(chapter).select("article .cell_output figure")
    # A page of stored results has figures once something is stored.
    assert figures or chapter_of(Path(chapter).stem) not in records.read(ROOT).chapters
    assert len(soup(chapter).select("article p.bundle-links")) == len(figures)
    assert all(len(figure.figcaption.get_text().split()) > 5 for figure in figures)


@pytest.mark.parametrize("module", documented_modules(ROOT))
def test_every_public_name_is_on_the_page_of_the_library(soup, module):
    path = ROOT / f"{module.replace('.', '/')}.py"
    path = path if path.is_file() else ROOT / module.replace(".", "/") / "__init__.py"
    names = next(
        ast.literal_eval(node.value)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    values = {name: getattr(import_module(module), name) for name in names}
    for name, value in values.items():
        if callable(value):
            assert soup("book/api.html").find(id=f"{module}.{name}") is not None, name
