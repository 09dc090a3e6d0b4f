"""Every page in a real browser: no other host, no complaint, mathematics, width, theme, search, ledger."""

import re
from urllib.parse import urlsplit

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHAPTER = "book/01_classical_cs.html"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


class Watched:
    """A page in the browser, with what it asked for and what it complained about."""

    def __init__(self, browser, address, **context):
        self.address = address
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.asked, self.complaints = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("response", self._check)

    def _hear(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _check(self, response):
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.url}")

    def open(self, name):
        self.page.goto(f"{self.address}/{name}", wait_until="networkidle")
        return self.page

    def elsewhere(self):
        own = urlsplit(self.address).netloc
        return [url for url in self.asked if urlsplit(url).netloc not in {own, ""}]


@pytest.fixture
def opened(browser, address):
    """A function that opens a page of the site and closes its window after the test."""
    windows = []

    def open_page(name, **context):
        windows.append(Watched(browser, address, **context))
        windows[-1].open(name)
        return windows[-1]

    yield open_page
    for window in windows:
        window.context.close()


def overflow(page):
    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    return max(0, width - room)


def test_a_page_asks_no_other_host_complains_of_nothing_shows_its_mathematics_and_fits(
    opened, soup, opened_page
):
    window = opened(opened_page, viewport=PHONE)
    page = window.page
    # Scrolling down makes the browser load every picture.
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    formulas = len(soup(opened_page).select("article .math"))
    if formulas:
        page.wait_for_function(
            "n => document.querySelectorAll('article mjx-container').length >= n", arg=formulas
        )
        assert page.locator("article mjx-merror").count() == 0
    page.wait_for_load_state("networkidle")
    assert page.evaluate("Array.from(document.images).every(i => !i.checkVisibility() || i.naturalWidth > 0)")
    # Nor may a fold that a reader opens push the page's edge out.
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    assert overflow(page) == 0
    page.set_viewport_size(DESK)
    assert overflow(page) == 0
    assert window.elsewhere() == []
    assert window.complaints == []


def test_the_first_address_opens_the_book(opened, address):
    page = opened("", viewport=DESK).page
    page.wait_for_url(f"{address}/book/index.html")
    assert page.locator("h1").first.inner_text().strip() == "Compressed Sensing with Generative Priors"


