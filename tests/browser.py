"""A page as a real browser makes it: headless Chromium, where there is one."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def dom_of(page: Path, width: int = 1280) -> str:
    """The elements of a page, as HTML, after the browser has laid it out ``width`` pixels wide."""
    if CHROMIUM is None:
        pytest.skip("needs chromium (Debian: apt install chromium)")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--window-size={width},1000", f"--user-data-dir={page.parent / 'profile'}"]
    found = subprocess.run(
        [*command, page.resolve().as_uri()], capture_output=True, timeout=120, check=True
    )
    return found.stdout.decode()


def overflow_of(page: Path, width: int) -> int:
    """By how many pixels a page is wider than a window of ``width`` pixels."""
    probe = page.with_name("probe.html")
    html = page.read_text(encoding="utf-8")
    measure = 'document.title += " " + (document.documentElement.scrollWidth - innerWidth)'
    script = f"<script>window.onload = () => {{ {measure} }}</script></body>"
    probe.write_text(html.replace("</body>", script), encoding="utf-8")
    title = dom_of(probe, width).partition("<title>")[2].partition("</title>")[0]
    return int(title.rpartition(" ")[2])


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser to be driven. No event loop of asyncio may run within the block."""
    if CHROMIUM is None:
        pytest.skip("needs chromium (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visited(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A page as somebody sees it who has never been there. Its scripts must not fail, and must not
    do what its Content-Security-Policy forbids."""
    complaints = list[str]()
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(url)
        yield page
    # Chromium says so of every answer that is an error; the page tells people itself.
    assert [c for c in complaints if not c.startswith("Failed to load resource")] == []
