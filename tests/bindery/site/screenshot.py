"""Take README.md's picture of the front page: python tests/bindery/site/screenshot.py, after `make book`."""

import io
from pathlib import Path
from shutil import which

from PIL import Image
from playwright.sync_api import sync_playwright

from bindery.site.serve import served

ROOT = Path(__file__).parents[3]
TARGET = ROOT / "book" / "_static" / "screenshot-front.png"


def main():
    with served(ROOT / "_build" / "html") as address, sync_playwright() as playwright:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=which("chromium"), args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(f"{address}/book/index.html", wait_until="networkidle")
        page.wait_for_function("document.querySelectorAll('article mjx-container').length > 0")
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    # A page of few colours: 256 of them are enough, and make a file of a third of the size.
    picture.quantize(256, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