def test_the_theme_toggles_and_is_remembered(opened, address):
    page = opened("book/index.html", viewport=DESK, color_scheme="light").page
    seen = {}
    for _ in range(3):
        page.locator(".theme-switch-button").first.click()
        theme = page.evaluate("document.documentElement.dataset.theme")
        seen[theme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert set(seen) == {"light", "dark"}
    assert seen["light"] != seen["dark"]
    while page.evaluate("document.documentElement.dataset.mode") != "dark":
        page.locator(".theme-switch-button").first.click()
    page.goto(f"{address}/{CHAPTER}", wait_until="networkidle")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_has_its_colours_before_the_theme_arrives(browser, address, theme):
    window = Watched(browser, address, viewport=DESK, color_scheme=theme)
    # The document is "interactive" when it is read to its end and no deferred script has run.
    window.page.add_init_script(
        "document.addEventListener('readystatechange', () => { if (document.readyState === 'interactive')"
        " window.early = document.documentElement.dataset.theme; })"
    )
    assert window.open("book/index.html").evaluate("window.early") == theme
    window.context.close()


def test_figures_keep_a_light_ground_in_dark_mode(opened):
    page = opened(CHAPTER, viewport=DESK, color_scheme="dark").page
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    grounds = page.evaluate(
        "Array.from(document.querySelectorAll('article figure img'),"
        " i => [getComputedStyle(i).backgroundColor, getComputedStyle(i).filter])"
    )
    assert grounds
    assert {tuple(ground) for ground in grounds} == {("rgb(253, 253, 251)", "none")}


def test_search_finds_a_word_of_the_first_chapter_and_its_link_opens_it(opened):
    window = opened("book/cite.html", viewport=DESK)
    page = window.page
    page.keyboard.press("Control+k")
    page.keyboard.type("isometry")
    page.keyboard.press("Enter")
    found = page.locator("#search-results a[href*='01_classical_cs']").first
    found.wait_for()
    found.click()
    page.wait_for_load_state("networkidle")
    assert urlsplit(page.url).path.endswith(CHAPTER)
    assert "isometry" in page.locator("article").inner_text().lower()
    assert window.elsewhere() == []


def shown_ids(page):
    return page.evaluate(
        "Array.from(document.querySelectorAll('table.ledger tbody tr'))"
        ".filter(r => r.checkVisibility()).map(r => r.id)"
    )


def focus(page, selector):
    """Press Tab until the element has the focus, as a reader without a mouse does."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_the_ledger_is_filtered_and_sorted_by_keyboard_only(opened, viewport):
    window = opened("book/ledger.html", viewport=viewport)
    page = window.page
    everything = shown_ids(page)
    focus(page, ".ledger-tools input")
    page.keyboard.type("cs-noise")
    assert shown_ids(page) == ["cs-noise"]
    assert page.locator(".ledger-tools output").inner_text() == f"1 of {len(everything)} claims"
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    assert shown_ids(page) == everything
    focus(page, ".ledger-tools label:nth-of-type(3) select")
    page.keyboard.press("ArrowDown")
    first = [claim for claim in everything if claim.startswith("cs-")]
    assert shown_ids(page) == first
    page.keyboard.press("ArrowUp")
    focus(page, ".ledger thead th:first-child button")
    page.keyboard.press("Enter")
    head = page.locator(".ledger thead th").first
    assert head.get_attribute("aria-sort") == "ascending"
    assert shown_ids(page) == sorted(everything)
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert shown_ids(page) == sorted(everything, reverse=True)
    focus(page, ".ledger thead th:nth-child(3) button")
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "none"
    assert shown_ids(page) == everything
    focus(page, ".ledger tbody summary")
    page.keyboard.press("Enter")
    assert page.locator(".ledger tbody details").first.get_attribute("open") is not None
    assert window.complaints == []


def test_a_link_to_a_claim_shows_and_opens_its_row(opened):
    page = opened("book/ledger.html#hv-rho", viewport=DESK).page
    page.wait_for_timeout(200)
    row = page.locator("#hv-rho")
    assert row.locator("details").get_attribute("open") is not None
    top = row.bounding_box()["y"]
    assert 0 <= top < DESK["height"]


def test_a_link_to_a_verdict_shows_its_rows_only(opened):
    page = opened("book/ledger.html?verdict=not%20testable", viewport=DESK).page
    words = page.evaluate(
        "Array.from(document.querySelectorAll('table.ledger tbody tr')).filter(r => r.checkVisibility())"
        ".map(r => r.dataset.verdict)"
    )
    assert set(words) == {"not testable"}
    unknown = opened("book/ledger.html?verdict=nonsense", viewport=DESK).page
    assert unknown.locator(".ledger-tools select").first.evaluate("select => select.selectedIndex") == 0
    assert len(shown_ids(unknown)) == unknown.locator("table.ledger tbody tr").count()


def test_claims_are_readable_without_scripts(opened):
    ledger = opened("book/ledger.html", viewport=PHONE, java_script_enabled=False).page
    rows = ledger.locator("table.ledger tbody tr")
    assert rows.count() > 50
    assert rows.first.is_visible()
    evidence = CHAPTER.replace(".html", "_evidence.html")
    chapter = opened(evidence, viewport=PHONE, java_script_enabled=False).page
    claims = chapter.locator(".claims-box section.claim")
    assert claims.count() > 0
    assert claims.first.is_visible()
    assert re.search(r"reproduced|contradicted|not \w+|void", claims.first.inner_text())
